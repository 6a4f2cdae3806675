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
use tokio::sync::Semaphore;

use self::answers::{Answered, Problem, done, parse_or_default};
use crate::model::time::Timestamp;
use crate::server::face::Face;
use crate::server::site::Site;

/// Most admin requests that work at a time, each on a thread of its own; others wait.
pub(super) const WORKING_MAX: usize = 4;

/// The API in the form that tools read; a test holds the routes against it.
const OPENAPI: &str = include_str!("../openapi.json");

/// The format that Prometheus reads.
const METRICS_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the admin's requests share.
#[derive(Debug)]
pub(super) struct Admin {
    site: Arc<Site>,
    working: Semaphore,
}

type Shared = State<Arc<Admin>>;

impl Admin {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self { site, working: Semaphore::new(WORKING_MAX) }
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
        let _turn = self.working.acquire().await.expect("nobody closes the semaphore");
        let site = Arc::clone(&self.site);
        let outcome = tokio::task::spawn_blocking(move || work(&site)).await;
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
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}

async fn metrics(State(admin): Shared) -> Answered {
    let text = admin.run(|site| Ok(site.tally.tell(&site.projects))).await?;
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}
