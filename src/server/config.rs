//! What a server can be told before it starts. Starting it is the business of the room above.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::auth::Credentials;
use super::backups::Volumes;
use super::http::CONNECTIONS_MAX;
use super::profile::Profile;
use super::projects::Home;
#[cfg(doc)]
use super::rules::Rule;
use super::rules::Rules;
#[cfg(doc)]
use super::seed::SEED_BYTES_MAX;
use super::timeouts::Timeouts;
use crate::env::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::model::durability::Durability;
#[cfg(doc)]
use crate::server::Server;

/// The port a server listens on when none is named.
const PORT_DEFAULT: u16 = 8640;

/// The region of the published examples.
const REGION_DEFAULT: &str = "eu-de";

/// Where a server answers what is for its admin.
///
/// ```
/// use ebbtide::server::AdminDoor;
/// assert_eq!("off".parse::<AdminDoor>()?, AdminDoor::Nowhere);
/// assert_eq!("127.0.0.1:9000".parse::<AdminDoor>()?, AdminDoor::At("127.0.0.1:9000".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AdminDoor {
    /// At the address of the API: `on`.
    Here,
    /// Not at all: `off`.
    Nowhere,
    /// At an address of its own, where nothing else is answered.
    At(SocketAddr),
}

impl fmt::Display for AdminDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("on"),
            Self::Nowhere => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl FromStr for AdminDoor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "on" => Ok(Self::Here),
            "off" => Ok(Self::Nowhere),
            _ => text.parse().map(Self::At).map_err(|_| Error::invalid("it is `on`, `off` or an address, IP:PORT")),
        }
    }
}

/// Settings of a [`Server`], and the way to start it.
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until `start`"]
pub struct ServerConfig {
    pub(super) home: Home,
    pub(super) listen: SocketAddr,
    pub(super) profile: Profile,
    /// Rules that are not as in the profile, by their ids.
    pub(super) switched: Vec<(&'static str, String)>,
    pub(super) durability: Durability,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeouts: Timeouts,
    /// None for the default, which depends on the home.
    pub(super) admin: Option<AdminDoor>,
    pub(super) credentials: Credentials,
    pub(super) region: String,
    pub(super) seed: Option<u64>,
    pub(super) seed_data: Vec<(PathBuf, String)>,
    pub(super) access_log: bool,
    pub(super) volumes: Volumes,
    /// Ids, and the projects that they are declared in.
    pub(super) declared: Vec<(String, String)>,
    /// A constant outside of tests.
    pub(super) connections_max: usize,
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
            admin: None,
            credentials: Credentials::new(),
            region: REGION_DEFAULT.to_owned(),
            seed: None,
            seed_data: Vec::new(),
            access_log: false,
            volumes: Volumes::default(),
            declared: Vec::new(),
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

    pub(super) fn rules(&self) -> Result<Rules> {
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

    /// Where the admin's calls are answered: under `/_ebbtide/`, and `/metrics`. They ask for no credentials. Default
    /// [`AdminDoor::Here`] in memory, and [`AdminDoor::Nowhere`] for a directory.
    pub fn admin(self, admin: AdminDoor) -> Self {
        Self { admin: Some(admin), ..self }
    }

    /// Who may use the API. Default [`Credentials::new`]: anybody, whatever they say they are.
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials, ..self }
    }

    /// The region of the endpoints in the catalogue of services, which has to be the one that clients are told. Default
    /// `eu-de`.
    pub fn region(self, region: impl Into<String>) -> Self {
        Self { region: region.into(), ..self }
    }

    /// Ids of requests and tokens follow from this number, so that every run gives the same ones, and anybody who knows
    /// it can guess them. Default: random ones.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Stores the points of a file at the start: the body of an ingest request, read by the rules of [`Profile::Lab`]. At
    /// most [`SEED_BYTES_MAX`], and 16 files.
    pub fn seed_data(mut self, file: impl AsRef<Path>, project: impl Into<String>) -> Self {
        self.seed_data.push((file.as_ref().to_owned(), project.into()));
        self
    }

    /// Whether each request is logged, under the target `ebbtide::access`. Default no.
    pub fn access_log(self, access_log: bool) -> Self {
        Self { access_log, ..self }
    }

    /// Which volumes can be associated with a backup policy. Default [`Volumes::Any`].
    pub fn volumes(self, volumes: Volumes) -> Self {
        Self { volumes, ..self }
    }

    /// Declares a volume in a project, beside the project's own: a name for backup policies to be associated with, which
    /// holds nothing. Its id is 1 to 64 letters, digits, `_` and `-`; at most 1,000 in a project.
    pub fn volume(mut self, id: impl Into<String>, project: impl Into<String>) -> Self {
        self.declared.push((id.into(), project.into()));
        self
    }

    /// Where the admin's door is.
    pub(super) fn admin_door(&self) -> AdminDoor {
        self.admin.unwrap_or(match self.home {
            Home::Memory => AdminDoor::Here,
            Home::Disk(_) => AdminDoor::Nowhere,
        })
    }
}
