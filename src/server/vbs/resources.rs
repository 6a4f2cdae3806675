//! Volumes, and which policy each of them has: the contract page.

use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Answered, Code, Refusal};
use super::{Backup, Project, Shared, Within, no_such_policy, ok, parse, project_id, within};
use crate::policy::book::Book;
use crate::server::backups::Volumes;

/// The one type of resources.
const VOLUME: &str = "volume";

/// Most volumes in one request.
const RESOURCES_MAX: usize = 1_000;

/// Longest id of a volume, in characters.
const ID_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize)]
pub(super) struct Association {
    backup_policy_id: Option<String>,
    resources: Option<Vec<Resource>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Disassociation {
    resources: Option<Vec<Resource>>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(default)]
    resource_id: Option<String>,
    #[serde(default)]
    resource_type: Option<String>,
}

/// The two lists of an answer, both of them always there.
#[derive(Debug, Default)]
struct Lists {
    success: Vec<Value>,
    fail: Vec<Value>,
}

impl Lists {
    fn told(self) -> Value {
        json!({ "success_resources": self.success, "fail_resources": self.fail })
    }
}

pub(super) async fn associate(State(face): Shared, project: Project, body: Bytes) -> Answered {
    let project = project_id(project)?;
    let Association { backup_policy_id, resources } = parse(&body)?;
    let policy = backup_policy_id.filter(|id| !id.is_empty());
    let policy = policy.ok_or_else(|| Refusal::new(Code::PolicyId, "backup_policy_id is missing or empty"))?;
    let resources = listed(resources)?;
    face.run(move |face| {
        let lists = face.site.backups.change(&project, |book, _| {
            if book.policy(&policy).is_none() {
                return Err(no_such_policy(&policy));
            }
            let mut lists = Lists::default();
            for resource in &resources {
                match face.associate_one(book, &policy, resource) {
                    Ok(()) => lists.success.push(face.told(resource)),
                    Err(why) => lists.fail.push(with_reason(face.told(resource), &why)),
                }
            }
            Ok(lists)
        })?;
        Ok(ok(&lists.told()))
    })
    .await
}

pub(super) async fn disassociate(State(face): Shared, path: Within, body: Bytes) -> Answered {
    let (project, policy) = within(path)?;
    let Disassociation { resources } = parse(&body)?;
    let resources = listed(resources)?;
    face.run(move |face| {
        let lists = face.site.backups.change(&project, |book, _| {
            if book.policy(&policy).is_none() {
                return Err(no_such_policy(&policy));
            }
            let mut lists = Lists::default();
            for resource in &resources {
                let told = json!({ "resource_id": resource.resource_id });
                match disassociate_one(book, &policy, resource) {
                    Ok(()) => lists.success.push(told),
                    Err(why) => lists.fail.push(with_reason(told, &why)),
                }
            }
            Ok(lists)
        })?;
        Ok(ok(&lists.told()))
    })
    .await
}

/// The volumes that are known.
pub(super) async fn volumes(State(face): Shared, project: Project) -> Answered {
    let project = project_id(project)?;
    face.run(move |face| {
        let own = face.site.projects.volume_id(&project)?;
        let volumes: Vec<Value> = face.site.backups.read(&project, |state| {
            let told = |volume: &crate::policy::book::Volume| {
                json!({
                    "id": volume.id,
                    "name": volume.name,
                    "status": if volume.id == own { "in-use" } else { "available" },
                    "availability_zone": face.zone,
                    "metadata": { "backup_policy_id": volume.policy },
                })
            };
            state.book.volumes.iter().map(told).collect()
        })?;
        Ok(ok(&json!({ "volumes": volumes })))
    })
    .await
}

impl Backup {
    fn associate_one(&self, book: &mut Book, policy: &str, resource: &Resource) -> Result<(), Refusal> {
        let id = checked_id(resource)?;
        if resource.resource_type.as_deref() != Some(VOLUME) {
            return Err(Refusal::new(Code::ResourceType, "resource_type must be volume"));
        }
        if self.volumes == Volumes::Any {
            book.declare(id, "").map_err(|error| Refusal::new(Code::TooManyVolumes, error.to_string()))?;
        }
        if book.associate(id, Some(policy)) { Ok(()) } else { Err(no_such_volume(id)) }
    }

    /// A resource as the answer has it.
    fn told(&self, resource: &Resource) -> Value {
        json!({
            "resource_id": resource.resource_id,
            "resource_type": resource.resource_type,
            "availability_zone": self.zone,
            "os_vol_host_attr": format!("pod01.{}", self.zone),
        })
    }
}

fn disassociate_one(book: &mut Book, policy: &str, resource: &Resource) -> Result<(), Refusal> {
    let id = checked_id(resource)?;
    if !book.volumes_of(policy).any(|volume| volume.id == id) {
        return Err(no_such_volume(id));
    }
    book.associate(id, None);
    Ok(())
}

fn checked_id(resource: &Resource) -> Result<&str, Refusal> {
    let id = resource.resource_id.as_deref().unwrap_or_default();
    check_volume(id).map(|()| id).map_err(|why| Refusal::new(Code::ResourceId, format!("resource_id: {why}")))
}

/// Whether a text can be the id of a volume; if not, why.
pub(in crate::server) fn check_volume(id: &str) -> Result<(), String> {
    let in_alphabet = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if in_alphabet && (1..=ID_CHARS_MAX).contains(&id.len()) {
        return Ok(());
    }
    Err(format!("the id of a volume is 1 to {ID_CHARS_MAX} letters, digits, `_` and `-`"))
}

fn listed(resources: Option<Vec<Resource>>) -> Result<Vec<Resource>, Refusal> {
    let resources = resources.filter(|resources| !resources.is_empty());
    let resources = resources.ok_or_else(|| Refusal::new(Code::NoResources, "the list of resources is empty"))?;
    if resources.len() > RESOURCES_MAX {
        let why = format!("a request is about at most {RESOURCES_MAX} resources");
        return Err(Refusal::new(Code::TooManyVolumes, why));
    }
    Ok(resources)
}

fn no_such_volume(id: &str) -> Refusal {
    Refusal::new(Code::NoSuchVolume, format!("there is no such volume here: {id}"))
}

/// A failed element says why: clients take one without a code for a success.
fn with_reason(mut told: Value, why: &Refusal) -> Value {
    told["code"] = json!(why.code.published());
    told["message"] = json!(why.why);
    told
}
