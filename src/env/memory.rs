//! A disk in memory, for databases that leave no trace. A sync has nothing to do.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::disk::{Disk, DiskFile, DiskRead, Lock};

/// Files in memory, gone with the last handle.
#[derive(Debug, Default)]
pub(crate) struct MemoryDisk {
    names: Mutex<Names>,
    locked: Arc<Mutex<BTreeSet<PathBuf>>>,
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, Arc<Mutex<Vec<u8>>>>,
    dirs: BTreeSet<PathBuf>,
}

#[cfg(feature = "server")]
impl MemoryDisk {
    /// Everything as it is at this moment, with files of its own: what a kill would leave. Nothing gets or loses a name
    /// meanwhile.
    pub(crate) fn copy(&self) -> Self {
        let names = self.names.lock();
        let copied = |(path, content): (&PathBuf, &Arc<Mutex<Vec<u8>>>)| {
            let bytes = content.lock().clone();
            (path.clone(), Arc::new(Mutex::new(bytes)))
        };
        let files = names.files.iter().map(copied).collect();
        Self::of(Names { files, dirs: names.dirs.clone() })
    }

    /// The same names for the same files. Names that come or go here or there are not seen on the other side; what is
    /// written into a file is.
    pub(crate) fn share(&self) -> Self {
        let Names { files, dirs } = &*self.names.lock();
        Self::of(Names { files: files.clone(), dirs: dirs.clone() })
    }

    /// A disk with these names, of which none is locked.
    fn of(names: Names) -> Self {
        Self { names: Mutex::new(names), locked: Arc::default() }
    }

    /// Bytes of all files. One with several names counts once.
    pub(crate) fn bytes(&self) -> usize {
        let files: BTreeMap<_, _> =
            self.names.lock().files.values().map(|content| (Arc::as_ptr(content), Arc::clone(content))).collect();
        files.values().map(|content| content.lock().len()).sum()
    }
}

/// The error for a name that is not there.
pub(crate) fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} is not there", path.display()))
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let content = Arc::new(Mutex::new(Vec::new()));
        self.names.lock().files.insert(path.to_owned(), content.clone());
        Ok(Box::new(MemoryFile { content }))
    }

    fn read(&self, path: &Path, _bytes_max: u64) -> io::Result<Vec<u8>> {
        let names = self.names.lock();
        let content = names.files.get(path).ok_or_else(|| not_found(path))?;
        let bytes = content.lock().clone();
        Ok(bytes)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskRead>> {
        let names = self.names.lock();
        let content = names.files.get(path).ok_or_else(|| not_found(path))?;
        Ok(Box::new(MemoryFile { content: content.clone() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = self.names.lock();
        if !names.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        let inside = names.files.keys().chain(&names.dirs).filter(|path| path.parent() == Some(dir));
        let mut found: Vec<String> =
            inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        found.sort_unstable();
        Ok(found)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        if names.dirs.contains(from) {
            let Names { files, dirs } = &mut *names;
            *files = std::mem::take(files).into_iter().map(|(path, file)| (moved(path, from, to), file)).collect();
            *dirs = std::mem::take(dirs).into_iter().map(|path| moved(path, from, to)).collect();
            return Ok(());
        }
        let content = names.files.remove(from).ok_or_else(|| not_found(from))?;
        names.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let content = names.files.get(from).cloned().ok_or_else(|| not_found(from))?;
        if names.files.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        names.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.names.lock().files.remove(path).map(|_| ()).ok_or_else(|| not_found(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        if names.files.keys().chain(&names.dirs).any(|path| path.parent() == Some(dir)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if names.dirs.remove(dir) { Ok(()) } else { Err(not_found(dir)) }
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.names.lock().dirs.insert(dir.to_owned());
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        if !self.locked.lock().insert(path.to_owned()) {
            return Ok(Lock::Taken { owner: std::process::id().to_string() });
        }
        Ok(Lock::Held(Box::new(Hold { locked: self.locked.clone(), path: path.to_owned() })))
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

/// A lock that is held.
struct Hold {
    locked: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.locked.lock().remove(&self.path);
    }
}

#[derive(Debug)]
struct MemoryFile {
    content: Arc<Mutex<Vec<u8>>>,
}

impl DiskFile for MemoryFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        overwrite(&mut self.content.lock(), bytes, offset);
        Ok(())
    }

    fn allocate(&mut self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.content.lock().truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskRead for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        copy_out(&self.content.lock(), bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().len() as u64)
    }
}

/// Where a path lies after a directory, which may be one of those it is in, was given another name.
pub(crate) fn moved(path: PathBuf, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(inside) if inside.as_os_str().is_empty() => to.to_owned(),
        Ok(inside) => to.join(inside),
        Err(_) => path,
    }
}

/// Reads bytes of a content from an offset on.
pub(crate) fn copy_out(content: &[u8], bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let piece = start.checked_add(bytes.len()).and_then(|end| content.get(start..end));
    bytes.copy_from_slice(piece.ok_or(io::ErrorKind::UnexpectedEof)?);
    Ok(())
}

/// Writes bytes into a content at an offset, with zeros in between if it lies behind the end.
pub(crate) fn overwrite(content: &mut Vec<u8>, bytes: &[u8], offset: u64) {
    let start = usize::try_from(offset).expect("a file in memory fits memory");
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}
