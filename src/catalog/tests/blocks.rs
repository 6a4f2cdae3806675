//! Names, blocks and changes. Method: round trips and any bytes by proptest, and changes of blocks in a plain map held
//! against a map of series.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;

use super::some_key;
use crate::catalog::block::{Size, decode, decode_mark, encode, encode_mark};
use crate::catalog::change::{Blocks, Plan, Record, mark_of, plan, plan_all};
use crate::catalog::name::{Stored, name_of, prefix};
use crate::codec::checksum;
use crate::env::dice::Dice;
use crate::error::Result;
use crate::model::segment::CatalogMark;
use crate::model::series::{SeriesId, SeriesKey};

fn text() -> impl Strategy<Value = String> {
    // Few characters, so that one text often starts another.
    proptest::collection::vec(prop::sample::select(vec!['\0', '\u{1}', '\u{2}', 'a', 'b', '\u{e9}']), 1..4)
        .prop_map(String::from_iter)
}

fn any_key() -> impl Strategy<Value = SeriesKey> {
    let dimensions = proptest::collection::hash_map(text(), text(), 0..4);
    (text(), text(), dimensions)
        .prop_map(|(namespace, metric, dimensions)| SeriesKey::new(namespace, metric, dimensions).expect("valid names"))
}

fn stored(keys: impl IntoIterator<Item = SeriesKey>) -> Vec<Stored> {
    let mut series: Vec<_> = (7..).zip(keys).map(|(id, key)| Stored::new(SeriesId(id), &key)).collect();
    series.sort_unstable_by(|one, next| one.name.cmp(&next.name));
    series.dedup_by(|one, next| one.name == next.name);
    series
}

#[test]
fn golden_bytes_of_a_block() {
    // Goal: blocks never change; docs/format.md explains these bytes.
    let keys = [
        SeriesKey::new("A.B", "cpu", [("host", "a"), ("core", "1")]),
        SeriesKey::new("A.B", "cpu", [("core", "10")]),
        SeriesKey::new("A.B", "c\0\u{1}u", [("core", "1")]),
    ];
    let series = stored(keys.map(|key| key.expect("valid")));
    let mut golden = vec![1, 3];
    // All of the first name is the block's key: it shares 18 bytes, adds none, and has id 9.
    golden.extend([18 << 1, 0, 18]);
    // Shares "A.B\0c", adds the rest, id 7, dimensions in another order.
    golden.extend([5 << 1 | 1, 17]);
    golden.extend(b"pu\0core\x001\0host\0a\0");
    golden.extend([3, 2, 1, 0]);
    // Shares up to the "1" of the value.
    golden.extend([14 << 1, 2]);
    golden.extend(b"0\0");
    golden.push(2);
    golden.extend([63, 39, 203, 240]);
    let bytes = encode(&series);
    assert_eq!(series[0].name, b"A.B\0c\x01\x01\x01\x02u\0core\x001\0");
    assert_eq!(decode(&series[0].name, &bytes), Ok(series.clone()));
    assert_eq!(bytes, golden);

    let mark = mark_of(3, &series);
    assert_eq!(mark, CatalogMark { generation: 3, series: 3, checksum: 0xa307_3d96_64e1_5cdb });
    let mut golden = vec![1, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    golden.extend(0xa307_3d96_64e1_5cdb_u64.to_le_bytes());
    golden.extend([220, 33, 188, 253]);
    assert_eq!(encode_mark(b"\0", &mark), golden);
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_block_is_refused_and_so_is_another_key() {
    let mut dice = Dice::new(9);
    let series = stored((0..20).map(|_| some_key(&mut dice, 100)));
    let mark = mark_of(5, &series);
    let (first, bytes, sealed) = (&series[0].name, encode(&series), encode_mark(b"\0", &mark));
    assert_eq!(decode_mark(b"\0", &sealed), Ok(mark));
    assert!(decode(&series[1].name, &bytes).is_err() && decode_mark(b"\x01", &sealed).is_err());
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(first, &damaged).is_err(), "bit {bit}");
        let mut damaged = sealed.clone();
        damaged[bit / 8 % sealed.len()] ^= 1 << (bit % 8);
        assert!(decode_mark(b"\0", &damaged).is_err(), "bit {bit}");
    }
    assert!((0..bytes.len()).all(|len| decode(first, &bytes[..len]).is_err()));
    assert!((0..sealed.len()).all(|len| decode_mark(b"\0", &sealed[..len]).is_err()));
}

