//! Numbers of series by name, as everybody keeps them who stores points under short keys.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::RwLock;

use ebbtide::{SeriesKey, WriteBatch};

/// Names and their numbers, for several writers. The hash that a `SeriesKey` brings along saves the peers from hashing
/// texts, as it saves Ebbtide.
#[derive(Default)]
pub(crate) struct Names(RwLock<HashMap<SeriesKey, u32>>);

impl Names {
    pub(crate) fn load(texts: impl IntoIterator<Item = (u32, String)>) -> Self {
        let names = texts.into_iter().map(|(id, text)| (from_text(&text), id)).collect();
        Self(RwLock::new(names))
    }

    /// The numbers of a batch's series, point by point, and those names that have just got theirs.
    pub(crate) fn resolve(&self, batch: &WriteBatch) -> (Vec<u32>, Vec<(u32, String)>) {
        let mut ids = Vec::with_capacity(batch.len());
        let known = self.0.read().expect("no writer panics");
        for (key, _) in batch.iter() {
            let Some(&id) = known.get(key) else { break };
            ids.push(id);
        }
        drop(known);
        if ids.len() == batch.len() {
            return (ids, Vec::new());
        }
        let mut names = self.0.write().expect("no writer panics");
        let mut new = Vec::new();
        for (key, _) in batch.iter().skip(ids.len()) {
            let next = u32::try_from(names.len()).expect("at most a million series");
            let id = *names.entry(key.clone()).or_insert(next);
            if id == next {
                new.push((id, to_text(key)));
            }
            ids.push(id);
        }
        (ids, new)
    }

    pub(crate) fn get(&self, key: &SeriesKey) -> u32 {
        self.0.read().expect("no writer panics")[key]
    }
}

/// A name as stored: its parts, each ended by a character that no name has.
fn to_text(key: &SeriesKey) -> String {
    let mut text = format!("{}\u{1f}{}", key.namespace(), key.metric());
    for dimension in key.dimensions() {
        text = text + "\u{1f}" + dimension.name + "\u{1f}" + dimension.value;
    }
    text
}

fn from_text(text: &str) -> SeriesKey {
    let parts: Vec<&str> = text.split('\u{1f}').collect();
    let dimensions = parts[2..].chunks_exact(2).map(|pair| (pair[0], pair[1]));
    SeriesKey::new(parts[0], parts[1], dimensions).expect("it was a name before")
}

/// A map of names that hashes their texts at each look-up: what the floors do.
pub(crate) type TextIds = HashMap<Texts, u32>;

#[derive(PartialEq, Eq)]
pub(crate) struct Texts(SeriesKey);

impl Hash for Texts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.namespace().hash(state);
        self.0.metric().hash(state);
        self.0.dimensions().for_each(|dimension| dimension.hash(state));
    }
}

pub(crate) fn id_of(ids: &mut TextIds, key: &SeriesKey) -> u32 {
    let next = u32::try_from(ids.len()).expect("at most a million series");
    *ids.entry(Texts(key.clone())).or_insert(next)
}
