//! The keys in order, for listing. Sorted when somebody asks: while names come, none is compared with another.

use std::collections::BTreeSet;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::model::series::SeriesKey;

/// A set of keys.
#[derive(Default)]
pub(super) struct Ordered(RwLock<Keys>);

#[derive(Default)]
struct Keys {
    sorted: BTreeSet<SeriesKey>,
    /// Those that came since the set was asked for.
    fresh: Vec<SeriesKey>,
}

impl Keys {
    fn settle(&mut self) {
        // Built as a whole, which sorts once and fills its nodes.
        let mut fresh: BTreeSet<SeriesKey> = std::mem::take(&mut self.fresh).into_iter().collect();
        if self.sorted.len() / 4 > fresh.len() {
            self.sorted.extend(fresh);
        } else {
            self.sorted.append(&mut fresh);
        }
    }
}

impl Ordered {
    /// Adds a key that is not in it.
    pub(super) fn insert(&mut self, key: SeriesKey) {
        self.0.get_mut().fresh.push(key);
    }

    pub(super) fn remove(&mut self, key: &SeriesKey) {
        let keys = self.0.get_mut();
        keys.settle();
        keys.sorted.remove(key);
    }

    /// All of them, in order.
    pub(super) fn settled(&self) -> parking_lot::MappedRwLockReadGuard<'_, BTreeSet<SeriesKey>> {
        let mut keys = self.0.read();
        if !keys.fresh.is_empty() {
            drop(keys);
            let mut unsettled = self.0.write();
            unsettled.settle();
            keys = RwLockWriteGuard::downgrade(unsettled);
        }
        RwLockReadGuard::map(keys, |keys| &keys.sorted)
    }
}
