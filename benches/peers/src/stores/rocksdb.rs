//! A key per point in `RocksDB`.

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, Options, ReadOptions};
use rocksdb::{WriteBatch, WriteOptions};

use super::kv::{Key, Kv, Ordered, Record, sample};
use super::{CACHE_BYTES, Kind, Sample, Setup};

pub(super) const KIND: Kind = Kind {
    name: "rocksdb",
    open: |setup| Box::new(Kv::new(Rocks::open(setup))),
    is_floor: false,
    syncs: true,
    unsynced: "in the operating system",
    synced: "fdatasync a batch, shared by concurrent writers (`sync`)",
    settings: "block cache 256 MiB, LZ4, two background threads; compacted whole before its size is taken",
};

const POINTS: &str = "points";
const NAMES: &str = "names";

struct Rocks {
    db: DB,
    write: WriteOptions,
}

impl Rocks {
    fn open(setup: &Setup<'_>) -> Self {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.increase_parallelism(2);
        options.set_compression_type(DBCompressionType::Lz4);
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
        options.set_block_based_table_factory(&blocks);
        let families = [(POINTS, options.clone()), (NAMES, options.clone())];
        let db = DB::open_cf_with_opts(&options, setup.dir.join("rocksdb"), families).expect("the store opens");
        let mut write = WriteOptions::default();
        write.set_sync(setup.synced);
        Self { db, write }
    }

    fn family(&self, name: &str) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(name).expect("the family was opened")
    }

    fn between(from: &Key, to: &Key) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        options
    }
}

impl Ordered for Rocks {
    fn put(&self, points: &mut dyn Iterator<Item = (Key, Record)>, names: &[(u32, String)]) {
        let mut batch = WriteBatch::default();
        let family = self.family(POINTS);
        points.for_each(|(key, record)| batch.put_cf(family, key, record.bytes()));
        for (id, name) in names {
            batch.put_cf(self.family(NAMES), id.to_be_bytes(), name);
        }
        self.db.write_opt(batch, &self.write).expect("the store takes it");
    }

    fn names(&self) -> Vec<(u32, String)> {
        let names = self.db.iterator_cf(self.family(NAMES), IteratorMode::Start);
        names.map(|record| record.expect("the store answers")).map(|(id, name)| super::kv::name(&id, &name)).collect()
    }

    fn scan(&self, from: &Key, to: &Key, out: &mut Vec<Sample>) {
        let mut records = self.db.raw_iterator_cf_opt(self.family(POINTS), Self::between(from, to));
        records.seek_to_first();
        while let Some((key, value)) = records.item() {
            out.push(sample(key, value));
            records.next();
        }
        records.status().expect("the store answers");
    }

    fn last(&self, from: &Key, to: &Key) -> Option<Sample> {
        let mut records = self.db.raw_iterator_cf_opt(self.family(POINTS), Self::between(from, to));
        records.seek_to_last();
        records.item().map(|(key, value)| sample(key, value))
    }

    fn each(&self, see: &mut dyn FnMut(&[u8], &[u8])) {
        for record in self.db.iterator_cf(self.family(POINTS), IteratorMode::From(&[], Direction::Forward)) {
            let (key, value) = record.expect("the store answers");
            see(&key, &value);
        }
    }

    fn remove(&self, keys: &[Key]) {
        let mut batch = WriteBatch::default();
        let family = self.family(POINTS);
        for key in keys {
            batch.delete_cf(family, key);
        }
        self.db.write_opt(batch, &self.write).expect("the store takes it");
    }

    fn reclaim(&self) {
        self.flush();
        self.db.compact_range_cf(self.family(POINTS), None::<&[u8]>, None::<&[u8]>);
    }

    fn flush(&self) {
        for name in [POINTS, NAMES] {
            self.db.flush_cf(self.family(name)).expect("the store flushes");
        }
    }

    fn compact(&mut self) {
        self.db.compact_range_cf(self.family(POINTS), None::<&[u8]>, None::<&[u8]>);
    }

    fn close(self) {
        self.flush();
    }
}
