//! Running policies: by hand, and when their time has come. One job after the other, in the order in which they were
//! asked for; what a policy does not keep any more goes after its backup was made, never before.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Backups, Job, JobState, State};
use crate::error::{Error, ErrorKind, Result};
use crate::model::time::Timestamp;
use crate::policy::book::{Backup, Book, Volume};
use crate::policy::schedule::Due;
use crate::server::calendar::show_compact;
use crate::server::ids::Ids;
use crate::server::projects::ProjectId;

impl Backups {
    /// Puts a job for each volume of a policy in the queue, for [`Backups::perform`]; none at all, and nothing, if jobs of
    /// it wait or run already.
    ///
    /// # Errors
    /// `Overloaded` when too many jobs wait.
    pub(in crate::server) fn enqueue_policy(
        &self,
        project: &ProjectId,
        policy: &str,
        ids: &Ids,
    ) -> Result<Option<Vec<Job>>> {
        let account = self.account(project)?;
        let mut state = account.0.lock();
        if state.jobs.is_busy(policy) {
            return Ok(None);
        }
        self.enqueue_all(&mut state, policy, &name_at(self.clock.now()), ids).map(Some)
    }

    fn enqueue_all(&self, state: &mut State, policy: &str, name: &str, ids: &Ids) -> Result<Vec<Job>> {
        let job = |volume: &Volume| self.new_job(ids, Some(policy), &volume.id, name.to_owned());
        let jobs = state.book.volumes_of(policy).map(job).collect();
        self.enqueue(state, jobs)
    }

    /// Puts one job in the queue.
    ///
    /// # Errors
    /// `Overloaded` when too many jobs wait.
    pub(in crate::server) fn enqueue_one(&self, project: &ProjectId, job: Job) -> Result<Vec<Job>> {
        let account = self.account(project)?;
        let mut state = account.0.lock();
        self.enqueue(&mut state, vec![job])
    }

    fn enqueue(&self, state: &mut State, jobs: Vec<Job>) -> Result<Vec<Job>> {
        self.take_places(jobs.len())?;
        state.jobs.add(&jobs);
        Ok(jobs)
    }

    /// Does what was put in the queue. What fails is told by its job.
    pub(in crate::server) fn perform(&self, project: &ProjectId, jobs: &[Job]) {
        let _turn = self.turn.lock();
        self.do_all(project, jobs);
    }

    /// Runs every policy whose time has come, in the order of time.
    ///
    /// # Errors
    /// None of a backup, which its job tells; what reading books gives.
    pub(in crate::server) fn run_due(&self, ids: &Ids) -> Result<()> {
        let _turn = self.turn.lock();
        if self.closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let now = self.clock.now();
        let accounts: Vec<_> =
            self.accounts.lock().iter().map(|(project, account)| (project.clone(), Arc::clone(account))).collect();
        let mut due: Vec<(ProjectId, String, Due)> = Vec::new();
        for (project, account) in &accounts {
            let of_project = account.0.lock().book.due(now);
            due.extend(of_project.into_iter().map(|(policy, due)| (project.clone(), policy, due)));
        }
        // Of several at a moment the projects come in order.
        due.sort_by_key(|(_, _, due)| due.at);
        for (project, policy, due) in due {
            self.run_one(&project, &policy, due, ids)?;
        }
        Ok(())
    }

    fn run_one(&self, project: &ProjectId, policy: &str, due: Due, ids: &Ids) -> Result<()> {
        if due.missed > 0 {
            tracing::warn!(%project, policy, missed = due.missed, "runs were missed: one backup makes up for them");
        }
        let account = self.account(project)?;
        let queued = self.enqueue_all(&mut account.0.lock(), policy, &name_at(due.at), ids);
        match queued {
            Ok(jobs) => self.do_all(project, &jobs),
            Err(error) => tracing::error!(%project, policy, "a policy has not run: {error}"),
        }
        // After the backups, so that a kill in between makes them due again. What cannot be written is still known here:
        // a full disk should not see a backup tried every second.
        self.settle(project, |book| {
            if let Some(policy) = book.policy_mut(policy) {
                policy.handled = policy.handled.max(due.at);
            }
        })
    }

