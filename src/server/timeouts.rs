//! How long a server waits for its clients. Only the numbers; who waits is told where it is done.

use std::time::Duration;

/// How long a server waits for its clients. What does not come in time is cut off, so that a slow or silent client
/// holds nothing for ever.
///
/// ```
/// use ebbtide::server::Timeouts;
/// use std::time::Duration;
/// let strict = Timeouts { body: Duration::from_secs(5), ..Timeouts::default() };
/// assert_eq!(strict.headers, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// From the first byte of a request, or the start of the connection, to the end of the headers. Default 10 s.
    pub headers: Duration,
    /// From the end of the headers to the end of the body; then 408. Default 60 s.
    pub body: Duration,
    /// Without any request on a connection that has had one. Default 60 s.
    pub idle: Duration,
    /// For the client to take its whole answer, once it did not take it at once. Default 60 s.
    pub answer: Duration,
    /// For which a body that was refused for its size is still read, so that the client can read why. Default 5 s.
    pub drain: Duration,
    /// For requests in flight to be answered when the server stops. Default 8 s.
    pub stop: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            body: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            drain: Duration::from_secs(5),
            // Two seconds less than the ten in which a server is to be gone: they are for closing the databases.
            stop: Duration::from_secs(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_waits_are_those_of_the_manual() {
        // Goal: a default that README states does not change by accident.
        let [headers, body, idle, answer, drain, stop] = [10, 60, 60, 60, 5, 8].map(Duration::from_secs);
        assert_eq!(Timeouts::default(), Timeouts { headers, body, idle, answer, drain, stop });
    }
}
