//! The rules of the house, as tables, and the search for what breaks them. Works on texts in memory, so that a
//! planted violation is checked the same way as the project itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::source::{NamedPath, code_of, paths_of, without_tests};

/// From the ground up. A room names lower floors and itself; on some floors it also names its neighbours.
const FLOORS: [Floor; 7] = [
    Floor { rooms: &["model", "error"], neighbours: true },
    Floor { rooms: &["codec", "env"], neighbours: false },
    Floor { rooms: &["wal", "head", "segment", "manifest", "catalog", "policy", "backup"], neighbours: false },
    Floor { rooms: &["engine"], neighbours: false },
    Floor { rooms: &["db", "builder"], neighbours: true },
    Floor { rooms: &["server"], neighbours: false },
    // The end of the street: the command line serves what `server` makes.
    Floor { rooms: &["bin"], neighbours: false },
];

struct Floor {
    rooms: &'static [&'static str],
    neighbours: bool,
}

const STREET: &[&str] = &["src/server/", "src/bin/"];
const THREADS: &[&str] = &["src/engine/background.rs"];
const CLOCK: &[&str] = &["src/env/clock.rs"];
const HTTP: &[&str] = &["src/server/http.rs"];
/// Beside `env`, the command line opens files that its user names (input to import, a place for the address, what a
/// bench found), makes a place for a bench, or for a backup that is tried, and asks the kernel what a bench took.
const FILES: &[&str] = &[
    "src/env/",
    "src/bin/ebbtide/backup/aside.rs",
    "src/bin/ebbtide/import",
    "src/bin/ebbtide/serve",
    "src/bin/ebbtide/bench/folder.rs",
    "src/bin/ebbtide/bench/process.rs",
];
/// The writers of a bench.
const LOAD: &str = "src/bin/ebbtide/bench/drive.rs";

/// Each outside thing and where the sources may name it. Of several entries that fit, the longest counts.
const WARDENS: &[(&[&str], &[&str])] = &[
    (&["sled"], &["src/catalog/sled.rs"]),
    (&["bincode"], &["src/codec/record.rs"]),
    (&["crc32c"], &["src/codec/"]),
    (&["bitpacking"], &["src/codec/"]),
    (&["twox_hash"], &["src/codec/digest.rs"]),
    (&["ethnum"], &["src/model/summary/", "src/codec/summaries/"]),
    (&["fs2"], &["src/env/real.rs"]),
    // A hasher without a seed, for numbers of our own; names come from outside and keep the one of std.
    (&["rustc_hash"], &["src/"]),
    (&["uuid"], &["src/env/", "src/server/"]),
    // Words are what they mean, not how they are written.
    (
        &["serde"],
        &["src/codec/", "src/wal/", "src/segment/", "src/manifest/", "src/catalog/", "src/server/", "src/bin/"],
    ),
    (&["crossbeam_channel"], THREADS),
    (&["std", "thread"], &[THREADS[0], LOAD]),
    (&["std", "thread", "panicking"], &["src/"]),
    // A client that is told to come back later has nothing to wait for but time.
    (&["std", "thread", "sleep"], &["src/bin/ebbtide/import", LOAD]),
    (&["std", "fs"], FILES),
    (&["std", "os", "unix", "fs"], &["src/env/"]),
    (&["std", "time", "SystemTime"], CLOCK),
    (&["std", "time", "Instant"], CLOCK),
    (&["time", "SystemTime"], CLOCK),
    (&["time", "Instant"], CLOCK),
    (&["hyper"], HTTP),
    (&["hyper_util"], HTTP),
    (&["axum"], &["src/server/"]),
    (&["axum", "serve"], HTTP),
    (&["tokio"], STREET),
    (&["tokio", "fs"], &[]),
    (&["anyhow"], STREET),
    (&["clap"], STREET),
    (&["csv"], STREET),
    (&["flate2"], &["src/server/gzip.rs"]),
    (&["form_urlencoded"], STREET),
    (&["hmac"], &["src/server/auth/"]),
    (&["http_body_util"], STREET),
    (&["indicatif"], STREET),
    (&["percent_encoding"], STREET),
    (&["serde_json"], STREET),
    (&["sha2"], &["src/server/auth/", "src/server/ids.rs"]),
    (&["subtle"], &["src/server/auth/"]),
    (&["tower"], STREET),
    (&["tracing_subscriber"], STREET),
    (&["ureq"], STREET),
];

