//! Fault rules over HTTP.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answers::{Answered, InPath, Problem, done, ok, parse, text_of};
use crate::server::face::json_answer;
use crate::server::faults::{Fault, Outcome, Rule};

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    operation: Option<String>,
    project: Option<String>,
    count: Option<u64>,
    probability: Option<f64>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    delay_ms: u64,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    #[serde(default)]
    drop_connection: bool,
}

impl Written {
    fn into_fault(self) -> Result<Fault, Problem> {
        let outcome = match (self.status, self.drop_connection) {
            (Some(_), true) => return Err(Problem::invalid("a dropped connection has no status")),
            (Some(status), false) => Outcome::Refuse { status, code: self.code, message: self.message },
            (None, _) if self.code.is_some() || self.message.is_some() => {
                return Err(Problem::invalid("a code and a message go with a status"));
            }
            (None, true) => Outcome::Drop,
            (None, false) if self.delay_ms == 0 => {
                return Err(Problem::invalid("a rule needs a status, a delay, or a dropped connection"));
            }
            (None, false) => Outcome::Pass,
        };
        Ok(Fault {
            operation: self.operation,
            project: self.project,
            times: self.count,
            probability: self.probability.unwrap_or(1.0),
            seed: self.seed,
            delay: Duration::from_millis(self.delay_ms),
            outcome,
        })
    }
}

pub(super) async fn list(State(admin): Shared) -> Answered {
    let rules: Vec<Value> = admin.site.faults.list().iter().map(tell).collect();
    Ok(ok(&json!({ "faults": rules })))
}

pub(super) async fn add(State(admin): Shared, body: Bytes) -> Answered {
    let written: Written = parse(&body)?;
    let id = admin.site.faults.add(written.into_fault()?)?;
    Ok(json_answer(StatusCode::CREATED, &json!({ "id": id })))
}

pub(super) async fn clear(State(admin): Shared) -> Answered {
    admin.site.faults.clear();
    Ok(done())
}

pub(super) async fn remove(State(admin): Shared, id: InPath) -> Answered {
    let is_gone = text_of(id)?.parse().is_ok_and(|id| admin.site.faults.remove(id));
    if is_gone { Ok(done()) } else { Err(Problem::not_found("there is no such rule")) }
}

fn tell(rule: &Rule) -> Value {
    let Fault { operation, project, times, probability, seed, delay, outcome } = &rule.fault;
    let refusal = outcome.refusal();
    json!({
        "id": rule.id,
        "operation": operation,
        "project": project,
        "count": times,
        "probability": probability,
        "seed": seed,
        "delay_ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        "status": refusal.map(|(status, ..)| status.as_u16()),
        "code": refusal.map(|(_, code, _)| code),
        "message": refusal.map(|(.., message)| message),
        "drop_connection": *outcome == Outcome::Drop,
        "seen": rule.seen,
        "fired": rule.fired,
    })
}
