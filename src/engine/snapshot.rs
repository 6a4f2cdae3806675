//! Taking a backup of a volume that is in use. Everything acknowledged is flushed, so that a version of the manifest is
//! all there is up to one batch; its segments, which never change, are linked or copied while writing goes on. Makes
//! nothing true itself: that is the business of `backup`. See docs/format.md, "Backups".

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup::files::{self, Sum};
use crate::backup::{Backup, Contents, File, Folder};
use crate::engine::Engine;
use crate::engine::format;
use crate::engine::shelf::{Shelf, Slot};
use crate::env::disk::Disk;
use crate::env::layout;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, Version};
use crate::segment::Segment;

/// A backup under way.
struct Taking<'a> {
    engine: &'a Engine,
    disk: &'a Arc<dyn Disk>,
    /// Where its files lie for now.
    dir: &'a Path,
    /// Where the newest backup lies that may have files in common with this one, and those.
    known: (PathBuf, BTreeMap<String, File>),
    /// Whether the volume's files may have second names there.
    links: bool,
}

impl Engine {
    /// Makes a backup of everything acknowledged so far, as a folder of this path on a disk. `progress` is told how many
    /// bytes of how many are done.
    pub(crate) fn snapshot(
        &self,
        disk: Arc<dyn Disk>,
        target: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Backup> {
        self.refuse_frozen()?;
        self.check_open()?;
        let folder = Folder::claim(disk, target)?;
        let draft = folder.begin()?;
        let shelf = self.cut()?;
        let taken_at = self.guard.now();
        let (disk, dir) = (folder.disk(), draft.dir);
        let links = !self.disk.is_in_memory() && !disk.is_in_memory();
        let known = folder.newest(self.format.volume, self.format.lineage, shelf.version.flushed)?;
        let files = Taking { engine: self, disk, dir, known, links }.run(&shelf, progress)?;
        draft.commit(&Contents {
            volume: self.format.volume,
            lineage: self.format.lineage,
            sequence: shelf.version.flushed,
            taken_at,
            tiers: self.rollup.tiers.iter().map(|tier| (tier.window, tier.keep)).collect(),
            files,
        })
    }
}

impl Taking<'_> {
    /// Brings all files in and reads them back; gives what they are.
    fn run(&self, shelf: &Shelf, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<File>> {
        let (engine, disk) = (self.engine, &**self.disk);
        // The copy of the catalogue can be made again from the segments.
        let version = Version { catalog: None, ..(*shelf.version).clone() };
        let mut files = Vec::new();
        for (name, bytes) in [
            (layout::FORMAT, format::encode(&engine.format)),
            (layout::MANIFEST, Manifest::encode(&version, engine.format.lineage)),
        ] {
            files::put(disk, &self.dir.join(name), &bytes)?;
            let file = File::new(name, Sum::of(&bytes));
            file.check(&self.dir.join(name), self.read(name)?)?;
            files.push(file);
        }
        let mut done = 0;
        let all = shelf.slots().iter().map(|slot| slot.meta.bytes).sum();
        progress(done, all);
        for slot in shelf.slots() {
            files.push(self.bring(slot)?);
            done += slot.meta.bytes;
            progress(done, all);
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    /// Brings a segment in, by a second name if that can be, and reads it back.
    fn bring(&self, slot: &Slot) -> Result<File> {
        let name = format!("{}/{}", layout::SEGMENTS, layout::segment_name(slot.meta.number, slot.meta.kind()));
        let brought = self.place(&name).and_then(|found| {
            let file = File::new(&*name, found);
            // What an earlier backup has is what was sound then. Anything else is looked at as a segment, once.
            if slot.damage().is_some() || self.known.1.get(&name) != Some(&file) {
                self.check(slot)?;
            }
            Ok(file)
        });
        brought.map_err(|error| {
            let cause = slot.damage().filter(|_| error.kind() == ErrorKind::Io).unwrap_or(&error);
            match cause.kind() {
                ErrorKind::Closed | ErrorKind::NoSpace => error,
                kind => Error::because(kind, format_args!("{name} cannot be backed up"), cause),
            }
        })
    }

    /// Puts a file in its place and reads it back; gives what it is.
    fn place(&self, name: &str) -> Result<Sum> {
        let (engine, disk) = (self.engine, &**self.disk);
        let (from, to) = (engine.dir.join(name), self.dir.join(name));
        if self.links && files::link(disk, &from, &to)? {
            return self.read(name);
        }
        let mut paced = |bytes| engine.pace.spend(bytes);
        if let Some(file) = self.known.1.get(name) {
            // A number may stand for another file since a volume was restored, so its bytes decide.
            let own = files::sum(&*engine.disk, &from, &mut paced)?;
            if own == file.sum() && self.link_known(name, own)? {
                return Ok(own);
            }
        }
        let copied = files::copy((&*engine.disk, &from), (disk, &to), &mut paced)?;
        let found = self.read(name)?;
        File::new(name, copied).check(&to, found)?;
        Ok(found)
    }

    /// Links a file of the newest backup and reads it; whether that could be done, and it is still what it was.
    fn link_known(&self, name: &str, own: Sum) -> Result<bool> {
        let (from, to) = (self.known.0.join(name), self.dir.join(name));
        let linked = files::link(&**self.disk, &from, &to);
        if matches!(linked, Ok(false)) {
            return Ok(false);
        }
        let found = match linked.and_then(|_| self.read(name)) {
            Ok(found) if found == own => return Ok(true),
            Ok(_) => Error::corrupt(format!("{} is not what it was", from.display())),
            Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
            Err(error) => error,
        };
        tracing::error!(file = %from.display(), error = %found, "a backup is damaged; its file is copied anew for the next one");
        match self.disk.remove(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format_args!("remove {}", to.display()), error))
            }
            _ => Ok(false),
        }
    }

    fn read(&self, name: &str) -> Result<Sum> {
        files::sum(&**self.disk, &self.dir.join(name), &mut |bytes| self.engine.pace.spend(bytes))
    }

    /// Looks at all that a segment says.
    fn check(&self, slot: &Slot) -> Result<()> {
        let (folder, lineage) = (self.dir.join(layout::SEGMENTS), self.engine.format.lineage);
        let segment = Segment::open(self.disk.clone(), &folder, lineage, slot.meta)?;
        self.engine.pace.spend(slot.meta.bytes)?;
        segment.verify().into_iter().next().map_or(Ok(()), Err)
    }
}
