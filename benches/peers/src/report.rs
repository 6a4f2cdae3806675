//! What a run has shown, as Markdown and plots.

use std::fmt::Write;

use crate::figures::{Figures, short};
use crate::goals::{Better, Goal, derive, goals};
use crate::options::Options;
use crate::plan::growth_rows;
use crate::plot::{Panel, picture};
use crate::process::machine;
use crate::stores::{KINDS, Kind};

const ABOUT: &str = "\
`null` resolves each point's name and drops the point, `rawlog` appends 20 bytes for it to one file: the floors of this
machine. Each cell (store x workload x operation) ran in a process of its own; the stores took turns in each of the
rounds, and the figure is the median. Absolute figures drift, ratios within one run are what holds. Input is made ahead
and not timed; a rate is that of acknowledged points, and with `flush` of points that have left memory and log for where
they stay. Questions are asked again and again, of the caches of all. Answers were compared with a plain map, point by
point. `ratio` is how many times better Ebbtide is than the best peer.
";

const SIZES: &str = "\
Disk is measured after flush, compaction and close, by lengths of files. For lines with a goal Ebbtide's windows of five
minutes and its rebuildable copy of the names are left out, since no peer has such; `all files` counts them. `reopen` is
in a new process with the files in the system's cache. Bytes written are what the process handed to the block layer up
to the end of the flush that follows ingest. What ran out of its time (`--budget`) is shown with what it had stored,
and is a peer in rates only; where that is Ebbtide, the line says `in part`.
";

const ELSEWHERE: &str = "\
Ingest over HTTP is what `cargo bench --bench http --features server` tells of 8 connections with 2,000 points of 240
bytes a request, the codec's lines what `cargo bench --bench codec` tells of packed chunks of 1,024 values; no embedded
store has such lines. `of rawlog` is the part of the floor's rate: what a disk can sync differs more between machines
than anything else here. sled acknowledges before the disk has it, so it is no peer where each batch is synced.
";

/// What is missed, where its time or space goes, and what was tried.
const NOTES: &str = include_str!("notes.md");

/// Stores behind a feature of the same name.
const OPTIONAL: [&str; 2] = ["duckdb", "rocksdb"];

