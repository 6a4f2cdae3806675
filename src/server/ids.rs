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
    /// A seed and how many of each kind were taken: the same requests in the same order get the same ids.
    Seeded(u64, [AtomicU64; 2]),
}

/// What an id is for. Each kind has its own row, so that it does not matter how often others are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Naming {
    /// A request of the API.
    Request,
    /// What a request has made, such as a token.
    Thing,
    /// A request at the admin door, which may be asked any number of times: always from the system's randomness.
    Visit,
}

impl Ids {
    pub(super) fn new(seed: Option<u64>) -> Self {
        seed.map_or(Self::Random, |seed| Self::Seeded(seed, Default::default()))
    }

    /// 32 digits in hex.
    pub(super) fn next(&self, what: Naming) -> String {
        hex(&match (self, what) {
            (Self::Random, _) | (_, Naming::Visit) => identity::new_id(),
            (Self::Seeded(seed, taken), Naming::Request | Naming::Thing) => {
                let row = u8::from(what == Naming::Thing);
                let number = taken[usize::from(row)].fetch_add(1, Ordering::Relaxed);
                let drawn = drawn(*seed, 2 * number + u64::from(row));
                *drawn.first_chunk().expect("32 bytes have a first half")
            }
        })
    }

    /// The same as a UUID is written.
    pub(super) fn next_uuid(&self) -> String {
        let digits = self.next(Naming::Thing);
        let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        groups.join("-")
    }

    /// Begins anew: what follows is what followed the start.
    pub(super) fn reset(&self) {
        if let Self::Seeded(_, taken) = self {
            for taken in taken {
                taken.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// Whether the draw with this number comes out, at a probability between 0 and 1.
pub(super) fn chance(seed: u64, number: u64, probability: f64) -> bool {
    let drawn = u32::from_le_bytes(*drawn(seed, number).first_chunk().expect("32 bytes begin with four"));
    f64::from(drawn) < probability * (f64::from(u32::MAX) + 1.0)
}

/// The id that something of a project always has, in the form of a UUID: the same one in every run.
pub(super) fn of_project(what: &str, project: &str) -> String {
    let drawn = Sha256::digest(format!("ebbtide {what} {project}"));
    let bytes = *drawn.first_chunk().expect("32 bytes have a first half");
    // Version 8: made in a way of our own.
    uuid::Builder::from_custom_bytes(bytes).into_uuid().hyphenated().to_string()
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
        let first = one.next(Naming::Thing);
        assert_eq!(first.len(), 32);
        for others in [Naming::Request, Naming::Request, Naming::Visit] {
            assert_ne!(other.next(others), first, "each kind has its own");
        }
        assert_eq!(other.next(Naming::Thing), first, "how many others there were does not matter");
        assert_ne!(one.next(Naming::Thing), first);
        assert_ne!(third.next(Naming::Thing), first);
        one.reset();
        assert_eq!(one.next(Naming::Thing), first);
        assert_ne!(one.next(Naming::Visit), one.next(Naming::Visit));
        assert_ne!(Ids::new(None).next(Naming::Thing), Ids::new(None).next(Naming::Thing));
    }

    #[test]
    fn what_a_project_always_has_is_called_the_same_in_every_run() {
        assert_eq!(of_project("volume", "p"), of_project("volume", "p"));
        assert_ne!(of_project("volume", "p"), of_project("volume", "q"));
        assert_ne!(of_project("volume", "p"), of_project("policy", "p"));
        let both = [of_project("volume", "p"), Ids::new(Some(1)).next_uuid()];
        assert!(both.iter().all(|id| uuid::Uuid::parse_str(id).is_ok() && id.len() == 36), "{both:?}");
    }

    #[test]
    fn chance_keeps_its_word_within_what_chance_allows() {
        let count = |probability| (0..10_000).filter(|&number| chance(3, number, probability)).count();
        assert_eq!((count(0.0), count(1.0)), (0, 10_000));
        assert!((2_300..2_700).contains(&count(0.25)), "{}", count(0.25));
    }
}
