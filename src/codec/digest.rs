//! What a whole file amounts to: XXH64 with seed 0. The only room that names twox-hash.
//!
//! Not CRC-32C: our files hold that of their parts behind those, and over bytes with their own CRC behind them it comes to
//! the same value whatever they say. Two segments with parts of the same lengths would look alike.

use std::hash::Hasher;

/// A digest of bytes that come piece by piece.
pub(crate) struct Digest(twox_hash::XxHash64);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(twox_hash::XxHash64::with_seed(0))
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.finish()
    }
}

/// The digest of all of these bytes.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.push(bytes);
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum;

    #[test]
    fn golden_digests() {
        // Goal: the digest never changes, whatever crate computes it. Values: the published test vectors of XXH64.
        assert_eq!(of(b""), 0xef46_db37_51d8_e999);
        assert_eq!(of(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(of(b"abc"), 0x44bc_2cf5_ad77_0999);
        let text = b"Nobody inspects the spammish repetition";
        assert_eq!(of(text), 0xfbce_a83c_8a37_8bf1);
        let mut digest = Digest::new();
        text.chunks(7).for_each(|piece| digest.push(piece));
        assert_eq!(digest.value(), of(text));
    }

    #[test]
    fn parts_with_their_own_checksums_do_not_look_alike() {
        // Goal: why it is no CRC. Method: other bytes of the same length, each followed by their CRC-32C.
        let sealed = |bytes: &[u8]| [bytes, &checksum::of(bytes).to_le_bytes()].concat();
        let (one, other) = (sealed(b"one"), sealed(b"two"));
        assert_eq!(checksum::of(&one), checksum::of(&other));
        assert_ne!(of(&one), of(&other));
    }
}
