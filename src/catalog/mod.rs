//! Which series there are: names to numbers and back. Derived from the log, so it can always be rebuilt.

use std::collections::HashMap;

use crate::model::selector::Selector;
use crate::model::series::{SeriesId, SeriesKey};

/// The series of one volume. Ids are given in the order of first appearance; an id whose name was lost stays unused.
#[derive(Default)]
pub(crate) struct Catalog {
    ids: HashMap<SeriesKey, SeriesId>,
    /// By id.
    keys: Vec<Option<SeriesKey>>,
    key_bytes: usize,
}

impl Catalog {
    /// Memory of one series apart from its key, in bytes: its places in the two tables, each up to half empty.
    pub(crate) const SERIES_BYTES: usize = 64;

    /// The number of a series, if it is known.
    pub(crate) fn id(&self, key: &SeriesKey) -> Option<SeriesId> {
        self.ids.get(key).copied()
    }

    /// Whether a series of this number is known.
    pub(crate) fn contains(&self, id: SeriesId) -> bool {
        matches!(self.keys.get(id.0 as usize), Some(Some(_)))
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The id that the next new series gets.
    pub(crate) fn next_id(&self) -> SeriesId {
        SeriesId(u32::try_from(self.keys.len()).expect("ids end below 2^32"))
    }

    /// Adds a series that is not known under an id that is not below [`Self::next_id`].
    pub(crate) fn define(&mut self, id: SeriesId, key: SeriesKey) {
        assert!(id >= self.next_id(), "ids only grow");
        self.keys.resize(id.0 as usize, None);
        self.keys.push(Some(key.clone()));
        self.key_bytes += key.memory_bytes();
        let before = self.ids.insert(key, id);
        assert!(before.is_none(), "a series is defined once");
    }

    /// The selected series, in no order.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<SeriesKey> {
        self.ids.keys().filter(|key| selector.matches(key)).cloned().collect()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.len() * Self::SERIES_BYTES + self.key_bytes
    }
}
