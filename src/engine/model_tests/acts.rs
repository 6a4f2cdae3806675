//! Which acts a history is made of, and how often each comes.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::model_tests::draw::{self, LARGE_HEAD_BYTES};
use crate::engine::model_tests::history::{DIR, History, Outcome, short};
use crate::env::layout;
use crate::model::point::{Point, Value};
use crate::model::time::{TimeRange, Timestamp};

/// What a history does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write,
    /// Living points are written again, dead or soon to be.
    Rewrite,
    Delete,
    Flush,
    Freeze,
    Maintain,
    Step,
    EagerStep,
    Compact,
    Pause,
    /// The wall clock is set.
    SetClock,
    BelieveClock,
    Reopen,
    Kill,
    /// Kills, and opens with little memory in between.
    Squeeze,
    /// Something is done in the midst of a flush or a compaction.
    Meddle,
    Hold,
    Drain,
}

const ACTS: [(Act, u64); 18] = [
    (Act::Write, 32),
    (Act::Rewrite, 12),
    (Act::Delete, 6),
    (Act::Flush, 8),
    (Act::Freeze, 4),
    (Act::Maintain, 6),
    (Act::Step, 5),
    (Act::EagerStep, 4),
    (Act::Compact, 3),
    (Act::Pause, 10),
    (Act::SetClock, 2),
    (Act::BelieveClock, 1),
    (Act::Reopen, 3),
    (Act::Kill, 3),
    (Act::Squeeze, 2),
    (Act::Meddle, 7),
    (Act::Hold, 4),
    (Act::Drain, 4),
];

/// What is done in the midst of something else.
#[derive(Clone, Debug)]
enum Deed {
    Write(Vec<(usize, Point)>),
    Delete(usize, TimeRange),
    Freeze,
    Flush,
}

impl Deed {
    fn points(&self) -> &[(usize, Point)] {
        if let Self::Write(points) = self { points } else { &[] }
    }

    fn series(&self) -> usize {
        if let Self::Delete(series, _) = self { *series } else { 0 }
    }
}

impl Act {
    fn draw(history: &mut History) -> Self {
        let total = ACTS.iter().map(|(_, weight)| weight).sum();
        let mut roll = history.dice.below(total);
        for (act, weight) in ACTS {
            match roll.checked_sub(weight) {
                None => return act,
                Some(rest) => roll = rest,
            }
        }
        unreachable!("a roll is below the sum of the weights")
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Rewrite => "rewrite",
            Self::Delete => "delete",
            Self::Flush => "flush",
            Self::Freeze => "freeze",
            Self::Maintain => "maintain",
            Self::Step => "step",
            Self::EagerStep => "eager step",
            Self::Compact => "compact",
            Self::Pause => "pause",
            Self::SetClock => "set clock",
            Self::BelieveClock => "believe clock",
            Self::Reopen => "reopen",
            Self::Kill => "kill",
            Self::Squeeze => "squeeze",
            Self::Meddle => "meddle",
            Self::Hold => "hold",
            Self::Drain => "drain",
        }
    }
}

impl History {
    /// Does all of it: 20 to 60 acts with reads after each, and a thorough check at the end.
    pub(super) fn run(&mut self) -> Outcome {
        if self.settings.head_bytes_max == LARGE_HEAD_BYTES {
            self.begin_large()?;
        }
        for _ in 0..20 + self.dice.below(41) {
            let act = Act::draw(self);
            self.count("acts", 1);
            self.count(act.name(), 1);
            self.act(act)?;
            self.watch();
            self.check_some()?;
        }
        self.check_all()?;
        self.trail.push("the last compact".to_owned());
        self.compact()?;
        self.watch();
        self.check_all()?;
        self.check_compacted()
    }

    fn note(&mut self, act: Act, about: &dyn std::fmt::Debug) {
        self.trail.push(format!("{} {}", act.name(), short(about)));
    }

    fn act(&mut self, act: Act) -> Outcome {
        match act {
            Act::Write => {
                let now = self.now();
                let non_finite = self.settings.store_non_finite || self.dice.below(6) == 0;
                let batch = self.frame.batch(&mut self.dice, now, non_finite);
                self.note(act, &batch);
                self.write(&batch)
            }
            Act::Rewrite => {
                let batch = self.draw_rewrite();
                self.note(act, &batch);
                self.write(&batch)
            }
            Act::Delete => {
                let (series, range) = (self.frame.series(&mut self.dice), self.frame.range(&mut self.dice));
                self.note(act, &(series, range));
                self.delete(series, range)
            }
            Act::Hold => {
                let (series, range) = (self.frame.series(&mut self.dice), self.frame.range(&mut self.dice));
                let range = if self.dice.coin() { TimeRange::ALL } else { range };
                self.note(act, &(series, range));
                self.hold(series, range)
            }
            Act::Pause => {
                let millis = draw::pause(&mut self.dice);
                self.note(act, &millis);
                self.clock.advance(millis);
                Ok(())
            }
            Act::SetClock => {
                let millis = draw::step(&mut self.dice);
                self.note(act, &millis);
                self.clock.step(millis);
                self.is_clock_odd = true;
                Ok(())
            }
            _ => {
                self.note(act, &());
                self.act_at_once(act)
            }
        }
    }

