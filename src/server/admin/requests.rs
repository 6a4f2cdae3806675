//! The journal of requests over HTTP, page by page.

use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::{RawQuery, State};
use serde_json::{Map, Value, json};

use super::Shared;
use super::answers::{Answered, Problem, Text, done};
use crate::server::ids::hex;
use crate::server::journal::ReceivedRequest;

/// Requests of a page.
const LIMITS: RangeInclusive<usize> = 1..=1_000;

/// Those of a page of somebody who says nothing.
const LIMIT_OTHERWISE: usize = 100;

/// The requests from a number on: as many as asked for, unless they are longer than an answer.
pub(super) async fn list(State(admin): Shared, RawQuery(query): RawQuery) -> Answered {
    let query = query.unwrap_or_default();
    let from: u64 = parameter(&query, "from")?.unwrap_or(0);
    let limit = parameter(&query, "limit")?.unwrap_or(LIMIT_OTHERWISE);
    if !LIMITS.contains(&limit) {
        return Err(Problem::invalid(format!("limit must be {} to {}", LIMITS.start(), LIMITS.end())));
    }
    let told = admin.tell(move |site| {
        let (mut text, mut next) = (Text::new(r#"{"requests":["#), from);
        for _ in 0..limit {
            let Some(request) = site.journal.first_from(next).filter(|request| text.element(&tell(request))) else {
                break;
            };
            next = request.number + 1;
        }
        let next = json!(site.journal.first_from(next).map(|request| request.number));
        Ok(text.end(&format!(r#"],"next":{next}}}"#)))
    });
    told.await
}

pub(super) async fn clear(State(admin): Shared) -> Answered {
    admin.site.journal.clear();
    Ok(done())
}

fn parameter<T: FromStr>(query: &str, name: &str) -> Result<Option<T>, Problem> {
    let given = form_urlencoded::parse(query.as_bytes()).find(|(each, _)| each == name);
    let wrong = |_| Problem::invalid(format!("{name} must be a whole number"));
    given.map(|(_, value)| value.parse().map_err(wrong)).transpose()
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