const FILE_LINES_MAX: usize = 400;

/// What must not be left lying about: in code, and (in two pieces, as this file is searched too) in any text.
const LEFTOVERS_IN_CODE: [&str; 3] = ["todo!", "unimplemented!", "#[ignore"];
const LEFTOVER_ANYWHERE: &str = concat!("FIX", "ME");

/// A file of the project: its path from the root, with `/`, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Everything that breaks a rule: `file:line: rule: what`.
pub(crate) fn complaints(files: &[File]) -> Vec<String> {
    let sources: Vec<Source<'_>> = files.iter().filter(|file| is_rust(file)).map(Source::new).collect();
    let test_modules: BTreeSet<String> = sources.iter().flat_map(Source::test_modules).collect();
    let front_door = sources.iter().find(|source| source.path == "src/lib.rs").map(front_door).unwrap_or_default();

    let mut found = Vec::new();
    for file in files {
        check_ascii(file, &mut found);
    }
    for source in &sources {
        check_form(source, &mut found);
        if source.path.starts_with("src/") && !source.is_test(&test_modules) {
            check_floors(source, &front_door, &mut found);
            check_wardens(source, &mut found);
        }
    }
    found
}

fn is_rust(file: &File) -> bool {
    Path::new(&file.path).extension().is_some_and(|extension| extension == "rs")
}

/// A source file, read as far as the rules need it.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
    code: String,
    /// Paths named outside of tests.
    paths: Vec<NamedPath>,
    modules_for_tests: Vec<String>,
}

impl<'a> Source<'a> {
    fn new(file: &'a File) -> Self {
        let code = code_of(&file.text);
        let (kept, modules_for_tests) = without_tests(&code);
        let paths = paths_of(&kept);
        Self { path: &file.path, text: &file.text, code, paths, modules_for_tests }
    }

    /// The modules from the root down; the command line is one room of its own crate.
    fn module(&self) -> Vec<&'a str> {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<&str> = inside.split('/').collect();
        if module.last() == Some(&"mod") {
            module.pop();
        }
        module
    }

    /// Paths, without ending, of the test modules that this file keeps in files of their own.
    fn test_modules(&self) -> Vec<String> {
        let module = self.module();
        self.modules_for_tests.iter().map(|name| format!("src/{}/{name}", module.join("/"))).collect()
    }

    fn is_test(&self, test_modules: &BTreeSet<String>) -> bool {
        let module = format!("src/{}", self.module().join("/"));
        test_modules.iter().any(|test| module == *test || module.starts_with(&format!("{test}/")))
    }
}

fn check_ascii(file: &File, found: &mut Vec<String>) {
    for (line, text) in numbered(&file.text).filter(|(_, text)| !text.is_ascii()) {
        let odd: String = text.chars().filter(|char| !char.is_ascii()).collect();
        found.push(format!("{}:{line}: ascii: {:?} is not ASCII", file.path, odd));
    }
}

