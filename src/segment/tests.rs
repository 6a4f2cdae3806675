//! Segments in memory: what is written comes back to the bit, the same bytes for the same points, equal blocks once,
//! and no damage of one bit or any length goes unnoticed.

mod damage;
mod golden;
mod size;
mod summaries;
mod summary_damage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::codec::points::Shape;
use crate::codec::stats::Stats;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::env::memory::MemoryDisk;
use crate::model::durability::Sequence;
use crate::model::limits::{EXPIRY_MILLIS_MAX, TIMESTAMP_MILLIS_MAX};
use crate::model::packed::{Kind, NEVER, PackedPoint, Units};
use crate::model::point::Unit;
use crate::model::segment::{ExpiryClass, Partition, Role, SegmentKind, SegmentMeta};
use crate::model::series::{SeriesId, SeriesKey};

const LINEAGE: [u8; 16] = [7; 16];
const NUMBER: u64 = 12;
const FOLDER: &str = "segments";
const DAY: i64 = 86_400_000;

/// Points of each series.
type Content = BTreeMap<SeriesId, Vec<PackedPoint>>;

fn key(id: SeriesId) -> SeriesKey {
    SeriesKey::new("A.B", format!("m{}", id.0 % 3), [("host", format!("h{}", id.0 / 3))]).expect("valid")
}

/// The units of a job; a segment need not use all of them.
fn units() -> Units {
    let mut units = Units::default();
    for text in ["ms", "%", "never used", "byte/s"] {
        units.number_of(&Unit::from(text));
    }
    units
}

fn facts() -> Facts {
    let role = Role::Plain(ExpiryClass { width: 1_800_000, span: 997_378 });
    Facts { partition: Partition(20_779), role, newest: Sequence(31), erased: Sequence(5) }
}

fn try_write(disk: &dyn Disk, content: &Content) -> crate::error::Result<Option<SegmentMeta>> {
    let mut writer = SegmentWriter::create(disk, Path::new(FOLDER), LINEAGE, NUMBER, DAY)?;
    for (id, points) in content {
        writer.begin_series(*id, &key(*id))?;
        for point in points {
            writer.push(std::slice::from_ref(point))?;
        }
    }
    writer.finish(&units(), facts())
}

fn write(disk: &MemoryDisk, content: &Content) -> Option<SegmentMeta> {
    try_write(disk, content).expect("memory")
}

fn bytes_of(disk: &MemoryDisk) -> Vec<u8> {
    disk.read(&Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Points)), u64::MAX).expect("written")
}

fn open(disk: MemoryDisk, meta: SegmentMeta) -> Arc<Segment> {
    Arc::new(Segment::open(Arc::new(disk), Path::new(FOLDER), LINEAGE, meta).expect("sound"))
}

fn written(content: &Content) -> Arc<Segment> {
    let disk = MemoryDisk::default();
    let meta = write(&disk, content).expect("there are points");
    open(disk, meta)
}

fn float(time: i64, value: f64) -> PackedPoint {
    PackedPoint { time, expires_at: NEVER, bits: value.to_bits(), unit: 0, kind: Kind::Float, is_apart: false }
}

/// Points as they come back: with units of the job instead of the segment's.
fn in_units_of_the_job(segment: &Segment, points: &mut [PackedPoint]) {
    let mut units = units();
    for point in points.iter_mut().filter(|point| point.unit > 0) {
        point.unit = units.number_of(segment.units().get(point.unit - 1)) + 1;
    }
}

/// Everything in a segment, by way of the directory.
fn content_of(segment: &Arc<Segment>) -> crate::error::Result<Content> {
    let mut content = Content::new();
    for chunk in segment.directory() {
        let chunk = chunk?;
        segment.read(&chunk, content.entry(chunk.series).or_default())?;
    }
    for points in content.values_mut() {
        in_units_of_the_job(segment, points);
    }
    Ok(content)
}

