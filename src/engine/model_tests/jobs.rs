//! Maintenance of a history, one job at a time, with a look at each.

use crate::engine::model_tests::history::{History, Outcome, ensure};
use crate::engine::plan::{Circumstances, Job, Reason, plan};
use crate::model::durability::Sequence;
use crate::model::packed::ALWAYS_DEAD;
use crate::model::segment::Role;

/// Jobs that one maintenance never needs.
const JOBS_MAX: usize = 300;

impl History {
    /// What `maintain` does, with a look at every job.
    pub(super) fn maintain(&mut self) -> Outcome {
        self.engine().flush_due().map_err(|error| error.to_string())?;
        self.work_off(false)
    }

    /// What `compact` does, with a look at every job.
    pub(super) fn compact(&mut self) -> Outcome {
        self.flush()?;
        self.work_off(true)
    }

    pub(super) fn work_off(&mut self, is_eager: bool) -> Outcome {
        for _ in 0..JOBS_MAX {
            if !self.step(is_eager)? {
                return self.engine().forget_series().map_err(|error| error.to_string());
            }
        }
        Err(format!("{JOBS_MAX} jobs and no end"))
    }

    /// One job; whether there was one.
    pub(super) fn step(&mut self, is_eager: bool) -> Outcome<bool> {
        let job = self.next_job(is_eager);
        match &job {
            None => {}
            Some(Job::Drop(numbers)) => {
                let dropped = numbers.len();
                self.count("drop", dropped);
                let stored = self.stored();
                let is_override = |number: &&u64| stored.slot(**number).expect("listed").meta.role == Role::Override;
                let overrides = numbers.iter().filter(is_override).count();
                self.count("drop of an override", overrides);
            }
            Some(Job::Merge(numbers, reason)) => {
                let stored = self.stored();
                let is_override = stored.slot(numbers[0]).expect("listed").meta.role == Role::Override;
                let what = match (reason, is_override) {
                    (Reason::Deletion, _) => "erase",
                    (_, true) => "merge of overrides",
                    (_, false) => "merge",
                };
                self.count(what, 1);
            }
            Some(Job::Fold(..)) => self.count("fold", 1),
            Some(Job::Summarise(..)) => self.count("summarise", 1),
        }
        let done = self.engine().compact_one(is_eager).map_err(|error| format!("{job:?}: {error}"))?;
        ensure(done == job.is_some(), || format!("{job:?}, done: {done}"))?;
        self.watch();
        Ok(done)
    }

    fn next_job(&self, is_eager: bool) -> Option<Job> {
        let engine = self.engine();
        let stored = self.stored();
        let settled = engine.settled(engine.guard.confirmed(), Sequence::default());
        let about = Circumstances {
            now: settled.now.as_millis(),
            confirmed: settled.confirmed.as_millis(),
            recent: &settled.recent,
            reclaim_within: self.settings.reclaim_millis(),
            rollup: &engine.rollup,
            free_bytes: u64::MAX,
            damaged: &std::collections::HashSet::new(),
            is_eager,
        };
        plan(&stored.version, &about)
    }

    /// Counts segments that are new, and series that have gone.
    pub(super) fn watch(&mut self) {
        let version = self.stored().version.clone();
        let seen = self.watched.segment;
        for meta in version.segments.iter().filter(|meta| meta.number > seen) {
            match meta.role {
                Role::Override if meta.expiries.0 == ALWAYS_DEAD => self.count("shadows", 1),
                Role::Override => self.count("override", 1),
                Role::Plain(_) => self.count("plain", 1),
                Role::Summaries(_) => self.count("summaries", 1),
            }
            self.watched.segment = meta.number;
        }
        let series = self.known().len();
        self.count("forget", self.watched.series.saturating_sub(series));
        self.watched.series = series;
    }
}
