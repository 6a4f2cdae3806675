//! A table of series names, front-coded: each takes what it does not share with the one before, about 5 bytes in a
//! fleet of like hosts. The layout is docs/format.md, "Names".

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};
use crate::model::limits::NAMES_PAGE_BYTES_MAX;
use crate::model::series::{SeriesId, SeriesKey};

/// Between two parts of a name; no UTF-8 has this byte.
const BETWEEN: u8 = 0xff;

/// Pages that name these series, which come in order of their ids. At most [`NAMES_PAGE_BYTES_MAX`] bytes each,
/// `reserved` of which are left for the caller.
pub(crate) fn encode(names: &[(SeriesId, SeriesKey)], reserved: usize) -> Vec<Vec<u8>> {
    let by_id = encode_in_order(names.iter(), reserved);
    let mut sorted: Vec<&(SeriesId, SeriesKey)> = names.iter().collect();
    sorted.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    let by_key = encode_in_order(sorted.into_iter(), reserved);
    let bytes = |pages: &[Vec<u8>]| pages.iter().map(Vec::len).sum::<usize>();
    if bytes(&by_key) < bytes(&by_id) { by_key } else { by_id }
}

fn encode_in_order<'a>(names: impl Iterator<Item = &'a (SeriesId, SeriesKey)>, reserved: usize) -> Vec<Vec<u8>> {
    let mut pages = Vec::new();
    let mut page = Vec::new();
    let (mut before, mut before_id) = (Vec::new(), -1);
    for (id, key) in names {
        let text = text_of(key);
        let shared = before.iter().zip(&text).take_while(|(a, b)| a == b).count();
        let id = i64::from(id.0);
        varint::put_signed(&mut page, id - before_id);
        varint::put(&mut page, shared as u64);
        varint::put_bytes(&mut page, &text[shared..]);
        (before, before_id) = (text, id);
        // No name is longer than the other half, see `limits`.
        if page.len() + reserved >= NAMES_PAGE_BYTES_MAX / 2 {
            pages.push(std::mem::take(&mut page));
            (before, before_id) = (Vec::new(), -1);
        }
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
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

fn text_of(key: &SeriesKey) -> Vec<u8> {
    let mut text = Vec::with_capacity(key.text_bytes() + 2 * key.dimensions().len() + 1);
    text.extend_from_slice(key.namespace().as_bytes());
    text.push(BETWEEN);
    text.extend_from_slice(key.metric().as_bytes());
    for dimension in key.dimensions() {
        text.push(BETWEEN);
        text.extend_from_slice(dimension.name.as_bytes());
        text.push(BETWEEN);
        text.extend_from_slice(dimension.value.as_bytes());
    }
    text
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
    let mut dimensions = Vec::new();
    while let Some(name) = next()? {
        dimensions.push((name, next()?.ok_or(missing)?));
    }
    SeriesKey::new(namespace, metric, dimensions).map_err(|_| Malformed("a series name breaks the limits"))
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
