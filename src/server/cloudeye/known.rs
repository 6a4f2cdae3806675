//! The metrics that were read before, by the text they were written in: an agent says the same names in the same bytes
//! for ever, so they are read and checked once. Nothing but a shortcut: what is not here is read again, and the bytes of
//! a text are compared, not only their hash.

use std::hash::{BuildHasher as _, BuildHasherDefault};

use parking_lot::Mutex;
use rustc_hash::FxHasher;

use crate::model::series::SeriesKey;

/// Each has a lock of its own.
const SHARDS: usize = 64;

/// Each text has one set where it may stand; with four places in each, 131,072 texts are remembered at most.
const SETS: u64 = (SHARDS * SETS_OF_SHARD) as u64;
const SETS_OF_SHARD: usize = 512;
const WAYS: usize = 4;

/// Longest text that is remembered, in bytes: four dimensions with values of 64 characters fit. With the keys the
/// memory is bounded by 150 MiB; an ordinary metric takes half a kilobyte.
const TEXT_BYTES_MAX: usize = 512;

/// Keys by the text of a `metric` object. The rules for names have to be the same as long as it lives.
#[derive(Debug)]
pub(super) struct KnownMetrics {
    shards: Box<[Mutex<Shard>]>,
}

/// Sets of entries; none until there is the first one.
type Shard = Vec<[Option<Entry>; WAYS]>;

#[derive(Debug)]
struct Entry {
    hash: u64,
    text: Box<str>,
    key: SeriesKey,
}

impl Default for KnownMetrics {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl KnownMetrics {
    /// The key that a text is known to mean, or what `read` makes of it, which is remembered unless it is an error.
    pub(super) fn get_or_insert<E>(
        &self,
        text: &str,
        read: impl FnOnce() -> Result<SeriesKey, E>,
    ) -> Result<SeriesKey, E> {
        if text.len() > TEXT_BYTES_MAX {
            return read();
        }
        // NOTE: the hash has no seed, although the text comes from outside. Who makes texts collide only drives them
        // out of their few places, and has them read again.
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(text);
        let place = usize::try_from(hash % SETS).expect("a few bits");
        let (shard, set) = (place % SHARDS, place / SHARDS);
        if let Some(set) = self.shards[shard].lock().get(set) {
            let mut entries = set.iter().flatten();
            if let Some(entry) = entries.find(|entry| entry.hash == hash && *entry.text == *text) {
                return Ok(entry.key.clone());
            }
        }
        let key = read()?;
        let entry = Entry { hash, text: text.into(), key: key.clone() };
        let mut shard = self.shards[shard].lock();
        if shard.is_empty() {
            shard.resize_with(SETS_OF_SHARD, Default::default);
        }
        // The one that came first goes.
        shard[set].rotate_right(1);
        shard[set][0] = Some(entry);
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> SeriesKey {
        SeriesKey::new("A.B", name, [("a", "1")]).expect("valid")
    }

    #[test]
    fn a_text_is_read_once_and_an_error_every_time() {
        let known = KnownMetrics::default();
        assert_eq!(known.get_or_insert("x", || Err("wrong")), Err("wrong"));
        assert_eq!(known.get_or_insert::<()>("x", || Ok(key("x"))), Ok(key("x")));
        assert_eq!(known.get_or_insert::<()>("x", || unreachable!("it is known")), Ok(key("x")));
        assert_eq!(known.get_or_insert::<()>("y", || Ok(key("y"))), Ok(key("y")), "another text is another metric");
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for _ in 0..2 {
            assert_eq!(known.get_or_insert(&long, || Err("read")), Err("read"), "what is long is not kept");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        // Goal: a flood of names takes no memory without end, and what comes again and again stays useful. Method: more
        // texts than places, then the last of them again.
        let known = KnownMetrics::default();
        let one = key("one");
        let texts: Vec<String> = (0..200_000).map(|number| format!("text {number}")).collect();
        for text in &texts {
            known.get_or_insert::<()>(text, || Ok(one.clone())).expect("no error");
        }
        let kept = |shard: &Mutex<Shard>| shard.lock().iter().flatten().flatten().count();
        let kept: usize = known.shards.iter().map(kept).sum();
        assert!((100_000..=SHARDS * SETS_OF_SHARD * WAYS).contains(&kept), "{kept}");
        let is_known = |text: &&String| known.get_or_insert(text, || Err(())).is_ok();
        let still_known = texts[190_000..].iter().filter(is_known).count();
        assert!(still_known > 9_900, "{still_known} of 10,000");
    }
}
