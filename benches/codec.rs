//! What the codec's kernels cost by themselves: columns of values to bytes and back, with throughput in points. The
//! codec names nothing but the words, so that this bench is built of its very sources and no door has to be opened.
//!
//! Input: chunks of 1,024 values: evenly spread decimals, for which nothing is shorter than packed bits; W1; and the
//! recorded data that lies beside the project, where it does. `aggregate` is decoding, and sum, least and greatest of
//! all values. `--bench codec -- node_exporter` measures one set.
#![allow(clippy::disallowed_methods, reason = "a bench reads recorded data")]
#![allow(clippy::cast_precision_loss, reason = "sizes are printed with a few digits")]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "the codec is used in part")]
#![allow(missing_docs, rustdoc::broken_intra_doc_links, reason = "what is documented is the library")]

#[path = "../src/codec/mod.rs"]
mod codec;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/model/mod.rs"]
mod model;
#[path = "workloads/mod.rs"]
mod workloads;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use ebbtide::Value;

use codec::{floats, ints};
use workloads::devops::Dice;

/// Values of a chunk.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 10;
/// Chunks of one set.
const CHUNKS_MAX: usize = 256;
/// A chunk of numbers below this has a sum of 64 bits.
const SMALL: i64 = i64::MAX >> CHUNK_BITS;
const SETS: [&str; 5] = [EVEN, "W1", "node_exporter", "nab", "alp"];
const EVEN: &str = "packed";

/// Values of one kind, one after another as a series has them.
enum Column {
    Floats(Vec<u64>),
    Ints(Vec<i64>),
}

impl Column {
    /// None for a mixture of kinds.
    fn of(values: &[Value]) -> Option<Self> {
        let floats = values.iter().map(|value| match value {
            Value::Float(float) => Some(float.to_bits()),
            Value::Int(_) => None,
        });
        let ints = values.iter().map(|value| match value {
            Value::Int(int) => Some(*int),
            Value::Float(_) => None,
        });
        ints.collect::<Option<_>>().map(Self::Ints).or_else(|| floats.collect::<Option<_>>().map(Self::Floats))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Floats(bits) => floats::encode(bits, out),
            Self::Ints(numbers) => ints::encode(numbers, out),
        }
    }

    /// Makes the values of their bytes; gives the number of those.
    fn decode(&self, bytes: &[u8], room: &mut (Vec<u64>, Vec<i64>)) -> usize {
        room.0.clear();
        room.1.clear();
        match self {
            Self::Floats(_) => floats::decode(bytes, CHUNK, &mut room.0),
            Self::Ints(_) => ints::decode(bytes, CHUNK, &mut room.1),
        }
        .expect("it was encoded");
        room.0.len() + room.1.len()
    }

    /// Least, greatest and sum of the values, as integers: doubles are that and a power of ten.
    fn aggregate(&self, bytes: &[u8], room: &mut Vec<i64>) -> (i64, i64, i128) {
        match self {
            Self::Floats(_) => *room = floats::decode_numbers(bytes, CHUNK).expect("it was encoded").0,
            Self::Ints(_) => {
                room.clear();
                ints::decode(bytes, CHUNK, room).expect("it was encoded");
            }
        }
        let ends = |(least, greatest): (i64, i64), number: &i64| (least.min(*number), greatest.max(*number));
        let (least, greatest) = room.iter().fold((i64::MAX, i64::MIN), ends);
        // Mostly 64 bits are enough, and faster.
        let is_small = least > -SMALL && greatest < SMALL;
        let sum = if is_small { room.iter().sum::<i64>().into() } else { room.iter().copied().map(i128::from).sum() };
        (least, greatest, sum)
    }
}

/// Whole chunks of a set, series after series; none where recorded data is not there.
fn chunks(set: &str) -> Vec<Column> {
    if set == EVEN {
        let mut dice = Dice::new(1);
        let mut float = || (dice.below(1 << 16) as f64 / 100.0).to_bits();
        return (0..CHUNKS_MAX).map(|_| Column::Floats((0..CHUNK).map(|_| float()).collect())).collect();
    }
    let mut series: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    let mut chunks = Vec::new();
    for (number, _, point) in workloads::arrivals(set).into_iter().flatten() {
        let values = series.entry(number).or_default();
        values.push(point.value);
        if values.len() == CHUNK {
            chunks.extend(Column::of(values));
            values.clear();
        }
        if chunks.len() == CHUNKS_MAX {
            break;
        }
    }
    chunks
}

fn kernels(criterion: &mut Criterion) {
    for set in SETS {
        let chunks = chunks(set);
        if chunks.is_empty() {
            println!("{set}: no chunk to measure");
            continue;
        }
        let encoded: Vec<Vec<u8>> = chunks
            .iter()
            .map(|chunk| {
                let mut bytes = Vec::new();
                chunk.encode(&mut bytes);
                bytes
            })
            .collect();
        let bytes: usize = encoded.iter().map(Vec::len).sum();
        println!("{set}: {} chunks, {:.3} bytes a value", chunks.len(), bytes as f64 / (chunks.len() * CHUNK) as f64);
        let mut group = criterion.benchmark_group(set);
        group.throughput(Throughput::Elements((chunks.len() * CHUNK) as u64));
        let mut out = Vec::new();
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                for chunk in &chunks {
                    out.clear();
                    chunk.encode(&mut out);
                }
                out.len()
            });
        });
        let mut room = (Vec::new(), Vec::new());
        group.bench_function("decode", |bencher| {
            bencher.iter(|| {
                chunks.iter().zip(&encoded).map(|(chunk, bytes)| chunk.decode(bytes, &mut room)).sum::<usize>()
            });
        });
        let mut room = Vec::new();
        group.bench_function("aggregate", |bencher| {
            bencher.iter(|| {
                for (chunk, bytes) in chunks.iter().zip(&encoded) {
                    black_box(chunk.aggregate(bytes, &mut room));
                }
            });
        });
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    kernels(&mut criterion);
    criterion.final_summary();
}
