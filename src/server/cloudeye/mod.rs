//! The Cloud Eye face, `/V1.0/{project_id}/...`: which address and method leads to which room, and the way from a
//! request to a database and back. Bodies arrive whole; time-outs and sizes are the business of `http`.

mod answer;
mod error;
mod fields;
mod filter;
mod grammar;
mod ingest;
mod item;
mod known;
mod number;
mod plain;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::answer::{Answer, AnswerRoom, BUILDING_KIB, BUILDING_WINDOWS_KIB};
pub(super) use self::error::{Code, Refusal};
use self::known::KnownMetrics;
use self::query::{ANSWER_POINTS_MAX, Question};
use super::profile::Profile;
use super::projects::{ProjectId, Projects};
use crate::db::Db;
use crate::env::clock::Clock;
use crate::error::ErrorKind;
use crate::model::batch::{Receipt, WriteBatch};
use crate::model::time::Timestamp;

/// Beside an answer that lacks something: how many pieces could not be read, or are no finite number.
const INCOMPLETE: HeaderName = HeaderName::from_static("x-ebbtide-incomplete");

/// Most requests that use a database at a time, each on a thread of its own. So many writers share one sync; further
/// requests are refused with 429 instead of waiting in memory.
pub(super) const REQUESTS_IN_FLIGHT_MAX: usize = 256;

/// What the requests of this face share.
#[derive(Debug)]
pub(super) struct CloudEye {
    projects: Arc<Projects>,
    profile: Profile,
    clock: Arc<dyn Clock>,
    in_flight: Arc<Semaphore>,
    answer_room: AnswerRoom,
    /// Read by the rules of the one profile.
    known: KnownMetrics,
}

/// The points of the body of an ingest request, by the rules of [`Profile::Lab`], which has no time window. An error names
/// the item and the field.
pub(super) fn read_points(body: &[u8]) -> Result<WriteBatch, String> {
    let read = ingest::parse(body, Profile::Lab, Timestamp::EPOCH, &KnownMetrics::default());
    read.map_err(|refusal| refusal.to_string())
}

type Project = Result<Path<String>, PathRejection>;

impl CloudEye {
    pub(super) fn new(projects: Arc<Projects>, profile: Profile, clock: Arc<dyn Clock>) -> Self {
        let in_flight = Arc::new(Semaphore::new(REQUESTS_IN_FLIGHT_MAX));
        let (answer_room, known) = (AnswerRoom::default(), KnownMetrics::default());
        Self { projects, profile, clock, in_flight, answer_room, known }
    }

    /// The addresses of this face.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/V1.0/{project_id}/metric-data", get(query).post(add_points))
            .route("/V1.0//metric-data", any(async || no_such_project()))
            .fallback(async || Refusal::new(Code::NotFound, "there is nothing at this address"))
            .method_not_allowed_fallback(async || Refusal::method_not_allowed())
            .with_state(Arc::new(self))
    }

    /// Runs what may block on a thread that may.
    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            return Err(Refusal::new(Code::Busy, "too many requests at once"));
        };
        let outcome = tokio::task::spawn_blocking(move || {
            // Kept by the work and not by the request, which goes away with its client.
            let _permit = permit;
            work(&self)
        });
        outcome.await.unwrap_or_else(|panic| {
            tracing::error!("a request panicked: {panic}");
            Err(Refusal::new(Code::Internal, "the request failed inside of the server"))
        })
    }

    fn receipt_headers(&self, receipt: &Receipt) -> [(HeaderName, HeaderValue); 7] {
        let durability = match receipt.durability {
            _ if self.projects.is_in_memory() => HeaderValue::from_static("memory"),
            mode => HeaderValue::try_from(mode.to_string()).expect("letters and digits are good in a header"),
        };
        [
            (HeaderName::from_static("x-ebbtide-stored"), receipt.stored.into()),
            (HeaderName::from_static("x-ebbtide-replaced"), receipt.replaced.into()),
            (HeaderName::from_static("x-ebbtide-late"), receipt.late.into()),
            (HeaderName::from_static("x-ebbtide-dead-on-arrival"), receipt.dead_on_arrival.into()),
            (HeaderName::from_static("x-ebbtide-not-aggregated"), receipt.not_aggregated.into()),
            (HeaderName::from_static("x-ebbtide-sequence"), receipt.sequence.get().into()),
            (HeaderName::from_static("x-ebbtide-durability"), durability),
        ]
    }
}

