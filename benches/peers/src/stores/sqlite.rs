//! A row per point in `SQLite`, clustered by series and time.

use std::ops::Range;
use std::sync::Mutex;

use ebbtide::{SeriesKey, Value};
use rusqlite::{Connection, params};

use super::kv::unit_number;
use super::names::Names;
use super::{Batches, CACHE_BYTES, Kind, Sample, Setup, Statistic, Store};

pub(super) const KIND: Kind = Kind {
    name: "sqlite",
    open: |setup| Box::new(Sqlite::open(setup)),
    is_floor: false,
    syncs: true,
    unsynced: "in the operating system (`synchronous=OFF`)",
    synced: "fdatasync a batch (WAL, `synchronous=FULL`)",
    settings: "WAL, cache 256 MiB, `WITHOUT ROWID`, a transaction a batch, prepared statements",
};

const INSERT: &str = "INSERT OR REPLACE INTO points VALUES (?, ?, ?)";
const INSERT_EXPIRING: &str = "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)";

struct Sqlite {
    connection: Mutex<Connection>,
    names: Names,
    expiring: bool,
}

impl Sqlite {
    fn open(setup: &Setup<'_>) -> Self {
        let connection = Connection::open(setup.dir.join("sqlite.db")).expect("the store opens");
        let pragmas = format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous={}; PRAGMA cache_size=-{};",
            if setup.synced { "FULL" } else { "OFF" },
            CACHE_BYTES >> 10,
        );
        let rest = if setup.expiring() { ", expiry INTEGER, unit INTEGER" } else { "" };
        let tables = format!(
            "CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, name TEXT);
             CREATE TABLE IF NOT EXISTS points
             (series INTEGER, time INTEGER, value {rest}, PRIMARY KEY (series, time)) WITHOUT ROWID;"
        );
        connection.execute_batch(&(pragmas + &tables)).expect("the tables are made");
        let names = {
            let mut query = connection.prepare("SELECT id, name FROM names").expect("a valid query");
            let names = query.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).expect("the store answers");
            Names::load(names.map(|name| name.expect("the store answers")))
        };
        Self { connection: Mutex::new(connection), names, expiring: setup.expiring() }
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
        work(&self.connection.lock().expect("nobody panics")).expect("the store answers")
    }
}

fn number(value: rusqlite::types::ValueRef<'_>) -> rusqlite::Result<f64> {
    match value {
        rusqlite::types::ValueRef::Integer(int) => Ok(int as f64),
        other => Ok(other.as_f64()?),
    }
}

impl Store for Sqlite {
    fn write(&self, batches: &mut Batches<'_>) {
        for batch in batches {
            let (ids, new) = self.names.resolve(&batch);
            let mut connection = self.connection.lock().expect("nobody panics");
            let transaction = connection.transaction().expect("the store takes writers");
            {
                let text = if self.expiring { INSERT_EXPIRING } else { INSERT };
                let mut insert = transaction.prepare_cached(text).expect("a valid statement");
                for ((_, point), id) in batch.iter().zip(ids) {
                    let time = point.time.as_millis();
                    let value = match point.value {
                        Value::Int(int) => rusqlite::types::Value::Integer(int),
                        Value::Float(float) => rusqlite::types::Value::Real(float),
                    };
                    let done = match point.expires_at.filter(|_| self.expiring) {
                        Some(expiry) => {
                            insert.execute(params![id, time, value, expiry.as_millis(), unit_number(point)])
                        }
                        None => insert.execute(params![id, time, value]),
                    };
                    done.expect("the store takes it");
                }
                for (id, name) in &new {
                    transaction.execute("INSERT INTO names VALUES (?, ?)", params![id, name]).expect("a new name");
                }
            }
            transaction.commit().expect("the store commits");
        }
    }

    fn flush(&self) {
        self.with(|connection| connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    }

    fn raw(&self, key: &SeriesKey, range: Range<i64>, out: &mut Vec<Sample>) {
        let id = self.names.get(key);
        self.with(|connection| {
            let text = "SELECT time, value FROM points WHERE series = ? AND time >= ? AND time < ? ORDER BY time";
            let mut query = connection.prepare_cached(text)?;
            let mut rows = query.query(params![id, range.start, range.end])?;
            while let Some(row) = rows.next()? {
                out.push((row.get(0)?, number(row.get_ref(1)?)?));
            }
            Ok(())
        });
    }

    fn windows(&self, keys: &[SeriesKey], range: Range<i64>, period: i64, statistic: Statistic) -> Vec<f64> {
        let function = if statistic == Statistic::Average { "avg" } else { "max" };
        let text = format!(
            "SELECT (time - ?4) / ?5, {function}(value) FROM points
             WHERE series = ?1 AND time >= ?2 AND time < ?3 GROUP BY 1 ORDER BY 1"
        );
        let mut out = Vec::new();
        self.with(|connection| {
            let mut query = connection.prepare_cached(&text)?;
            for key in keys {
                let id = self.names.get(key);
                let mut rows = query.query(params![id, range.start, range.end, range.start, period])?;
                while let Some(row) = rows.next()? {
                    out.push(number(row.get_ref(1)?)?);
                }
            }
            Ok(())
        });
        out
    }

    fn latest(&self, keys: &[SeriesKey]) -> Vec<Sample> {
        self.with(|connection| {
            let text = "SELECT time, value FROM points WHERE series = ? ORDER BY time DESC LIMIT 1";
            let mut query = connection.prepare_cached(text)?;
            let one = |key| query.query_row([self.names.get(key)], |row| Ok((row.get(0)?, number(row.get_ref(1)?)?)));
            keys.iter().map(one).collect()
        })
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
