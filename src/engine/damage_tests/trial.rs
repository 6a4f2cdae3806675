//! One damage tried: what opening, reading, verifying, compacting and opening again may answer.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::story::{DIR, Files, State, Story, disk_of, settings};

use crate::engine::Engine;
use crate::engine::explain::Outcome;
use crate::engine::health::Health;
use crate::env::disk::Disk;
use crate::error::{Error, ErrorKind};
use crate::model::limits::WINDOWS_MAX;
use crate::model::selector::Selector;
use crate::model::time::{TimeRange, Timestamp};

/// Windows that are asked for.
const WINDOW: Duration = Duration::from_secs(300);

/// What a log may have lost without a word: what nothing behind it vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Silence {
    Nothing,
    /// The last entries.
    End,
}

/// One damage: how it is called, to which file, and the files afterwards.
pub(super) struct Damage {
    pub(super) what: String,
    pub(super) file: String,
    pub(super) files: Files,
    pub(super) silence: Silence,
    /// Whether compaction and a second opening are tried too.
    pub(super) is_thorough: bool,
}

/// How often which answer came.
#[derive(Default, Debug)]
pub(super) struct Answers {
    pub(super) tried: u64,
    pub(super) refused: u64,
    /// Points were missing, which was told.
    pub(super) part: u64,
    pub(super) whole: u64,
}

/// What reading everything gave.
pub(super) struct Seen {
    pub(super) state: State,
    /// Series of which something was told to be missing when they were read.
    pub(super) told: BTreeSet<usize>,
}

pub(super) fn kind_of(path: &Path) -> &'static str {
    match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("log") => "log",
        Some("pts" | "sum") => "segment",
        _ if path.ends_with("FORMAT") => "FORMAT",
        _ => "MANIFEST",
    }
}

pub(super) fn name(path: &Path) -> String {
    path.strip_prefix(DIR).expect("in the volume").display().to_string()
}

/// Reads every series in all ways and holds them against each other.
pub(super) fn look(story: &Story, engine: &Engine, what: &str) -> Seen {
    let mut seen = Seen { state: State::new(), told: BTreeSet::new() };
    for (series, key) in story.keys.iter().enumerate() {
        let read = || engine.points(key, TimeRange::ALL).expect("not strict");
        let (mut forward, mut backward) = (read(), read());
        let points: Vec<_> = forward.by_ref().map(|point| point.expect("not strict")).collect();
        let mut reversed: Vec<_> = backward.by_ref().rev().map(|point| point.expect("not strict")).collect();
        let latest = reversed.first().cloned();
        reversed.reverse();
        assert_eq!(points, reversed, "{what}: series {series} backwards");
        let (mut both, mut ends) = (read(), Vec::new());
        while let Some(point) = if ends.len() % 3 == 0 { both.next_back() } else { both.next() } {
            ends.push(point.expect("not strict"));
        }
        ends.extend(both.map(|point| point.expect("not strict")));
        ends.sort_by_key(|point| point.time);
        assert_eq!(points, ends, "{what}: series {series} from both ends");
        assert_eq!(read().next_back().map(|point| point.expect("not strict")), latest, "{what}: latest of {series}");
        if !forward.missing().is_empty() {
            seen.told.insert(series);
        }
        // Whatever can be read of windows is told without a panic.
        let windows = engine.windows(key, TimeRange::ALL, WINDOW, WINDOWS_MAX).expect("not strict");
        for window in &windows {
            let told = (window.average(), window.variance(), window.percentile(0.5));
            assert!(window.count() > 0 && told.1 >= 0.0, "{what}: {window:?}");
        }
        seen.state.extend(points.into_iter().map(|point| ((series, point.time.as_millis()), point)));
    }
    seen
}

/// Each place is explained as it is read.
fn check_explanations(story: &Story, engine: &Engine, seen: &Seen, what: &str) {
    for &(series, time) in &story.places {
        let told = engine.explain(&story.keys[series], Timestamp::from_millis(time));
        let is_seen = seen.state.contains_key(&(series, time));
        assert_eq!(told.outcome == Outcome::Visible, is_seen, "{what}: series {series} at {time} is {told}");
        let is_lost = story.is_visible((series, time)) && !is_seen && seen.told.contains(&series);
        assert!(!is_lost || told.outcome == Outcome::Quarantined, "{what}: series {series} at {time} is {told}");
    }
}

/// Everything that is told without being asked for a series.
fn sentences(engine: &Engine) -> Vec<String> {
    let mut sentences = engine.recovery().damage;
    if let Health::Degraded(told) = engine.health() {
        sentences.extend(told);
    }
    sentences
}

