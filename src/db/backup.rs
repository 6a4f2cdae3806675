//! Backups: taking, listing, checking, restoring, removing and reading them, by hand and by policies.

use std::path::Path;
use std::sync::Arc;

use crate::backup::{self, Backup, Backups};
use crate::db::Db;
use crate::engine::Engine;
use crate::engine::restore::Identity;
use crate::env::disk::Disk;
use crate::env::real::RealDisk;
use crate::error::{Error, Result};
use crate::policy::named::BackupPolicy;

impl Db {
    /// Makes a backup: a folder `target`, which must not be there yet, with everything acknowledged so far and nothing
    /// that comes later. Writers go on meanwhile; recent points are flushed first.
    ///
    /// Backups that lie in one folder share what they have in common, with each other and with the database, by hard
    /// links; where the file system has none, files are copied that the newest of them lacks. Each is whole: removing one
    /// harms no other, and what has expired in the database stays in its backups. The folder has a file `LOCK` from then
    /// on. All files are read back before the backup gets its name, at the pace of
    /// [`Builder::compaction_bytes_per_second`](crate::Builder::compaction_bytes_per_second), and those that are new to
    /// the folder are checked like by [`Db::verify`]. What a crash leaves of a backup is never listed, and is removed by
    /// the next one in its folder. A link is no second copy of the bytes: for a disk that breaks, let the folder lie on
    /// another one.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, Timestamp};
    /// let dir = tempfile::tempdir()?;
    /// let db = Db::open(dir.path().join("db"))?;
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(10), 60))?;
    ///
    /// let backup = db.snapshot(dir.path().join("backups/monday"))?;
    /// assert_eq!(backup.sequence.get(), 1);
    ///
    /// db.delete(&cpu, ..)?;
    /// Db::restore(&backup.path, dir.path().join("restored"))?;
    /// assert_eq!(Db::open(dir.path().join("restored"))?.points(&cpu, ..)?.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` when the target is there already, its name cannot be a backup's, or its folder is a database's or a
    /// backup's; `Locked` when another backup of the folder is made or removed; `Corruption` when a file of the database is
    /// damaged; `NoSpace` and `Io` as the system has it, also of the database's disk, as recent points are flushed; `Failed`
    /// when they cannot be; `Unsupported` for what [`Db::open_snapshot`] gives; `Closed`. The database is as it was, and nothing is listed; except that after an error of naming the
    /// finished backup it may be there, whole.
    pub fn snapshot(&self, target: impl AsRef<Path>) -> Result<Backup> {
        self.snapshot_with(target, |_, _| {})
    }

    /// The same; `progress` is told again and again how many bytes of how many are done.
    ///
    /// ```
    /// use ebbtide::{Db, Point, SeriesKey, Timestamp};
    /// let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory();
    /// db.insert(&SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?, Point::new(Timestamp::from_secs(10), 60))?;
    /// let mut last = (0, 0);
    /// let backup = db.snapshot_with(dir.path().join("monday"), |done, all| last = (done, all))?;
    /// assert!(last.0 == last.1 && last.1 > 0 && last.1 <= backup.bytes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::snapshot`].
    pub fn snapshot_with(&self, target: impl AsRef<Path>, mut progress: impl FnMut(u64, u64)) -> Result<Backup> {
        self.engine().snapshot(Arc::new(RealDisk), target.as_ref(), &mut progress)
    }

    /// The backups in a folder, the one that was taken first first. A folder that is not there has none.
    ///
    /// ```
    /// let dir = tempfile::tempdir()?;
    /// let db = ebbtide::Db::in_memory();
    /// db.snapshot(dir.path().join("monday"))?;
    /// db.snapshot(dir.path().join("tuesday"))?;
    /// let backups = ebbtide::Db::backups(dir.path())?;
    /// assert!(backups.damaged.is_empty());
    /// assert!(backups.list[1].path.ends_with("tuesday"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for more than [`BACKUPS_MAX`](crate::limits::BACKUPS_MAX) backups; `Io` when the folder cannot be
    /// read. A backup that cannot be read is told beside the others.
    pub fn backups(dir: impl AsRef<Path>) -> Result<Backups> {
        backup::list(&RealDisk, dir.as_ref())
    }

    /// Reads a whole backup and holds every file against its length and checksum, and every segment against all that it
    /// says of itself; gives what is wrong, nothing if all is well. `Db::open_snapshot(..)?.verify_rollups()` also
    /// computes its windows anew.
    ///
    /// ```
    /// let dir = tempfile::tempdir()?;
    /// let backup = ebbtide::Db::in_memory().snapshot(dir.path().join("monday"))?;
    /// assert!(ebbtide::Db::verify_backup(&backup.path).is_empty());
    /// std::fs::write(backup.path.join("MANIFEST"), "rotten")?;
    /// assert!(ebbtide::Db::verify_backup(&backup.path)[0].is_corruption());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify_backup(backup: impl AsRef<Path>) -> Vec<Error> {
        Engine::verify_backup(&(Arc::new(RealDisk) as Arc<dyn Disk>), backup.as_ref())
    }

    /// Removes a backup for good. Others are not touched, whatever they share with it. Not while it is being read.
    ///
    /// ```
    /// let dir = tempfile::tempdir()?;
    /// let backup = ebbtide::Db::in_memory().snapshot(dir.path().join("monday"))?;
    /// ebbtide::Db::remove_backup(&backup.path)?;
    /// assert!(ebbtide::Db::backups(dir.path())?.list.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if it is no backup, or something lies in it that is no part of one; `Locked` when another backup of its
    /// folder is made or removed; `Io`.
    pub fn remove_backup(backup: impl AsRef<Path>) -> Result<()> {
        backup::remove(Arc::new(RealDisk), backup.as_ref())
    }

    /// Makes a database of a backup, in a directory that is empty or not there: the same volume as it was when the backup
    /// was taken, which points that have expired since are not seen in. Every file is read back. Until all is done it is
    /// no database; what a crash leaves is swept by restoring into it again. Gives what that backup is.
    ///
    /// See [`Db::snapshot`] for an example.
    ///
    /// # Errors
    /// `InvalidInput` if it is no backup, or the directory is not empty; `Corruption` when the backup is damaged; `Locked`,
    /// `NoSpace` and `Io`.
    pub fn restore(backup: impl AsRef<Path>, dir: impl AsRef<Path>) -> Result<Backup> {
        Self::restore_with(backup, dir, |_, _| {})
    }

    /// The same; `progress` is told again and again how many bytes of how many are done.
    ///
    /// # Errors
    /// As [`Db::restore`].
    pub fn restore_with(
        backup: impl AsRef<Path>,
        dir: impl AsRef<Path>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Backup> {
        Engine::restore(&RealDisk, backup.as_ref(), dir.as_ref(), Identity::Same, &mut progress)
    }

    /// The same as another volume, with a UUID of its own, for use beside the one that the backup is of.
    ///
    /// ```
    /// use ebbtide::Db;
    /// let dir = tempfile::tempdir()?;
    /// let backup = Db::in_memory().snapshot(dir.path().join("backups/monday"))?;
    /// Db::clone_backup(&backup.path, dir.path().join("clone"))?;
    /// let other = Db::open(dir.path().join("clone"))?.snapshot(dir.path().join("backups/clone"))?;
    /// assert!(other.volume != backup.volume && other.lineage == backup.lineage);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::restore`].
    pub fn clone_backup(backup: impl AsRef<Path>, dir: impl AsRef<Path>) -> Result<Backup> {
        Self::clone_backup_with(backup, dir, |_, _| {})
    }

    /// The same; `progress` is told again and again how many bytes of how many are done.
    ///
    /// ```
    /// use ebbtide::Db;
    /// let dir = tempfile::tempdir()?;
    /// let backup = Db::in_memory().snapshot(dir.path().join("monday"))?;
    /// let mut last = (0, 0);
    /// let cloned = Db::clone_backup_with(&backup.path, dir.path().join("clone"), |done, all| last = (done, all))?;
    /// assert!(cloned == backup && last.0 == last.1 && last.1 > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::restore`].
    pub fn clone_backup_with(
        backup: impl AsRef<Path>,
        dir: impl AsRef<Path>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Backup> {
        Engine::restore(&RealDisk, backup.as_ref(), dir.as_ref(), Identity::New, &mut progress)
    }

    /// Opens a backup to read it where it lies. Its clock stands at the moment at which it was taken, so that it answers
    /// what the database answered then, also of points that have expired since. Nothing can be written, and nothing of the
    /// backup is changed; what cannot be read is an error.
    ///
    /// ```
    /// use ebbtide::{Db, ErrorKind, Point, SeriesKey, Timestamp};
    /// let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(10), 60))?;
    /// let backup = db.snapshot(dir.path().join("monday"))?;
    /// db.insert(&cpu, Point::new(Timestamp::from_secs(20), 70))?;
    ///
    /// let then = Db::open_snapshot(&backup.path)?;
    /// assert_eq!(then.latest(&cpu)?, Some(Point::new(Timestamp::from_secs(10), 60)));
    /// let refused = then.insert(&cpu, Point::new(Timestamp::from_secs(30), 80)).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Unsupported);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if it is no backup; `Corruption` and `Io` when it cannot be read.
    pub fn open_snapshot(backup: impl AsRef<Path>) -> Result<Self> {
        Engine::open_frozen(Arc::new(RealDisk), backup.as_ref()).map(Self::over)
    }

    /// The same as [`Db::snapshot`] on any disk.
    #[cfg(feature = "server")]
    pub(crate) fn snapshot_on(&self, disk: Arc<dyn Disk>, target: &Path) -> Result<Backup> {
        self.engine().snapshot(disk, target, &mut |_, _| {})
    }

    /// Puts a policy in force for as long as the database is open: from now on backups are made by themselves, and those
    /// that the policy does not keep any more are removed afterwards. It takes the place of one with the same name and
    /// folder.
    ///
    /// A backup is made as by [`Db::snapshot`], by a thread of its own; under
    /// [`Maintenance::Manual`](crate::Maintenance::Manual) by [`Db::maintain`]. What fails is tried again, after 1 s and
    /// then longer and longer, up to 5 min, is told by [`Db::health`] and counted by [`Db::stats`]; nothing is removed
    /// before a backup was made. [`Db::close`] ends a backup that is under way.
    ///
    /// What the policy has made is known by its names in the folder, and by the volume. If runs were missed since the newest
    /// of these, because nothing ran or nothing could be written, one backup makes up for all of them. If there is none yet,
    /// that counts from when the database was last in use before it was opened. Nothing else in the folder is ever removed:
    /// neither what was made by hand, nor what another policy or another database has made. A backup that somebody reads
    /// goes all the same when its time has come.
    ///
    /// A clock that has jumped forward makes a backup, but removes none until it is believed: see [`Db::confirm_clock`].
    ///
    /// ```
    /// use ebbtide::{BackupPolicy, Builder, Days, Db, Keep, Maintenance, ManualClock, Retention, Schedule, Timestamp, Zone};
    /// use std::{sync::Arc, time::Duration};
    /// let dir = tempfile::tempdir()?;
    /// let clock = Arc::new(ManualClock::new(Timestamp::from_secs(0)));
    /// let db = Builder::in_memory().clock(clock.clone()).maintenance(Maintenance::Manual).open()?;
    ///
    /// let schedule = Schedule::new([22], Days::Every(1), Zone::UTC)?;
    /// db.backup_policy(BackupPolicy::new("nightly", dir.path(), schedule, Retention::new(Keep::Number(2), false)?))?;
    /// for _day in 0..3 {
    ///     clock.advance(Duration::from_secs(24 * 3_600));
    ///     db.maintain()?;
    /// }
    /// let names: Vec<_> = Db::backups(dir.path())?.list.into_iter().map(|backup| backup.path).collect();
    /// assert!(names[0].ends_with("nightly-19700102T220000Z") && names[1].ends_with("nightly-19700103T220000Z"));
    /// assert_eq!(names.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` when the policy's name cannot begin a backup's, or when
    /// [`BACKUP_POLICIES_MAX`](crate::limits::BACKUP_POLICIES_MAX) others are in force; `Io` when the folder cannot be read;
    /// `Unsupported` for a backup that was opened; `Closed` and `Failed`.
    pub fn backup_policy(&self, policy: BackupPolicy) -> Result<()> {
        self.owner.0.backup_policy(Arc::new(RealDisk), policy)
    }

    /// The policies in force, in the order in which they came.
    pub fn backup_policies(&self) -> Vec<BackupPolicy> {
        self.engine().backup_policies()
    }

    /// Puts the policy with this one's name and folder out of force; whether there was one. What it has made stays. A backup
    /// that is under way is made to its end.
    pub fn end_backup_policy(&self, policy: &BackupPolicy) -> bool {
        self.engine().end_backup_policy(policy)
    }
}
