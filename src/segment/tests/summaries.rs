//! Segments of summaries: what is written comes back, is found by time, and costs little more than its chunks.

use super::*;
use crate::codec::summaries;
use crate::codec::varint;
use crate::env::dice::Dice;
use crate::model::limits::{BLOCK_BYTES_MAX, SUMMARY_RECORDS_MAX};
use crate::model::packed::{Kind, NEVER, PackedPoint};
use crate::model::summary::{Record, Summary};
use crate::segment::format::CHECKSUM_BYTES;
use crate::segment::place::Place;

pub(super) const RESOLUTION: i64 = 300_000;

/// Records of each series.
pub(super) type Records = BTreeMap<SeriesId, Vec<Record>>;

/// Some record of the window with this number; a few of each hundred seeds are special.
pub(super) fn record(window: i64, seed: u64, unit: u32) -> Record {
    let start = window * RESOLUTION;
    let int = |at: u64| PackedPoint {
        time: start + at.cast_signed(),
        expires_at: NEVER,
        bits: (seed / 3) ^ (at << 20),
        unit,
        kind: Kind::Int,
        is_apart: false,
    };
    let points: Vec<PackedPoint> = (0..=seed % 100).map(int).collect();
    let summary = Summary::of(&points).expect("there are points");
    Record { start, replaces: seed % 50 == 7, is_amended: seed % 50 == 8, summary }
}

pub(super) fn summary_facts() -> Facts {
    let role = Role::Summaries(RESOLUTION);
    Facts { partition: Partition(20_779), role, newest: Sequence(31), erased: Sequence(31) }
}

pub(super) fn try_write_summaries(disk: &dyn Disk, records: &Records) -> crate::error::Result<Option<SegmentMeta>> {
    let mut writer = SummaryWriter::create(disk, Path::new(FOLDER), LINEAGE, NUMBER, RESOLUTION)?;
    for (id, records) in records {
        writer.begin_series(*id, &key(*id))?;
        for record in records {
            writer.push(record.clone())?;
        }
    }
    writer.finish(&units(), summary_facts())
}

pub(super) fn write_summaries(disk: &MemoryDisk, records: &Records) -> Option<SegmentMeta> {
    try_write_summaries(disk, records).expect("memory")
}

pub(super) fn path() -> std::path::PathBuf {
    Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Summaries))
}

fn summaries_written(records: &Records) -> Arc<Segment> {
    let disk = MemoryDisk::default();
    let meta = write_summaries(&disk, records).expect("there are records");
    open(disk, meta)
}

/// Records as they come back: with units of the job instead of the segment's.
fn units_of_the_job(segment: &Segment, records: &mut [Record]) {
    let mut units = units();
    for summary in records.iter_mut().map(|record| &mut record.summary).filter(|summary| summary.unit > 0) {
        summary.unit = units.number_of(segment.units().get(summary.unit - 1)) + 1;
    }
}

/// Everything in a segment, by way of the directory.
pub(super) fn records_of(segment: &Arc<Segment>) -> crate::error::Result<Records> {
    let mut found = Records::new();
    for chunk in segment.summary_directory() {
        let chunk = chunk?;
        segment.read_summaries(&chunk, found.entry(chunk.series).or_default())?;
    }
    for records in found.values_mut() {
        units_of_the_job(segment, records);
    }
    Ok(found)
}

fn records() -> impl Strategy<Value = Records> {
    let window = prop_oneof![0_i64..300, -30_023_999_000_i64..30_023_999_000];
    let unit = prop::sample::select(vec![0, 1, 2, 4]);
    let any = prop::collection::btree_map(window, (any::<u32>(), unit), 0..40);
    let alike =
        (0_i64..9, 1_i64..90).prop_map(|(first, count)| (first..first + count).map(|at| (at, (5, 2))).collect());
    let series = prop_oneof![any, alike].prop_map(|windows: BTreeMap<i64, (u32, u32)>| {
        windows.into_iter().map(|(window, (seed, unit))| record(window, u64::from(seed), unit)).collect()
    });
    prop::collection::btree_map((0_u32..9_000).prop_map(SeriesId), series, 0..8)
}

