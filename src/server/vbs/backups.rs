//! Backups: listed, looked at, asked for by hand, removed; and how many there may be.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Answered, Code, Refusal};
use super::query::Query;
use super::{Backup as Face, Project, Shared, Within, ok, parse, project_id, within};
use crate::policy::book::{BACKUPS_MAX, Backup, POLICIES_MAX, VOLUMES_MAX};
use crate::server::backups::Job;
use crate::server::calendar::show_millis;
use crate::server::face::origin;
use crate::server::projects::ProjectId;

/// How many backups a page has if nobody says.
const LIMIT_OTHERWISE: usize = 1_000;

/// Longest name, and longest description, in characters.
const TEXT_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize)]
struct Wanted {
    backup: WantedBackup,
}

#[derive(Debug, Deserialize)]
struct WantedBackup {
    volume_id: Option<String>,
    name: Option<String>,
    description: Option<String>,
}

pub(super) async fn list(face: Shared, project: Project, query: RawQuery, uri: Uri, headers: HeaderMap) -> Answered {
    listed(face, project, query, &uri, &headers, false).await
}

pub(super) async fn list_details(
    face: Shared,
    project: Project,
    query: RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Answered {
    listed(face, project, query, &uri, &headers, true).await
}

async fn listed(
    State(face): Shared,
    project: Project,
    RawQuery(query): RawQuery,
    uri: &Uri,
    headers: &HeaderMap,
    with_details: bool,
) -> Answered {
    let project = project_id(project)?;
    let query = Query::read(query.as_deref());
    let base = format!("{}{}", origin(headers), uri.path());
    face.run(move |face| {
        let page = query.page(LIMIT_OTHERWISE)?;
        let mut backups: Vec<Backup> = face.site.backups.read(&project, |state| {
            let is_asked_for = |backup: &&Backup| {
                query.fits("name", &backup.name)
                    && query.fits("volume_id", &backup.volume)
                    && query.fits("status", status(backup))
            };
            state.book.backups.iter().filter(is_asked_for).cloned().collect()
        })?;
        // The newest first.
        backups.reverse();
        let (shown, has_more) = page.cut(&backups, |backup| &backup.id)?;
        let own = base.strip_suffix("/detail").unwrap_or(&base);
        let told = |backup: &Backup| {
            let links = json!([{ "rel": "self", "href": format!("{own}/{}", backup.id) }]);
            if with_details {
                face.details(&project, backup, &links)
            } else {
                json!({ "id": backup.id, "name": backup.name, "links": links })
            }
        };
        let mut answer = json!({ "backups": shown.iter().map(told).collect::<Vec<_>>() });
        if let Some(last) = shown.last().filter(|_| has_more) {
            let next = format!("{base}?limit={}&marker={}", page.limit, last.id);
            answer["backups_links"] = json!([{ "rel": "next", "href": next }]);
        }
        Ok(ok(&answer))
    })
    .await
}

pub(super) async fn show(State(face): Shared, path: Within, uri: Uri, headers: HeaderMap) -> Answered {
    let (project, id) = within(path)?;
    let own = format!("{}{}", origin(&headers), uri.path());
    face.run(move |face| {
        let backup = face.site.backups.read(&project, |state| state.book.backup(&id).cloned())?;
        let backup = backup.ok_or_else(|| no_such_backup(&id))?;
        let links = json!([{ "rel": "self", "href": own }]);
        Ok(ok(&json!({ "backup": face.details(&project, &backup, &links) })))
    })
    .await
}

pub(super) async fn remove(State(face): Shared, path: Within) -> Answered {
    let (project, id) = within(path)?;
    face.run(move |face| {
        let removed = face.site.backups.remove(&project, &id);
        if removed.map_err(|error| Refusal::new(Code::Delete, error.to_string()))? {
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        Err(no_such_backup(&id))
    })
    .await
}

/// Makes a backup that no policy removes.
pub(super) async fn create(State(face): Shared, project: Project, body: Bytes) -> Answered {
    let project = project_id(project)?;
    let Wanted { backup } = parse(&body)?;
    face.run(move |face| {
        let volume = backup.volume_id.unwrap_or_default();
        let (name, description) = (backup.name.unwrap_or_default(), backup.description.unwrap_or_default());
        if [&name, &description].into_iter().any(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Err(Refusal::new(
                Code::Body,
                format!("name and description have at most {TEXT_CHARS_MAX} characters"),
            ));
        }
        if name.starts_with("auto") {
            return Err(Refusal::new(Code::Body, "the name must not start with auto"));
        }
        if volume.is_empty() {
            return Err(Refusal::new(Code::ResourceId, "backup.volume_id is missing or empty"));
        }
        let is_known = face.site.backups.read(&project, |state| state.book.volume(&volume).is_some())?;
        if !is_known {
            let why = format!("there is no such volume here: {volume}");
            return Err(Refusal::new(Code::NoSuchVolume, why));
        }
        let job = Job { description, ..face.site.backups.new_job(&face.site.ids, None, &volume, name) };
        let id = job.id.clone();
        let jobs = face.site.backups.enqueue_one(&project, job)?;
        face.begin(project, jobs);
        Ok(ok(&json!({ "job_id": id })))
    })
    .await
}

pub(super) async fn quota(State(face): Shared, project: Project) -> Answered {
    let project = project_id(project)?;
    face.run(move |face| {
        let (backups, bytes, policies, volumes) = face.site.backups.read(&project, |state| {
            let book = &state.book;
            let bytes: u64 = book.backups.iter().map(|backup| backup.bytes).sum();
            (book.backups.len(), bytes, book.policies.len() - 1, book.volumes.len())
        })?;
        let counted = |kind: &str, used: usize, most: usize| json!({ "type": kind, "used": used, "quota": most });
        Ok(ok(&json!({ "quotas": { "resources": [
            counted("backups", backups, BACKUPS_MAX),
            counted("backup_policies", policies, POLICIES_MAX),
            counted("volumes", volumes, VOLUMES_MAX),
            { "type": "backup_capacity", "used": gibibytes(bytes), "quota": -1, "unit": "GB" },
        ] } })))
    })
    .await
}

impl Face {
    fn details(&self, project: &ProjectId, backup: &Backup, links: &Value) -> Value {
        json!({
            "id": backup.id,
            "name": backup.name,
            "description": backup.description,
            "status": status(backup),
            "volume_id": backup.volume,
            "availability_zone": self.zone,
            "size": gibibytes(backup.bytes),
            "object_count": u8::from(backup.stored),
            "container": null,
            "created_at": show_millis(backup.at),
            "updated_at": show_millis(backup.at),
            "data_timestamp": show_millis(backup.at),
            "fail_reason": null,
            "is_incremental": false,
            "has_dependent_backups": false,
            "snapshot_id": null,
            "service_metadata": json!({ "backup_policy_id": backup.policy, "bytes": backup.bytes }).to_string(),
            "os-bak-tenant-attr:tenant_id": project.as_str(),
            "links": links,
        })
    }
}

fn status(backup: &Backup) -> &'static str {
    if backup.whole { "available" } else { "creating" }
}

/// Whole ones; a part of one counts.
fn gibibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 30)
}

fn no_such_backup(id: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no backup {id:?}"))
}
