//! The copy of the catalogue on disk, as the engine sees it: loaded when a volume is opened if it is exactly what the
//! manifest says, changed with each flush, and otherwise written anew.

use crate::error::Result;
use crate::model::segment::CatalogMark;
use crate::model::series::{SeriesId, SeriesKey};

/// A store of series. It is authority for nothing: what it gives is held against a mark that is kept elsewhere.
pub(crate) trait CatalogStore: Send {
    /// Reads all of it. Anything but an exact match with the mark is not given.
    fn load(&mut self, expected: &CatalogMark) -> Loaded;

    /// Takes series out and puts others in, in this order, and writes that down; gives what the store must hold from
    /// now on. A series that leaves is there, and one that comes is not. After an error the store has to be rebuilt.
    fn change(&mut self, added: &[(SeriesId, SeriesKey)], removed: &[SeriesKey]) -> Result<CatalogMark>;

    /// Writes all of it anew, each series once, whatever was there before.
    fn rebuild(&mut self, all: &[(SeriesId, SeriesKey)]) -> Result<CatalogMark>;

    /// The first stored series behind a key, in key order, of those with this namespace and metric.
    fn scan(
        &mut self,
        narrow: Narrow<'_>,
        after: Option<&SeriesKey>,
        count_max: usize,
    ) -> Result<Vec<(SeriesId, SeriesKey)>>;

    /// What it takes on disk, in bytes, as of the last call that read or wrote.
    fn bytes(&self) -> u64;
}

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

/// A store that keeps nothing, for volumes in memory and for simulations, whose disk the real one does not see.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    generation: u64,
}

impl CatalogStore for MemoryStore {
    fn load(&mut self, _expected: &CatalogMark) -> Loaded {
        Loaded::Absent
    }

    fn change(&mut self, _added: &[(SeriesId, SeriesKey)], _removed: &[SeriesKey]) -> Result<CatalogMark> {
        self.generation += 1;
        Ok(CatalogMark { generation: self.generation, ..CatalogMark::default() })
    }

    fn rebuild(&mut self, _all: &[(SeriesId, SeriesKey)]) -> Result<CatalogMark> {
        self.change(&[], &[])
    }

    fn scan(
        &mut self,
        _narrow: Narrow<'_>,
        _after: Option<&SeriesKey>,
        _count_max: usize,
    ) -> Result<Vec<(SeriesId, SeriesKey)>> {
        Ok(Vec::new())
    }

    fn bytes(&self) -> u64 {
        0
    }
}
