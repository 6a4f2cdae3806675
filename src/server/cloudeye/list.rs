//! The list of series: from the parameters of a request to a page of it. A page is found by where its series stand in the
//! order of keys, so that a page beyond the end is empty and a series that has gone meanwhile is no trouble.
//!
//! The pages sort "by timestamp" without saying of what; here the order is that of the names, which never changes, and
//! `desc` is the other way round.

use super::datapoints::{Text, shown};
use super::error::{Code, Refusal};
use super::grammar::Name;
use super::json::{cut, json};
use super::metric::put_name;
use super::parameters::{Parameters, wrong};
use super::units::last_units;
use crate::db::Db;
use crate::model::selector::{Order, Selector};
use crate::model::series::SeriesKey;
use crate::server::rules::{Rules, order_named};

/// What was asked.
#[derive(Debug)]
pub(super) struct Listing {
    selector: Selector,
    /// The last series of the page before.
    start: Option<SeriesKey>,
    order: Order,
    limit: u32,
}

impl Listing {
    /// Reads the part of the URL behind the question mark. Parameters that are not known are passed over.
    pub(super) fn parse(query: &str, rules: &Rules) -> Result<Self, Refusal> {
        let parameters = Parameters::parse(query)?;
        let mut selector = Selector::all();
        if let Some(namespace) = parameters.name("namespace", Name::Namespace, rules)? {
            selector = selector.namespace(namespace);
        }
        if let Some(metric) = parameters.name("metric_name", Name::Metric, rules)? {
            selector = selector.metric(metric);
        }
        for (name, value) in parameters.dimensions(rules)? {
            selector = selector.dimension(name, value);
        }
        let order = parameters.get("order").map_or(Some(rules.list_order), order_named);
        let order = order.ok_or_else(|| wrong("order", "must be asc or desc"))?;
        // Some clients always send it, and have none for their first page.
        let marker = parameters.get("start").filter(|marker| !marker.is_empty());
        let start = marker.map(|marker| {
            read_marker(marker).ok_or_else(|| {
                let form = "namespace.metric_name.key:value";
                Refusal::new(Code::Paging, format!("start must be {form} as in a marker, not {:?}", cut(marker)))
            })
        });
        Ok(Self { selector, start: start.transpose()?, order, limit: parameters.limit(rules.list_limit)? })
    }

    /// The body of the answer. Without a database there are no series.
    pub(super) fn answer(&self, db: Option<&Db>) -> Result<(Vec<u8>, usize), Refusal> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let page = db.map(|db| db.series_page(&self.selector, self.start.as_ref(), self.order, limit));
        let page = page.transpose()?.unwrap_or_default();
        let units = db.map_or_else(|| Ok(Vec::new()), |db| last_units(db, &page.keys))?;
        let mut text = Text::new(too_long);
        text.put("{\"metrics\":[");
        for (position, (key, unit)) in page.keys.iter().zip(&units).enumerate() {
            text.put(if position == 0 { "{" } else { ",{" });
            put_name(key, &mut text);
            text.put(&format!(",\"unit\":{}}}", json(shown(unit.as_ref()))));
            text.check()?;
        }
        let marker = json(&page.keys.last().map(marker).unwrap_or_default());
        let (count, total) = (page.keys.len(), page.total);
        text.put(&format!("],\"meta_data\":{{\"count\":{count},\"marker\":{marker},\"total\":{total}}}}}"));
        Ok((text.into_bytes()?, 0))
    }
}

/// The name of a series as the pages write it, `namespace.metric_name.key:value.key:value`. What the page allows in names
/// stands as it is; what only `lab` allows and would be taken for a mark is written as in a URL.
fn marker(series: &SeriesKey) -> String {
    let mut text = escaped(series.namespace(), &[':']);
    text = format!("{text}.{}", escaped(series.metric(), &['.', ':']));
    for dimension in series.dimensions() {
        let (name, value) = (escaped(dimension.name, &['.', ':']), escaped(dimension.value, &['.', ':']));
        text = format!("{text}.{name}:{value}");
    }
    text
}

/// The series of a marker, which need not exist. Clients also make markers themselves, in which dots of a value stand as
/// they are.
fn read_marker(text: &str) -> Option<SeriesKey> {
    let (names, dimensions) = match text.find(':') {
        Some(colon) => {
            let dot = text[..colon].rfind('.')?;
            (&text[..dot], Some(&text[dot + 1..]))
        }
        None => (text, None),
    };
    let (namespace, metric) = names.rsplit_once('.')?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in dimensions.into_iter().flat_map(|dimensions| dimensions.split('.')) {
        match (part.split_once(':'), pairs.last_mut()) {
            (Some((name, value)), _) => pairs.push((unescaped(name), unescaped(value))),
            (None, Some((_, value))) => *value = format!("{value}.{}", unescaped(part)),
            (None, None) => return None,
        }
    }
    SeriesKey::new(unescaped(namespace), unescaped(metric), pairs).ok()
}

fn escaped(text: &str, marks: &[char]) -> String {
    let mut out = text.replace('%', "%25");
    for mark in marks {
        out = out.replace(*mark, if *mark == '.' { "%2E" } else { "%3A" });
    }
    out
}

fn unescaped(text: &str) -> String {
    text.replace("%2E", ".").replace("%3A", ":").replace("%25", "%")
}

fn too_long() -> Refusal {
    Refusal::new(Code::Paging, "limit leaves a page with more text than one answer has room for: ask for a shorter one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, metric: &str, dimensions: &[(&str, &str)]) -> SeriesKey {
        SeriesKey::new(namespace, metric, dimensions.iter().copied()).expect("valid")
    }

    #[test]
    fn markers_look_as_the_page_has_them_and_lead_back() {
        // Goal: the published form to the letter, and every name of the lab comes back too.
        let published = key("SYS.ECS", "cpu_util", &[("instance_id", "d9112af5"), ("disk", "vda")]);
        assert_eq!(marker(&published), "SYS.ECS.cpu_util.instance_id:d9112af5.disk:vda");
        let odd = [
            key("A", "m", &[]),
            key("A.B.C", "m", &[]),
            key("a:b.c", "m.n:o", &[("x.y", "1:2.3"), ("z:", "%2E%25%")]),
            key("A.B", "%", &[("n", ".")]),
        ];
        for series in odd.iter().chain([&published]) {
            assert_eq!(read_marker(&marker(series)).as_ref(), Some(series), "{}", marker(series));
        }
    }

    #[test]
    fn a_marker_that_a_client_made_may_have_dots_in_its_values() {
        let made = read_marker("A.B.m.ip:10.0.0.1.v6:fe80::1").expect("a series");
        assert_eq!(made, key("A.B", "m", &[("ip", "10.0.0.1"), ("v6", "fe80::1")]));
        for bad in ["A", "A.", ".m", "A.B.", "x:y", "A.x:y", "A.B.m.n:", "A.B.m.:v", "A.B.m.n:1.n:2", ":", "."] {
            assert!(read_marker(bad).is_none(), "{bad}");
        }
    }
}
