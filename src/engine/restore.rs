//! Making a volume of a backup again, and reading a whole backup to see whether that could be done. A directory is a
//! volume only once it has its FORMAT, which is written last; until then RESTORE.tmp says what is going on in it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::backup::{Backup, Contents, files};
use crate::codec::record::FormatV1;
use crate::engine::{Engine, format};
use crate::env::disk::{Disk, replace, temporary};
use crate::env::lock::DirLock;
use crate::env::{identity, layout};
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::model::limits::DAMAGE_NOTES_MAX;
use crate::model::segment::SegmentMeta;
use crate::segment::Segment;

/// Which volume a restored backup is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Identity {
    /// The one that it was taken of.
    Same,
    /// A new one, of the same lineage.
    New,
}

/// Whether a name is one that may be removed.
type IsOurs<'a> = &'a dyn Fn(&str) -> bool;

impl Engine {
    /// Makes a volume of a backup, in a directory that is empty or not there, and gives what that backup is. `progress` is
    /// told how many bytes of how many are done.
    pub(crate) fn restore(
        disk: &dyn Disk,
        backup: &Path,
        dir: &Path,
        identity: Identity,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Backup> {
        let contents = Contents::read(disk, backup)?;
        // Not to leave a lock in somebody's directory.
        check_empty(disk, dir)?;
        disk.create_dir_all(dir).map_err(|error| Error::io(format_args!("make {}", dir.display()), error))?;
        let _lock = DirLock::acquire(disk, dir)?;
        check_empty(disk, dir)?;
        let restored = bring(disk, backup, &contents, dir, progress)
            .and_then(|()| complete(disk, backup, &contents, dir, identity));
        if restored.is_err() && format::read(disk, dir).is_ok_and(|format| format.is_none()) {
            // Its space may be what is wanted; the next try sweeps what stays.
            if let Err(error) = sweep(disk, dir) {
                tracing::debug!(%error, "what was restored in part stays until it is restored again");
            }
        }
        restored.map(|()| contents.about(backup))
    }

    /// Reads a whole backup; gives what is wrong with it.
    pub(crate) fn verify_backup(disk: &Arc<dyn Disk>, backup: &Path) -> Vec<Error> {
        let contents = match Contents::read(&**disk, backup) {
            Ok(contents) => contents,
            Err(error) => return vec![error],
        };
        let mut found = Vec::new();
        for file in &contents.files {
            let path = backup.join(&file.name);
            let checked = files::sum(&**disk, &path, &mut |_| Ok(())).and_then(|sum| file.check(&path, sum));
            found.extend(checked.err());
            if found.len() >= DAMAGE_NOTES_MAX {
                return found;
            }
        }
        match verify_volume(disk, backup, &contents) {
            Ok(more) => found.extend(more),
            Err(error) => found.push(error),
        }
        found.truncate(DAMAGE_NOTES_MAX);
        found
    }
}

fn sync(disk: &dyn Disk, dir: &Path) -> Result<()> {
    disk.sync_dir(dir).map_err(|error| Error::io(format_args!("sync {}", dir.display()), error))
}

/// Brings in everything but FORMAT, and reads it back.
fn bring(
    disk: &dyn Disk,
    backup: &Path,
    contents: &Contents,
    dir: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    // IMPORTANT: the mark is durable before anything else is, so that a volume in part is known for what it is.
    files::put(disk, &dir.join(layout::RESTORE), backup.to_string_lossy().as_bytes())?;
    sync(disk, dir)?;
    sweep(disk, dir)?;
    for folder in [layout::WAL, layout::SEGMENTS].map(|name| dir.join(name)) {
        disk.create_dir(&folder).map_err(|error| Error::io(format_args!("make {}", folder.display()), error))?;
    }
    let files = contents.files.iter().filter(|file| file.name != layout::FORMAT);
    let (mut done, all) = (0, files.clone().map(|file| file.bytes).sum());
    progress(done, all);
    for file in files {
        let (from, to) = (backup.join(&file.name), dir.join(&file.name));
        // What is replaced as a whole could share its bytes too, but it is small.
        if !file.is_segment() || !files::link(disk, &from, &to)? {
            files::copy((disk, &from), (disk, &to), &mut |_| Ok(()))?;
        }
        file.check(&to, files::sum(disk, &to, &mut |_| Ok(()))?)?;
        done += file.bytes;
        progress(done, all);
    }
    sync(disk, &dir.join(layout::SEGMENTS))?;
    sync(disk, dir)
}

/// Makes a volume of what was brought in.
fn complete(disk: &dyn Disk, backup: &Path, contents: &Contents, dir: &Path, identity: Identity) -> Result<()> {
    let format = read_format(disk, backup, contents)?;
    let format = match identity {
        Identity::Same => format,
        Identity::New => FormatV1 { volume: identity::new_id(), ..format },
    };
    // IMPORTANT: FORMAT is written last; from then on this is a volume.
    let path = dir.join(layout::FORMAT);
    replace(disk, &path, &format::encode(&format))
        .map_err(|error| Error::io(format_args!("make {}", path.display()), error))?;
    if let Err(error) = disk.remove(&dir.join(layout::RESTORE)) {
        tracing::debug!(%error, "the mark of a restoring that has ended stays until the next open");
    }
    Ok(())
}

/// The FORMAT of a backup, if it is what the list says.
fn read_format(disk: &dyn Disk, backup: &Path, contents: &Contents) -> Result<FormatV1> {
    let path = backup.join(layout::FORMAT);
    for file in contents.files.iter().filter(|file| file.name == layout::FORMAT) {
        file.check(&path, files::sum(disk, &path, &mut |_| Ok(()))?)?;
    }
    let format = format::read(disk, backup)?
        .filter(|format| format.volume == contents.volume && format.lineage == contents.lineage);
    format.ok_or_else(|| Error::corrupt(format!("{} is of another volume than the backup", path.display())))
}

/// Whether this is what the draft of FORMAT is called.
fn is_draft(name: &str) -> bool {
    temporary(Path::new(layout::FORMAT)) == Path::new(name)
}

/// Demands that a directory holds nothing, but for what an earlier restoring has left.
fn check_empty(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(|error| Error::io(format_args!("list {}", dir.display()), error))?,
    };
    let is_begun = names.iter().any(|name| name == layout::RESTORE);
    let left = [layout::RESTORE, layout::WAL, layout::SEGMENTS, layout::MANIFEST];
    let is_left = |name: &str| left.contains(&name) || is_draft(name);
    match names.iter().find(|name| *name != layout::LOCK && !(is_begun && is_left(name))) {
        None => Ok(()),
        Some(name) => {
            let dir = dir.display();
            Err(Error::invalid(format!("{dir} is not empty, it has {name}: restore into another directory")))
        }
    }
}