proptest! {
    #[test]
    fn summaries_come_back(records in records(), from in 0_i64..300, span in 0_i64..100) {
        // Goal: records, names and facts are those that were written. Method: write and read in all ways.
        let disk = MemoryDisk::default();
        let meta = write_summaries(&disk, &records);
        let expected: Records = records.into_iter().filter(|(_, records)| !records.is_empty()).collect();
        let starts: Vec<i64> = expected.values().flatten().map(|record| record.start).collect();
        let Some(meta) = meta else {
            prop_assert!(starts.is_empty());
            return Ok(());
        };
        prop_assert_eq!(meta.points, starts.len() as u64);
        prop_assert_eq!(Some(meta.times.0), starts.iter().min().copied());
        prop_assert_eq!(Some(meta.times.1), starts.iter().max().map(|start| start + RESOLUTION - 1));
        prop_assert_eq!(meta.expiries, (NEVER, NEVER));
        prop_assert!(!meta.holds_points());

        let segment = open(disk, meta);
        prop_assert!(segment.units().list().iter().all(|unit| unit.as_str() != "never used"));
        let damage = segment.verify();
        prop_assert!(damage.is_empty(), "{:?}", damage);
        prop_assert_eq!(&records_of(&segment).expect("sound"), &expected);
        let names: Vec<_> = expected.keys().map(|id| (*id, key(*id))).collect();
        prop_assert_eq!(segment.names().expect("sound"), names);
        prop_assert_eq!(segment.series_ids().expect("sound"), expected.keys().copied().collect::<Vec<_>>());

        let (from, to) = (from * RESOLUTION - 1, (from + span) * RESOLUTION);
        for (id, records) in &expected {
            let mut found = Vec::new();
            for chunk in segment.summary_chunks(*id, from, to).expect("sound") {
                prop_assert!(chunk.series == *id && chunk.first() <= to && from <= chunk.last() && chunk.count() > 0);
                segment.read_summaries(&chunk, &mut found).expect("sound");
            }
            units_of_the_job(&segment, &mut found);
            let overlaps = |record: &Record| record.start <= to && from < record.start + RESOLUTION;
            found.retain(overlaps);
            prop_assert_eq!(found, records.iter().filter(|record| overlaps(record)).cloned().collect::<Vec<_>>());
        }
        prop_assert!(segment.summary_chunks(SeriesId(9_001), i64::MIN, i64::MAX).expect("sound").is_empty());
    }
}

#[test]
fn long_series_are_found_by_window_across_chunks_and_pages() {
    // Goal: each range of each series, in a directory of several pages. Method: several chunks for each series, with
    // numbers that are as long as can be.
    let mut dice = Dice::new(5);
    let mut series = |count: i64| (0..count).map(|at| record(at * 2, dice.roll(), 1)).collect::<Vec<_>>();
    let mut records: Records = (0..3_000).map(|id| (SeriesId(id * 3), series(i64::from(id % 3) + 1))).collect();
    let longest = i64::try_from(SUMMARY_RECORDS_MAX).expect("small") * 2 + 100;
    for id in [7_u32, 4_000, 20_000] {
        records.insert(SeriesId(id), series(longest));
    }
    let segment = summaries_written(&records);
    assert!(segment.frame.pages.len() > 3, "{}", segment.frame.pages.len());
    assert!(segment.verify().is_empty());
    assert_eq!(records_of(&segment).expect("sound"), records);
    for chunk in segment.summary_directory().map(|chunk| chunk.expect("sound")) {
        assert!(chunk.count() as usize <= SUMMARY_RECORDS_MAX);
        assert!(matches!(chunk.place, Place::Here(_) | Place::Block { len: 0..=BLOCK_BYTES_MAX, .. }));
    }
    for id in [7_u32, 9, 4_000, 20_000] {
        for window in (0..longest * 2).step_by(777) {
            let (from, to) = (window * RESOLUTION, (window + 50) * RESOLUTION - 1);
            let chunks = segment.summary_chunks(SeriesId(id), from, to).expect("sound");
            let mut found = Vec::new();
            for chunk in &chunks {
                segment.read_summaries(chunk, &mut found).expect("sound");
            }
            units_of_the_job(&segment, &mut found);
            let is_inside = |record: &&Record| (from..=to).contains(&record.start);
            let expected = records[&SeriesId(id)].iter().filter(is_inside);
            assert!(chunks.len() <= 2 && found.iter().filter(is_inside).eq(expected), "{id} from {window}");
        }
    }
}

#[test]
fn a_summary_writer_that_is_dropped_or_empty_leaves_no_file() {
    let disk = MemoryDisk::default();
    let folder = Path::new(FOLDER);
    disk.create_dir(folder).expect("memory");
    let mut writer = SummaryWriter::create(&disk, folder, LINEAGE, NUMBER, RESOLUTION).expect("memory");
    writer.begin_series(SeriesId(1), &key(SeriesId(1))).expect("memory");
    writer.push(record(1, 1, 0)).expect("memory");
    assert_eq!(disk.list(folder).expect("made"), ["000012.sum.tmp"]);
    drop(writer);
    assert_eq!(disk.list(folder).expect("made"), [""; 0]);
    assert_eq!(write_summaries(&disk, &Records::from([(SeriesId(1), Vec::new())])), None);
    assert_eq!(disk.list(folder).expect("made"), [""; 0]);
    write_summaries(&disk, &Records::from([(SeriesId(1), vec![record(1, 1, 0)])])).expect("a record");
    assert_eq!(disk.list(folder).expect("made"), ["000012.sum"]);
}

