//! A small store with every kind of file, and what it must say: after everything that was written, and after a log that
//! has lost some of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::settings::{Maintenance, Settings};
use crate::env::clock::ManualClock;
use crate::env::disk::Disk;
use crate::env::faulty::FaultyDisk;
use crate::env::memory::MemoryDisk;
use crate::model::batch::WriteBatch;
use crate::model::point::Point;
use crate::model::selector::Selector;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp, Ttl};

pub(super) const DIR: &str = "v";
/// Ten o'clock on some day.
const START: i64 = 20_778 * 86_400_000 + 36_000_000;
/// When damage is looked for: what expires within half an hour is dead.
const LATER: Duration = Duration::from_secs(2_400);

/// What can be read: points by the number of their series and their time.
pub(super) type State = BTreeMap<(usize, i64), Point>;

/// Files by path.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// One thing that was accepted.
enum Event {
    Points(Vec<(usize, Point)>),
    Deletion(usize, i64, i64),
}

/// A store that was killed, and what is known of it.
pub(super) struct Story {
    pub(super) files: Files,
    pub(super) keys: Vec<SeriesKey>,
    /// All places that anything was ever written to.
    pub(super) places: BTreeSet<(usize, i64)>,
    /// What it says if the log has lost the entries of a set: by the bits of a number, the lowest for the oldest entry.
    pub(super) states: Vec<State>,
}

pub(super) fn settings(strict: bool) -> Settings {
    let clock = ManualClock::new(Timestamp::from_millis(START));
    clock.advance(LATER);
    Settings { strict, ..settings_at(Arc::new(clock)) }
}

fn settings_at(clock: Arc<ManualClock>) -> Settings {
    Settings { clock, maintenance: Maintenance::Manual, log_file_bytes: 512, ids: Some([7; 16]), ..Settings::default() }
}

fn point(time: i64, value: i64) -> Point {
    Point::new(Timestamp::from_millis(START + time), value)
}

fn float(time: i64, value: f64) -> Point {
    Point::new(Timestamp::from_millis(START + time), value)
}

const DAY: Ttl = Ttl::from_secs(86_400);
const YESTERDAY: i64 = -86_400_000;
/// Uneven times, so that segments have columns of them.
const TIMES: [i64; 6] = [-300_000, -239_017, -181_000, -119_500, -60_003, -1_000];

/// What is in segments, one list for each flush.
fn flushed() -> Vec<Vec<Event>> {
    use Event::{Deletion, Points};
    let all = |series, make: &dyn Fn(usize) -> Point| (0..6).map(|at| (series, make(at))).collect::<Vec<_>>();
    let mut first = all(0, &|at| point(TIMES[at], 10 + TIMES[at] % 7).with_unit("%"));
    first.extend(all(1, &|at| float(TIMES[at], [0.25, 0.5, 7.125, 1e300, -0.0, 0.1][at]).with_ttl(DAY)));
    // So that two segments may hold something of one series at one time.
    first.extend([(1, point(TIMES[0] - 1, 17)), (1, point(TIMES[5] + 1, 18))]);
    first.extend(all(2, &|at| point(TIMES[at], 7).with_ttl(Ttl::from_secs(1_200)).with_unit("ms")));
    let second = vec![
        (0, point(TIMES[1], 21)),
        (0, point(TIMES[2], 22).with_ttl(Ttl::from_secs(1_500))),
        // Dead when it comes, so that it becomes a shadow.
        (0, point(TIMES[3], 23).with_ttl(Ttl::from_secs(1))),
        (1, point(TIMES[0], 24).with_unit("byte/s")),
    ];
    let third = vec![
        (0, point(TIMES[1], 31).with_unit("%")),
        (1, float(TIMES[2], 3.5).with_ttl(DAY)),
        (3, point(YESTERDAY, 32)),
        (3, point(YESTERDAY + 1, 33)),
        // The only point of its series.
        (6, point(YESTERDAY + 2, 34).with_unit("ms")),
    ];
    vec![
        vec![Points(first)],
        vec![Points(second)],
        vec![Points(third)],
        // Pending in the manifest until somebody compacts.
        vec![Deletion(0, TIMES[4], TIMES[5] + 1), Points(vec![(1, float(0, 4.5).with_ttl(DAY))])],
    ]
}

/// What is in the log only.
fn logged() -> Vec<Event> {
    use Event::{Deletion, Points};
    vec![
        Points(vec![(0, point(TIMES[5], 51).with_unit("%")), (4, point(0, 52)), (0, point(TIMES[0], 53))]),
        Points(vec![(4, float(1, 61.5)), (2, point(0, 62).with_ttl(DAY).with_unit("ms"))]),
        Deletion(1, TIMES[1], TIMES[1] + 1),
        Points(vec![(5, point(5, 71)), (0, point(TIMES[1], 72).with_ttl(Ttl::from_secs(1))), (4, point(2, 73))]),
        Points(vec![(4, point(0, 81).with_ttl(Ttl::from_secs(1_000))), (3, point(YESTERDAY, 82))]),
    ]
}

