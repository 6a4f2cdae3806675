//! tsink, the other embedded time-series store of this language.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::SeriesKey;
use tsink::{
    Aggregation, DataPoint, Label, QueryOptions, Row, SeriesMatcher, SeriesSelection, Storage, StorageBuilder,
    TimestampPrecision, TsinkError, WalSyncMode,
};

use super::{Batches, Kind, Sample, Setup, Statistic, Store, float};

pub(super) const KIND: Kind = Kind {
    name: "tsink",
    open: |setup| Box::new(Tsink::open(setup)),
    is_floor: false,
    syncs: true,
    unsynced: "in the operating system (`Periodic` sync of 1 s)",
    synced: "fsync a batch (`PerAppend`)",
    settings: "defaults in ms, no retention; for W4 as many open partitions as three days have; W5 has the time to live as a label, which makes four series of one, and no unit",
};

/// Hours of three days, and some: the default of 8 refuses points that are later.
const LATE_PARTITIONS: usize = 80;

/// The times to live of W5, in s.
const TTLS: [i64; 4] = [3_600, 86_400, 172_800, 604_800];

struct Tsink {
    storage: Arc<dyn Storage>,
    expiring: bool,
}

impl Tsink {
    fn open(setup: &Setup<'_>) -> Self {
        let sync = if setup.synced { WalSyncMode::PerAppend } else { WalSyncMode::Periodic(Duration::from_secs(1)) };
        let mut builder = StorageBuilder::new()
            .with_data_path(setup.dir.join("tsink"))
            .with_timestamp_precision(TimestampPrecision::Milliseconds)
            .with_retention_enforced(false)
            .with_wal_sync_mode(sync);
        if setup.workload == "W4" {
            builder = builder.with_max_active_partition_heads_per_series(LATE_PARTITIONS);
        }
        Self { storage: builder.build().expect("the store opens"), expiring: setup.expiring() }
    }

    fn select(&self, key: &SeriesKey, labels: &[Label], range: &Range<i64>, out: &mut Vec<Sample>) {
        let points = found(self.storage.select(key.metric(), labels, range.start, range.end));
        out.extend(points.iter().map(sample));
    }
}

fn ttl_label(ttl: i64) -> Label {
    Label::new("ttl", ttl.to_string())
}

fn labels(key: &SeriesKey) -> Vec<Label> {
    key.dimensions().map(|dimension| Label::new(dimension.name, dimension.value)).collect()
}

/// An answer of no points is an error there.
fn found(answer: Result<Vec<DataPoint>, TsinkError>) -> Vec<DataPoint> {
    match answer {
        Ok(points) => points,
        Err(TsinkError::NoDataPoints { .. }) => Vec::new(),
        Err(error) => panic!("the store answers: {error}"),
    }
}

fn sample(point: &DataPoint) -> Sample {
    (point.timestamp, point.value_as_f64().expect("only numbers were written"))
}

impl Store for Tsink {
    fn write(&self, batches: &mut Batches<'_>) {
        let mut rows = Vec::new();
        for batch in batches {
            rows.clear();
            rows.extend(batch.iter().map(|(key, point)| {
                let value = DataPoint::new(point.time.as_millis(), float(point.value));
                let mut labels = labels(key);
                if let Some(expiry) = point.expires_at.filter(|_| self.expiring) {
                    labels.push(ttl_label((expiry.as_millis() - point.time.as_millis()) / 1_000));
                }
                Row::with_labels(key.metric(), labels, value)
            }));
            self.storage.insert_rows(&rows).expect("the store takes it");
        }
    }

    fn raw(&self, key: &SeriesKey, range: Range<i64>, out: &mut Vec<Sample>) {
        let labels = labels(key);
        if !self.expiring {
            return self.select(key, &labels, &range, out);
        }
        for ttl in TTLS {
            let labels: Vec<Label> = labels.iter().cloned().chain([ttl_label(ttl)]).collect();
            self.select(key, &labels, &range, out);
        }
        out.sort_by_key(|point| point.0);
    }

    fn windows(&self, keys: &[SeriesKey], range: Range<i64>, period: i64, statistic: Statistic) -> Vec<f64> {
        let aggregation = if statistic == Statistic::Average { Aggregation::Avg } else { Aggregation::Max };
        let options = QueryOptions::new(range.start, range.end).with_downsample(period, aggregation);
        let mut out = Vec::new();
        for key in keys {
            let windows = self.storage.select_with_options(key.metric(), options.clone().with_labels(labels(key)));
            out.extend(found(windows).iter().map(|window| sample(window).1));
        }
        out
    }

    fn latest(&self, keys: &[SeriesKey]) -> Vec<Sample> {
        let last = QueryOptions::new(i64::MIN + 1, i64::MAX).with_aggregation(Aggregation::Last);
        let one = |key: &SeriesKey| {
            let answer = self.storage.select_with_options(key.metric(), last.clone().with_labels(labels(key)));
            found(answer).last().map(sample)
        };
        keys.iter().filter_map(one).collect()
    }

    fn expire(&self, now: i64) -> bool {
        for ttl in TTLS {
            let dead = SeriesSelection::new().with_matcher(SeriesMatcher::equal("ttl", ttl.to_string()));
            let dead = dead.with_time_range(0, now - ttl * 1_000 + 1);
            self.storage.delete_series(&dead).expect("the store deletes");
        }
        true
    }

    fn close(self: Box<Self>) {
        self.storage.close().expect("the store closes");
    }
}
