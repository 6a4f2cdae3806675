//! The OpenAPI document against a running server: what it tells is answered, and nothing else is.

use serde_json::Value;

use crate::harness::{Client, Server};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// Paths, and the methods that each is told to have.
fn told(client: Client) -> Vec<(String, Vec<String>)> {
    let document = client.get("/_ebbtide/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let methods = |about: &Value| about.as_object().expect("an object").keys().map(|key| key.to_uppercase()).collect();
    document["paths"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(path, about)| (path.clone(), methods(about)))
        .collect()
}

/// A path with something good in place of its parameters.
fn filled(path: &str) -> String {
    path.replace("{project_id}", "p")
        .replace("{name}", "n")
        .replace("{id}", "1")
        .replace("{event_name}", "e")
        .replace("{key}", "k")
}

#[test]
fn every_path_that_the_document_tells_is_answered_by_its_methods_and_no_other() {
    let server = Server::start(&["--memory"]);
    let told = told(server.client());
    assert!(told.len() > 25);
    for (path, methods) in told {
        for method in METHODS {
            let reply = server.client().request(method, &filled(&path), b"");
            let is_told = methods.iter().any(|each| each == method);
            let text = reply.text();
            assert_eq!(reply.status != 405, is_told, "{method} {path}: {} {text}", reply.status);
            assert!(!text.contains("nothing at this address"), "{method} {path}: {text}");
        }
    }
}

#[test]
fn every_answer_has_a_status_that_the_document_tells_for_it() {
    // Goal: also what is refused is told. Method: each operation without what it needs.
    let server = Server::start(&["--memory"]);
    let document = server.get("/_ebbtide/openapi.json").json();
    for (path, methods) in document["paths"].as_object().expect("an object") {
        for (method, about) in methods.as_object().expect("an object") {
            let reply = server.client().request(&method.to_uppercase(), &filled(path), b"");
            let status = reply.status.to_string();
            assert!(about["responses"].get(&status).is_some(), "{method} {path}: {status} {}", reply.text());
        }
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let server = Server::start(&["--memory"]);
    let document = server.get("/_ebbtide/openapi.json").json();
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').expect("inside of the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    references += 1;
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 50, "they were found");
}
