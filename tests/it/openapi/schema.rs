//! Values held against the schemas of the document, as far as it uses them: `$ref`, `type`, `enum`, `properties`,
//! `required`, `additionalProperties`, `items` and bounds. What a schema does not name, a value does not have.

use serde_json::Value;

/// What is only for people to read, or is checked beside it.
const WORDS: [&str; 4] = ["description", "format", "default", "pattern"];

/// Schemas within one document.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'a>(pub(super) &'a Value);

impl<'a> Schemas<'a> {
    /// What a reference leads to, or the same where it is none.
    pub(super) fn resolve(self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        let pointer = reference.strip_prefix('#').expect("inside of the document");
        self.resolve(self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere")))
    }

    /// What is wrong with a value, each with its place.
    pub(super) fn faults(self, schema: &'a Value, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.walk(schema, value, "", &mut faults);
        faults
    }

    fn walk(self, schema: &'a Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        let schema = self.resolve(schema).as_object().expect("a schema is an object");
        for (keyword, wanted) in schema {
            let holds = match keyword.as_str() {
                "type" => types(wanted).any(|name| is_of(name, value)),
                "enum" => wanted.as_array().expect("a list").contains(value),
                "minimum" => value.as_f64() >= wanted.as_f64() || value.is_null(),
                "maximum" => value.as_f64() <= wanted.as_f64(),
                "minItems" => value.as_array().map(Vec::len) >= count(wanted),
                "maxItems" => value.as_array().map(Vec::len) <= count(wanted),
                "maxLength" => value.as_str().map(|text| text.chars().count()) <= count(wanted),
                "required" => {
                    let names = wanted.as_array().expect("a list").iter().filter_map(Value::as_str);
                    let missing: Vec<_> = names.filter(|name| value.get(name).is_none()).collect();
                    faults.extend(missing.iter().map(|name| format!("{place} lacks {name}")));
                    true
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.walk(wanted, item, &format!("{place}/{index}"), faults);
                    }
                    true
                }
                "properties" | "additionalProperties" => true,
                // A word that is not looked at holds for nothing.
                _ => WORDS.contains(&keyword.as_str()),
            };
            if !holds {
                faults.push(format!("{place}: {value} against {keyword} {wanted}"));
            }
        }
        let (named, other) = (schema.get("properties"), schema.get("additionalProperties"));
        for (name, field) in value.as_object().into_iter().flatten() {
            let place = format!("{place}/{name}");
            match (named.and_then(|named| named.get(name)), other) {
                (Some(schema), _) => self.walk(schema, field, &place, faults),
                (None, Some(other)) if other.is_object() => self.walk(other, field, &place, faults),
                (None, Some(other)) if *other == true => {}
                (None, _) if named.is_some() || other.is_some() => faults.push(format!("{place} is not told")),
                // Of an object of any fields.
                (None, _) => {}
            }
        }
    }
}

fn types(wanted: &Value) -> impl Iterator<Item = &str> {
    let several = wanted.as_array().into_iter().flatten();
    std::iter::once(wanted).chain(several).filter_map(Value::as_str)
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => panic!("there is no type {name}"),
    }
}

fn count(wanted: &Value) -> Option<usize> {
    wanted.as_u64().and_then(|count| usize::try_from(count).ok())
}
