//! Declaring volumes over HTTP: names for backup policies to be associated with.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::answers::{Answered, Problem, parse};
use crate::server::face::json_answer;
use crate::server::projects::ProjectId;
use crate::server::vbs::check_volume;

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    project: String,
    id: String,
    #[serde(default)]
    name: String,
}

/// Makes a volume known; one that is stays as it is.
pub(super) async fn declare(State(admin): Shared, body: Bytes) -> Answered {
    let Declared { project, id, name } = parse(&body)?;
    let project = ProjectId::new(&project).ok_or_else(|| Problem::invalid(ProjectId::FORM))?;
    check_volume(&id).map_err(Problem::invalid)?;
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::invalid(format!("a name has at most {NAME_CHARS_MAX} characters")));
    }
    let told = json!({ "id": id, "name": name });
    admin.run(move |site| Ok(site.backups.change(&project, |book, _| book.declare(&id, &name))?)).await?;
    Ok(json_answer(StatusCode::CREATED, &told))
}
