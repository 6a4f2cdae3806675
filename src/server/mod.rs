//! The HTTP face: the Cloud Eye metric-data calls over databases of this crate.
//!
//! ```
//! use ebbtide::server::ServerConfig;
//!
//! let server = ServerConfig::in_memory().listen("127.0.0.1:0".parse()?).start()?;
//! println!("post to http://{}/V1.0/my-project/metric-data", server.local_addr());
//! server.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A server runs on threads of its own, so that a test needs no async runtime to start one. Each project id of the
//! address is a database of its own. This room puts the others together, and keeps the server's life: start, run, stop.

mod cloudeye;
mod databases;
mod http;
mod patience;
mod profile;
mod projects;
mod rules;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

use self::cloudeye::{CloudEye, REQUESTS_IN_FLIGHT_MAX};
pub use self::databases::Databases;
pub use self::http::BODY_BYTES_MAX;
use self::http::CONNECTIONS_MAX;
pub use self::profile::Profile;
use self::projects::{Home, Projects};
pub use self::rules::Rule;
use self::rules::Rules;
use crate::env::clock::{Clock, SystemClock};
use crate::env::disk::Disk;
use crate::env::layout;
use crate::env::lock::DirLock;
use crate::env::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::model::durability::Durability;

/// The port a server listens on when none is named.
const PORT_DEFAULT: u16 = 8640;

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

/// Settings of a [`Server`], and the way to start it.
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until `start`"]
pub struct ServerConfig {
    home: Home,
    listen: SocketAddr,
    profile: Profile,
    /// Rules that are not as in the profile, by their ids.
    switched: Vec<(&'static str, String)>,
    durability: Durability,
    clock: Arc<dyn Clock>,
    timeouts: Timeouts,
    /// A constant outside of tests.
    connections_max: usize,
}

impl ServerConfig {
    /// A server whose projects live in memory only and start empty.
    pub fn in_memory() -> Self {
        Self::at(Home::Memory)
    }

    /// A server that keeps its projects in a directory, which is made if it is not there.
    pub fn on_disk(dir: impl AsRef<Path>) -> Self {
        Self::at(Home::Disk(PathBuf::from(dir.as_ref())))
    }

    fn at(home: Home) -> Self {
        Self {
            home,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT_DEFAULT)),
            profile: Profile::default(),
            switched: Vec::new(),
            durability: Durability::default(),
            clock: Arc::new(SystemClock::default()),
            timeouts: Timeouts::default(),
            connections_max: CONNECTIONS_MAX,
        }
    }

    /// The address to listen on; with port 0 the system chooses a free one. Default `127.0.0.1:8640`.
    pub fn listen(self, address: SocketAddr) -> Self {
        Self { listen: address, ..self }
    }

    /// Which points are admitted, and how windows are shown. Default [`Profile::Document`].
    pub fn profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// Switches one rule of the profile, by its id and the text of a value as [`Rule::takes`] has it. The last one counts.
    ///
    /// ```
    /// use ebbtide::server::ServerConfig;
    /// let lenient = ServerConfig::in_memory().rule("time-past", "none")?.rule("ttl", "0..31536000")?;
    /// assert!(lenient.rule("ttl", "long").is_err());
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for a rule that is not known or a value that it does not take.
    pub fn rule(mut self, id: &str, value: &str) -> Result<Self> {
        let id = Rules::of(self.profile).switch(id, value)?;
        self.switched.retain(|(earlier, _)| *earlier != id);
        self.switched.push((id, value.to_owned()));
        Ok(self)
    }

    fn rules(&self) -> Result<Rules> {
        let mut rules = Rules::of(self.profile);
        self.switched.iter().try_for_each(|(id, value)| rules.switch(id, value).map(|_| ()))?;
        Ok(rules)
    }

    /// When a request is answered with success. Default [`Durability::Sync`]. In memory it changes nothing.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Where the server and its databases take their time from. Default [`SystemClock`].
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How long the server waits for its clients. Default [`Timeouts::default`].
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Starts the server. When this returns, the address is bound and requests are answered.
    ///
    /// # Errors
    /// `Locked` when another server has the directory; `Unsupported` when it is a database by itself; `InvalidInput`
    /// for an interval out of range; `Io` and `NoSpace` when the directory cannot be used, the address cannot be bound,
    /// or threads cannot be started.
    pub fn start(self) -> Result<Server> {
        self.durability.check()?;
        let rules = self.rules()?;
        // The lock comes first: that another server has the directory says more than that it also has the port.
        let lock = match &self.home {
            Home::Memory => None,
            Home::Disk(dir) => Some(lock(dir)?),
        };
        let listener =
            bind(self.listen).map_err(|error| Error::io(format_args!("cannot listen on {}", self.listen), error))?;
        let address = listener.local_addr().map_err(|error| Error::io("cannot tell the own address", error))?;
        let runtime = runtime::Builder::new_multi_thread()
            .thread_name("ebbtide-http")
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .enable_all()
            .build()
            .map_err(|error| Error::io("cannot start threads", error))?;

        let projects = Arc::new(Projects::new(self.home, self.durability, rules.late(), Arc::clone(&self.clock)));
        let router = CloudEye::new(Arc::clone(&projects), rules, self.clock).routes();
        let (stop, stopping) = oneshot::channel();
        let (report, stopped) = sync_channel(1);
        runtime.spawn(async move {
            http::serve(listener, router, self.timeouts, self.connections_max, stopping).await;
            let closing = tokio::task::spawn_blocking(move || projects.close()).await;
            // Others may have the directory only when everything in it is closed.
            drop(lock);
            let outcome = closing.unwrap_or_else(|panic| Err(Error::new(ErrorKind::Failed, panic.to_string())));
            report.send(outcome).ok();
        });
        Ok(Server { address, stop: Some(stop), stopped, runtime: Some(runtime) })
    }
}

