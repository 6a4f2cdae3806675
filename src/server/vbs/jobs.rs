//! What policies have done, and how a single job stands.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::error::{Answered, Code, Refusal};
use super::query::Query;
use super::{Shared, Within, no_such_policy, ok, within};
use crate::model::time::Timestamp;
use crate::server::backups::{Job, JobState};
use crate::server::calendar;
use crate::server::calendar::show_millis;

/// How many tasks a page has if nobody says.
const LIMIT_OTHERWISE: usize = 20;

/// Every status that a task can be asked for.
const STATUSES: [&str; 6] = ["RUNNING", "EXECUTE_TIMEOUT", "WAITING", "EXECUTE_FAIL", "EXECUTE_SUCCESS", "SKIP"];

/// The jobs of one policy, the newest first unless asked for otherwise.
pub(super) async fn tasks(State(face): Shared, path: Within, RawQuery(query): RawQuery) -> Answered {
    let (project, policy) = within(path)?;
    let query = Query::read(query.as_deref());
    face.run(move |face| {
        let page = query.page(LIMIT_OTHERWISE)?;
        let wrong = |name: &str| Refusal::new(Code::Parameter, format!("{name} is none that there can be"));
        let is_ascending = match query.get("sort_dir").unwrap_or("desc") {
            "asc" => true,
            "desc" => false,
            _ => return Err(wrong("sort_dir")),
        };
        if !query.fits("sort_key", "created_at") {
            return Err(wrong("sort_key"));
        }
        if query.get("status").is_some_and(|status| !STATUSES.contains(&status)) {
            return Err(wrong("status"));
        }
        let found: Option<Vec<Job>> = face.site.backups.read(&project, |state| {
            state.book.policy(&policy)?;
            let is_asked_for = |job: &&Job| {
                job.policy.as_deref() == Some(&policy)
                    && query.fits("status", task_status(&job.state))
                    && query.fits("job_id", &job.id)
            };
            Some(state.jobs.iter().filter(is_asked_for).cloned().collect())
        })?;
        let mut jobs = found.ok_or_else(|| no_such_policy(&policy))?;
        if !is_ascending {
            jobs.reverse();
        }
        let (shown, _) = page.cut(&jobs, |job| &job.id)?;
        let told: Vec<Value> = shown.iter().map(task).collect();
        Ok(ok(&json!({ "tasks": told, "count": jobs.len() })))
    })
    .await
}

/// One job, of a policy or not.
pub(super) async fn show(State(face): Shared, path: Within) -> Answered {
    let (project, id) = within(path)?;
    face.run(move |face| {
        let job = face.site.backups.read(&project, |state| state.jobs.find(&id).cloned())?;
        let job = job.ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no job {id:?}")))?;
        Ok(ok(&told(&job)))
    })
    .await
}

fn task_status(state: &JobState) -> &'static str {
    match state {
        JobState::Waiting => "WAITING",
        JobState::Running => "RUNNING",
        JobState::Done => "EXECUTE_SUCCESS",
        JobState::Failed(_) => "EXECUTE_FAIL",
    }
}

fn task(job: &Job) -> Value {
    let mut task = json!({
        "status": task_status(&job.state),
        "job_id": job.id,
        "vbs_job_id": job.id,
        "created_at": show_millis(job.created),
        "backup_name": job.name,
        "resource_id": job.volume,
        "resource_type": "volume",
    });
    if let Some(finished) = job.finished {
        task["finished_at"] = json!(show_millis(finished));
    }
    if let JobState::Failed(why) = &job.state {
        task["code"] = json!(Code::Run.published());
        task["message"] = json!(why);
    }
    task
}

fn told(job: &Job) -> Value {
    let (status, why) = match &job.state {
        JobState::Waiting => ("INIT", None),
        JobState::Running => ("RUNNING", None),
        JobState::Done => ("SUCCESS", None),
        JobState::Failed(why) => ("FAIL", Some(why)),
    };
    let moment = |time: Timestamp| calendar::show(time);
    json!({
        "job_id": job.id,
        "job_type": "bksCreateBackup",
        "status": status,
        "begin_time": moment(job.created),
        "end_time": job.finished.map(moment),
        "error_code": why.map(|_| Code::Run.published()),
        "fail_reason": why,
        "entities": {
            "backup_id": job.backup,
            "bks_create_volume_name": job.name,
            "snapshot_id": job.backup,
            "volume_id": job.volume,
        },
    })
}
