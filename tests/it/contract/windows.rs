//! Reading windows: every published period and filter, where windows begin, and how numbers look in each profile.

use std::sync::Arc;
use std::time::Duration;

use ebbtide::server::{Profile, Server as LocalServer, ServerConfig};
use ebbtide::{ManualClock, Timestamp};

use super::{item, query};
use crate::harness::{Client, Server, now_millis, points_path};

/// The moment at which the clock of these tests stands: 17:21:17 of a day.
const NOW: i64 = 1_795_281_677_579;

const SERIES: &str = "namespace=MINE.APP&metric_name=cpu_util&dim.0=instance_id,33328f02-3814-422e-b688-bfdba93d4050";

const PERIODS: [i64; 6] = [60, 300, 1_200, 3_600, 14_400, 86_400];

fn start(profile: Profile) -> (LocalServer, Client, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW)));
    let local = "127.0.0.1:0".parse().expect("an address");
    let config = ServerConfig::in_memory().listen(local).clock(clock.clone()).profile(profile);
    let server = config.start().expect("starts");
    let client = Client::new(server.local_addr());
    (server, client, clock)
}

/// Sends points, each a time, a value and a type.
fn send(client: Client, points: &[(i64, &str)]) {
    let each =
        |(time, value): &(i64, &str)| item(&[("collect_time", &time.to_string()), ("value", value), ("type", "")]);
    let items: Vec<String> = points.iter().map(each).collect();
    client.post(&points_path("p"), format!("[{}]", items.join(","))).assert_stored();
}

