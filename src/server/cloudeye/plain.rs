//! The short way through a body as clients write them: one pass over its bytes that takes every item apart. What is
//! wrong in it, or right and only unusual (escapes, `null`, fields the page does not have), it leaves alone: `ingest`
//! then reads the body by the book, and only there is decided what an error says.

use super::item::{Item, Metric, Reader};
use crate::model::batch::WriteBatch;

/// Deepest nesting of a metric: the object, the list of dimensions, a dimension.
const METRIC_DEPTH_MAX: usize = 3;

/// Bytes of a short item, to make room for the points of a body.
const ITEM_BYTES: usize = 192;

/// The points of a plain body; `None` if it is not plain, or anything is wrong with it.
pub(super) fn parse<'a>(body: &'a [u8], reader: &mut Reader<'a>) -> Option<WriteBatch> {
    let mut text = Text { text: std::str::from_utf8(body).ok()?, at: 0 };
    let mut batch = WriteBatch::with_capacity(body.len() / ITEM_BYTES + 1);
    text.mark(b'[')?;
    loop {
        let item = text.item(reader)?;
        let (series, point) = reader.read(item).ok()?;
        batch.push(series, point);
        match text.next_mark()? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    text.blanks();
    (text.at == body.len()).then_some(batch)
}

/// A text and how far it was read. Everything gives `None` where the text goes on in another way.
struct Text<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The next byte that is not blank.
    fn next_mark(&mut self) -> Option<u8> {
        self.blanks();
        let byte = self.byte()?;
        self.at += 1;
        Some(byte)
    }

    fn mark(&mut self, mark: u8) -> Option<()> {
        (self.next_mark()? == mark).then_some(())
    }

    /// An item: an object with each of the page's fields at most once, and no others.
    fn item(&mut self, reader: &mut Reader<'a>) -> Option<Item<'a>> {
        let mut item = Item::default();
        self.mark(b'{')?;
        loop {
            self.blanks();
            let name = self.string()?;
            self.mark(b':')?;
            self.blanks();
            let is_twice = match name {
                "\"metric\"" => item.metric.replace(self.metric(reader)?).is_some(),
                "\"ttl\"" => item.ttl.replace(self.value()?).is_some(),
                "\"collect_time\"" => item.collect_time.replace(self.value()?).is_some(),
                "\"type\"" => item.of_type.replace(self.value()?).is_some(),
                "\"value\"" => item.value.replace(self.value()?).is_some(),
                "\"unit\"" => item.unit.replace(self.value()?).is_some(),
                _ => return None,
            };
            if is_twice {
                return None;
            }
            match self.next_mark()? {
                b',' => {}
                b'}' => return Some(item),
                _ => return None,
            }
        }
    }

    fn metric(&mut self, reader: &mut Reader<'a>) -> Option<Metric<'a>> {
        if let Some((text, key)) = reader.expected(self.text.get(self.at..)?) {
            self.at += text.len();
            return Some(Metric::Known(key));
        }
        self.object().map(Metric::Text)
    }

    fn value(&mut self) -> Option<&'a str> {
        if self.byte()? == b'"' { self.string() } else { self.number() }
    }

    /// A string with its quotes, without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes().get(self.at..)?;
        let (b'"', rest) = bytes.split_first()? else { return None };
        let len = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        if rest[len] != b'"' {
            return None;
        }
        self.take(len + 2)
    }

    /// An object whose content was not looked at: whoever reads it finds out whether it is one. If it is, this is where
    /// it ends.
    fn object(&mut self) -> Option<&'a str> {
        if self.byte()? != b'{' {
            return None;
        }
        let (mut depth, mut is_string) = (0_usize, false);
        for (place, byte) in self.text.as_bytes().get(self.at..)?.iter().enumerate() {
            match byte {
                b'"' => is_string = !is_string,
                b'\\' => return None,
                _ if is_string => {}
                b'{' | b'[' => {
                    depth += 1;
                    if depth > METRIC_DEPTH_MAX {
                        return None;
                    }
                }
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return self.take(place + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// A number as JSON writes them.
    fn number(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes().get(self.at..)?;
        let digits = |from: usize| {
            bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
        };
        let mut len = usize::from(bytes.first() == Some(&b'-'));
        match digits(len) {
            0 => return None,
            2.. if bytes[len] == b'0' => return None,
            whole => len += whole,
        }
        if bytes.get(len) == Some(&b'.') {
            len += 1 + Some(digits(len + 1)).filter(|&fraction| fraction > 0)?;
        }
        if let Some(b'e' | b'E') = bytes.get(len) {
            len += 1 + usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            len += Some(digits(len)).filter(|&exponent| exponent > 0)?;
        }
        self.take(len)
    }

    fn take(&mut self, len: usize) -> Option<&'a str> {
        let taken = self.text.get(self.at..self.at + len)?;
        self.at += len;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::point::Point;
    use crate::model::time::Timestamp;
    use crate::server::cloudeye::ingest::parse_by_the_book;
    use crate::server::cloudeye::known::KnownMetrics;
    use crate::server::profile::Profile;
    use crate::server::rules::Rules;

    const NOW: Timestamp = Timestamp::from_millis(1_795_281_677_579);

    const PLAIN: &str = r#"[{"metric":{"namespace":"MINE.APP","dimensions":[{"name":"id","value":"33328f02"}],"metric_name":"cpu"},"ttl":172800,"collect_time":1795281670000,"type":"int","value":60,"unit":"%"},
        {"metric":{"namespace":"MINE.APP","dimensions":[{"name":"id","value":"33328f02"}],"metric_name":"cpu"},"ttl":0,"collect_time":"1795281671000","type":"float","value":-6.50e+1,"unit":"%"}
        , { "value" : 7 , "collect_time":1795281672000,"ttl":1,"metric" : {"namespace":"A.B", "dimensions" : [ {"name":"a","value":"1"},{"value":"2","name":"b"} ] ,"metric_name":"m"} } ] "#;

    /// What a body gives, as far as it can be told apart: the order of dimensions is shown by a key, not compared.
    type Told = Vec<(String, Point)>;

    fn told(batch: &WriteBatch) -> Told {
        batch.iter().map(|(series, point)| (series.to_string(), point.clone())).collect()
    }

    fn plain(body: &[u8], known: &KnownMetrics) -> Option<Told> {
        let rules = Rules::of(Profile::Document);
        parse(body, &mut Reader::new(&rules, NOW, known)).map(|batch| told(&batch))
    }

    fn by_the_book(body: &[u8]) -> Option<Told> {
        let known = KnownMetrics::default();
        let rules = Rules::of(Profile::Document);
        let batch = parse_by_the_book(body, &mut Reader::new(&rules, NOW, &known));
        batch.ok().map(|batch| told(&batch))
    }

    #[test]
    fn what_clients_write_is_plain() {
        // Goal: the short way is taken. Method: fields in any order, blanks, each kind of number; read twice, as the
        // metrics are known at the second time.
        let known = KnownMetrics::default();
        for _ in 0..2 {
            let points = plain(PLAIN.as_bytes(), &known).expect("plain");
            assert_eq!(points.len(), 3);
            assert_eq!(Some(points), by_the_book(PLAIN.as_bytes()));
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_book() {
        // Goal: nothing unusual is judged here. Method: right and wrong changes of a plain body, none of which is plain.
        let changes = [
            (r#""ttl":0"#, r#""t\u0074l":0"#),
            (r#""ttl":0"#, r#""ttl":0,"extra":1"#),
            (r#""ttl":0"#, r#""ttl":0,"ttl":0"#),
            (r#""ttl":0"#, r#""ttl":00"#),
            (r#""unit":"%"}"#, r#""unit":null}"#),
            (r#""unit":"%"}"#, r#""unit":"%",}"#),
            (r#""value":60"#, r#""value":60."#),
            (r#""value":60"#, r#""value":.6"#),
            (r#""value":60"#, r#""value":6e"#),
            (r#""value":60"#, r#""value":-"#),
            (r#""name":"id""#, r#""name":"i\u0064""#),
            (r#""name":"id""#, r#""name":"id","x":[[]]"#),
            ("[{\"metric\"", "[,{\"metric\""),
            ("} ] ", "} ] x"),
            ("} ] ", "} , ] "),
            ("} ] ", "} "),
        ];
        for (from, to) in changes {
            let body = PLAIN.replace(from, to);
            assert_ne!(body, PLAIN);
            assert_eq!(plain(body.as_bytes(), &KnownMetrics::default()), None, "{to}");
        }
        assert_eq!(plain(b"[]", &KnownMetrics::default()), None);
        assert_eq!(plain(b"", &KnownMetrics::default()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn whatever_is_taken_the_short_way_is_what_the_book_says(
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..3, any::<prop::sample::Index>()), 1..4),
        ) {
            // Method: a body with a few bytes replaced, put in or left out, by ones that mean something in JSON; with
            // the metrics of the unharmed body known.
            const BYTES: &[u8] = b"{}[]\",:\\ 0019-+.eEnutx\n\x01\xc3\xff";
            let mut body = PLAIN.as_bytes().to_vec();
            for (place, edit, byte) in edits {
                let (place, byte) = (place.index(body.len()), *byte.get(BYTES));
                match edit {
                    0 => body[place] = byte,
                    1 => body.insert(place, byte),
                    _ => drop(body.remove(place)),
                }
            }
            let known = KnownMetrics::default();
            prop_assert!(plain(PLAIN.as_bytes(), &known).is_some());
            if let Some(points) = plain(&body, &known) {
                prop_assert_eq!(Some(points), by_the_book(&body));
            }
        }
    }
}
