//! The destination over HTTP: requests of the documented shape to a running server, one after the other on one
//! connection. A request is repeated when the server is busy or the connection breaks; that is harmless, because the
//! same series and time overwrite. Every other answer ends the import.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ebbtide::server::BODY_BYTES_MAX;
use ureq::Agent;

use super::item::Item;

/// Waits before each repeat of a request, in milliseconds: about 10 s in all, enough for a server to restart.
const BACKOFF_MILLIS: [u64; 7] = [100, 200, 400, 800, 1_600, 3_200, 3_200];

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the answer to a request: a busy disk may take its time, a dead server may not hold us for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest part of an error's text that is read, in bytes.
const ERROR_BYTES_MAX: u64 = 16 << 10;

/// What helps when the server does not admit the times of the points.
const TIME_HINT: &str = " (--shift-to-now moves the points up to now; --profile lab takes any time)";

/// A server that takes points.
pub(super) struct Http {
    agent: Agent,
    url: String,
    points_max: usize,
    /// The request so far: an array without its closing bracket, or nothing.
    body: String,
    points: u64,
    /// The item being added.
    item: String,
    stored: u64,
}

/// What came of one attempt to send a request.
enum Outcome {
    Stored,
    /// Not now, and why.
    Again(String),
}

impl Http {
    pub(super) fn new(url: &str, project: &str, points_max: usize) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .build()
            .new_agent();
        let url = format!("{url}/V1.0/{project}/metric-data");
        Self { agent, url, points_max, body: String::new(), points: 0, item: String::new(), stored: 0 }
    }

    /// Takes one point; gives how many points this call stored: none while a request is being filled.
    pub(super) fn push(&mut self, item: &Item<'_>) -> Result<u64> {
        self.item.clear();
        item.write_json(&mut self.item);
        // A bracket or comma before the item, and the closing bracket.
        let with_item = self.body.len() + self.item.len() + 2;
        let stored = if with_item > BODY_BYTES_MAX { self.send()? } else { 0 };
        if self.item.len() + 2 > BODY_BYTES_MAX {
            bail!("a point of {} takes {} bytes, more than a request", item.series.key, self.item.len());
        }
        self.body.push(if self.body.is_empty() { '[' } else { ',' });
        self.body.push_str(&self.item);
        self.points += 1;
        if self.points < self.points_max as u64 {
            return Ok(stored);
        }
        Ok(stored + self.send()?)
    }

    /// Sends what is left; gives how many points that were.
    pub(super) fn finish(&mut self) -> Result<u64> {
        self.send()
    }

    fn send(&mut self) -> Result<u64> {
        if self.points == 0 {
            return Ok(0);
        }
        self.body.push(']');
        let (from, to) = (self.stored + 1, self.stored + self.points);
        self.deliver().with_context(|| format!("sending points {from} to {to}"))?;
        self.body.clear();
        self.stored = to;
        Ok(std::mem::take(&mut self.points))
    }

    /// Sends the request until it is stored, refused, or the patience is at its end.
    fn deliver(&self) -> Result<()> {
        let mut waits = BACKOFF_MILLIS.into_iter().map(Duration::from_millis);
        loop {
            let why = match self.attempt()? {
                Outcome::Stored => return Ok(()),
                Outcome::Again(why) => why,
            };
            match waits.next() {
                Some(wait) => {
                    tracing::warn!("trying again in {} ms: {why}", wait.as_millis());
                    pause(wait);
                }
                None => bail!("gave up after {} attempts: {why}", BACKOFF_MILLIS.len() + 1),
            }
        }
    }

    fn attempt(&self) -> Result<Outcome> {
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let mut response = match request.send(&self.body) {
            Ok(response) => response,
            Err(error) if is_connection_loss(&error) => return Ok(Outcome::Again(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let status = response.status().as_u16();
        // The body is read in any case: a connection is used again only when its answer is read to the end.
        let text = response.body_mut().with_config().limit(ERROR_BYTES_MAX).lossy_utf8(true).read_to_string();
        match status {
            201 => Ok(Outcome::Stored),
            429 | 503 => Ok(Outcome::Again(format!("the server is busy ({status}): {}", details(text)))),
            _ => {
                let details = details(text);
                let hint = if details.contains("collect_time") { TIME_HINT } else { "" };
                bail!("the server answered {status}: {details}{hint}")
            }
        }
    }
}

/// Whether the request may not have reached a working server: it may answer when asked again.
fn is_connection_loss(error: &ureq::Error) -> bool {
    use ureq::Error::{ConnectionFailed, Io, Timeout};
    matches!(error, Io(_) | Timeout(_) | ConnectionFailed)
}

/// What an error body says: the `details` of the documented shape, else its text as it is.
fn details(body: Result<String, ureq::Error>) -> String {
    let text = match body {
        Ok(text) => text,
        Err(error) => return format!("(its text could not be read: {error})"),
    };
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let details = json.as_ref().and_then(|json| json.pointer("/message/details")?.as_str());
    details.unwrap_or(text.trim()).to_owned()
}

#[allow(clippy::disallowed_methods, reason = "there is nothing to wait for but time: another process is busy")]
fn pause(wait: Duration) {
    std::thread::sleep(wait);
}
