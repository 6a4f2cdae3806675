//! The backups of all projects: what each one's book says, the jobs that make backups, and what falls due by the
//! clock. Knows no request; every call may block on files, so it belongs on a thread that may.

mod job;
mod run;
mod shelf;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use self::job::Jobs;
pub(super) use self::job::{Job, JobState};
use self::shelf::Shelf;
use crate::env::clock::Clock;
use crate::env::memory::MemoryDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::model::time::Timestamp;
use crate::policy::book::Book;
use crate::policy::file::PolicyFile;
use crate::server::ids::{self, Ids};
use crate::server::projects::{ProjectId, Projects};

/// Most projects with policies, volumes or backups of their own: each of them is looked at when time passes.
const PROJECTS_MAX: usize = 1_000;

/// Most jobs of all projects that wait for their turn.
const WAITING_MAX: usize = 1_000;

/// Which volumes can be associated with a policy.
///
/// ```
/// use ebbtide::server::Volumes;
/// assert_eq!("any".parse::<Volumes>()?, Volumes::Any);
/// assert_eq!(Volumes::Declared.to_string(), "declared");
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Volumes {
    /// Any: one that nobody has declared is declared by that: `any`.
    #[default]
    Any,
    /// The project's own one, and those that were declared: `declared`.
    Declared,
}

impl std::fmt::Display for Volumes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Declared => "declared",
        })
    }
}

impl std::str::FromStr for Volumes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "any" => Ok(Self::Any),
            "declared" => Ok(Self::Declared),
            _ => Err(Error::invalid("it is `any` or `declared`")),
        }
    }
}

/// All backups of one server.
#[derive(Debug)]
pub(super) struct Backups {
    projects: Arc<Projects>,
    clock: Arc<dyn Clock>,
    shelf: Shelf,
    accounts: Mutex<BTreeMap<ProjectId, Arc<Account>>>,
    /// Held by whoever makes or removes backups, so that one thing is done after the other.
    turn: Mutex<()>,
    waiting: AtomicUsize,
    closed: AtomicBool,
    /// Volumes that each start declares anew.
    declared: Vec<(ProjectId, String)>,
}

/// What one project says of its backups.
#[derive(Debug)]
struct Account(Mutex<State>);

/// What is known of one project.
#[derive(Debug)]
pub(super) struct State {
    pub(super) book: Book,
    pub(super) jobs: Jobs,
    /// None in memory.
    file: Option<PolicyFile>,
    /// Whether it has said nothing yet: then it is as if nobody had asked.
    is_blank: bool,
    /// Whether the book is the last one: else nothing is removed because of what it says.
    is_trusted: bool,
}

/// The books of all projects in memory at one moment, and their backups.
#[derive(Debug, Default)]
pub(super) struct KeptBooks {
    books: BTreeMap<ProjectId, Book>,
    files: MemoryDisk,
}

impl KeptBooks {
    /// Bytes of all backups.
    pub(super) fn bytes(&self) -> usize {
        self.files.bytes()
    }
}

impl Backups {
    /// The backups of a server, with what earlier runs of it have left.
    ///
    /// # Errors
    /// What reading the books gives.
    pub(super) fn open(
        projects: Arc<Projects>,
        clock: Arc<dyn Clock>,
        declared: Vec<(ProjectId, String)>,
    ) -> Result<Self> {
        let backups = Self {
            shelf: Shelf::new(Arc::clone(&projects)),
            projects,
            clock,
            accounts: Mutex::default(),
            turn: Mutex::default(),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            declared,
        };
        for project in backups.shelf.projects()? {
            backups.account(&project)?;
        }
        for (project, _) in &backups.declared {
            backups.read(project, |_| ())?;
        }
        Ok(backups)
    }

    pub(super) fn projects(&self) -> Arc<Projects> {
        Arc::clone(&self.projects)
    }