    fn do_all(&self, project: &ProjectId, jobs: &[Job]) {
        for job in jobs {
            // A reset has forgotten it.
            if !self.set(project, job, JobState::Running) {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let outcome = self.do_one(project, job);
            if let Err(error) = &outcome {
                tracing::error!(%project, volume = job.volume, "a backup failed: {error}");
            }
            self.set(
                project,
                job,
                outcome.map_or_else(|error| JobState::Failed(error.to_string()), |()| JobState::Done),
            );
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn do_one(&self, project: &ProjectId, job: &Job) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "the server is stopping"));
        }
        let now = self.clock.now();
        self.change(project, |book, _| {
            book.add_backup(Backup {
                id: job.backup.clone(),
                name: job.name.clone(),
                description: job.description.clone(),
                volume: job.volume.clone(),
                policy: job.policy.clone(),
                at: now,
                bytes: 0,
                stored: false,
                whole: false,
            })
        })?;
        let bytes = match self.shelf.make(project, &job.volume, &job.backup) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.settle(project, |book| book.backups.retain(|backup| backup.id != job.backup))?;
                return Err(error);
            }
        };
        self.settle(project, |book| {
            if let Some(backup) = book.backup_mut(&job.backup) {
                (backup.whole, backup.stored, backup.bytes) = (true, bytes.is_some(), bytes.unwrap_or_default());
            }
        })?;
        let expired = match &job.policy {
            Some(policy) => self.expired(project, policy, &job.volume)?,
            None => Vec::new(),
        };
        for backup in expired {
            // The new one is there all the same, and this one is still listed: the next run tries again.
            if let Err(error) = self.remove_now(project, &backup) {
                tracing::error!(%project, backup, "a backup that is not kept any more could not be removed: {error}");
            }
        }
        Ok(())
    }

    /// Removes a backup; whether there was one.
    ///
    /// # Errors
    /// What removing its files gives: then it is still listed.
    pub(in crate::server) fn remove(&self, project: &ProjectId, backup: &str) -> Result<bool> {
        let _turn = self.turn.lock();
        let is_there = self.read(project, |state| state.book.backup(backup).is_some())?;
        if is_there {
            self.remove_now(project, backup)?;
        }
        Ok(is_there)
    }

    fn remove_now(&self, project: &ProjectId, backup: &str) -> Result<()> {
        let stored = self.read(project, |state| state.book.backup(backup).is_some_and(|backup| backup.stored))?;
        if stored {
            self.shelf.remove(project, backup)?;
        }
        self.settle(project, |book| book.backups.retain(|each| each.id != backup))
    }

    /// What may go now. What may not as long as the clock is doubted goes after the next run.
    fn expired(&self, project: &ProjectId, policy: &str, volume: &str) -> Result<Vec<String>> {
        if self.shelf.is_clock_doubted(project)? {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        self.read(project, |state| {
            let policy = state.book.policy(policy).filter(|_| state.is_trusted);
            policy.map(|policy| state.book.expired(policy, volume, now)).unwrap_or_default()
        })
    }

    /// Whether there is such a job; then it stands so.
    fn set(&self, project: &ProjectId, job: &Job, to: JobState) -> bool {
        let now = self.clock.now();
        let account = self.accounts.lock().get(project).map(Arc::clone);
        account.is_some_and(|account| account.0.lock().jobs.set(&job.id, to, now))
    }

    /// Changes a book to what has happened already: it is believed even if it cannot be written.
    fn settle(&self, project: &ProjectId, change: impl FnOnce(&mut Book)) -> Result<()> {
        let account = self.account(project)?;
        let mut state = account.0.lock();
        let mut book = state.book.clone();
        change(&mut book);
        let kept = self.keep(project, &mut state, book.clone());
        state.book = book;
        kept
    }
}

/// What a policy calls its backups.
fn name_at(time: Timestamp) -> String {
    format!("autobk_{}", show_compact(time))
}
