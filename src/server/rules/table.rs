//! The table of rules: one row for each, with the page that it is taken from. Rows only, and how their values are read.
//!
//! "Adding Monitoring Data" is the contract page, its lines counted in its Markdown. "2020" is the API reference of
//! September 2020 that this page belongs to, "2026" its edition of June 2026, "SDK" the published Python client 3.1.219.

use std::time::Duration;

use super::{BatchSpan, Between, Decimals, Rule, order_named};
use crate::model::limits::{DIMENSIONS_MAX, UNIT_CHARS_MAX};
use crate::server::cloudeye::ANSWER_POINTS_MAX;
use crate::server::http::BODY_BYTES_MAX;

const RANGE: &str = "LEAST..MOST";
const COUNT: &str = "a number";
const SECONDS: &str = "seconds, or none";
const SWITCH: &str = "on or off";

/// Longest span of time that a rule may name, in seconds: a thousand years.
const SECONDS_MAX: u64 = 1_000 * 366 * 86_400;

pub(super) static RULES: [Rule; 27] = [
    Rule {
        id: "body-bytes",
        statement: "the body of a POST request has at most this many bytes",
        source: "Adding Monitoring Data, line 46 (NOTICE 1)",
        takes: COUNT,
        values: ["524288"; 3],
        set: |rules, text| count(text, 1, BODY_BYTES_MAX).map(|most| rules.body_bytes = most),
    },
    Rule {
        id: "time-past",
        statement: "collect_time is at most this long before now",
        source: "Adding Monitoring Data, line 48 (NOTICE 3)",
        takes: SECONDS,
        values: ["259200", "259200", "none"],
        set: |rules, text| seconds(text, &mut rules.past),
    },
    Rule {
        id: "time-ahead",
        statement: "collect_time is at most this long after now",
        source: "Adding Monitoring Data, line 48 (NOTICE 3)",
        takes: SECONDS,
        values: ["600", "600", "none"],
        set: |rules, text| seconds(text, &mut rules.ahead),
    },
    Rule {
        id: "ttl",
        statement: "ttl is within this range, in seconds",
        source: "Adding Monitoring Data, line 81; 2026: adding_monitoring_data, Table 2 (from 1)",
        takes: RANGE,
        values: ["0..604800", "1..604800", "0..4294967295"],
        set: |rules, text| range(text, u32::MAX).map(|ttl| rules.ttl = ttl),
    },
    Rule {
        id: "namespace-form",
        statement: "a namespace is service.item, 3 to 32 characters, each part a letter, then letters, digits or _",
        source: "Adding Monitoring Data, line 149 (Table 3)",
        takes: SWITCH,
        values: ["on", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_namespace_formed = is_on),
    },
    Rule {
        id: "metric-form",
        statement: "a metric name is 1 to 96 characters, a letter, then letters, digits, _ or -",
        source: "2026: querying_monitoring_data_of_multiple_metrics, request; SDK: MetricInfo",
        takes: SWITCH,
        values: ["on", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_metric_formed = is_on),
    },
    Rule {
        id: "dimension-form",
        statement: "a dimension's name is 1 to 32 characters, a letter, then letters, digits, _ or -",
        source: "Adding Monitoring Data, line 195 (Table 4)",
        takes: SWITCH,
        values: ["on", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_dimension_formed = is_on),
    },
    Rule {
        id: "value-form",
        statement: "a dimension's value is 1 to 256 characters, a letter or digit, then letters, digits, _ or -",
        source: "Adding Monitoring Data, line 205 (Table 4)",
        takes: SWITCH,
        values: ["on", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_value_formed = is_on),
    },
    Rule {
        id: "system-namespaces",
        statement: "namespaces SYS*, AGT* and SERVICE.BMS are not written to",
        source: "Adding Monitoring Data, lines 149 and 150 (Table 3)",
        takes: SWITCH,
        values: ["on", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_system_reserved = is_on),
    },
    Rule {
        id: "sre-namespaces",
        statement: "namespaces SRE* are not written to",
        source: "2026: adding_monitoring_data, Table 3",
        takes: SWITCH,
        values: ["off", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_sre_reserved = is_on),
    },
    Rule {
        id: "dimensions",
        statement: "a series has this many dimensions",
        source: "2026: querying_monitoring_data_of_multiple_metrics, request (four); SDK: MetricInfo",
        takes: RANGE,
        values: ["1..4", "1..4", "0..16"],
        set: |rules, text| range(text, most(DIMENSIONS_MAX)).map(|allowed| rules.dimensions = allowed),
    },
    Rule {
        id: "unit-length",
        statement: "a unit has at most this many characters",
        source: "Adding Monitoring Data, line 112 (Table 2)",
        takes: COUNT,
        values: ["32"; 3],
        set: |rules, text| count(text, 0, UNIT_CHARS_MAX).map(|most| rules.unit_chars = most),
    },
    Rule {
        id: "late",
        statement: "points that come later than this count in no window; settled when a project is made",
        source: "SDK: create_metric_data, description, note 4 (ten minutes)",
        takes: SECONDS,
        values: ["none", "600", "none"],
        set: |rules, text| seconds(text, &mut rules.late),
    },
    Rule {
        id: "minute-windows",
        statement: "the period 60 is known beside 1, 300, 1200, 3600, 14400 and 86400",
        source: "SDK: show_metric_data, period",
        takes: SWITCH,
        values: ["on"; 3],
        set: |rules, text| switch(text).map(|is_on| rules.has_minutes = is_on),
    },
    Rule {
        id: "whole-numbers",
        statement: "average and variance of integers are integers, cut toward zero",
        source: "2020: user guide, aggregation (1 and 4 make 2); 2026: the same",
        takes: SWITCH,
        values: ["on", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_whole = is_on),
    },
    Rule {
        id: "decimals",
        statement: "what is condensed from several numbers has two decimals, rounded or cut, or all of them",
        source: "2020: user guide, aggregation (rounded); 2026: the same page (cut)",
        takes: "rounded, cut or full",
        values: ["rounded", "cut", "full"],
        set: |rules, text| {
            let words = [("rounded", Decimals::Rounded), ("cut", Decimals::Cut), ("full", Decimals::Full)];
            word(text, words).map(|decimals| rules.decimals = decimals)
        },
    },
    Rule {
        id: "batch-metrics",
        statement: "one query of many metrics names at most this many",
        source: "2020: querying-monitoring-data-of-multiple-metrics, request (10); SDK: batch_list_metric_data (500)",
        takes: COUNT,
        values: ["10", "500", "500"],
        set: |rules, text| count(text, 1, 500).map(|most| rules.batch_metrics = most),
    },
    Rule {
        id: "batch-span",
        statement: "from moves up to what the period, or 3000 windows of all metrics, allow",
        source: "2020: querying-monitoring-data-of-multiple-metrics, from (period); 2026: the same, notice 2 (points)",
        takes: "period, points or none",
        values: ["period", "points", "none"],
        set: |rules, text| {
            let words = [("period", BatchSpan::ByPeriod), ("points", BatchSpan::ByPoints), ("none", BatchSpan::Any)];
            word(text, words).map(|span| rules.batch_span = span)
        },
    },
    Rule {
        id: "batch-points",
        statement: "one answer of many metrics has at most this many points, the newest ones",
        source: "SDK: batch_list_metric_data, description (3000 points of all metrics together)",
        takes: COUNT,
        values: ["100000", "3000", "100000"],
        set: |rules, text| count(text, 1, ANSWER_POINTS_MAX).map(|most| rules.batch_points = most),
    },
    Rule {
        id: "list-order",
        statement: "series are listed in this order of their names if none is asked for",
        source: "2020 and 2026: querying_metrics, Table 2 (desc); SDK: list_metrics (asc)",
        takes: "asc or desc",
        values: ["desc", "desc", "asc"],
        set: |rules, text| order_named(text).map(|order| rules.list_order = order),
    },
    Rule {
        id: "list-limit",
        statement: "one page of series has at most this many, and so many if limit is not given",
        source: "2020 and 2026: querying_metrics, Table 2",
        takes: COUNT,
        values: ["1000"; 3],
        set: |rules, text| count(text, 1, 1_000).map(|most| rules.list_limit = most),
    },
    Rule {
        id: "alarm-limit",
        statement: "one page of alarm rules has at most this many",
        source: "2020 and 2026: querying_alarm_rules, Table 2",
        takes: COUNT,
        values: ["100"; 3],
        set: |rules, text| count(text, 1, 100).map(|most| rules.alarm_limit = most),
    },
    Rule {
        id: "alarm-quota",
        statement: "a project may have this many alarm rules, says the quota",
        source: "2020: user guide, quotas (100); 2026: the same (1000)",
        takes: COUNT,
        values: ["100", "1000", "1000"],
        set: |rules, text| count(text, 0, 1_000_000).map(|quota| rules.alarm_quota = quota),
    },
    Rule {
        id: "event-past",
        statement: "the time of an event is at most this long before now",
        source: "2026: reporting_events, Table 3",
        takes: SECONDS,
        values: ["3600", "3600", "none"],
        set: |rules, text| seconds(text, &mut rules.event_past),
    },
    Rule {
        id: "event-ahead",
        statement: "the time of an event is at most this long after now",
        source: "2026: reporting_events, Table 3",
        takes: SECONDS,
        values: ["600", "600", "none"],
        set: |rules, text| seconds(text, &mut rules.event_ahead),
    },
    Rule {
        id: "event-form",
        statement: "an event's texts keep to the alphabets, lengths and words of the page",
        source: "2026: reporting_events, Tables 3 to 5",
        takes: SWITCH,
        values: ["on", "on", "off"],
        set: |rules, text| switch(text).map(|is_on| rules.is_event_formed = is_on),
    },
    Rule {
        id: "event-limit",
        statement: "one page of events has at most this many, and so many if limit is not given",
        source: "2026: querying_events, Table 1",
        takes: COUNT,
        values: ["100"; 3],
        set: |rules, text| count(text, 1, 100).map(|most| rules.event_limit = most),
    },
];

fn count(text: &str, least: u32, at_most: usize) -> Option<u32> {
    digits(text)?.parse().ok().filter(|number| (least..=most(at_most)).contains(number))
}

fn range(text: &str, most: u32) -> Option<Between> {
    let (least, last) = text.split_once("..")?;
    let between = Between { least: digits(least)?.parse().ok()?, most: digits(last)?.parse().ok()? };
    (between.least <= between.most && between.most <= most).then_some(between)
}

fn seconds(text: &str, rule: &mut Option<Duration>) -> Option<()> {
    *rule = match text {
        "none" => None,
        _ => Some(Duration::from_secs(digits(text)?.parse().ok().filter(|secs| *secs <= SECONDS_MAX)?)),
    };
    Some(())
}

fn switch(text: &str) -> Option<bool> {
    word(text, [("on", true), ("off", false)])
}

fn word<T, const N: usize>(text: &str, words: [(&str, T); N]) -> Option<T> {
    words.into_iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning)
}

/// The text, if a number is written in it as numbers usually are.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

fn most(count: usize) -> u32 {
    u32::try_from(count).expect("the bounds of a rule fit")
}