/// The datapoints of an answer, as its text has them.
fn ask(client: Client, range: (i64, i64), period: i64, filter: &str) -> String {
    let (from, to) = range;
    let reply = query(client, "p", &format!("{SERIES}&from={from}&to={to}&period={period}&filter={filter}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let points = reply.text().strip_prefix(r#"{"datapoints":["#);
    points.and_then(|text| text.strip_suffix(r#"],"metric_name":"cpu_util"}"#)).expect("the page's shape").to_owned()
}

/// The values of an answer alone.
fn values(client: Client, range: (i64, i64), period: i64, filter: &str) -> Vec<String> {
    let key = format!("\"{filter}\":");
    let text = ask(client, range, period, filter);
    text.split(&key).skip(1).map(|rest| rest.split(',').next().expect("split gives one").to_owned()).collect()
}

fn point(filter: &str, value: &str, time: i64) -> String {
    format!(r#"{{"{filter}":{value},"timestamp":{time},"unit":"%"}}"#)
}

fn floor(time: i64, period: i64) -> i64 {
    time.div_euclid(period * 1_000) * period * 1_000
}

#[test]
fn one_and_four_have_the_average_two() {
    // Sentence: integers are rounded; of 1 and 4 the average is 2. Method: the real binary, at the real time.
    let server = Server::start(&["--memory"]);
    let now = floor(now_millis(), 300);
    send(server.client(), &[(now, "1"), (now + 1, "4")]);
    let all = (now, now + 1);
    for (filter, value) in [("average", "2"), ("max", "4"), ("min", "1"), ("sum", "5"), ("variance", "2")] {
        assert_eq!(ask(server.client(), all, 300, filter), point(filter, value, now));
    }
}

#[test]
fn every_period_begins_where_it_is_a_multiple_since_1970() {
    // S9. Method: two points in the open window of each period and one in the window before it, which also shows that
    // an open window is answered.
    for period in PERIODS {
        let (server, client, _clock) = start(Profile::Document);
        let own = floor(NOW, period);
        send(client, &[(own - 1, "7"), (own, "1"), (NOW, "2")]);
        let range = (own - 1, NOW);
        let wanted = [point("sum", "7", own - period * 1_000), point("sum", "3", own)].join(",");
        assert_eq!(ask(client, range, period, "sum"), wanted, "{period}");
        server.stop().expect("closes");
    }
}

#[test]
fn from_moves_back_to_the_start_of_a_window_and_to_is_inclusive() {
    // Sentence: from is moved back, so that more points than expected may come. Method: ends around window starts.
    let (server, client, _clock) = start(Profile::Document);
    let third = floor(NOW, 300);
    let (first, second) = (third - 600_000, third - 300_000);
    send(client, &[(first, "1"), (second + 5, "2"), (third, "3")]);
    let cases = [
        ((first, third), "123"),
        ((first + 299_999, second), "12"),
        ((second, second + 1), "2"),
        ((second - 1, second - 1 + 1), "12"),
        ((second + 299_998, second + 299_999), "2"),
        ((third - 1, third), "23"),
        ((third + 1, third + 2), "3"),
        ((0, i64::MAX), "123"),
        ((0, first - 1), ""),
    ];
    for (range, wanted) in cases {
        assert_eq!(values(client, range, 300, "max").concat(), wanted, "{range:?}");
    }
    server.stop().expect("closes");
}

#[test]
fn points_that_nobody_can_read_any_more_count() {
    // S4, S7. Method: a TTL of zero, one that ends while we look, and a period that only points can answer.
    let (server, client, clock) = start(Profile::Document);
    let point = |time: i64, ttl: &str| item(&[("collect_time", &time.to_string()), ("ttl", ttl), ("value", "1")]);
    let body = format!("[{},{}]", point(NOW - 2, "0"), point(NOW - 1, "1"));
    client.post(&points_path("p"), body).assert_stored();
    let range = (NOW - 10, NOW);
    assert_eq!(values(client, range, 1, "sum"), ["1"]);
    assert_eq!(values(client, range, 60, "sum"), ["1"], "computed from what can be read");
    assert_eq!(values(client, range, 300, "sum"), ["2"]);
    clock.advance(Duration::from_secs(7_200));
    assert!(values(client, range, 60, "sum").is_empty());
    assert_eq!(values(client, range, 300, "sum"), ["2"]);
    server.stop().expect("closes");
}

#[test]
fn integers_are_exact_and_floats_have_two_decimals() {
    // S11. Method: windows of the largest integers, of floats, and of both.
    let (server, client, _clock) = start(Profile::Document);
    let third = floor(NOW, 300);
    let (first, second) = (third - 600_000, third - 300_000);
    let max = i64::MAX.to_string();
    send(client, &[(first, &max), (first + 1, &max)]);
    send(client, &[(second, "0.126"), (second + 1, "1.0"), (third, "1"), (third + 1, "2.5")]);
    let all = (first, NOW);
    assert_eq!(values(client, all, 300, "sum"), ["18446744073709551614", "1.13", "3.5"]);
    assert_eq!(values(client, all, 300, "average"), [max.as_str(), "0.56", "1.75"]);
    assert_eq!(values(client, all, 300, "max"), [max.as_str(), "1.0", "2.5"]);
    assert_eq!(values(client, all, 300, "min"), [max.as_str(), "0.13", "1"]);
    assert_eq!(values(client, all, 300, "variance"), ["0", "0.19", "0.56"]);
    server.stop().expect("closes");
}

#[test]
fn the_lab_answers_in_full_precision() {
    let (server, client, _clock) = start(Profile::Lab);
    send(client, &[(NOW, "1"), (NOW + 1, "4")]);
    for period in [60, 300] {
        assert_eq!(values(client, (NOW, NOW + 1), period, "average"), ["2.5"]);
        assert_eq!(values(client, (NOW, NOW + 1), period, "variance"), ["2.25"]);
        assert_eq!(values(client, (NOW, NOW + 1), period, "sum"), ["5"]);
    }
    let earlier = NOW - 86_400_000;
    send(client, &[(earlier, "0.126")]);
    assert_eq!(values(client, (earlier, earlier + 1), 60, "max"), ["0.126"]);
    server.stop().expect("closes");
}

#[test]
fn late_points_count_in_all_profiles_but_the_current_one() {
    // S6. Method: a point of ten minutes ago and one that is a millisecond older.
    for (profile, late, sum) in [(Profile::Document, "0", 3), (Profile::Lab, "0", 3), (Profile::Current, "1", 2)] {
        let (server, client, _clock) = start(profile);
        let ago = |millis: i64| (NOW - 600_000 - millis).to_string();
        let items =
            [(ago(1), "1"), (ago(0), "2")].map(|(time, value)| item(&[("collect_time", &time), ("value", value)]));
        let reply = client.post(&points_path("p"), format!("[{}]", items.join(",")));
        reply.assert_stored();
        assert_eq!(reply.header("x-ebbtide-not-aggregated"), Some(late), "{profile}");
        let sums = values(client, (0, NOW), 86_400, "sum");
        let total: i64 = sums.iter().map(|sum| sum.parse::<i64>().expect("an integer")).sum();
        assert_eq!(total, sum, "{profile}");
        assert_eq!(values(client, (0, NOW), 1, "sum"), ["1", "2"], "raw points are there");
        server.stop().expect("closes");
    }
}

#[test]
fn the_current_profile_admits_what_the_page_says_since_2022() {
    let (server, client, _clock) = start(Profile::Current);
    let time = NOW.to_string();
    let post = |name: &str, json: &str| {
        client.post(&points_path("p"), format!("[{}]", item(&[("collect_time", &time), (name, json)])))
    };
    post("ttl", "0").assert_refused(400, "ces.0014", "item 0: ttl must be 1 to 604800 seconds");
    post("ttl", "1").assert_stored();
    post("namespace", r#""SRE.APP""#).assert_refused(403, "ces.0009", "item 0: metric.namespace");
    server.stop().expect("closes");
}

#[test]
fn a_sum_that_passes_the_largest_double_is_left_out_and_said() {
    // Goal: an answer is JSON, whatever was stored. Method: twice the largest double in one window of two.
    let (server, client, _clock) = start(Profile::Document);
    let own = floor(NOW, 300);
    send(client, &[(own - 1, "1.5"), (own, "1.7976931348623157e308"), (own + 1, "1.7976931348623157e308")]);
    let asked = format!("{SERIES}&from={}&to={NOW}&period=300&filter=sum", own - 1);
    let reply = query(client, "p", &asked);
    assert_eq!(reply.header("x-ebbtide-incomplete"), Some("1"));
    assert_eq!(reply.text().matches("\"sum\":").count(), 1, "{}", reply.text());
    assert_eq!(values(client, (own, NOW), 300, "max"), ["1.7976931348623157e+308"]);
    let whole = query(client, "p", &asked.replace("sum", "max"));
    assert_eq!(whole.header("x-ebbtide-incomplete"), None);
    server.stop().expect("closes");
}

#[test]
fn what_is_unknown_has_no_windows() {
    let (server, client, _clock) = start(Profile::Document);
    assert_eq!(ask(client, (0, NOW), 300, "average"), "", "no project");
    send(client, &[(NOW, "1")]);
    let other = SERIES.replace("cpu_util", "mem_util");
    let reply = query(client, "p", &format!("{other}&from=0&to={NOW}&period=300&filter=average"));
    assert_eq!((reply.status, reply.text()), (200, r#"{"datapoints":[],"metric_name":"mem_util"}"#));
    server.stop().expect("closes");
}

#[test]
fn more_windows_than_one_answer_has_room_for_are_refused() {
    // Goal: the bound of raw points holds for windows. Method: a point in each of 100,001 minutes.
    let (server, client, _clock) = start(Profile::Lab);
    let item = |minute: i64| {
        let metric = r#"{"namespace":"A.B","dimensions":[{"name":"n","value":"v"}],"metric_name":"m"}"#;
        format!(r#"{{"metric":{metric},"ttl":4294967295,"collect_time":{},"value":1}}"#, minute * 60_000)
    };
    let first = NOW / 60_000 - 100_000;
    let minutes: Vec<i64> = (first..=first + 100_000).collect();
    for part in minutes.chunks(3_000) {
        let items: Vec<String> = part.iter().copied().map(item).collect();
        client.post(&points_path("p"), format!("[{}]", items.join(","))).assert_stored();
    }
    let asked = |from: i64| {
        let range = format!("from={}&to={NOW}", from * 60_000);
        query(client, "p", &format!("namespace=A.B&metric_name=m&dim.0=n,v&{range}&period=60&filter=sum"))
    };
    asked(first).assert_refused(400, "ces.0013", "to leaves a range with too many points");
    assert_eq!(asked(first + 1).text().matches("\"sum\":1,").count(), 100_000);
    server.stop().expect("closes");
}
