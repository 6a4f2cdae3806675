//! The Volume Backup face, `/v2/{project_id}/...` and what belongs to it under `/v1` and `/v3`: which address and method
//! leads to which room, and the way from a request to the books and back. Makes no backup by itself.

mod backups;
mod body;
mod error;
mod jobs;
mod policies;
mod query;
mod resources;
mod tags;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use self::error::{Answered, Refusal};
pub(super) use self::error::{CODES, Code};
pub(super) use self::resources::check_volume;
use super::backups::{Job, Volumes};
use super::cloudeye::REQUESTS_IN_FLIGHT_MAX;
use super::face::json_answer;
use super::projects::ProjectId;
use super::site::Site;

/// Most requests of this face that work at a time, each on a thread of its own; further ones are refused with 429.
pub(super) const WORKING_MAX: usize = REQUESTS_IN_FLIGHT_MAX / 8;

/// What the requests of this face share.
#[derive(Debug)]
pub(super) struct Backup {
    site: Arc<Site>,
    volumes: Volumes,
    /// Where every volume is, such as `eu-de-01`.
    zone: String,
    working: Arc<Semaphore>,
}

type Shared = axum::extract::State<Arc<Backup>>;

/// The id of a project alone, as the path has it.
type Project = Result<Path<String>, PathRejection>;

/// The ids of a project and of something in it.
type Within = Result<Path<(String, String)>, PathRejection>;

impl Backup {
    pub(super) fn new(site: Arc<Site>, volumes: Volumes, region: &str) -> Self {
        Self { site, volumes, zone: format!("{region}-01"), working: Arc::new(Semaphore::new(WORKING_MAX)) }
    }

    /// The addresses of this face.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/v2/{project_id}/backuppolicy", get(policies::list).post(policies::create))
            .route("/v2/{project_id}/backuppolicy/tags", get(tags::list_all))
            .route("/v2/{project_id}/backuppolicy/resource_instances/action", post(tags::query))
            .route("/v2/{project_id}/backuppolicy/{policy_id}", put(policies::update).delete(policies::remove))
            .route("/v2/{project_id}/backuppolicy/{policy_id}/action", post(policies::execute))
            .route("/v2/{project_id}/backuppolicy/{policy_id}/backuptasks", get(jobs::tasks))
            .route("/v2/{project_id}/backuppolicy/{policy_id}/tags", get(tags::list).post(tags::add))
            .route("/v2/{project_id}/backuppolicy/{policy_id}/tags/action", post(tags::change))
            .route("/v2/{project_id}/backuppolicy/{policy_id}/tags/{key}", delete(tags::remove))
            .route("/v2/{project_id}/backuppolicyresources", post(resources::associate))
            .route(
                "/v2/{project_id}/backuppolicyresources/{policy_id}/deleted_resources",
                post(resources::disassociate),
            )
            .route("/v2/{project_id}/cloudbackups", post(backups::create))
            .route("/v2/{project_id}/cloudbackups/quota", get(backups::quota))
            .route("/v2/{project_id}/backups", get(backups::list))
            .route("/v2/{project_id}/backups/detail", get(backups::list_details))
            .route("/v2/{project_id}/backups/{backup_id}", get(backups::show).delete(backups::remove))
            .route("/v3/{project_id}/backups", get(backups::list))
            .route("/v3/{project_id}/backups/detail", get(backups::list_details))
            .route("/v3/{project_id}/backups/{backup_id}", get(backups::show).delete(backups::remove))
            .route("/v2/{project_id}/volumes", get(resources::volumes))
            .route("/v1/{project_id}/jobs/{job_id}", get(jobs::show))
            .route("/v2/{project_id}/jobs/{job_id}", get(jobs::show))
            .fallback(async || Refusal::new(Code::NotFound, "there is nothing at this address"))
            .method_not_allowed_fallback(async || {
                let why = "this address does not know this method";
                super::face::Face::Backup.refuse(StatusCode::METHOD_NOT_ALLOWED, Code::NotFound.published(), why)
            })
            .with_state(Arc::new(self))
    }

    /// Runs what may block on a thread that may.
    async fn run(self: Arc<Self>, work: impl FnOnce(&Self) -> Answered + Send + 'static) -> Answered {
        let Ok(permit) = Arc::clone(&self.working).try_acquire_owned() else {
            return Err(Refusal::new(Code::Run, "too many requests at once"));
        };
        let outcome = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&self)
        });
        outcome.await.unwrap_or_else(|panic| {
            tracing::error!("a request panicked: {panic}");
            Err(Refusal::new(Code::Internal, "the request failed inside of the server"))
        })
    }

    /// Has jobs done after those that came before; nobody waits for it.
    fn begin(&self, project: ProjectId, jobs: Vec<Job>) {
        let site = Arc::clone(&self.site);
        tokio::runtime::Handle::current().spawn(async move {
            let _turn = site.backing_up.acquire().await;
            let working = Arc::clone(&site);
            let outcome = tokio::task::spawn_blocking(move || working.backups.perform(&project, &jobs)).await;
            if let Err(panic) = outcome {
                tracing::error!("a backup panicked: {panic}");
            }
        });
    }
}

fn project_id(project: Project) -> Result<ProjectId, Refusal> {
    let text = project.map_or_else(|_| String::new(), |Path(text)| text);
    checked(&text)
}

/// The project, and the id of what is asked for in it.
fn within(path: Within) -> Result<(ProjectId, String), Refusal> {
    let (project, id) = path.map_or_else(|_| Default::default(), |Path(both)| both);
    Ok((checked(&project)?, id))
}

fn checked(project: &str) -> Result<ProjectId, Refusal> {
    ProjectId::new(project).ok_or_else(|| Refusal::new(Code::Parameter, ProjectId::FORM))
}

/// Reads a body, which must say something.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::new(Code::Empty, "the request body is empty"));
    }
    if body.iter().any(|byte| b"<>".contains(byte)) {
        return Err(Refusal::new(Code::Sign, "there must be no `<` or `>` in the request"));
    }
    let read = serde_json::from_slice(body);
    read.map_err(|error| Refusal::new(Code::Body, format!("the request body cannot be read: {error}")))
}

fn ok(body: &Value) -> Response {
    json_answer(StatusCode::OK, body)
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn no_such_policy(id: &str) -> Refusal {
    Refusal::new(Code::NoSuchPolicy, format!("there is no backup policy {id:?}"))
}
