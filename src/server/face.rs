//! The faces that one address shows, told by how a path begins, and the shape of each one's refusals. What a request
//! means is the business of the faces themselves.

use axum::http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::vbs;
use crate::server::cloudeye::Refusal;

/// After how many seconds a client may try again what was refused with a status: too many requests at once last for
/// milliseconds, and a full disk is looked at again within 15 s.
const RETRY_SECS: [(StatusCode, u16); 2] = [(StatusCode::TOO_MANY_REQUESTS, 1), (StatusCode::SERVICE_UNAVAILABLE, 15)];

/// By which scheme a client came to what stands in front of the server.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// One of the APIs of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Face {
    CloudEye,
    /// Log-in and catalogue.
    Identity,
    /// Volumes, their backups and backup policies.
    Backup,
    /// What is for whoever runs the server.
    Admin,
}

/// How the paths of each face begin, where a segment `*` stands for any; the first row that fits counts, and what begins
/// otherwise belongs to the first face.
const PREFIXES: [(&str, Face); 11] = [
    ("/v1/*/jobs", Face::Backup),
    ("/v2/*/jobs", Face::Backup),
    ("/v2/*/volumes", Face::Backup),
    ("/v2/*/backups", Face::Backup),
    ("/v2/*/cloudbackups", Face::Backup),
    ("/v2/*/backuppolicy", Face::Backup),
    ("/v2/*/backuppolicyresources", Face::Backup),
    ("/v3/*/backups", Face::Backup),
    ("/v3", Face::Identity),
    ("/_ebbtide", Face::Admin),
    ("/metrics", Face::Admin),
];

/// Segments behind which a path names its project, beside those of the paths of backups.
const VERSIONS_OF_PROJECTS: [&str; 2] = ["V1.0", "v2"];

impl Face {
    pub(super) fn of(path: &str) -> Self {
        let begins = |prefix: &str| {
            let mut given = path.split('/');
            prefix.split('/').all(|wanted| given.next().is_some_and(|given| wanted == "*" || wanted == given))
        };
        PREFIXES.iter().find(|(prefix, _)| begins(prefix)).map_or(Self::CloudEye, |(_, face)| *face)
    }

    /// A refusal of the first face in the shape of this one.
    pub(super) fn tell(self, refusal: &Refusal) -> Response {
        self.refuse(refusal.status(), refusal.published(), refusal.details())
    }

    /// A refusal in the shape that clients of this face read: for Cloud Eye the one body that every known client can
    /// read (S22).
    pub(super) fn refuse(self, status: StatusCode, code: &str, why: &str) -> Response {
        let number = status.as_u16();
        let body = match self {
            Self::CloudEye => {
                json!({ "http_code": number, "message": { "code": code, "details": why, "message": why } })
            }
            Self::Identity => {
                let title = status.canonical_reason().unwrap_or_default();
                json!({ "error": { "code": number, "message": why, "title": title } })
            }
            Self::Backup => {
                let own = |code: &str| code.starts_with(vbs::CODES);
                let code = if own(code) { code } else { vbs::Code::of_status(status).published() };
                json!({ "error": { "code": code, "message": why } })
            }
            Self::Admin => json!({ "error": { "code": code, "message": why } }),
        };
        let mut response = json_answer(status, &body);
        if let Some((_, secs)) = RETRY_SECS.iter().find(|(each, _)| *each == status) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*secs));
        }
        response
    }
}

/// The project that a path names, decoded by nobody: an id is letters, digits, `_` and `-`.
pub(super) fn project_of(path: &str) -> Option<&str> {
    let (version, rest) = path.strip_prefix('/')?.split_once('/')?;
    let project = rest.split('/').next()?;
    let names_it = VERSIONS_OF_PROJECTS.contains(&version) || Face::of(path) == Face::Backup;
    (names_it && !project.is_empty()).then_some(project)
}

/// Where the client found us, such as `http://localhost:8640`, so that what it is told leads it here again: also through
/// something in front that speaks TLS and says so.
pub(super) fn origin(headers: &HeaderMap) -> String {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme =
        text(FORWARDED_PROTO).filter(|scheme| scheme.eq_ignore_ascii_case("https")).map_or("http", |_| "https");
    format!("{scheme}://{}", text(HOST).unwrap_or("localhost"))
}

/// An answer of JSON.
pub(super) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_face_and_at_most_one_project() {
        let table = [
            ("/", Face::CloudEye, None),
            ("/V1.0", Face::CloudEye, None),
            ("/V1.0/p/metric-data", Face::CloudEye, Some("p")),
            ("/V1.0//metric-data", Face::CloudEye, None),
            ("/v2/p/backuppolicy", Face::Backup, Some("p")),
            ("/v2/p/backuppolicy/1/action", Face::Backup, Some("p")),
            ("/v2/p/backuppolicyresources", Face::Backup, Some("p")),
            ("/v2//backuppolicy", Face::Backup, None),
            ("/v2/p/alarms", Face::CloudEye, Some("p")),
            ("/v1/p/jobs/1", Face::Backup, Some("p")),
            ("/v3/p/backups/detail", Face::Backup, Some("p")),
            ("/v3/p/backupsx", Face::Identity, None),
            ("/v3", Face::Identity, None),
            ("/v3/projects", Face::Identity, None),
            ("/v31/projects", Face::CloudEye, None),
            ("/_ebbtide/clock", Face::Admin, None),
            ("/_ebbtidex", Face::CloudEye, None),
            ("/metrics", Face::Admin, None),
        ];
        for (path, face, project) in table {
            assert_eq!((Face::of(path), project_of(path)), (face, project), "{path}");
        }
    }
}
