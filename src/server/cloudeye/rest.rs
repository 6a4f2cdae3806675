//! What clients ask beside points and series: which versions there are, quotas, alarm rules and host data, of which
//! there are none. Also what an address is told that leads nowhere. Knows no database.

use serde_json::{Value, json};

use super::error::{Code, Refusal};
use super::parameters::{Parameters, wrong};
use crate::server::projects::ProjectId;
use crate::server::rules::{Rules, order_named};

/// The one version of the interface.
const VERSION: &str = "V1.0";

/// The calls behind `/V1.0/{project_id}/`.
const CALLS: [&str; 7] =
    ["metric-data", "batch-query-metric-data", "metrics", "quotas", "alarms", "events", "event-data"];

/// The one call that goes on behind its name.
const EVENT: &str = "event";

/// The answer about all versions; `host` is how the client calls this server.
pub(super) fn versions(host: &str) -> Value {
    json!({ "versions": [version_of(host)] })
}

/// The answer about the one version.
pub(super) fn version(host: &str) -> Value {
    json!({ "version": version_of(host) })
}

fn version_of(host: &str) -> Value {
    json!({
        "id": VERSION,
        "links": [{ "href": format!("http://{host}/{VERSION}"), "rel": "self" }],
        "min_version": "",
        "status": "CURRENT",
        "updated": "2018-09-30T00:00:00Z",
        "version": "",
    })
}

/// How many alarm rules a project may have.
pub(super) fn quotas(rules: &Rules) -> Value {
    json!({ "quotas": { "resources": [{ "unit": "", "type": "alarm", "quota": rules.alarm_quota, "used": 0 }] } })
}

/// A page of the alarm rules, of which there are none.
pub(super) fn alarms(query: &str, rules: &Rules) -> Result<Value, Refusal> {
    let parameters = Parameters::parse(query)?;
    parameters.limit(rules.alarm_limit)?;
    if parameters.get("order").is_some_and(|order| order_named(order).is_none()) {
        return Err(wrong("order", "must be asc or desc"));
    }
    Ok(json!({ "metric_alarms": [], "meta_data": { "count": 0, "marker": "", "total": 0 } }))
}

/// What agents report of a host, which nothing here does.
pub(super) fn event_data() -> Value {
    json!({ "datapoints": [] })
}

/// What is wrong with an address that leads nowhere.
pub(super) fn nowhere(path: &str) -> Refusal {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        [VERSION, "", call] | [VERSION, call] if CALLS.contains(&call) => no_such_project(),
        [version, _, call] if CALLS.contains(&call) && version != VERSION && version.starts_with(['v', 'V']) => {
            Refusal::new(Code::Version, format!("the version of this interface is {VERSION}"))
        }
        [version, _, EVENT, _] if version != VERSION && version.starts_with(['v', 'V']) => {
            Refusal::new(Code::Version, format!("the version of this interface is {VERSION}"))
        }
        [_, call] if CALLS.contains(&call) => {
            Refusal::new(Code::NoVersion, format!("the address begins with the version, /{VERSION}/"))
        }
        _ => Refusal::new(Code::NotFound, "there is nothing at this address"),
    }
}

pub(super) fn no_such_project() -> Refusal {
    Refusal::new(Code::Project, ProjectId::FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_leads_nowhere_is_told_what_is_wrong_with_it() {
        let table = [
            ("/V1.0//metric-data", "ces.0003"),
            ("/V1.0/metrics", "ces.0003"),
            ("/v1.0/p/metric-data", "ces.0005"),
            ("/V2.0/p/metrics", "ces.0005"),
            ("/v1.0/p/event/e", "ces.0005"),
            ("/v2/p/batch-query-metric-data", "ces.0005"),
            ("/p/metric-data", "ces.0004"),
            ("/V1.0/p/metric-data/", "ces.0016"),
            ("/V1.0/p/q/metric-data", "ces.0016"),
            ("/other/p/metric-data", "ces.0016"),
            ("/V1.0/p", "ces.0016"),
            ("//", "ces.0016"),
            ("", "ces.0016"),
        ];
        for (path, code) in table {
            assert!(nowhere(path).to_string().starts_with(code), "{path}: {}", nowhere(path));
        }
    }
}
