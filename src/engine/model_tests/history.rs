//! One history: acts on an engine and on the model, and the state that both share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::engine::model_tests::draw::{self, Frame};
use crate::engine::model_tests::meddled::MeddledDisk;
use crate::engine::model_tests::model::{Model, Wall};
use crate::engine::query::Reading;
use crate::engine::settings::Settings;
use crate::engine::shelf::Shelf;
use crate::env::clock::Clock;
use crate::env::dice::Dice;
use crate::env::memory::MemoryDisk;
use crate::error::ErrorKind;
use crate::model::batch::WriteBatch;
use crate::model::durability::Durability;
use crate::model::point::Point;
use crate::model::selector::Selector;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};
use crate::wal::{Replay, Wal};

/// Where the volume lies.
pub(super) const DIR: &str = "v";

/// What went otherwise than the model says.
pub(super) type Outcome<T = ()> = std::result::Result<T, String>;

/// How often something happened.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// An engine and its model, under way.
pub(super) struct History {
    pub(super) dice: Dice,
    pub(super) frame: Frame,
    pub(super) settings: Settings,
    pub(super) clock: Arc<Wall>,
    pub(super) disk: Arc<MeddledDisk>,
    engine: Option<Arc<Engine>>,
    pub(super) model: Model,
    held: Vec<Held>,
    /// Whether the wall clock was ever set, or time passed while the volume was closed.
    pub(super) is_clock_odd: bool,
    /// Whether it was opened again: then nobody knows for a while which series live on in windows alone, and those can be
    /// written whatever the cap says.
    pub(super) was_restarted: bool,
    pub(super) watched: Watched,
    pub(super) counts: Counts,
    /// What was done, in words.
    pub(super) trail: Vec<String>,
}

/// A reader that was opened before other things happened.
struct Held {
    reading: Reading,
    expected: Vec<Point>,
}

/// What the last look at the stored state saw.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) segment: u64,
    pub(super) series: usize,
}

/// Adds counts to a sum of them.
pub(super) fn add(sum: &mut Counts, counts: Counts) {
    for (what, times) in counts {
        *sum.entry(what).or_default() += times;
    }
}

pub(super) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Text of a length that fits a report.
pub(super) fn short(what: &dyn std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    if text.len() <= 300 {
        text
    } else {
        format!("{}... ({} bytes)", text.chars().take(300).collect::<String>(), text.len())
    }
}

impl History {
    pub(super) fn begin(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let days = draw::pick(&mut dice, &[1, 7]);
        let frame = Frame::draw(&mut dice, days);
        let clock = Arc::new(Wall::new(frame.start(&mut dice)));
        let settings = draw::settings(&mut dice, clock.clone(), days, frame.keys.len());
        let is_large = dice.below(60) == 0;
        let settings = if is_large { draw::large(settings) } else { settings };
        Self::new(dice, frame, settings, clock)
    }

    pub(super) fn new(dice: Dice, frame: Frame, settings: Settings, clock: Arc<Wall>) -> Self {
        let disk = Arc::new(MeddledDisk::default());
        let mut history = Self {
            dice,
            frame,
            settings,
            clock,
            disk,
            engine: None,
            model: Model::default(),
            held: Vec::new(),
            is_clock_odd: false,
            was_restarted: false,
            watched: Watched::default(),
            counts: Counts::new(),
            trail: Vec::new(),
        };
        history.open().expect("an empty disk in memory is sound");
        history
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().expect("it is open between acts")
    }

    pub(super) fn count(&mut self, what: &'static str, times: usize) {
        *self.counts.entry(what).or_default() += times as u64;
    }

    /// What is in segments now.
    pub(super) fn stored(&self) -> Arc<Shelf> {
        self.engine().view.read().shelf.clone()
    }

