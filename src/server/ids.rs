//! Fresh ids and draws of chance: from the system's randomness, or from a seed, so that a test sees the same ones in
//! every run. Knows nothing of what they name.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::env::identity;

/// Where a server takes its ids from.
#[derive(Debug)]
pub(super) enum Ids {
    /// The system's randomness: nobody can guess them.
    Random,
    /// A seed and how many were taken: the same requests in the same order get the same ids.
    Seeded(u64, AtomicU64),
}

impl Ids {
    pub(super) fn new(seed: Option<u64>) -> Self {
        seed.map_or(Self::Random, |seed| Self::Seeded(seed, AtomicU64::new(0)))
    }

    /// 32 digits in hex.
    pub(super) fn next(&self) -> String {
        hex(&match self {
            Self::Random => identity::new_id(),
            Self::Seeded(seed, taken) => {
                let drawn = drawn(*seed, taken.fetch_add(1, Ordering::Relaxed));
                *drawn.first_chunk().expect("32 bytes have a first half")
            }
        })
    }

    /// Begins anew: what follows is what followed the start.
    pub(super) fn reset(&self) {
        if let Self::Seeded(_, taken) = self {
            taken.store(0, Ordering::Relaxed);
        }
    }
}

/// Whether the draw with this number comes out, at a probability between 0 and 1.
pub(super) fn chance(seed: u64, number: u64, probability: f64) -> bool {
    let drawn = u32::from_le_bytes(*drawn(seed, number).first_chunk().expect("32 bytes begin with four"));
    f64::from(drawn) < probability * (f64::from(u32::MAX) + 1.0)
}

/// Lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory takes every write");
        text
    })
}

fn drawn(seed: u64, number: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_all_ids_and_chance_none() {
        let (one, other, third) = (Ids::new(Some(7)), Ids::new(Some(7)), Ids::new(Some(8)));
        let first = one.next();
        assert_eq!((first.len(), &first), (32, &other.next()));
        assert_ne!(one.next(), first);
        assert_ne!(third.next(), first);
        one.reset();
        assert_eq!(one.next(), first);
        assert_ne!(Ids::new(None).next(), Ids::new(None).next());
    }

    #[test]
    fn chance_keeps_its_word_within_what_chance_allows() {
        let count = |probability| (0..10_000).filter(|&number| chance(3, number, probability)).count();
        assert_eq!((count(0.0), count(1.0)), (0, 10_000));
        assert!((2_300..2_700).contains(&count(0.25)), "{}", count(0.25));
    }
}
