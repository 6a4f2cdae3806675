//! The tokens that were issued to those who logged in. Each lives for a day; when there are too many the oldest go.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Print, is_same, print_of};
use crate::model::time::Timestamp;

/// How long an issued token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(86_400);

/// Most issued tokens at a time: some are compared for each request.
const ISSUED_MAX: usize = 1_000;

/// What a token lets somebody do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::server) struct Grant {
    pub(in crate::server) user: String,
    pub(in crate::server) project: String,
    pub(in crate::server) issued: Timestamp,
}

impl Grant {
    pub(in crate::server) fn expires(&self) -> Timestamp {
        self.issued + TOKEN_LIFE
    }
}

/// The tokens that are out.
#[derive(Debug, Default)]
pub(in crate::server) struct Issued(Mutex<VecDeque<(Print, Grant)>>);

impl Issued {
    pub(in crate::server) fn add(&self, token: &str, grant: Grant) {
        let mut tokens = self.0.lock();
        if tokens.len() == ISSUED_MAX {
            tokens.pop_front();
        }
        tokens.push_back((print_of(token), grant));
    }

    pub(in crate::server) fn find(&self, token: &str, now: Timestamp) -> Option<Grant> {
        let print = print_of(token);
        let tokens = self.0.lock();
        let found = tokens.iter().find(|(each, _)| is_same(each, &print));
        found.map(|(_, grant)| grant.clone()).filter(|grant| now < grant.expires())
    }

    /// Ends a token; whether it was out.
    pub(in crate::server) fn revoke(&self, token: &str) -> bool {
        let print = print_of(token);
        let mut tokens = self.0.lock();
        let before = tokens.len();
        tokens.retain(|(each, _)| !is_same(each, &print));
        tokens.len() < before
    }

    pub(in crate::server) fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_for_a_day_and_the_oldest_makes_way() {
        let issued = Issued::default();
        let grant = Grant { user: "u".into(), project: "p".into(), issued: Timestamp::EPOCH };
        issued.add("first", grant.clone());
        let last = Timestamp::EPOCH + TOKEN_LIFE - Duration::from_millis(1);
        assert_eq!(issued.find("first", last), Some(grant.clone()));
        assert_eq!(issued.find("first", Timestamp::EPOCH + TOKEN_LIFE), None);
        assert_eq!(issued.find("other", last), None);
        for number in 0..ISSUED_MAX {
            issued.add(&number.to_string(), grant.clone());
        }
        assert_eq!(issued.find("first", last), None);
        assert!(issued.find("0", last).is_some());
        assert!(issued.revoke("0") && !issued.revoke("0"));
    }
}
