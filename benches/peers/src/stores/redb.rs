//! A key per point in redb.

use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::kv::{Key, Kv, Ordered, Record, sample};
use super::{CACHE_BYTES, Kind, Sample, Setup};

pub(super) const KIND: Kind = Kind {
    name: "redb",
    open: |setup| Box::new(Kv::new(Redb::open(setup))),
    is_floor: false,
    syncs: true,
    unsynced: "in memory (`Durability::None`)",
    synced: "fdatasync a batch (`Durability::Immediate`)",
    settings: "cache 256 MiB, otherwise defaults; a transaction a batch; compacted before its size is taken",
};

const POINTS: TableDefinition<'_, &Key, &[u8]> = TableDefinition::new("points");
const NAMES: TableDefinition<'_, &[u8; 4], &[u8]> = TableDefinition::new("names");

struct Redb {
    db: Database,
    durability: Durability,
}

impl Redb {
    fn open(setup: &Setup<'_>) -> Self {
        let db = Builder::new().set_cache_size(CACHE_BYTES).create(setup.dir.join("redb")).expect("the store opens");
        let redb = Self { db, durability: if setup.synced { Durability::Immediate } else { Durability::None } };
        // Making the tables is no part of the first batch.
        redb.change(Durability::Immediate, &mut std::iter::empty(), &[], &[]);
        redb
    }

    fn change(
        &self,
        durability: Durability,
        points: &mut dyn Iterator<Item = (Key, Record)>,
        names: &[(u32, String)],
        removed: &[Key],
    ) {
        let mut transaction = self.db.begin_write().expect("the store takes writers");
        transaction.set_durability(durability).expect("no savepoint was made");
        {
            let mut table = transaction.open_table(POINTS).expect("the table opens");
            points.for_each(|(key, record)| drop(table.insert(&key, record.bytes()).expect("the store takes it")));
            for key in removed {
                table.remove(key).expect("the store takes it");
            }
        }
        if !names.is_empty() || matches!(durability, Durability::Immediate) {
            let mut table = transaction.open_table(NAMES).expect("the table opens");
            for (id, name) in names {
                table.insert(&id.to_be_bytes(), name.as_bytes()).expect("the store takes it");
            }
        }
        transaction.commit().expect("the store commits");
    }
}

impl Ordered for Redb {
    fn put(&self, points: &mut dyn Iterator<Item = (Key, Record)>, names: &[(u32, String)]) {
        self.change(self.durability, points, names, &[]);
    }

    fn names(&self) -> Vec<(u32, String)> {
        let transaction = self.db.begin_read().expect("the store takes readers");
        let table = transaction.open_table(NAMES).expect("the table opens");
        let names = table.iter().expect("the store answers").map(|record| record.expect("the store answers"));
        names.map(|(id, name)| super::kv::name(id.value(), name.value())).collect()
    }

    fn scan(&self, from: &Key, to: &Key, out: &mut Vec<Sample>) {
        let transaction = self.db.begin_read().expect("the store takes readers");
        let table = transaction.open_table(POINTS).expect("the table opens");
        for record in table.range::<&Key>(from..to).expect("the store answers") {
            let (key, value) = record.expect("the store answers");
            out.push(sample(key.value(), value.value()));
        }
    }

    fn last(&self, from: &Key, to: &Key) -> Option<Sample> {
        let transaction = self.db.begin_read().expect("the store takes readers");
        let table = transaction.open_table(POINTS).expect("the table opens");
        let (key, value) =
            table.range::<&Key>(from..to).expect("the store answers").next_back()?.expect("the store answers");
        Some(sample(key.value(), value.value()))
    }

    fn each(&self, see: &mut dyn FnMut(&[u8], &[u8])) {
        let transaction = self.db.begin_read().expect("the store takes readers");
        let table = transaction.open_table(POINTS).expect("the table opens");
        for record in table.iter().expect("the store answers") {
            let (key, value) = record.expect("the store answers");
            see(key.value(), value.value());
        }
    }

    fn remove(&self, keys: &[Key]) {
        self.change(Durability::None, &mut std::iter::empty(), &[], keys);
    }

    fn reclaim(&self) {
        self.flush();
    }

    fn flush(&self) {
        self.change(Durability::Immediate, &mut std::iter::empty(), &[], &[]);
    }

    fn compact(&mut self) {
        self.db.compact().expect("the store compacts");
    }

    fn close(self) {}
}
