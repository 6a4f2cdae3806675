//! Numbers as text: which cells are numbers, and which of them must name their type. What a number means is for the
//! server to say; its text is passed on as it was written.

use serde_json::value::RawValue;

/// Most characters of a malformed cell that an error repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// The contract's `type` of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A whole number within 64 bits.
    Int,
    /// A double.
    Float,
}

/// A number as it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Number<'a> {
    /// A JSON number.
    pub(super) text: &'a str,
    /// The type that must be named; `None` where the text speaks for itself.
    pub(super) kind: Option<Kind>,
}

/// Whether the text means a NaN or an infinity, in any case and with any sign.
pub(super) fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    ["nan", "inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word))
}

/// Reads a cell of a table. Tables name no types, so an integer that does not fit 64 bits is named a double here.
pub(super) fn parse_cell(text: &str) -> Result<Number<'_>, String> {
    let is_beyond_int = !text.contains(['.', 'e', 'E']) && text.parse::<i64>().is_err();
    parse(text, is_beyond_int.then_some(Kind::Float))
}

/// Reads a JSON number. Other spellings (`.5`, `+1`, `007`) are refused rather than rewritten.
pub(super) fn parse(text: &str, kind: Option<Kind>) -> Result<Number<'_>, String> {
    let is_bare = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_digit());
    if !is_bare || serde_json::from_str::<&RawValue>(text).is_err() {
        let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        return Err(format!("{shown:?} is not a number"));
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Number { text, kind }),
        _ => Err(format!("{text} is out of the range of a double")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_json_numbers_and_keep_their_text() {
        for text in ["60", "60.0", "-0.0", "4.2157e-05", "9223372036854775807"] {
            assert_eq!(parse_cell(text), Ok(Number { text, kind: None }));
        }
        let beyond = "18446744073709552000";
        assert_eq!(parse_cell(beyond), Ok(Number { text: beyond, kind: Some(Kind::Float) }));
        for refused in ["", "-", "+1", ".5", "5.", "007", "1e", "0x10", "1 2", "1,5", "NaN", "true", "\"1\"", "1e999"] {
            assert!(parse_cell(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn not_finite_words_are_known_in_any_case() {
        assert!(["NaN", "nan", "-NAN", "+Inf", "-inf", "INFINITY"].into_iter().all(is_not_finite));
        assert!(!["", "n", "nano", "1", "++inf"].into_iter().any(is_not_finite));
    }
}
