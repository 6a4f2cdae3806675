//! The catalogue in memory and on disk. Method: everything is held against plain maps.

mod blocks;
mod stored;

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Entry};
use crate::env::dice::Dice;
use crate::model::selector::{Order, Selector};
use crate::model::series::{SeriesId, SeriesKey};

/// One of about `count` keys, some with dimensions out of order, some with characters that have to be escaped.
fn some_key(dice: &mut Dice, count: u64) -> SeriesKey {
    let namespace = ["A.B", "A.B\0", "C"][usize::try_from(dice.below(3)).expect("small")];
    let metric = format!("m{}", dice.below(3));
    let (number, odd) = (dice.below(count / 9 + 1), dice.below(8));
    let value = match odd {
        0 => format!("\u{1}{number}"),
        1 => format!("{number}\0"),
        _ => format!("i-{number:05}"),
    };
    let mut dimensions = vec![("host".to_owned(), value), ("core".to_owned(), "1".to_owned())];
    dimensions.truncate(usize::try_from(number % 3).expect("small"));
    SeriesKey::new(namespace, metric, dimensions).expect("valid names")
}

fn key(namespace: &str, metric: &str, host: &str) -> SeriesKey {
    SeriesKey::new(namespace, metric, [("host", host)]).expect("valid names")
}

#[test]
fn a_catalogue_knows_what_a_map_knows() {
    let mut dice = Dice::new(5);
    let mut catalog = Catalog::default();
    let mut model: BTreeMap<SeriesKey, Entry> = BTreeMap::new();
    let selectors = [
        Selector::all(),
        Selector::all().namespace("A.B"),
        Selector::all().namespace("A.B\0").metric("m1"),
        Selector::all().metric("m2").dimension("core", "1"),
        Selector::all().namespace("nowhere"),
        Selector::all().namespace("x".repeat(1_000)),
        Selector::all().namespace(""),
    ];
    for step in 0_u64..2_000 {
        let key = some_key(&mut dice, 200);
        match (model.get(&key).copied(), dice.below(3)) {
            (None, _) => {
                // Ids may skip what was lost.
                let id = SeriesId(catalog.next_id().0 + u32::from(dice.below(9) == 0));
                catalog.name(id, &key, step);
                model.insert(key.clone(), Entry { id, named: step });
                assert_eq!(catalog.next_id(), SeriesId(id.0 + 1));
            }
            (Some(entry), 0) => {
                catalog.remove(entry.id);
                model.remove(&key);
                assert!(!catalog.contains(entry.id) && catalog.key(entry.id).is_none());
            }
            (Some(entry), _) => {
                catalog.name(entry.id, &key, step);
                model.insert(key.clone(), Entry { named: step, ..entry });
            }
        }
        let entry = model.get(&key).copied();
        assert_eq!((catalog.find(&key), catalog.id(&key)), (entry, entry.map(|entry| entry.id)));
        assert!(entry.is_none_or(|entry| catalog.key(entry.id) == Some(&key)));
        let selector = &selectors[usize::try_from(step).expect("small") % selectors.len()];
        let selected: Vec<SeriesKey> = model.keys().filter(|key| selector.matches(key)).cloned().collect();
        assert_eq!(catalog.select(selector), selected, "{selector:?}");
        let after = some_key(&mut dice, 200);
        let page: Vec<SeriesKey> = selected.iter().filter(|key| **key > after).take(5).cloned().collect();
        assert_eq!(catalog.page(selector, Some(&after), Order::Ascending, 5), page, "{selector:?} after {after}");
        let back: Vec<SeriesKey> = selected.iter().rev().filter(|key| **key < after).take(5).cloned().collect();
        assert_eq!(catalog.page(selector, Some(&after), Order::Descending, 5), back, "{selector:?} before {after}");
        let last: Vec<SeriesKey> = selected.iter().rev().take(5).cloned().collect();
        assert_eq!(catalog.page(selector, None, Order::Descending, 5), last, "{selector:?}");
        assert_eq!(catalog.count(selector), selected.len(), "{selector:?}");
    }
    let all: BTreeMap<SeriesKey, Entry> =
        catalog.iter().map(|(id, key, named)| (key.clone(), Entry { id, named })).collect();
    assert_eq!((all, catalog.len()), (model.clone(), model.len()));

    let mut restored = Catalog::beginning_at(catalog.next_id(), 9);
    for (key, entry) in &model {
        assert_eq!(restored.recall(entry.id, key.clone()), None);
    }
    assert_eq!((restored.next_id(), restored.bytes()), (catalog.next_id(), catalog.bytes()));
    assert_eq!(restored.select(&Selector::all()), catalog.select(&Selector::all()));
    assert!(restored.iter().all(|(_, _, named)| named == 0));
    for entry in model.values() {
        restored.remove(entry.id);
    }
    assert_eq!((restored.len(), restored.bytes()), (0, 0));
    restored.name(catalog.next_id(), &key("A.B", "m", "x"), 1);
}

#[test]
fn an_id_is_never_given_to_another_series_and_what_is_new_is_told_once() {
    // Goal: a name may come back under its old id, as batches that knew it may still be on their way. Nothing else may.
    let mut catalog = Catalog::default();
    let (one, other) = (key("A.B", "m", "x"), key("A.B", "m", "y"));
    catalog.name(SeriesId(0), &one, 1);
    catalog.name(SeriesId(0), &one, 2);
    assert_eq!((catalog.named(SeriesId(0)), catalog.next_id()), (Some(2), SeriesId(1)));
    let taken = std::panic::AssertUnwindSafe(|| Catalog::name(&mut Catalog::default(), SeriesId(u32::MAX), &one, 1));
    assert!(std::panic::catch_unwind(taken).is_err(), "a next id always exists");
    assert_eq!(catalog.take_since(SeriesId(0)), [(SeriesId(0), one.clone())]);
    assert_eq!(catalog.take_since(SeriesId(1)), []);
    catalog.remove(SeriesId(0));
    assert_eq!((catalog.named(SeriesId(0)), catalog.next_id()), (None, SeriesId(1)));
    assert!(!catalog.has_returned());
    catalog.name(SeriesId(0), &one, 3);
    catalog.name(SeriesId(1), &other, 3);
    catalog.remove(SeriesId(1));
    assert!(catalog.has_returned());
    assert_eq!(catalog.take_since(SeriesId(1)), [(SeriesId(0), one.clone())], "what has left before is not new");
    assert!(!catalog.has_returned());
    assert_eq!(catalog.take_since(SeriesId(1)), [], "it is told once");
    let again = std::panic::AssertUnwindSafe(|| catalog.name(SeriesId(0), &other, 4));
    assert!(std::panic::catch_unwind(again).is_err());
}

#[test]
fn a_name_with_two_numbers_keeps_the_higher_one_in_whatever_order_they_come() {
    let name = key("A.B", "m", "x");
    for ids in [[3, 5], [5, 3]].map(|ids| ids.map(SeriesId)) {
        let mut catalog = Catalog::beginning_at(SeriesId(9), 2);
        assert_eq!(catalog.recall(ids[0], name.clone()), None);
        assert_eq!(catalog.recall(ids[1], name.clone()), Some((SeriesId(3), SeriesId(5))));
        assert_eq!((catalog.id(&name), catalog.len(), catalog.next_id()), (Some(SeriesId(5)), 1, SeriesId(9)));
        assert_eq!((catalog.key(SeriesId(3)), catalog.key(SeriesId(5))), (None, Some(&name)));
        assert_eq!(catalog.select(&Selector::all()), std::slice::from_ref(&name));
    }
}
