//! The fields of a JSON object, each still in its own words, and each at most once: also those that nobody asks for (S2).
//! Knows JSON, not what a field means.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Most fields of one object. The page's largest has six; what else clients send is little.
const FIELDS_MAX: usize = 64;

/// What the error of a repeated field begins with; the field's name follows.
const TWICE: &str = "twice: ";

/// The fields of an object, in its order.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Why an object was not read.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Unread {
    /// A field of this name is given twice.
    Twice(String),
    /// What is wrong with it.
    Wrong(String),
}

/// A name that borrows from the text unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    pub(super) fn parse(object: &'a str) -> Result<Self, Unread> {
        serde_json::from_str(object).map_err(|error| {
            let error = error.to_string();
            match error.strip_prefix(TWICE).and_then(|rest| rest.rsplit_once(" at line ")) {
                Some((name, _)) => Unread::Twice(name.to_owned()),
                None => Unread::Wrong(error),
            }
        })
    }

    /// The JSON text of a field's value; `null` is none.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(each, _)| each == name)?;
        Some(value.get()).filter(|json| *json != "null")
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &RawValue)> = Vec::with_capacity(8);
        while let Some((Name(name), value)) = map.next_entry()? {
            if fields.iter().any(|(earlier, _)| *earlier == name) {
                return Err(A::Error::custom(format_args!("{TWICE}{name}")));
            }
            if fields.len() == FIELDS_MAX {
                return Err(A::Error::custom(format_args!("has more than {FIELDS_MAX} fields")));
            }
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Vec<String>, Unread> {
        Fields::parse(json).map(|fields| fields.0.iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn every_field_comes_once_whatever_its_name_and_value() {
        assert_eq!(parse(r#"{"a":1,"b":{"a":[2]}}"#), Ok(vec!["a=1".into(), r#"b={"a":[2]}"#.into()]));
        for twice in [r#"{"a":1,"b":2,"a":1}"#, r#"{"a":null,"\u0061":null}"#] {
            assert_eq!(parse(twice), Err(Unread::Twice("a".into())), "{twice}");
        }
        assert_eq!(parse(r#"{" at line 1":1," at line 1":1}"#), Err(Unread::Twice(" at line 1".into())));
        let many = |count: usize| {
            let fields: Vec<String> = (0..count).map(|each| format!("\"f{each}\":0")).collect();
            parse(&format!("{{{}}}", fields.join(",")))
        };
        assert!(many(64).is_ok());
        assert!(matches!(many(65), Err(Unread::Wrong(why)) if why.contains("more than 64 fields")));
    }

    #[test]
    fn null_is_no_value() {
        let fields = Fields::parse(r#"{"a":null,"b":0}"#).unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(fields.get("b"), Some("0"));
        assert!(fields.get("a").is_none() && fields.get("c").is_none());
    }
}
