//! Which series there are: names to numbers and back, in memory, and a copy on disk that spares reading very many
//! segments when a volume is opened. Derived from log and segments, so it can always be rebuilt. Format: docs/format.md,
//! Catalogue.

mod block;
mod change;
mod name;
mod numbered;
mod ordered;
mod sled;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::collections::hash_map::Entry as Place;
use std::ops::Bound;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::catalog::numbered::Numbered;
use crate::catalog::ordered::Ordered;
use crate::model::selector::{Order, Selector};
use crate::model::series::{SeriesId, SeriesKey};

pub(crate) use self::sled::SledStore;
pub(crate) use self::store::Loaded;

/// The series of one volume. Ids are given in the order of first appearance; those of series that have left are given to
/// no other.
#[derive(Default)]
pub(crate) struct Catalog {
    /// A name brings its own seeded hash.
    entries: FxHashMap<SeriesKey, Entry>,
    keys: Numbered,
    /// The same keys in order, for listing.
    ordered: Ordered,
    next_id: u32,
    key_bytes: usize,
    /// Series that came back under numbers given before.
    returned: BTreeSet<SeriesId>,
    /// Series that live on in windows alone.
    resting: FxHashSet<SeriesId>,
}

/// What is known of a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) id: SeriesId,
    /// The epoch in which a log last named the series; 0 if no log needs to.
    pub(crate) named: u64,
}

impl Catalog {
    /// An empty one of a volume that has given the numbers below `next_id`, with room for about so many series.
    pub(crate) fn beginning_at(next_id: SeriesId, series: u64) -> Self {
        let mut catalog = Self { next_id: next_id.0, ..Self::default() };
        catalog.entries.reserve(usize::try_from(series).unwrap_or(0).min(next_id.0 as usize));
        catalog
    }

    /// Memory of one series apart from its key, in bytes: its places in the hash table, up to 9/16 empty, in the table of
    /// numbers, and in the ordered set, half empty.
    pub(crate) const SERIES_BYTES: usize = 96;

    /// What is known of a series, if anything is.
    pub(crate) fn find(&self, key: &SeriesKey) -> Option<Entry> {
        self.entries.get(key).copied()
    }

    /// The number of a series, if it is known.
    pub(crate) fn id(&self, key: &SeriesKey) -> Option<SeriesId> {
        self.find(key).map(|entry| entry.id)
    }

    /// The name of a series, if it is known.
    pub(crate) fn key(&self, id: SeriesId) -> Option<&SeriesKey> {
        self.keys.get(id)
    }

    /// Whether a series of this number is known.
    pub(crate) fn contains(&self, id: SeriesId) -> bool {
        self.keys.get(id).is_some()
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of series that do not live on in windows alone.
    pub(crate) fn active_len(&self) -> usize {
        self.len() - self.resting.len()
    }

    /// Whether a series lives on in windows alone.
    pub(crate) fn is_resting(&self, id: SeriesId) -> bool {
        self.resting.contains(&id)
    }

    /// Notes which series live on in windows alone, until they are named again.
    pub(crate) fn rest(&mut self, ids: impl IntoIterator<Item = SeriesId>) {
        self.resting = ids.into_iter().filter(|id| self.keys.get(*id).is_some()).collect();
    }

    /// The id that the next new series gets.
    pub(crate) fn next_id(&self) -> SeriesId {
        SeriesId(self.next_id)
    }

    /// Notes that the log of this epoch names a series, which is new, known, or comes back under its old id.
    pub(crate) fn name(&mut self, id: SeriesId, key: &SeriesKey, epoch: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            assert_eq!(entry.id, id, "a name stands for one series");
            entry.named = epoch;
            self.resting.remove(&id);
            return;
        }
        if id.0 < self.next_id {
            self.returned.insert(id);
        }
        self.next_id = self.next_id.max(id.0.checked_add(1).expect("ids end below 2^32"));
        self.put(id, key.clone(), epoch);
    }

    /// The epoch in which a series was named last, if it is known; 0 if no log needs to.
    pub(crate) fn named(&self, id: SeriesId) -> Option<u64> {
        self.find(self.keys.get(id)?).map(|entry| entry.named)
    }

    /// Whether a series came back under a number given before, since the last [`Self::take_since`].
    pub(crate) fn has_returned(&self) -> bool {
        !self.returned.is_empty()
    }

    /// Series that came since the next number was this one, in order of their numbers, and those that came back since the
    /// last call.
    pub(crate) fn take_since(&mut self, next: SeriesId) -> Vec<(SeriesId, SeriesKey)> {
        let returned = std::mem::take(&mut self.returned).into_iter().filter(|id| *id < next);
        let ids = returned.chain((next.0..self.next_id).map(SeriesId));
        ids.filter_map(|id| Some((id, self.keys.get(id)?.clone()))).collect()
    }

    /// Forgets a series that has left.
    pub(crate) fn remove(&mut self, id: SeriesId) {
        let key = self.keys.remove(id).expect("only known series leave");
        self.returned.remove(&id);
        self.resting.remove(&id);
        self.entries.remove(&key);
        self.ordered.remove(&key);
        self.key_bytes -= key.memory_bytes();
    }

