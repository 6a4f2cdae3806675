//! The admin door, `/_ebbtide/...` and `/metrics`: what a test or an operator does with a server beside asking it. Has a
//! prefix that no API can have; asks for no credentials, so it can be switched off or bound to an address of its own.

mod answers;
mod clock;
mod faults;
mod points;
mod requests;
mod snapshots;
mod state;
mod volumes;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::answers::{Answered, Problem, done, parse_or_default};
use crate::model::time::Timestamp;
use crate::server::cloudeye::{Answer, AnswerRoom, BUILDING_KIB};
use crate::server::face::Face;
use crate::server::site::Site;

/// Most admin requests that work at a time, each on a thread of its own; others wait.
const WORKING_MAX: usize = 4;

/// Most requests about how the server is that are answered at a time: they wait for each other and for no other work.
const LOOKING_MAX: usize = 2;

/// Most threads that both take.
pub(super) const THREADS_MAX: usize = WORKING_MAX + LOOKING_MAX;

/// Most memory for long answers that are being built or sent, in KiB: as many as work at a time. Apart from that of the
/// API, so that whoever looks at a busy server is answered.
const ROOM_KIB: usize = WORKING_MAX * BUILDING_KIB as usize;

/// The API in the form that tools read; a test holds the routes against it.
const OPENAPI: &str = include_str!("../openapi.json");

/// The format that Prometheus reads.
const METRICS_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

const JSON_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// What the admin's requests share.
#[derive(Debug)]
pub(super) struct Admin {
    site: Arc<Site>,
    working: Arc<Semaphore>,
    looking: Arc<Semaphore>,
    room: AnswerRoom,
}

type Shared = State<Arc<Admin>>;

impl Admin {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let [working, looking] = [WORKING_MAX, LOOKING_MAX].map(|most| Arc::new(Semaphore::new(most)));
        Self { site, working, looking, room: AnswerRoom::of_kib(ROOM_KIB) }
    }

    /// The addresses of this door.
    pub(super) fn routes(self) -> Router {
        let wrong_method = async || {
            let why = "this address does not know this method";
            Face::Admin.refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why)
        };
        let nothing = async || {
            let why = "there is nothing at this address of the admin door";
            Face::Admin.refuse(StatusCode::NOT_FOUND, "not_found", why)
        };
        Router::new()
            .route("/_ebbtide/health", get(state::health))
            .route("/_ebbtide/ready", get(state::ready))
            .route("/_ebbtide/state", get(state::dump))
            .route("/_ebbtide/reset", post(reset))
            .route("/_ebbtide/flush", post(flush))
            .route("/_ebbtide/compact", post(compact))
            .route("/_ebbtide/clock", get(clock::show))
            .route("/_ebbtide/clock/set", post(clock::set))
            .route("/_ebbtide/clock/advance", post(clock::advance))
            .route("/_ebbtide/clock/stop", post(clock::stop))
            .route("/_ebbtide/clock/resume", post(clock::resume))
            .route("/_ebbtide/faults", get(faults::list).post(faults::add).delete(faults::clear))
            .route("/_ebbtide/faults/{id}", delete(faults::remove))
            .route("/_ebbtide/requests", get(requests::list).delete(requests::clear))
            .route("/_ebbtide/snapshots", get(snapshots::list))
            .route("/_ebbtide/snapshots/{name}", put(snapshots::take).delete(snapshots::remove))
            .route("/_ebbtide/snapshots/{name}/restore", post(snapshots::put_back))
            .route("/_ebbtide/points", get(points::read).post(points::write))
            .route("/_ebbtide/volumes", post(volumes::declare))
            .route("/_ebbtide/openapi.json", get(openapi))
            .route("/metrics", get(metrics))
            .fallback(nothing)
            .method_not_allowed_fallback(wrong_method)
            .with_state(Arc::new(self))
    }

    /// Runs what may block on a thread that may.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Site) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.take_turn(&self.working, work).await
    }

    /// The same for what is short and should not wait for what is long.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Site) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.take_turn(&self.looking, work).await
    }

    /// An answer that may be long: its text is made in the room that it takes until its client has it.
    async fn tell(&self, make: impl FnOnce(&Site) -> Result<Vec<u8>, Problem> + Send + 'static) -> Answered {
        let room = self.room.clone();
        let answer = self.run(move |site| {
            let room = Handle::current().block_on(room.reserve(BUILDING_KIB));
            let room = room.map_err(|_| Problem::busy("too many answers wait for their clients"))?;
            Ok(Answer::new(make(site)?, room))
        });
        Ok(([(CONTENT_TYPE, JSON_TYPE)], answer.await?.into_body()).into_response())
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        work: impl FnOnce(&Site) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(turns).acquire_owned().await.expect("nobody closes the semaphore");
        let site = Arc::clone(&self.site);
        let outcome = tokio::task::spawn_blocking(move || {
            // Kept by the work and not by the request, which goes away with its client.
            let _turn = turn;
            work(&site)
        });
        let outcome = outcome.await;
        outcome.unwrap_or_else(|panic| Err(Problem::failed(format!("the request panicked: {panic}"))))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    /// Where the clock stands then, in ms; without it, it runs as at the start.
    now: Option<i64>,
}

