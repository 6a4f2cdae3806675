//! The stores that are compared, behind the smallest trait that the questions need. Each stands in a file of its own
//! with its settings; what all stores of keys and values do alike stands in `kv`.

mod ebbtide;
mod fjall;
mod kv;
mod lmdb;
mod names;
mod null;
mod rawlog;
mod redb;
mod sled;
mod sqlite;
mod tsink;

#[cfg(feature = "duckdb")]
mod duckdb;
#[cfg(feature = "rocksdb")]
mod rocksdb;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ::ebbtide::{SeriesKey, Value, WriteBatch};

/// What a store caches at most, where it can be told.
pub(crate) const CACHE_BYTES: usize = 256 << 20;

/// Batches on their way in. Whoever feeds them keeps them alive, so that no store pays for freeing them.
pub(crate) type Batches<'a> = dyn Iterator<Item = Arc<WriteBatch>> + 'a;

/// Time in ms and value.
pub(crate) type Sample = (i64, f64);

/// How a store is opened.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) dir: &'a Path,
    /// Whether each batch is on stable storage when it is acknowledged; otherwise nothing is synced.
    pub(crate) synced: bool,
    pub(crate) workload: &'a str,
    /// Where the clock of a store that asks for the time stands, in ms.
    pub(crate) now: i64,
}

impl Setup<'_> {
    /// Whether points bring an expiry and a unit.
    pub(crate) fn expiring(&self) -> bool {
        self.workload == "W5"
    }
}

/// What a window says.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    Average,
    Max,
}

pub(crate) trait Store: Sync {
    /// One writer: stores batch after batch; each is acknowledged when the next is asked for, the last on return.
    fn write(&self, batches: &mut Batches<'_>);

    /// Moves what was acknowledged from memory and log to where it stays.
    fn flush(&self) {}

    /// Brings the files to the smallest form that the store knows.
    fn compact(&mut self) {}

    /// Points of a series in a range of time, in order.
    fn raw(&self, key: &SeriesKey, range: Range<i64>, out: &mut Vec<Sample>);

    /// Of each series, the statistic of every window of the range that holds points. `range` starts with a window.
    fn windows(&self, keys: &[SeriesKey], range: Range<i64>, period: i64, statistic: Statistic) -> Vec<f64> {
        let (mut points, mut windows) = (Vec::new(), Vec::new());
        for key in keys {
            points.clear();
            self.raw(key, range.clone(), &mut points);
            fold(&points, range.start, period, statistic, &mut windows);
        }
        windows
    }

    /// The newest point of each series, in their order; they are all that the store has, in key order.
    fn latest(&self, keys: &[SeriesKey]) -> Vec<Sample>;

    /// Lets the time be `now`, in ms: what has expired goes, as far as the store can do that. `false` if it cannot.
    fn expire(&self, now: i64) -> bool;

    /// Numbers that only this store has.
    fn extras(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn close(self: Box<Self>);
}

/// Statistics of windows, from points in order of time.
pub(crate) fn fold(points: &[Sample], start: i64, period: i64, statistic: Statistic, out: &mut Vec<f64>) {
    for window in points.chunk_by(|a, b| (a.0 - start) / period == (b.0 - start) / period) {
        let values = window.iter().map(|point| point.1);
        out.push(match statistic {
            Statistic::Average => values.sum::<f64>() / window.len() as f64,
            Statistic::Max => values.fold(f64::NEG_INFINITY, f64::max),
        });
    }
}

pub(crate) fn float(value: Value) -> f64 {
    match value {
        Value::Float(float) => float,
        Value::Int(int) => int as f64,
    }
}

/// A store and how it is set up, for the table of durability.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) open: fn(&Setup<'_>) -> Box<dyn Store>,
    /// Floors keep nothing that could be asked for.
    pub(crate) is_floor: bool,
    /// Whether what it acknowledges as synced is on stable storage.
    pub(crate) syncs: bool,
    pub(crate) unsynced: &'static str,
    pub(crate) synced: &'static str,
    pub(crate) settings: &'static str,
}

pub(crate) const KINDS: &[Kind] = &[
    null::KIND,
    rawlog::KIND,
    ebbtide::KIND,
    tsink::KIND,
    sled::KIND,
    fjall::KIND,
    redb::KIND,
    sqlite::KIND,
    lmdb::KIND,
    #[cfg(feature = "rocksdb")]
    rocksdb::KIND,
    #[cfg(feature = "duckdb")]
    duckdb::KIND,
];

pub(crate) fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no store is called {name}"))
}
