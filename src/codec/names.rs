//! A table of series names, front-coded: each takes what it does not share with the one before, about 5 bytes in a
//! fleet of like hosts. The layout is docs/format.md, "Names".

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};
use crate::model::limits::{DIMENSIONS_MAX, NAMES_PAGE_BYTES_MAX};
use crate::model::series::{SeriesId, SeriesKey};

/// Between two parts of a name; no UTF-8 has this byte.
const BETWEEN: u8 = 0xff;

/// Pages that name these series, which come in order of their ids. At most [`NAMES_PAGE_BYTES_MAX`] bytes each,
/// `reserved` of which are left for the caller. The names stand in order of ids or of their texts, whichever is shorter.
pub(crate) fn encode(names: &[(SeriesId, SeriesKey)], reserved: usize) -> Vec<Vec<u8>> {
    let texts = Texts::new(names);
    let by_text = texts.pages(texts.sorted().into_iter(), reserved);
    // Only one of the two is held: of a million names each may take tens of megabytes.
    let mut by_id = 0;
    texts.encode(0..names.len(), reserved, |page| by_id += page.len());
    if by_text.iter().map(Vec::len).sum::<usize>() < by_id { by_text } else { texts.pages(0..names.len(), reserved) }
}

/// The texts of names, one behind the other: a million keys lie all over the memory.
struct Texts<'a> {
    names: &'a [(SeriesId, SeriesKey)],
    bytes: Vec<u8>,
    /// Where the text of each ends.
    ends: Vec<usize>,
}

impl<'a> Texts<'a> {
    fn new(names: &'a [(SeriesId, SeriesKey)]) -> Self {
        let mut texts = Self { names, bytes: Vec::new(), ends: Vec::with_capacity(names.len()) };
        for (_, key) in names {
            put_text(&mut texts.bytes, key);
            texts.ends.push(texts.bytes.len());
        }
        texts
    }

    fn get(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[place]]
    }

    /// The places of the texts in their order.
    fn sorted(&self) -> Vec<usize> {
        let texts = || (0..self.ends.len()).map(|place| self.get(place));
        let first = texts().next().unwrap_or_default();
        let common = texts().fold(first.len(), |common, text| shared(&first[..common], text));
        // Most are told apart by a few bytes behind what all of them share, so that no text has to be looked at.
        let start_at = |(place, text): (u32, &[u8])| (start_of(&text[common..]), place);
        let mut order: Vec<_> = (0..).zip(texts()).map(start_at).collect();
        order.sort_unstable_by(|one, two| {
            one.0.cmp(&two.0).then_with(|| self.get(one.1 as usize).cmp(self.get(two.1 as usize)))
        });
        order.into_iter().map(|(_, place)| place as usize).collect()
    }

    /// The pages of the names at these places.
    fn pages(&self, places: impl Iterator<Item = usize>, reserved: usize) -> Vec<Vec<u8>> {
        let mut pages = Vec::new();
        self.encode(places, reserved, |page| pages.push(page.to_vec()));
        pages
    }

    /// Hands the pages of the names at these places to `each`, one after the other.
    fn encode(&self, places: impl Iterator<Item = usize>, reserved: usize, mut each: impl FnMut(&[u8])) {
        let mut page = Vec::new();
        let (mut before, mut before_id): (&[u8], i64) = (&[], -1);
        for place in places {
            let text = self.get(place);
            let shared = shared(before, text);
            let id = i64::from(self.names[place].0.0);
            varint::put_signed(&mut page, id - before_id);
            varint::put(&mut page, shared as u64);
            varint::put_bytes(&mut page, &text[shared..]);
            (before, before_id) = (text, id);
            // No name is longer than the other half, see `limits`.
            if page.len() + reserved >= NAMES_PAGE_BYTES_MAX / 2 {
                each(&page);
                page.clear();
                (before, before_id) = (&[], -1);
            }
        }
        if !page.is_empty() {
            each(&page);
        }
    }
}

/// The first 12 bytes: what is sorted is 16 bytes for each then, with its place.
fn start_of(text: &[u8]) -> [u8; 12] {
    let mut start = [0; 12];
    let len = text.len().min(start.len());
    start[..len].copy_from_slice(&text[..len]);
    start
}

fn shared(one: &[u8], two: &[u8]) -> usize {
    one.iter().zip(two).take_while(|(a, b)| a == b).count()
}

