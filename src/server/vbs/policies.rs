//! The calls on policies themselves.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::body::{PolicyBody, show};
use super::error::{Answered, Code, Refusal};
use super::{Project, Shared, Within, done, no_such_policy, ok, parse, project_id, within};
use crate::env::clock::Clock as _;
use crate::error::ErrorKind;

pub(super) async fn create(State(face): Shared, project: Project, body: Bytes) -> Answered {
    let project = project_id(project)?;
    let body: PolicyBody = parse(&body)?;
    face.run(move |face| {
        let policy = body.into_new(face.site.ids.next_uuid(), face.site.clock.now())?;
        let id = policy.id.clone();
        face.site.backups.change(&project, |book, _| {
            book.add(policy).map_err(|error| match error.kind() {
                ErrorKind::Overloaded => Refusal::new(Code::TooManyPolicies, error.to_string()),
                _ => error.into(),
            })
        })?;
        face.site.backups.trust(&project);
        Ok(ok(&json!({ "backup_policy_id": id })))
    })
    .await
}

pub(super) async fn list(State(face): Shared, project: Project) -> Answered {
    let project = project_id(project)?;
    face.run(move |face| {
        let policies: Vec<Value> = face.site.backups.read(&project, |state| {
            let book = &state.book;
            book.policies.iter().map(|policy| show(policy, book.volumes_of(&policy.id).count())).collect()
        })?;
        Ok(ok(&json!({ "backup_policies": policies })))
    })
    .await
}

pub(super) async fn update(State(face): Shared, path: Within, body: Bytes) -> Answered {
    let (project, id) = within(path)?;
    let body: PolicyBody = parse(&body)?;
    face.run(move |face| {
        let now = face.site.clock.now();
        face.site.backups.change(&project, |book, _| {
            let is_default = book.is_default(&id);
            let policy = book.policy_mut(&id).ok_or_else(|| no_such_policy(&id))?;
            body.apply(policy, is_default, now)
        })?;
        face.site.backups.trust(&project);
        Ok(ok(&json!({ "backup_policy_id": id })))
    })
    .await
}

pub(super) async fn remove(State(face): Shared, path: Within) -> Answered {
    let (project, id) = within(path)?;
    face.run(move |face| {
        face.site.backups.change(&project, |book, jobs| {
            if book.policy(&id).is_none() {
                return Err(no_such_policy(&id));
            }
            if book.is_default(&id) {
                return Err(Refusal::new(Code::DefaultPolicy, "the default backup policy cannot be deleted"));
            }
            if jobs.is_busy(&id) {
                return Err(Refusal::new(Code::Running, "the backup policy is running"));
            }
            book.remove(&id);
            Ok(())
        })?;
        Ok(done())
    })
    .await
}

/// Runs a policy now, whether or not it runs by itself.
pub(super) async fn execute(State(face): Shared, path: Within) -> Answered {
    let (project, id) = within(path)?;
    face.run(move |face| {
        if face.site.backups.read(&project, |state| state.book.policy(&id).is_none())? {
            return Err(no_such_policy(&id));
        }
        let jobs = face.site.backups.enqueue_policy(&project, &id, &face.site.ids)?;
        let jobs = jobs.ok_or_else(|| Refusal::new(Code::Running, "the backup policy is running"))?;
        face.begin(project, jobs);
        Ok(done())
    })
    .await
}
