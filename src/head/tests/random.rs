//! Random writes and deletions, applied to a head and to ordered maps alike.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a test does to a head.
#[derive(Clone, Debug)]
enum Act {
    /// Writes a point in a batch of its own.
    Put {
        series: u32,
        point: Point,
        is_apart: bool,
        accepted_at: Timestamp,
    },
    Erase {
        series: u32,
        from: i64,
        to: i64,
    },
}

/// Series that are looked at; nothing is ever written to the last one.
const LOOKED_AT: [u32; 5] = [0, 1, 2, u32::MAX - 1, 9];

/// Acts at these times, with deletions between these moments.
fn act(
    time: impl Strategy<Value = i64> + Clone + 'static,
    moment: impl Strategy<Value = i64> + Clone + 'static,
) -> impl Strategy<Value = Act> {
    let series = prop_oneof![0_u32..3, Just(u32::MAX - 1)];
    let expiry = prop_oneof![2 => Just(None), 2 => (0_i64..60).prop_map(Some), 1 => time.clone().prop_map(Some)];
    // Mostly several batches are accepted at one time.
    let accepted = prop_oneof![3 => Just(20_i64), 1 => 15_i64..25];
    let put = (series.clone(), time, any::<i64>(), expiry, prop::bool::weighted(0.1), accepted);
    let put = put.prop_map(|(series, time, value, expiry, is_apart, accepted)| {
        let point = Point { expires_at: expiry.map(at), ..Point::new(at(time), value) };
        Act::Put { series, point, is_apart, accepted_at: at(accepted) }
    });
    let erase = (series, moment.clone(), moment).prop_map(|(series, from, to)| Act::Erase { series, from, to });
    prop_oneof![9 => put, 1 => erase]
}

/// Times of which many are hit twice.
fn near() -> impl Strategy<Value = i64> + Clone {
    0_i64..40
}

fn near_moment() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![8 => -5_i64..45, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

/// Times whose distances are about as long as an offset can be, and the farthest ones.
fn far() -> impl Strategy<Value = i64> + Clone {
    const OFFSETS: i64 = 1 << 32;
    const PLACES: [i64; 6] = [0, 1, OFFSETS - 1, OFFSETS, OFFSETS + 1, 2 * OFFSETS];
    let near = (prop::sample::select(&PLACES[..]), 0_i64..3).prop_map(|(place, behind)| place + behind);
    let farthest = prop_oneof![Just(Timestamp::MIN.as_millis()), Just(Timestamp::MAX.as_millis())];
    prop_oneof![6 => near, 1 => farthest].boxed()
}

fn far_moment() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![8 => far(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)].boxed()
}

/// Long histories of few series, mostly in some order.
fn long() -> impl Strategy<Value = Vec<Act>> {
    // What a time is sorted by, to come to its place in the history: as it is, somewhat or wholly shuffled, reversed,
    // in two halves each between the other's times, or all of these one after the other.
    let keys = |shape: u8, time: i64, noise: i64| match shape {
        0 => time + noise % 60,
        1 => time + noise % 700,
        2 => -time,
        3 => time % 2 * 10_000 + time,
        4 => noise,
        _ if time % 1_500 < 500 => time + noise % 60,
        _ if time % 1_500 < 1_000 => -time,
        _ => noise,
    };
    // So that offsets are too long after some hundred points, or after a few.
    let step = prop_oneof![4 => Just(10_000_i64), 1 => Just(1), 2 => Just(1 << 24), 1 => Just(1 << 31)];
    let noise = prop::collection::vec(0_i64..10_000, 1..3_000);
    (0_u8..6, step, noise, prop::collection::vec(act(0_i64..3_000, 0_i64..3_000), 0..8)).prop_map(
        move |(shape, step, noise, others)| {
            let mut order: Vec<(i64, i64)> =
                (0_i64..).zip(&noise).map(|(time, noise)| (keys(shape, time, *noise), time)).collect();
            order.sort_unstable();
            let put = |(key, time): (i64, i64)| Act::Put {
                series: u32::from(key % 7 == 0),
                point: Point::new(at(time * step), time),
                is_apart: false,
                accepted_at: at(20),
            };
            let mut acts: Vec<Act> = order.into_iter().map(put).collect();
            for (number, mut other) in others.into_iter().enumerate() {
                match &mut other {
                    Act::Put { point, .. } => point.time = at(point.time.as_millis() * step),
                    Act::Erase { from, to, .. } => (*from, *to) = (*from * step, (*from + (*to - *from) / 8) * step),
                }
                acts.insert(acts.len() * number / 8, other);
            }
            acts
        },
    )
}