async fn add_points(State(eye): State<Arc<CloudEye>>, project: Project, body: Bytes) -> Result<Response, Refusal> {
    let project = project_id(project)?;
    eye.run(move |eye| {
        let batch = ingest::parse(&body, eye.profile, eye.clock.now(), &eye.known)?;
        // Only now, so that a refused request makes no project.
        let receipt = eye.projects.open_or_create(&project)?.write(&batch)?;
        Ok((StatusCode::CREATED, eye.receipt_headers(&receipt)).into_response())
    })
    .await
}

async fn query(
    State(eye): State<Arc<CloudEye>>,
    project: Project,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let project = project_id(project)?;
    eye.run(move |eye| {
        let question = Question::parse(&query.unwrap_or_default(), eye.profile)?;
        let db = eye.projects.open_existing(&project)?;
        // Only now: opening may take long, and whoever waits for it should not hold room for an answer.
        let building = if question.period.is_some() { BUILDING_WINDOWS_KIB } else { BUILDING_KIB };
        let room = Handle::current().block_on(eye.answer_room.reserve(building))?;
        let (body, missing) = match db {
            Some(db) => answer(&db, &question)?,
            None => (question.answer_points(std::iter::empty())?, 0),
        };
        let body = Answer::new(body, room).into_body();
        let mut response = ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response();
        if missing > 0 {
            // What is there is answered; how many pieces of it are not is said beside it.
            response.headers_mut().insert(INCOMPLETE, HeaderValue::from(missing));
        }
        Ok(response)
    })
    .await
}

/// The body of an answer, and how many pieces of it are missing.
fn answer(db: &Db, question: &Question) -> Result<(Vec<u8>, usize), Refusal> {
    let Question { series, range, .. } = question;
    let Some(period) = question.period else {
        let mut points = db.points(series, *range)?;
        return Ok((question.answer_points(&mut points)?, points.missing().len()));
    };
    // The engine moves the start back to that of a window.
    let windows = db.windows_up_to(ANSWER_POINTS_MAX, series, *range, period).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => Question::too_long(),
        _ => error.into(),
    })?;
    let (body, left_out) = question.answer_windows(&windows)?;
    Ok((body, windows.missing().len() + left_out))
}

fn project_id(path: Project) -> Result<ProjectId, Refusal> {
    let id = path.ok().and_then(|Path(id)| ProjectId::new(&id));
    id.ok_or_else(no_such_project)
}

fn no_such_project() -> Refusal {
    Refusal::new(Code::Project, "the project id must be 1 to 64 letters, digits, - or _")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::env::clock::SystemClock;
    use crate::model::durability::Durability;
    use crate::server::projects::Home;

    fn eye(in_flight: usize) -> CloudEye {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let projects =
            Arc::new(Projects::new(Home::Memory, Durability::Sync, Profile::Document.late(), Arc::clone(&clock)));
        let in_flight = Arc::new(Semaphore::new(in_flight));
        CloudEye { in_flight, ..CloudEye::new(projects, Profile::Document, clock) }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    #[test]
    fn more_requests_than_threads_are_refused_and_not_queued() {
        // Goal: past the bound a client is told at once to come back. Method: a bound of zero.
        let request = Request::post("/V1.0/p/metric-data").body(Body::from("[]")).expect("a request");
        let Ok(response) = runtime().block_on(eye(0).routes().oneshot(request));
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(response.headers().contains_key("retry-after"));
    }

    #[test]
    fn a_request_counts_until_its_work_is_done() {
        // Goal: the bound is on work, not on clients that still wait. Method: a bound of one, and work that waits for
        // us while its client has gone.
        let eye = Arc::new(eye(1));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        runtime().block_on(async {
            let work = move |_: &CloudEye| wait.recv().map_err(|_| Refusal::new(Code::Internal, "nobody said go"));
            let mut first = Box::pin(Arc::clone(&eye).run(work));
            assert!(tokio::time::timeout(std::time::Duration::ZERO, &mut first).await.is_err(), "it waits");
            drop(first);
            let second = Arc::clone(&eye).run(|_| Ok(())).await.expect_err("refused");
            assert!(second.to_string().starts_with("ces.0020 "), "{second}");
            go.send(()).expect("the work goes on without its client");
            let free = tokio::time::timeout(std::time::Duration::from_secs(10), eye.in_flight.acquire()).await;
            assert!(free.is_ok(), "and gives its place back");
        });
    }
}