pub(crate) fn write(options: &Options, figures: &Figures) {
    let mut figures = figures.clone();
    derive(&mut figures);
    let mut text = String::from("# Ebbtide beside its peers\n\nWritten by the run itself.\n\n");
    heading(&mut text, options, &figures);
    text.push_str("\n## Goals\n\n");
    text.push_str(ABOUT);
    table_of_goals(&mut text, &figures);
    text.push('\n');
    text.push_str(SIZES);
    text.push('\n');
    text.push_str(ELSEWHERE);
    text.push_str("\n## What is missed, and why\n\n");
    text.push_str(NOTES);
    text.push_str("\n## All stores\n\n");
    table_of_stores(&mut text, &figures);
    for (name, ..) in pictures() {
        let _ = writeln!(text, "\n![{name}](results-{name}.svg)");
    }
    text.push_str("\n## Growth\n\n");
    table_of_growth(&mut text, options, &figures);
    text.push_str("\n## Durability and settings\n\n");
    table_of_settings(&mut text);
    if !figures.failed.is_empty() {
        text.push_str("\n## Failed\n\n");
        for (row, store, why) in &figures.failed {
            let why: String = why.chars().filter(char::is_ascii).collect();
            let _ = writeln!(text, "- {row}, {store}: {why}");
        }
    }
    std::fs::create_dir_all(&options.out).unwrap_or_else(|error| panic!("{}: {error}", options.out.display()));
    let path = options.out.join("RESULTS.md");
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (name, title, axis, lines) in pictures() {
        let panels: Vec<Panel> = lines.iter().map(|goal| panel(goal, &figures)).collect();
        if let Some(svg) = picture(title, axis, &panels) {
            let path = options.out.join(format!("results-{name}.svg"));
            std::fs::write(&path, svg).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    eprintln!("written: {}", path.display());
}

fn heading(text: &mut String, options: &Options, figures: &Figures) {
    let mut features = vec![];
    for feature in OPTIONAL {
        if KINDS.iter().any(|kind| kind.name == feature) {
            features.push(feature);
        } else {
            let _ = writeln!(
                text,
                "- Left out of this build: {feature}, which is behind a feature for its minutes of C++."
            );
        }
    }
    let features = if features.is_empty() { String::new() } else { format!(" --features {}", features.join(",")) };
    let given = if options.given.is_empty() { String::new() } else { format!(" --{}", options.given) };
    let rustc = std::process::Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let points = if options.points == usize::MAX {
        "all points".into()
    } else {
        format!("at most {} points of each workload", options.points)
    };
    let _ = writeln!(text, "- Repeat it: `cd benches/peers && cargo run --release{features}{given}`");
    let _ = writeln!(text, "- {}, {} s, {} rounds, {points}", today(), figures.seconds, options.rounds);
    let _ = writeln!(text, "- {}; {rustc}", machine());
    let _ = writeln!(text, "- {}", versions());
}

/// The date by UTC, from the days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
fn today() -> String {
    let days = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / 86_400;
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months count from March.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year_of_era + month / 10, if month < 10 { month + 3 } else { month - 9 });
    format!("{year}-{month:02}-{day:02}")
}

/// Names and versions of the stores, from this package's lock file.
fn versions() -> String {
    let lock = include_str!("../Cargo.lock");
    let crates =
        ["ebbtide", "tsink", "sled", "fjall", "redb", "rusqlite", "libsqlite3-sys", "heed", "rocksdb", "duckdb"];
    let version = |name: &&str| {
        let place = lock.find(&format!("name = \"{name}\"\nversion = \""))?;
        let rest = &lock[place..];
        Some(format!("{name} {}", rest.split('"').nth(3)?))
    };
    let is_left_out = |name: &str| OPTIONAL.contains(&name) && KINDS.iter().all(|kind| kind.name != name);
    crates.iter().filter(|name| !is_left_out(name)).filter_map(version).collect::<Vec<_>>().join(", ")
}

fn table_of_goals(text: &mut String, figures: &Figures) {
    text.push_str("\n| line | durability | goal | best peer | rawlog | ebbtide | of rawlog | ratio | |\n|");
    text.push_str(&" --- |".repeat(9));
    text.push('\n');
    for goal in goals() {
        let (own, verdict) = (goal.of(figures, "ebbtide"), goal.verdict(figures));
        let peer = goal.best_peer(figures);
        let bound = if goal.better == Better::More { ">=" } else { "<=" };
        let with_unit = |number: f64| format!("{} {}", short(number), goal.unit);
        let wanted = goal.wanted.map_or("-".into(), |wanted| format!("{bound} {}", with_unit(wanted)));
        let ratio =
            own.zip(peer).map(|(own, (_, peer))| if goal.better == Better::More { own / peer } else { peer / own });
        // Nothing is so many times better than what is worse than nothing.
        let ratio = ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0);
        let behind = own.zip(peer).is_some_and(|(own, (_, peer))| !goal.is_better(own, peer));
        let behind = behind && !verdict.starts_with("no verdict");
        let floor = goal.of(figures, "rawlog");
        let of_floor = own.zip(floor).filter(|_| goal.unit == "M/s").map(|(own, floor)| own / floor);
        let words = [verdict, if behind { "BEHIND" } else { "" }];
        let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "| {} | {} | {wanted} | {} | {} | {} | {} | {} | {words} |",
            goal.what,
            if goal.durability.is_empty() { "-" } else { goal.durability },
            peer.map_or("-".into(), |(store, number)| format!("{store} {}", short(number))),
            floor.map_or("-".into(), short),
            own.map_or("-".into(), with_unit),
            of_floor.map_or("-".into(), short),
            ratio.map_or("-".into(), short),
        );
    }
}

