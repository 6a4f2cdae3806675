//! `ebbtide import`: brings series out of text files into a running server or a data directory.
//!
//! This room has the arguments and the order of work. Files are read twice, never kept: the first pass finds every
//! malformed cell, the last timestamp and the number of points before anything is sent; the second one sends. Memory
//! grows with the number of series, not of points. It must not know a file format or the shape of a request.

mod http;
mod input;
mod item;
mod names;
mod ndjson;
mod number;
mod report;
mod survey;
mod table;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ebbtide::limits::{BATCH_POINTS_MAX, UNIT_CHARS_MAX};
use ebbtide::server::{Profile, Server, ServerConfig};
use ebbtide::{Clock, SystemClock};

use self::http::Http;
use self::input::Source;
use self::item::{Defaults, Sample};
use self::report::Report;
use self::survey::Survey;

/// Points in one request or batch unless told otherwise: at about 220 bytes a point they fit the longest request.
const BATCH_POINTS_DEFAULT: usize = 2_000;

/// Longest lifetime the contract page allows, in seconds: seven days, and the default here.
const TTL_SECS_DEFAULT: u32 = 604_800;

/// Brings CSV and NDJSON files into a running server or a data directory.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("destination").required(true).args(["url", "data"])))]
pub(crate) struct Args {
    /// CSV files (.csv) or NDJSON files (.ndjson, .jsonl) of items as the server takes them; `-` is NDJSON on stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Send to the running server at this address, such as `http://127.0.0.1:8640`.
    #[arg(long, value_parser = parse_url)]
    url: Option<String>,
    /// Write into the data directory of a server that is not running.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The project to write to.
    #[arg(long, value_name = "ID", default_value = "demo", value_parser = parse_project)]
    project: String,
    /// Namespace of CSV series; `IMPORT.` and the name of the file's folder if not given.
    #[arg(long)]
    namespace: Option<String>,
    /// Distance of the samples of a CSV file without times, such as `10s`: its last sample is put at now.
    #[arg(long, value_name = "DURATION", value_parser = parse_step)]
    step: Option<Duration>,
    /// Move the times of all files by one constant, so that the last one is now.
    #[arg(long)]
    shift_to_now: bool,
    /// Seconds after its own time until a point expires, where the input does not say.
    #[arg(long, value_name = "SECS", default_value_t = TTL_SECS_DEFAULT)]
    ttl: u32,
    /// Unit of the points, where the input does not say.
    #[arg(long, value_parser = parse_unit)]
    unit: Option<String>,
    /// Which points a data directory takes, `document`, `current` or `lab`; a running server has its own profile.
    #[arg(long, default_value_t)]
    profile: Profile,
    /// Most points in one request or batch.
    #[arg(long, value_name = "POINTS", default_value_t = BATCH_POINTS_DEFAULT, value_parser = parse_batch)]
    batch: usize,
}

/// Runs the command: survey, send, report.
pub(crate) fn run(args: Args) -> Result<()> {
    let sources = Source::all(&args.files)?;
    let has_stdin = sources.iter().any(Source::is_stdin);
    if args.shift_to_now && has_stdin {
        bail!("--shift-to-now reads its input twice, which stdin does not allow: give a file");
    }
    let step_millis = args.step.map(|step| i64::try_from(step.as_millis()).expect("`parse_step` bounds it"));
    let defaults = Defaults { namespace: args.namespace, ttl_secs: args.ttl, unit: args.unit.as_deref(), step_millis };
    let survey = Survey::of(&sources, &defaults)?;

    let clock = SystemClock::default();
    let now = clock.now();
    let (server, url) = match (args.url, args.data) {
        (Some(url), None) => (None, url),
        (None, Some(dir)) => {
            let server = serve(&dir, args.profile)?;
            let url = format!("http://{}", server.local_addr());
            (Some(server), url)
        }
        _ => unreachable!("the argument group lets exactly one destination through"),
    };
    let mut http = Http::new(&url, &args.project, args.batch);
    let mut report = Report::new(&clock, now, (!has_stdin).then_some(survey.points()));
    let offset = |position| survey.offset(position, args.shift_to_now, now);
    let sent = send(&sources, &defaults, offset, &mut http, &mut report);
    report.hide_progress();
    sent.with_context(|| format!("stopped after {} points had been stored", report.stored()))?;
    if let Some(server) = server {
        server.stop().context("closing the data directory")?;
    }
    report.print()
}

