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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dimension<'a> {
    /// The dimension's name, unique within its series.
    pub name: &'a str,
    /// The dimension's value.
    pub value: &'a str,
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

/// Few and small pieces of memory, as a store may know a million series.
struct Parts {
    /// Namespace, metric, and name and value of each dimension in the order given, one behind the other.
    text: Box<str>,
    /// Where each of them ends in the text; behind those, the positions of the dimensions, ordered by name.
    places: Places,
    /// Hash of the identity, computed once: a name is looked up far more often than it is made.
    hash: u64,
}

/// A few numbers, without a piece of memory of their own if there are at most [`PLACES_INSIDE_MAX`].
enum Places {
    Inside(u8, [u16; PLACES_INSIDE_MAX]),
    Outside(Box<[u16]>),
}

/// Enough for three dimensions; what tells where a piece of memory lies takes as much room.
const PLACES_INSIDE_MAX: usize = 2 + 3 * 3;
/// Room that the texts of most keys do not exceed, so that they are written without growing.
const TEXT_BYTES_USUAL: usize = 96;

impl Places {
    fn collect(places: impl Iterator<Item = u16> + Clone) -> Self {
        let mut inside = [0; PLACES_INSIDE_MAX];
        let mut len: u8 = 0;
        for place in places.clone() {
            let Some(at) = inside.get_mut(usize::from(len)) else { return Self::Outside(places.collect()) };
            *at = place;
            len += 1;
        }
        Self::Inside(len, inside)
    }

    fn as_mut(&mut self) -> &mut [u16] {
        match self {
            Self::Inside(len, places) => &mut places[..usize::from(*len)],
            Self::Outside(places) => places,
        }
    }
}

impl std::ops::Deref for Places {
    type Target = [u16];

    fn deref(&self) -> &[u16] {
        match self {
            Self::Inside(len, places) => &places[..usize::from(*len)],
            Self::Outside(places) => places,
        }
    }
}

/// All texts together are short enough for the places.
const TEXT_BYTES_MAX: usize =
    NAMESPACE_BYTES_MAX + METRIC_BYTES_MAX + DIMENSIONS_MAX * (DIMENSION_NAME_BYTES_MAX + DIMENSION_VALUE_BYTES_MAX);
const _: () = assert!(TEXT_BYTES_MAX <= u16::MAX as usize);

impl SeriesKey {
    /// The key of a series.
    ///
    /// # Errors
    /// `InvalidInput` when a name is empty or longer than [`limits`](crate::limits) allow, when there are too many
    /// dimensions, or when two share a name. A series may have no dimension at all.
    pub fn new<N, V>(
        namespace: impl AsRef<str>,
        metric: impl AsRef<str>,
        dimensions: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        Self::with_room(TEXT_BYTES_USUAL, namespace, metric, dimensions)
    }

    /// The same, written without growing or shrinking if all texts together have this many bytes.
    pub(crate) fn with_room<N, V>(
        text_bytes: usize,
        namespace: impl AsRef<str>,
        metric: impl AsRef<str>,
        dimensions: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut text = String::with_capacity(text_bytes);
        let (mut ends, mut len) = ([0; 2 + 2 * DIMENSIONS_MAX], 0);
        let mut add = |what, part: &str, bytes_max| {
            check(what, part, bytes_max)?;
            text.push_str(part);
            ends[len] = u16::try_from(text.len()).expect("TEXT_BYTES_MAX bounds it");
            len += 1;
            Ok(())
        };
        add("namespace", namespace.as_ref(), NAMESPACE_BYTES_MAX)?;
        add("metric name", metric.as_ref(), METRIC_BYTES_MAX)?;
        let mut count: u16 = 0;
        for (name, value) in dimensions {
            if usize::from(count) == DIMENSIONS_MAX {
                return Err(Error::invalid(format!("a series has at most {DIMENSIONS_MAX} dimensions")));
            }
            add("dimension name", name.as_ref(), DIMENSION_NAME_BYTES_MAX)?;
            add("dimension value", value.as_ref(), DIMENSION_VALUE_BYTES_MAX)?;
            count += 1;
        }
        let places = Places::collect(ends[..len].iter().copied().chain(0..count));
        let mut parts = Parts { text: text.into(), places, hash: 0 };
        let mut order: [u16; DIMENSIONS_MAX] = std::array::from_fn(|place| u16::try_from(place).unwrap_or(u16::MAX));
        let by_name = &mut order[..usize::from(count)];
        by_name.sort_by(|&a, &b| parts.dimension(a).name.cmp(parts.dimension(b).name));
        if let Some(pair) =
            by_name.windows(2).find(|pair| parts.dimension(pair[0]).name == parts.dimension(pair[1]).name)
        {
            let name = parts.dimension(pair[0]).name;
            return Err(Error::invalid(format!("the dimension {name:?} is given twice")));
        }
        parts.places.as_mut()[len..].copy_from_slice(by_name);
        parts.hash = hash_of(&parts);
        Ok(Self(Arc::new(parts)))
    }

    /// The namespace, `service.item` on the wire.
    pub fn namespace(&self) -> &str {
        self.0.part(0)
    }