/// The last of some writes each of which replaced the one before.
#[derive(Clone, Copy, Debug)]
struct Link {
    point: PackedPoint,
    /// The batch of the first of them.
    origin: Origin,
    /// Whether it was not deleted.
    is_there: bool,
}

/// What a head has to say.
#[derive(Default)]
struct Model {
    points: BTreeMap<(u32, i64), PackedPoint>,
    /// What counts at each time that was ever written, in the order in which it came.
    chains: BTreeMap<(u32, i64), Vec<Link>>,
    /// The last batch or deletion.
    last: Sequence,
    erased: Vec<Sequence>,
}

impl Model {
    /// Does the same to both, and holds the tally against the model's.
    fn apply(&mut self, head: &mut Head, act: Act) -> Result<(), TestCaseError> {
        self.last = Sequence(self.last.0 + 1);
        match act {
            Act::Put { series, point, is_apart, accepted_at } => {
                let point = PackedPoint { is_apart, ..PackedPoint::new(&point, None) };
                let origin = Origin { accepted_at, sequence: self.last };
                let expected = self.put(series, point, origin);
                let mut tally = Tally::default();
                head.begin(origin);
                head.put(SeriesId(series), point, &mut tally);
                prop_assert_eq!(tally, expected);
            }
            Act::Erase { series, from, to } => {
                head.erase(SeriesId(series), TimeRange::new(at(from), at(to)));
                self.erased.push(self.last);
                let is_erased = |&(each, time): &(u32, i64)| each == series && from <= time && time < to;
                self.points.retain(|place, _| !is_erased(place));
                let erased = self.chains.iter_mut().filter(|(place, _)| is_erased(place));
                erased.flat_map(|(_, links)| links).for_each(|link| link.is_there = false);
            }
        }
        Ok(())
    }

    fn put(&mut self, series: u32, point: PackedPoint, origin: Origin) -> Tally {
        let newest = self.of(series).last().map(|newest| newest.time);
        let old = self.points.insert((series, point.time), point);
        let chain = self.chains.entry((series, point.time)).or_default();
        let goes_on = |last: &&mut Link| {
            last.is_there && last.point.is_visible_at(origin.accepted_at) && last.point.is_apart == point.is_apart
        };
        match chain.last_mut().filter(goes_on) {
            Some(last) => last.point = point,
            None => chain.push(Link { point, origin, is_there: true }),
        }
        let is_alive = point.is_visible_at(origin.accepted_at);
        let is_replaced = old.is_some_and(|old| old.is_visible_at(origin.accepted_at));
        Tally {
            stored: usize::from(is_alive),
            replaced: usize::from(is_alive && is_replaced),
            late: usize::from(is_alive && newest.is_some_and(|newest| point.time < newest)),
            dead_on_arrival: usize::from(!is_alive),
            not_aggregated: usize::from(point.is_apart),
        }
    }

    /// The points of a series.
    fn of(&self, series: u32) -> impl Iterator<Item = PackedPoint> {
        self.points.range((series, i64::MIN)..=(series, i64::MAX)).map(|(_, point)| *point)
    }

    /// What counts in the windows of a series: whether it is the first of its time, and whether it has gone.
    fn links(&self, series: u32) -> Vec<(Link, bool, bool)> {
        let links = self.chains.range((series, i64::MIN)..=(series, i64::MAX));
        let each = links.flat_map(|(_, links)| {
            let place = |(place, link): (usize, &Link)| (*link, place == 0, !link.is_there || place + 1 < links.len());
            links.iter().enumerate().map(place)
        });
        each.collect()
    }

    /// Whether nothing tells a batch from another one: they were accepted at one time, and no deletion came between.
    fn are_one(&self, one: Origin, other: Origin) -> bool {
        let is_between = |erased: &Sequence| (*erased < one.sequence) != (*erased < other.sequence);
        one.accepted_at == other.accepted_at && !self.erased.iter().any(is_between)
    }

    fn check_series(&self, head: &Head, series: u32, range: TimeRange, count_max: usize) -> Result<(), TestCaseError> {
        let id = SeriesId(series);
        let is_within = |time: i64| range.start().as_millis() <= time && time < range.end().as_millis();
        let all: Vec<PackedPoint> = self.of(series).collect();
        prop_assert_eq!(&head.range(id, TimeRange::ALL).collect::<Vec<_>>(), &all);
        prop_assert_eq!(head.newest(id), all.last().copied());
        let expected: Vec<PackedPoint> = all.into_iter().filter(|point| is_within(point.time)).collect();
        prop_assert_eq!(&head.range(id, range).collect::<Vec<_>>(), &expected);
        let mut copied = vec![PackedPoint::shadow(0)];
        head.copy_range(id, range, count_max, &mut copied);
        prop_assert_eq!(&copied[1..], &expected[..count_max.min(expected.len())], "behind what was there");
        let links = self.links(series);
        prop_assert_eq!(head.holds(id), !links.is_empty());
        prop_assert_eq!(head.series_sorted().contains(&id), !links.is_empty());
        self.check_links(head, id, TimeRange::ALL, &links)?;
        let links: Vec<(Link, bool, bool)> =
            links.into_iter().filter(|(link, ..)| is_within(link.point.time)).collect();
        let time = |end: Option<&(Link, bool, bool)>| end.map(|(link, ..)| link.point.time);
        prop_assert_eq!(head.ends(id, range), time(links.first()).zip(time(links.last())));
        self.check_links(head, id, range, &links)
    }