fn table_of_stores(text: &mut String, figures: &Figures) {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let _ = writeln!(text, "| line | unit | {} |\n|{}", names.join(" | "), " --- |".repeat(names.len() + 2));
    for goal in goals() {
        let cells = KINDS.iter().map(|kind| goal.of(figures, kind.name).map_or("-".into(), short));
        let durability = if goal.durability.is_empty() { String::new() } else { format!(", {}", goal.durability) };
        let cells = cells.collect::<Vec<_>>().join(" | ");
        let _ = writeln!(text, "| {}{durability} | {} | {cells} |", goal.what, goal.unit);
    }
    let cells = KINDS
        .iter()
        .map(|kind| figures.get("W1", kind.name, "points").map_or("-".into(), |points| short(points / 1e6)));
    let _ = writeln!(text, "| W1, points stored | M | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn table_of_growth(text: &mut String, options: &Options, figures: &Figures) {
    text.push_str(
        "Ebbtide alone, buffered, batches of 10,000, one writer. Each question reads the same whatever is stored.\n\n",
    );
    text.push_str("| points stored | series | ingest M/s | flush s | B/point, all files | peak MB | reopen ms | last 10 points us | latest us | 1 h of windows us | one host of all us |\n|");
    text.push_str(&" --- |".repeat(11));
    text.push('\n');
    for (row, points, series) in growth_rows(options.growth) {
        let stored = match figures.get(&row, "ebbtide", "points") {
            Some(stored) if stored < points as f64 => format!("{stored:.0} of {points}"),
            Some(_) => points.to_string(),
            None => format!("none of {points}"),
        };
        let names = [
            ("rate", 1e-6),
            ("flush", 1.0),
            ("disk", 1.0),
            ("memory", 1e-6),
            ("reopen", 1e3),
            ("last_points", 1e6),
            ("latest", 1e6),
            ("windows", 1e6),
            ("select", 1e6),
        ];
        let cell =
            |(name, scale): (&str, f64)| figures.get(&row, "ebbtide", name).map_or("-".into(), |n| short(n * scale));
        let cells = names.map(cell).join(" | ");
        let _ = writeln!(text, "| {stored} | {series} | {cells} |");
    }
}

fn table_of_settings(text: &mut String) {
    text.push_str("| store | nothing synced: acknowledged is | each synced: acknowledged is | settings |\n|");
    text.push_str(&" --- |".repeat(4));
    text.push('\n');
    for Kind { name, unsynced, synced, settings, .. } in KINDS {
        let _ = writeln!(text, "| {name} | {unsynced} | {synced} | {settings} |");
    }
}

type Picture = (&'static str, &'static str, &'static str, Vec<Goal>);

fn pictures() -> [Picture; 3] {
    let lines = |wanted: &dyn Fn(&Goal) -> bool| goals().into_iter().filter(|goal| wanted(goal)).collect();
    [
        (
            "ingest",
            "Ingest, acknowledged",
            "million points a second (logarithmic)",
            lines(&|goal| goal.figure == "rate"),
        ),
        (
            "size",
            "Size on disk, all files",
            "bytes a point (logarithmic)",
            lines(&|goal| goal.figure == "disk" && goal.own_figure == "disk"),
        ),
        (
            "queries",
            "Queries of W1, files in the system's cache",
            "microseconds an answer (logarithmic)",
            lines(&|goal| goal.unit == "us"),
        ),
    ]
}

fn panel(goal: &Goal, figures: &Figures) -> Panel {
    let durability = if goal.durability.is_empty() { String::new() } else { format!(", {}", goal.durability) };
    let bars = KINDS.iter().filter_map(|kind| Some((kind.name, goal.of(figures, kind.name)?)));
    Panel { title: format!("{}{durability}", goal.what), bars: bars.filter(|bar| bar.1 > 0.0).collect() }
}
