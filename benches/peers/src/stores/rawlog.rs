//! A floor: resolves each point's name and appends 20 bytes for the point to one file.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::sync::Mutex;

use ebbtide::SeriesKey;

use super::names::{TextIds, id_of};
use super::{Batches, Kind, Sample, Setup, Store, float};

pub(super) const KIND: Kind = Kind {
    name: "rawlog",
    open: |setup| Box::new(RawLog::open(setup)),
    is_floor: true,
    syncs: true,
    unsynced: "in the operating system",
    synced: "fdatasync a batch",
    settings: "20 bytes a point, a write a batch to one growing file, no index, no names on disk",
};

struct RawLog {
    file: Mutex<(File, Vec<u8>)>,
    synced: bool,
}

impl RawLog {
    fn open(setup: &Setup<'_>) -> Self {
        let file = File::options().create(true).append(true).open(setup.dir.join("points"));
        Self { file: Mutex::new((file.expect("the folder is writable"), Vec::new())), synced: setup.synced }
    }
}

impl Store for RawLog {
    fn write(&self, batches: &mut Batches<'_>) {
        let mut ids = TextIds::default();
        for batch in batches {
            let mut guard = self.file.lock().expect("no writer panics");
            let (file, bytes) = &mut *guard;
            bytes.clear();
            for (key, point) in batch.iter() {
                bytes.extend_from_slice(&id_of(&mut ids, key).to_le_bytes());
                bytes.extend_from_slice(&point.time.as_millis().to_le_bytes());
                bytes.extend_from_slice(&float(point.value).to_le_bytes());
            }
            file.write_all(bytes).expect("the file takes it");
            if self.synced {
                file.sync_data().expect("the file is synced");
            }
        }
    }

    fn raw(&self, _: &SeriesKey, _: Range<i64>, _: &mut Vec<Sample>) {}

    fn latest(&self, _: &[SeriesKey]) -> Vec<Sample> {
        Vec::new()
    }

    fn expire(&self, _: i64) -> bool {
        false
    }

    fn close(self: Box<Self>) {}
}
