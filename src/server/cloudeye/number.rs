//! Numbers from their text (S11): nothing passes through a double that was not meant to be one. Takes the text of one
//! valid JSON number and never looks at anything else.

use crate::model::point::Value;

/// The number type a writer may name beside a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NumberType {
    Int,
    Float,
}

/// Whether the text of a JSON value is a number.
pub(super) fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Whether the text of a JSON number is written as an integer: without fraction and exponent.
pub(super) fn is_integer_literal(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// The value of a JSON number. With no type an integer literal is an int and everything else a float.
///
/// The error completes a sentence that begins with the field's name.
pub(super) fn parse_value(number: &str, of_type: Option<NumberType>) -> Result<Value, &'static str> {
    match of_type {
        Some(NumberType::Int) => parse_int(number).map(Value::Int),
        None if is_integer_literal(number) => number
            .parse()
            .map(Value::Int)
            .map_err(|_| "is an integer outside of 64 bits; name the type float to store it rounded"),
        Some(NumberType::Float) | None => parse_float(number).map(Value::Float),
    }
}

/// The nearest double.
fn parse_float(number: &str) -> Result<f64, &'static str> {
    match number.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(float),
        _ => Err("is too large for a float"),
    }
}

/// The exact integer, however it is written: `60`, `60.0` and `6e1` are the same.
fn parse_int(number: &str) -> Result<i64, &'static str> {
    const NOT_WHOLE: &str = "must be a whole number when the type is int";
    const TOO_LARGE: &str = "is outside of the 64 bits of the type int";

    if is_integer_literal(number) {
        return number.parse().map_err(|_| TOO_LARGE);
    }
    let (negative, magnitude) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    // What lies beyond i64 here is beyond any power of ten that could matter, on either side.
    let beyond = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    let exponent: i64 = exponent.parse().unwrap_or(beyond).clamp(i64::MIN / 2, i64::MAX / 2);
    let dropped = digits.len() - significant.len();
    let length = |text: &str| i64::try_from(text.len()).expect("a request is shorter than 2^63 bytes");
    let zeros = exponent - length(fraction) + i64::try_from(dropped).expect("as above");
    if zeros < 0 {
        return Err(NOT_WHOLE);
    }
    // Nineteen digits are the most an i64 has, so more than that many zeros are too many.
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros < 19).ok_or(TOO_LARGE)?;
    let sign = if negative { "-" } else { "" };
    let plain = format!("{sign}{}{}", significant.trim_start_matches('0'), "0".repeat(zeros));
    plain.parse().map_err(|_| TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_int_is_exact_however_it_is_written() {
        // S11. Goal: every spelling of a whole number is that number, and nothing is cut off.
        let max = i64::MAX.to_string();
        let min = i64::MIN.to_string();
        let cases = [
            ("60", 60),
            ("60.0", 60),
            ("6e1", 60),
            ("600E-1", 60),
            ("0.6e+2", 60),
            ("-0", 0),
            ("-0.0", 0),
            ("0e999999999999999999999", 0),
            ("0.000e-99999999999999999999", 0),
            ("1e18", 1_000_000_000_000_000_000),
            ("9007199254740993", 9_007_199_254_740_993),
            (&max, i64::MAX),
            (&min, i64::MIN),
            ("9223372036854775807.000", i64::MAX),
            ("9.223372036854775807e18", i64::MAX),
            ("0.00000000000000000001e20", 1),
        ];
        for (text, value) in cases {
            assert_eq!(parse_value(text, Some(NumberType::Int)), Ok(Value::Int(value)), "{text}");
        }
    }

    #[test]
    fn a_named_int_refuses_fractions_and_overflow() {
        for text in ["60.5", "1e-1", "0.1", "1e-99999999999999999999", "-0.5"] {
            let error = parse_value(text, Some(NumberType::Int)).expect_err(text);
            assert!(error.contains("whole"), "{text}: {error}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "1e19", "1e99999999999999999999", "92e17"] {
            let outcome = parse_value(text, Some(NumberType::Int));
            if text == "92e17" {
                assert_eq!(outcome, Ok(Value::Int(9_200_000_000_000_000_000)));
            } else {
                assert!(outcome.expect_err(text).contains("64 bits"), "{text}");
            }
        }
    }

    #[test]
    fn a_float_is_the_nearest_double() {
        let float = Some(NumberType::Float);
        assert_eq!(parse_value("60", float), Ok(Value::Float(60.0)));
        assert_eq!(parse_value("0.1", float), Ok(Value::Float(0.1)));
        assert_eq!(parse_value("-0.0", float), Ok(Value::Float(-0.0)), "the sign of zero is kept");
        assert_eq!(parse_value("-0", float), Ok(Value::Float(-0.0)));
        assert_eq!(parse_value("9007199254740993", float), Ok(Value::Float(9_007_199_254_740_992.0)));
        assert_eq!(parse_value("1e-400", float), Ok(Value::Float(0.0)));
        assert_eq!(parse_value("1.7976931348623157e308", float), Ok(Value::Float(f64::MAX)));
        assert!(parse_value("1e400", float).is_err());
        assert!(parse_value("-1e400", float).is_err());
    }

    #[test]
    fn without_a_type_the_spelling_decides() {
        assert_eq!(parse_value("60", None), Ok(Value::Int(60)));
        assert_eq!(parse_value("60.0", None), Ok(Value::Float(60.0)));
        assert_eq!(parse_value("6e1", None), Ok(Value::Float(60.0)));
        assert_eq!(parse_value("-0", None), Ok(Value::Int(0)));
        assert_eq!(parse_value("9223372036854775807", None), Ok(Value::Int(i64::MAX)));
        assert!(parse_value("9223372036854775808", None).is_err());
        assert!(parse_value("1e999", None).is_err());
    }
}
