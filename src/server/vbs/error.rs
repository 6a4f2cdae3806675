//! The refusals of the Volume Backup face (S22): the published codes, each with a status. The pages publish no status for
//! any code; where several would do, the table says which one it is here.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::{Error, ErrorKind};
use crate::server::face::Face;

/// How all of them begin.
pub(in crate::server) const CODES: &str = "AutoBackup.";

/// A published code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) enum Code {
    /// The request has no content.
    Empty,
    /// An object of the request says nothing.
    EmptyObject,
    /// Nobody said who asks, or not so that it can be believed.
    NoToken,
    /// The id of a policy is empty.
    PolicyId,
    /// The body is not JSON of the right shape.
    Body,
    /// The server failed.
    Internal,
    /// The default policy cannot be renamed or deleted.
    DefaultPolicy,
    PolicyName,
    Status,
    StartTime,
    Frequency,
    WeekFrequency,
    Retention,
    FirstOfMonth,
    TooManyPolicies,
    TooManyVolumes,
    NoSuchPolicy,
    NoResources,
    NoSuchVolume,
    ResourceId,
    ResourceType,
    Forbidden,
    TagKey,
    TagValue,
    TooManyTags,
    Running,
    TimeZone,
    /// A parameter of the URL is wrong.
    Parameter,
    /// There is a sign in the request that there must not be.
    Sign,
    /// There is no such backup or job, or nothing at this address.
    NotFound,
    Delete,
    Run,
    /// The store takes nothing now.
    Store,
}

/// Every code: what is published of it, and the status that it comes with.
const TABLE: [(Code, &str, u16); 33] = [
    (Code::Empty, "AutoBackup.0000", 400),
    (Code::EmptyObject, "AutoBackup.0001", 400),
    (Code::NoToken, "AutoBackup.0002", 401),
    (Code::PolicyId, "AutoBackup.0006", 400),
    (Code::Body, "AutoBackup.0008", 400),
    (Code::Internal, "AutoBackup.0009", 500),
    (Code::DefaultPolicy, "AutoBackup.0100", 403),
    (Code::PolicyName, "AutoBackup.0101", 400),
    (Code::Status, "AutoBackup.0102", 400),
    (Code::StartTime, "AutoBackup.0103", 400),
    (Code::Frequency, "AutoBackup.0104", 400),
    (Code::WeekFrequency, "AutoBackup.0105", 400),
    (Code::Retention, "AutoBackup.0106", 400),
    (Code::FirstOfMonth, "AutoBackup.0107", 400),
    (Code::TooManyPolicies, "AutoBackup.0203", 400),
    (Code::TooManyVolumes, "AutoBackup.0204", 400),
    (Code::NoSuchPolicy, "AutoBackup.0205", 404),
    (Code::NoResources, "AutoBackup.0207", 400),
    (Code::NoSuchVolume, "AutoBackup.0208", 404),
    (Code::ResourceId, "AutoBackup.0209", 400),
    (Code::ResourceType, "AutoBackup.0211", 400),
    (Code::Forbidden, "AutoBackup.0213", 403),
    (Code::TagKey, "AutoBackup.0214", 400),
    (Code::TagValue, "AutoBackup.0215", 400),
    (Code::TooManyTags, "AutoBackup.0216", 400),
    (Code::Running, "AutoBackup.0225", 409),
    (Code::TimeZone, "AutoBackup.0226", 400),
    (Code::Parameter, "AutoBackup.0008", 400),
    (Code::Sign, "AutoBackup.0221", 400),
    (Code::NotFound, "AutoBackup.1100", 404),
    (Code::Delete, "AutoBackup.1300", 500),
    (Code::Run, "AutoBackup.1700", 429),
    (Code::Store, "AutoBackup.0009", 503),
];

impl Code {
    /// As the pages have it.
    pub(in crate::server) fn published(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (Self, &'static str, u16) {
        TABLE.into_iter().find(|(code, ..)| *code == self).expect("a test finds every code in the table")
    }

    /// The code of a refusal that is not this face's own, by its status.
    pub(in crate::server) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::NoToken,
            403 => Self::Forbidden,
            404 | 405 => Self::NotFound,
            400..500 => Self::Body,
            _ => Self::Internal,
        }
    }
}

/// A request that was not fulfilled, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) why: String,
}

pub(super) type Answered = Result<Response, Refusal>;

impl Refusal {
    pub(super) fn new(code: Code, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidInput => Code::Body,
            ErrorKind::Overloaded => Code::Run,
            ErrorKind::NoSpace | ErrorKind::Failed | ErrorKind::Closed => Code::Store,
            _ => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (_, published, status) = self.code.row();
        let status = StatusCode::from_u16(status).expect("the statuses of the table are good");
        Face::Backup.refuse(status, published, &self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_row_and_every_row_another_meaning() {
        for (place, (code, published, status)) in TABLE.into_iter().enumerate() {
            assert_eq!(code.row(), (code, published, status), "place {place} is its only one");
            assert!(published.starts_with(CODES) && StatusCode::from_u16(status).is_ok());
            // The last one of the enum has the number of rows but one.
            assert!((code as usize) < TABLE.len());
        }
        assert_eq!(Code::Store as usize + 1, TABLE.len(), "no code is without a row");
    }
}
