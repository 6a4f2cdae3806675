//! What names a series: namespace, metric and a set of dimensions. Its stand-in inside one volume is a number.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use crate::error::{Error, Result};
use crate::model::limits::{
    DIMENSION_NAME_BYTES_MAX, DIMENSION_VALUE_BYTES_MAX, DIMENSIONS_MAX, METRIC_BYTES_MAX, NAMESPACE_BYTES_MAX,
};

/// One `name=value` of a series.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dimension {
    /// The dimension's name, unique within its series.
    pub name: Box<str>,
    /// The dimension's value.
    pub value: Box<str>,
}

/// The identity of a series: namespace, metric name and the *set* of its dimensions.
///
/// Bytes compare exactly, and the order in which dimensions are given does not matter; it is only remembered, so
/// that they can be shown as they were first written. Unit, type and TTL are not identity. Cheap to clone.
///
/// ```
/// use ebbtide::SeriesKey;
/// let key = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a"), ("core", "1")])?;
/// assert_eq!(key, SeriesKey::new("MINE.APP", "cpu_util", [("core", "1"), ("host", "a")])?);
/// assert_ne!(key, SeriesKey::new("MINE.APP", "CPU_util", [("core", "1"), ("host", "a")])?);
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone)]
pub struct SeriesKey(Arc<Parts>);

struct Parts {
    namespace: Box<str>,
    metric: Box<str>,
    /// In the order given.
    dimensions: Box<[Dimension]>,
    /// Positions in `dimensions`, ordered by name.
    by_name: Box<[u8]>,
    /// Hash of the identity, computed once: a name is looked up far more often than it is made.
    hash: u64,
}

impl SeriesKey {
    /// The key of a series.
    ///
    /// # Errors
    /// `InvalidInput` when a name is empty or longer than [`limits`](crate::limits) allow, when there are too many
    /// dimensions, or when two share a name. A series may have no dimension at all.
    pub fn new<N, V>(
        namespace: impl Into<Box<str>>,
        metric: impl Into<Box<str>>,
        dimensions: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self>
    where
        N: Into<Box<str>>,
        V: Into<Box<str>>,
    {
        let namespace = check("namespace", namespace.into(), NAMESPACE_BYTES_MAX)?;
        let metric = check("metric name", metric.into(), METRIC_BYTES_MAX)?;
        let mut given = Vec::new();
        for (name, value) in dimensions {
            if given.len() == DIMENSIONS_MAX {
                return Err(Error::invalid(format!("a series has at most {DIMENSIONS_MAX} dimensions")));
            }
            given.push(Dimension {
                name: check("dimension name", name.into(), DIMENSION_NAME_BYTES_MAX)?,
                value: check("dimension value", value.into(), DIMENSION_VALUE_BYTES_MAX)?,
            });
        }
        let mut by_name: Vec<u8> = (0..=u8::MAX).take(given.len()).collect();
        by_name.sort_by(|&a, &b| given[usize::from(a)].name.cmp(&given[usize::from(b)].name));
        if let Some(pair) = by_name.windows(2).find(|pair| {
            let [a, b] = [pair[0], pair[1]].map(usize::from);
            given[a].name == given[b].name
        }) {
            let name = &given[usize::from(pair[0])].name;
            return Err(Error::invalid(format!("the dimension {name:?} is given twice")));
        }
        let by_name = by_name.into_boxed_slice();
        let hash = hash_of(&namespace, &metric, by_name.iter().map(|&position| &given[usize::from(position)]));
        Ok(Self(Arc::new(Parts { namespace, metric, dimensions: given.into_boxed_slice(), by_name, hash })))
    }

    /// The namespace, `service.item` on the wire.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The metric name.
    pub fn metric(&self) -> &str {
        &self.0.metric
    }

    /// The dimensions in the order in which they were first written.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.0.dimensions
    }

    /// The value of the dimension `name`, if the series has it.
    pub fn dimension(&self, name: &str) -> Option<&str> {
        self.sorted().find(|dimension| &*dimension.name == name).map(|dimension| &*dimension.value)
    }

    /// Bytes of text in the key.
    pub(crate) fn text_bytes(&self) -> usize {
        let dimensions: usize = self.0.dimensions.iter().map(|each| each.name.len() + each.value.len()).sum();
        self.0.namespace.len() + self.0.metric.len() + dimensions
    }

    /// Bytes of memory the key takes, shared by all of its clones.
    pub(crate) fn memory_bytes(&self) -> usize {
        let dimensions = self.0.dimensions.len() * (size_of::<Dimension>() + size_of::<u8>());
        // The shared part has two counters.
        2 * size_of::<usize>() + size_of::<Parts>() + dimensions + self.text_bytes()
    }