    /// The metric name.
    pub fn metric(&self) -> &str {
        self.0.part(1)
    }

    /// The dimensions in the order in which they were first written.
    pub fn dimensions(&self) -> impl ExactSizeIterator<Item = Dimension<'_>> {
        (0..self.0.dimensions_len()).map(|position| self.0.dimension(position))
    }

    /// The value of the dimension `name`, if the series has it.
    pub fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions().find(|dimension| dimension.name == name).map(|dimension| dimension.value)
    }

    /// Bytes of text in the key.
    pub(crate) fn text_bytes(&self) -> usize {
        self.0.text.len()
    }

    /// Bytes of memory the key takes, shared by all of its clones.
    pub(crate) fn memory_bytes(&self) -> usize {
        // The shared part has two counters.
        let outside = match &self.0.places {
            Places::Inside(..) => 0,
            Places::Outside(places) => size_of_val(&**places),
        };
        2 * size_of::<usize>() + size_of::<Parts>() + outside + self.text_bytes()
    }
}

impl Parts {
    /// Namespace, metric, and name and value of each dimension, counted from 0.
    fn part(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.places[before]);
        &self.text[usize::from(start)..usize::from(self.places[number])]
    }

    fn dimension(&self, position: u16) -> Dimension<'_> {
        let name = 2 + 2 * usize::from(position);
        Dimension { name: self.part(name), value: self.part(name + 1) }
    }

    fn dimensions_len(&self) -> u16 {
        // Two ends and a position for each, behind the ends of namespace and metric.
        u16::try_from((self.places.len() - 2) / 3).expect("DIMENSIONS_MAX bounds it")
    }

    /// The positions of the dimensions, ordered by name.
    fn by_name(&self) -> &[u16] {
        &self.places[self.places.len() - usize::from(self.dimensions_len())..]
    }

    /// The dimensions ordered by name: what identity is made of.
    fn sorted(&self) -> impl Iterator<Item = Dimension<'_>> {
        self.by_name().iter().map(|&position| self.dimension(position))
    }
}

fn check(what: &str, text: &str, bytes_max: usize) -> Result<()> {
    match text.len() {
        0 => Err(Error::invalid(format!("the {what} is empty"))),
        len if len > bytes_max => Err(Error::invalid(format!("the {what} has {len} bytes, at most {bytes_max} fit"))),
        _ => Ok(()),
    }
}

/// Names come from outside, so their hash has a seed that nobody outside knows.
static HASH_SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn hash_of(parts: &Parts) -> u64 {
    let mut hasher = HASH_SEED.build_hasher();
    parts.part(0).hash(&mut hasher);
    parts.part(1).hash(&mut hasher);
    parts.sorted().for_each(|dimension| dimension.hash(&mut hasher));
    hasher.finish()
}

impl PartialEq for SeriesKey {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (&*self.0, &*other.0);
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        // Mostly the dimensions come in the order in which they came before.
        let is_same = one.text == two.text && *one.places == *two.places;
        one.hash == two.hash && one.text.len() == two.text.len() && (is_same || one.cmp_identity(two).is_eq())
    }
}

impl Eq for SeriesKey {}

impl Hash for SeriesKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl Parts {
    fn cmp_identity(&self, other: &Self) -> Ordering {
        if *self.places == *other.places && self.by_name().is_sorted() {
            // All parts are equally long, and stand in the order in which they count.
            return self.text.cmp(&other.text);
        }
        (self.part(0).cmp(other.part(0)))
            .then_with(|| self.part(1).cmp(other.part(1)))
            .then_with(|| self.sorted().cmp(other.sorted()))
    }
}

impl Ord for SeriesKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_identity(&other.0)
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
        write!(f, "{} {}{{", self.namespace(), self.metric())?;
        for (position, dimension) in self.dimensions().enumerate() {
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
    fn keys_are_in_order_of_their_parts_however_long_and_in_whatever_order_those_are() {
        // Goal: no shortcut changes the order. Method: all pairs, against the parts themselves.
        let parts = ["a", "ab", "b"];
        let mut keys = Vec::new();
        for (one, two) in parts.iter().flat_map(|one| parts.map(|two| (*one, two))) {
            let key =
                |dimensions: &[(&str, &str)]| SeriesKey::new(one, two, dimensions.iter().copied()).expect("valid");
            keys.extend([
                key(&[]),
                key(&[("a", one), ("b", two)]),
                key(&[("b", two), ("a", one)]),
                key(&[("ab", two)]),
            ]);
        }
        let in_parts = |key: &SeriesKey| {
            let mut dimensions: Vec<(String, String)> =
                key.dimensions().map(|each| (each.name.into(), each.value.into())).collect();
            dimensions.sort();
            (key.namespace().to_string(), key.metric().to_string(), dimensions)
        };
        for (one, two) in keys.iter().flat_map(|one| keys.iter().map(move |two| (one, two))) {
            assert_eq!(one.cmp(two), in_parts(one).cmp(&in_parts(two)), "{one} and {two}");
            assert_eq!(one == two, in_parts(one) == in_parts(two), "{one} and {two}");
        }
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