    /// Takes in a series that the volume had, named by no log yet. A name that has two numbers keeps the higher one,
    /// under which all newer points are stored; gives both then.
    pub(crate) fn recall(&mut self, id: SeriesId, key: SeriesKey) -> Option<(SeriesId, SeriesId)> {
        assert!(id.0 < self.next_id, "no series has an id that was not given");
        let known = match self.entries.entry(key.clone()) {
            Place::Vacant(place) => {
                place.insert(Entry { id, named: 0 });
                self.note(id, key);
                return None;
            }
            Place::Occupied(place) => place.get().id,
        };
        if known < id {
            self.remove(known);
            self.put(id, key, 0);
        }
        Some((known.min(id), known.max(id)))
    }

    /// The selected series, in key order.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<SeriesKey> {
        self.page(selector, None, Order::Ascending, usize::MAX)
    }

    /// The same with their numbers.
    pub(crate) fn select_ids(&self, selector: &Selector) -> Vec<(SeriesId, SeriesKey)> {
        self.select(selector).into_iter().filter_map(|key| Some((self.id(&key)?, key))).collect()
    }

    /// How a series was written first, if it is known.
    pub(crate) fn first_written(&self, key: &SeriesKey) -> Option<&SeriesKey> {
        self.keys.get(self.id(key)?)
    }

    /// The first selected series that come behind a key in an order.
    pub(crate) fn page(
        &self,
        selector: &Selector,
        after: Option<&SeriesKey>,
        order: Order,
        count_max: usize,
    ) -> Vec<SeriesKey> {
        let Some(stretch) = Stretch::of(selector) else { return Vec::new() };
        let ordered = self.ordered.settled();
        let first = stretch.first.as_ref();
        let is_asked = |key: &&SeriesKey| selector.matches(key);
        match order {
            Order::Ascending => {
                let start = match (after, first) {
                    (Some(after), first) if first.is_none_or(|first| first <= after) => Bound::Excluded(after),
                    (_, Some(first)) => Bound::Included(first),
                    (_, None) => Bound::Unbounded,
                };
                let inside = ordered.range((start, Bound::Unbounded)).take_while(|key| stretch.holds(key));
                inside.filter(is_asked).take(count_max).cloned().collect()
            }
            Order::Descending => {
                if first.is_some_and(|first| after.is_some_and(|after| after <= first)) {
                    return Vec::new();
                }
                let (start, end) = (first.map_or(Bound::Unbounded, Bound::Included), after.map(Bound::Excluded));
                let backwards = ordered.range((start, end.unwrap_or(Bound::Unbounded))).rev();
                // Where the stretch ends is not known as a key.
                let inside = backwards.skip_while(|key| !stretch.holds(key));
                inside.filter(is_asked).take(count_max).cloned().collect()
            }
        }
    }

    /// Number of selected series.
    pub(crate) fn count(&self, selector: &Selector) -> usize {
        if selector.is_all() {
            return self.len();
        }
        let Some(stretch) = Stretch::of(selector) else { return 0 };
        let start = stretch.first.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let ordered = self.ordered.settled();
        let inside = ordered.range((start, Bound::Unbounded)).take_while(|key| stretch.holds(key));
        inside.filter(|key| selector.matches(key)).count()
    }

    /// All series, with the head generation that last named each, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SeriesId, &SeriesKey, u64)> {
        self.entries.iter().map(|(key, entry)| (entry.id, key, entry.named))
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.len() * Self::SERIES_BYTES + self.key_bytes
    }

    fn put(&mut self, id: SeriesId, key: SeriesKey, named: u64) {
        match self.entries.entry(key.clone()) {
            Place::Vacant(place) => place.insert(Entry { id, named }),
            Place::Occupied(_) => panic!("a series is defined once"),
        };
        self.note(id, key);
    }

    /// Notes a series that has an entry.
    fn note(&mut self, id: SeriesId, key: SeriesKey) {
        self.key_bytes += key.memory_bytes();
        self.ordered.insert(key.clone());
        self.keys.insert(id, key);
    }
}

/// The keys among which all selected ones are, which stand side by side in order.
struct Stretch<'a> {
    namespace: Option<&'a str>,
    metric: Option<&'a str>,
    /// None of them comes before it.
    first: Option<SeriesKey>,
}

impl<'a> Stretch<'a> {
    /// None if no series can have such a name.
    fn of(selector: &'a Selector) -> Option<Self> {
        let (namespace, metric) = selector.asked_name();
        let first = match namespace {
            Some(namespace) => Some(first_key(namespace, metric)?),
            None => None,
        };
        Some(Self { namespace, metric, first })
    }

    fn holds(&self, key: &SeriesKey) -> bool {
        self.namespace.is_none_or(|namespace| {
            key.namespace() == namespace && self.metric.is_none_or(|metric| key.metric() == metric)
        })
    }
}

/// The first key in order that this namespace and metric can have; none if no series can have them.
fn first_key(namespace: &str, metric: Option<&str>) -> Option<SeriesKey> {
    /// The first text that is not empty.
    const FIRST: &str = "\0";
    SeriesKey::new::<&str, &str>(namespace, metric.unwrap_or(FIRST), []).ok()
}
