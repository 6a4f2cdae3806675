//! The Cloud Eye face, `/V1.0/{project_id}/...`: which address and method leads to which room, and the way from a
//! request to a database and back. Bodies arrive whole; time-outs and sizes are the business of `http`.

mod answer;
mod batch;
mod datapoints;
mod error;
mod event_list;
mod event_store;
mod events;
mod fields;
mod filter;
mod grammar;
mod ingest;
mod item;
mod json;
mod known;
mod list;
mod metric;
mod number;
mod parameters;
mod plain;
mod query;
mod rest;
mod units;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::answer::BUILDING_WINDOWS_KIB;
pub(super) use self::answer::{ANSWER_BYTES_MAX, Answer, AnswerRoom, BUILDING_KIB};
use self::batch::Batch;
pub(super) use self::error::{Code, Refusal};
pub(super) use self::event_store::{Events, KeptEvents};
use self::known::KnownMetrics;
use self::list::Listing;
pub(super) use self::query::ANSWER_POINTS_MAX;
use self::query::Question;
use super::face::host;
use super::profile::Profile;
use super::projects::{ProjectId, Projects};
use super::rules::Rules;
use crate::db::Db;
use crate::env::clock::Clock;
use crate::model::batch::{Receipt, WriteBatch};
use crate::model::time::Timestamp;

/// Beside an answer that lacks something: how many pieces could not be read, or are no finite number.
const INCOMPLETE: HeaderName = HeaderName::from_static("x-ebbtide-incomplete");

/// What every body is.
const JSON: [(HeaderName, HeaderValue); 1] = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];

/// Most requests that use a database at a time, each on a thread of its own. So many writers share one sync; further
/// requests are refused with 429 instead of waiting in memory.
pub(super) const REQUESTS_IN_FLIGHT_MAX: usize = 256;

/// What the requests of this face share.
#[derive(Debug)]
pub(super) struct CloudEye {
    projects: Arc<Projects>,
    rules: Rules,
    clock: Arc<dyn Clock>,
    in_flight: Arc<Semaphore>,
    answer_room: AnswerRoom,
    /// Read by the same rules.
    known: KnownMetrics,
    events: Arc<Events>,
}

/// The points of the body of an ingest request, by the rules of [`Profile::Lab`], which has no time window. An error names
/// the item and the field.
pub(super) fn read_points(body: &[u8]) -> Result<WriteBatch, String> {
    let read = ingest::parse(body, &Rules::of(Profile::Lab), Timestamp::EPOCH, &KnownMetrics::default());
    read.map_err(|refusal| refusal.to_string())
}

type Project = Result<Path<String>, PathRejection>;

impl CloudEye {
    pub(super) fn new(projects: Arc<Projects>, rules: Rules, clock: Arc<dyn Clock>, events: Arc<Events>) -> Self {
        let in_flight = Arc::new(Semaphore::new(REQUESTS_IN_FLIGHT_MAX));
        let (answer_room, known) = (AnswerRoom::default(), KnownMetrics::default());
        Self { projects, rules, clock, in_flight, answer_room, known, events }
    }

    /// The addresses of this face.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/", get(async |headers: HeaderMap| json_body(&rest::versions(host(&headers)))))
            .route("/V1.0", get(async |headers: HeaderMap| json_body(&rest::version(host(&headers)))))
            .route("/V1.0/", get(async |headers: HeaderMap| json_body(&rest::version(host(&headers)))))
            .route("/V1.0/{project_id}/metric-data", get(query).post(add_points))
            .route("/V1.0/{project_id}/batch-query-metric-data", post(query_many))
            .route("/V1.0/{project_id}/metrics", get(list))
            .route("/V1.0/{project_id}/quotas", get(quotas))
            .route("/V1.0/{project_id}/alarms", get(alarms))
            .route("/V1.0/{project_id}/events", get(list_events).post(add_events))
            .route("/V1.0/{project_id}/event/{event_name}", get(list_event_details))
            .route("/V1.0/{project_id}/event-data", get(event_data))
            .fallback(async |uri: Uri| rest::nowhere(uri.path()))
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
        let span = tracing::Span::current();
        let outcome = tokio::task::spawn_blocking(move || {
            // Kept by the work and not by the request, which goes away with its client.
            let _permit = permit;
            let _request = span.entered();
            work(&self)
        });
        outcome.await.unwrap_or_else(|panic| {
            tracing::error!("a request panicked: {panic}");
            Err(Refusal::new(Code::Internal, "the request failed inside of the server"))
        })
    }

    /// The answer of a project's database, or of none if it has none, and how many pieces of it are missing.
    fn answer(
        &self,
        project: &ProjectId,
        building_kib: u32,
        answer: impl FnOnce(Option<&Db>) -> Result<(Vec<u8>, usize), Refusal>,
    ) -> Result<Response, Refusal> {
        let db = self.projects.open_existing(project)?;
        // Only now: opening may take long, and whoever waits for it should not hold room for an answer.
        self.build(building_kib, || answer(db.as_deref()))
    }

    /// An answer, in the room that it takes until its client has it.
    fn build(
        &self,
        building_kib: u32,
        answer: impl FnOnce() -> Result<(Vec<u8>, usize), Refusal>,
    ) -> Result<Response, Refusal> {
        let room = Handle::current().block_on(self.answer_room.reserve(building_kib))?;
        let (body, missing) = answer()?;
        let mut response = (JSON, Answer::new(body, room).into_body()).into_response();
        if missing > 0 {
            // What is there is answered; how many pieces of it are not is said beside it.
            response.headers_mut().insert(INCOMPLETE, HeaderValue::from(missing));
        }
        Ok(response)
    }

    fn check_length(&self, body: &[u8]) -> Result<(), Refusal> {
        let most = usize::try_from(self.rules.body_bytes).unwrap_or(usize::MAX);
        if body.len() > most { Err(Refusal::too_large(most)) } else { Ok(()) }
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
        eye.check_length(&body)?;
        let batch = ingest::parse(&body, &eye.rules, eye.clock.now(), &eye.known)?;
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
        let question = Question::parse(&query.unwrap_or_default(), &eye.rules)?;
        // Points go from the store to the text one by one.
        let building = if question.asked.period.is_some() { BUILDING_WINDOWS_KIB } else { BUILDING_KIB };
        eye.answer(&project, building, |db| question.answer(db))
    })
    .await
}

