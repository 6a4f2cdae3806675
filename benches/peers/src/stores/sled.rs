//! A key per point in sled.

use sled::{Batch, Config, Db, Tree};

use super::kv::{Key, Kv, Ordered, Record, sample};
use super::{CACHE_BYTES, Kind, Sample, Setup};

pub(super) const KIND: Kind = Kind {
    name: "sled",
    open: |setup| Box::new(Kv::new(Sled::open(setup))),
    is_floor: false,
    syncs: false,
    unsynced: "in memory, flushed every 500 ms",
    synced: "`flush` a batch, which does not sync the file to stable storage",
    settings: "cache 256 MiB, otherwise defaults; atomic batches",
};

struct Sled {
    db: Db,
    points: Tree,
    names: Tree,
    synced: bool,
}

impl Sled {
    fn open(setup: &Setup<'_>) -> Self {
        let db = Config::new().path(setup.dir.join("sled")).cache_capacity(CACHE_BYTES as u64).open();
        let db = db.expect("the store opens");
        let tree = |name| db.open_tree(name).expect("the tree opens");
        Self { points: tree("points"), names: tree("names"), synced: setup.synced, db }
    }
}

impl Ordered for Sled {
    fn put(&self, points: &mut dyn Iterator<Item = (Key, Record)>, names: &[(u32, String)]) {
        let mut batch = Batch::default();
        points.for_each(|(key, record)| batch.insert(&key, record.bytes()));
        for (id, name) in names {
            self.names.insert(id.to_be_bytes(), name.as_bytes()).expect("the store takes it");
        }
        self.points.apply_batch(batch).expect("the store takes it");
        if self.synced {
            self.db.flush().expect("the store flushes");
        }
    }

    fn names(&self) -> Vec<(u32, String)> {
        let names = self.names.iter().map(|record| record.expect("the store answers"));
        names.map(|(id, name)| super::kv::name(&id, &name)).collect()
    }

    fn scan(&self, from: &Key, to: &Key, out: &mut Vec<Sample>) {
        let records = self.points.range(&from[..]..&to[..]).map(|record| record.expect("the store answers"));
        out.extend(records.map(|(key, value)| sample(&key, &value)));
    }

    fn last(&self, from: &Key, to: &Key) -> Option<Sample> {
        let record = self.points.range(&from[..]..&to[..]).next_back()?.expect("the store answers");
        Some(sample(&record.0, &record.1))
    }

    fn each(&self, see: &mut dyn FnMut(&[u8], &[u8])) {
        for record in &self.points {
            let (key, value) = record.expect("the store answers");
            see(&key, &value);
        }
    }

    fn remove(&self, keys: &[Key]) {
        let mut batch = Batch::default();
        for key in keys {
            batch.remove(key);
        }
        self.points.apply_batch(batch).expect("the store takes it");
    }

    fn reclaim(&self) {
        self.flush();
    }

    fn flush(&self) {
        self.db.flush().expect("the store flushes");
    }

    fn close(self) {
        self.flush();
    }
}
