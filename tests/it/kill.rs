//! What a kill leaves: everything that was acknowledged, and of the rest whole batches or nothing (S17, S18).

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use ebbtide::{Dimension, SeriesKey, Value};

use crate::harness::{self, Server};
use crate::readback::{self, PROJECT, Points, Shown};

const ROUNDS: u64 = 20;
const CLIENTS: u64 = 4;
const SERIES_PER_CLIENT: u64 = 3;
const BATCH_POINTS_MAX: u64 = 120;

/// The kill comes after at most this many acknowledgements of a round: enough to be under way, and few enough that
/// reading everything back after each round stays cheap.
const ACKS_BEFORE_KILL_MAX: u64 = 300;

/// And then after at most this many microseconds, so that it falls between any two steps of a write.
const KILL_DELAY_MICROS_MAX: u64 = 3_000;

/// Batches of one client in one round: an end for clients of a server that does not die.
const BATCHES_PER_ROUND_MAX: usize = 5_000;

/// Longest wait for one acknowledgement.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the store must show: the points of each series.
type Expected = BTreeMap<SeriesKey, Points>;

/// Points that were sent in one request.
type Batch = Vec<(SeriesKey, i64, Shown)>;

#[test]
fn twenty_kills_under_load_lose_no_acknowledged_point_and_split_no_batch() {
    // Goal: durability and atomicity of the real binary on one directory, over and over.
    // Method: clients post batches of new points until the server is killed at a seeded moment; after each restart
    // everything acknowledged in any round is compared. A batch without answer is there whole or not at all, and
    // once seen to be there or not, stays so.
    let seed = seed();
    println!("EBBTIDE_SEED={seed}");
    let home = tempfile::tempdir().expect("a temporary directory");
    let begin = harness::now_millis() - 3_600_000;
    let mut random = Random(seed);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| Client::new(number, begin, random.next())).collect();
    let mut expected = Expected::new();
    let mut kept = 0;

    let mut server = Server::start_on(home.path());
    for round in 1..=ROUNDS {
        let unanswered = load_until_killed(server, &mut clients, &mut expected, &mut random);
        server = Server::start_on(home.path());
        let mut found = read_all(&server, &clients, begin);
        for batch in &unanswered {
            kept += usize::from(take_whole_or_nothing(batch, &mut found, &mut expected, round));
        }
        assert_same(&expected, &found, round);
    }
    let points: usize = expected.values().map(BTreeMap::len).sum();
    println!("{points} points after {ROUNDS} kills; {kept} batches without an answer were there");
}

/// One round: returns the batches that got no answer, and adds the acknowledged ones to what is expected.
fn load_until_killed(
    mut server: Server,
    clients: &mut [Client],
    expected: &mut Expected,
    random: &mut Random,
) -> Vec<Batch> {
    let url = format!("http://{}{}", server.client().address(), harness::points_path(PROJECT));
    let acks = 1 + random.below(ACKS_BEFORE_KILL_MAX);
    let delay = Duration::from_micros(random.below(KILL_DELAY_MICROS_MAX));
    let (ack, acknowledged) = mpsc::channel();
    let rounds: Vec<(Vec<Batch>, Option<Batch>)> = std::thread::scope(|scope| {
        let spawn = |client| {
            let (url, ack) = (url.as_str(), ack.clone());
            scope.spawn(move || Client::post_until_silence(client, url, &ack))
        };
        let threads: Vec<_> = clients.iter_mut().map(spawn).collect();
        drop(ack);
        let in_time = (0..acks).all(|_| acknowledged.recv_timeout(ACK_TIMEOUT).is_ok());
        // Ends early when an acknowledgement comes: that moment is as good as another.
        let _ = acknowledged.recv_timeout(delay);
        server.kill();
        assert!(in_time, "acknowledgements stopped before the kill");
        threads.into_iter().map(|thread| thread.join().expect("a client saw a refusal")).collect()
    });
    let mut unanswered = Vec::new();
    for (stored, silent) in rounds {
        for (key, time, shown) in stored.into_iter().flatten() {
            expected.entry(key).or_default().insert(time, shown);
        }
        unanswered.extend(silent);
    }
    unanswered
}

/// Moves a batch to what is expected if it is there, and checks that no part of it is there if not.
fn take_whole_or_nothing(batch: &Batch, found: &mut Expected, expected: &mut Expected, round: u64) -> bool {
    let is_there = |(key, time, _): &&(SeriesKey, i64, Shown)| found[key].contains_key(time);
    let there = batch.iter().filter(is_there).count();
    assert!(there == 0 || there == batch.len(), "round {round}: {there} of {} points of a batch", batch.len());
    if there == 0 {
        return false;
    }
    for (key, time, shown) in batch {
        expected.entry(key.clone()).or_default().insert(*time, shown.clone());
    }
    true
}

