//! The requests that a server has received, for tests to look at: the last ones, and of long bodies the beginning.
//! Decides nothing about them.

use std::collections::VecDeque;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, request};
use parking_lot::Mutex;

use crate::model::time::Timestamp;

/// Most requests that are kept; the oldest makes way.
const REQUESTS_MAX: usize = 1_000;

/// Most bytes of a body that are kept.
const BODY_BYTES_KEPT: usize = 64 << 10;

/// Most bytes that are kept in all, of bodies, headers and addresses, so that the journal stays small beside the
/// requests in flight.
const BYTES_MAX: usize = 16 << 20;

/// Headers whose values let others in.
const SECRETS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-security-token"),
    HeaderName::from_static("x-subject-token"),
];

/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// A request as a server received it. See [`MockServer::received_requests`](crate::server::MockServer::received_requests).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// How many came before, since the start or the last time the journal was emptied.
    pub number: u64,
    /// When, by the server's clock.
    pub time: Timestamp,
    /// What the answer's `x-request-id` says.
    pub request_id: String,
    /// The name of the operation in the OpenAPI document; `unknown` for what is none.
    pub operation: &'static str,
    /// Such as `POST`.
    pub method: String,
    /// The path as it came, without the query.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Option<String>,
    /// Names in lower case, and values, in their order. Where credentials are asked for, they are hidden.
    pub headers: Vec<(String, String)>,
    /// The first 64 KiB of the body, as it came.
    pub body: Vec<u8>,
    /// The length of the whole body.
    pub body_bytes: usize,
    /// The status of the answer; none as long as there is none, and if the connection was dropped instead.
    pub status: Option<u16>,
}

/// The last requests.
#[derive(Debug)]
pub(super) struct Journal {
    keeps: Keeps,
    state: Mutex<State>,
}

/// What is kept of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keeps {
    /// Nothing: there is no door at which anybody could ask for it.
    Nothing,
    /// All but what lets others in.
    NoSecrets,
    All,
}

#[derive(Debug, Default)]
struct State {
    /// Numbers go up by one.
    requests: VecDeque<ReceivedRequest>,
    next: u64,
    bytes: usize,
    /// Counts how often the journal was emptied, so that an answer to what was forgotten is told from others.
    age: u64,
}

/// Where a request stands in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    age: u64,
    number: u64,
}

impl Journal {
    pub(super) fn new(keeps: Keeps) -> Self {
        Self { keeps, state: Mutex::default() }
    }

    pub(super) fn note(
        &self,
        time: Timestamp,
        request_id: &str,
        operation: &'static str,
        head: &request::Parts,
        body: &[u8],
    ) -> Option<Entry> {
        if self.keeps == Keeps::Nothing {
            return None;
        }
        let hides = self.keeps == Keeps::NoSecrets;
        let text = |name: &HeaderName, value: &[u8]| {
            let is_hidden = hides && SECRETS.contains(name);
            if is_hidden { HIDDEN.to_owned() } else { String::from_utf8_lossy(value).into_owned() }
        };
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(name, value.as_bytes())));
        // A log-in tells a password.
        let kept = if hides && operation == "create_token" { 0 } else { body.len().min(BODY_BYTES_KEPT) };
        let request = ReceivedRequest {
            number: 0,
            time,
            request_id: request_id.to_owned(),
            operation,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: headers.collect(),
            body: body[..kept].to_vec(),
            body_bytes: body.len(),
            status: None,
        };
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.bytes += bytes_of(&request);
        state.requests.push_back(ReceivedRequest { number, ..request });
        while state.requests.len() > REQUESTS_MAX || state.bytes > BYTES_MAX {
            let oldest = state.requests.pop_front().expect("the newest alone is within both bounds");
            state.bytes -= bytes_of(&oldest);
        }
        Some(Entry { age: state.age, number })
    }

    /// Notes the status of an answer, if its request is still here.
    pub(super) fn answered(&self, entry: Entry, status: u16) {
        let mut state = self.state.lock();
        let first = state.requests.front().map_or(0, |request| request.number);
        let place = entry.number.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        let place = place.filter(|_| entry.age == state.age);
        if let Some(request) = place.and_then(|place| state.requests.get_mut(place)) {
            request.status = Some(status);
        }
    }

    /// The requests that are kept, in the order in which they came.
    pub(super) fn list(&self) -> Vec<ReceivedRequest> {
        self.state.lock().requests.iter().cloned().collect()
    }

    /// The first of those whose number is this or more.
    pub(super) fn first_from(&self, number: u64) -> Option<ReceivedRequest> {
        let state = self.state.lock();
        let first = state.requests.front()?.number;
        let place = usize::try_from(number.saturating_sub(first)).ok()?;
        state.requests.get(place).cloned()
    }

    /// Forgets them all.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        *state = State { age: state.age + 1, ..State::default() };
    }
}

