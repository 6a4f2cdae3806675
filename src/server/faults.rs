//! Faults on demand: rules that answer a request in place of its face, hold it up, or drop its connection. Deterministic:
//! a count, or a probability with a seed.

use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::server::ids::chance;
use crate::server::operation::OPERATIONS;

/// Most rules at a time.
const RULES_MAX: usize = 100;

/// Longest time that a rule holds up a request: as long as a client may take for a body.
pub const FAULT_DELAY_MAX: Duration = Duration::from_secs(60);

/// Longest code and message, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// The published code that goes with a status, where the rule names none.
const CODES: [(u16, &str); 10] = [
    (400, "ces.0014"),
    (401, "ces.0015"),
    (403, "ces.0017"),
    (404, "ces.0016"),
    (405, "ces.0016"),
    (408, "ces.0011"),
    (413, "ces.0014"),
    (429, "ces.0020"),
    (500, "ces.0007"),
    (503, "ces.0019"),
];

/// The code for any other status.
const CODE_OTHERWISE: &str = "ces.0007";

/// A rule that makes requests fail. It holds for all requests of the API until it is narrowed.
///
/// ```
/// use ebbtide::server::{Fault, MockServer};
/// let server = MockServer::start()?;
/// server.add_fault(Fault::status(503).operation("add_metric_data").times(2))?;
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
#[must_use = "a rule does nothing until a server has it"]
pub struct Fault {
    pub(super) operation: Option<String>,
    pub(super) project: Option<String>,
    pub(super) times: Option<u64>,
    pub(super) probability: f64,
    pub(super) seed: u64,
    pub(super) delay: Duration,
    pub(super) outcome: Outcome,
}

/// What becomes of a request that a rule has picked, after its delay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It is answered as ever.
    Pass,
    Refuse {
        status: u16,
        code: Option<String>,
        message: Option<String>,
    },
    /// The connection ends without an answer.
    Drop,
}

impl Fault {
    fn of(outcome: Outcome) -> Self {
        Self { operation: None, project: None, times: None, probability: 1.0, seed: 0, delay: Duration::ZERO, outcome }
    }

    /// Answers with an error of this status, in the shape of the API that was asked.
    pub fn status(status: u16) -> Self {
        Self::of(Outcome::Refuse { status, code: None, message: None })
    }

    /// Ends the connection without an answer.
    pub fn drop_connection() -> Self {
        Self::of(Outcome::Drop)
    }

    /// Holds a request up, and then has it answered as ever.
    pub fn slow(delay: Duration) -> Self {
        Self::of(Outcome::Pass).delay(delay)
    }

    /// For this operation only, by its name in the OpenAPI document, such as `add_metric_data`.
    pub fn operation(mut self, name: impl Into<String>) -> Self {
        self.operation = Some(name.into());
        self
    }

    /// For this project only.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// For the first so many requests only.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// For a part of the requests, which the seed picks: the same of each run.
    pub fn probability(mut self, probability: f64, seed: u64) -> Self {
        (self.probability, self.seed) = (probability, seed);
        self
    }

    /// Holds the request up before what else becomes of it.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The error code and message of the answer, instead of those that go with its status.
    pub fn code(mut self, new_code: impl Into<String>, new_message: impl Into<String>) -> Self {
        if let Outcome::Refuse { code, message, .. } = &mut self.outcome {
            (*code, *message) = (Some(new_code.into()), Some(new_message.into()));
        }
        self
    }

    fn check(&self) -> Result<()> {
        let is_known = |name: &String| OPERATIONS.iter().any(|operation| operation.name == name);
        if let Some(name) = self.operation.as_ref().filter(|name| !is_known(name)) {
            return Err(Error::invalid(format!("there is no operation {name:?}")));
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(Error::invalid("a probability lies between 0 and 1"));
        }
        if self.delay > FAULT_DELAY_MAX {
            return Err(Error::invalid(format!("a request is held up by at most {FAULT_DELAY_MAX:?}")));
        }
        if let Outcome::Refuse { status, code, message } = &self.outcome {
            if !(400..=599).contains(status) || StatusCode::from_u16(*status).is_err() {
                return Err(Error::invalid("the status of an error is 400 to 599"));
            }
            if [code, message].into_iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
                return Err(Error::invalid(format!("code and message have at most {TEXT_BYTES_MAX} bytes each")));
            }
        }
        Ok(())
    }

    fn is_for(&self, operation: &str, project: Option<&str>) -> bool {
        self.operation.as_deref().is_none_or(|wanted| wanted == operation)
            && self.project.as_deref().is_none_or(|wanted| Some(wanted) == project)
    }
}

