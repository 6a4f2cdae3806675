//! What a segment costs, and that what can be shared is shared.

use super::*;
use crate::codec::points::Column;
use crate::env::dice::Dice;
use crate::segment::format::CHECKSUM_BYTES;
use crate::segment::place::Place;

/// Bytes of the blocks of each column, each block counted once, and of short columns in entries.
fn bytes_by_column(segment: &Arc<Segment>) -> ([usize; Column::ALL.len()], usize) {
    let mut blocks = BTreeMap::new();
    let mut short = 0;
    for chunk in segment.directory().map(|chunk| chunk.expect("sound")) {
        for (column, place) in chunk.places.iter().enumerate() {
            match place {
                Place::Block { offset, len } => {
                    blocks.entry(*offset).or_insert((column, len + CHECKSUM_BYTES));
                }
                Place::Here(bytes) => short += bytes.bytes().len(),
                Place::Nowhere => {}
            }
        }
    }
    let mut bytes = [0; Column::ALL.len()];
    for (column, len) in blocks.into_values() {
        bytes[column] += len;
    }
    (bytes, short)
}

/// Prints what each part costs a point; gives the bytes of the directory for each chunk.
fn print(what: &str, segment: &Arc<Segment>) -> f64 {
    let (meta, footer) = (segment.meta(), &segment.frame.footer);
    let number = |number: u64| f64::from(u32::try_from(number).expect("small"));
    let each = |bytes: u64| number(bytes) / number(meta.points);
    println!("{what}: {} points, {:.4} bytes each, {} chunks", meta.points, each(meta.bytes), footer.chunks);
    let (bytes, short) = bytes_by_column(segment);
    for (column, bytes) in Column::ALL.iter().zip(bytes) {
        println!("  {column:?} blocks: {bytes}, {:.4} a point", each(bytes as u64));
    }
    let per_chunk = number(footer.directory_bytes) / number(footer.chunks);
    println!("  directory: {}, {per_chunk:.1} a chunk (short columns: {short})", footer.directory_bytes);
    println!("  page index: {}, units: {}", footer.index_bytes, footer.units_bytes);
    let names = number(footer.names_bytes) / f64::from(footer.series);
    println!("  names: {}, {names:.2} a series", footer.names_bytes);
    per_chunk
}

/// A walk of whole numbers, as the tools that measure databases make them.
fn walk(dice: &mut Dice, times: &[i64], ttl: i64) -> Vec<PackedPoint> {
    let mut value = 500.0;
    let step = |time: &i64| {
        let step = f64::from(u32::try_from(dice.below(3)).expect("small")) - 1.0;
        value = f64::clamp(value + step, 0.0, 1_000.0);
        PackedPoint { expires_at: time + ttl, unit: 1, ..float(*time, value) }
    };
    times.iter().map(step).collect()
}

#[test]
fn a_day_of_a_thousand_series_costs_what_its_values_cost() {
    // Goal: what is not a value stays small. Method: 1,000 series every 10 s for a day, measured part by part.
    let times: Vec<i64> = (0..8_640).map(|at| 1_795_219_200_000 + at * 10_000).collect();
    let mut dice = Dice::new(1);
    let content: Content = (0..1_000).map(|id| (SeriesId(id), walk(&mut dice, &times, 259_200_000))).collect();
    let segment = written(&content);
    let per_chunk = print("even times", &segment);
    assert!(per_chunk <= 30.0, "{per_chunk} bytes a chunk");
    let footer = &segment.frame.footer;
    assert!(footer.names_bytes <= 6 * u64::from(footer.series), "{} bytes of names", footer.names_bytes);
    let values = bytes_by_column(&segment).0[Column::Floats as usize] as u64;
    let rest = segment.meta().bytes - values;
    assert!(rest * 50 <= segment.meta().points, "{rest} bytes are no values: over 0.02 a point");
}

#[test]
fn series_of_one_scrape_share_their_times() {
    // Goal: times cost less than 0.02 bytes a point, whatever the jitter. Method: 200 series of equal jittered times,
    // one of which starts late.
    let mut dice = Dice::new(2);
    let mut jitter = || i64::try_from(dice.below(11)).expect("small") - 5;
    let times: Vec<i64> = (0..8_640).map(|at| 1_795_219_200_000 + at * 10_000 + jitter()).collect();
    let mut dice = Dice::new(3);
    let series = |id: u32| (SeriesId(id), walk(&mut dice, if id == 50 { &times[2_500..] } else { &times }, 60_000));
    let content: Content = (0..200).map(series).collect();
    let segment = written(&content);
    print("jittered times", &segment);
    let times = bytes_by_column(&segment).0[Column::Times as usize] as u64;
    assert!(times * 50 < segment.meta().points, "{times} bytes of times");
    assert_eq!(content_of(&segment).expect("sound"), content);
}
