//! What opening found: the words of the report.

/// What opening a database found in its files.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Whether the database was new, or the last stop had sealed its log.
    pub clean: bool,
    /// Batches replayed from the log.
    pub batches: u64,
    /// Points replayed from the log.
    pub points: u64,
    /// Bytes of a torn end of the log, not known to be durable, that were cut off.
    pub torn_bytes: u64,
    /// Whole batches among them, which lay behind a tear: set aside in `quarantine/`, not replayed.
    pub torn_batches: u64,
    /// Why the database can be read but not written: the disk had no room to write the last file of the log anew. Open
    /// it again when there is room.
    pub read_only: Option<String>,
    /// Damage that was set aside in `quarantine/`: one sentence for each place, with file and offset.
    pub damage: Vec<String>,
}
