//! What the rules of the published pages come to: one settled set of them for a server, read from the table in
//! `rules/table.rs` and nowhere else, so that what `ebbtide rules` prints is what is done. Which request breaks a rule
//! is found out where the request is read.

mod table;

use std::time::Duration;

use self::table::RULES;
use super::profile::Profile;
use crate::error::{Error, Result};
use crate::model::rollup::Late;
use crate::model::selector::Order;
use crate::model::time::{TimeRange, Timestamp};

/// One rule of the HTTP face: what it says, which page says so, and its value in each profile.
///
/// ```
/// use ebbtide::server::{Profile, Rule};
/// let ttl = Rule::all().iter().find(|rule| rule.id() == "ttl").expect("a rule of the page");
/// assert_eq!((ttl.value(Profile::Document), ttl.value(Profile::Current)), ("0..604800", "1..604800"));
/// ```
#[derive(Debug)]
pub struct Rule {
    id: &'static str,
    statement: &'static str,
    /// Page and place.
    source: &'static str,
    takes: &'static str,
    /// In the order `document`, `current`, `lab`.
    values: [&'static str; 3],
    /// Reads a value; none if it is not what the rule takes.
    set: fn(&mut Rules, &str) -> Option<()>,
}

impl Rule {
    /// Every rule, in the order of the calls that they are about.
    pub fn all() -> &'static [Self] {
        &RULES
    }

    /// The name by which it is switched ([`ServerConfig::rule`](super::ServerConfig::rule)).
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// What it says, in one line.
    pub fn statement(&self) -> &'static str {
        self.statement
    }

    /// The page and the place in it, or what else the rule is taken from.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// What its values look like.
    pub fn takes(&self) -> &'static str {
        self.takes
    }

    /// Its value in a profile.
    pub fn value(&self, profile: Profile) -> &'static str {
        self.values[match profile {
            Profile::Document => 0,
            Profile::Current => 1,
            Profile::Lab => 2,
        }]
    }
}

/// How many decimals a number has that is computed from several.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Decimals {
    /// Two, halves away from zero.
    #[default]
    Rounded,
    /// Two, the others cut off.
    Cut,
    /// All.
    Full,
}

/// How long the span of a query of many metrics may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum BatchSpan {
    /// A fixed time for each period.
    #[default]
    ByPeriod,
    /// As long as all metrics together can have no more than `batch-points` windows.
    ByPoints,
    Any,
}

/// An order of series by its word on the wire.
pub(super) fn order_named(word: &str) -> Option<Order> {
    match word {
        "asc" => Some(Order::Ascending),
        "desc" => Some(Order::Descending),
        _ => None,
    }
}

/// The least and the most that is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Between {
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Between {
    pub(super) fn contains(self, number: u32) -> bool {
        (self.least..=self.most).contains(&number)
    }
}

/// The rules of one server. Each field is set by one row of the table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is a rule that is on or off")]
pub(super) struct Rules {
    pub(super) body_bytes: u32,
    /// How long before now a point may have been collected; none for any time.
    pub(super) past: Option<Duration>,
    /// How far ahead of now a point may have been collected; none for any time.
    pub(super) ahead: Option<Duration>,
    /// In seconds.
    pub(super) ttl: Between,
    /// Whether the page's alphabet and length hold, or only the engine's lengths.
    pub(super) is_namespace_formed: bool,
    pub(super) is_metric_formed: bool,
    pub(super) is_dimension_formed: bool,
    pub(super) is_value_formed: bool,
    /// Whether what belongs to the service itself is forbidden to others.
    pub(super) is_system_reserved: bool,
    pub(super) is_sre_reserved: bool,
    pub(super) dimensions: Between,
    pub(super) unit_chars: u32,
    /// How late a point still counts in windows; none for however late.
    pub(super) late: Option<Duration>,
    pub(super) has_minutes: bool,
    /// Whether integers are condensed to integers.
    pub(super) is_whole: bool,
    pub(super) decimals: Decimals,
    pub(super) batch_metrics: u32,
    pub(super) batch_span: BatchSpan,
    pub(super) batch_points: u32,
    pub(super) list_order: Order,
    pub(super) list_limit: u32,
    pub(super) alarm_limit: u32,
    pub(super) alarm_quota: u32,
    pub(super) event_past: Option<Duration>,
    pub(super) event_ahead: Option<Duration>,
    pub(super) is_event_formed: bool,
    pub(super) event_limit: u32,
}

impl Rules {
    pub(super) fn of(profile: Profile) -> Self {
        let mut rules = Self::default();
        for rule in Rule::all() {
            (rule.set)(&mut rules, rule.value(profile)).expect("the table has only good values, as a test shows");
        }
        rules
    }