impl Outcome {
    /// Status, code and message of a refusal.
    pub(super) fn refusal(&self) -> Option<(StatusCode, &str, &str)> {
        let Self::Refuse { status, code, message } = self else { return None };
        let usual = CODES.iter().find(|(each, _)| each == status).map_or(CODE_OTHERWISE, |(_, code)| *code);
        let status = StatusCode::from_u16(*status).expect("was checked when the rule came");
        Some((status, code.as_deref().unwrap_or(usual), message.as_deref().unwrap_or("a fault rule refuses this")))
    }
}

/// A rule at work.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: u64,
    pub(super) fault: Fault,
    /// Requests that it was for.
    pub(super) seen: u64,
    /// Those of them that it picked.
    pub(super) fired: u64,
}

/// The rules of a server, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    next: u64,
}

impl Faults {
    /// Adds a rule, and gives its number.
    ///
    /// # Errors
    /// `InvalidInput` for what no rule can do, or when there are too many.
    pub(super) fn add(&self, fault: Fault) -> Result<u64> {
        fault.check()?;
        let mut state = self.0.lock();
        if state.rules.len() == RULES_MAX {
            return Err(Error::invalid(format!("there are {RULES_MAX} rules, which is the most")));
        }
        let id = state.next;
        state.next += 1;
        state.rules.push(Rule { id, fault, seen: 0, fired: 0 });
        Ok(id)
    }

    pub(super) fn list(&self) -> Vec<Rule> {
        self.0.lock().rules.clone()
    }

    /// Takes a rule away; whether it was there.
    pub(super) fn remove(&self, id: u64) -> bool {
        let mut state = self.0.lock();
        let before = state.rules.len();
        state.rules.retain(|rule| rule.id != id);
        state.rules.len() < before
    }

    /// Takes all rules away; numbers begin anew.
    pub(super) fn clear(&self) {
        *self.0.lock() = State::default();
    }

    /// What the first rule that picks this request does with it.
    pub(super) fn pick(&self, operation: &str, project: Option<&str>) -> Option<(Duration, Outcome)> {
        let mut state = self.0.lock();
        state.rules.iter_mut().find_map(|rule| {
            let fault = &rule.fault;
            if fault.times.is_some_and(|times| rule.fired >= times) || !fault.is_for(operation, project) {
                return None;
            }
            let number = rule.seen;
            rule.seen += 1;
            if !chance(fault.seed, number, fault.probability) {
                return None;
            }
            rule.fired += 1;
            Some((fault.delay, fault.outcome.clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_holds_for_what_it_names_and_as_often_as_it_says() {
        let faults = Faults::default();
        faults.add(Fault::status(503).operation("add_metric_data").project("p").times(2)).expect("good");
        let pick = |operation, project| faults.pick(operation, project).is_some();
        assert!(!pick("query_metric_data", Some("p")) && !pick("add_metric_data", Some("q")));
        assert!(pick("add_metric_data", Some("p")) && pick("add_metric_data", Some("p")));
        assert!(!pick("add_metric_data", Some("p")), "two times are over");
        assert_eq!(faults.list()[0].fired, 2);
    }

    #[test]
    fn probability_with_a_seed_picks_the_same_in_every_run() {
        let run = |seed| {
            let faults = Faults::default();
            faults.add(Fault::drop_connection().probability(0.5, seed)).expect("good");
            (0..64).map(|_| faults.pick("x", None).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!((16..48).contains(&run(1).iter().filter(|picked| **picked).count()));
    }

    #[test]
    fn rules_that_cannot_be_and_too_many_are_refused() {
        let faults = Faults::default();
        for bad in [
            Fault::status(200),
            Fault::status(600),
            Fault::status(500).operation("nothing"),
            Fault::status(500).probability(1.5, 0),
            Fault::status(500).probability(f64::NAN, 0),
            Fault::status(500).code("x".repeat(1_025), ""),
            Fault::slow(FAULT_DELAY_MAX * 2),
        ] {
            assert!(faults.add(bad.clone()).is_err(), "{bad:?}");
        }
        for _ in 0..RULES_MAX {
            faults.add(Fault::status(500)).expect("good");
        }
        assert!(faults.add(Fault::status(500)).is_err());
        assert!(faults.remove(3) && !faults.remove(3));
        faults.clear();
        assert!(faults.list().is_empty());
        assert_eq!(faults.add(Fault::status(500)).expect("good"), 0, "the same test sees the same numbers again");
    }

    #[test]
    fn every_status_has_a_code() {
        let refusal =
            |fault: Fault| fault.outcome.refusal().map(|(status, code, _)| (status.as_u16(), code.to_owned()));
        assert_eq!(refusal(Fault::status(429)), Some((429, "ces.0020".into())));
        assert_eq!(refusal(Fault::status(502)), Some((502, "ces.0007".into())));
        assert_eq!(refusal(Fault::status(500).code("ces.0012", "queue")), Some((500, "ces.0012".into())));
        assert_eq!(refusal(Fault::drop_connection()), None);
    }
}
