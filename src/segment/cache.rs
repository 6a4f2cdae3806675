//! What was read from the segments of one database and stays in memory: pages of their directories and columns of
//! their chunks, decoded, up to a number of bytes. Only what passed its checksum comes in, segments never change, and
//! what was read from one goes with it. A new thing takes the place of the oldest that was not asked for since the hand
//! of a clock last came by (second chance).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::codec::points::Kept;
use crate::codec::summaries::KeptSummaries;
use crate::segment::chunk::Chunk;
use crate::segment::summary::SummaryChunk;

/// What was read, for all segments of a database.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    /// Number of the next segment that is opened; a file that is opened twice is two.
    next_reader: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    places: FxHashMap<Key, Place>,
    /// All of them, the one that the hand comes to next in front.
    hand: VecDeque<Key>,
    bytes: usize,
    hits: u64,
    misses: u64,
}

#[derive(Debug)]
struct Place {
    item: Item,
    bytes: usize,
    /// Whether it was asked for since the hand came by.
    is_wanted: bool,
}

/// Where something was read: by which open segment, at which offset, as what.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    pub(super) reader: u64,
    pub(super) offset: u64,
    pub(super) what: u8,
}

/// Something that was read.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Points(Arc<[Chunk]>),
    Summaries(Arc<[SummaryChunk]>),
    Column(Arc<Kept>),
    Records(Arc<KeptSummaries>),
}

/// Counts of a [`Cache`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CacheCounts {
    /// Memory held, in bytes.
    pub(crate) bytes: u64,
    /// How often something was there.
    pub(crate) hits: u64,
    /// How often it had to be read.
    pub(crate) misses: u64,
}

/// Memory of a place apart from what it holds: in a table and a queue that may be half empty, with the counters of what
/// is shared.
const PLACE_BYTES: usize = 2 * (size_of::<Key>() + size_of::<Place>() + size_of::<Key>()) + 2 * size_of::<usize>();

impl Cache {
    /// An empty one that holds up to so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, next_reader: AtomicU64::new(0), state: Mutex::default() }
    }

    /// A number for a segment that is opened.
    pub(super) fn admit(&self) -> u64 {
        self.next_reader.fetch_add(1, Ordering::Relaxed)
    }

    /// What was read there, if it still is here.
    pub(super) fn get(&self, key: Key) -> Option<Item> {
        let mut state = self.state.lock();
        let found = state.places.get_mut(&key).map(|place| {
            place.is_wanted = true;
            place.item.clone()
        });
        state.hits += u64::from(found.is_some());
        state.misses += u64::from(found.is_none());
        found
    }

    /// Keeps what was read; `bytes` is the memory that it takes.
    pub(super) fn put(&self, key: Key, item: Item, bytes: usize) {
        let bytes = bytes + PLACE_BYTES;
        if bytes > self.bytes_max {
            return;
        }
        let mut state = self.state.lock();
        if state.places.contains_key(&key) {
            return;
        }
        while state.bytes + bytes > self.bytes_max {
            let oldest = state.hand.pop_front().expect("bytes are held by what stands in the queue");
            let place = state.places.get_mut(&oldest).expect("what stands in the queue has a place");
            if std::mem::take(&mut place.is_wanted) {
                state.hand.push_back(oldest);
            } else {
                let gone = state.places.remove(&oldest).map_or(0, |place| place.bytes);
                state.bytes -= gone;
            }
        }
        state.places.insert(key, Place { item, bytes, is_wanted: false });
        state.hand.push_back(key);
        state.bytes += bytes;
    }

    /// Lets go of all that a segment has read.
    pub(super) fn forget(&self, reader: u64) {
        let mut state = self.state.lock();
        let State { places, hand, bytes, .. } = &mut *state;
        places.retain(|key, place| {
            *bytes -= if key.reader == reader { place.bytes } else { 0 };
            key.reader != reader
        });
        hand.retain(|key| key.reader != reader);
    }

    pub(crate) fn counts(&self) -> CacheCounts {
        let state = self.state.lock();
        CacheCounts { bytes: state.bytes as u64, hits: state.hits, misses: state.misses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(reader: u64, offset: u64) -> Key {
        Key { reader, offset, what: 0 }
    }

    fn item() -> Item {
        Item::Points(Arc::new([]))
    }

    #[test]
    fn what_is_asked_for_stays_and_the_bytes_have_a_bound() {
        let room = 4 * (100 + PLACE_BYTES);
        let cache = Cache::new(room);
        for offset in 0..1_000 {
            cache.put(key(1, offset), item(), 100);
            assert!(cache.get(key(1, 0)).is_some(), "it is asked for all the time");
            assert!(cache.counts().bytes <= room as u64);
        }
        assert!(cache.get(key(1, 1)).is_none() && cache.get(key(1, 999)).is_some());
        cache.put(key(1, 5_000), item(), room);
        assert!(cache.get(key(1, 5_000)).is_none(), "nothing is larger than the whole");
        assert_eq!(cache.counts(), CacheCounts { bytes: room as u64, hits: 1_001, misses: 2 });
    }

    #[test]
    fn what_was_read_goes_with_its_segment() {
        let cache = Cache::new(1 << 20);
        for offset in 0..10 {
            cache.put(key(offset % 2, offset), item(), 100);
        }
        cache.forget(0);
        assert_eq!(cache.counts().bytes, 5 * (100 + PLACE_BYTES) as u64);
        assert!((0..10).all(|offset| cache.get(key(offset % 2, offset)).is_some() == (offset % 2 == 1)));
        cache.forget(1);
        assert_eq!(cache.counts().bytes, 0);
    }
}