/// A server of our own over a data directory, for as long as the import lasts: so a directory is locked, laid out and
/// guarded by the rules of its profile exactly as if its server were running.
fn serve(dir: &Path, profile: Profile) -> Result<Server> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = ServerConfig::on_disk(dir).profile(profile).listen(listen).start();
    server.with_context(|| format!("opening {}", dir.display()))
}

/// The second pass: every sample of every source goes to the server.
fn send(
    sources: &[Source],
    defaults: &Defaults<'_>,
    offset: impl Fn(usize) -> i64,
    http: &mut Http,
    report: &mut Report<'_>,
) -> Result<()> {
    for (position, source) in sources.iter().enumerate() {
        source.open(defaults)?.read(offset(position), &mut |sample| {
            report.count(&sample);
            if let Sample::Point(item) = &sample {
                report.advance(http.push(item)?);
            }
            Ok(())
        })?;
    }
    report.advance(http.finish()?);
    Ok(())
}

fn parse_url(text: &str) -> Result<String, String> {
    let Some(address) = text.strip_prefix("http://") else {
        return Err("only http:// is spoken here".into());
    };
    let address = address.trim_end_matches('/');
    if address.is_empty() || address.contains(['/', '?', '#', '@']) {
        return Err("expected http://host:port without a path".into());
    }
    Ok(format!("http://{address}"))
}

/// Held to the grammar here because it becomes a part of a path, on the wire and on disk.
fn parse_project(text: &str) -> Result<String, String> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&text.len()) && text.bytes().all(is_valid) {
        return Ok(text.into());
    }
    Err("a project id has 1 to 64 letters, digits, `-` and `_`".into())
}

fn parse_unit(text: &str) -> Result<String, String> {
    if text.chars().count() <= UNIT_CHARS_MAX {
        return Ok(text.into());
    }
    Err(format!("a unit has at most {UNIT_CHARS_MAX} characters"))
}

fn parse_batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(points) if (1..=BATCH_POINTS_MAX).contains(&points) => Ok(points),
        _ => Err(format!("expected 1 to {BATCH_POINTS_MAX} points")),
    }
}

/// A whole number with a unit: `500ms`, `10s`, `5m`, `1h`, `1d`; at most a year, so that no sum of steps overflows.
fn parse_step(text: &str) -> Result<Duration, String> {
    const YEAR_MILLIS: u64 = 366 * 86_400_000;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("expected a number with ms, s, m, h or d, such as 10s".into()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_millis)) {
        Some(millis @ 1..=YEAR_MILLIS) => Ok(Duration::from_millis(millis)),
        _ => Err("expected a step of 1 ms to one year".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_whole_numbers_with_a_unit() {
        assert_eq!(parse_step("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_step("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_step("2h"), Ok(Duration::from_secs(7_200)));
        for refused in ["", "10", "s", "0s", "-1s", "1.5s", "10 s", "400d", "99999999999999999999d"] {
            assert!(parse_step(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn only_plain_http_addresses_and_safe_project_ids_pass() {
        // Goal: nothing given here can become another path, on the wire or on disk.
        assert_eq!(parse_url("http://localhost:80/").as_deref(), Ok("http://localhost:80"));
        for refused in ["https://localhost", "localhost:80", "http://", "http://a/b", "http://a?b"] {
            assert!(parse_url(refused).is_err(), "{refused}");
        }
        assert!(parse_project("0a_b-C").is_ok() && parse_project(&"x".repeat(64)).is_ok());
        for refused in ["", "..", "a/b", "a.b", &"x".repeat(65)] {
            assert!(parse_project(refused).is_err(), "{refused}");
        }
    }
}