/// Removes what a restoring that did not end has left, but for its mark.
fn sweep(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let segments = dir.join(layout::SEGMENTS);
    let is_segment = |name: &str| layout::segment_number(name).is_some();
    let is_ours = |name: &str| name == layout::MANIFEST || is_draft(name);
    let folders: [(&Path, IsOurs<'_>); 2] = [(&segments, &is_segment), (dir, &is_ours)];
    for (folder, is_ours) in folders {
        let failed = |error| Error::io(format_args!("sweep {}", folder.display()), error);
        let names = match disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names.map_err(failed)?,
        };
        for name in names.iter().filter(|name| is_ours(name)) {
            disk.remove(&folder.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Holds what FORMAT, MANIFEST and segments say against each other and against the list.
fn verify_volume(disk: &Arc<dyn Disk>, backup: &Path, contents: &Contents) -> Result<Vec<Error>> {
    let lineage = read_format(&**disk, backup, contents)?.lineage;
    let (manifest, damage) = Manifest::open(disk.clone(), backup, lineage)?;
    let mut found: Vec<Error> = damage.into_iter().map(Error::corrupt).collect();
    let version = manifest.version();
    if version.flushed != contents.sequence {
        let why = format!("MANIFEST says batch {}, the list {}", version.flushed.0, contents.sequence.0);
        found.push(Error::corrupt(why));
    }
    let name = |meta: &SegmentMeta| format!("{}/{}", layout::SEGMENTS, layout::segment_name(meta.number, meta.kind()));
    let true_ones: BTreeSet<String> = version.segments.iter().map(name).collect();
    let listed: BTreeSet<String> =
        contents.files.iter().filter(|file| file.is_segment()).map(|file| file.name.clone()).collect();
    for name in true_ones.symmetric_difference(&listed) {
        found.push(Error::corrupt(format!("{name} is either not in MANIFEST or not in the list")));
    }
    for meta in &version.segments {
        match Segment::open(disk.clone(), &backup.join(layout::SEGMENTS), lineage, *meta) {
            Ok(segment) => found.extend(segment.verify()),
            Err(error) => found.push(error),
        }
        if found.len() >= DAMAGE_NOTES_MAX {
            break;
        }
    }
    Ok(found)
}
