//! The part of an address behind the question mark: filters, and which page of a list.

use super::error::{Code, Refusal};

/// Most elements of a page.
const LIMIT_MAX: usize = 1_000;

/// Names and values of an address.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

/// A page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) offset: usize,
    /// The id of the last element of the page before.
    pub(super) marker: Option<String>,
}

impl Query {
    pub(super) fn read(text: Option<&str>) -> Self {
        Self(form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A value; an empty one says nothing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(each, _)| each == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a value is not asked for to be another one.
    pub(super) fn fits(&self, name: &str, value: &str) -> bool {
        self.get(name).is_none_or(|wanted| wanted == value)
    }

    pub(super) fn page(&self, limit_otherwise: usize) -> Result<Page, Refusal> {
        let number = |name: &str, otherwise: usize| match self.get(name) {
            None => Ok(otherwise),
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::new(Code::Parameter, format!("{name} must be an integer that is not negative"))),
        };
        let limit = number("limit", limit_otherwise)?.min(LIMIT_MAX);
        Ok(Page { limit, offset: number("offset", 0)?, marker: self.get("marker").map(str::to_owned) })
    }
}

impl Page {
    /// The elements of this page, and whether there are more behind it.
    ///
    /// # Errors
    /// A marker that is no element.
    pub(super) fn cut<'a, T>(&self, all: &'a [T], id: impl Fn(&T) -> &str) -> Result<(&'a [T], bool), Refusal> {
        let start = match &self.marker {
            None => 0,
            Some(marker) => {
                let place = all.iter().position(|each| id(each) == marker);
                place
                    .ok_or_else(|| Refusal::new(Code::Parameter, format!("the marker {marker:?} is not in the list")))?
                    + 1
            }
        };
        let start = start.saturating_add(self.offset).min(all.len());
        let end = start.saturating_add(self.limit).min(all.len());
        Ok((&all[start..end], end < all.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_by_offset_and_by_marker() {
        let all = ["a", "b", "c", "d"];
        let cut = |text: &str| {
            let page = Query::read(Some(text)).page(3).ok()?;
            page.cut(&all, |each| each).ok().map(|(page, more)| (page.concat(), more))
        };
        let page = |text: &str, more| Some((text.to_owned(), more));
        for (query, wanted) in [
            ("", page("abc", true)),
            ("limit=2", page("ab", true)),
            ("limit=2&offset=2", page("cd", false)),
            ("limit=2&marker=b", page("cd", false)),
            ("marker=d", page("", false)),
            ("limit=0", page("", true)),
            ("offset=9", page("", false)),
            ("marker=a&offset=1", page("cd", false)),
            ("marker=x", None),
            ("limit=-1", None),
            ("offset=x", None),
        ] {
            assert_eq!(cut(query), wanted, "{query}");
        }
        assert_eq!(Query::read(Some("limit=5000")).page(1).map(|page| page.limit).ok(), Some(LIMIT_MAX));
    }
}
