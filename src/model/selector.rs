//! Which series a question is about, and a page of their list.

use crate::model::series::SeriesKey;

/// Selects series by namespace, metric and any subset of dimensions; what is not named is not asked.
///
/// ```
/// use ebbtide::{Selector, SeriesKey};
/// let key = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a"), ("core", "1")])?;
/// assert!(Selector::all().matches(&key));
/// assert!(Selector::all().namespace("MINE.APP").dimension("core", "1").matches(&key));
/// assert!(!Selector::all().metric("mem_util").matches(&key));
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Selector {
    namespace: Option<Box<str>>,
    metric: Option<Box<str>>,
    dimensions: Vec<(Box<str>, Box<str>)>,
}

/// In which order series are listed: that of their keys, or the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// The smallest key first.
    #[default]
    Ascending,
    /// The largest key first.
    Descending,
}

/// A part of the list of selected series. See [`Db::series_page`](crate::Db::series_page).
#[derive(Clone, Debug, Default)]
pub struct SeriesPage {
    /// The series of this page, in the order that was asked for.
    pub keys: Vec<SeriesKey>,
    /// How many series are selected on all pages together.
    pub total: usize,
}

impl Selector {
    /// Every series.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only series of this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Box<str>>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Only series of this metric name.
    #[must_use]
    pub fn metric(mut self, metric: impl Into<Box<str>>) -> Self {
        self.metric = Some(metric.into());
        self
    }

    /// Only series that have this dimension with this value.
    #[must_use]
    pub fn dimension(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.dimensions.push((name.into(), value.into()));
        self
    }

    /// Namespace and metric, as far as they are asked for: what narrows a search in key order.
    pub(crate) fn asked_name(&self) -> (Option<&str>, Option<&str>) {
        (self.namespace.as_deref(), self.metric.as_deref())
    }

    /// Whether every series is.
    pub(crate) fn is_all(&self) -> bool {
        self.namespace.is_none() && self.metric.is_none() && self.dimensions.is_empty()
    }

    /// Whether the series is selected.
    pub fn matches(&self, key: &SeriesKey) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == key.namespace())
            && self.metric.as_deref().is_none_or(|metric| metric == key.metric())
            && self.dimensions.iter().all(|(name, value)| key.dimension(name) == Some(value))
    }
}
