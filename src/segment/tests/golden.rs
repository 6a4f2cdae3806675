//! Golden bytes: what was written once is read for ever, and written again as it was. docs/format.md explains each of
//! them; which form of a column the writer takes is its own affair, so only reading must never change.

use super::*;

/// 60 s of TTL, the unit "%".
fn int(time: i64, value: i64) -> PackedPoint {
    PackedPoint {
        time,
        expires_at: time + 60_000,
        bits: value.cast_unsigned(),
        unit: 2,
        kind: Kind::Int,
        is_apart: false,
    }
}

/// Holds content and bytes against each other, in both directions.
fn check(content: &Content, golden: &[u8]) {
    let disk = MemoryDisk::default();
    let meta = write(&disk, content).expect("there are points");
    let bytes = bytes_of(&disk);
    let differing = (0..bytes.len().max(golden.len())).find(|&at| bytes.get(at) != golden.get(at));
    let at = differing.unwrap_or(0);
    assert_eq!(differing, None, "written: {:?}", &bytes[at.min(bytes.len())..]);
    assert_eq!(meta.bytes, golden.len() as u64);
    disk.create(&Path::new(FOLDER).join(layout::segment_name(NUMBER, SegmentKind::Points)))
        .and_then(|mut file| file.write_at(golden, 0))
        .expect("memory");
    let segment = open(disk, meta);
    assert_eq!(&content_of(&segment).expect("sound"), content);
    assert!(segment.names().expect("sound").into_iter().eq(content.keys().map(|id| (*id, key(*id)))));
    assert!(segment.verify().is_empty());
}

#[test]
fn golden_bytes_of_a_tiny_segment() {
    let content = Content::from([(SeriesId(3), vec![int(1_000, 60), int(2_000, 60)])]);
    let mut golden = Vec::new();
    // File header: magic, version, kind, checksum.
    golden.extend(b"EBBTIDE\0\x01\0\x04\0");
    golden.extend([35, 58, 205, 231]);
    // Directory: all integers, one TTL, one unit, the page's series; times without a column, two of them, from the
    // page's first time on, 1,000 ms in all.
    golden.extend([0b0001_1000, 1, 2, 0, 0xe8, 7]);
    // First 60, then distances to last, least and greatest, and of the sum to 2 * 60; 3 bytes of column: form 1, 60, 0.
    golden.extend([120, 0, 0, 0, 0, 3 << 2 | 1, 1, 120, 0]);
    // The TTL, the unit, the page's checksum.
    golden.extend([0xc0, 0xa9, 7, 1, 215, 200, 78, 168]);
    // Page index: series 3, time 1,000, length, no blocks before it; checksum.
    golden.extend([3, 0xd0, 15, 23, 0, 112, 125, 189, 245]);
    // Units.
    golden.extend([1, 1, b'%', 130, 247, 78, 130]);
    // Names: length, checksum, id 3 behind -1, nothing shared, 14 bytes.
    golden.extend([17, 0, 0, 0, 150, 245, 104, 164, 8, 0, 14]);
    golden.extend(b"A.B\xffm0\xffhost\xffh1");
    // Footer: directory at 16, lengths of directory, index, units and names, one chunk, one series.
    golden.extend([16, 23, 9, 7, 25, 1, 1]);
    // A list of one: number 12, partition 20,779, a class 1,800,000 ms wide, its span, newest 31, erased 26 before.
    golden.extend([1, 24, 0xd6, 0xc4, 2, 0xc1, 0xee, 109, 0x84, 0xe0, 121, 62, 51]);
    // Two points, no length, times 1,000 and 1,000 later, expiries 60,000 and 61,000 after the first time, series 3.
    golden.extend([2, 0, 0xd0, 15, 0xd0, 15, 2, 0xc0, 0xa9, 7, 2, 0x90, 0xb9, 7, 3, 3]);
    // Length of that, checksum.
    golden.extend([36, 0, 0, 0, 121, 7, 165, 123]);
    check(&content, &golden);
}

