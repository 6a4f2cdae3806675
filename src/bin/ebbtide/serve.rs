//! `ebbtide serve`: starts a server, says where it listens, and stops it on a signal. What a server does is told in
//! the library.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ebbtide::Durability;
use ebbtide::server::{AdminDoor, Credentials, Profile, Server, ServerConfig, Volumes};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::rules::Switch;

/// What a shell reports for a process that was interrupted: we end so at the second signal.
const STATUS_INTERRUPTED: i32 = 130;

/// The project of seed data, or of a volume, that names none: that of clients which log in and name none.
const PROJECT_OF_SEED_DATA: &str = "default";

/// Longest file of credentials, in bytes.
const CREDENTIALS_BYTES_MAX: u64 = 1 << 20;

/// Answers the Cloud Eye metric-data calls over HTTP until SIGTERM or SIGINT.
///
/// When it is ready it prints one line, `ebbtide listening on http://ADDRESS`. At the first signal it answers what is
/// in flight and closes its databases, within 10 seconds; at a second one it ends at once, which loses nothing that
/// was acknowledged.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    home: HomeArgs,

    /// Address to listen on, as IP:PORT; with port 0 the system chooses a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8640")]
    listen: SocketAddr,

    /// Write the address to this file, whole and at once, when the server is ready
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,

    /// Which points are admitted: `document` (the published page to the letter), `current` (the page since 2022: new
    /// databases leave points that come ten minutes late out of windows) or `lab` (any time, name and TTL that the
    /// engine can hold, and windows in full precision)
    #[arg(long, default_value_t)]
    profile: Profile,

    /// Switch one rule of the profile, as often as wanted; `ebbtide rules` prints them all
    #[arg(long = "rule", value_name = "ID=VALUE", value_parser = Switch::parse)]
    rules: Vec<Switch>,

    /// When a point is acknowledged: `sync` (it is on stable storage), `interval:MS` (a power cut may take that much
    /// time), `buffered` (a power cut may take what the system had not written yet)
    #[arg(long, value_name = "MODE", default_value_t)]
    durability: Durability,

    #[command(flatten)]
    mock: MockArgs,

    #[command(flatten)]
    who: WhoArgs,
}

/// What a server for tests needs beside.
#[derive(Debug, clap::Args)]
struct MockArgs {
    /// Where the calls under `/_ebbtide/`, and `/metrics`, are answered, which ask for no credentials: `on` (the same
    /// address), `off` or an address of their own, IP:PORT [default: on with --memory, off with --data]
    #[arg(long, value_name = "WHERE")]
    admin: Option<AdminDoor>,

    /// Store the points of this file at the start, the body of an ingest request, in project `default` or the one named,
    /// unless that is there already; up to 16 times
    #[arg(long, value_name = "FILE[=PROJECT]")]
    seed_data: Vec<String>,

    /// Ids of requests and tokens follow from this number: the same ones in every run
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Which volumes can be associated with a backup policy: `any` (unknown ones are declared by it) or `declared`
    #[arg(long, value_name = "WHICH", default_value_t)]
    volumes: Volumes,

    /// Declare a volume for backup policies, beside the own one of each project, in project `default` or the one named;
    /// may be repeated
    #[arg(long, value_name = "ID[=PROJECT]")]
    volume: Vec<String>,

    /// A file of such volumes, one a line
    #[arg(long, value_name = "FILE")]
    volume_file: Option<PathBuf>,

    /// Region of the endpoints in the catalogue of services
    #[arg(long, value_name = "NAME", default_value = "eu-de")]
    region: String,

    /// Log each request
    #[arg(long)]
    access_log: bool,
}

/// Who may use the API: anybody, as long as nobody is named here.
#[derive(Debug, clap::Args)]
struct WhoArgs {
    /// A token (`X-Auth-Token`) that is let in, to one project only if one is named; may be repeated
    #[arg(long, value_name = "TOKEN[=PROJECT]")]
    token: Vec<String>,

    /// An access key and its secret, with which requests are signed; may be repeated
    #[arg(long, value_name = "AK:SK[=PROJECT]")]
    access_key: Vec<String>,

