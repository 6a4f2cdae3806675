//! The catalogue in sled: blocks of neighbouring series under the name of their first, and one record that says what
//! they must add up to. The only file that names sled.
//!
//! NOTE: sled is not trusted. On damaged files it may open with records missing, or panic; its flush hands its file to
//! the system without an fsync; and it reads and writes files by itself, past [`Disk`]. So everything it gives is held
//! against a mark that the manifest keeps, every call into it may panic, and what is lost is written anew.

use std::cell::Cell;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::catalog::block::{self, Size};
use crate::catalog::change::{Blocks, Plan, Record, check, plan, plan_all};
use crate::catalog::name::{Stored, name_of, prefix};
use crate::catalog::store::{Loaded, Narrow};
use crate::codec::Malformed;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::model::limits::CATALOGS_SET_ASIDE_MAX;
use crate::model::segment::CatalogMark;
use crate::model::series::{SeriesId, SeriesKey};

/// sled's own cache. The store is read as a whole once, and a change touches a few blocks.
const CACHE_BYTES: u64 = 16 << 20;
/// Key of the mark; names do not start with a zero byte.
const MARK_KEY: &[u8] = &[0];
/// A file is written anew when it has become this many times as long as when it was new. A change that touches all
/// blocks doubles it, so this is every second one of such; a short file is left alone.
const GROWN: u64 = 3;
const REWRITE_BYTES_MIN: u64 = 4 << 20;
/// How much longer than its content a new file is, about.
const NEW_TO_CONTENT: u64 = 3;
/// What sled says when its file is locked.
const LOCKED: &str = "could not acquire lock";
/// How long and how often to wait for its own threads to let go of it: 5 s in all, where some milliseconds are usual.
const LOCK_RETRY: Duration = Duration::from_millis(5);
const LOCK_TRIES_MAX: usize = 1_000;
/// The folder in which sled keeps what does not fit its one file.
const BLOBS: &str = "blobs";

/// A catalogue in the folder `catalog` of a volume on the machine's own disk.
pub(crate) struct SledStore {
    /// For what sled does not do: looking, setting aside, removing.
    disk: Arc<dyn Disk>,
    volume: PathBuf,
    dir: PathBuf,
    size: Size,
    /// Open as long as everything in it adds up to this mark.
    open: Option<(Handle, CatalogMark)>,
    /// Whether what is in the folder is damaged, so that somebody may want to look at it.
    is_damaged: bool,
    /// The highest generation that was seen.
    generation: u64,
    /// On disk now, and when all of it was last written anew.
    bytes: u64,
    bytes_when_new: u64,
}

