//! The journal of requests over HTTP.

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Shared;
use super::answers::{Answered, done, ok};
use crate::server::ids::hex;
use crate::server::journal::ReceivedRequest;

pub(super) async fn list(State(admin): Shared) -> Answered {
    let requests = admin.run(|site| Ok(site.journal.list().iter().map(tell).collect::<Vec<_>>())).await?;
    Ok(ok(&json!({ "requests": requests })))
}

pub(super) async fn clear(State(admin): Shared) -> Answered {
    admin.site.journal.clear();
    Ok(done())
}

fn tell(request: &ReceivedRequest) -> Value {
    let mut headers = Map::new();
    for (name, value) in &request.headers {
        let values = headers.entry(name.clone()).or_insert_with(|| json!([]));
        values.as_array_mut().expect("was made as a list").push(json!(value));
    }
    let mut told = json!({
        "number": request.number,
        "time": request.time.as_millis(),
        "request_id": request.request_id,
        "operation": request.operation,
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "body_bytes": request.body_bytes,
        "status": request.status,
    });
    // What is no text is told in hex, so that nothing of it is lost.
    match std::str::from_utf8(&request.body) {
        Ok(text) => told["body"] = json!(text),
        Err(_) => told["body_hex"] = json!(hex(&request.body)),
    }
    told
}
