//! A living point that is written again dead: it never comes back, in whatever order flushes, jobs and restarts come
//! (S4, S5). Method: every sequence of some acts up to a length, with a read after each.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::model_tests::draw::Frame;
use crate::engine::model_tests::history::{Counts, History, Outcome, add};
use crate::engine::model_tests::model::Wall;
use crate::engine::settings::{Maintenance, Settings};
use crate::env::clock::Clock;
use crate::env::dice::Dice;
use crate::model::durability::Durability;
use crate::model::point::{Point, Value};
use crate::model::time::Timestamp;

/// The time that is written again and again.
const TIME: i64 = 5_000;
const START: i64 = 60_000;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// The point is written anew, dead on arrival.
    Dead,
    /// The same with ten seconds to live.
    Brief,
    /// The same two, followed by a flush.
    DeadStored,
    BriefStored,
    Flush,
    Freeze,
    Step,
    EagerStep,
    /// A minute passes. After the second one the first point has expired too.
    Pause,
    Kill,
}

#[rustfmt::skip]
const ACTS: [Act; 10] = [
    Act::Dead, Act::Brief, Act::DeadStored, Act::BriefStored, Act::Flush, Act::Freeze, Act::Step, Act::EagerStep,
    Act::Pause, Act::Kill,
];

/// Those that matter most, for longer sequences.
const FEWER_ACTS: [Act; 6] = [Act::Dead, Act::DeadStored, Act::BriefStored, Act::Step, Act::Pause, Act::Kill];

/// A volume with a living point and so many neighbours.
fn begin(neighbours: i64) -> History {
    let clock = Arc::new(Wall::new(START));
    let settings = Settings {
        durability: Durability::Buffered,
        clock: clock.clone(),
        maintenance: Maintenance::Manual,
        reclaim_within: Duration::from_secs(10),
        ids: Some([7; 16]),
        ..Settings::default()
    };
    let mut dice = Dice::new(1);
    let neighbour = |place: i64| {
        let float = f64::from_bits(dice.roll() & !(1 << 62));
        (0, Point::new(Timestamp::from_millis(TIME + 1 + place), Value::Float(float)))
    };
    let mut batch: Vec<(usize, Point)> = (0..neighbours).map(neighbour).collect();
    let point = Point::new(Timestamp::from_millis(TIME), 1);
    batch.push((0, Point { expires_at: Some(Timestamp::from_millis(START + 90_000)), ..point }));
    let mut history = History::new(dice, Frame::of_one(TIME), settings, clock);
    history.write(&batch).expect("a fresh volume takes it");
    history
}

fn act(history: &mut History, act: Act) -> Outcome {
    let now = history.clock.now().as_millis();
    let rewritten = |value: i64, lives_for: i64| {
        let point = Point::new(Timestamp::from_millis(TIME), value);
        (0, Point { expires_at: Some(Timestamp::from_millis(now + lives_for)), ..point })
    };
    match act {
        Act::Dead => history.write(&[rewritten(2, -1)]),
        Act::Brief => history.write(&[rewritten(3, 10_000)]),
        Act::DeadStored => {
            history.write(&[rewritten(2, -1)])?;
            history.flush()
        }
        Act::BriefStored => {
            history.write(&[rewritten(3, 10_000)])?;
            history.flush()
        }
        Act::Flush => history.flush(),
        Act::Freeze => history.freeze(),
        Act::Step => history.step(false).map(|_| ()),
        Act::EagerStep => history.step(true).map(|_| ()),
        Act::Pause => {
            history.clock.advance(60_000);
            Ok(())
        }
        Act::Kill => history.kill(),
    }
}

/// Does some acts, reads after each, and leaves nothing but what is true.
fn run(mut history: History, acts: &[Act]) -> Outcome<Counts> {
    for each in acts {
        act(&mut history, *each)?;
        history.watch();
        history.check_some()?;
    }
    history.compact()?;
    history.check_stored()?;
    history.check_compacted()?;
    history.check_all()?;
    history.reopen()?;
    history.check_all()?;
    Ok(history.counts)
}

/// Runs every sequence of so many of these acts; gives the sums of what happened.
fn run_all(some: &[Act], len: u32, begin: impl Fn() -> History) -> Counts {
    let mut counts = Counts::new();
    for number in 0..some.len().pow(len) {
        let places = (0..len).map(|place| number / some.len().pow(place) % some.len());
        let acts: Vec<Act> = places.map(|place| some[place]).collect();
        let own = run(begin(), &acts).unwrap_or_else(|why| panic!("{acts:?}: {why}"));
        add(&mut counts, own);
    }
    println!("{} sequences: {counts:?}", some.len().pow(len));
    counts
}

fn assert_often(counts: &Counts, often: &[(&str, u64)]) {
    for (what, least) in often {
        assert!(counts.get(what).is_some_and(|times| times >= least), "{what}: {counts:?}");
    }
}

#[test]
fn a_dead_rewrite_hides_a_recent_point_in_any_order_of_flush_and_merge() {
    let counts = run_all(&ACTS, 4, || begin(3));
    assert_often(&counts, &[("shadows", 50), ("override", 50), ("drop", 50), ("fold", 500)]);
}

#[test]
fn a_dead_rewrite_hides_a_stored_point_in_any_order_of_flush_and_merge() {
    let stored = || {
        let mut history = begin(3);
        history.flush().expect("a disk in memory is sound");
        history
    };
    for counts in [run_all(&ACTS, 4, stored), run_all(&FEWER_ACTS, 5, stored)] {
        assert_often(&counts, &[("shadows", 1_000), ("override", 500), ("drop", 200), ("fold", 1_000)]);
    }
}

#[test]
fn a_dead_rewrite_hides_a_point_of_a_segment_too_large_to_be_written_anew_for_it() {
    // Goal: shadows that stay, and are merged among themselves. Method: beneath them lie more than eight times their
    // bytes, and three overrides are there before the sequences begin.
    let large = || {
        let mut history = begin(1_300);
        for place in [0, 1, 2] {
            history.flush().expect("a disk in memory is sound");
            let point = Point::new(Timestamp::from_millis(TIME + place), place);
            let expires_at = (place == 0).then_some(Timestamp::from_millis(START));
            history.write(&[(0, Point { expires_at, ..point })]).expect("it takes it");
        }
        history.flush().expect("a disk in memory is sound");
        history
    };
    let counts = run_all(&ACTS, 3, large);
    assert_often(&counts, &[("shadows", 500), ("merge of overrides", 10), ("fold", 500)]);
}
