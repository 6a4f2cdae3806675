//! The way of every request, in this order: its id, the journal, fault rules, authentication, unpacking, the face that
//! it is for; and back again. The one place that puts these together; it knows nothing of what a face answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, request};
use axum::response::Response;
use tower::ServiceExt as _;

use crate::env::clock::Clock as _;
use crate::server::auth::{Denied, Guard, Visitor};
use crate::server::cloudeye::{Code, Refusal};
use crate::server::face::{Face, project_of};
use crate::server::faults::Outcome;
use crate::server::gzip::{self, Unpacked};
use crate::server::http::BODY_BYTES_MAX;
use crate::server::ids::Naming;
use crate::server::journal::Entry;
use crate::server::operation::{self, Operation};
use crate::server::site::Site;

/// Which request an answer is for. A client's own id is taken over.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a client, in characters.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Most bytes that are worked on where other requests wait: some tenths of a millisecond's worth.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// What is behind one address.
#[derive(Clone, Debug)]
pub(super) struct Door {
    site: Arc<Site>,
    guard: Guard,
    /// None where only the admin's requests are answered.
    faces: Option<Faces>,
    /// None where those are not.
    admin: Option<Router>,
    logs_access: bool,
}

/// The routes of the API. Those of backups are apart: some of them lie within the paths of another face.
#[derive(Clone, Debug)]
pub(super) struct Faces {
    pub(super) general: Router,
    pub(super) backup: Router,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Visit {
    id: HeaderValue,
    operation: &'static Operation,
    method: String,
    path: String,
    start: Duration,
    is_packing: bool,
    entry: Option<Entry>,
}

impl Visit {
    /// What is logged on the way says which request it is about.
    pub(super) fn span(&self) -> tracing::Span {
        tracing::info_span!("request", id = self.id.to_str().unwrap_or_default())
    }
}

/// The connection is to end without an answer.
#[derive(Debug)]
pub(super) struct HangUp;

impl Door {
    pub(super) fn new(site: Arc<Site>, guard: Guard, logs_access: bool) -> Self {
        Self { site, guard, faces: None, admin: None, logs_access }
    }

    /// The same, answering what is for the API.
    pub(super) fn with_faces(self, faces: Faces) -> Self {
        Self { faces: Some(faces), ..self }
    }

    /// The same, answering what is for the admin.
    pub(super) fn with_admin(self, admin: Router) -> Self {
        Self { admin: Some(admin), ..self }
    }

    /// A request has begun: its headers are there.
    pub(super) fn enter(&self, head: &request::Parts) -> Visit {
        let given = head.headers.get(REQUEST_ID).filter(|id| is_id(id));
        let what = if Face::of(head.uri.path()) == Face::Admin { Naming::Visit } else { Naming::Request };
        let new_id = || HeaderValue::try_from(self.site.ids.next(what)).expect("digits are good in a header");
        Visit {
            id: given.cloned().unwrap_or_else(new_id),
            operation: operation::find(&head.method, head.uri.path()),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            start: self.site.stopwatch.monotonic(),
            is_packing: gzip::is_welcome(&head.headers),
            entry: None,
        }
    }

    /// Has a request answered, whose body is whole.
    pub(super) async fn serve(&self, visit: &mut Visit, head: request::Parts, body: Bytes) -> Result<Response, HangUp> {
        let (face, router) = match (Face::of(head.uri.path()), &self.admin, &self.faces) {
            (Face::Admin, Some(admin), _) => {
                return Ok(match unpacked(head, body).await {
                    Ok((head, body)) => answer(admin, head, body).await,
                    Err(why) => refuse_packed(Face::Admin, why),
                });
            }
            // A door that is not there looks like any other address where nothing is.
            (Face::Admin, None, Some(faces)) => (Face::CloudEye, &faces.general),
            (Face::Backup, _, Some(faces)) => (Face::Backup, &faces.backup),
            (face @ (Face::CloudEye | Face::Identity), _, Some(faces)) => (face, &faces.general),
            (_, _, None) => return Ok(nothing(Face::Admin, "not_found")),
        };
        let id = visit.id.to_str().unwrap_or_default();
        let now = self.site.clock.now();
        visit.entry = self.site.journal.note(now, id, visit.operation.name, &head, &body);
        if let Some((delay, outcome)) = self.site.faults.pick(visit.operation.name, project_of(&visit.path)) {
            tokio::time::sleep(delay).await;
            match (&outcome, outcome.refusal()) {
                (Outcome::Drop, _) => return Err(HangUp),
                (_, Some((status, code, message))) => return Ok(face.refuse(status, code, message)),
                (_, None) => {}
            }
        }
        if project_of(&visit.path).is_some_and(|project| project.contains('%')) {
            // It would be another name to those who read it packed than to those who read it plain.
            return Ok(face.tell(&Refusal::new(Code::Project, "a project id is written as it is, without %")));
        }
        let (head, body, admitted) = self.admit(head, body).await;
        let visitor = match admitted {
            Ok(visitor) => visitor,
            Err(why) => return Ok(deny(face, why)),
        };
        let (mut head, body) = match unpacked(head, body).await {
            Ok(whole) => whole,
            Err(why) => return Ok(refuse_packed(face, why)),
        };
        head.extensions.insert(visitor);
        Ok(answer(router, head, body).await)
    }