    fn check_links(
        &self,
        head: &Head,
        id: SeriesId,
        range: TimeRange,
        links: &[(Link, bool, bool)],
    ) -> Result<(), TestCaseError> {
        let chains: Vec<Chain> = head.chains(id, range).collect();
        let told: Vec<_> = chains.iter().map(|chain| (chain.point, chain.is_first, chain.is_gone)).collect();
        let expected: Vec<_> =
            links.iter().map(|(link, is_first, is_gone)| (link.point, *is_first, *is_gone)).collect();
        prop_assert_eq!(told, expected);
        for (chain, (link, ..)) in chains.iter().zip(links) {
            prop_assert!(self.are_one(chain.origin, link.origin), "{:?} is told as begun by {:?}", link, chain.origin);
        }
        Ok(())
    }

    fn check(&self, head: &Head, range: TimeRange, count_max: usize) -> Result<(), TestCaseError> {
        for series in LOOKED_AT {
            self.check_series(head, series, range, count_max)?;
        }
        let mut series: Vec<SeriesId> = self.chains.keys().map(|(series, _)| SeriesId(*series)).collect();
        series.dedup();
        prop_assert_eq!(head.series_sorted(), series);
        prop_assert_eq!((head.len(), head.is_empty()), (self.points.len(), self.points.is_empty()));
        let times = || self.chains.keys().map(|(_, time)| *time);
        prop_assert_eq!(head.times(), times().min().zip(times().max()));
        let runs: usize = head.runs.values().map(Run::bytes).sum();
        prop_assert_eq!(head.run_bytes, runs, "memory is counted as it changes");
        Ok(())
    }
}

/// Applies acts to a head and to a model of it, and holds them against each other.
fn check(acts: Vec<Act>, (from, to): (i64, i64), count_max: usize) -> Result<(), TestCaseError> {
    let (mut head, mut model) = (Head::default(), Model::default());
    for act in acts {
        model.apply(&mut head, act)?;
    }
    model.check(&head, TimeRange::new(at(from), at(to)), count_max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_head_answers_like_an_ordered_map(
        acts in prop::collection::vec(act(near(), near_moment()), 0..120),
        range in (near_moment(), near_moment()),
        count_max in 0_usize..20,
    ) {
        // Goal: late, equal, dead and deleted times come out as from a map. Method: the same calls on both.
        check(acts, range, count_max)?;
    }

    #[test]
    fn a_head_answers_like_an_ordered_map_where_times_lie_far_apart(
        acts in prop::collection::vec(act(far(), far_moment()), 0..120),
        range in (far_moment(), far_moment()),
        count_max in 0_usize..20,
    ) {
        // Goal: no time is lost where a block ends because an offset in it would be too long. Method: the same calls on
        // both, at times around 2^32 ms apart and at the ends of all that can be stored.
        check(acts, range, count_max)?;
    }

    #[test]
    fn a_chain_keeps_the_batch_that_began_it(acts in prop::collection::vec(act(0_i64..3, -1_i64..4), 0..60)) {
        // Goal: whether a stored point was alive or deleted when it was replaced is told by the batch that replaced it,
        // not by later ones (S7). Method: batches rise; at few times nearly all writes go on with a chain, some after a
        // deletion. What is told may be another batch of the same moment, if no deletion lies between.
        check(acts, (i64::MIN, i64::MAX), usize::MAX)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn long_runs_in_any_order_answer_like_an_ordered_map(
        acts in long(),
        range in (0_i64..3_000, 0_i64..3_000),
        step in prop::sample::select(&[1_i64, 10_000, 1 << 24, 1 << 31][..]),
        count_max in 0_usize..3_000,
    ) {
        // Goal: nothing is lost or moved where blocks are filled, divided and begun anew. Method: as above, with enough
        // points for many blocks, in the orders in which series come late.
        check(acts, (range.0 * step, range.1 * step), count_max)?;
    }
}