fn point() -> impl Strategy<Value = PackedPoint> {
    let value = prop_oneof![
        (-50_i64..50).prop_map(|int| (Kind::Int, int.cast_unsigned())),
        any::<u64>().prop_map(|bits| (Kind::Int, bits)),
        any::<u64>().prop_map(|bits| (Kind::Float, bits)),
        (-50_i32..50).prop_map(|int| (Kind::Float, (f64::from(int) / 10.0).to_bits())),
        prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, -0.0]).prop_map(|it| (Kind::Float, it.to_bits())),
        Just((Kind::Shadow, 0)),
    ];
    let expiry = prop_oneof![Just(NEVER), 0_i64..9, Just(EXPIRY_MILLIS_MAX), Just(-EXPIRY_MILLIS_MAX)];
    (value, expiry, prop::sample::select(vec![0, 1, 2, 4])).prop_map(|((kind, bits), expires_at, unit)| match kind {
        Kind::Shadow => PackedPoint::shadow(0),
        _ => PackedPoint { time: 0, expires_at, bits, unit, kind, is_apart: unit == 4 },
    })
}

/// A series' points: any points, or points alike with one TTL.
fn points() -> impl Strategy<Value = Vec<PackedPoint>> {
    let time = prop_oneof![0_i64..300, -TIMESTAMP_MILLIS_MAX..=TIMESTAMP_MILLIS_MAX];
    let mixed = prop::collection::btree_map(time, point(), 0..40);
    let alike = (1_usize..60, 1_i64..20_000, any::<bool>()).prop_map(|(count, step, never)| {
        let alike = |time| {
            let expires_at = if never { NEVER } else { time + 60_000 };
            (time, PackedPoint { expires_at, unit: 2, ..float(time, 1.5) })
        };
        (0..).step_by(usize::try_from(step).expect("small")).take(count).map(alike).collect()
    });
    prop_oneof![mixed, alike].prop_map(|points: BTreeMap<i64, PackedPoint>| {
        points.into_iter().map(|(time, point)| PackedPoint { time, ..point }).collect()
    })
}

fn content() -> impl Strategy<Value = Content> {
    prop::collection::btree_map((0_u32..9_000).prop_map(SeriesId), points(), 0..8)
}

proptest! {
    #[test]
    fn segments_come_back_to_the_bit(content in content(), from in 0_i64..300, span in 0_i64..100) {
        // Goal: points, names, facts and statistics are those that were written. Method: write and read in all ways.
        let disk = MemoryDisk::default();
        let meta = write(&disk, &content);
        let expected: Content = content.into_iter().filter(|(_, points)| !points.is_empty()).collect();
        let all: Vec<PackedPoint> = expected.values().flatten().copied().collect();
        let Some(meta) = meta else {
            prop_assert!(all.is_empty());
            return Ok(());
        };
        prop_assert_eq!(meta.points, all.len() as u64);
        prop_assert_eq!(Some(meta.times.0), all.iter().map(|point| point.time).min());
        prop_assert_eq!(Some(meta.times.1), all.iter().map(|point| point.time).max());
        prop_assert_eq!(Some(meta.expiries.0), all.iter().map(|point| point.expires_at).min());
        prop_assert_eq!(Some(meta.expiries.1), all.iter().map(|point| point.expires_at).max());

        let segment = open(disk, meta);
        prop_assert_eq!(segment.meta(), &meta);
        prop_assert!(segment.units().list().iter().all(|unit| unit.as_str() != "never used"));
        let damage = segment.verify();
        prop_assert!(damage.is_empty(), "{:?}", damage);

        prop_assert_eq!(&content_of(&segment).expect("sound"), &expected);
        let names: Vec<_> = expected.keys().map(|id| (*id, key(*id))).collect();
        prop_assert_eq!(segment.names().expect("sound"), names);
        prop_assert_eq!(segment.series_ids().expect("sound"), expected.keys().copied().collect::<Vec<_>>());

        for (id, points) in &expected {
            let to = from + span;
            let mut found = Vec::new();
            for chunk in segment.chunks(*id, from, to).expect("sound") {
                prop_assert!(chunk.series == *id && chunk.first() <= to && from <= chunk.last());
                segment.read(&chunk, &mut found).expect("sound");
            }
            in_units_of_the_job(&segment, &mut found);
            let inside = |point: &PackedPoint| (from..=to).contains(&point.time);
            let found: Vec<_> = found.into_iter().filter(inside).collect();
            prop_assert_eq!(found, points.iter().copied().filter(inside).collect::<Vec<_>>());
        }
        prop_assert!(segment.chunks(SeriesId(9_001), i64::MIN, i64::MAX).expect("sound").is_empty());
    }

    #[test]
    fn the_same_points_give_the_same_bytes(content in content()) {
        let (one, two) = (MemoryDisk::default(), MemoryDisk::default());
        if write(&one, &content).is_some() {
            write(&two, &content);
            prop_assert_eq!(bytes_of(&one), bytes_of(&two));
        }
    }
}

