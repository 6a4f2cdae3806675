//! Bodies of the admin door, in and out: JSON, and one shape of errors. Knows no request.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};
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

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::invalid(format!("the request body cannot be read: {error}")))
}

/// An empty body says nothing.
pub(super) fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() { Ok(T::default()) } else { parse(body) }
}

pub(super) fn ok(body: &Value) -> Response {
    json_answer(StatusCode::OK, body)
}

/// There is nothing to tell.
pub(super) fn done() -> Response {
    ok(&json!({}))
}
