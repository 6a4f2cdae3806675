//! The page's sentences on time: when a point may have been collected, and how long it is valid.

use std::sync::Arc;
use std::time::Duration;

use ebbtide::server::{Server, ServerConfig};
use ebbtide::{ManualClock, Timestamp};

use super::{example_points, item};
use crate::harness::{Client, points_path};

/// The moment at which the clock of these tests stands.
const NOW: i64 = 1_795_281_677_579;

/// Three days and ten minutes, in milliseconds: the page's window.
const PAST: i64 = 3 * 86_400_000;
const AHEAD: i64 = 600_000;

fn start() -> (Server, Client, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW)));
    let local = "127.0.0.1:0".parse().expect("an address");
    let server = ServerConfig::in_memory().listen(local).clock(clock.clone()).start().expect("starts");
    let client = Client::new(server.local_addr());
    (server, client, clock)
}

#[test]
fn both_ends_of_the_time_window_are_inside_of_it() {
    // Sentence: from three days before the current time to ten minutes after it. Method: a clock that stands still,
    // and times a millisecond apart.
    let (server, client, _clock) = start();
    let post =
        |time: i64| client.post(&points_path("p"), format!("[{}]", item(&[("collect_time", &time.to_string())])));
    for inside in [NOW - PAST, NOW - PAST + 1, NOW, NOW + AHEAD - 1, NOW + AHEAD] {
        post(inside).assert_stored();
    }
    for outside in [NOW - PAST - 1, NOW + AHEAD + 1, 0, -1, 9_007_199_254_740_991] {
        post(outside).assert_refused(400, "ces.0014", "item 0: collect_time");
    }
    // The point of three days ago had a TTL of two.
    assert_eq!(example_points(client, "p").matches("average").count(), 3);
    server.stop().expect("closes");
}

#[test]
fn a_point_is_read_until_its_validity_period_ends() {
    // Sentence: if the validity period expires, the data is deleted. S4: exact to the millisecond, counted from
    // collect_time, and a TTL of 0 never means for ever.
    let (server, client, clock) = start();
    let point = |time: i64, ttl: &str, value: &str| {
        item(&[("collect_time", &time.to_string()), ("ttl", ttl), ("value", value)])
    };
    let body = format!("[{},{},{}]", point(NOW - 1_000, "2", "1"), point(NOW + 5_000, "0", "2"), point(NOW, "0", "3"));
    let reply = client.post(&points_path("p"), body);
    reply.assert_stored();
    assert_eq!(reply.header("x-ebbtide-dead-on-arrival"), Some("1"), "a TTL of 0 at the current time");
    let values =
        || -> Vec<u8> { example_points(client, "p").split("average\":").skip(1).map(|s| s.as_bytes()[0]).collect() };
    assert_eq!(values(), b"12", "a TTL of 0 ends at the point's own time");
    clock.advance(Duration::from_millis(999));
    assert_eq!(values(), b"12", "a millisecond before the end");
    clock.advance(Duration::from_millis(1));
    assert_eq!(values(), b"2", "the end");
    clock.advance(Duration::from_secs(4));
    assert_eq!(values(), b"");
    server.stop().expect("closes");
}
