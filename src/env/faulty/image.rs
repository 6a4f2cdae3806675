//! What an operation does to names and contents, and what of it a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::env::dice::Dice;
use crate::env::disk::parent;
use crate::env::memory::{moved, overwrite};

/// Disks keep or lose a sector as a whole.
const SECTOR_BYTES: usize = 512;

/// What is left after a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Image {
    /// Only what was synced.
    Nothing,
    /// Everything, synced or not.
    All,
    /// Of what was not synced, a random part: content by sector, names one by one in order.
    Subset(u64),
    /// All content, and a random part of the names in random order.
    Reordered(u64),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) files: BTreeMap<PathBuf, usize>,
    pub(super) dirs: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) content: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<ContentOp>,
    /// What a failed sync dropped: still read, never synced, and on the disk by chance.
    pub(super) dropped: Vec<ContentOp>,
}

#[derive(Clone, Debug)]
pub(super) enum ContentOp {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Debug)]
pub(super) enum NameOp {
    Dir(PathBuf),
    Undir(PathBuf),
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
    /// A directory within the one that it lies in, with everything in it.
    Move(PathBuf, PathBuf),
}

impl NameOp {
    pub(super) fn dir(&self) -> &Path {
        let (Self::Dir(path)
        | Self::Undir(path)
        | Self::Link(path, _)
        | Self::Unlink(path)
        | Self::Rename(path, ..)
        | Self::Move(path, _)) = self;
        parent(path)
    }

    /// The same with other paths.
    fn at(self, place: impl Fn(PathBuf) -> PathBuf) -> Self {
        match self {
            Self::Dir(path) => Self::Dir(place(path)),
            Self::Undir(path) => Self::Undir(place(path)),
            Self::Link(path, inode) => Self::Link(place(path), inode),
            Self::Unlink(path) => Self::Unlink(place(path)),
            Self::Rename(from, to, inode) => Self::Rename(place(from), place(to), inode),
            Self::Move(from, to) => Self::Move(place(from), place(to)),
        }
    }

    /// Those of some operations that reach the disk. A directory is the same under any name, so what was done in one
    /// whose new name is lost was done under the old one.
    pub(super) fn kept(ops: Vec<Self>, mut keeps: impl FnMut() -> bool) -> Vec<Self> {
        let mut lost: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut kept = Vec::new();
        for op in ops {
            let op = lost.iter().rev().fold(op, |op, (from, to)| op.at(|path| moved(path, to, from)));
            match op {
                op if keeps() => kept.push(op),
                Self::Move(from, to) => lost.push((from, to)),
                _ => {}
            }
        }
        kept
    }

    pub(super) fn apply(self, names: &mut Names) {
        match self {
            Self::Dir(path) => {
                names.dirs.insert(path);
            }
            Self::Undir(path) => {
                names.dirs.remove(&path);
            }
            Self::Link(path, inode) => {
                names.files.insert(path, inode);
            }
            Self::Unlink(path) => {
                names.files.remove(&path);
            }
            Self::Rename(from, to, inode) => {
                names.files.remove(&from);
                names.files.insert(to, inode);
            }
            // In an image without its making, or without what had the name before, there is nothing to move, or no room.
            Self::Move(from, to) => {
                if names.dirs.contains(&from) && !names.dirs.contains(&to) {
                    let files = std::mem::take(&mut names.files).into_iter();
                    names.files = files.map(|(path, inode)| (moved(path, &from, &to), inode)).collect();
                    let dirs = std::mem::take(&mut names.dirs).into_iter();
                    names.dirs = dirs.map(|path| moved(path, &from, &to)).collect();
                }
            }
        }
    }
}

impl Names {
    /// Forgets what lies in directories that are not there: nobody can reach it.
    pub(super) fn prune(&mut self) {
        let here = Path::new(".");
        let mut dirs: BTreeSet<PathBuf> = BTreeSet::new();
        // In order, so that a directory comes after the one it lies in.
        for dir in std::mem::take(&mut self.dirs) {
            if parent(&dir) == here || dirs.contains(parent(&dir)) {
                dirs.insert(dir);
            }
        }
        self.files.retain(|path, _| parent(path) == here || dirs.contains(parent(path)));
        self.dirs = dirs;
    }
}

impl ContentOp {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => overwrite(content, bytes, *offset),
            Self::Truncate(len) => content.truncate(*len),
        }
    }

    /// The parts that a disk keeps or loses as a whole.
    pub(super) fn sectors(&self) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else { return vec![self.clone()] };
        let mut sectors = Vec::new();
        let mut start = 0;
        while start < bytes.len() {
            let at = offset + start as u64;
            let room = SECTOR_BYTES - usize::try_from(at % SECTOR_BYTES as u64).expect("below a sector");
            let end = bytes.len().min(start + room);
            sectors.push(Self::Write { offset: at, bytes: bytes[start..end].to_vec() });
            start = end;
        }
        sectors
    }
}

impl Inode {
    pub(super) fn after_power_cut(&self, image: Image, dice: &mut Dice) -> Self {
        let content = match image {
            Image::Nothing => self.durable.clone(),
            Image::All | Image::Reordered(_) => self.content.clone(),
            Image::Subset(_) => {
                let mut content = self.durable.clone();
                let sectors = self.dropped.iter().chain(&self.unsynced).flat_map(ContentOp::sectors);
                sectors.filter(|_| dice.coin()).for_each(|sector| sector.apply(&mut content));
                content
            }
        };
        Self { durable: content.clone(), content, unsynced: Vec::new(), dropped: Vec::new() }
    }

    pub(super) fn change(&mut self, op: ContentOp) {
        op.apply(&mut self.content);
        self.unsynced.push(op);
    }
}
