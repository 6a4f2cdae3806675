//! A disk for tests that remembers what is durable and what is not, and that can stop, fail or tear at the n-th
//! operation. What a power cut leaves is one of four images.

mod file;
mod image;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::dice::Dice;
use crate::env::disk::{Disk, DiskFile, DiskRead, Lock, parent};
use crate::env::memory::not_found;
use file::{FaultyFile, Hold};
use image::{ContentOp, Inode, NameOp, Names};

pub(crate) use image::Image;

/// What goes wrong, and at which operation, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    pub(crate) what: Trouble,
}

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// The power goes: the operation may have reached the disk's cache, every later one is refused.
    Stop,
    /// The operation fails once. A write is short; a sync drops what it should have written.
    Fail(io::ErrorKind),
    /// The operation and every later one of its kind fails.
    FailForEver(io::ErrorKind),
    /// From this operation on there is no room for more bytes or names; removing, renaming and syncing go on.
    Full,
}

/// Where a file may get a second name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Links {
    #[default]
    Everywhere,
    /// Only within the outermost folder, as if each of those were a file system.
    WithinFolder,
    Nowhere,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    durable_names: Names,
    unsynced_names: Vec<NameOp>,
    operations: u64,
    fault: Option<Fault>,
    reads: u64,
    read_fault: Option<Fault>,
    free_bytes: Option<u64>,
    links: Links,
    bytes_written: u64,
    stopped: bool,
    locked: BTreeSet<PathBuf>,
}

impl FaultyDisk {
    /// A disk on which something goes wrong.
    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        self.0.lock().fault = Some(fault);
        self
    }

    /// A disk on which reading goes wrong. Reads are counted apart from what writes.
    pub(crate) fn with_read_fault(self, fault: Fault) -> Self {
        self.0.lock().read_fault = Some(fault);
        self
    }

    /// From now on nothing goes wrong, and what has stopped goes on.
    pub(crate) fn heal(&self) {
        let mut state = self.0.lock();
        (state.fault, state.read_fault, state.stopped) = (None, None, false);
    }

    /// What the disk says that it has room for; nothing is held to it.
    pub(crate) fn set_free_bytes(&self, bytes: u64) {
        self.0.lock().free_bytes = Some(bytes);
    }

    /// A disk, or several of them, that can give files second names only there.
    pub(crate) fn with_links(self, links: Links) -> Self {
        self.0.lock().links = links;
        self
    }

    /// Bytes that were written into files so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.0.lock().bytes_written
    }

    /// Calls so far that open, list or read.
    pub(crate) fn reads(&self) -> u64 {
        self.0.lock().reads
    }

    /// Operations so far that write, rename, remove or sync.
    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Whether the power went.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.lock().stopped
    }

    /// What the next start finds after a power cut now.
    pub(crate) fn after_power_cut(&self, image: Image) -> Self {
        let state = self.0.lock();
        let mut dice = Dice::new(match image {
            Image::Subset(seed) | Image::Reordered(seed) => seed,
            Image::Nothing | Image::All => 0,
        });
        let mut ops = state.unsynced_names.clone();
        match image {
            Image::Nothing => ops.clear(),
            Image::All => {}
            Image::Subset(_) => ops = NameOp::kept(ops, || dice.coin()),
            Image::Reordered(_) => {
                ops = NameOp::kept(ops, || dice.coin());
                for last in (1..ops.len()).rev() {
                    let other = usize::try_from(dice.below(last as u64 + 1)).expect("an index");
                    ops.swap(last, other);
                }
            }
        }
        let mut names = state.durable_names.clone();
        for op in ops {
            op.apply(&mut names);
        }
        names.prune();
        let reachable: BTreeSet<usize> = names.files.values().copied().collect();
        let mut left = |(number, inode): (usize, &Inode)| {
            if reachable.contains(&number) { inode.after_power_cut(image, &mut dice) } else { Inode::default() }
        };
        let inodes = state.inodes.iter().enumerate().map(&mut left).collect();
        let links = state.links;
        let state = State { inodes, durable_names: names.clone(), names, links, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Changes the stored bytes of a file behind everybody's back.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock();
        let number = state.names.files[path];
        let inode = &mut state.inodes[number];
        change(&mut inode.content);
        inode.durable.clone_from(&inode.content);
    }

    /// What the next process finds after the last one was killed: its locks are free, and what it wrote is in the cache.
    /// Nothing that is left of that process reaches the disk any more.
    pub(crate) fn after_kill(&self) -> Self {
        let mut state = std::mem::replace(&mut *self.0.lock(), State { stopped: true, ..State::default() });
        state.locked.clear();
        Self(Arc::new(Mutex::new(state)))
    }

    /// The power goes now: every later operation is refused.
    pub(crate) fn stop(&self) {
        self.0.lock().stopped = true;
    }

    /// All files, with their lengths.
    pub(crate) fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.0.lock();
        state.names.files.iter().map(|(path, number)| (path.clone(), state.inodes[*number].content.len())).collect()
    }

    /// Removes a file behind everybody's back.
    pub(crate) fn lose(&self, path: &Path) {
        let mut state = self.0.lock();
        state.names.files.remove(path);
        state.durable_names.files.remove(path);
    }
}

/// What is to become of an operation.
enum Fate {
    Done,
    /// It is done, but the caller never hears of it: the power went.
    Unheard(io::Error),
    Failed(io::Error),
}