    /// Looks who asks, by the clock of the world outside: a client signs by its own, however this server's was moved.
    async fn admit(&self, head: request::Parts, body: Bytes) -> (request::Parts, Bytes, Result<Visitor, Denied>) {
        let (site, guard) = (Arc::clone(&self.site), self.guard.clone());
        // Without credentials no body is looked at.
        let bytes = if guard.0.is_empty() { 0 } else { body.len() };
        aside(bytes, move || {
            let admitted = guard.admit(&head, &body, &site.issued, site.clock.beneath());
            (head, body, admitted)
        })
        .await
    }

    /// The answer is on its way to its client.
    pub(super) async fn leave(&self, visit: Visit, response: Response) -> Response {
        let mut response = if visit.is_packing { gzip::pack(response).await } else { response };
        let status = response.status().as_u16();
        let took = self.site.stopwatch.monotonic().saturating_sub(visit.start);
        if Face::of(&visit.path) != Face::Admin {
            self.site.tally.answered(visit.operation.name, status, took);
        }
        if let Some(entry) = visit.entry {
            self.site.journal.answered(entry, status);
        }
        self.log(&visit, status, took);
        response.headers_mut().insert(REQUEST_ID, visit.id);
        response
    }

    /// The connection ends without an answer.
    pub(super) fn hang_up(&self, visit: &Visit) {
        self.site.tally.dropped();
        let took = self.site.stopwatch.monotonic().saturating_sub(visit.start);
        self.log(visit, 0, took);
    }

    fn log(&self, visit: &Visit, status: u16, took: Duration) {
        if self.logs_access {
            let id = visit.id.to_str().unwrap_or_default();
            let Visit { method, path, operation, .. } = visit;
            let (operation, micros) = (operation.name, took.as_micros());
            // A status of 0 stands for a connection that was dropped.
            tracing::info!(target: "ebbtide::access", id, method, path, operation, status, micros);
        }
    }
}

/// A request with its body unpacked.
async fn unpacked(mut head: request::Parts, body: Bytes) -> Result<(request::Parts, Bytes), Unpacked> {
    let bytes = if head.headers.contains_key(CONTENT_ENCODING) { body.len() } else { 0 };
    aside(bytes, move || {
        let body = gzip::unpack(&head.headers, body)?;
        head.headers.remove(CONTENT_ENCODING);
        Ok((head, body))
    })
    .await
}

/// Does what takes its time for so many bytes: at once if they are few, and otherwise on a thread that may.
pub(super) async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= AT_ONCE_BYTES_MAX {
        return work();
    }
    tokio::task::spawn_blocking(work).await.expect("work on bytes in memory does not fail")
}

async fn answer(router: &Router, head: request::Parts, body: Bytes) -> Response {
    let Ok(response) = router.clone().oneshot(Request::from_parts(head, Body::from(body))).await;
    response
}

fn nothing(face: Face, code: &str) -> Response {
    face.refuse(StatusCode::NOT_FOUND, code, "there is nothing at this address")
}

fn deny(face: Face, why: Denied) -> Response {
    face.tell(&match why {
        Denied::Unknown(why) => Refusal::new(Code::Unauthenticated, why),
        Denied::Forbidden(why) => Refusal::new(Code::Forbidden, why),
    })
}

fn refuse_packed(face: Face, why: Unpacked) -> Response {
    match why {
        Unpacked::Unknown => {
            let why = "the only content-encoding that is known is gzip";
            face.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "ces.0011", why)
        }
        Unpacked::Broken => face.refuse(StatusCode::BAD_REQUEST, "ces.0011", "the request body is not whole gzip"),
        Unpacked::TooLarge => {
            let why = format!("the request body is larger than {BODY_BYTES_MAX} bytes");
            face.refuse(StatusCode::PAYLOAD_TOO_LARGE, "ces.0014", &why)
        }
    }
}

fn is_id(id: &HeaderValue) -> bool {
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.as_bytes().iter().all(is_good)
}