/// Hands each series of a page to `each`, its name as a text for [`key_of`].
pub(crate) fn decode(
    page: &[u8],
    mut each: impl FnMut(SeriesId, &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(page);
    let mut text = Vec::new();
    let mut id = -1_i64;
    while !reader.is_empty() {
        id = id.checked_add(reader.signed()?).ok_or(Malformed("a series id is out of range"))?;
        let series = u32::try_from(id).map_err(|_| Malformed("a series id is out of range"))?;
        let shared = usize::try_from(reader.number()?).ok().filter(|&shared| shared <= text.len());
        text.truncate(shared.ok_or(Malformed("a name shares more than there is"))?);
        text.extend_from_slice(reader.bytes()?);
        each(SeriesId(series), &text)?;
    }
    Ok(())
}

fn put_text(text: &mut Vec<u8>, key: &SeriesKey) {
    text.extend_from_slice(key.namespace().as_bytes());
    text.push(BETWEEN);
    text.extend_from_slice(key.metric().as_bytes());
    for dimension in key.dimensions() {
        text.push(BETWEEN);
        text.extend_from_slice(dimension.name.as_bytes());
        text.push(BETWEEN);
        text.extend_from_slice(dimension.value.as_bytes());
    }
}

/// The key that a text names.
pub(crate) fn key_of(text: &[u8]) -> Result<SeriesKey, Malformed> {
    let mut parts = text
        .split(|&byte| byte == BETWEEN)
        .map(|part| std::str::from_utf8(part).map_err(|_| Malformed("a name is not UTF-8")));
    let mut next = || parts.next().transpose();
    let missing = Malformed("a part of a name is missing");
    let namespace = next()?.ok_or(missing)?;
    let metric = next()?.ok_or(missing)?;
    let (mut dimensions, mut count) = ([("", ""); DIMENSIONS_MAX], 0);
    while let Some(name) = next()? {
        let place = dimensions.get_mut(count).ok_or(Malformed("a name has too many dimensions"))?;
        *place = (name, next()?.ok_or(missing)?);
        count += 1;
    }
    let text_bytes = text.len() - (1 + 2 * count);
    let key = SeriesKey::with_room(text_bytes, namespace, metric, dimensions[..count].iter().copied());
    key.map_err(|_| Malformed("a series name breaks the limits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pages: &[Vec<u8>]) -> Result<Vec<(SeriesId, SeriesKey)>, Malformed> {
        let mut names = Vec::new();
        for page in pages {
            decode(page, |id, text| {
                names.push((id, key_of(text)?));
                Ok(())
            })?;
        }
        names.sort_unstable_by_key(|(id, _)| *id);
        Ok(names)
    }

    fn named(id: u32, metric: u32, host: u32) -> (SeriesId, SeriesKey) {
        let dimensions = [("hostname", format!("host_{host}"))];
        (SeriesId(id), SeriesKey::new("TSBS.CPU", format!("metric_{metric}"), dimensions).expect("valid"))
    }

    #[test]
    fn a_fleet_costs_about_five_bytes_a_series() {
        // Goal: 1,000 series of like hosts take at most 6 bytes each, in whichever order they appeared.
        let by_host: Vec<_> = (0..1_000).map(|id| named(id, id % 10, id / 10)).collect();
        let by_metric: Vec<_> = (0..1_000).map(|id| named(id, id / 100, id % 100)).collect();
        for names in [by_host, by_metric] {
            let pages = encode(&names, 8);
            let bytes: usize = pages.iter().map(Vec::len).sum();
            println!("names: {bytes} bytes for {} series", names.len());
            assert!(bytes <= 6 * names.len(), "{bytes}");
            assert_eq!(read(&pages), Ok(names));
        }
    }

    #[test]
    fn golden_bytes_of_names() {
        let key = |dimensions: &[(&str, &str)]| SeriesKey::new("A.B", "m", dimensions.iter().copied()).expect("valid");
        let names = [(SeriesId(7), key(&[("b", "1"), ("a", "2")])), (SeriesId(9), key(&[]))];
        let mut golden = vec![16, 0, 13];
        golden.extend(b"A.B\xffm\xffb\xff1\xffa\xff2");
        golden.extend([4, 5, 0]);
        assert_eq!(encode(&names, 8), [golden]);
    }

    #[test]
    fn long_names_are_cut_into_pages() {
        let long = |id: u32| {
            let dimensions = (0..16).map(|at| (format!("{at}"), format!("{id}{}", "x".repeat(500))));
            (SeriesId(id), SeriesKey::new("n", "m", dimensions).expect("valid"))
        };
        let names: Vec<_> = (0..40).map(long).collect();
        let pages = encode(&names, 8);
        assert!(pages.len() > 3 && pages.iter().all(|page| page.len() + 8 <= NAMES_PAGE_BYTES_MAX));
        assert_eq!(read(&pages), Ok(names));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _answer = read(&[bytes]);
        }

        #[test]
        fn names_come_back(keys in prop::collection::vec(("[a-c]{1,3}", "\\PC{1,4}", "\\PC{1,4}"), 0..40)) {
            let key = |(metric, name, value): (String, String, String)| SeriesKey::new("n", metric, [(name, value)]);
            let keys = keys.into_iter().map(|parts| key(parts).expect("valid"));
            let names: Vec<_> = (3..).step_by(2).map(SeriesId).zip(keys).collect();
            prop_assert_eq!(read(&encode(&names, 8)), Ok(names));
        }
    }
}