/// What a request takes in the journal: its texts and its body.
fn bytes_of(request: &ReceivedRequest) -> usize {
    let ReceivedRequest { request_id, method, path, query, headers, body, .. } = request;
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    request_id.len() + method.len() + path.len() + query.as_ref().map_or(0, String::len) + headers + body.len()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn note(journal: &Journal, body: &[u8]) -> Entry {
        let request = Request::post("/v3/x?y=z").header("x-auth-token", "t").body(()).expect("a request");
        journal.note(Timestamp::EPOCH, "id", "create_token", &request.into_parts().0, body).expect("it is kept")
    }

    #[test]
    fn the_oldest_makes_way_and_a_status_finds_its_request() {
        let journal = Journal::new(Keeps::All);
        let first = note(&journal, b"body");
        journal.answered(first, 201);
        let list = journal.list();
        assert_eq!((list[0].status, list[0].query.as_deref()), (Some(201), Some("y=z")));
        assert_eq!((&list[0].body[..], list[0].headers[0].1.as_str()), (&b"body"[..], "t"));
        for _ in 0..REQUESTS_MAX {
            note(&journal, b"");
        }
        journal.answered(first, 500);
        let list = journal.list();
        assert_eq!((list.len(), list[0].number, list[0].status), (REQUESTS_MAX, 1, None));
        let number = |from| journal.first_from(from).map(|request| request.number);
        assert_eq!([0, 1, 7, 1_000, 1_001].map(number), [Some(1), Some(1), Some(7), Some(1_000), None]);
        journal.clear();
        assert_eq!(journal.first_from(0), None);
        let anew = note(&journal, b"");
        journal.answered(first, 500);
        assert_eq!((anew.number, journal.list()[0].status), (0, None), "an answer to what was forgotten finds nothing");
    }

    #[test]
    fn bodies_are_bounded_one_by_one_and_together() {
        let journal = Journal::new(Keeps::All);
        for _ in 0..300 {
            note(&journal, &vec![0; BODY_BYTES_KEPT + 1]);
        }
        let list = journal.list();
        // One fewer than there were room for, but for their texts.
        assert_eq!((list.len(), list[0].body.len()), (BYTES_MAX / BODY_BYTES_KEPT - 1, BODY_BYTES_KEPT));
        assert_eq!(list[0].body_bytes, BODY_BYTES_KEPT + 1);
    }

    #[test]
    fn headers_and_addresses_count_as_bodies_do() {
        // Goal: requests without a body are bounded too. Method: long ones, one place of which is long at a time.
        let long = "x".repeat(24 << 10);
        for (address, header) in [(format!("/{long}"), "h"), (format!("/?{long}"), "h"), ("/".into(), long.as_str())] {
            let journal = Journal::new(Keeps::All);
            for _ in 0..REQUESTS_MAX {
                let request = Request::get(&address).header("x-h", header).body(()).expect("a request").into_parts().0;
                journal.note(Timestamp::EPOCH, "id", "unknown", &request, b"").expect("it is kept");
            }
            let count = journal.list().len();
            assert!((BYTES_MAX / (25 << 10)..=BYTES_MAX / long.len()).contains(&count), "{count}");
        }
    }

    #[test]
    fn secrets_are_hidden_where_they_let_somebody_in() {
        let journal = Journal::new(Keeps::NoSecrets);
        note(&journal, b"a password");
        let list = journal.list();
        assert_eq!((list[0].headers[0].1.as_str(), list[0].body.len()), (HIDDEN, 0));
    }
}
