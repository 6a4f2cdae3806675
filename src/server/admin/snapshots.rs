//! Snapshots over HTTP: everything that is stored, taken under a name and put back.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Shared;
use super::answers::{Answered, InPath, Problem, done, ok, text_of};
use crate::server::face::json_answer;
use crate::server::site::SnapshotNote;

pub(super) async fn list(State(admin): Shared) -> Answered {
    let notes = admin.run(|site| Ok(site.list_snapshots().iter().map(tell).collect::<Vec<_>>())).await?;
    Ok(ok(&json!({ "snapshots": notes })))
}

pub(super) async fn take(State(admin): Shared, name: InPath) -> Answered {
    let name = text_of(name)?;
    let note = admin.run(move |site| Ok(site.take_snapshot(&name)?)).await?;
    Ok(json_answer(StatusCode::CREATED, &tell(&note)))
}

pub(super) async fn put_back(State(admin): Shared, name: InPath) -> Answered {
    let name = text_of(name)?;
    there_was(admin.run(move |site| Ok(site.put_back(&name)?)).await?)
}

pub(super) async fn remove(State(admin): Shared, name: InPath) -> Answered {
    let name = text_of(name)?;
    there_was(admin.run(move |site| Ok(site.remove_snapshot(&name))).await?)
}

fn there_was(one: bool) -> Answered {
    if one { Ok(done()) } else { Err(Problem::not_found("there is no such snapshot")) }
}

fn tell(note: &SnapshotNote) -> Value {
    let SnapshotNote { name, bytes, taken, projects } = note;
    json!({ "name": name, "bytes": bytes, "taken": taken.as_millis(), "projects": projects })
}