    /// The moment that decides what is visible (S20).
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().max(self.engine().stats().horizon)
    }

    /// The moment at which a batch is accepted: not before one at which what had expired may have been destroyed.
    pub(super) fn accepts_at(&self) -> Timestamp {
        self.now().max(self.engine().writer.lock().accepts_from)
    }

    fn open(&mut self) -> Outcome {
        let opened = Engine::open(self.disk.clone(), Path::new(DIR), self.settings.clone());
        self.engine = Some(opened.map_err(|error| format!("open: {error}"))?);
        Ok(())
    }

    /// The series that the engine knows, by their place among the keys.
    pub(super) fn known(&self) -> Vec<usize> {
        let place = |key: &SeriesKey| self.frame.keys.iter().position(|other| other == key).expect("only these exist");
        self.engine().series(&Selector::all()).iter().map(place).collect()
    }

    /// Those of them that do not live on in windows alone.
    pub(super) fn active(&self) -> Vec<usize> {
        let view = self.engine().view.read();
        let is_active = |place: &usize| {
            let id = view.catalog.id(&self.frame.keys[*place]);
            id.is_some_and(|id| !view.catalog.is_resting(id))
        };
        (0..self.frame.keys.len()).filter(is_active).collect()
    }

    pub(super) fn write(&mut self, points: &[(usize, Point)]) -> Outcome {
        let now = self.accepts_at();
        let known: BTreeSet<usize> = self.active().into_iter().collect();
        let all: BTreeSet<usize> = points.iter().map(|(series, _)| *series).chain(known.iter().copied()).collect();
        let is_over = all.len() > known.len() && all.len() > self.settings.series_max;
        let is_refused = points.iter().any(|(_, point)| point.value.is_non_finite()) && !self.settings.store_non_finite;
        let before = self.engine().stats().sequence;
        let written = self.engine().write(&self.batch_of(points));
        let after = self.engine().stats().sequence;
        let expected = match (is_refused, is_over) {
            (true, _) => Some(ErrorKind::InvalidInput),
            (false, true) => Some(ErrorKind::TooManySeries),
            (false, false) => None,
        };
        match (written, expected) {
            (Err(error), Some(kind)) if error.kind() == kind => {
                self.count(if is_refused { "refused" } else { "cap reached" }, 1);
                ensure(before == after, || format!("a refused batch has the place {after}"))
            }
            (Ok(receipt), None) => {
                let dead = points.iter().filter(|(_, point)| !point.is_visible_at(now)).count();
                let sums = (receipt.stored + dead, receipt.dead_on_arrival, receipt.replaced <= receipt.stored);
                ensure(sums == (points.len(), dead, true), || format!("{dead} dead of {}: {receipt:?}", points.len()))?;
                ensure(before.next() == after && receipt.sequence == after, || {
                    format!("{before}, {after}, {receipt:?}")
                })?;
                let rollup = self.engine().rollup.clone();
                self.model.write_all(points, now, &rollup);
                self.count("points", points.len());
                self.count("dead on arrival", dead);
                Ok(())
            }
            (outcome, expected) => Err(format!("expected {expected:?}, not {}", short(&outcome))),
        }
    }

    pub(super) fn batch_of(&self, points: &[(usize, Point)]) -> WriteBatch {
        points.iter().map(|(series, point)| (self.frame.keys[*series].clone(), point.clone())).collect()
    }

    pub(super) fn delete(&mut self, series: usize, range: TimeRange) -> Outcome {
        self.engine().delete(&self.frame.keys[series], range).map_err(|error| error.to_string())?;
        self.model.delete(series, range);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Outcome {
        self.engine().flush().map_err(|error| error.to_string())
    }

    pub(super) fn freeze(&mut self) -> Outcome {
        self.engine().freeze().map_err(|error| error.to_string())
    }

    /// Closes in order and opens again, under other bounds.
    pub(super) fn reopen(&mut self) -> Outcome {
        self.engine().close().map_err(|error| format!("close: {error}"))?;
        let horizon = self.engine().stats().horizon;
        self.settings = draw::small(&mut self.dice, self.settings.clone());
        self.restart(horizon)?;
        let recovery = self.engine().recovery();
        ensure(recovery.clean && recovery.batches == 0, || format!("after a clean close: {recovery:?}"))
    }

    /// Ends the process and opens again, under other bounds.
    pub(super) fn kill(&mut self) -> Outcome {
        let settings = draw::small(&mut self.dice, self.settings.clone());
        self.kill_and_open(settings)
    }

    /// Ends the process and opens again, twice: the first time with hardly any memory for what the log holds.
    pub(super) fn squeeze(&mut self) -> Outcome {
        let usual = draw::small(&mut self.dice, self.settings.clone());
        let head_bytes_max = draw::pick(&mut self.dice, &[300, 1_000, 3_000]);
        self.kill_and_open(Settings { head_bytes_max, ..usual.clone() })?;
        let flushes = self.engine().stats().flushes;
        self.count("flush at replay", usize::try_from(flushes).expect("few"));
        self.check_some()?;
        if self.dice.coin() {
            self.maintain()?;
            self.check_some()?;
        }
        self.kill_and_open(usual)
    }

    fn kill_and_open(&mut self, settings: Settings) -> Outcome {
        self.settings = settings;
        let horizon = self.engine().stats().horizon;
        let engine = self.engine();
        // As good as killed, without leaking its memory: what it would do at its end is done elsewhere.
        engine.is_closed.store(true, Ordering::SeqCst);
        let elsewhere = Arc::new(MemoryDisk::default());
        *engine.commit.lock() =
            Wal::new(elsewhere, Path::new(DIR), [7; 16], 1 << 10, Durability::default(), &Replay::default());
        self.restart(horizon)
    }

    fn restart(&mut self, horizon: Timestamp) -> Outcome {
        self.engine = None;
        self.was_restarted = true;
        let away = self.clock.now().as_millis() - horizon.as_millis();
        self.is_clock_odd |= away > 3_600_000;
        self.open()?;
        self.watched.series = self.known().len();
        let recovery = self.engine().recovery();
        let is_sound = recovery.damage.is_empty() && recovery.torn_bytes == 0 && recovery.read_only.is_none();
        ensure(is_sound, || format!("nothing was damaged: {recovery:?}"))?;
        let kept = self.engine().stats().horizon;
        ensure(kept >= horizon, || format!("the horizon went back from {horizon} to {kept}"))
    }

    /// Opens a reader, to be read later.
    pub(super) fn hold(&mut self, series: usize, range: TimeRange) -> Outcome {
        let expected = self.model.visible(series, range, self.now());
        let reading = self.engine().points(&self.frame.keys[series], range).map_err(|error| error.to_string())?;
        self.held.push(Held { reading, expected });
        Ok(())
    }

    /// Reads on in a reader that was opened before, to the end or to some point of it.
    pub(super) fn drain(&mut self) -> Outcome {
        if self.held.is_empty() {
            return Ok(());
        }
        let which = usize::try_from(self.dice.below(self.held.len() as u64)).expect("an index");
        let Held { mut reading, mut expected } = self.held.swap_remove(which);
        let some = if self.dice.coin() { usize::MAX } else { usize::try_from(self.dice.below(8)).expect("small") };
        for _ in 0..some {
            let is_front = self.dice.coin();
            let next = if is_front { reading.next() } else { reading.next_back() };
            let next = next.transpose().map_err(|error| format!("a held reader: {error}"))?;
            let wanted = match (expected.is_empty(), is_front) {
                (true, _) => None,
                (false, true) => Some(expected.remove(0)),
                (false, false) => expected.pop(),
            };
            ensure(next == wanted, || format!("a held reader gives {next:?}, not {wanted:?}"))?;
            if next.is_none() {
                self.count("held to the end", 1);
                return Ok(());
            }
        }
        self.held.push(Held { reading, expected });
        Ok(())
    }

    pub(super) fn holds_readers(&self) -> bool {
        !self.held.is_empty()
    }
}