    /// The dimensions ordered by name: what identity is made of.
    fn sorted(&self) -> impl Iterator<Item = &Dimension> {
        self.0.by_name.iter().map(|&position| &self.0.dimensions[usize::from(position)])
    }
}

fn check(what: &str, text: Box<str>, bytes_max: usize) -> Result<Box<str>> {
    match text.len() {
        0 => Err(Error::invalid(format!("the {what} is empty"))),
        len if len > bytes_max => Err(Error::invalid(format!("the {what} has {len} bytes, at most {bytes_max} fit"))),
        _ => Ok(text),
    }
}

/// Names come from outside, so their hash has a seed that nobody outside knows.
static HASH_SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn hash_of<'a>(namespace: &str, metric: &str, sorted: impl Iterator<Item = &'a Dimension>) -> u64 {
    let mut hasher = HASH_SEED.build_hasher();
    namespace.hash(&mut hasher);
    metric.hash(&mut hasher);
    sorted.for_each(|dimension| dimension.hash(&mut hasher));
    hasher.finish()
}

impl PartialEq for SeriesKey {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || one.hash == two.hash
                && one.metric == two.metric
                && one.namespace == two.namespace
                && self.sorted().eq(other.sorted())
    }
}

impl Eq for SeriesKey {}

impl Hash for SeriesKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl Ord for SeriesKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.namespace.cmp(&other.0.namespace))
            .then_with(|| self.0.metric.cmp(&other.0.metric))
            .then_with(|| self.sorted().cmp(other.sorted()))
    }
}

impl PartialOrd for SeriesKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `MINE.APP cpu_util{host=a,core=1}`.
impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{{", self.0.namespace, self.0.metric)?;
        for (position, dimension) in self.0.dimensions.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", dimension.name, dimension.value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A series' number inside one volume, given in the order of first appearance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct SeriesId(pub(crate) u32);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dimensions: &[(&str, &str)]) -> Result<SeriesKey> {
        SeriesKey::new("A.B", "m", dimensions.iter().copied())
    }

    fn hash(key: &SeriesKey) -> u64 {
        use std::hash::BuildHasher;
        std::hash::BuildHasherDefault::<std::collections::hash_map::DefaultHasher>::default().hash_one(key)
    }

    #[test]
    fn identity_ignores_the_order_of_dimensions_and_display_keeps_it() {
        // S1. Goal: the same set in another order is the same series, shown as first written.
        let one = key(&[("b", "1"), ("a", "2")]).expect("valid");
        let two = key(&[("a", "2"), ("b", "1")]).expect("valid");
        assert_eq!(one, two);
        assert_eq!(hash(&one), hash(&two));
        assert_eq!(one.to_string(), "A.B m{b=1,a=2}");
        assert_ne!(one, key(&[("a", "1"), ("b", "2")]).expect("valid"), "values belong to their names");
        assert_ne!(one, key(&[("b", "1")]).expect("valid"));
    }

    #[test]
    fn the_same_dimension_twice_is_refused() {
        let error = key(&[("a", "1"), ("b", "2"), ("a", "1")]).expect_err("twice");
        assert!(error.to_string().contains("\"a\" is given twice"), "{error}");
    }

    #[test]
    fn names_are_held_to_their_limits() {
        // Method: one byte inside and one byte outside of every limit.
        let long = |n: usize| "x".repeat(n);
        assert!(SeriesKey::new(long(NAMESPACE_BYTES_MAX), "m", [("a", "1")]).is_ok());
        assert!(SeriesKey::new(long(NAMESPACE_BYTES_MAX + 1), "m", [("a", "1")]).is_err());
        assert!(SeriesKey::new("n", long(METRIC_BYTES_MAX), [("a", "1")]).is_ok());
        assert!(SeriesKey::new("n", long(METRIC_BYTES_MAX + 1), [("a", "1")]).is_err());
        assert!(SeriesKey::new("n", "m", [(long(DIMENSION_NAME_BYTES_MAX), "1")]).is_ok());
        assert!(SeriesKey::new("n", "m", [(long(DIMENSION_NAME_BYTES_MAX + 1), "1")]).is_err());
        assert!(SeriesKey::new("n", "m", [("a", long(DIMENSION_VALUE_BYTES_MAX))]).is_ok());
        assert!(SeriesKey::new("n", "m", [("a", long(DIMENSION_VALUE_BYTES_MAX + 1))]).is_err());
        let many = |n: usize| SeriesKey::new("n", "m", (0..n).map(|i| (format!("d{i}"), "v")));
        assert!(many(DIMENSIONS_MAX).is_ok() && many(DIMENSIONS_MAX + 1).is_err());
        assert!(SeriesKey::new("", "m", [("a", "1")]).is_err());
        assert!(SeriesKey::new("n", "", [("a", "1")]).is_err());
    }
}
