//! What names may look like on the wire (S2). Knows text and lengths only; which of it applies is up to the rules.

use crate::model::limits::{
    DIMENSION_NAME_BYTES_MAX, DIMENSION_VALUE_BYTES_MAX, METRIC_BYTES_MAX, NAMESPACE_BYTES_MAX,
};
use crate::server::rules::Rules;

/// Shortest and longest namespace of the page, in characters.
const NAMESPACE_CHARS: std::ops::RangeInclusive<usize> = 3..=32;

/// Longest metric name of the published editions, in characters.
const METRIC_CHARS_MAX: usize = 96;

/// Longest dimension name of the page, in characters.
const DIMENSION_NAME_CHARS_MAX: usize = 32;

/// Longest dimension value of the page, in characters.
const DIMENSION_VALUE_CHARS_MAX: usize = 256;

/// Longest name of an event, in characters.
const EVENT_NAME_CHARS_MAX: usize = 64;

/// Services whose metrics only the real service itself may write.
const SYSTEM_SERVICES: [&str; 2] = ["SYS", "AGT"];

/// A further one of the page as it is published since 2022.
const SYSTEM_SERVICE_SINCE_2022: &str = "SRE";

/// The one namespace outside of [`SYSTEM_SERVICES`] that is the real service's own.
const SYSTEM_NAMESPACE: &str = "SERVICE.BMS";

/// The names a series is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    Namespace,
    Metric,
    /// Of a dimension.
    Dimension,
    /// The value of a dimension, which is a name as well.
    Value,
}

impl Name {
    /// Holds a name against the rules. The error completes a sentence that begins with the field's name.
    pub(super) fn check(self, text: &str, rules: &Rules) -> Result<(), String> {
        let is_formed = match self {
            Self::Namespace => rules.is_namespace_formed,
            Self::Metric => rules.is_metric_formed,
            Self::Dimension => rules.is_dimension_formed,
            Self::Value => rules.is_value_formed,
        };
        match is_formed {
            true if self.follows_the_page(text) => Ok(()),
            true => Err(self.rule().into()),
            false => self.check_length(text),
        }
    }

    /// Only what the engine can hold.
    pub(super) fn check_length(self, text: &str) -> Result<(), String> {
        let bytes_max = match self {
            Self::Namespace => NAMESPACE_BYTES_MAX,
            Self::Metric => METRIC_BYTES_MAX,
            Self::Dimension => DIMENSION_NAME_BYTES_MAX,
            Self::Value => DIMENSION_VALUE_BYTES_MAX,
        };
        match text.len() {
            0 => Err("must not be empty".into()),
            bytes if bytes > bytes_max => Err(format!("has {bytes} bytes, at most {bytes_max} fit")),
            _ => Ok(()),
        }
    }

    // Every allowed character is one byte, so past the alphabet a length in bytes is one in characters.
    fn follows_the_page(self, text: &str) -> bool {
        match self {
            Self::Namespace => {
                let parts = text.split_once('.');
                NAMESPACE_CHARS.contains(&text.len())
                    && parts.is_some_and(|(service, item)| [service, item].iter().all(|part| is_word(part, is_letter)))
            }
            Self::Metric => text.len() <= METRIC_CHARS_MAX && is_hyphenated_word(text, is_letter),
            Self::Dimension => text.len() <= DIMENSION_NAME_CHARS_MAX && is_hyphenated_word(text, is_letter),
            Self::Value => {
                text.len() <= DIMENSION_VALUE_CHARS_MAX && is_hyphenated_word(text, |byte| byte.is_ascii_alphanumeric())
            }
        }
    }

    fn rule(self) -> &'static str {
        match self {
            Self::Namespace => {
                "must be service.item, 3 to 32 characters, each part a letter followed by letters, digits or _"
            }
            Self::Metric => "must be 1 to 96 characters, a letter followed by letters, digits, _ or -",
            Self::Dimension => "must be 1 to 32 characters, a letter followed by letters, digits, _ or -",
            Self::Value => "must be 1 to 256 characters, a letter or digit followed by letters, digits, _ or -",
        }
    }
}