#[test]
fn golden_bytes_of_a_segment_with_all_kinds_of_columns() {
    let times = [0, 1_003, 1_998, 3_001, 4_006, 5_000, 5_997, 7_002, 8_004, 8_999];
    let tenths = [0.0, 0.2, 0.9, 1.1, 0.2, 0.8, 0.4, 0.8, 0.9, 0.3];
    let ints = times.map(|time| int(time, time * 37 % 11));
    let floats = times.iter().zip(tenths).map(|(&time, value)| float(time, value));
    let odd = [
        PackedPoint { unit: 4, ..float(5, 0.1) },
        PackedPoint::shadow(6),
        PackedPoint { expires_at: 99, unit: 1, ..float(70, f64::NAN) },
        int(80, -3),
    ];
    let content =
        Content::from([(SeriesId(3), ints.to_vec()), (SeriesId(4), floats.collect()), (SeriesId(9), odd.to_vec())]);
    let mut golden = b"EBBTIDE\0\x01\0\x04\0".to_vec();
    golden.extend([35, 58, 205, 231]);
    // At 16, times of two series: a grid from 0 on, 1,002 ms wide, no gaps, distances packed in 5 bits from -19 on.
    golden.extend([1, 0, 0xd4, 15, 0, 0, 5, 37, 147, 54, 23, 19, 57, 7, 0, 116, 20, 76, 20]);
    // At 35, floats: tenths, packed in 4 bits from 0 on.
    golden.extend([1, 0, 4, 0, 32, 185, 130, 132, 57, 112, 231, 15, 221]);
    // At 48, times of the third series: plain.
    golden.extend([0, 0, 7, 10, 128, 64, 112, 9, 76, 0, 154, 239]);
    // At 60, its floats: raw, two steps. At 85, its expiries.
    golden
        .extend([255, 1, 180, 230, 204, 153, 179, 230, 204, 185, 127, 204, 153, 179, 230, 204, 153, 179, 190, 128, 1]);
    golden.extend([219, 6, 25, 114]);
    golden.extend([0, 144, 1, 58, 226, 255, 0, 0, 67, 234, 0, 254, 255, 255, 255, 255, 255, 63, 104, 80, 203, 183]);
    // Directory, series 3: a new block of 15 bytes, ten points from 0 on, statistics, 8 bytes of column, TTL, unit.
    golden.extend([0b0001_1000, 15 << 2, 10, 0, 0xa7, 70, 0, 8, 0, 16, 94]);
    golden.extend([8 << 2 | 1, 0, 4, 0, 128, 54, 40, 40, 70, 0xc0, 0xa9, 7, 1]);
    // Series 4, floats that never expire: the listed times, tenths, a sum that is none; a new block of 9 bytes, no unit.
    golden.extend([0b0101_0101, 3, 1 | 1 << 5, 0, 6, 0, 22, 103, 102, 102, 102, 102, 102, 22, 64, 9 << 2, 0]);
    // Series 9, all mixed: times, four points from 5 to 80, one integer, two floats, kinds; -3; a NaN beside 0.1.
    golden.extend([0b1010_1110, 5, 8 << 2, 4, 10, 75, 1, 2, 4 << 2 | 1, 0, 2, 0, 25, 5, 3 << 2 | 1, 1, 5, 0]);
    golden.extend([1 | 1 << 7, 1, 2, 21 << 2]);
    // Expiries from 94 ms after the first time to never, a block of 18 bytes; units; checksum.
    golden.extend([0xbd, 1, 0, 18 << 2, 4 << 2 | 1, 0, 2, 2, 9, 141, 180, 174, 173]);
    // Page index, units.
    golden.extend([3, 0, 76, 0, 23, 117, 37, 122]);
    golden.extend(b"\x03\x01%\x06byte/s\x02ms\xfe\xff\xf4\xe2");
    // Names in order of keys: 3, 9, 4.
    golden.extend([33, 0, 0, 0, 201, 17, 239, 86, 8, 0, 14]);
    golden.extend(b"A.B\xffm0\xffhost\xffh1\x0c\x0d\x013\x09\x05\x091\xffhost\xffh1");
    // Footer. There is a shadow, so the earliest expiry is "always"; the latest is never.
    golden.extend([107, 76, 8, 17, 41, 3, 3, 1, 24, 0xd6, 0xc4, 2, 0xc1, 0xee, 109, 0x84, 0xe0, 121, 62, 51]);
    golden.extend([24, 0, 0, 0xce, 0x8c, 1, 1, 0, 3, 9, 30, 0, 0, 0, 183, 230, 7, 164]);
    check(&content, &golden);
}
