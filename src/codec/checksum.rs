//! CRC-32C, seeded with where the bytes belong, so that a copied, misdirected or zeroed block never passes.

/// The checksum of bytes that belong nowhere in particular.
pub(crate) fn of(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// A place: the store's lineage, a file's number and an offset in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) lineage: [u8; 16],
    pub(crate) file: u64,
    pub(crate) offset: u64,
}

impl Place {
    /// The checksum of bytes that belong here.
    pub(crate) fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut seed = of(&self.lineage);
        seed = crc32c::crc32c_append(seed, &self.file.to_le_bytes());
        seed = crc32c::crc32c_append(seed, &self.offset.to_le_bytes());
        crc32c::crc32c_append(seed, bytes)
    }
}