impl SledStore {
    /// The catalogue of the volume in this directory of `disk`, which is the machine's. Nothing is opened yet.
    pub(crate) fn new(disk: Arc<dyn Disk>, volume: &Path) -> Self {
        Self {
            disk,
            volume: volume.to_owned(),
            dir: volume.join(layout::CATALOG),
            size: Size::default(),
            open: None,
            is_damaged: false,
            generation: 0,
            bytes: 0,
            bytes_when_new: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn with_blocks_of(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// Opens what is there and reads all of it; none if nothing is there.
    fn read(&mut self, expected: &CatalogMark) -> Result<Option<Vec<(SeriesId, SeriesKey)>>> {
        match self.disk.list(&self.dir) {
            Ok(names) if names.is_empty() => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            names => names.map_err(|error| Error::io("list its files", error))?,
        };
        let handle = Handle::open(&self.dir)?;
        let All { mark, series, bytes } = handle.call(read_all)?;
        check(&series, mark)?;
        self.generation = self.generation.max(mark.generation);
        let keys = series.iter().map(|each| each.key().map(|key| (each.id, key)));
        let keys = keys.collect::<std::result::Result<_, _>>().map_err(corrupt)?;
        self.is_damaged = false;
        if mark != *expected {
            return Err(Error::corrupt(format!("it is of another moment: {mark:?}, expected {expected:?}")));
        }
        self.bytes = handle.call(|db| db.size_on_disk().map_err(told))?;
        self.bytes_when_new = bytes.saturating_mul(NEW_TO_CONTENT);
        self.open = Some((handle, mark));
        Ok(Some(keys))
    }

    /// Replaces what is there by these series.
    fn write_anew(&mut self, series: Vec<Stored>) -> Result<CatalogMark> {
        self.clear().map_err(|error| Error::io(format_args!("clear {}", self.dir.display()), error))?;
        self.is_damaged = false;
        let plan = plan_all(self.generation.saturating_add(1), self.size, series);
        self.open = Some((Handle::open(&self.dir)?, plan.mark));
        let mark = self.with(|db, _| write(db, plan))?;
        let synced = self.disk.sync_dir(&self.dir).and_then(|()| self.disk.sync_dir(&self.volume));
        synced.map_err(|error| Error::io(format_args!("sync the folder {}", self.dir.display()), error))?;
        self.bytes_when_new = self.bytes;
        Ok(mark)
    }

    /// Works with the open store, which after an error is open no more.
    fn with<T>(&mut self, work: impl FnOnce(&sled::Db, &mut CatalogMark) -> Result<T>) -> Result<T> {
        let Some((handle, mut mark)) = self.open.take() else {
            return Err(Error::corrupt(format!("{}: it is not open and has to be rebuilt", self.dir.display())));
        };
        let done = handle.call(|db| Ok((work(db, &mut mark)?, db.size_on_disk().map_err(told)?)));
        match done {
            Ok((value, bytes)) => {
                self.generation = self.generation.max(mark.generation);
                self.bytes = bytes;
                self.open = Some((handle, mark));
                Ok(value)
            }
            Err(error) => {
                self.is_damaged = error.is_corruption();
                Err(Error::because(error.kind(), self.dir.display(), &error))
            }
        }
    }

    /// Makes the folder empty: what is in it is set aside if it is damaged, and removed otherwise.
    fn clear(&mut self) -> io::Result<()> {
        self.open = None;
        if self.is_damaged && self.set_aside()? {
            return Ok(());
        }
        for dir in [self.dir.join(BLOBS), self.dir.clone()] {
            let names = match self.disk.list(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                names => names?,
            };
            for name in names.iter().filter(|name| *name != BLOBS) {
                self.disk.remove(&dir.join(name))?;
            }
            self.disk.sync_dir(&dir)?;
        }
        Ok(())
    }

    /// Moves the folder to quarantine, unless it is gone or there are enough already.
    fn set_aside(&self) -> io::Result<bool> {
        let quarantine = self.volume.join(layout::QUARANTINE);
        self.disk.create_dir_all(&quarantine)?;
        let taken = self.disk.list(&quarantine)?;
        let mut names = (1..=CATALOGS_SET_ASIDE_MAX).map(|number| format!("{}.{number}", layout::CATALOG));
        let Some(name) = names.find(|name| !taken.contains(name)) else { return Ok(false) };
        match self.disk.rename(&self.dir, &quarantine.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            renamed => renamed?,
        }
        self.disk.sync_dir(&quarantine)?;
        self.disk.sync_dir(&self.volume)?;
        tracing::warn!(dir = %self.dir.display(), name, "the stored catalogue is set aside in quarantine");
        Ok(true)
    }
}

impl SledStore {
    /// Reads all of it. Anything but an exact match with the mark is not given.
    pub(crate) fn load(&mut self, expected: &CatalogMark) -> Loaded {
        self.open = None;
        self.generation = self.generation.max(expected.generation);
        self.is_damaged = true;
        match self.read(expected) {
            Ok(Some(series)) => Loaded::Exact(series),
            Ok(None) => {
                self.is_damaged = false;
                Loaded::Absent
            }
            Err(error) => Loaded::Damaged(format!("{}: {error}", self.dir.display())),
        }
    }

    /// Takes series out and puts others in, in this order, and writes that down; gives what the store must hold from
    /// now on. A series that leaves is there, and one that comes is not. After an error the store has to be rebuilt.
    pub(crate) fn change(&mut self, added: &[(SeriesId, SeriesKey)], removed: &[SeriesKey]) -> Result<CatalogMark> {
        let size = self.size;
        let mark = self.with(|db, mark| {
            let plan = plan(&Tree(db), *mark, size, added, removed)?;
            *mark = plan.mark;
            write(db, plan)
        })?;
        if self.bytes <= REWRITE_BYTES_MIN.max(self.bytes_when_new.saturating_mul(GROWN)) {
            return Ok(mark);
        }
        // sled keeps what was overwritten until it has use for the place, four fifths of its file where names come in
        // random order.
        let all = self.with(|db, mark| {
            let all = read_all(db)?;
            // IMPORTANT: what sled has lost without a word must not be vouched for.
            check(&all.series, *mark)?;
            Ok(all)
        })?;
        self.write_anew(all.series)
    }

    /// Writes all of it anew, each series once, whatever was there before.
    pub(crate) fn rebuild(&mut self, all: &[(SeriesId, SeriesKey)]) -> Result<CatalogMark> {
        self.write_anew(all.iter().map(|(id, key)| Stored::new(*id, key)).collect())
    }

    /// Removes its files, if there are any.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.bytes = 0;
        self.clear().map_err(|error| Error::io(format_args!("clear {}", self.dir.display()), error))
    }

    /// Whether it is open, so that it can be changed and scanned.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The first stored series behind a key, in key order, of those with this namespace and metric.
    pub(crate) fn scan(
        &mut self,
        narrow: Narrow<'_>,
        after: Option<&SeriesKey>,
        count_max: usize,
    ) -> Result<Vec<(SeriesId, SeriesKey)>> {
        let prefix = match narrow {
            (None, _) => Vec::new(),
            (Some(namespace), None) => prefix(&[namespace]),
            (Some(namespace), Some(metric)) => prefix(&[namespace, metric]),
        };
        let after = after.map(name_of).unwrap_or_default();
        self.with(|db, _| found(&Tree(db), &prefix, &after, count_max))
    }

    /// What it takes on disk, in bytes, as of the last call that read or wrote.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// An open sled.
struct Handle {
    /// None once it is dropped.
    db: Option<sled::Db>,
    has_panicked: Cell<bool>,
}

impl Handle {
    fn open(dir: &Path) -> Result<Self> {
        // NOTE: the threads of sled are its own, and one of them may hold the lock for a moment after the last handle
        // was dropped. Nobody else does, as the volume has a lock of its own.
        let (nobody, moment) = (Mutex::new(()), Condvar::new());
        for _ in 0..LOCK_TRIES_MAX {
            let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
            match guarded(|| config.mode(sled::Mode::LowSpace).open().map_err(told)) {
                Err(error) if error.to_string().contains(LOCKED) => moment.wait_for(&mut nobody.lock(), LOCK_RETRY),
                opened => return Ok(Self { db: Some(opened?), has_panicked: Cell::new(false) }),
            };
        }
        Err(Error::new(ErrorKind::Io, "sled has not let go of its files"))
    }

    /// Calls into sled.
    fn call<T>(&self, work: impl FnOnce(&sled::Db) -> Result<T>) -> Result<T> {
        let db = self.db.as_ref().expect("it is dropped at the end only");
        let done = guarded(|| Ok(work(db)));
        self.has_panicked.set(done.is_err());
        done?
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let db = self.db.take();
        if self.has_panicked.get() {
            // NOTE: what a panic has left half-done must not be waited for, nor written.
            std::mem::forget(db);
        } else if let Err(error) = guarded(|| {
            drop(db);
            Ok(())
        }) {
            tracing::warn!(%error, "the stored catalogue was not closed well");
        }
    }
}

/// Does something in which sled may panic.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::corrupt(format!("sled panicked: {}", said.unwrap_or("without a word"))))
    })
}