    /// Acts about which there is nothing to draw.
    fn act_at_once(&mut self, act: Act) -> Outcome {
        match act {
            Act::Flush => self.flush(),
            Act::Freeze => self.freeze(),
            Act::Maintain => {
                self.maintain()?;
                self.check_stored()
            }
            Act::Step => self.step(false).map(|_| ()),
            Act::EagerStep => self.step(true).map(|_| ()),
            Act::Compact => {
                self.compact()?;
                self.check_stored()?;
                self.check_compacted()
            }
            Act::BelieveClock => {
                self.engine().believe_clock();
                Ok(())
            }
            Act::Reopen => self.reopen(),
            Act::Kill => self.kill(),
            Act::Squeeze => self.squeeze(),
            Act::Meddle => self.meddle(),
            Act::Drain => self.drain(),
            Act::Write | Act::Rewrite | Act::Delete | Act::Hold | Act::Pause | Act::SetClock => {
                unreachable!("these are drawn")
            }
        }
    }

    /// Some living points anew, dead or soon to be; a dead one where nothing lives.
    fn draw_rewrite(&mut self) -> Vec<(usize, Point)> {
        let now = self.now();
        let living = self.model.living(now);
        let (frame, dice) = (&self.frame, &mut self.dice);
        (0..=dice.below(5))
            .map(|_| {
                let place = if living.is_empty() { (0, frame.time(dice)) } else { draw::pick(dice, &living) };
                (place.0, draw::dying(dice, place.1, now))
            })
            .collect()
    }

    /// Has something done just before the next file of a flush or a compaction is made.
    fn meddle(&mut self) -> Outcome {
        let is_flush = self.dice.below(3) == 0;
        let is_commit = self.dice.below(3) == 0;
        let deed = self.draw_deed(is_flush, is_commit);
        self.trail.push(format!("  in between (flush: {is_flush}, at the commit: {is_commit}): {}", short(&deed)));
        let engine = self.engine().clone();
        let done = Arc::new(Mutex::new(None));
        let (batch, outcome) = (self.batch_of(deed.points()), done.clone());
        let key = self.frame.keys[deed.series()].clone();
        let act = move || {
            let result = match deed {
                Deed::Write(_) => engine.write(&batch).map(|_| ()),
                Deed::Delete(_, range) => engine.delete(&key, range).map(|_| ()),
                Deed::Freeze => engine.freeze(),
                Deed::Flush => engine.flush(),
            };
            *outcome.lock() = Some((deed, result));
        };
        let folder = if is_commit { DIR } else { layout::SEGMENTS };
        let files = if is_commit { 0 } else { self.dice.below(4) };
        self.disk.arm(folder, files, Box::new(act));
        let ran = match (is_flush, self.dice.coin()) {
            (true, _) => self.flush(),
            (false, true) => self.work_off(false),
            (false, false) => self.work_off(true),
        };
        match self.disk.disarm() {
            Some(late) => late(),
            None => self.count("in the midst", 1),
        }
        ran?;
        let (deed, result) = done.lock().take().expect("it was done, early or late");
        match (deed, result) {
            (_, Err(error)) => Err(format!("in the midst: {error}")),
            (Deed::Write(points), Ok(())) => {
                let (accepted_at, rollup) = (self.accepts_at(), self.engine().rollup.clone());
                self.model.write_all(&points, accepted_at, &rollup);
                Ok(())
            }
            (Deed::Delete(series, range), Ok(())) => {
                self.model.delete(series, range);
                Ok(())
            }
            (Deed::Freeze | Deed::Flush, Ok(())) => Ok(()),
        }
    }

    /// What can be done in the midst of something: what would wait for it cannot.
    fn draw_deed(&mut self, is_flush: bool, is_commit: bool) -> Deed {
        let now = self.now();
        let known = self.active();
        // What fills the head waits for a flush.
        let is_head_low = self.engine().stats().head_bytes * 16 < self.settings.head_bytes_max as u64;
        let mut points =
            if self.dice.coin() { self.draw_rewrite() } else { self.frame.batch(&mut self.dice, now, false) };
        points.truncate(4);
        points.retain(|(series, _)| known.contains(series));
        match self.dice.below(4) {
            0 | 1 if is_head_low && !points.is_empty() => Deed::Write(points),
            0..=2 if is_head_low => Deed::Delete(self.frame.series(&mut self.dice), self.frame.range(&mut self.dice)),
            _ if is_flush || is_commit => Deed::Freeze,
            _ => Deed::Flush,
        }
    }

    /// A segment so large that overrides are merged among themselves before they are folded into it.
    fn begin_large(&mut self) -> Outcome {
        self.trail.push("a large segment and small overrides of it".to_owned());
        self.count("large", 1);
        let first = self.frame.time(&mut self.dice).min(Timestamp::MAX.as_millis() - 1_800);
        let float = |dice: &mut crate::env::dice::Dice| Value::Float(f64::from_bits(dice.roll() & !(1 << 62)));
        let time = |place: i64| Timestamp::from_millis(first + place);
        let batch: Vec<(usize, Point)> =
            (0..1_800).map(|place| (0, Point::new(time(place), float(&mut self.dice)))).collect();
        self.write(&batch)?;
        self.flush()?;
        for _ in 0..3 + self.dice.below(5) {
            let batch = self.draw_rewrite();
            self.trail.push(format!("rewrite {}", short(&batch)));
            self.write(&batch)?;
            self.flush()?;
            self.watch();
            if self.dice.below(4) == 0 {
                self.step(false)?;
            }
            self.check_some()?;
        }
        Ok(())
    }
}
