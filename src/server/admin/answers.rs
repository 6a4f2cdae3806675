//! Bodies of the admin door, in and out: JSON, and one shape of errors. Knows no request.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};
use crate::server::cloudeye::ANSWER_BYTES_MAX;
use crate::server::face::{Face, json_answer};

/// Why a request of the admin was not fulfilled.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    why: String,
}

pub(super) type Answered = Result<Response, Problem>;

impl Problem {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid", why: why.into() }
    }

    pub(super) fn not_found(why: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", why: why.into() }
    }

    pub(super) fn busy(why: impl Into<String>) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: "busy", why: why.into() }
    }

    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "failed", why: why.into() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::TooManySeries => (StatusCode::BAD_REQUEST, "invalid"),
            ErrorKind::Unsupported => (StatusCode::CONFLICT, "unsupported"),
            ErrorKind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            ErrorKind::NoSpace | ErrorKind::Failed | ErrorKind::Closed => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        Self { status, code, why: error.to_string() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        Face::Admin.refuse(self.status, self.code, &self.why)
    }
}

/// What stands in the address in place of a parameter.
pub(super) type InPath = Result<Path<String>, PathRejection>;

pub(super) fn text_of(path: InPath) -> Result<String, Problem> {
    path.map(|Path(text)| text).map_err(|why| Problem::invalid(format!("the address cannot be read: {why}")))
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::invalid(format!("the request body cannot be read: {error}")))
}

/// An empty body says nothing.
pub(super) fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() { Ok(T::default()) } else { parse(body) }
}

/// A long answer: an object with a list, whose elements are written one by one, so that only its text is in memory.
pub(super) struct Text(Vec<u8>);

impl Text {
    /// Begins with everything up to the bracket that opens the list.
    pub(super) fn new(start: impl Into<String>) -> Self {
        Self(start.into().into_bytes())
    }

    /// Whether there is room for one more element; it is written if there is.
    pub(super) fn element(&mut self, element: &Value) -> bool {
        let before = self.0.len();
        if self.0.last() != Some(&b'[') {
            self.0.push(b',');
        }
        serde_json::to_writer(&mut self.0, element).expect("memory takes every write");
        let fits = self.0.len() <= ANSWER_BYTES_MAX;
        if !fits {
            self.0.truncate(before);
        }
        fits
    }

    /// Ends with everything from the bracket on that closes the list.
    pub(super) fn end(mut self, rest: &str) -> Vec<u8> {
        self.0.extend_from_slice(rest.as_bytes());
        self.0
    }
}

pub(super) fn ok(body: &Value) -> Response {
    json_answer(StatusCode::OK, body)
}

/// There is nothing to tell.
pub(super) fn done() -> Response {
    ok(&json!({}))
}
