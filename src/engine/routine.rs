//! Policies at work: makes the backups that are due, and then removes those that their policy does not keep any more. What
//! was made is told by the names in the folder and nothing else, so there is no state that could differ from it. When a
//! backup is due and which ones may go, `policy` says; what a backup is, `backup`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::backup;
use crate::engine::Engine;
use crate::engine::settings::Maintenance;
use crate::env::disk::Disk;
use crate::env::identity;
use crate::error::{Error, ErrorKind, Result};
use crate::model::limits::BACKUP_POLICIES_MAX;
use crate::model::time::Timestamp;
use crate::policy::named::{BackupPolicy, POLICY_NAME_BYTES_MAX};

/// The policies in force for an open database.
#[derive(Debug, Default)]
pub(super) struct Routine {
    /// Held by who does what is due.
    turn: Mutex<()>,
    standing: Mutex<Vec<Standing>>,
}

/// A policy in force.
#[derive(Clone, Debug)]
struct Standing {
    policy: BackupPolicy,
    /// Where its folder lies.
    disk: Arc<dyn Disk>,
    /// Runs up to this moment were seen to.
    handled: Timestamp,
    /// Whether a backup was made, and what is not kept for it any more may still be there.
    is_untidy: bool,
}

impl Routine {
    fn find(&self, policy: &BackupPolicy) -> Option<Standing> {
        self.standing.lock().iter().find(|each| each.policy.replaces(policy)).cloned()
    }

    /// Changes what is known of a policy, unless it is not in force any more.
    fn change(&self, policy: &BackupPolicy, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.standing.lock().iter_mut().find(|each| each.policy.replaces(policy)) {
            change(standing);
        }
    }
}

impl Engine {
    /// Puts a policy in force, in place of one with the same name and folder.
    pub(crate) fn backup_policy(self: &Arc<Self>, disk: Arc<dyn Disk>, policy: BackupPolicy) -> Result<()> {
        self.refuse_frozen()?;
        let now = self.settings.clock.now();
        if !backup::is_name(&policy.name_of(now)) {
            let why = format!(
                "{:?}: a policy's name is 1 to {POLICY_NAME_BYTES_MAX} of A-Z a-z 0-9 - _ . : + and begins with one of the \
                 first three",
                policy.name(),
            );
            return Err(Error::invalid(why));
        }
        backup::check_place(&*disk, policy.folder())?;
        let mut standing = Standing { policy, disk, handled: now, is_untidy: false };
        let newest = self.own(&standing)?.last().map(|(due, _)| *due);
        // Where there is none yet, what was due since the database was last in use is made up for: a program that never
        // runs at the hours of its schedule should get a first backup too.
        standing.handled = newest.unwrap_or_else(|| self.guard.horizon()).min(now);
        let mut life = self.life.lock();
        self.check_open()?;
        if self.settings.maintenance == Maintenance::Background {
            life.threads.back_up(self)?;
        }
        let mut all = self.routine.standing.lock();
        match all.iter().position(|each| each.policy.replaces(&standing.policy)) {
            Some(place) => all[place] = standing,
            None if all.len() < BACKUP_POLICIES_MAX => all.push(standing),
            None => {
                let why = format!("{BACKUP_POLICIES_MAX} backup policies are in force, which is the most");
                return Err(Error::invalid(why));
            }
        }
        Ok(())
    }

    /// Puts a policy out of force; whether it was in force.
    pub(crate) fn end_backup_policy(&self, policy: &BackupPolicy) -> bool {
        let mut all = self.routine.standing.lock();
        let before = all.len();
        all.retain(|each| !each.policy.replaces(policy));
        all.len() < before
    }

    /// The policies in force, in the order in which they came.
    pub(crate) fn backup_policies(&self) -> Vec<BackupPolicy> {
        self.routine.standing.lock().iter().map(|each| each.policy.clone()).collect()
    }

