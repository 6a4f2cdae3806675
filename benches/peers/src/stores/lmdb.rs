//! A key per point in LMDB.

use std::ops::Bound;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};

use super::kv::{Key, Kv, Ordered, Record, sample};
use super::{Kind, Sample, Setup};

pub(super) const KIND: Kind = Kind {
    name: "lmdb",
    open: |setup| Box::new(Kv::new(Lmdb::open(setup))),
    is_floor: false,
    syncs: true,
    unsynced: "in the operating system (`NO_SYNC`, `WRITE_MAP`)",
    synced: "fdatasync a batch",
    settings: "map of 64 GiB, a transaction a batch",
};

const MAP_BYTES: usize = 64 << 30;

struct Lmdb {
    env: Env,
    points: Database<'static, Bytes, Bytes>,
    names: Database<'static, Bytes, Bytes>,
}

impl Lmdb {
    #[allow(unsafe_code, reason = "heed marks opening as unsafe: a mapped file must not change under it")]
    fn open(setup: &Setup<'_>) -> Self {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(2);
        if !setup.synced {
            // SAFETY: what these flags put at risk is the file after a crash of the system, which this bench discards.
            unsafe { options.flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP) };
        }
        // SAFETY: the folder belongs to this run; one process at a time opens the file, once, and nobody else writes it.
        let env = unsafe { options.open(setup.dir) }.expect("the store opens");
        let transaction = env.write_txn().expect("the store takes writers");
        let databases = env.create_databases_and_commit(transaction, |opener, transaction| {
            let points: Database<'_, Bytes, Bytes> = opener.create_database(transaction, Some("points"))?;
            let names: Database<'_, Bytes, Bytes> = opener.create_database(transaction, Some("names"))?;
            heed::Result::Ok(CommitOrAbort::<_, ()>::Commit((points, names)))
        });
        let (points, names) = databases.expect("the databases open").unwrap_commit();
        Self { env, points, names }
    }
}

impl Ordered for Lmdb {
    fn put(&self, points: &mut dyn Iterator<Item = (Key, Record)>, names: &[(u32, String)]) {
        let mut transaction = self.env.write_txn().expect("the store takes writers");
        for (key, record) in points {
            self.points.put(&mut transaction, &key, record.bytes()).expect("the store takes it");
        }
        for (id, name) in names {
            self.names.put(&mut transaction, &id.to_be_bytes(), name.as_bytes()).expect("the store takes it");
        }
        transaction.commit().expect("the store commits");
    }

    fn names(&self) -> Vec<(u32, String)> {
        let transaction = self.env.read_txn().expect("the store takes readers");
        let names = self.names.iter(&transaction).expect("the store answers");
        names.map(|record| record.expect("the store answers")).map(|(id, name)| super::kv::name(id, name)).collect()
    }

    fn scan(&self, from: &Key, to: &Key, out: &mut Vec<Sample>) {
        let transaction = self.env.read_txn().expect("the store takes readers");
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let records = self.points.range(&transaction, &range).expect("the store answers");
        out.extend(records.map(|record| record.expect("the store answers")).map(|(key, value)| sample(key, value)));
    }

    fn last(&self, from: &Key, to: &Key) -> Option<Sample> {
        let transaction = self.env.read_txn().expect("the store takes readers");
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let (key, value) =
            self.points.rev_range(&transaction, &range).expect("the store answers").next()?.expect("the store answers");
        Some(sample(key, value))
    }

    fn each(&self, see: &mut dyn FnMut(&[u8], &[u8])) {
        let transaction = self.env.read_txn().expect("the store takes readers");
        for record in self.points.iter(&transaction).expect("the store answers") {
            let (key, value) = record.expect("the store answers");
            see(key, value);
        }
    }

    fn remove(&self, keys: &[Key]) {
        let mut transaction = self.env.write_txn().expect("the store takes writers");
        for key in keys {
            self.points.delete(&mut transaction, key).expect("the store takes it");
        }
        transaction.commit().expect("the store commits");
    }

    fn reclaim(&self) {
        self.flush();
    }

    fn flush(&self) {
        self.env.force_sync().expect("the store syncs");
    }

    fn close(self) {}
}