proptest! {
    #[test]
    fn names_are_in_the_order_of_keys_and_come_back(one in any_key(), other in any_key()) {
        prop_assert_eq!(name_of(&one).cmp(&name_of(&other)), one.cmp(&other));
        let stored = Stored::new(SeriesId(1), &one);
        let back = stored.key().expect("a key");
        prop_assert_eq!(back.to_string(), one.to_string(), "also the order of dimensions");
        prop_assert_eq!(&back, &one);
        let start = prefix(&[one.namespace(), one.metric()]);
        let is_same = (one.namespace(), one.metric()) == (other.namespace(), other.metric());
        prop_assert_eq!(name_of(&other).starts_with(&start), is_same);
    }

    #[test]
    fn blocks_come_back(keys in proptest::collection::vec(any_key(), 1..100)) {
        let series = stored(keys);
        prop_assert_eq!(decode(&series[0].name, &encode(&series)), Ok(series));
    }

    #[test]
    fn any_bytes_are_a_block_or_a_reason(
        first in proptest::collection::vec(any::<u8>(), 0..20),
        mut bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        // Goal: no panic, and a block that decodes encodes. Method: any bytes, and any with a checksum that is right.
        let _any = decode(&first, &bytes);
        let sealed = [&(first.len() as u64).to_le_bytes()[..], &first, &bytes].concat();
        bytes.extend_from_slice(&checksum::of(&sealed).to_le_bytes());
        if let Ok(series) = decode(&first, &bytes) {
            prop_assert_eq!(decode(&first, &encode(&series)), Ok(series.clone()));
            for each in series {
                let _any = each.key();
            }
        }
        let name = Stored { name: bytes, id: SeriesId(1), order: first };
        let _any = name.key();
    }
}

/// Blocks in a map.
#[derive(Default)]
struct MapOfBlocks {
    blocks: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many were read.
    read: RefCell<usize>,
}

impl Blocks for MapOfBlocks {
    fn at_or_before(&self, name: &[u8]) -> Result<Option<Record>> {
        *self.read.borrow_mut() += 1;
        Ok(self.blocks.range(..=name.to_vec()).next_back().map(|(key, bytes)| (key.clone(), bytes.clone())))
    }

    fn after(&self, name: &[u8]) -> Result<Option<Record>> {
        let behind = (Bound::Excluded(name.to_vec()), Bound::Unbounded);
        Ok(self.blocks.range(behind).next().map(|(key, bytes)| (key.clone(), bytes.clone())))
    }
}

impl MapOfBlocks {
    fn write(&mut self, plan: Plan) -> CatalogMark {
        plan.drop.iter().for_each(|key| assert!(self.blocks.remove(key).is_some(), "only what is there is dropped"));
        self.blocks.extend(plan.put);
        plan.mark
    }

    fn all(&self) -> Vec<Stored> {
        self.blocks.iter().flat_map(|(key, bytes)| decode(key, bytes).expect("a block")).collect()
    }
}

#[test]
fn blocks_hold_what_a_map_holds_and_stay_within_their_sizes() {
    // Method: growing, steady and shrinking phases; after each change all blocks are read and counted.
    let size = Size { series_max: 16, bytes_max: 400 };
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let mut model: BTreeMap<SeriesKey, SeriesId> = BTreeMap::new();
        let mut blocks = MapOfBlocks::default();
        let mut mark = blocks.write(plan_all(0, size, Vec::new()));
        for step in 0..150_u32 {
            let (leaving, coming) = [(2, 30), (10, 10), (30, 2)][step as usize / 50];
            let removed: Vec<SeriesKey> = (0..dice.below(leaving + 1))
                .filter_map(|_| {
                    let start = some_key(&mut dice, 2_000);
                    let key = model.range(start..).next().map(|(key, _)| key.clone())?;
                    model.remove(&key).map(|_| key)
                })
                .collect();
            let mut added = Vec::new();
            for number in 0..u32::try_from(dice.below(coming + 1)).expect("small") {
                let (id, key) = (SeriesId(step * 100 + number), some_key(&mut dice, 2_000));
                if !model.contains_key(&key) {
                    model.insert(key.clone(), id);
                    added.push((id, key));
                }
            }
            mark = blocks.write(plan(&blocks, mark, size, &added, &removed).expect("it fits"));
            let all = blocks.all();
            let expected: Vec<Stored> = model.iter().map(|(key, id)| Stored::new(*id, key)).collect();
            assert_eq!((&all, mark), (&expected, mark_of(u64::from(step) + 1, &expected)), "seed {seed}, step {step}");
            for (key, bytes) in &blocks.blocks {
                assert!(decode(key, bytes).expect("a block").len() <= 16 && bytes.len() < 600);
            }
            // Blocks do not crumble: on average each is at least a quarter full.
            assert!(blocks.blocks.len() <= 2 + all.len() / 3, "{} blocks of {}", blocks.blocks.len(), all.len());
        }
    }
}

#[test]
fn a_change_reads_and_writes_only_the_blocks_that_it_touches() {
    let size = Size { series_max: 16, bytes_max: 4_000 };
    let keys = (0..1_600).map(|number| SeriesKey::new("A.B", "m", [("i", format!("{number:04}x"))]).expect("valid"));
    let mut blocks = MapOfBlocks::default();
    let mark = blocks.write(plan_all(1, size, stored(keys)));
    assert_eq!(blocks.blocks.len(), 100, "blocks that are written as a whole are full");
    *blocks.read.borrow_mut() = 0;
    let new = SeriesKey::new("A.B", "m", [("i", "0800y")]).expect("valid");
    let plan = plan(&blocks, mark, size, &[(SeriesId(9_999), new)], &[]).expect("it fits");
    assert_eq!((*blocks.read.borrow(), plan.put.len(), plan.drop.len()), (1, 2, 0));
}
