//! The values of JSON fields, each from the text of one valid JSON value, and what is said when they are something
//! else. Knows how a value is written, not what it is for.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use super::error::{Code, Refusal};
use super::fields::{Fields, Unread};
use super::number::is_number;

/// Deepest nesting of a body. The deepest of its own schemas needs five levels; unknown fields may bring a few more.
pub(super) const DEPTH_MAX: usize = 32;

/// Most characters of a client's text that are repeated in an error.
const QUOTE_CHARS_MAX: usize = 64;

/// What is wrong with a field: its text begins with the field's name.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) text: String,
}

pub(super) type Checked<T> = Result<T, Fault>;

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new(fault.code, fault.text)
    }
}

impl Fault {
    pub(super) fn new(field: &str, why: impl fmt::Display) -> Self {
        Self { code: Code::Body, text: format!("{field} {why}") }
    }

    /// The same with words before it, that tell where the field is.
    pub(super) fn inside(self, place: impl fmt::Display) -> Self {
        Self { text: format!("{place}{}", self.text), ..self }
    }
}

/// The items of a body that has to be an array with at least one.
pub(super) fn items(body: &[u8]) -> Result<Vec<&RawValue>, Refusal> {
    let first = first_byte(body)?;
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            Code::Request,
            if first == b'[' {
                format!("the request body is not JSON: {error}")
            } else {
                "the request body must be a JSON array of items".into()
            },
        )
    })?;
    if items.is_empty() {
        return Err(Refusal::new(Code::Body, "the request body has no items"));
    }
    Ok(items)
}

/// The fields of a body that has to be an object.
pub(super) fn body_object(body: &[u8]) -> Result<Fields<'_>, Refusal> {
    first_byte(body)?;
    let whole: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(Code::Request, format!("the request body is not JSON: {error}")))?;
    let json = whole.get().trim_start();
    if !json.starts_with('{') {
        return Err(Refusal::new(Code::Request, "the request body must be a JSON object"));
    }
    check_depth(json, "the request body", DEPTH_MAX)?;
    Ok(object(json, "")?)
}

/// The first byte that is not blank.
fn first_byte(body: &[u8]) -> Result<u8, Refusal> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first.copied().ok_or_else(|| Refusal::new(Code::Empty, "the request body is empty"))
}

pub(super) fn check_depth(json: &str, field: &str, depth_max: usize) -> Checked<()> {
    if depth(json) > depth_max {
        return Err(Fault::new(field, format_args!("is nested deeper than {DEPTH_MAX} levels")));
    }
    Ok(())
}

pub(super) fn required<T>(value: Option<T>, field: &str) -> Checked<T> {
    value.ok_or_else(|| Fault::new(field, "is missing"))
}

/// The fields of a JSON object; `field` names it, and is empty for the item itself.
pub(super) fn object<'a>(json: &'a str, field: &str) -> Checked<Fields<'a>> {
    let named = if field.is_empty() { "the item" } else { field };
    if !json.starts_with('{') {
        return Err(Fault::new(named, "must be an object"));
    }
    Fields::parse(json).map_err(|unread| match unread {
        Unread::Twice(name) if field.is_empty() => Fault::new(cut(&name), "is given twice"),
        Unread::Twice(name) => Fault::new(&format!("{field}.{}", cut(&name)), "is given twice"),
        Unread::Wrong(why) => Fault::new(named, format_args!("cannot be read: {why}")),
    })
}

/// The elements of a JSON array of objects.
pub(super) fn array<'a>(json: &'a str, field: &str) -> Checked<Vec<&'a RawValue>> {
    serde_json::from_str(json).map_err(|_| Fault::new(field, "must be an array of objects"))
}

/// What a JSON string says.
pub(super) fn text<'a>(json: &'a str, field: &str) -> Checked<Cow<'a, str>> {
    let Some(quoted) = json.strip_prefix('"') else {
        return Err(Fault::new(field, "must be a string"));
    };
    if let Some(plain) = quoted.strip_suffix('"').filter(|text| !text.contains('\\')) {
        return Ok(plain.into());
    }
    serde_json::from_str(json).map(Cow::Owned).map_err(|_| Fault::new(field, "is not valid Unicode"))
}

/// A time as a JSON integer or a decimal string, which the pages use both.
pub(super) fn millis(json: &str, field: &str) -> Checked<i64> {
    let unquoted = if is_number(json) { json.into() } else { text(json, field)? };
    let digits = unquoted.strip_prefix('-').unwrap_or(&unquoted);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new(field, "must be an integer, in milliseconds since 1970"));
    }
    unquoted.parse().map_err(|_| Fault::new(field, format_args!("{} is out of range", cut(&unquoted))))
}

/// A text as a JSON string.
pub(super) fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string has a JSON text")
}

/// A client's text as it stands in an error: short, and without characters that could break a line.
pub(super) fn quote(text: &str) -> String {
    format!("{:?}", cut(text))
}

pub(super) fn cut(text: &str) -> &str {
    text.char_indices().nth(QUOTE_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// How deep arrays and objects are nested in valid JSON.
fn depth(json: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b'"' => {
                // Brackets inside of strings nest nothing.
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_levels_and_not_brackets_in_strings() {
        assert_eq!(depth("1"), 0);
        assert_eq!(depth("{\"a\":[1,{}]}"), 3);
        assert_eq!(depth(r#"{"a":"[[[[\"[[\\","b":[]}"#), 2);
    }

    #[test]
    fn a_body_that_has_to_be_an_object_is_one() {
        // Goal: each way of being none has its published code.
        let code = |body: &[u8]| body_object(body).map(|_| ()).map_err(|refusal| refusal.code());
        assert_eq!(code(b" {\"a\":1} "), Ok(()));
        assert_eq!(code(b" \n"), Err(Code::Empty));
        for body in [&b"["[..], b"[]", b"1", b"null", b"{", b"{} x", b"\xff", b"{\"a\":\"\xff\"}"] {
            assert_eq!(code(body), Err(Code::Request), "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(code(b"{\"a\":1,\"a\":1}"), Err(Code::Body));
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(code(deep(DEPTH_MAX - 1).as_bytes()), Ok(()));
        assert_eq!(code(deep(DEPTH_MAX).as_bytes()), Err(Code::Body));
        assert_eq!(code(deep(100_000).as_bytes()), Err(Code::Body));
    }

    #[test]
    fn times_are_integers_or_their_texts() {
        for (json, millis) in [("5", 5), ("\"5\"", 5), ("-5", -5), ("\"-05\"", -5), ("9223372036854775807", i64::MAX)] {
            assert_eq!(super::millis(json, "t").map_err(|fault| fault.text), Ok(millis), "{json}");
        }
        for json in ["5.0", "5e3", "\"\"", "\"-\"", "\" 5\"", "\"+5\"", "true", "null", "[]", "9223372036854775808"] {
            assert!(super::millis(json, "t").is_err(), "{json}");
        }
    }
}
