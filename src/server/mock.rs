//! A server for tests, in the test's own process, with a remote control in Rust.

use std::net::SocketAddr;
use std::time::Duration;

use super::config::ServerConfig;
use super::faults::Fault;
use super::journal::ReceivedRequest;
use super::projects::ProjectId;
use super::{AdminDoor, Server};
use crate::db::Db;
use crate::env::clock::Clock as _;
use crate::error::{Error, Result};
use crate::model::time::Timestamp;

/// A server in memory, on a port of its own, that is gone when it is dropped. A process may have many.
///
/// ```
/// use ebbtide::server::{Fault, MockServer};
/// use std::time::Duration;
///
/// let server = MockServer::start()?;
/// let url = format!("{}/V1.0/my-project/metric-data", server.uri());
/// let body = format!(
///     r#"[{{"metric":{{"namespace":"MINE.APP","metric_name":"cpu","dimensions":[{{"name":"host","value":"a"}}]}},
///          "ttl":3600,"collect_time":{},"value":60,"unit":"%","type":"int"}}]"#,
///     server.now().as_millis(),
/// );
/// let answer = ureq::post(&url).content_type("application/json").send(&body)?;
/// assert_eq!(answer.status(), 201);
/// assert_eq!(server.received_requests()[0].operation, "add_metric_data");
///
/// server.advance(Duration::from_secs(7_200))?; // everything that falls due happens before this returns
/// assert_eq!(server.db("my-project")?.stats().points, 0);
///
/// server.add_fault(Fault::status(503).times(1))?;
/// assert!(ureq::post(&url).send(&body).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a server stops when it is dropped"]
pub struct MockServer {
    server: Server,
}

impl MockServer {
    /// Starts one that lets everybody in, by the rules of [`Profile::Document`](crate::server::Profile::Document), with
    /// the system's time.
    ///
    /// # Errors
    /// `Io` when no port or no thread is to be had.
    pub fn start() -> Result<Self> {
        Self::start_with(ServerConfig::in_memory())
    }

    /// Starts one with other settings. Where it listens and where the admin's calls are answered is its own business: on
    /// a free port of this machine.
    ///
    /// # Errors
    /// As [`ServerConfig::start`].
    pub fn start_with(config: ServerConfig) -> Result<Self> {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self { server: config.listen(local).admin(AdminDoor::Here).start()? })
    }

    /// Where it is, such as `http://127.0.0.1:41234`, without a slash at the end.
    pub fn uri(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.local_addr().port()
    }

    /// The time by its clock.
    pub fn now(&self) -> Timestamp {
        self.server.site.clock.now()
    }

    /// Stops the clock where it stands.
    pub fn stop_clock(&self) {
        self.server.site.clock.stop();
    }

    /// Moves the clock forward to a moment and stops it there, as [`MockServer::advance`] does.
    ///
    /// # Errors
    /// `InvalidInput` for a moment before the clock's own: time goes back only with [`MockServer::reset_to`].
    pub fn set_clock(&self, to: Timestamp) -> Result<()> {
        self.server.site.set_clock(to)
    }

    /// Moves the clock forward. What falls due on the way (flushing, expiry, merging, windows that become longer) is done
    /// in its order before this returns. At most 366 days at a time.
    ///
    /// # Errors
    /// `InvalidInput` for more than that.
    pub fn advance(&self, by: Duration) -> Result<()> {
        self.server.site.advance(by)
    }

    /// Lets a stopped clock run on from where it stands.
    pub fn resume_clock(&self) {
        self.server.site.clock.resume();
    }

    /// The last 1,000 requests, in the order in which they came.
    pub fn received_requests(&self) -> Vec<ReceivedRequest> {
        self.server.site.journal.list()
    }

    /// Forgets those.
    pub fn clear_requests(&self) {
        self.server.site.journal.clear();
    }

    /// Makes requests fail, and gives the number of the rule. Of several that fit the earliest one holds.
    ///
    /// # Errors
    /// `InvalidInput` for what no rule can do, or more than 100 rules.
    pub fn add_fault(&self, fault: Fault) -> Result<u64> {
        self.server.site.faults.add(fault)
    }

    /// Takes all rules away.
    pub fn clear_faults(&self) {
        self.server.site.faults.clear();
    }

    /// Keeps everything that is stored, and how the clock stands, under a name. Of a stopped clock that is its moment; of
    /// one that runs it is how far ahead of the system's it is, so that when it is put back, the time since then has
    /// passed. Stop the clock first for a snapshot that is always the same.
    ///
    /// # Errors
    /// `InvalidInput` for a name of other signs than letters, digits, `_`, `-` and `.`, more than 16 snapshots, or more
    /// than 256 MiB.
    pub fn snapshot(&self, name: &str) -> Result<()> {
        self.server.site.take_snapshot(name).map(drop)
    }

    /// Puts back what was kept under a name, the clock with it.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such snapshot; what opening databases gives. Then everything is as it was.
    pub fn restore(&self, name: &str) -> Result<()> {
        if self.server.site.put_back(name)? {
            return Ok(());
        }
        Err(Error::invalid(format!("there is no snapshot {name:?}")))
    }

    /// Forgets all points, requests, rules and tokens; the clock is the system's again. Snapshots stay.
    ///
    /// # Errors
    /// `Unsupported` for a server that was started on a directory.
    pub fn reset(&self) -> Result<()> {
        self.server.site.reset(None)
    }

    /// The same, and the clock stands at a moment, of the past too.
    ///
    /// # Errors
    /// `InvalidInput` for a moment that no point can have.
    pub fn reset_to(&self, now: Timestamp) -> Result<()> {
        self.server.site.reset(Some(now))
    }

    /// The database of a project, made if there is none: the back door, past every rule of the API. A reset closes it.
    ///
    /// # Errors
    /// `InvalidInput` for a project id of other signs than letters, digits, `-` and `_`; `Overloaded` for more projects
    /// than a server may have.
    pub fn db(&self, project: &str) -> Result<Db> {
        let project = ProjectId::new(project).ok_or_else(|| Error::invalid(ProjectId::FORM))?;
        Ok((*self.server.site.projects.open_or_create(&project)?).clone())
    }
}