#[test]
fn a_segment_of_the_other_kind_is_refused() {
    // Goal: neither kind passes for the other. Method: rename files and change what the manifest says.
    let refuse = |disk: &Arc<MemoryDisk>, meta: SegmentMeta| {
        let error = Segment::open(disk.clone(), Path::new(FOLDER), LINEAGE, meta).expect_err("refused");
        assert!(error.is_corruption(), "{error}");
        error.to_string()
    };
    let points = Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Points));
    let disk = Arc::new(MemoryDisk::default());
    let meta = write_summaries(&disk, &Records::from([(SeriesId(1), vec![record(1, 1, 0)])])).expect("a record");
    let told = refuse(&disk, SegmentMeta { role: Role::Summaries(RESOLUTION / 5), ..meta });
    assert!(told.starts_with("segments/000012.sum at ") && told.contains("the manifest says"), "{told}");
    refuse(&disk, SegmentMeta { points: 2, ..meta });
    disk.rename(&path(), &points).expect("memory");
    let told = refuse(&disk, SegmentMeta { role: Role::Override, ..meta });
    assert_eq!(told, "segments/000012.pts at 0: the file is of another kind");

    let disk = Arc::new(MemoryDisk::default());
    let meta = write(&disk, &Content::from([(SeriesId(1), vec![float(1, 1.0)])])).expect("a point");
    disk.rename(&points, &path()).expect("memory");
    let told = refuse(&disk, SegmentMeta { role: Role::Summaries(RESOLUTION), ..meta });
    assert_eq!(told, "segments/000012.sum at 0: the file is of another kind");
}

#[test]
fn asking_a_segment_for_what_the_other_kind_holds_is_a_bug() {
    let records = summaries_written(&Records::from([(SeriesId(1), vec![record(1, 1, 0)])]));
    let points = written(&Content::from([(SeriesId(1), vec![float(1, 1.0)])]));
    let panics = |ask: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).is_err();
    assert!(panics(&|| drop(records.chunks(SeriesId(1), 0, 1))));
    assert!(panics(&|| drop(records.directory())));
    assert!(panics(&|| drop(points.summary_chunks(SeriesId(1), 0, 1))));
    assert!(panics(&|| drop(points.summary_directory())));
}