async fn query_many(State(eye): State<Arc<CloudEye>>, project: Project, body: Bytes) -> Result<Response, Refusal> {
    let project = project_id(project)?;
    eye.run(move |eye| {
        eye.check_length(&body)?;
        let batch = Batch::parse(&body, &eye.rules)?;
        eye.answer(&project, BUILDING_WINDOWS_KIB, |db| batch.answer(db))
    })
    .await
}

async fn list(
    State(eye): State<Arc<CloudEye>>,
    project: Project,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let project = project_id(project)?;
    eye.run(move |eye| {
        let listing = Listing::parse(&query.unwrap_or_default(), &eye.rules)?;
        eye.answer(&project, BUILDING_KIB, |db| listing.answer(db))
    })
    .await
}

async fn quotas(State(eye): State<Arc<CloudEye>>, project: Project) -> Result<Response, Refusal> {
    project_id(project)?;
    Ok(json_body(&rest::quotas(&eye.rules)))
}

async fn alarms(
    State(eye): State<Arc<CloudEye>>,
    project: Project,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    project_id(project)?;
    Ok(json_body(&rest::alarms(&query.unwrap_or_default(), &eye.rules)?))
}

async fn event_data(project: Project) -> Result<Response, Refusal> {
    project_id(project)?;
    Ok(json_body(&rest::event_data()))
}

async fn add_events(State(eye): State<Arc<CloudEye>>, project: Project, body: Bytes) -> Result<Response, Refusal> {
    let project = project_id(project)?;
    eye.run(move |eye| {
        eye.check_length(&body)?;
        let events = events::parse(&body, &eye.rules, eye.clock.now())?;
        let ids = eye.build(BUILDING_KIB, || Ok((eye.events.put(&project, events)?, 0)))?;
        Ok((StatusCode::CREATED, ids).into_response())
    })
    .await
}

async fn list_events(
    State(eye): State<Arc<CloudEye>>,
    project: Project,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let project = project_id(project)?;
    eye.run(move |eye| {
        let listing = event_list::Listing::parse(&query.unwrap_or_default(), &eye.rules, eye.clock.now())?;
        eye.build(BUILDING_KIB, || Ok((listing.answer(&project, &eye.events)?, 0)))
    })
    .await
}

async fn list_event_details(
    State(eye): State<Arc<CloudEye>>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let Ok(Path((project, name))) = path else { return Err(rest::no_such_project()) };
    let project = project_id(Ok(Path(project)))?;
    eye.run(move |eye| {
        let listing = event_list::Listing::parse(&query.unwrap_or_default(), &eye.rules, eye.clock.now())?;
        let listing = listing.named(name);
        eye.build(BUILDING_KIB, || Ok((listing.answer_details(&project, &eye.events)?, 0)))
    })
    .await
}

fn json_body(value: &serde_json::Value) -> Response {
    (JSON, value.to_string()).into_response()
}

fn project_id(path: Project) -> Result<ProjectId, Refusal> {
    let id = path.ok().and_then(|Path(id)| ProjectId::new(&id));
    id.ok_or_else(rest::no_such_project)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::env::clock::SystemClock;
    use crate::model::durability::Durability;
    use crate::server::profile::Profile;
    use crate::server::projects::Home;

    fn eye(in_flight: usize) -> CloudEye {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let rules = Rules::of(Profile::Document);
        let projects = Arc::new(Projects::new(Home::Memory, Durability::Sync, rules.late(), Arc::clone(&clock)));
        let in_flight = Arc::new(Semaphore::new(in_flight));
        CloudEye { in_flight, ..CloudEye::new(projects, rules, clock, Arc::default()) }
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
