//! A row per point in `DuckDB`, a column store.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use duckdb::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, UInt8Array, UInt32Array};
use duckdb::{Config, Connection, params};
use ebbtide::{SeriesKey, Timestamp, WriteBatch};

use super::kv::unit_number;
use super::names::Names;
use super::{Batches, Kind, Sample, Setup, Statistic, Store, float};

pub(super) const KIND: Kind = Kind {
    name: "duckdb",
    open: |setup| Box::new(Duck::open(setup)),
    is_floor: false,
    syncs: true,
    unsynced: "in memory, one transaction for all (it cannot commit without a sync)",
    synced: "a transaction a batch, its log synced",
    settings: "two threads, otherwise defaults; the appender fed with columns, a connection a writer; no index",
};

struct Duck {
    connection: Mutex<Connection>,
    names: Names,
    synced: bool,
    expiring: bool,
}

impl Duck {
    fn open(setup: &Setup<'_>) -> Self {
        let config = Config::default().threads(2).expect("a valid setting");
        let connection = Connection::open_with_flags(setup.dir.join("duck.db"), config).expect("the store opens");
        let rest = if setup.expiring() { ", expiry BIGINT, unit UTINYINT" } else { "" };
        let tables = format!(
            "CREATE TABLE IF NOT EXISTS names (id UINTEGER, name VARCHAR);
             CREATE TABLE IF NOT EXISTS points (series UINTEGER, time BIGINT, value DOUBLE {rest});"
        );
        connection.execute_batch(&tables).expect("the tables are made");
        let names = {
            let mut query = connection.prepare("SELECT id, name FROM names").expect("a valid query");
            let names = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("the store answers");
            Names::load(names.map(|name| name.expect("the store answers")))
        };
        Self { connection: Mutex::new(connection), names, synced: setup.synced, expiring: setup.expiring() }
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> duckdb::Result<T>) -> T {
        work(&self.connection.lock().expect("nobody panics")).expect("the store answers")
    }

    fn columns(&self, batch: &WriteBatch, ids: Vec<u32>) -> RecordBatch {
        let times = batch.iter().map(|(_, point)| point.time.as_millis());
        let values = batch.iter().map(|(_, point)| float(point.value));
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("series", Arc::new(UInt32Array::from(ids))),
            ("time", Arc::new(Int64Array::from_iter_values(times))),
            ("value", Arc::new(Float64Array::from_iter_values(values))),
        ];
        if self.expiring {
            let expiries = batch.iter().map(|(_, point)| point.expires_at.map(Timestamp::as_millis));
            let units = batch.iter().map(|(_, point)| unit_number(point));
            columns.push(("expiry", Arc::new(expiries.collect::<Int64Array>())));
            columns.push(("unit", Arc::new(UInt8Array::from_iter_values(units))));
        }
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    }
}

/// Ids as a list in SQL.
fn list(ids: impl Iterator<Item = u32>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

impl Store for Duck {
    fn write(&self, batches: &mut Batches<'_>) {
        let connection = self.connection.lock().expect("nobody panics").try_clone().expect("another connection");
        let sql = |text| connection.execute_batch(text).expect("the store takes it");
        if !self.synced {
            sql("BEGIN");
        }
        {
            let mut points = connection.appender("points").expect("the table is there");
            let mut names = connection.appender("names").expect("the table is there");
            for batch in batches {
                let (ids, new) = self.names.resolve(&batch);
                if self.synced {
                    sql("BEGIN");
                }
                names.append_rows(new.iter().map(|(id, name)| (id, name))).expect("the store takes it");
                points.append_record_batch(self.columns(&batch, ids)).expect("the store takes it");
                if self.synced {
                    if !new.is_empty() {
                        names.flush().expect("the store takes it");
                    }
                    points.flush().expect("the store takes it");
                    sql("COMMIT");
                }
            }
            names.flush().expect("the store takes it");
            points.flush().expect("the store takes it");
        }
        if !self.synced {
            sql("COMMIT");
        }
    }

    fn flush(&self) {
        self.with(|connection| connection.execute_batch("CHECKPOINT"));
    }

    fn raw(&self, key: &SeriesKey, range: Range<i64>, out: &mut Vec<Sample>) {
        let id = self.names.get(key);
        self.with(|connection| {
            let text = "SELECT time, value FROM points WHERE series = ? AND time >= ? AND time < ? ORDER BY time";
            let mut query = connection.prepare_cached(text)?;
            let mut rows = query.query(params![id, range.start, range.end])?;
            while let Some(row) = rows.next()? {
                out.push((row.get(0)?, row.get(1)?));
            }
            Ok(())
        });
    }

    fn windows(&self, keys: &[SeriesKey], range: Range<i64>, period: i64, statistic: Statistic) -> Vec<f64> {
        let function = if statistic == Statistic::Average { "avg" } else { "max" };
        let ids: Vec<u32> = keys.iter().map(|key| self.names.get(key)).collect();
        let text = format!(
            "SELECT series, (time - {start}) // {period} AS w, {function}(value) FROM points
             WHERE series IN ({ids}) AND time >= {start} AND time < {end} GROUP BY ALL ORDER BY series, w",
            start = range.start,
            end = range.end,
            ids = list(ids.iter().copied()),
        );
        let rows: Vec<f64> = self.with(|connection| {
            let mut query = connection.prepare_cached(&text)?;
            query.query_map([], |row| row.get(2))?.collect()
        });
        // Numbers of series are given as they appear, so their order is that of the keys here.
        assert!(ids.is_sorted(), "series are asked for in the order of their numbers");
        rows
    }

    fn latest(&self, keys: &[SeriesKey]) -> Vec<Sample> {
        let ids: Vec<u32> = keys.iter().map(|key| self.names.get(key)).collect();
        let text = format!(
            "SELECT series, max(time), arg_max(value, time) FROM points WHERE series IN ({}) GROUP BY series",
            list(ids.iter().copied())
        );
        let mut found: HashMap<u32, Sample> = self.with(|connection| {
            let mut query = connection.prepare_cached(&text)?;
            query.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
        });
        // Asked for in key order, found in any.
        ids.iter().filter_map(|id| found.remove(id)).collect()
    }

    fn expire(&self, now: i64) -> bool {
        self.with(|connection| connection.execute("DELETE FROM points WHERE expiry <= ?", [now]));
        self.flush();
        true
    }

    fn close(self: Box<Self>) {
        let connection = self.connection.into_inner().expect("nobody panics");
        connection.close().map_err(|(_, error)| error).expect("the store closes");
    }
}