/// Whether a namespace belongs to the service itself, so that nobody else may write to it.
pub(super) fn is_system_namespace(namespace: &str, rules: &Rules) -> bool {
    let is_system =
        namespace == SYSTEM_NAMESPACE || SYSTEM_SERVICES.iter().any(|service| namespace.starts_with(service));
    (rules.is_system_reserved && is_system)
        || (rules.is_sre_reserved && namespace.starts_with(SYSTEM_SERVICE_SINCE_2022))
}

/// An event's source: empty, or written like a namespace.
pub(super) fn is_event_source(text: &str) -> bool {
    text.is_empty() || Name::Namespace.follows_the_page(text)
}

/// A letter, then letters, digits or `_`.
pub(super) fn is_event_name(text: &str) -> bool {
    text.len() <= EVENT_NAME_CHARS_MAX && is_word(text, is_letter)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

fn is_word(text: &str, is_first: impl Fn(u8) -> bool) -> bool {
    matches!(text.as_bytes(), [first, rest @ ..]
        if is_first(*first) && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'))
}

fn is_hyphenated_word(text: &str, is_first: impl Fn(u8) -> bool) -> bool {
    matches!(text.as_bytes(), [first, rest @ ..]
        if is_first(*first) && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::profile::Profile;

    fn good(name: Name, texts: &[&str]) {
        for text in texts {
            assert_eq!(name.check(text, &Rules::of(Profile::Document)), Ok(()), "{name:?} {text:?}");
        }
    }

    fn bad(name: Name, texts: &[&str]) {
        for text in texts {
            assert!(name.check(text, &Rules::of(Profile::Document)).is_err(), "{name:?} {text:?}");
        }
    }

    #[test]
    fn namespaces_are_two_words_and_a_dot() {
        // S2. Goal: the grammar and both lengths. Method: each rule just kept and just broken.
        let longest = format!("A.{}", "b".repeat(30));
        good(Name::Namespace, &["A.B", "MINE.APP", "m1_.a_2", &longest]);
        let too_long = format!("{longest}b");
        bad(Name::Namespace, &["", "A", "AB", "A.", ".B", "AAA", "A.B.C", "1A.B", "A.1", "_A.B", "A.B-C", &too_long]);
        bad(Name::Namespace, &[" A.B", "A.B ", "A.\u{e4}", "A.B\n", "A.B\0"]);
    }

    #[test]
    fn other_names_keep_their_alphabet_and_length() {
        let n = |count: usize| "x".repeat(count);
        good(Name::Metric, &["a", "cpu_util", "A-1_b", &n(96)]);
        bad(Name::Metric, &["", "1a", "_a", "-a", "a.b", "a b", "\u{e9}", &n(97)]);
        good(Name::Dimension, &["a", "instance_id", "a-b", &n(32)]);
        bad(Name::Dimension, &["", "1a", "_a", "a,b", &n(33)]);
        good(Name::Value, &["0", "a", "33328f02-3814-422e-b688-bfdba93d4050", &n(256)]);
        bad(Name::Value, &["", "_", "-1", "a/b", &n(257)]);
    }

    #[test]
    fn system_namespaces_are_told_apart_by_exact_case() {
        let profiles = [Profile::Document, Profile::Current, Profile::Lab];
        let whose = |namespace: &str| profiles.map(|profile| is_system_namespace(namespace, &Rules::of(profile)));
        assert!(
            ["SYS.ECS", "SYSTEM.A", "AGT.ECS", "SERVICE.BMS"]
                .into_iter()
                .all(|name| whose(name) == [true, true, false])
        );
        let own = ["MINE.SYS", "sys.ecs", "SERVICE.BMS2", "XSYS.A", "service.bms", "sre.a", "MINE.SRE"];
        assert!(own.into_iter().all(|name| whose(name) == [false; 3]));
        assert_eq!(whose("SRE.A"), [false, true, false]);
    }

    #[test]
    fn the_lab_knows_lengths_only() {
        let lab = Rules::of(Profile::Lab);
        assert_eq!(Name::Namespace.check("any thing / at all", &lab), Ok(()));
        assert_eq!(Name::Namespace.check(&"x".repeat(NAMESPACE_BYTES_MAX), &lab), Ok(()));
        assert!(Name::Namespace.check(&"x".repeat(NAMESPACE_BYTES_MAX + 1), &lab).is_err());
        assert!(Name::Metric.check("", &lab).is_err());
    }
}
