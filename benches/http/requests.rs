//! The requests of one connection, rendered ahead: each is a whole HTTP request, and the places of its times are known.

use std::io::Write as _;
use std::ops::Range;

use ebbtide::{Clock, SystemClock};

pub(crate) const SERIES: usize = 1_000;
/// Of one machine.
const METRICS: usize = 10;
/// Between the points of a series, in milliseconds.
const STEP_MILLIS: i64 = 1_000;
/// How long ago the first point was collected: the contract admits three days, and a second of load is less than one.
const AGO_MILLIS: i64 = 2 * 86_400_000;
/// Requests that repeat their values only after so many.
const VARIANTS: usize = 8;
/// Digits of a time until the year 2286.
const TIME_DIGITS: usize = 13;
const UNITS: [&str; METRICS] = ["%", "Byte", "Byte/s", "Count", "ms", "%", "Byte", "Byte/s", "Count", "ms"];

/// Requests without end, in the order of their times.
pub(crate) struct Requests {
    /// Sent in turn.
    ring: Vec<Request>,
    next: usize,
    /// Time of the first point of the next request.
    time: i64,
    /// How far one request, or the last one of a round through the ring, moves the time on.
    step: i64,
    /// Whether it takes the whole ring to write every series once.
    is_split: bool,
}

struct Request {
    bytes: Vec<u8>,
    body_bytes: u64,
    /// Where each point's time stands, and how long after the request's first one it is.
    times: Vec<(usize, i64)>,
}

impl Requests {
    /// About `batch` points of these series in each request: whole scrapes of them all, or equal parts of one scrape.
    pub(crate) fn new(series: Range<usize>, batch: usize) -> Self {
        let now = SystemClock::default().now().as_millis();
        let count = series.len();
        let is_split = batch < count;
        let (ring, scrapes) = if is_split {
            let parts = series.clone().step_by(batch).filter(|first| first + batch <= series.end);
            (parts.map(|first| Request::new(first..first + batch, 1, 0)).collect(), 1)
        } else {
            let scrapes = batch / count;
            ((0..VARIANTS).map(|variant| Request::new(series.clone(), scrapes, variant)).collect(), scrapes)
        };
        let step = STEP_MILLIS * i64::try_from(scrapes).expect("few");
        Self { ring, next: 0, time: now - AGO_MILLIS, step, is_split }
    }

    /// How many requests it takes to name every series.
    pub(crate) fn round(&self) -> usize {
        if self.is_split { self.ring.len() } else { 1 }
    }

    /// The next request, its points, and the bytes of its body.
    pub(crate) fn next(&mut self) -> (&[u8], u64, u64) {
        let len = self.ring.len();
        let request = &mut self.ring[self.next];
        let mut written = (i64::MIN, [0; TIME_DIGITS]);
        for (place, after) in &request.times {
            if written.0 != *after {
                written.0 = *after;
                write!(&mut written.1[..], "{}", self.time + after).expect("as many digits");
            }
            request.bytes[*place..*place + TIME_DIGITS].copy_from_slice(&written.1);
        }
        self.next = (self.next + 1) % len;
        if !self.is_split || self.next == 0 {
            self.time += self.step;
        }
        (&request.bytes, request.times.len() as u64, request.body_bytes)
    }
}

impl Request {
    fn new(series: Range<usize>, scrapes: usize, variant: usize) -> Self {
        let mut body = Vec::new();
        let mut times = Vec::new();
        for scrape in 0..scrapes {
            for number in series.clone() {
                body.push(if body.is_empty() { b'[' } else { b',' });
                write_metric(&mut body, number);
                let after = STEP_MILLIS * i64::try_from(scrape).expect("few");
                times.push((body.len(), after));
                body.extend_from_slice(&[b'0'; TIME_DIGITS]);
                // Whole numbers and decimals that go up and down by little.
                let value = (number * 7 + scrape + variant * 3) % 100;
                let tenths = number % 10;
                match number % 2 {
                    0 => write!(body, r#","type":"int","value":{value}"#),
                    _ => write!(body, r#","type":"float","value":{value}.{tenths}"#),
                }
                .expect("memory");
                write!(body, r#","unit":"{}"}}"#, UNITS[number % METRICS]).expect("memory");
            }
        }
        body.push(b']');
        let mut bytes = format!(
            "POST /V1.0/bench/metric-data HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        for (place, _) in &mut times {
            *place += bytes.len();
        }
        bytes.extend_from_slice(&body);
        Self { bytes, body_bytes: body.len() as u64, times }
    }
}

/// An item up to its time.
fn write_metric(body: &mut Vec<u8>, number: usize) {
    let (machine, metric) = (number / METRICS, number % METRICS);
    write!(
        body,
        r#"{{"metric":{{"namespace":"BENCH.HTTP","dimensions":[{{"name":"instance_id","value":"33328f02-3814-422e-b688-{machine:012}"}}],"metric_name":"metric_{metric}_of_machine"}},"ttl":172800,"collect_time":"#
    )
    .expect("memory");
}
