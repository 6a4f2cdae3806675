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

mod admin;
mod auth;
mod backups;
mod calendar;
mod chores;
mod clock;
mod cloudeye;
mod config;
mod databases;
mod door;
mod face;
mod faults;
mod gzip;
mod http;
mod ids;
mod journal;
mod keystone;
mod mock;
mod operation;
mod paths;
mod patience;
mod profile;
mod projects;
mod rules;
mod seed;
mod site;
mod tally;
mod timeouts;
mod vbs;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;

use self::admin::Admin;
pub use self::auth::Credentials;
use self::auth::Guard;
use self::backups::Backups;
pub use self::backups::Volumes;
pub use self::calendar::utc;
use self::clock::SettableClock;
use self::cloudeye::{CloudEye, REQUESTS_IN_FLIGHT_MAX};
pub use self::config::{AdminDoor, ServerConfig};
pub use self::databases::Databases;
use self::door::{Door, Faces};
pub use self::faults::{FAULT_DELAY_MAX, Fault};
pub use self::http::BODY_BYTES_MAX;
use self::journal::Keeps;
pub use self::journal::ReceivedRequest;
use self::keystone::Keystone;
pub use self::mock::MockServer;
pub use self::paths::{backup_folders, check_for_backup, check_for_database, is_backup};
pub use self::profile::Profile;
use self::projects::{Home, ProjectId, Projects};
pub use self::rules::Rule;
pub use self::seed::SEED_BYTES_MAX;
use self::site::Site;
pub use self::timeouts::Timeouts;
use self::vbs::Backup;
use crate::env::clock::Clock;
use crate::env::disk::Disk;
use crate::env::layout;
use crate::env::lock::DirLock;
use crate::env::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};

impl ServerConfig {
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
        let (listener, address) = bind(self.listen)?;
        let admin_door = self.admin_door();
        let (admin_listener, admin_address) = match admin_door {
            AdminDoor::Nowhere => (None, None),
            AdminDoor::Here => (None, Some(address)),
            AdminDoor::At(own) => bind(own).map(|(listener, own)| (Some(listener), Some(own)))?,
        };
        let clock = Arc::new(SettableClock::over(self.clock));
        let time: Arc<dyn Clock> = clock.clone();
        let projects = Arc::new(Projects::new(self.home, self.durability, rules.late(), Arc::clone(&time)));
        let backups = Backups::open(Arc::clone(&projects), Arc::clone(&time), declared(self.declared)?)?;
        seed::load(&self.seed_data, &projects)?;
        // Last of all that may fail: a runtime cannot be dropped within another one.
        let runtime = runtime::Builder::new_multi_thread()
            .thread_name("ebbtide-http")
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .enable_all()
            .build()
            .map_err(|error| Error::io("cannot start threads", error))?;
        let guard = Guard(Arc::new(self.credentials));
        let keeps = match admin_door {
            AdminDoor::Nowhere => Keeps::Nothing,
            _ if guard.0.is_empty() => Keeps::All,
            _ => Keeps::NoSecrets,
        };
        let site = Arc::new(Site::new(backups, clock, self.seed, keeps));
        let backup = Backup::new(Arc::clone(&site), self.volumes, &self.region).routes();
        let general = CloudEye::new(Arc::clone(&projects), rules, time, Arc::clone(&site.events))
            .routes()
            .merge(Keystone::new(Arc::clone(&site), guard.clone(), self.region).routes());
        let faces = Faces { general, backup };
        let door = Door::new(Arc::clone(&site), guard, self.access_log);
        let api = door.clone().with_faces(faces);
        let admin = || Admin::new(Arc::clone(&site)).routes();
        let doors = match admin_listener {
            Some(own) => vec![(listener, api), (own, door.with_admin(admin()))],
            None if admin_door == AdminDoor::Here => vec![(listener, api.with_admin(admin()))],
            None => vec![(listener, api)],
        };
        let (stop, stopping) = watch::channel(false);
        runtime.spawn(chores::keep_running(Arc::clone(&site), stopping.clone()));
        let ending = Arc::clone(&site);
        let (report, stopped) = sync_channel(1);
        runtime.spawn(async move {
            let serve = |(listener, door)| {
                tokio::spawn(http::serve(listener, door, self.timeouts, self.connections_max, stopping.clone()))
            };
            let serving: Vec<_> = doors.into_iter().map(serve).collect();
            for each in serving {
                if let Err(panic) = each.await {
                    tracing::error!("accepting connections panicked: {panic}");
                }
            }
            let close = move || {
                ending.backups.close();
                projects.close()
            };
            let closing = tokio::task::spawn_blocking(close).await;
            // Others may have the directory only when everything in it is closed.
            drop(lock);
            let outcome = closing.unwrap_or_else(|panic| Err(Error::new(ErrorKind::Failed, panic.to_string())));
            report.send(outcome).ok();
        });
        Ok(Server { address, admin_address, site, stop: Some(stop), stopped, runtime: Some(runtime) })
    }
}

/// Most threads for what may block: one for each request in flight, so that their writes share a sync, and a few
/// for the admin, to pack answers, and to open and close databases.
const BLOCKING_THREADS_MAX: usize = REQUESTS_IN_FLIGHT_MAX + admin::THREADS_MAX + vbs::WORKING_MAX + 8;

/// A running server. Dropping it stops it as [`Server::stop`] does, without telling how that went.
#[derive(Debug)]
#[must_use = "a server stops when it is dropped"]
pub struct Server {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    site: Arc<Site>,
    stop: Option<watch::Sender<bool>>,
    stopped: Receiver<Result<()>>,
    runtime: Option<Runtime>,
}

impl Server {
    /// The address the server listens on, with the port the system chose if it was to choose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address where the admin's calls are answered, if they are.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_address
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
        stop.send(true).ok();
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

/// The volumes of a configuration, if their names are good.
fn declared(volumes: Vec<(String, String)>) -> Result<Vec<(ProjectId, String)>> {
    let checked = |(volume, project): (String, String)| {
        vbs::check_volume(&volume).map_err(|why| Error::invalid(format!("{volume:?}: {why}")))?;
        let project = ProjectId::new(&project).ok_or_else(|| Error::invalid(ProjectId::FORM))?;
        Ok((project, volume))
    };
    volumes.into_iter().map(checked).collect()
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

/// Listens, and says where.
fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let own = listener.local_addr()?;
        Ok((listener, own))
    };
    listen().map_err(|error| Error::io(format_args!("cannot listen on {address}"), error))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};
    use std::time::Duration;

    use super::*;

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
