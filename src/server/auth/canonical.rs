//! A request in the one form that both sides of a signature can agree on. Published by the clients' own signers; what is
//! signed and how is the business of `signature`.

use std::fmt::Write as _;

use axum::http::{HeaderMap, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::server::ids::hex;

/// What is written with a percent sign: all but letters, digits and these four.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request as it came.
pub(super) struct Signed<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Names of the headers that are signed, in the order of the signature.
    pub(super) names: &'a [&'a str],
    /// Stands for the body: its hash in hex, as a rule.
    pub(super) payload: &'a str,
}

/// Where one of the clients signs something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Habit {
    /// As it is published.
    None,
    /// Runs of white space in the values of headers are one blank.
    OneBlank,
    /// Of a POST without a body the query is signed as the body, and an empty query.
    QueryAsBody,
    /// Both.
    Both,
}

impl Habit {
    pub(super) const ALL: [Self; 4] = [Self::None, Self::OneBlank, Self::QueryAsBody, Self::Both];

    fn joins_blanks(self) -> bool {
        matches!(self, Self::OneBlank | Self::Both)
    }

    fn moves_query(self) -> bool {
        matches!(self, Self::QueryAsBody | Self::Both)
    }
}

/// The hash of the canonical request, in hex; none if a header that is signed is not there.
pub(super) fn hash(signed: &Signed<'_>, habit: Habit) -> Option<String> {
    let Signed { method, uri, headers, names, payload } = signed;
    let mut text = format!("{method}\n{}\n", path(uri.path()));
    if !habit.moves_query() {
        text.push_str(&query(uri.query().unwrap_or_default()));
    }
    text.push('\n');
    for name in *names {
        let mut values = headers.get_all(*name).iter();
        let value = values.next()?.to_str().ok()?.trim();
        if values.next().is_some() {
            // Nobody says which of them is signed.
            return None;
        }
        let value =
            if habit.joins_blanks() { value.split_whitespace().collect::<Vec<_>>().join(" ") } else { value.into() };
        writeln!(text, "{name}:{value}").expect("memory takes every write");
    }
    let moved = habit.moves_query().then(|| hash_of(query(uri.query().unwrap_or_default()).as_bytes()));
    write!(text, "\n{}\n{}", names.join(";"), moved.as_deref().unwrap_or(payload)).expect("memory takes every write");
    Some(hash_of(text.as_bytes()))
}

/// SHA-256 in hex.
pub(super) fn hash_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Each segment decoded and encoded anew, and a `/` at the end.
fn path(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let plain: Vec<u8> = percent_decode_str(segment).collect();
        percent_encoding::percent_encode(&plain, &ENCODED).to_string()
    });
    let mut path = segments.collect::<Vec<_>>().join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// Parameters in order of names and, for one name, of values.
fn query(query: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    pairs.sort();
    let encode = |text: &str| utf8_percent_encode(text, &ENCODED).to_string();
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_have_one_form() {
        assert_eq!(path("/V1.0/p/metric-data"), "/V1.0/p/metric-data/");
        assert_eq!(path("/a%2cb/~x y/"), "/a%2Cb/~x%20y/");
        assert_eq!(path("/"), "/");
        assert_eq!(query("b=2&a=x,y&a=%41&c"), "a=A&a=x%2Cy&b=2&c=");
        assert_eq!(query(""), "");
    }
}