    /// Switches one of them, and gives its id.
    ///
    /// # Errors
    /// `InvalidInput` for a rule that is not known or a value that it does not take.
    pub(super) fn switch(&mut self, id: &str, value: &str) -> Result<&'static str> {
        let Some(rule) = Rule::all().iter().find(|rule| rule.id == id) else {
            return Err(Error::invalid(format!("there is no rule {id:?}; `ebbtide rules` prints them")));
        };
        let takes = rule.takes;
        let set = (rule.set)(self, value).map(|()| rule.id);
        set.ok_or_else(|| Error::invalid(format!("the rule {id} takes {takes}, not {value:?}")))
    }

    /// The times of points that are admitted at the moment `now`, both ends included.
    pub(super) fn window(&self, now: Timestamp) -> TimeRange {
        window(now, self.past, self.ahead)
    }

    /// The same of events.
    pub(super) fn event_window(&self, now: Timestamp) -> TimeRange {
        window(now, self.event_past, self.event_ahead)
    }

    /// Which late points count in the windows of a database that is made now.
    pub(super) fn late(&self) -> Late {
        self.late.map_or(Late::Correct, Late::DiscardAfter)
    }
}

fn window(now: Timestamp, past: Option<Duration>, ahead: Option<Duration>) -> TimeRange {
    let start = past.map_or(TimeRange::ALL.start(), |past| now - past);
    let end = ahead.map_or(TimeRange::ALL.end(), |ahead| now + ahead + Duration::from_millis(1));
    TimeRange::new(start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: [Profile; 3] = [Profile::Document, Profile::Current, Profile::Lab];

    #[test]
    fn the_table_has_good_values_only_and_each_rule_once() {
        // Goal: no row is blank, and no two are one. Method: read every value, and look for what is empty or repeated.
        for (position, rule) in Rule::all().iter().enumerate() {
            let id = rule.id;
            assert!(Rule::all()[..position].iter().all(|earlier| earlier.id != id), "{id} stands twice");
            assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && !id.is_empty(), "{id:?}");
            for text in [rule.statement, rule.source, rule.takes] {
                assert!(!text.is_empty() && !text.contains('\n'), "{id}: {text:?}");
            }
            for profile in PROFILES {
                assert!((rule.set)(&mut Rules::default(), rule.value(profile)).is_some(), "{id} in {profile}");
            }
            assert_eq!((rule.set)(&mut Rules::default(), "nonsense"), None, "{id}");
        }
    }

    #[test]
    fn each_rule_is_switched_by_itself() {
        // Goal: a switched rule is that of the other profile, and nothing else changes. Method: switch all of them one
        // after the other, which makes one profile the other, and back.
        for (from, to) in [(Profile::Document, Profile::Lab), (Profile::Lab, Profile::Current)] {
            let mut rules = Rules::of(from);
            for rule in Rule::all() {
                let before = rules.clone();
                rules.switch(rule.id, rule.value(to)).expect("its own value");
                assert_eq!(rules == before, rule.value(from) == rule.value(to), "{}", rule.id);
            }
            assert_eq!(rules, Rules::of(to));
        }
    }

    #[test]
    fn what_a_rule_does_not_take_is_refused() {
        let mut rules = Rules::of(Profile::Document);
        let table = [
            ("none", "1", "no rule"),
            ("ttl", "5..4", "ttl takes"),
            ("ttl", "0..4294967296", "ttl takes"),
            ("ttl", "1", "ttl takes"),
            ("dimensions", "0..17", "dimensions takes"),
            ("unit-length", "33", "unit-length takes"),
            ("body-bytes", "524289", "body-bytes takes"),
            ("list-limit", "0", "list-limit takes"),
            ("time-past", "-1", "time-past takes"),
            ("minute-windows", "yes", "minute-windows takes"),
        ];
        for (id, value, why) in table {
            let error = rules.switch(id, value).expect_err("refused").to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(rules, Rules::of(Profile::Document));
    }

    #[test]
    fn a_window_of_time_has_its_ends_and_may_be_open() {
        let now = Timestamp::from_secs(1_000_000);
        let mut rules = Rules::of(Profile::Document);
        assert!(rules.window(now).contains(now + Duration::from_secs(600)));
        assert!(!rules.window(now).contains(now + Duration::from_millis(600_001)));
        assert!(rules.window(now).contains(now - Duration::from_secs(3 * 86_400)));
        rules.switch("time-ahead", "none").expect("a value of it");
        assert!(rules.window(now).contains(Timestamp::MAX) && !rules.window(now).contains(Timestamp::EPOCH));
        assert!(Rules::of(Profile::Lab).window(now).contains(Timestamp::MIN));
    }
}
