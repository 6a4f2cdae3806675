//! Where things lie in a volume's directory: the names of docs/format.md and nothing else.

use crate::model::segment::SegmentKind;

/// The lock file.
pub(crate) const LOCK: &str = "LOCK";
/// The file that says what this directory is.
pub(crate) const FORMAT: &str = "FORMAT";
/// The folder of log files.
pub(crate) const WAL: &str = "wal";
/// The folder into which damaged bytes are set aside.
pub(crate) const QUARANTINE: &str = "quarantine";

/// The file that lists what is true.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// The folder of segments.
pub(crate) const SEGMENTS: &str = "segments";
/// The file that says that a directory is a backup, and what is in it.
pub(crate) const BACKUP: &str = "BACKUP";
/// What the name of a backup's folder ends in before it is true, and once it is not any more.
pub(crate) const BACKUP_DRAFT: &str = ".backup.tmp";
/// The file that says that a backup is being restored into a directory, until that is a volume.
pub(crate) const RESTORE: &str = "RESTORE.tmp";
/// The folder of the stored catalogue.
pub(crate) const CATALOG: &str = "catalog";

/// The two files of a project's policies, in a server's directory. The first one holds the even generations.
#[cfg(feature = "server")]
pub(crate) const POLICIES: [&str; 2] = ["POLICIES", "POLICIES.odd"];

const LOG_SUFFIX: &str = ".log";
const POINTS_SUFFIX: &str = ".pts";
const SUMMARIES_SUFFIX: &str = ".sum";

/// Name of the log file with this number.
pub(crate) fn log_name(number: u64) -> String {
    format!("{number:06}{LOG_SUFFIX}")
}

/// Number of the log file with this name, if it is one.
pub(crate) fn log_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(LOG_SUFFIX)?.parse().ok()?;
    (log_name(number) == name).then_some(number)
}

/// Name of the segment with this number and kind. Of the two names of a number only one is ever true.
pub(crate) fn segment_name(number: u64, kind: SegmentKind) -> String {
    let suffix = match kind {
        SegmentKind::Points => POINTS_SUFFIX,
        SegmentKind::Summaries => SUMMARIES_SUFFIX,
    };
    format!("{number:06}{suffix}")
}

/// Number of the segment with this name, if it is one of either kind.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    [(POINTS_SUFFIX, SegmentKind::Points), (SUMMARIES_SUFFIX, SegmentKind::Summaries)].iter().find_map(
        |(suffix, kind)| {
            let number = name.strip_suffix(suffix)?.parse().ok()?;
            (segment_name(number, *kind) == name).then_some(number)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_names_and_numbers_are_one_to_one() {
        // Goal: no second name means the same file.
        assert_eq!(log_name(42), "000042.log");
        for number in [1, 42, 999_999, 1_000_000, u64::MAX] {
            assert_eq!(log_number(&log_name(number)), Some(number));
        }
        for name in ["42.log", "+00042.log", "0000042.log", "000042.log.tmp", "x.log", "000042"] {
            assert_eq!(log_number(name), None, "{name}");
        }
    }

    #[test]
    fn segment_names_tell_number_and_kind() {
        assert_eq!(segment_name(42, SegmentKind::Points), "000042.pts");
        assert_eq!(segment_name(42, SegmentKind::Summaries), "000042.sum");
        for number in [1, 42, 999_999, 1_000_000, u64::MAX] {
            for kind in [SegmentKind::Points, SegmentKind::Summaries] {
                assert_eq!(segment_number(&segment_name(number, kind)), Some(number));
            }
        }
        for name in ["42.sum", "+00042.sum", "0000042.pts", "000042.sum.tmp", "x.sum", "000042", "000042.log", ".sum"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}
