//! The server's clock over HTTP: looked at, stopped, moved forward, let run.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::answers::{Answered, Problem, ok, parse};
use crate::env::clock::Clock as _;
use crate::model::time::Timestamp;
use crate::server::clock::{SettableClock, Wall};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    now: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    #[serde(default)]
    seconds: u64,
    #[serde(default)]
    millis: u64,
}

pub(super) async fn show(State(admin): Shared) -> Answered {
    Ok(tell(&admin.site.clock))
}

/// Stops the clock at a moment that is not before its own.
pub(super) async fn set(State(admin): Shared, body: Bytes) -> Answered {
    let Set { now } = parse(&body)?;
    admin.run(move |site| Ok(site.set_clock(Timestamp::from_millis(now))?)).await?;
    Ok(tell(&admin.site.clock))
}

pub(super) async fn advance(State(admin): Shared, body: Bytes) -> Answered {
    let Advance { seconds, millis } = parse(&body)?;
    let by = Duration::from_secs(seconds).saturating_add(Duration::from_millis(millis));
    if by.is_zero() {
        return Err(Problem::invalid("`seconds` or `millis` must say how far"));
    }
    admin.run(move |site| Ok(site.advance(by)?)).await?;
    Ok(tell(&admin.site.clock))
}

pub(super) async fn stop(State(admin): Shared) -> Answered {
    admin.site.stop_clock()?;
    Ok(tell(&admin.site.clock))
}

pub(super) async fn resume(State(admin): Shared) -> Answered {
    admin.site.resume_clock()?;
    Ok(tell(&admin.site.clock))
}

fn tell(clock: &SettableClock) -> Response {
    let (mode, ahead) = match clock.wall() {
        Wall::Running(ahead) => ("running", Some(ahead)),
        Wall::Stopped(_) => ("stopped", None),
    };
    ok(&json!({ "now": clock.now().as_millis(), "mode": mode, "ahead_of_system": ahead }))
}
