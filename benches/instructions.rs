//! Fixed pieces of work on the hot paths, for counting their instructions: `benches/instructions.sh` runs each under
//! callgrind and holds the counts against a budget. A count hardly depends on the machine and not at all on what else it
//! does, so a slow-down is seen where times are noise.
//!
//! Input: W1, one hour or one day of it, in a database in memory whose jobs run when they are called. Counted is what
//! [`measured`] calls, and nothing else.
#![allow(clippy::print_stdout, reason = "a bench prints what it did")]

#[path = "workloads/devops.rs"]
mod devops;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::{Builder, Db, Maintenance, ManualClock, SeriesKey, TimeRange, WriteBatch};

use devops::{Devops, SERIES, START, coin};

/// Scrapes of 1,000 series that are written before anything is counted.
const SCRAPES: u32 = 200;
const STEP: Duration = Duration::from_secs(10);

/// What is counted.
type Case = fn(&Store);

const CASES: [(&str, Case); 5] = [
    ("write", |store| {
        store.db.write(&store.next).expect("the batch is accepted");
    }),
    ("flush", |store| store.db.flush().expect("the store flushes")),
    ("merge", |store| store.db.compact().expect("the store compacts")),
    ("points", |store| {
        let points = store.db.points(&store.key, TimeRange::ALL).expect("the store answers");
        let read = points.map(|point| black_box(point.expect("it can be read"))).fold(0, |count, _| count + 1);
        assert_eq!(read, SCRAPES);
    }),
    ("windows", |store| {
        let windows = store.db.windows(&store.key, TimeRange::ALL, Duration::from_secs(300));
        assert_eq!(windows.expect("the store answers").len(), (SCRAPES as usize).div_ceil(30));
    }),
];

struct Store {
    db: Db,
    key: SeriesKey,
    /// A batch of ten scrapes more.
    next: WriteBatch,
}

/// IMPORTANT: never inlined, since callgrind knows it by its name.
#[inline(never)]
fn measured(case: Case, store: &Store) {
    case(store);
}

fn main() {
    let Some(name) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')) else {
        println!("{}", CASES.map(|(name, _)| name).join("\n"));
        return;
    };
    let (_, case) = *CASES.iter().find(|(each, _)| *each == name).expect("the name of a case");
    let clock = Arc::new(ManualClock::new(START + STEP * (SCRAPES + 10)));
    let db = Builder::in_memory().maintenance(Maintenance::Manual).clock(clock).open().expect("memory opens");
    let mut input = Devops::new(SERIES, coin).map(|(_, key, point)| (key, point));
    let key = Devops::new(SERIES, coin).next().expect("a series").1;
    for scrape in 0..SCRAPES {
        let batch: WriteBatch = input.by_ref().take(SERIES).collect();
        db.write(&batch).expect("the batch is accepted");
        // What is merged has to be several segments, and what is read is stored.
        if name != "write" && name != "flush" && scrape % (SCRAPES / 4) == SCRAPES / 4 - 1 {
            db.flush().expect("the store flushes");
        }
    }
    if name == "points" || name == "windows" {
        db.compact().expect("the store compacts");
    }
    let store = Store { db, key, next: input.take(10 * SERIES).collect() };
    if name == "points" || name == "windows" {
        // Who asks once asks again: what the first question reads is kept.
        case(&store);
    }
    measured(case, &store);
}
