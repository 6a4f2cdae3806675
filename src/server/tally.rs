//! Counts what is asked and how it is answered, and tells it in the text format of Prometheus. Bounded by the table of
//! operations, and by the projects that may be open.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::stats::Stats;
use crate::server::projects::Projects;

/// Upper ends of the histogram's buckets, in microseconds, and how Prometheus calls them in seconds.
const BUCKETS: [(u64, &str); 12] = [
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

type Gauge = (&'static str, &'static str, &'static str, fn(&Stats) -> u64);

/// What is told of each project: name, type, help, and where it stands.
const GAUGES: [Gauge; 9] = [
    ("ebbtide_series", "gauge", "Series that are known.", |stats| stats.series),
    ("ebbtide_points", "gauge", "Points in segments, dead ones that still take space included.", |stats| stats.points),
    ("ebbtide_recent_points", "gauge", "Points in memory that are in no segment yet.", |stats| stats.recent_points),
    ("ebbtide_head_bytes", "gauge", "Memory of recent points.", |stats| stats.head_bytes),
    ("ebbtide_segments", "gauge", "Segments of points and of windows.", |stats| stats.segments),
    ("ebbtide_segment_bytes", "gauge", "Size of all segments.", |stats| stats.segment_bytes),
    ("ebbtide_log_bytes", "gauge", "Size of the log that an open would replay.", |stats| stats.log_bytes),
    ("ebbtide_flushes_total", "counter", "Flushes since the project was opened.", |stats| stats.flushes),
    ("ebbtide_freed_bytes_total", "counter", "Bytes of segments removed since then.", |stats| stats.bytes_freed),
];

/// The counters of one server.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By operation and status.
    answers: BTreeMap<(&'static str, u16), u64>,
    /// By operation.
    latencies: BTreeMap<&'static str, Latency>,
    /// Connections that a fault rule dropped.
    dropped: u64,
}

#[derive(Debug, Default)]
struct Latency {
    /// Of each bucket alone; the last one is what took longer.
    counts: [u64; BUCKETS.len() + 1],
    sum: Duration,
}

impl Tally {
    pub(super) fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        let mut state = self.0.lock();
        *state.answers.entry((operation, status)).or_default() += 1;
        let latency = state.latencies.entry(operation).or_default();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(end, _)| micros <= *end).unwrap_or(BUCKETS.len());
        latency.counts[bucket] += 1;
        latency.sum += took;
    }

    pub(super) fn dropped(&self) {
        self.0.lock().dropped += 1;
    }

    /// Everything, as Prometheus reads it.
    pub(super) fn tell(&self, projects: &Projects) -> String {
        let mut text = String::new();
        self.tell_requests(&mut text);
        let stats: Vec<_> = projects.all_open().into_iter().map(|(project, db)| (project, db.stats())).collect();
        for (name, kind, help, of) in GAUGES {
            head(&mut text, name, kind, help);
            for (project, stats) in &stats {
                // An id has no sign that would have to be escaped.
                line(&mut text, name, &format!("project=\"{project}\""), &of(stats));
            }
        }
        text
    }

    fn tell_requests(&self, text: &mut String) {
        let state = self.0.lock();
        let name = "ebbtide_http_requests_total";
        head(text, name, "counter", "Requests answered, by operation and status.");
        for ((operation, status), count) in &state.answers {
            line(text, name, &format!("operation=\"{operation}\",status=\"{status}\""), count);
        }
        let name = "ebbtide_http_dropped_connections_total";
        head(text, name, "counter", "Connections dropped by a fault rule.");
        writeln!(text, "{name} {}", state.dropped).expect("memory takes every write");
        let name = "ebbtide_http_request_duration_seconds";
        head(text, name, "histogram", "From the end of the headers to the answer, by operation.");
        for (operation, latency) in &state.latencies {
            let mut count = 0;
            let ends = BUCKETS.iter().map(|(_, end)| *end).chain(["+Inf"]);
            for (end, here) in ends.zip(latency.counts) {
                count += here;
                line(text, &format!("{name}_bucket"), &format!("operation=\"{operation}\",le=\"{end}\""), &count);
            }
            let labels = format!("operation=\"{operation}\"");
            line(text, &format!("{name}_sum"), &labels, &latency.sum.as_secs_f64());
            line(text, &format!("{name}_count"), &labels, &count);
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("memory takes every write");
}

fn line(text: &mut String, name: &str, labels: &str, value: &dyn std::fmt::Display) {
    writeln!(text, "{name}{{{labels}}} {value}").expect("memory takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_name_every_answer() {
        let tally = Tally::default();
        for (status, micros) in [(201, 10), (201, 900), (400, 99_000_000)] {
            tally.answered("add_metric_data", status, Duration::from_micros(micros));
        }
        let mut text = String::new();
        tally.tell_requests(&mut text);
        for wanted in [
            r#"ebbtide_http_requests_total{operation="add_metric_data",status="201"} 2"#,
            r#"ebbtide_http_requests_total{operation="add_metric_data",status="400"} 1"#,
            r#"ebbtide_http_request_duration_seconds_bucket{operation="add_metric_data",le="0.00025"} 1"#,
            r#"ebbtide_http_request_duration_seconds_bucket{operation="add_metric_data",le="0.001"} 2"#,
            r#"ebbtide_http_request_duration_seconds_bucket{operation="add_metric_data",le="10"} 2"#,
            r#"ebbtide_http_request_duration_seconds_bucket{operation="add_metric_data",le="+Inf"} 3"#,
            r#"ebbtide_http_request_duration_seconds_count{operation="add_metric_data"} 3"#,
            "ebbtide_http_dropped_connections_total 0",
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted} in:\n{text}");
        }
    }
}