fn check_form(source: &Source<'_>, found: &mut Vec<String>) {
    let Source { path, text, code, .. } = source;
    if !text.starts_with("//!") {
        found.push(format!("{path}:1: opening: a file opens with `//!`, what it does and what it must not"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        found.push(format!("{path}:{lines}: size: {lines} lines, at most {FILE_LINES_MAX}: make two rooms"));
    }
    for (line, _) in numbered(text).filter(|(_, text)| text.contains(LEFTOVER_ANYWHERE)) {
        found.push(format!("{path}:{line}: leftover: {LEFTOVER_ANYWHERE}"));
    }
    for leftover in LEFTOVERS_IN_CODE {
        for (line, _) in numbered(code).filter(|(_, text)| text.contains(leftover)) {
            found.push(format!("{path}:{line}: leftover: {leftover}"));
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(number, line)| (number + 1, line))
}

/// Which room each name of the front door comes from: `pub use db::{Db, Points};` and so on.
fn front_door(lib: &Source<'_>) -> BTreeMap<String, String> {
    let imports = lib.paths.iter().filter(|path| path.imported);
    let inside = imports.map(|path| path.segments.iter().skip_while(|word| *word == "crate" || *word == "self"));
    inside.filter_map(|words| Some((words.clone().last()?.clone(), words.clone().next()?.clone()))).collect()
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.rooms.contains(&room))
}

fn check_floors(source: &Source<'_>, front_door: &BTreeMap<String, String>, found: &mut Vec<String>) {
    let path = source.path;
    if path == "src/lib.rs" {
        return;
    }
    let module = source.module();
    let room = module[0];
    let Some(floor) = floor_of(room) else {
        found.push(format!("{path}:1: floors: `{room}` has no floor: give it one in tests/tidy/house.rs"));
        return;
    };
    for named in &source.paths {
        let inside = inside_the_house(named, &module);
        let Some(first) = inside.first() else { continue };
        let other = front_door.get(*first).map_or(*first, String::as_str);
        let (line, whole) = (named.line, named.segments.join("::"));
        match floor_of(other) {
            Some(_) if other == room => {}
            Some(lower) if lower < floor || (lower == floor && FLOORS[floor].neighbours) => {}
            Some(_) => found.push(format!("{path}:{line}: floors: `{room}` names `{other}` (`{whole}`)")),
            // An item of the file's own, seen from a module inside of it.
            None if named.segments[0] == "super" => {}
            None => found.push(format!("{path}:{line}: floors: `{whole}` is in no room of the house")),
        }
    }
}

/// The path from the root of the library, empty for what is not of it.
fn inside_the_house<'a>(named: &'a NamedPath, module: &[&'a str]) -> Vec<&'a str> {
    let words: Vec<&str> = named.segments.iter().map(String::as_str).collect();
    let own_crate = if module[0] == "bin" { "ebbtide" } else { "crate" };
    match words[0] {
        first if first == own_crate => words[1..].to_vec(),
        "super" if module[0] != "bin" => {
            let up = words.iter().take_while(|word| **word == "super").count();
            let above = &module[..module.len().saturating_sub(up)];
            above.iter().chain(&words[up..]).copied().collect()
        }
        _ => Vec::new(),
    }
}

fn check_wardens(source: &Source<'_>, found: &mut Vec<String>) {
    let path = source.path;
    for named in &source.paths {
        let fitting = WARDENS.iter().filter_map(|(thing, places)| Some((fit(named, thing)?, thing, places)));
        let Some((_, thing, places)) = fitting.max_by_key(|(fit, ..)| *fit) else { continue };
        if !places.iter().any(|place| path.starts_with(place)) {
            let (line, thing, places) = (named.line, thing.join("::"), places.join(", "));
            let places = if places.is_empty() { "nowhere" } else { &places };
            found.push(format!("{path}:{line}: warden: `{thing}` is named here, but allowed only in: {places}"));
        }
    }
}

/// How closely a path names this thing: by more words is closer, and 0 is an import by `*` of what the thing is in.
fn fit(named: &NamedPath, thing: &[&str]) -> Option<usize> {
    let words = &named.segments;
    if words.len() == 1 && !named.imported {
        return None; // a variable or a field that happens to be called so
    }
    if words.len() >= thing.len() && words[..thing.len()].iter().eq(thing) {
        return Some(thing.len());
    }
    let (last, parent) = words.split_last()?;
    let is_inside = !parent.is_empty() && parent.len() < thing.len() && parent.iter().eq(&thing[..parent.len()]);
    (last == "*" && is_inside).then_some(0)
}