impl State {
    fn step(&mut self, takes_space: bool) -> Fate {
        self.operations += 1;
        if self.stopped {
            return Fate::Failed(io::Error::other("the power is gone"));
        }
        match self.fault {
            Some(Fault { at, what: Trouble::Stop }) if self.operations >= at => {
                self.stopped = true;
                Fate::Unheard(io::Error::other("the power goes"))
            }
            Some(Fault { at, what: Trouble::Fail(kind) }) if self.operations == at => Fate::Failed(kind.into()),
            Some(Fault { at, what: Trouble::FailForEver(kind) }) if self.operations >= at => Fate::Failed(kind.into()),
            Some(Fault { at, what: Trouble::Full }) if takes_space && self.operations >= at => {
                Fate::Failed(io::ErrorKind::StorageFull.into())
            }
            _ => Fate::Done,
        }
    }

    fn read_step(&mut self) -> io::Result<()> {
        self.reads += 1;
        match self.read_fault {
            Some(Fault { at, what: Trouble::Fail(kind) }) if self.reads == at => Err(kind.into()),
            Some(Fault { at, what: Trouble::FailForEver(kind) }) if self.reads >= at => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn rename_names(&mut self, op: NameOp) -> io::Result<()> {
        match self.step(matches!(op, NameOp::Link(..) | NameOp::Dir(_))) {
            Fate::Failed(error) => return Err(error),
            Fate::Unheard(error) => {
                op.clone().apply(&mut self.names);
                self.unsynced_names.push(op);
                return Err(error);
            }
            Fate::Done => {}
        }
        op.clone().apply(&mut self.names);
        self.unsynced_names.push(op);
        Ok(())
    }

    fn change(&mut self, number: usize, op: ContentOp) -> io::Result<()> {
        let fate = self.step(matches!(op, ContentOp::Write { .. }));
        if let ContentOp::Write { bytes, .. } = &op {
            self.bytes_written += bytes.len() as u64;
        }
        let inode = self.inodes.get_mut(number).ok_or_else(gone)?;
        match fate {
            Fate::Done => {
                inode.change(op);
                Ok(())
            }
            Fate::Unheard(error) => {
                inode.change(op);
                Err(error)
            }
            Fate::Failed(error) => {
                if let ContentOp::Write { offset, bytes } = op {
                    inode.change(ContentOp::Write { offset, bytes: bytes[..bytes.len() / 2].to_vec() });
                }
                Err(error)
            }
        }
    }

    fn sync(&mut self, number: usize) -> io::Result<()> {
        let fate = self.step(false);
        let Inode { durable, unsynced, dropped, .. } = self.inodes.get_mut(number).ok_or_else(gone)?;
        match fate {
            Fate::Done => {
                unsynced.drain(..).for_each(|op| op.apply(durable));
                Ok(())
            }
            Fate::Unheard(error) => Err(error),
            Fate::Failed(error) => {
                dropped.append(unsynced);
                Err(error)
            }
        }
    }
}

/// The error of what belongs to a process that was killed.
fn gone() -> io::Error {
    io::Error::other("the process is gone")
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        if let Some(&number) = state.names.files.get(path) {
            // Emptied where it lies, under all of its names.
            state.change(number, ContentOp::Truncate(0))?;
            return Ok(Box::new(FaultyFile { disk: self.clone(), number }));
        }
        let number = state.inodes.len();
        state.inodes.push(Inode::default());
        state.rename_names(NameOp::Link(path.to_owned(), number))?;
        Ok(Box::new(FaultyFile { disk: self.clone(), number }))
    }

    fn read(&self, path: &Path, _bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut state = self.0.lock();
        state.read_step()?;
        let number = state.names.files.get(path).ok_or_else(|| not_found(path))?;
        Ok(state.inodes[*number].content.clone())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskRead>> {
        let mut state = self.0.lock();
        state.read_step()?;
        let number = *state.names.files.get(path).ok_or_else(|| not_found(path))?;
        Ok(Box::new(FaultyFile { disk: self.clone(), number }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.0.lock();
        state.read_step()?;
        if !state.names.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        let inside = state.names.files.keys().chain(&state.names.dirs).filter(|path| parent(path) == dir);
        Ok(inside.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.names.dirs.contains(from) {
            assert!(parent(from) == parent(to) && !state.names.dirs.contains(to), "nothing else is asked for");
            return state.rename_names(NameOp::Move(from.to_owned(), to.to_owned()));
        }
        let number = *state.names.files.get(from).ok_or_else(|| not_found(from))?;
        state.rename_names(NameOp::Rename(from.to_owned(), to.to_owned(), number))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let number = *state.names.files.get(from).ok_or_else(|| not_found(from))?;
        let is_elsewhere = from.components().next() != to.components().next();
        if state.links == Links::Nowhere || (state.links == Links::WithinFolder && is_elsewhere) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        if state.names.files.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename_names(NameOp::Link(to.to_owned(), number))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().rename_names(NameOp::Unlink(path.to_owned()))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let Names { files, dirs } = &state.names;
        if files.keys().chain(dirs).any(|path| parent(path) == dir) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.rename_names(NameOp::Undir(dir.to_owned()))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().rename_names(NameOp::Dir(dir.to_owned()))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.0.lock().free_bytes.unwrap_or(u64::MAX))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        match state.step(false) {
            Fate::Failed(error) | Fate::Unheard(error) => return Err(error),
            Fate::Done => {}
        }
        let unsynced = std::mem::take(&mut state.unsynced_names);
        let (here, elsewhere): (Vec<NameOp>, Vec<NameOp>) = unsynced.into_iter().partition(|op| op.dir() == dir);
        for op in here {
            op.apply(&mut state.durable_names);
        }
        state.unsynced_names = elsewhere;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let mut state = self.0.lock();
        if !state.locked.insert(path.to_owned()) {
            return Ok(Lock::Taken { owner: "somebody".into() });
        }
        Ok(Lock::Held(Box::new(Hold { disk: self.clone(), path: path.to_owned() })))
    }
}