#[test]
fn long_series_are_found_by_time_across_chunks_and_pages() {
    // Goal: each range of each series, in a directory of several pages. Method: many chunks, all cuts of one series.
    let series =
        |id: i64| (0..9_000).map(move |at| float(at * 1_000, f64::from(i32::try_from(at * id).expect("small"))));
    let content: Content = (0..400).map(|id| (SeriesId(id * 2), series(i64::from(id)).collect())).collect();
    let segment = written(&content);
    assert!(segment.frame.pages.len() > 3, "{}", segment.frame.pages.len());
    assert_eq!(content_of(&segment).expect("sound"), content);
    for (id, points) in &content {
        for from in (0..9_000_000).step_by(777_777) {
            let mut found = Vec::new();
            for chunk in segment.chunks(*id, from, from + 999_999).expect("sound") {
                segment.read(&chunk, &mut found).expect("sound");
            }
            found.retain(|point| (from..from + 1_000_000).contains(&point.time));
            let expected = points.iter().filter(|point| (from..from + 1_000_000).contains(&point.time));
            assert!(found.iter().eq(expected), "{id:?} from {from}");
        }
        assert!(segment.chunks(SeriesId(id.0 + 1), 0, i64::MAX).expect("sound").is_empty());
    }
    let mut points = Vec::new();
    for chunk in segment.directory().map(|chunk| chunk.expect("sound")) {
        points.clear();
        segment.read(&chunk, &mut points).expect("sound");
        assert_eq!((Shape::of(&points), Stats::of(&points)), (chunk.shape, chunk.stats));
    }
}

#[test]
fn a_writer_that_is_dropped_or_empty_leaves_no_file() {
    let disk = MemoryDisk::default();
    let folder = Path::new(FOLDER);
    disk.create_dir(folder).expect("memory");
    let mut writer = SegmentWriter::create(&disk, folder, LINEAGE, NUMBER, DAY).expect("memory");
    writer.begin_series(SeriesId(1), &key(SeriesId(1))).expect("memory");
    writer.push(&[float(1, 1.0)]).expect("memory");
    assert_eq!(disk.list(folder).expect("made"), ["000012.pts.tmp"]);
    drop(writer);
    assert_eq!(disk.list(folder).expect("made"), [""; 0]);
    assert_eq!(write(&disk, &Content::from([(SeriesId(1), Vec::new())])), None);
    assert_eq!(disk.list(folder).expect("made"), [""; 0]);
}

#[test]
fn a_segment_that_is_not_the_one_listed_is_refused() {
    // Method: open a sound file as something else than it is.
    let disk = Arc::new(MemoryDisk::default());
    let meta = write(&disk, &Content::from([(SeriesId(1), vec![float(1, 1.0)])])).expect("a point");
    let refuse = |lineage, meta| {
        let error = Segment::open(disk.clone(), Path::new(FOLDER), lineage, meta).expect_err("refused");
        assert!(error.is_corruption(), "{error}");
        error.to_string()
    };
    assert!(refuse([8; 16], meta).starts_with("segments/000012.pts at 0: "));
    let told = refuse(LINEAGE, SegmentMeta { points: 2, ..meta });
    assert!(told.contains("the manifest says"), "{told}");
    refuse(LINEAGE, SegmentMeta { bytes: meta.bytes + 1, ..meta });
    refuse(LINEAGE, SegmentMeta { role: Role::Override, ..meta });
    refuse(LINEAGE, SegmentMeta { newest: Sequence(32), ..meta });
    let renamed = Path::new(FOLDER).join(layout::segment_name(13, SegmentKind::Points));
    disk.rename(&Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Points)), &renamed).expect("memory");
    refuse(LINEAGE, SegmentMeta { number: 13, ..meta });
}
