//! What an operation does to names and contents, and what of it a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::env::dice::Dice;
use crate::env::disk::parent;
use crate::env::memory::overwrite;

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
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

impl NameOp {
    pub(super) fn dir(&self) -> &Path {
        let (Self::Dir(path) | Self::Link(path, _) | Self::Unlink(path) | Self::Rename(path, ..)) = self;
        parent(path)
    }

    pub(super) fn apply(self, names: &mut Names) {
        match self {
            Self::Dir(path) => {
                names.dirs.insert(path);
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
        }
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
