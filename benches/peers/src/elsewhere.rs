//! Lines that benches of the main package measure: ingest over HTTP, and the codec by itself. They are run as anybody
//! would run them, and what they print is read.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::figures::Figures;

/// Rows of these lines among the figures.
pub(crate) const HTTP_BUFFERED: &str = "HTTP buffered";
pub(crate) const HTTP_SYNCED: &str = "HTTP synced";
pub(crate) const CODEC: &str = "codec";

/// Connections and points of a request of the lines over HTTP.
const LOAD: [&str; 2] = ["8", "2000"];
/// Values that each measurement of the codec goes over: 256 chunks of 1,024.
const VALUES: f64 = 256.0 * 1_024.0;

pub(crate) fn carry_out(only: &str, rounds: usize, figures: &mut Figures) {
    if "HTTP".contains(only) {
        eprintln!("ingest over HTTP, by the bench `http` ...");
        // Of an odd number of rounds, one is in the middle; of two, that bench takes the better one.
        let rounds = (rounds | 1).to_string();
        let told = bench(&["http", "--features", "server", "--", "--rounds", &rounds]);
        for line in told.lines() {
            if let Some((row, rate)) = http_line(line) {
                figures.add(row, "ebbtide", "rate", rate);
            }
        }
    }
    if CODEC.contains(only) {
        eprintln!("the codec, by the bench `codec` ...");
        for line in bench(&["codec", "--", "--output-format", "bencher", "packed"]).lines() {
            if let Some((name, nanos)) = codec_line(line) {
                figures.add(CODEC, "ebbtide", name, nanos / VALUES);
            }
        }
    }
}

/// What a bench of the main package prints; nothing, said aloud, if it cannot be run.
fn bench(arguments: &[&str]) -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    let cargo = cargo.args(["bench", "--bench"]).args(arguments).current_dir(project).stderr(Stdio::null());
    match cargo.output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        failed => {
            eprintln!("`cargo bench --bench {}` failed: {failed:?}", arguments.join(" "));
            String::new()
        }
    }
}

/// Points a second of one of the lines: durability, connections, batch, depth, rate ...
fn http_line(line: &str) -> Option<(&'static str, f64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [durability, connections, batch, _, rate, ..] = words[..] else { return None };
    let row = match durability {
        "buffered" => HTTP_BUFFERED,
        "sync" => HTTP_SYNCED,
        _ => return None,
    };
    if [connections, batch] == LOAD { Some((row, rate.parse().ok()?)) } else { None }
}

/// What is done and how many ns it takes: `test packed/encode ... bench:   2,512,980 ns/iter (+/- 301,636)`.
fn codec_line(line: &str) -> Option<(&str, f64)> {
    let (name, rest) = line.strip_prefix("test packed/")?.split_once(" ... bench:")?;
    let nanos = rest.split_whitespace().next()?.replace(',', "");
    Some((name, nanos.parse().ok()?))
}
