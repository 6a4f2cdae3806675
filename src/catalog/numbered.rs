//! Keys by their numbers. Numbers are given one after the other, so those that are in use stand mostly side by side, and
//! few where most series have left.

use rustc_hash::FxHashMap;

use crate::model::series::{SeriesId, SeriesKey};

/// Numbers that share a page: one that is used takes at most 512 bytes, also if a single series is left of it.
const PAGE_LEN: u32 = 64;

/// A table of keys.
#[derive(Default)]
pub(super) struct Numbered {
    pages: FxHashMap<u32, Page>,
}

struct Page {
    keys: Box<[Option<SeriesKey>; PAGE_LEN as usize]>,
    used: usize,
}

/// The number of a page, and the place on it.
fn place(id: SeriesId) -> (u32, usize) {
    (id.0 / PAGE_LEN, (id.0 % PAGE_LEN) as usize)
}

impl Numbered {
    pub(super) fn get(&self, id: SeriesId) -> Option<&SeriesKey> {
        let (page, place) = place(id);
        self.pages.get(&page)?.keys[place].as_ref()
    }

    /// Adds a key under a number that has none.
    pub(super) fn insert(&mut self, id: SeriesId, key: SeriesKey) {
        let (page, place) = place(id);
        let empty = || Page { keys: Box::new([const { None }; PAGE_LEN as usize]), used: 0 };
        let page = self.pages.entry(page).or_insert_with(empty);
        let before = page.keys[place].replace(key);
        assert!(before.is_none(), "an id is given once");
        page.used += 1;
    }

    pub(super) fn remove(&mut self, id: SeriesId) -> Option<SeriesKey> {
        let (number, place) = place(id);
        let page = self.pages.get_mut(&number)?;
        let key = page.keys[place].take()?;
        page.used -= 1;
        if page.used == 0 {
            self.pages.remove(&number);
        }
        Some(key)
    }
}