    /// Waits for the backup that is being made; no further one is.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        drop(self.turn.lock());
    }

    /// Looks at what a project says. One that has said nothing yet is looked at as if it had, and stays forgotten.
    ///
    /// # Errors
    /// What reading its book gives.
    pub(super) fn read<T>(&self, project: &ProjectId, look: impl FnOnce(&State) -> T) -> Result<T> {
        let known = self.accounts.lock().get(project).map(Arc::clone);
        Ok(match known {
            Some(account) => look(&account.0.lock()),
            None => look(&self.load(project)?),
        })
    }

    /// Changes what a project says: all of the change is made, durably, or nothing.
    ///
    /// # Errors
    /// What the change gives; `NoSpace` and `Io` when it cannot be written; `Overloaded` when too many projects have a
    /// book.
    pub(super) fn change<T, E: From<Error>>(
        &self,
        project: &ProjectId,
        change: impl FnOnce(&mut Book, &Jobs) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let account = self.account(project)?;
        let outcome = self.change_in(project, &account, change);
        self.forget_if_blank(project, &account);
        outcome
    }

    fn change_in<T, E: From<Error>>(
        &self,
        project: &ProjectId,
        account: &Account,
        change: impl FnOnce(&mut Book, &Jobs) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut state = account.0.lock();
        let mut book = state.book.clone();
        let outcome = change(&mut book, &state.jobs)?;
        self.keep(project, &mut state, book)?;
        Ok(outcome)
    }

    /// Gives up the place of a project that has said nothing yet, unless somebody else has come for it.
    fn forget_if_blank(&self, project: &ProjectId, account: &Arc<Account>) {
        let mut accounts = self.accounts.lock();
        // The map's and ours.
        let is_blank = |state: &State| state.is_blank && state.jobs.iter().next().is_none();
        if Arc::strong_count(account) == 2 && is_blank(&account.0.lock()) {
            accounts.remove(project);
        }
    }

    /// Takes the book of a project for the right one again, after some of it could not be read.
    pub(super) fn trust(&self, project: &ProjectId) {
        if let Some(account) = self.accounts.lock().get(project) {
            account.0.lock().is_trusted = true;
        }
    }

    /// The moment at which the next policy of all runs.
    pub(super) fn next_run(&self) -> Option<Timestamp> {
        let accounts: Vec<_> = self.accounts.lock().values().map(Arc::clone).collect();
        accounts.iter().filter_map(|account| account.0.lock().book.next_run()).min()
    }

    /// Takes a place among the jobs that wait.
    fn take_places(&self, count: usize) -> Result<()> {
        let take = |waiting: usize| waiting.checked_add(count).filter(|waiting| *waiting <= WAITING_MAX);
        let taken = self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.map(drop).map_err(|_| {
            Error::new(ErrorKind::Overloaded, format!("{WAITING_MAX} backups wait for their turn, which is the most"))
        })
    }

    /// Writes a book where books are written, and makes it the project's.
    fn keep(&self, project: &ProjectId, state: &mut State, book: Book) -> Result<()> {
        if book != state.book {
            state.is_blank = false;
            if let Some(file) = &mut state.file {
                self.shelf.prepare(project)?;
                file.save(&book)?;
            }
            state.book = book;
        }
        Ok(())
    }

    fn account(&self, project: &ProjectId) -> Result<Arc<Account>> {
        if let Some(account) = self.accounts.lock().get(project) {
            return Ok(Arc::clone(account));
        }
        let state = self.load(project)?;
        let mut accounts = self.accounts.lock();
        if accounts.len() >= PROJECTS_MAX && !accounts.contains_key(project) {
            let why = format!("{PROJECTS_MAX} projects have backup policies, which is the most");
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
        Ok(Arc::clone(accounts.entry(project.clone()).or_insert_with(|| Arc::new(Account(Mutex::new(state))))))
    }

    fn load(&self, project: &ProjectId) -> Result<State> {
        let (file, found) = self.shelf.open_book(project)?;
        let own = self.projects.volume_id(project)?;
        let otherwise = || Book::new(ids::of_project("policy", project.as_str()), own, self.clock.now());
        let (is_trusted, is_blank) = (found.damage.is_empty(), found.damage.is_empty() && found.book.is_none());
        for note in &found.damage {
            tracing::error!(%project, "{note}; no backup is removed until a policy is changed");
        }
        let mut book = found.book.unwrap_or_else(otherwise);
        self.shelf.reconcile(project, &mut book)?;
        let declared = self.declared.iter().filter(|(of, _)| of == project);
        declared.into_iter().try_for_each(|(_, volume)| book.declare(volume, ""))?;
        Ok(State { book, jobs: Jobs::default(), file, is_blank, is_trusted })
    }

    /// Forgets everything that is in memory.
    pub(super) fn clear(&self) {
        self.replace(&KeptBooks::default());
    }

    /// Copies every book, without what is just being made. The files of backups are shared: they never change.
    pub(super) fn copy(&self) -> KeptBooks {
        let accounts = self.accounts.lock();
        let book = |(project, account): (&ProjectId, &Arc<Account>)| {
            let mut book = account.0.lock().book.clone();
            book.backups.retain(|backup| backup.whole);
            (project.clone(), book)
        };
        KeptBooks { books: accounts.iter().map(book).collect(), files: self.shelf.copy() }
    }

    /// Puts books in place of all that there are.
    pub(super) fn replace(&self, kept: &KeptBooks) {
        // Not under a backup that is being made. Those that wait are forgotten with their jobs.
        let _turn = self.turn.lock();
        let account = |(project, book): (&ProjectId, &Book)| {
            let (book, jobs) = (book.clone(), Jobs::default());
            let state = State { book, jobs, file: None, is_blank: false, is_trusted: true };
            (project.clone(), Arc::new(Account(Mutex::new(state))))
        };
        *self.accounts.lock() = kept.books.iter().map(account).collect();
        self.shelf.replace(&kept.files);
    }

    /// A job that waits to make a backup of a volume.
    pub(super) fn new_job(&self, ids: &Ids, policy: Option<&str>, volume: &str, name: String) -> Job {
        Job {
            id: ids.next_uuid(),
            policy: policy.map(str::to_owned),
            volume: volume.to_owned(),
            backup: ids.next_uuid(),
            name,
            description: String::new(),
            state: JobState::Waiting,
            created: self.clock.now(),
            finished: None,
        }
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