async fn reset(State(admin): Shared, body: Bytes) -> Answered {
    let Reset { now } = parse_or_default(&body)?;
    admin.run(move |site| Ok(site.reset(now.map(Timestamp::from_millis))?)).await?;
    Ok(done())
}

async fn flush(State(admin): Shared) -> Answered {
    admin.run(|site| Ok(site.projects.all_open().into_iter().try_for_each(|(_, db)| db.flush())?)).await?;
    Ok(done())
}

async fn compact(State(admin): Shared) -> Answered {
    admin.run(|site| Ok(site.projects.all_open().into_iter().try_for_each(|(_, db)| db.compact())?)).await?;
    Ok(done())
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, JSON_TYPE)], OPENAPI).into_response()
}

async fn metrics(State(admin): Shared) -> Answered {
    let text = admin.run(|site| Ok(site.tally.tell(&site.projects))).await?;
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::Request;
    use tokio::time::timeout;
    use tower::ServiceExt as _;

    use super::*;
    use crate::env::clock::SystemClock;
    use crate::model::durability::Durability;
    use crate::model::rollup::Late;
    use crate::server::backups::Backups;
    use crate::server::clock::SettableClock;
    use crate::server::journal::Keeps;
    use crate::server::projects::{Home, Projects};

    fn admin() -> Admin {
        let clock = Arc::new(SettableClock::over(Arc::new(SystemClock::default())));
        let projects = Projects::new(Home::Memory, Durability::Sync, Late::Correct, clock.clone());
        let backups = Backups::open(Arc::new(projects), clock.clone(), Vec::new()).expect("opens");
        Admin::new(Arc::new(Site::new(backups, clock, None, Keeps::All)))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    async fn get(routes: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let Ok(response) = routes.clone().oneshot(request).await;
        response.status()
    }

    #[test]
    fn how_the_server_is_can_be_asked_while_others_work() {
        // Method: every working place is taken.
        let admin = admin();
        let working = Arc::clone(&admin.working);
        let routes = admin.routes();
        runtime().block_on(async {
            let _all = working.acquire_many(4).await.expect("they are free");
            assert!(timeout(Duration::from_millis(50), get(&routes, "/_ebbtide/state")).await.is_err(), "it waits");
            for path in ["/_ebbtide/health", "/_ebbtide/ready"] {
                let status = timeout(Duration::from_secs(10), get(&routes, path)).await.expect("it does not wait");
                assert_eq!(status, StatusCode::OK, "{path}");
            }
        });
    }

    #[test]
    fn long_answers_take_room_and_are_refused_without() {
        // Method: all room but for a little is taken, as by clients that do not read.
        let admin = admin();
        let room = admin.room.clone();
        let routes = admin.routes();
        runtime().block_on(async {
            let held = room.reserve(BUILDING_KIB * 3 + 1).await.expect("it is free");
            for path in ["state", "requests", "points?project=p&namespace=A.B&metric_name=m"] {
                let path = format!("/_ebbtide/{path}");
                assert_eq!(get(&routes, &path).await, StatusCode::TOO_MANY_REQUESTS, "{path}");
            }
            drop(held);
            assert_eq!(get(&routes, "/_ebbtide/requests").await, StatusCode::OK);
        });
    }
}
