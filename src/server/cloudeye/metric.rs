//! What names a series in a body, the same in items that are written, in questions and in answers: from its JSON text to
//! a key, and back.

use std::borrow::Cow;

use super::datapoints::Text;
use super::error::Code;
use super::grammar::{Name, is_system_namespace};
use super::json::{Checked, Fault, array, json, object, quote, required, text};
use crate::model::series::SeriesKey;
use crate::server::rules::Rules;

/// What the name is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Write,
    Read,
}

/// The key that an object with `namespace`, `dimensions` and `metric_name` means; `field` names the object.
pub(super) fn series(json: &str, field: &str, purpose: Purpose, rules: &Rules) -> Checked<SeriesKey> {
    let metric = object(json, field)?;
    let at = |name: &str| format!("{field}.{name}");
    let namespace = name(metric.get("namespace"), Name::Namespace, &at("namespace"), rules)?;
    if purpose == Purpose::Write && is_system_namespace(&namespace, rules) {
        let why = "belongs to the service itself; choose a namespace of your own";
        return Err(Fault { code: Code::SystemMetric, ..Fault::new(&at("namespace"), why) });
    }
    let list = at("dimensions");
    let dimensions = dimensions(required(metric.get("dimensions"), &list)?, &list, purpose, rules)?;
    let metric_name = name(metric.get("metric_name"), Name::Metric, &at("metric_name"), rules)?;
    SeriesKey::new(namespace, metric_name, dimensions).map_err(|error| Fault::new(field, error))
}

/// Writes the fields that name a series.
pub(super) fn put_name(series: &SeriesKey, text: &mut Text) {
    text.put(&format!("\"namespace\":{},\"dimensions\":[", json(series.namespace())));
    for (position, dimension) in series.dimensions().enumerate() {
        let separator = if position == 0 { "" } else { "," };
        let (name, value) = (json(dimension.name), json(dimension.value));
        text.put(&format!("{separator}{{\"name\":{name},\"value\":{value}}}"));
    }
    text.put(&format!("],\"metric_name\":{}", json(series.metric())));
}

fn dimensions<'a>(
    json: &'a str,
    field: &str,
    purpose: Purpose,
    rules: &Rules,
) -> Checked<Vec<(Cow<'a, str>, Cow<'a, str>)>> {
    let raws = array(json, field)?;
    let allowed = rules.dimensions;
    if !u32::try_from(raws.len()).is_ok_and(|count| allowed.contains(count)) {
        let (count, least, most) = (raws.len(), allowed.least, allowed.most);
        return Err(Fault::new(field, format_args!("has {count} elements, {least} to {most} are allowed")));
    }
    let mut dimensions: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(raws.len());
    for (position, raw) in raws.into_iter().enumerate() {
        let field = format!("{field}[{position}]");
        let dimension = object(raw.get(), &field)?;
        let name_field = format!("{field}.name");
        let name_text = name(dimension.get("name"), Name::Dimension, &name_field, rules)?;
        if dimensions.iter().any(|(earlier, _)| *earlier == name_text) {
            return Err(Fault::new(&name_field, format_args!("{} is given twice", quote(&name_text))));
        }
        let value_field = format!("{field}.value");
        let value_text = match purpose {
            Purpose::Write => name(dimension.get("value"), Name::Value, &value_field, rules)?,
            Purpose::Read => asked_value(dimension.get("value"), &value_field)?,
        };
        dimensions.push((name_text, value_text));
    }
    Ok(dimensions)
}

/// The published query side knows more characters in values than the ingest side: no series has them.
fn asked_value<'a>(json: Option<&'a str>, field: &str) -> Checked<Cow<'a, str>> {
    let value = text(required(json, field)?, field)?;
    Name::Value.check_length(&value).map_err(|why| Fault::new(field, why))?;
    Ok(value)
}

fn name<'a>(json: Option<&'a str>, kind: Name, field: &str, rules: &Rules) -> Checked<Cow<'a, str>> {
    let name = text(required(json, field)?, field)?;
    match kind.check(&name, rules) {
        Ok(()) => Ok(name),
        Err(why) => Err(Fault::new(field, format_args!("{why}, not {}", quote(&name)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::profile::Profile;

    #[test]
    fn what_may_be_asked_for_is_more_than_what_may_be_written() {
        // Goal: a question about what nobody can write is answered with nothing, not refused.
        let rules = Rules::of(Profile::Document);
        for (namespace, value) in [("SYS.ECS", "a"), ("SERVICE.BMS", "a"), ("A.B", "a/b.c#(d)"), ("A.B", "*x")] {
            let json = format!(
                r#"{{"namespace":"{namespace}","metric_name":"m","dimensions":[{{"name":"n","value":"{value}"}}]}}"#
            );
            assert!(series(&json, "metric", Purpose::Write, &rules).is_err(), "{json}");
            let asked = series(&json, "metric", Purpose::Read, &rules).unwrap_or_else(|fault| panic!("{fault:?}"));
            assert_eq!((asked.namespace(), asked.dimension("n")), (namespace, Some(value)));
        }
    }
}