impl Event {
    fn apply(&self, named: impl Fn(usize) -> bool, state: &mut State) {
        match self {
            Self::Points(points) => {
                for (series, point) in points.iter().filter(|(series, _)| named(*series)) {
                    state.insert((*series, point.time.as_millis()), point.clone());
                }
            }
            Self::Deletion(of, start, end) => {
                let range = START + start..START + end;
                state.retain(|(series, time), _| series != of || !range.contains(time));
            }
        }
    }

    fn series(&self) -> BTreeSet<usize> {
        match self {
            Self::Points(points) => points.iter().map(|(series, _)| *series).collect(),
            Self::Deletion(..) => BTreeSet::new(),
        }
    }

    fn write(&self, engine: &Engine, keys: &[SeriesKey]) {
        match self {
            Self::Points(points) => {
                let batch: WriteBatch =
                    points.iter().map(|(series, point)| (keys[*series].clone(), point.clone())).collect();
                engine.write(&batch).expect("accepted");
            }
            Self::Deletion(series, start, end) => {
                let time = |time: &i64| Timestamp::from_millis(START + time);
                engine.delete(&keys[*series], TimeRange::new(time(start), time(end))).expect("accepted");
            }
        }
    }
}

impl Story {
    /// Writes the store on a disk and kills it.
    pub(super) fn tell() -> Self {
        Self::tell_from(flushed())
    }

    /// The same store, had its first batch been another one.
    pub(super) fn tell_otherwise() -> Self {
        let mut otherwise = flushed();
        if let Event::Points(points) = &mut otherwise[0][0] {
            points.remove(0);
            points.extend([(1, point(7, 7).with_ttl(DAY)), (2, point(8, 8).with_ttl(Ttl::from_secs(1_200)))]);
        }
        Self::tell_from(otherwise)
    }

    fn tell_from(flushed: Vec<Vec<Event>>) -> Self {
        let keys: Vec<SeriesKey> = (0..7)
            .map(|series| SeriesKey::new("A.B", format!("m{}", series % 2), [("host", series.to_string())]))
            .collect::<Result<_, _>>()
            .expect("valid names");
        let disk = FaultyDisk::default();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let engine = Engine::open(Arc::new(disk.clone()), Path::new(DIR), settings_at(clock)).expect("an empty disk");
        let (mut state, mut places) = (State::new(), BTreeSet::new());
        for events in flushed {
            for event in events {
                event.write(&engine, &keys);
                event.apply(|_| true, &mut state);
                places.extend(state.keys());
            }
            engine.flush().expect("a sound disk");
        }
        let known: BTreeSet<usize> =
            (0..keys.len()).filter(|series| engine.series(&Selector::all()).contains(&keys[*series])).collect();
        let states = states(&state, &known);
        for event in logged() {
            event.write(&engine, &keys);
        }
        std::mem::forget(engine);
        let mut everything = state;
        for event in &logged() {
            event.apply(|_| true, &mut everything);
            places.extend(everything.keys());
        }
        Self { files: read_all(&disk), keys, places, states }
    }

    pub(super) fn is_visible(&self, place: (usize, i64)) -> bool {
        self.states[0].contains_key(&place)
    }
}

/// What is visible later, for each set of entries that the log has lost.
fn states(stored: &State, known: &BTreeSet<usize>) -> Vec<State> {
    let events = logged();
    // Each series is named by the first batch that writes to it.
    let mut seen = BTreeSet::new();
    let named_by: Vec<BTreeSet<usize>> = events
        .iter()
        .map(|event| {
            let new = &event.series() - &seen;
            seen.extend(&new);
            new
        })
        .collect();
    let now = Timestamp::from_millis(START) + LATER;
    (0..1 << events.len())
        .map(|lost: u32| {
            let (mut state, mut known) = (stored.clone(), known.clone());
            for (number, event) in events.iter().enumerate().filter(|(number, _)| lost >> number & 1 == 0) {
                known.extend(&named_by[number]);
                event.apply(|series| known.contains(&series), &mut state);
            }
            state.retain(|_, point| point.is_visible_at(now));
            state
        })
        .collect()
}

fn read_all(disk: &dyn Disk) -> Files {
    let mut files = Files::new();
    let mut folders = vec![PathBuf::from(DIR)];
    while let Some(folder) = folders.pop() {
        for name in disk.list(&folder).expect("a folder") {
            let path = folder.join(name);
            match disk.read(&path, u64::MAX) {
                Ok(bytes) => drop(files.insert(path, bytes)),
                Err(_) => folders.push(path),
            }
        }
    }
    files
}

/// A disk with these files.
pub(super) fn disk_of(files: &Files) -> Arc<MemoryDisk> {
    let disk = MemoryDisk::default();
    for folder in ["", "wal", "segments"] {
        disk.create_dir(&Path::new(DIR).join(folder)).expect("memory");
    }
    for (path, bytes) in files {
        disk.create(path).and_then(|mut file| file.write_at(bytes, 0)).expect("memory");
    }
    Arc::new(disk)
}
