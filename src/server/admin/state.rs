//! How the server is and what it holds: for people, and for tests that look.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Shared;
use super::answers::{Answered, Problem, Text, ok};
use crate::db::Db;
use crate::engine::health::Health;
use crate::env::clock::Clock as _;
use crate::model::selector::{Order, Selector};
use crate::model::series::SeriesKey;
use crate::server::face::json_answer;
use crate::server::projects::ProjectId;

/// Most series of all projects together that are told by name.
const NAMES_MAX: usize = 1_000;

/// Answers as long as the server lives, and says what needs attention.
pub(super) async fn health(State(admin): Shared) -> Answered {
    let (_, troubles) = admin.look(|site| Ok(troubles(&site.projects.all_at_rest()))).await?;
    let status = if troubles.is_empty() { "good" } else { "degraded" };
    Ok(ok(&json!({ "status": status, "troubles": troubles })))
}

/// 200 when every open project takes writes.
pub(super) async fn ready(State(admin): Shared) -> Answered {
    let (takes_writes, troubles) = admin.look(|site| Ok(troubles(&site.projects.all_at_rest()))).await?;
    let status = if takes_writes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(json_answer(status, &json!({ "ready": takes_writes, "troubles": troubles })))
}

/// The projects that are open.
pub(super) async fn dump(State(admin): Shared) -> Answered {
    let told = admin.tell(|site| {
        let (now, in_memory) = (site.clock.now().as_millis(), site.projects.is_in_memory());
        let mut text = Text::new(format!(r#"{{"now":{now},"in_memory":{in_memory},"projects":["#));
        let mut names_max = NAMES_MAX;
        for (project, db) in site.projects.all_open() {
            let (whole, names) = tell(&project, &db, names_max)?;
            names_max -= names;
            // Names are long only in a test of them.
            if !text.element(&whole) && !text.element(&tell(&project, &db, 0)?.0) {
                return Err(Problem::failed("the state is longer than an answer"));
            }
        }
        Ok(text.end("]}"))
    });
    told.await
}

fn troubles<L: std::ops::Deref<Target = Db>>(open: &[(ProjectId, L)]) -> (bool, Vec<String>) {
    let (mut takes_writes, mut troubles) = (true, Vec::new());
    for (project, db) in open {
        match db.health() {
            Health::Good => {}
            Health::Degraded(sentences) => {
                troubles.extend(sentences.iter().map(|sentence| format!("{project}: {sentence}")));
            }
            Health::Failed(why) => {
                takes_writes = false;
                troubles.push(format!("{project}: {why}"));
            }
        }
    }
    (takes_writes, troubles)
}

/// A project, and how many of its series are told by name.
fn tell(project: &ProjectId, db: &Db, names_max: usize) -> crate::error::Result<(Value, usize)> {
    let stats = db.stats();
    let page = db.series_page(&Selector::all(), None, Order::Ascending, names_max)?;
    let told = json!({
        "project": project.as_str(),
        "series": stats.series,
        "points": stats.points,
        "recent_points": stats.recent_points,
        "windows": stats.windows,
        "segments": stats.segments,
        "sequence": stats.sequence.get(),
        "bytes": { "head": stats.head_bytes, "segments": stats.segment_bytes, "log": stats.log_bytes },
        "names": page.keys.iter().map(name).collect::<Vec<_>>(),
        "names_left_out": page.total.saturating_sub(page.keys.len()),
    });
    Ok((told, page.keys.len()))
}

/// A series as the API writes it.
pub(super) fn name(series: &SeriesKey) -> Value {
    let dimensions: Vec<_> =
        series.dimensions().map(|dimension| json!({ "name": dimension.name, "value": dimension.value })).collect();
    json!({ "namespace": series.namespace(), "metric_name": series.metric(), "dimensions": dimensions })
}
