//! The metrics that were read before, by the text they were written in: an agent says the same names in the same bytes
//! for ever, so they are read and checked once. It also says them in the same order, so each metric remembers which one
//! came behind it, and that one is tried first. Nothing but a shortcut: what is not here is read again, and the bytes of
//! a text are compared, not only their hash.

use std::hash::{BuildHasher as _, BuildHasherDefault};

use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHasher;

use crate::model::series::SeriesKey;

/// Each has a lock of its own.
const SHARDS: usize = 64;

/// Each text has one set where it may stand; with four places in each, 131,072 texts are remembered at most.
const SETS: u64 = (SHARDS * SETS_OF_SHARD) as u64;
const SETS_OF_SHARD: usize = 512;
const WAYS: usize = 4;

/// Longest text that is remembered, in bytes: four dimensions with values of 64 characters fit. With the keys the
/// memory is bounded by about 200 MiB; an ordinary metric takes half a kilobyte.
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
    text: Box<str>,
    hash: u64,
    key: SeriesKey,
    /// What came behind it the last time.
    next: Option<Mark>,
}

/// What a text is found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    hash: u64,
    len: usize,
}

/// How far one request was read: the last metric, and what is expected behind it.
#[derive(Default, Debug)]
pub(super) struct Trail {
    last: Option<Mark>,
    next: Option<Mark>,
}

impl Default for KnownMetrics {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl KnownMetrics {
    /// The expected metric and its text, if that is what `rest` begins with.
    pub(super) fn expected<'a>(&self, trail: &mut Trail, rest: &'a str) -> Option<(&'a str, SeriesKey)> {
        let mark = trail.next?;
        // NOTE: a known text is an object to its last bracket, and no longer object begins with a whole one.
        let text = rest.get(..mark.len)?;
        Some((text, self.find(trail, mark, text)?))
    }

    /// The key that a text is known to mean, or what `read` makes of it, which is remembered unless it is an error.
    pub(super) fn get_or_insert<E>(
        &self,
        trail: &mut Trail,
        text: &str,
        read: impl FnOnce() -> Result<SeriesKey, E>,
    ) -> Result<SeriesKey, E> {
        if text.len() > TEXT_BYTES_MAX {
            *trail = Trail::default();
            return read();
        }
        // NOTE: the hash has no seed, although the text comes from outside. Who makes texts collide only drives them
        // out of their few places, and has them read again.
        let mark = Mark { hash: BuildHasherDefault::<FxHasher>::default().hash_one(text), len: text.len() };
        if let Some(last) = trail.last
            && let Some(entry) = self.set(last).entries().flatten().find(|entry| entry.hash == last.hash)
        {
            entry.next = Some(mark);
        }
        if let Some(key) = self.find(trail, mark, text) {
            return Ok(key);
        }
        let key = read()?;
        self.set(mark).put(Entry { text: text.into(), hash: mark.hash, key: key.clone(), next: None });
        *trail = Trail { last: Some(mark), next: None };
        Ok(key)
    }

    fn find(&self, trail: &mut Trail, mark: Mark, text: &str) -> Option<SeriesKey> {
        let mut set = self.set(mark);
        let entry = set.entries().flatten().find(|entry| entry.hash == mark.hash && *entry.text == *text)?;
        *trail = Trail { last: Some(mark), next: entry.next };
        Some(entry.key.clone())
    }

    fn set(&self, mark: Mark) -> Set<'_> {
        let place = usize::try_from(mark.hash % SETS).expect("a few bits");
        Set { shard: self.shards[place % SHARDS].lock(), place: place / SHARDS }
    }
}

/// The places where a text may stand.
struct Set<'a> {
    shard: MutexGuard<'a, Shard>,
    place: usize,
}

impl Set<'_> {
    fn entries(&mut self) -> impl Iterator<Item = &mut Option<Entry>> {
        self.shard.get_mut(self.place).into_iter().flatten()
    }

    /// The entry that came first goes.
    fn put(&mut self, entry: Entry) {
        if self.shard.is_empty() {
            self.shard.resize_with(SETS_OF_SHARD, Default::default);
        }
        let places = &mut self.shard[self.place];
        places.rotate_right(1);
        places[0] = Some(entry);
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
        let get = |text: &str, read: &dyn Fn() -> Result<SeriesKey, &'static str>| {
            known.get_or_insert(&mut Trail::default(), text, read)
        };
        assert_eq!(get("x", &|| Err("wrong")), Err("wrong"));
        assert_eq!(get("x", &|| Ok(key("x"))), Ok(key("x")));
        assert_eq!(get("x", &|| unreachable!("it is known")), Ok(key("x")));
        assert_eq!(get("y", &|| Ok(key("y"))), Ok(key("y")), "another text is another metric");
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for _ in 0..2 {
            assert_eq!(get(&long, &|| Err("read")), Err("read"), "what is long is not kept");
        }
    }

    #[test]
    fn what_came_behind_a_metric_is_expected_there() {
        // Method: two requests in one order, one in another; texts that begin alike.
        let known = KnownMetrics::default();
        let read = |trail: &mut Trail, text: &str| known.get_or_insert::<()>(trail, text, || Ok(key(text)));
        for _ in 0..2 {
            let mut trail = Trail::default();
            assert_eq!(known.expected(&mut trail, "{a}"), None, "nobody knows what comes first");
            for text in ["{a}", "{b}", "{c}"] {
                assert_eq!(read(&mut trail, text), Ok(key(text)));
            }
        }
        let mut trail = Trail::default();
        assert_eq!(read(&mut trail, "{a}"), Ok(key("{a}")));
        assert_eq!(known.expected(&mut trail, "{b"), None);
        assert_eq!(known.expected(&mut trail, "{b},{c}"), Some(("{b}", key("{b}"))));
        assert_eq!(known.expected(&mut trail, "{a},{c}"), None);
        assert_eq!(read(&mut trail, "{a}"), Ok(key("{a}")), "another order is as good");
        assert_eq!(known.expected(&mut trail, "{b}"), Some(("{b}", key("{b}"))));
        assert_eq!(known.expected(&mut trail, "{a}"), Some(("{a}", key("{a}"))), "the new order is expected now");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        // Goal: a flood of names takes no memory without end, and what comes again and again stays useful. Method: more
        // texts than places, then the last of them again.
        let known = KnownMetrics::default();
        let one = key("one");
        let mut trail = Trail::default();
        let texts: Vec<String> = (0..200_000).map(|number| format!("text {number}")).collect();
        for text in &texts {
            known.get_or_insert::<()>(&mut trail, text, || Ok(one.clone())).expect("no error");
        }
        let kept = |shard: &Mutex<Shard>| shard.lock().iter().flatten().flatten().count();
        let kept: usize = known.shards.iter().map(kept).sum();
        assert!((100_000..=SHARDS * SETS_OF_SHARD * WAYS).contains(&kept), "{kept}");
        let is_known = |text: &&String| known.get_or_insert(&mut Trail::default(), text, || Err(())).is_ok();
        let still_known = texts[190_000..].iter().filter(is_known).count();
        assert!(still_known > 9_900, "{still_known} of 10,000");
    }
}