/// Holds what is read against what may be; whether points are missing.
fn check(story: &Story, engine: &Engine, damage: &Damage, seen: &Seen, is_log: bool) -> bool {
    let what = &damage.what;
    let told = sentences(engine);
    if is_log {
        // Points in segments are all there, and of the log whole entries are.
        let lost = story.states.iter().position(|state| *state == seen.state);
        let lost = lost.unwrap_or_else(|| panic!("{what}: a state that never was: {:?}", seen.state));
        let is_end = (0..story.states.len().ilog2()).any(|first| lost == story.states.len() - (1 << first));
        let is_torn = engine.recovery().torn_bytes > 0;
        let may_be_silent = is_end && (is_torn || damage.silence == Silence::End);
        assert!(lost == 0 || !told.is_empty() || may_be_silent, "{what}: entries {lost:b} are lost in silence");
        return lost != 0;
    }
    let whole = &story.states[0];
    for (place, point) in &seen.state {
        assert_eq!(whole.get(place), Some(point), "{what}: {place:?} is not what was written");
    }
    let known: BTreeSet<_> = engine.series(&Selector::all()).into_iter().collect();
    for place in whole.keys().filter(|place| !seen.state.contains_key(place)) {
        let is_told =
            if known.contains(&story.keys[place.0]) { seen.told.contains(&place.0) } else { !told.is_empty() };
        assert!(is_told, "{what}: {place:?} is missing in silence");
    }
    whole.len() != seen.state.len()
}

pub(super) fn open(disk: &Arc<dyn Disk>, strict: bool) -> Result<Arc<Engine>, Error> {
    Engine::open(disk.clone(), Path::new(DIR), settings(strict))
}

/// Lets go of an engine without the work of closing.
fn let_go(engine: Arc<Engine>) {
    engine.is_closed.store(true, std::sync::atomic::Ordering::SeqCst);
    drop(engine);
}

/// A refusal says what is wrong and where.
fn check_refusal(error: &Error, damage: &Damage) {
    let kinds = [ErrorKind::Corruption, ErrorKind::Unsupported];
    assert!(kinds.contains(&error.kind()), "{}: {:?}: {error}", damage.what, error.kind());
    assert!(error.to_string().contains(&damage.file), "{}: {error}", damage.what);
}

pub(super) fn serve(story: &Story, damage: &Damage, answers: &mut Answers) {
    let disk: Arc<dyn Disk> = disk_of(&damage.files);
    let is_log = damage.file.starts_with("wal");
    answers.tried += 1;
    let engine = match open(&disk, false) {
        Ok(engine) => engine,
        Err(error) => {
            check_refusal(&error, damage);
            answers.refused += 1;
            return;
        }
    };
    let seen = look(story, &engine, &damage.what);
    let is_part = check(story, &engine, damage, &seen, is_log);
    answers.part += u64::from(is_part);
    answers.whole += u64::from(!is_part);
    if !damage.is_thorough {
        return let_go(engine);
    }
    check_explanations(story, &engine, &seen, &damage.what);
    if !is_log {
        let mut told = sentences(&engine);
        told.extend(engine.verify().iter().map(ToString::to_string));
        let is_named = told.iter().any(|sentence| sentence.contains(&damage.file));
        assert!(is_named, "{}: nobody names the file: {told:?}", damage.what);
    }
    for round in ["compacted", "opened again"] {
        if round == "compacted" {
            engine.compact().unwrap_or_else(|error| panic!("{}: compact: {error}", damage.what));
            check_again(story, &engine, damage, &seen, round);
            engine.close().unwrap_or_else(|error| panic!("{}: close: {error}", damage.what));
        } else {
            let engine = open(&disk, false).unwrap_or_else(|error| panic!("{}: {round}: {error}", damage.what));
            check_again(story, &engine, damage, &seen, round);
            let_go(engine);
        }
    }
}

/// What was seen once stays, and nothing comes that was not there.
fn check_again(story: &Story, engine: &Engine, damage: &Damage, before: &Seen, round: &str) {
    let what = format!("{}, {round}", damage.what);
    let seen = look(story, engine, &what);
    if damage.file.starts_with("wal") {
        assert!(seen.state == before.state, "{what}: {:?}", seen.state);
    } else {
        check(story, engine, damage, &seen, false);
        let lost: Vec<_> = before.state.keys().filter(|place| !seen.state.contains_key(place)).collect();
        assert!(lost.is_empty(), "{what}: {lost:?} were there before");
    }
    check_explanations(story, engine, &seen, &what);
}

/// A strict database refuses, or fails when it is read, or nothing is missing.
pub(super) fn refuse(story: &Story, damage: &Damage) {
    let disk: Arc<dyn Disk> = disk_of(&damage.files);
    let engine = match open(&disk, true) {
        Ok(engine) => engine,
        Err(error) => return check_refusal(&error, damage),
    };
    let mut state = State::new();
    for (series, key) in story.keys.iter().enumerate() {
        let read = engine.points(key, TimeRange::ALL).and_then(std::iter::Iterator::collect::<Result<Vec<_>, _>>);
        let points = match read {
            Ok(points) => points,
            Err(error) => {
                check_refusal(&error, damage);
                return let_go(engine);
            }
        };
        state.extend(points.into_iter().map(|point| ((series, point.time.as_millis()), point)));
    }
    let is_log = damage.file.starts_with("wal");
    let seen = Seen { state, told: BTreeSet::new() };
    if check(story, &engine, damage, &seen, is_log) {
        let may_be = engine.recovery().torn_bytes > 0 || damage.silence == Silence::End;
        assert!(is_log && may_be && engine.recovery().damage.is_empty(), "{}: not refused", damage.what);
    }
    let_go(engine);
}
