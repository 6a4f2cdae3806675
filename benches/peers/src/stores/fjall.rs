//! A key per point in fjall.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::kv::{Key, Kv, Ordered, Record, sample};
use super::{CACHE_BYTES, Kind, Sample, Setup};

pub(super) const KIND: Kind = Kind {
    name: "fjall",
    open: |setup| Box::new(Kv::new(Fjall::open(setup))),
    is_floor: false,
    syncs: true,
    unsynced: "in the operating system",
    synced: "fdatasync a batch (`SyncData`)",
    settings: "cache 256 MiB, otherwise defaults (LZ4); atomic batches; compacted whole before its size is taken",
};

struct Fjall {
    db: Database,
    points: Keyspace,
    names: Keyspace,
    synced: bool,
}

impl Fjall {
    fn open(setup: &Setup<'_>) -> Self {
        let db = Database::builder(setup.dir.join("fjall")).cache_size(CACHE_BYTES as u64).open();
        let db = db.expect("the store opens");
        let keyspace = |name| db.keyspace(name, KeyspaceCreateOptions::default).expect("the keyspace opens");
        Self { points: keyspace("points"), names: keyspace("names"), synced: setup.synced, db }
    }
}

impl Ordered for Fjall {
    fn put(&self, points: &mut dyn Iterator<Item = (Key, Record)>, names: &[(u32, String)]) {
        let mut batch = self.db.batch().durability(self.synced.then_some(PersistMode::SyncData));
        points.for_each(|(key, record)| batch.insert(&self.points, key, record.bytes()));
        for (id, name) in names {
            batch.insert(&self.names, id.to_be_bytes(), name.as_bytes());
        }
        batch.commit().expect("the store takes it");
    }

    fn names(&self) -> Vec<(u32, String)> {
        let names = self.names.iter().map(|record| record.into_inner().expect("the store answers"));
        names.map(|(id, name)| super::kv::name(&id, &name)).collect()
    }

    fn scan(&self, from: &Key, to: &Key, out: &mut Vec<Sample>) {
        let records =
            self.points.range(&from[..]..&to[..]).map(|record| record.into_inner().expect("the store answers"));
        out.extend(records.map(|(key, value)| sample(&key, &value)));
    }

    fn last(&self, from: &Key, to: &Key) -> Option<Sample> {
        let (key, value) = self.points.range(&from[..]..&to[..]).next_back()?.into_inner().expect("the store answers");
        Some(sample(&key, &value))
    }

    fn each(&self, see: &mut dyn FnMut(&[u8], &[u8])) {
        for record in self.points.iter() {
            let (key, value) = record.into_inner().expect("the store answers");
            see(&key, &value);
        }
    }

    fn remove(&self, keys: &[Key]) {
        let mut batch = self.db.batch();
        for key in keys {
            batch.remove(&self.points, key);
        }
        batch.commit().expect("the store takes it");
    }

    fn reclaim(&self) {
        self.flush();
        self.points.major_compact().expect("the store compacts");
    }

    fn flush(&self) {
        for keyspace in [&self.points, &self.names] {
            keyspace.rotate_memtable_and_wait().expect("the store flushes");
        }
    }

    fn compact(&mut self) {
        self.points.major_compact().expect("the store compacts");
    }

    fn close(self) {
        self.db.persist(PersistMode::SyncAll).expect("the store syncs");
    }
}
