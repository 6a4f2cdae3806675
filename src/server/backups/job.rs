//! Jobs: each makes one backup of one volume. Kept in memory, the last ones of each project; what they have made is in
//! the book.

use std::collections::VecDeque;

use crate::model::time::Timestamp;

/// Most jobs of a project that are remembered. Those that are not over are never forgotten.
const JOBS_MAX: usize = 1_000;

/// One job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::server) struct Job {
    pub(in crate::server) id: String,
    /// The policy that it is for; none for one that somebody has asked for by hand.
    pub(in crate::server) policy: Option<String>,
    pub(in crate::server) volume: String,
    /// The backup that it makes.
    pub(in crate::server) backup: String,
    /// Of the backup.
    pub(in crate::server) name: String,
    pub(in crate::server) description: String,
    pub(in crate::server) state: JobState,
    pub(in crate::server) created: Timestamp,
    pub(in crate::server) finished: Option<Timestamp>,
}

/// How a job stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::server) enum JobState {
    Waiting,
    Running,
    Done,
    /// Why it has failed.
    Failed(String),
}

impl Job {
    pub(in crate::server) fn is_over(&self) -> bool {
        matches!(self.state, JobState::Done | JobState::Failed(_))
    }
}

/// The jobs of one project, the oldest first.
#[derive(Debug, Default)]
pub(in crate::server) struct Jobs(VecDeque<Job>);

impl Jobs {
    pub(in crate::server) fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.0.iter()
    }

    pub(in crate::server) fn find(&self, id: &str) -> Option<&Job> {
        self.0.iter().find(|job| job.id == id)
    }

    /// Whether jobs of this policy wait or run.
    pub(in crate::server) fn is_busy(&self, policy: &str) -> bool {
        self.0.iter().any(|job| job.policy.as_deref() == Some(policy) && !job.is_over())
    }

    /// Adds jobs, and forgets the oldest ones that are over.
    pub(super) fn add(&mut self, jobs: &[Job]) {
        self.0.extend(jobs.iter().cloned());
        let mut spare = self.0.len().saturating_sub(JOBS_MAX);
        self.0.retain(|job| {
            let goes = spare > 0 && job.is_over();
            spare -= usize::from(goes);
            !goes
        });
    }

    /// Whether there is such a job; then it stands so.
    pub(super) fn set(&mut self, id: &str, state: JobState, now: Timestamp) -> bool {
        let Some(job) = self.0.iter_mut().find(|job| job.id == id) else { return false };
        job.state = state;
        job.finished = job.is_over().then_some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_jobs_that_are_over_are_forgotten() {
        let job = |number: usize, state| Job {
            id: number.to_string(),
            policy: Some("p".into()),
            volume: String::new(),
            backup: String::new(),
            name: String::new(),
            description: String::new(),
            state,
            created: Timestamp::EPOCH,
            finished: None,
        };
        let mut jobs = Jobs::default();
        jobs.add(&[job(0, JobState::Waiting)]);
        for number in 1..JOBS_MAX + 3 {
            jobs.add(&[job(number, JobState::Done)]);
        }
        let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        assert_eq!((ids.len(), ids[0], ids[1]), (JOBS_MAX, "0", "4"));
        assert!(jobs.is_busy("p") && !jobs.is_busy("q"));
        assert!(jobs.set("0", JobState::Failed("why".into()), Timestamp::from_secs(1)));
        assert!(!jobs.set("1", JobState::Running, Timestamp::from_secs(1)), "it is forgotten");
        assert!(!jobs.is_busy("p") && jobs.find("0").expect("there").finished == Some(Timestamp::from_secs(1)));
    }
}