fn read_all(server: &Server, clients: &[Client], begin: i64) -> Expected {
    let end = clients.iter().map(|client| client.time).max().expect("there are clients");
    let series = clients.iter().flat_map(|client| &client.series);
    series.map(|key| (key.clone(), readback::points(server, key, begin, end))).collect()
}

fn assert_same(expected: &Expected, found: &Expected, round: u64) {
    let none = Points::new();
    for (key, found) in found {
        let expected = expected.get(key).unwrap_or(&none);
        for (time, shown) in expected {
            assert_eq!(found.get(time), Some(shown), "round {round}: {key} at {time} was acknowledged");
        }
        let stray = found.keys().find(|time| !expected.contains_key(time));
        assert_eq!(stray, None, "round {round}: {key} has a point that was never stored");
    }
}

/// A client with series of its own; every point it sends has a new time.
struct Client {
    series: Vec<SeriesKey>,
    time: i64,
    random: Random,
}

impl Client {
    fn new(number: u64, begin: i64, seed: u64) -> Self {
        let key = |series: u64| {
            let dimensions = [("client", number.to_string()), ("series", series.to_string())];
            SeriesKey::new("KILL.nine", "value", dimensions).expect("valid names")
        };
        Self { series: (0..SERIES_PER_CLIENT).map(key).collect(), time: begin, random: Random(seed) }
    }

    /// Posts until the server is gone: the acknowledged batches, and the one that got no answer.
    fn post_until_silence(&mut self, url: &str, ack: &Sender<()>) -> (Vec<Batch>, Option<Batch>) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let mut stored = Vec::new();
        while stored.len() < BATCHES_PER_ROUND_MAX {
            let batch = self.batch();
            let Ok(mut response) = agent.post(url).send(body(&batch)) else {
                return (stored, Some(batch));
            };
            let text = response.body_mut().read_to_string().unwrap_or_default();
            assert_eq!(response.status().as_u16(), 201, "{text}");
            stored.push(batch);
            // Nobody listens any more when the kill is on its way.
            let _ = ack.send(());
        }
        (stored, None)
    }

    /// New points over all series of the client, ints and floats, with and without unit.
    fn batch(&mut self) -> Batch {
        let points = 1 + self.random.below(BATCH_POINTS_MAX);
        (0..points).map(|position| self.point(position)).collect()
    }

    fn point(&mut self, position: u64) -> (SeriesKey, i64, Shown) {
        self.time += 1;
        let bits = self.random.next();
        let value = match bits % 3 {
            0 => Value::Int(bits.cast_signed()),
            1 => Value::Int(i64::from(bits.to_le_bytes()[7])),
            _ => Value::Float(f64::from_bits(bits)),
        };
        let value = if value.is_non_finite() { Value::Float(-0.0) } else { value };
        let series = usize::try_from(position % SERIES_PER_CLIENT).expect("a small number");
        let unit = bits.is_multiple_of(5).then(|| "byte/s".to_owned());
        (self.series[series].clone(), self.time, Shown { value, unit })
    }
}

/// A batch as a request of the documented shape.
fn body(batch: &Batch) -> String {
    let item = |(key, time, shown): &(SeriesKey, i64, Shown)| {
        let dimension = |each: Dimension<'_>| format!(r#"{{"name":"{}","value":"{}"}}"#, each.name, each.value);
        let dimensions = key.dimensions().map(dimension).collect::<Vec<_>>().join(",");
        let (namespace, metric) = (key.namespace(), key.metric());
        // Debug writes the shortest text that gives the same double back, and always a point or an exponent.
        let value = match shown.value {
            Value::Int(int) => int.to_string(),
            Value::Float(float) => format!("{float:?}"),
        };
        let unit = shown.unit.as_ref().map_or_else(String::new, |unit| format!(r#","unit":"{unit}""#));
        let metric = format!(r#"{{"namespace":"{namespace}","metric_name":"{metric}","dimensions":[{dimensions}]}}"#);
        format!(r#"{{"metric":{metric},"ttl":604800,"collect_time":{time},"value":{value}{unit}}}"#)
    };
    format!("[{}]", batch.iter().map(item).collect::<Vec<_>>().join(","))
}

/// The seed of this run: from the environment, to repeat a failure, or a new one.
fn seed() -> u64 {
    match std::env::var("EBBTIDE_SEED") {
        Ok(text) => text.parse().expect("EBBTIDE_SEED is a whole number"),
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}

/// Splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, figure 18).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
