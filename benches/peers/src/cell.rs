//! One store doing one thing: what is said to a process of its own, and what comes back from it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The first argument of a process that runs one cell.
pub(crate) const MARK: &str = "--cell";
/// A process that takes longer is ended and counts as failed.
const TIME_MAX: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Writes a workload; tells rate, sizes, memory.
    Fill,
    /// Opens what was written, asks and checks.
    Read,
    /// Opens it and lets time pass.
    Expire,
    /// Writes for a while.
    Rate,
    /// Ebbtide alone, with more and more of it.
    Growth,
}

const TASKS: [(&str, Task); 5] = [
    ("fill", Task::Fill),
    ("read", Task::Read),
    ("expire", Task::Expire),
    ("rate", Task::Rate),
    ("growth", Task::Growth),
];

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) store: String,
    pub(crate) task: Task,
    pub(crate) workload: String,
    pub(crate) points: usize,
    /// Seconds.
    pub(crate) budget: u64,
    pub(crate) batch: usize,
    pub(crate) synced: bool,
    pub(crate) writers: usize,
    pub(crate) series: usize,
    /// Whether the points of a batch come series by series.
    pub(crate) by_series: bool,
    pub(crate) dir: PathBuf,
}

/// Numbers by name.
pub(crate) type Told = Vec<(String, f64)>;

impl Cell {
    fn arguments(&self) -> Vec<String> {
        let task = TASKS.iter().find(|(_, task)| *task == self.task).expect("each task has a name").0;
        let numbers = [
            self.points,
            usize::try_from(self.budget).expect("a short time"),
            self.batch,
            self.synced.into(),
            self.writers,
            self.series,
            self.by_series.into(),
        ];
        let words = [&self.store, task, &self.workload, &*self.dir.to_string_lossy()].map(str::to_owned);
        words.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }

    pub(crate) fn from_arguments(arguments: &[String]) -> Self {
        let [store, task, workload, dir, numbers @ ..] = arguments else { panic!("a cell has more arguments") };
        let task = TASKS.iter().find(|(name, _)| name == task).expect("a known task").1;
        let numbers: Vec<usize> = numbers.iter().map(|number| number.parse().expect("a number")).collect();
        let [points, budget, batch, synced, writers, series, by_series] = numbers[..] else {
            panic!("a cell has seven numbers")
        };
        let (store, workload, dir) = (store.clone(), workload.clone(), dir.into());
        let (budget, synced, by_series) = (budget as u64, synced == 1, by_series == 1);
        Self { store, task, workload, points, budget, batch, synced, writers, series, by_series, dir }
    }

    /// Runs the cell in a process of its own; gives what it told, or why it did not.
    pub(crate) fn run(&self) -> Result<Told, String> {
        let program = std::env::current_exe().expect("this program has a file");
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut child = Command::new(program)
            .arg(MARK)
            .args(self.arguments())
            // Recorded data lies beside the project.
            .env("CARGO_MANIFEST_DIR", project.canonicalize().expect("the project is there"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program starts");
        // Read while it runs: a full pipe would hold it up.
        let told = reader(child.stdout.take().expect("it is piped"));
        let complaints = reader(child.stderr.take().expect("it is piped"));
        let status = wait(&mut child);
        let [told, complaints] = [told, complaints].map(|reader| reader.join().expect("a reader reads"));
        let Some(status) = status else { return Err(format!("took more than {} s", TIME_MAX.as_secs())) };
        if !status.success() {
            let why = complaints.lines().find(|line| !line.is_empty() && !line.contains("panicked at"));
            return Err(why.unwrap_or("no word").chars().take(200).collect());
        }
        let parse = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        Ok(told.lines().filter_map(parse).collect())
    }
}

/// Takes in what a pipe brings until its other end goes.
fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// How a process ended; `None` if it had to be ended.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        match child.try_wait().expect("the process is ours") {
            Some(status) => return Some(status),
            None if start.elapsed() > TIME_MAX => {
                child.kill().expect("the process is ours");
                child.wait().expect("the process is ours");
                return None;
            }
            None => std::thread::sleep(PAUSE),
        }
    }
}
