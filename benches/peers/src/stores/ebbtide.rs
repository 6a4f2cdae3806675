//! Ebbtide, as a program would use it: default settings, maintenance in the background.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ebbtide::{
    Columns, Db, Durability, ErrorKind, Function, Maintenance, ManualClock, Selector, SeriesKey, TimeRange, Timestamp,
    WriteBatch,
};

use super::{Batches, Kind, Sample, Setup, Statistic, Store, float};

pub(super) const KIND: Kind = Kind {
    name: "ebbtide",
    open: |setup| Box::new(Ebbtide::open(setup)),
    is_floor: false,
    syncs: true,
    unsynced: "in the operating system (`Buffered`)",
    synced: "fdatasync, shared by concurrent writers (`Sync`)",
    settings: "defaults; partitions of 7 days for W2 and nab, else 1; windows of 5 minutes are kept beside the points",
};

/// Windows of the finest default tier for recorded data, which is old.
const OLD: [(Duration, Duration); 1] = [(Duration::from_secs(300), Duration::from_secs(100 * 366 * 86_400))];
const SERIES_MAX: u32 = 1_100_000;
const PAUSE: Duration = Duration::from_millis(1);

struct Ebbtide {
    db: Db,
    clock: Arc<ManualClock>,
    /// What a reader keeps from answer to answer.
    columns: Mutex<Columns>,
}

impl Ebbtide {
    fn open(setup: &Setup<'_>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(setup.now)));
        let durability = if setup.synced { Durability::Sync } else { Durability::Buffered };
        let days = if ["W2", "nab"].contains(&setup.workload) { 7 } else { 1 };
        let mut builder = Db::builder(setup.dir).durability(durability).clock(clock.clone()).partition_days(days);
        if !setup.workload.starts_with('W') {
            builder = builder.retention(OLD).store_non_finite(true);
        }
        let db = builder.maintenance(Maintenance::Background).series_max(SERIES_MAX).open();
        Self { db: db.expect("the store opens"), clock, columns: Mutex::default() }
    }

    /// Writes a batch, again when the store asks to come back later.
    fn write_one(&self, batch: &WriteBatch) {
        while let Err(error) = self.db.write(batch) {
            assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
            std::thread::sleep(PAUSE);
        }
    }
}

fn range_of(range: Range<i64>) -> TimeRange {
    TimeRange::new(Timestamp::from_millis(range.start), Timestamp::from_millis(range.end))
}

impl Store for Ebbtide {
    fn write(&self, batches: &mut Batches<'_>) {
        batches.for_each(|batch| self.write_one(&batch));
    }

    fn flush(&self) {
        self.db.flush().expect("the store flushes");
    }

    fn compact(&mut self) {
        self.db.compact().expect("the store compacts");
    }

    fn raw(&self, key: &SeriesKey, range: Range<i64>, out: &mut Vec<Sample>) {
        let mut columns = self.columns.lock().expect("no reader panics");
        self.db.read_into(key, range_of(range), &mut columns).expect("the store answers");
        assert!(columns.missing().is_empty(), "the store answers");
        out.extend(columns.iter().map(|(time, value)| (time.as_millis(), float(value))));
    }

    fn windows(&self, keys: &[SeriesKey], range: Range<i64>, period: i64, statistic: Statistic) -> Vec<f64> {
        let period = Duration::from_millis(period.unsigned_abs());
        let function = match statistic {
            Statistic::Average => Function::Average,
            Statistic::Max => Function::Max,
        };
        let mut out = Vec::new();
        for key in keys {
            let values = self.db.values(key, range_of(range.clone()), period, function);
            out.extend(values.expect("the store answers").iter().map(|(_, number)| number.to_f64()));
        }
        out
    }

    fn latest(&self, keys: &[SeriesKey]) -> Vec<Sample> {
        let latest = self.db.latest_of(&Selector::all()).expect("the store answers");
        debug_assert!(latest.iter().map(|(key, _)| key).eq(keys), "asked is for all of them");
        latest.iter().map(|(_, point)| (point.time.as_millis(), float(point.value))).collect()
    }

    fn expire(&self, now: i64) -> bool {
        self.clock.set(Timestamp::from_millis(now)).expect("time goes forward");
        self.db.maintain().expect("the store does what is due");
        true
    }

    fn extras(&self) -> Vec<(&'static str, f64)> {
        let stats = self.db.stats();
        let written = (stats.bytes_flushed + stats.bytes_rewritten) as f64;
        vec![("segments_written", written), ("window_bytes", stats.window_bytes as f64)]
    }

    fn close(self: Box<Self>) {
        self.db.close().expect("the store closes");
    }
}