#[test]
fn golden_bytes_of_a_tiny_segment_of_summaries() {
    // Goal: the frame never changes; docs/format.md explains these bytes. What is inside a chunk is told elsewhere, so
    // its bytes, and the checksums that depend on it, are those of today.
    let disk = MemoryDisk::default();
    let runs = |windows: [i64; 3]| windows.map(|window| record(window, 1 << 40, 2)).to_vec();
    let content = Records::from([
        (SeriesId(3), runs([10, 11, 14])),
        (SeriesId(4), runs([10, 11, 14])),
        (SeriesId(9), runs([8, 9, 10])),
    ]);
    let meta = write_summaries(&disk, &content).expect("there are records");
    let chunk_bytes = |id: u32| {
        let mut bytes = Vec::new();
        let own_unit = |mut record: Record| {
            record.summary.unit = 1;
            record
        };
        let own: Vec<Record> = content[&SeriesId(id)].iter().cloned().map(own_unit).collect();
        summaries::encode(&own, RESOLUTION, &mut bytes);
        bytes
    };
    let put_sum = |golden: &mut Vec<u8>, start: usize| {
        let place = crate::codec::checksum::Place { lineage: LINEAGE, file: NUMBER, offset: start as u64 };
        golden.extend(place.checksum(&golden[start..]).to_le_bytes());
    };
    // File header: magic, version, kind, checksum.
    let mut golden = b"EBBTIDE\0\x01\0\x05\0".to_vec();
    put_sum(&mut golden, 0);
    let blocks = [chunk_bytes(3), chunk_bytes(9)];
    for block in &blocks {
        let start = golden.len();
        golden.extend(block);
        put_sum(&mut golden, start);
    }
    let directory = golden.len();
    let place = |golden: &mut Vec<u8>, number: usize| varint::put(golden, number as u64);
    // The page's series: three records, from the page's first window on, two windows without; a new block.
    golden.extend([0, 3, 0, 2]);
    place(&mut golden, blocks[0].len() << 2);
    // The next series, the same windows; the block right before.
    golden.push(0b0100_0001);
    place(&mut golden, blocks[0].len() << 2 | 2);
    place(&mut golden, blocks[0].len() + CHECKSUM_BYTES);
    // The fifth one after it, three records, two windows before, none without; a new block.
    golden.extend([0b1000_0000, 5, 3, 3, 0]);
    place(&mut golden, blocks[1].len() << 2);
    put_sum(&mut golden, directory);
    let index = golden.len();
    // Page index: series 3, time 3,000,000, length, no blocks before it.
    golden.extend([3, 0x80, 0x9b, 0xee, 2]);
    place(&mut golden, index - directory);
    golden.push(0);
    put_sum(&mut golden, index);
    let units = golden.len();
    golden.extend([1, 1, b'%']);
    put_sum(&mut golden, units);
    let names = golden.len();
    // Names: as in segments of points.
    golden.extend([33, 0, 0, 0, 201, 17, 239, 86, 8, 0, 14]);
    let sum_at = names + 4;
    golden.extend(b"A.B\xffm0\xffhost\xffh1\x0c\x0d\x013\x09\x05\x091\xffhost\xffh1");
    let at = crate::codec::checksum::Place { lineage: LINEAGE, file: NUMBER, offset: names as u64 };
    let summed = [&golden[names..sum_at], &golden[sum_at + 4..]].concat();
    golden[sum_at..sum_at + 4].copy_from_slice(&at.checksum(&summed).to_le_bytes());
    let footer = golden.len();
    for number in [directory, index - directory, units - index, names - units, footer - names, 3, 3] {
        place(&mut golden, number);
    }
    // A list of one: number 12, partition 20,779, summaries of 300,000 ms, newest 31, erased the same.
    golden.extend([1, 24, 0xd6, 0xc4, 2, 2, 0xc0, 0xcf, 36, 62, 0]);
    // Nine records, no length, from 2,400,000 on, 2,099,999 later, expiries never, series 3 to 9.
    golden.extend([9, 0, 0x80, 0xfc, 0xa4, 2, 0xbe, 0xac, 0x80, 2, 0, 0, 3, 9]);
    golden.extend(u32::try_from(golden.len() - footer).expect("short").to_le_bytes());
    put_sum(&mut golden, footer);
    assert_eq!(disk.read(&path(), u64::MAX).expect("written"), golden);
    let segment = open(disk, meta);
    assert_eq!(records_of(&segment).expect("sound"), content);
    assert!(segment.verify().is_empty());
}

#[test]
fn a_day_of_a_thousand_series_costs_little_more_than_its_chunks() {
    // Goal: what is not a summary stays small. Method: 1,000 series of five minutes for a day, measured part by part.
    let mut dice = Dice::new(1);
    let day = |id: u32, dice: &mut Dice| {
        let windows = 5_984_064..5_984_064 + 288;
        (SeriesId(id), windows.map(|window| record(window, dice.below(1_000_000), 1)).collect())
    };
    let records: Records = (0..1_000).map(|id| day(id, &mut dice)).collect();
    let segment = summaries_written(&records);
    let chunks: Vec<SummaryChunk> = segment.summary_directory().map(|chunk| chunk.expect("sound")).collect();
    let chunk_bytes: usize = chunks.iter().map(|chunk| segment.bytes_at(&chunk.place).expect("sound").len()).sum();
    let (meta, footer) = (segment.meta(), &segment.frame.footer);
    let number = |number: u64| f64::from(u32::try_from(number).expect("small"));
    let rest = number(meta.bytes - chunk_bytes as u64);
    let count = number(meta.points);
    println!("{count} summaries, {:.4} bytes each, {} chunks", number(meta.bytes) / count, chunks.len());
    println!("  chunks: {chunk_bytes}, {:.4} a summary", number(chunk_bytes as u64) / count);
    println!("  all else: {rest}, {:.4} a summary", rest / count);
    println!(
        "  directory: {}, {:.2} a chunk",
        footer.directory_bytes,
        number(footer.directory_bytes) / number(footer.chunks)
    );
    println!("  page index: {}, units: {}, names: {}", footer.index_bytes, footer.units_bytes, footer.names_bytes);
    assert!(rest <= count * 0.06, "{rest} bytes are no summaries");
    assert!(footer.directory_bytes <= 5 * footer.chunks, "{} bytes of directory", footer.directory_bytes);
}