    /// Makes the backups that are due, and removes those that are not kept any more. Gives the first error; one policy's
    /// does not keep another from its work.
    pub(super) fn back_up_due(&self) -> Result<()> {
        let _turn = self.routine.turn.lock();
        let mut first = None;
        for policy in self.backup_policies() {
            match self.make_due(&policy).and_then(|()| self.tidy_up(&policy)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
                Err(error) => {
                    let what = format_args!("the backup policy {}", policy.name());
                    let error = Error::because(error.kind(), what, &error);
                    tracing::warn!(%error, "a backup policy was not carried out");
                    self.counters.backups_failed.fetch_add(1, Ordering::Relaxed);
                    first.get_or_insert(error);
                }
            }
        }
        self.troubles.note_backup(first.as_ref());
        first.map_or(Ok(()), Err)
    }

    fn make_due(&self, policy: &BackupPolicy) -> Result<()> {
        let now = self.settings.clock.now();
        // A clock that was set back does not keep backups waiting until it is there again.
        self.routine.change(policy, |standing| standing.handled = standing.handled.min(now));
        let Some(standing) = self.routine.find(policy) else { return Ok(()) };
        let Some(due) = standing.policy.schedule().due(standing.handled, now) else { return Ok(()) };
        // It is there already if the clock was set back, or if it could not be said for sure that it had been made.
        if self.own(&standing)?.iter().all(|(moment, _)| *moment != due.at) {
            let target = standing.policy.path_of(due.at);
            let made = self.snapshot(standing.disk.clone(), &target, &mut |_, _| {})?;
            self.counters.backups_made.fetch_add(1, Ordering::Relaxed);
            let (bytes, missed) = (made.bytes, due.missed);
            tracing::info!(backup = %target.display(), bytes, missed, "a backup was made");
        }
        self.routine.change(policy, |standing| {
            (standing.handled, standing.is_untidy) = (standing.handled.max(due.at), true);
        });
        Ok(())
    }

    /// Removes what a policy does not keep any more, once it has made a backup.
    fn tidy_up(&self, policy: &BackupPolicy) -> Result<()> {
        let Some(standing) = self.routine.find(policy).filter(|standing| standing.is_untidy) else { return Ok(()) };
        // A clock that has jumped must not destroy anything: what may go waits until it is believed.
        if self.guard.is_suspended() {
            return Ok(());
        }
        // What was believed may have been wrong all the same, and be put right since: the earlier moment destroys less.
        let now = self.guard.confirmed().min(self.settings.clock.now());
        // Such a clock's backups stay, and push no other out, until their time has come.
        let own: Vec<_> = self.own(&standing)?.into_iter().filter(|(due, _)| *due <= now).collect();
        let times: Vec<Timestamp> = own.iter().map(|(due, _)| *due).collect();
        let policy = &standing.policy;
        let expired = policy.retention().expired(&times, policy.schedule().zone(), now);
        if !expired.is_empty() {
            // IMPORTANT: the newest one may have been found instead of made, and its name be known to the cache only.
            let synced = standing.disk.sync_dir(policy.folder());
            synced.map_err(|error| Error::io(format_args!("sync {}", policy.folder().display()), error))?;
        }
        let mut removed = Ok(());
        for place in expired {
            let path = &own[place].1;
            // One that cannot be removed keeps no other one there.
            removed = removed.and(backup::remove(standing.disk.clone(), path).map(|()| {
                self.counters.backups_removed.fetch_add(1, Ordering::Relaxed);
                tracing::info!(backup = %path.display(), "a backup that its policy does not keep was removed");
            }));
        }
        removed?;
        self.routine.change(policy, |standing| standing.is_untidy = false);
        Ok(())
    }

    /// The backups that a policy has made of this volume, by when they were due.
    fn own(&self, standing: &Standing) -> Result<Vec<(Timestamp, PathBuf)>> {
        let backups = backup::list(&*standing.disk, standing.policy.folder())?;
        for error in &backups.damaged {
            tracing::warn!(%error, "a backup cannot be read");
        }
        let volume = identity::show(self.format.volume);
        let of_volume = backups.list.into_iter().filter(|backup| backup.volume == volume);
        let moment = |path: &PathBuf| standing.policy.moment_of(path.file_name()?.to_str()?);
        let mut own: Vec<_> = of_volume.filter_map(|backup| Some((moment(&backup.path)?, backup.path))).collect();
        own.sort();
        Ok(own)
    }
}
