//! What is asked of the copy of the catalogue on disk, and what it answers. It is authority for nothing: what it gives is
//! held against a mark that is kept elsewhere.

use crate::model::series::{SeriesId, SeriesKey};

/// What a scan is narrowed to: a namespace, and within one a metric.
pub(crate) type Narrow<'a> = (Option<&'a str>, Option<&'a str>);

/// What came of loading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Loaded {
    /// Exactly the series that the mark is of, in key order.
    Exact(Vec<(SeriesId, SeriesKey)>),
    /// There is none.
    Absent,
    /// There is one that cannot be believed, for this reason: damaged, or of another moment.
    Damaged(String),
}