/// Most threads for what may block: one for each request in flight, so that their writes share a sync, and a few to
/// open and close databases.
const BLOCKING_THREADS_MAX: usize = REQUESTS_IN_FLIGHT_MAX + 8;

/// A running server. Dropping it stops it as [`Server::stop`] does, without telling how that went.
#[derive(Debug)]
#[must_use = "a server stops when it is dropped"]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    stopped: Receiver<Result<()>>,
    runtime: Option<Runtime>,
}

impl Server {
    /// The address the server listens on, with the port the system chose if it was to choose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more connections, answers the requests in flight (for at most [`Timeouts::stop`]), and closes every
    /// database. Blocks until that is done.
    ///
    /// # Errors
    /// The first error of closing a database; all of them are closed all the same.
    pub fn stop(mut self) -> Result<()> {
        self.shut()
    }

    fn shut(&mut self) -> Result<()> {
        let (Some(stop), Some(runtime)) = (self.stop.take(), self.runtime.take()) else { return Ok(()) };
        // Nobody listens only if the server ended before its time, which the next line tells.
        stop.send(()).ok();
        let ended_early = |_| Err(Error::new(ErrorKind::Failed, "the server had ended before it was stopped"));
        let outcome = self.stopped.recv().unwrap_or_else(ended_early);
        // In the background, as a server may also be stopped from within another runtime, which must not block.
        runtime.shutdown_background();
        outcome
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::error!("stopping the server failed: {error}");
        }
    }
}

fn lock(dir: &Path) -> Result<DirLock> {
    RealDisk.create_dir_all(dir).map_err(|error| Error::io(format_args!("cannot make {}", dir.display()), error))?;
    let lock = DirLock::acquire(&RealDisk, dir)?;
    let names = RealDisk.list(dir).map_err(|error| Error::io(format_args!("cannot list {}", dir.display()), error))?;
    // A volume of its own right is no server's directory: its points would seem to be gone.
    if names.iter().any(|name| name == layout::FORMAT) {
        let why = format!("{} is the database of a program, not the directory of a server: use another", dir.display());
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    Ok(lock)
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn the_default_waits_are_those_of_the_manual() {
        // Goal: a default that README states does not change by accident.
        let [headers, body, idle, answer, drain, stop] = [10, 60, 60, 60, 5, 8].map(Duration::from_secs);
        assert_eq!(Timeouts::default(), Timeouts { headers, body, idle, answer, drain, stop });
    }

    #[test]
    fn a_database_by_itself_is_not_taken_over() {
        let dir = tempfile::tempdir().expect("a directory");
        crate::db::Db::open(dir.path()).expect("opens").close().expect("closes");
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let error = ServerConfig::on_disk(dir.path()).listen(listen).start().map(|_| ()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(RealDisk.list(dir.path()).expect("a directory").iter().all(|name| name != "projects"));
    }

    #[test]
    fn connections_past_the_bound_wait_until_one_ends() {
        // Goal: a flood of connections takes no memory without end. Method: as many idle ones as are served, one more
        // with a request, then the end of an idle one.
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = ServerConfig { connections_max: 4, ..ServerConfig::in_memory().listen(listen) };
        let server = config.start().expect("starts");
        let connect = || TcpStream::connect(server.local_addr()).expect("the system accepts");
        let mut idle: Vec<TcpStream> = (0..4).map(|_| connect()).collect();
        for each in &mut idle {
            assert_eq!(ask(each, Duration::from_secs(10)).as_deref(), Some("HTTP/1.1 200"), "each of them is served");
        }
        let mut waiting = connect();
        assert_eq!(ask(&mut waiting, Duration::from_millis(300)), None, "nobody serves it yet");
        idle.pop();
        assert_eq!(answer(&mut waiting, Duration::from_secs(10)).as_deref(), Some("HTTP/1.1 200"));
        server.stop().expect("closes");
    }

    fn ask(stream: &mut TcpStream, patience: Duration) -> Option<String> {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").expect("the system takes it");
        answer(stream, patience)
    }

    /// The beginning of an answer, if one comes in time.
    fn answer(stream: &mut TcpStream, patience: Duration) -> Option<String> {
        stream.set_read_timeout(Some(patience)).expect("not zero");
        let mut start = [0; 12];
        stream.read_exact(&mut start).ok().map(|()| String::from_utf8_lossy(&start).into_owned())
    }
}
