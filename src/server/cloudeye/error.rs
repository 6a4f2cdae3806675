//! The refusals of the Cloud Eye face (S22): which status and published code. Decides nothing about when to refuse; the
//! body that clients read is made in `face`.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::{Error, ErrorKind};
use crate::server::face::Face;

/// The published error codes that this face uses, with the status each comes with (but see [`Refusal`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) enum Code {
    /// There is no content.
    Empty,
    /// The project id is blank or wrong.
    Project,
    /// The address says no version of the interface.
    NoVersion,
    /// The address says a version that there is not.
    Version,
    /// A page of a list is asked for that cannot be.
    Paging,
    /// The server failed.
    Internal,
    /// A namespace that only the service itself may write to.
    SystemMetric,
    /// The request as such cannot be understood.
    Request,
    /// A parameter of the URL is wrong or missing.
    Parameter,
    /// Something in the body is wrong.
    Body,
    /// Who asks did not say who it is, or not so that it can be believed.
    Unauthenticated,
    /// There is nothing at this address.
    NotFound,
    /// Who asks is known, and has no right to this.
    Forbidden,
    /// The store takes no writes now.
    Store,
    /// Too many requests at once.
    Busy,
}

impl Code {
    fn published(self) -> &'static str {
        match self {
            Self::Empty => "ces.0001",
            Self::Project => "ces.0003",
            Self::NoVersion => "ces.0004",
            Self::Version => "ces.0005",
            Self::Paging => "ces.0006",
            Self::Internal => "ces.0007",
            Self::SystemMetric => "ces.0009",
            Self::Request => "ces.0011",
            Self::Parameter => "ces.0013",
            Self::Body => "ces.0014",
            Self::Unauthenticated => "ces.0015",
            Self::NotFound => "ces.0016",
            Self::Forbidden => "ces.0017",
            Self::Store => "ces.0019",
            Self::Busy => "ces.0020",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Empty
            | Self::Project
            | Self::NoVersion
            | Self::Version
            | Self::Paging
            | Self::Request
            | Self::Parameter
            | Self::Body => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::SystemMetric | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A request that was not fulfilled, and why.
#[derive(Debug)]
pub(in crate::server) struct Refusal {
    status: StatusCode,
    code: Code,
    details: String,
}

impl Refusal {
    /// With the status that belongs to the code.
    pub(in crate::server) fn new(code: Code, details: impl Into<String>) -> Self {
        Self { status: code.status(), code, details: details.into() }
    }

    /// The body is longer than `bytes_max`. The published list has no status for it; 413 says what to do.
    pub(in crate::server) fn too_large(bytes_max: usize) -> Self {
        let details = format!("the request body is larger than {bytes_max} bytes");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: Code::Body, details }
    }

    /// The body did not arrive in time.
    pub(in crate::server) fn too_slow() -> Self {
        let details = "the request body did not arrive in time".into();
        Self { status: StatusCode::REQUEST_TIMEOUT, code: Code::Request, details }
    }

    /// The address is known, the method is not.
    pub(in crate::server) fn method_not_allowed() -> Self {
        let details = "this address does not know this method".into();
        Self { status: StatusCode::METHOD_NOT_ALLOWED, code: Code::NotFound, details }
    }

    pub(in crate::server) fn status(&self) -> StatusCode {
        self.status
    }

    /// The published code.
    pub(in crate::server) fn published(&self) -> &'static str {
        self.code.published()
    }

    /// What is wrong.
    pub(in crate::server) fn details(&self) -> &str {
        &self.details
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.published(), self.details)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            // Known clients sleep a minute and try again on 429, which would not help against a full set of series.
            ErrorKind::InvalidInput | ErrorKind::TooManySeries => Code::Body,
            ErrorKind::Overloaded => Code::Busy,
            ErrorKind::NoSpace | ErrorKind::Failed | ErrorKind::Closed => Code::Store,
            _ => Code::Internal,
        };
        if matches!(code, Code::Store | Code::Internal) {
            tracing::error!(kind = ?error.kind(), "a request failed: {error}");
        }
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Face::CloudEye.tell(&self)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn who_is_not_known_and_who_has_no_right_are_told_apart() {
        for (code, status, published) in [(Code::Unauthenticated, 401, "ces.0015"), (Code::Forbidden, 403, "ces.0017")]
        {
            let refusal = Refusal::new(code, "why");
            assert_eq!(refusal.to_string(), format!("{published} why"));
            assert_eq!(refusal.into_response().status().as_u16(), status, "{published}");
        }
    }

    #[test]
    fn every_kind_of_engine_error_has_a_status_and_a_code() {
        // Goal: what a client should do next is right for each kind. Method: the table of the wire.
        let table = [
            (ErrorKind::InvalidInput, 400, "ces.0014"),
            (ErrorKind::TooManySeries, 400, "ces.0014"),
            (ErrorKind::Overloaded, 429, "ces.0020"),
            (ErrorKind::NoSpace, 503, "ces.0019"),
            (ErrorKind::Failed, 503, "ces.0019"),
            (ErrorKind::Closed, 503, "ces.0019"),
            (ErrorKind::Unknown, 500, "ces.0007"),
            (ErrorKind::Io, 500, "ces.0007"),
            (ErrorKind::Locked, 500, "ces.0007"),
            (ErrorKind::Corruption, 500, "ces.0007"),
            (ErrorKind::Unsupported, 500, "ces.0007"),
        ];
        for (kind, status, code) in table {
            let refusal = Refusal::from(Error::new(kind, "why"));
            assert_eq!(refusal.to_string(), format!("{code} why"), "{kind:?}");
            let response = refusal.into_response();
            assert_eq!(response.status().as_u16(), status, "{kind:?}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), matches!(status, 429 | 503), "{kind:?}");
        }
    }
}