fn told(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(error) => Error::io("sled", error),
        other => Error::corrupt(format!("sled: {other}")),
    }
}

fn corrupt(malformed: Malformed) -> Error {
    Error::corrupt(malformed.0)
}

/// All that is stored.
struct All {
    mark: CatalogMark,
    /// In order, if it is as it was written.
    series: Vec<Stored>,
    /// Length of all blocks.
    bytes: u64,
}

fn read_all(db: &sled::Db) -> Result<All> {
    let (mut mark, mut series, mut bytes) = (None, Vec::new(), 0);
    for record in db.iter() {
        let (key, block) = record.map_err(told)?;
        if key == MARK_KEY {
            mark = Some(block::decode_mark(MARK_KEY, &block).map_err(corrupt)?);
        } else {
            series.extend(block::decode(&key, &block).map_err(corrupt)?);
            bytes += (key.len() + block.len()) as u64;
        }
    }
    Ok(All { mark: mark.ok_or_else(|| Error::corrupt("its mark is missing"))?, series, bytes })
}

/// Writes a plan: all of it or, after a crash, nothing.
fn write(db: &sled::Db, plan: Plan) -> Result<CatalogMark> {
    let mut batch = sled::Batch::default();
    plan.drop.into_iter().for_each(|key| batch.remove(key));
    plan.put.into_iter().for_each(|(key, bytes)| batch.insert(key, bytes));
    batch.insert(MARK_KEY, block::encode_mark(MARK_KEY, &plan.mark));
    db.apply_batch(batch).map_err(told)?;
    db.flush().map_err(told)?;
    Ok(plan.mark)
}

/// The first series whose names start with `prefix` and lie behind `after`.
fn found(blocks: &Tree<'_>, prefix: &[u8], after: &[u8], count_max: usize) -> Result<Vec<(SeriesId, SeriesKey)>> {
    let start = after.max(prefix);
    let mut found = Vec::new();
    let mut next = match blocks.at_or_before(start)? {
        Some(block) => Some(block),
        None => blocks.after(MARK_KEY)?,
    };
    while let Some((key, bytes)) = next {
        let series = block::decode(&key, &bytes).map_err(corrupt)?;
        for each in series.iter().filter(|each| each.name.as_slice() >= start && each.name != after) {
            if found.len() == count_max || !each.name.starts_with(prefix) {
                return Ok(found);
            }
            found.push((each.id, each.key().map_err(corrupt)?));
        }
        next = blocks.after(&key)?;
    }
    Ok(found)
}

/// The blocks in sled.
struct Tree<'a>(&'a sled::Db);

impl Blocks for Tree<'_> {
    fn at_or_before(&self, name: &[u8]) -> Result<Option<Record>> {
        if name <= MARK_KEY {
            return Ok(None);
        }
        let behind_mark = (Bound::Excluded(MARK_KEY), Bound::Included(name));
        own(self.0.range::<&[u8], _>(behind_mark).next_back())
    }

    fn after(&self, name: &[u8]) -> Result<Option<Record>> {
        own(self.0.range::<&[u8], _>((Bound::Excluded(name.max(MARK_KEY)), Bound::Unbounded)).next())
    }
}

fn own(record: Option<sled::Result<(sled::IVec, sled::IVec)>>) -> Result<Option<Record>> {
    let record = record.transpose().map_err(told)?;
    Ok(record.map(|(key, bytes)| (key.to_vec(), bytes.to_vec())))
}