    /// A user who may log in at `/v3/auth/tokens`; may be repeated
    #[arg(long, value_name = "NAME:PASSWORD[=PROJECT]")]
    user: Vec<String>,

    /// A file of those, which keeps secrets out of the list of processes: lines `token TEXT`, `access-key TEXT` and
    /// `user TEXT`, each as above
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl MockArgs {
    fn configure(self, mut config: ServerConfig) -> anyhow::Result<ServerConfig> {
        let listed = match &self.volume_file {
            Some(file) => read_short(file).with_context(|| format!("cannot read {}", file.display()))?,
            None => String::new(),
        };
        let lines = listed.lines().map(str::trim).filter(|line| !line.is_empty());
        for each in self.volume.iter().map(String::as_str).chain(lines) {
            let (volume, project) = each.rsplit_once('=').unwrap_or((each, PROJECT_OF_SEED_DATA));
            config = config.volume(volume, project);
        }
        config = config.volumes(self.volumes);
        for each in &self.seed_data {
            let (file, project) = each.rsplit_once('=').unwrap_or((each, PROJECT_OF_SEED_DATA));
            config = config.seed_data(file, project);
        }
        config = config.region(self.region).access_log(self.access_log);
        config = self.admin.into_iter().fold(config, ServerConfig::admin);
        Ok(self.seed.into_iter().fold(config, ServerConfig::seed))
    }
}

impl WhoArgs {
    fn credentials(&self) -> anyhow::Result<Credentials> {
        let mut all = Credentials::new();
        for text in &self.token {
            all = all.token(text).context("--token")?;
        }
        for text in &self.access_key {
            all = all.access_key(text).context("--access-key")?;
        }
        for text in &self.user {
            all = all.user(text).context("--user")?;
        }
        if let Some(file) = &self.credentials {
            let text = read_short(file).with_context(|| format!("cannot read {}", file.display()))?;
            all = all.lines(&text).with_context(|| file.display().to_string())?;
            anyhow::ensure!(!all.is_empty(), "{} names nobody, which would let everybody in", file.display());
        }
        Ok(all)
    }
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct HomeArgs {
    /// Keep the data in this directory, made if it is not there
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Keep the data in memory and lose it at the end
    #[arg(long)]
    memory: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let Args { home, listen, address_file, profile, rules, durability, mock, who } = args;
    let config = home.data.map_or_else(ServerConfig::in_memory, ServerConfig::on_disk);
    let config = rules.iter().try_fold(config.profile(profile), |config, rule| rule.apply(config))?;
    let config = mock.configure(config)?.credentials(who.credentials()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the server starts, so that no signal finds the default action, which is to die.
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let server = config.listen(listen).durability(durability).start()?;
        if let Some(admin) = server.admin_addr().filter(|admin| *admin != server.local_addr()) {
            tracing::info!("the admin's calls are answered at http://{admin}");
        }
        announce(server.local_addr(), address_file.as_deref())?;
        signals.next().await;
        tracing::info!("stopping");
        stop(server, signals).await
    })
}

/// Stops the server, or ends the process when another signal comes first.
async fn stop(server: Server, mut signals: Signals) -> anyhow::Result<()> {
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    tokio::select! {
        stopped = stopping => stopped.context("stopping panicked")?.context("closing the databases failed"),
        () = signals.next() => {
            tracing::warn!("second signal: ending at once");
            std::process::exit(STATUS_INTERRUPTED);
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn announce(address: SocketAddr, file: Option<&Path>) -> anyhow::Result<()> {
    if let Some(file) = file {
        write_whole(file, &address.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "ebbtide listening on http://{address}").context("cannot write to standard output")?;
    stdout.flush().context("cannot write to standard output")
}

/// Reads a text that nobody writes for long.
#[allow(clippy::disallowed_methods, reason = "a file of the caller's, not one of the store")]
fn read_short(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(file)?.take(CREDENTIALS_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > CREDENTIALS_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("has more than {CREDENTIALS_BYTES_MAX} bytes"),
        ));
    }
    Ok(text)
}

/// Puts a file in place with one rename, so that nobody who waits for it reads half of it.
#[allow(clippy::disallowed_methods, reason = "a note for the caller's script, not a file of the store")]
fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".tmp");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, file)
}
