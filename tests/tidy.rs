//! The house's rules. Goal: floors, wardens, file sizes and form (ARCHITECTURE.md) hold in every commit.
//! Method: read the sources as text and search them for violations; then show, by planting one of each, that the
//! search finds them, and that what looks alike but is allowed passes.
#![allow(clippy::disallowed_methods, reason = "reads the project's own sources, not a database")]

#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use house::{File, complaints};

#[test]
fn the_project_keeps_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(root, root, &mut files);
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the sources were found");
    let found = complaints(&files);
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

/// Sources and Markdown below a folder; neither hidden folders nor those of build results.
fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of the project is readable") {
        let path = entry.expect("an entry is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && !path.join("CACHEDIR.TAG").exists() {
            collect(root, &path, files);
        } else if path.is_file() && (name.ends_with(".rs") || name.ends_with(".md")) {
            let inside = path.strip_prefix(root).expect("the walk starts at the root");
            let inside: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files.push(File { path: inside.join("/"), text });
        }
    }
}

const LIB: &str = "//! Lib.\nmod db;\nmod engine;\npub use db::{Db, Points};\npub use model::limits;\n\
                   pub use model::time::Timestamp;\n";

/// The complaints about one file that stands in a house with a front door.
fn about(path: &str, text: &str) -> Vec<String> {
    let lib = File { path: "src/lib.rs".into(), text: LIB.into() };
    complaints(&[lib, File { path: path.into(), text: text.into() }])
}

/// Expects exactly one complaint, of this rule, on this line.
#[track_caller]
fn bites(path: &str, text: &str, line: usize, rule: &str) {
    let found = about(path, text);
    let start = format!("{path}:{line}: {rule}: ");
    assert!(found.len() == 1 && found[0].starts_with(&start), "wanted `{start}`, found {found:?} in:\n{text}");
}

#[track_caller]
fn passes(path: &str, text: &str) {
    assert_eq!(about(path, text), Vec::<String>::new(), "in:\n{text}");
}

#[test]
fn naming_a_higher_floor_or_a_neighbour_is_found() {
    let bad = [
        ("src/model/point.rs", "use crate::codec::varint;"),
        ("src/error.rs", "use crate::env::disk::Disk;"),
        ("src/codec/frame.rs", "use crate::env::disk::Disk;"),
        ("src/env/lock.rs", "fn f() { crate::codec::frame::f() }"),
        ("src/wal/writer.rs", "use crate::{error::Result, head::Head};"),
        ("src/head/mod.rs", "pub(crate) fn f(_: &crate::catalog::Catalog) {}"),
        ("src/catalog/store.rs", "use super::super::segment::Segment;"),
        ("src/catalog/mod.rs", "use super::manifest;"),
        ("src/manifest/edit.rs", "use crate::engine::Engine;"),
        ("src/engine/open.rs", "use crate::db::Db;"),
        ("src/engine/write.rs", "use crate::server;"),
        ("src/engine/query.rs", "use crate::Db; // by the front door"),
        ("src/builder.rs", "use crate::server::http;"),
        ("src/env/disk.rs", "use crate::nowhere::Thing;"),
        ("src/wal/reader.rs", "use crate::*;"),
        ("src/utils.rs", "fn f() {}"),
    ];
    for (path, code) in bad {
        let line = if path == "src/utils.rs" { 1 } else { 3 };
        bites(path, &format!("//! Room.\n\n{code}\n"), line, "floors");
    }
}

#[test]
fn naming_lower_floors_and_the_own_room_passes() {
    let good = [
        ("src/error.rs", "use crate::model::series::SeriesKey;"),
        ("src/model/batch.rs", "use crate::error::{Error, Result};"),
        ("src/wal/writer.rs", "use crate::codec::{frame, record}; use super::format; use crate::wal::format::HEADER;"),
        ("src/wal/mod.rs", "pub(crate) mod format; pub(super) fn f() {} pub(in crate::wal) fn g() {}"),
        ("src/wal/mod.rs", "mod sizes { pub(super) use super::Wal; }"),
        ("src/engine/open.rs", "use crate::{wal, head::{self, Head}, catalog as c, env::disk::*};"),
        ("src/db.rs", "use crate::builder::Builder;"),
        ("src/server/http.rs", "use crate::{Db, Timestamp, limits::BATCH_POINTS_MAX};"),
        ("src/bin/ebbtide/main.rs", "mod serve; use crate::serve::run; use ebbtide::{Db, server::http};"),
        ("src/head/mod.rs", "/// See [`crate::engine`].\nfn f() { g(\"crate::engine\"); /* crate::db */ }"),
        (
            "src/head/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::catalog::Catalog;\n    fn f() { let _ = '}'; }\n}",
        ),
    ];
    for (path, code) in good {
        passes(path, &format!("//! Room.\n\n{code}\n"));
    }
}

#[test]
fn an_outside_thing_away_from_its_warden_is_found() {
    let bad = [
        ("src/catalog/mod.rs", "use sled::Db;"),
        ("src/wal/format.rs", "fn f() { bincode::serialize(&1); }"),
        ("src/engine/write.rs", "use crossbeam_channel::Sender;"),
        ("src/engine/write.rs", "fn f() { std::thread::scope(|_| {}); }"),
        ("src/engine/flush.rs", "use std::{io, thread};"),
        ("src/server/http.rs", "use std::thread::*;"),
        ("src/wal/writer.rs", "use std::fs::File;"),
        ("src/engine/open.rs", "use std::os::unix::fs::FileExt;"),
        ("src/bin/ebbtide/bench.rs", "use std::fs;"),
        ("src/server/projects.rs", "async fn f() { tokio::fs::read(\"\").await; }"),
        ("src/engine/query.rs", "use std::time::{Duration, Instant};"),
        ("src/env/disk.rs", "use std::time::SystemTime;"),
        ("src/engine/plan.rs", "use std::time::*;"),
        ("src/engine/plan.rs", "use std::time; fn f() { time::Instant::now(); }"),
        ("src/server/cloudeye/mod.rs", "fn f() { axum::serve(1, 2); }"),
        ("src/server/cloudeye/mod.rs", "use hyper::Request;"),
        ("src/server/mod.rs", "use hyper_util::rt::TokioIo;"),
        ("src/bin/ebbtide/main.rs", "use axum::Router;"),
        ("src/engine/write.rs", "use tokio::sync::mpsc;"),
        ("src/engine/open.rs", "use uuid::Uuid;"),
        ("src/wal/format.rs", "use crc32c;"),
        ("src/segment/chunk.rs", "use bitpacking::BitPacker4x;"),
        ("src/engine/open.rs", "fn f() { fs2::available_space(\"\"); }"),
        ("src/model/point.rs", "use serde::Serialize;"),
        ("src/engine/stats.rs", "use serde_json::json;"),
        ("src/db.rs", "use anyhow::Result;"),
        ("src/lib.rs", "use clap::Parser;"),
        ("src/builder.rs", "fn f() { indicatif::ProgressBar::hidden(); }"),
        ("src/env/disk.rs", "fn f() { ::ureq::get(\"\"); }"),
    ];
    for (path, code) in bad {
        bites(path, &format!("//! Room.\n\n{code}\n"), 3, "warden");
    }
}

#[test]
fn a_warden_and_what_only_looks_alike_pass() {
    let good = [
        ("src/catalog/sled.rs", "use sled::Config;"),
        ("src/env/real.rs", "fn f() { fs2::available_space(\"\"); }"),
        ("src/codec/points.rs", "use bitpacking::{BitPacker, BitPacker4x};"),
        ("src/head/mod.rs", "use rustc_hash::FxHashMap;"),
        ("src/catalog/mod.rs", "mod sled; use self::sled::SledCatalog;"),
        ("src/codec/record.rs", "use bincode::Options; use serde::Serialize; use crc32c::crc32c;"),
        ("src/engine/background.rs", "use std::thread; use crossbeam_channel::bounded;"),
        ("src/engine/write.rs", "fn drop() { if std::thread::panicking() {} }"),
        ("src/env/real.rs", "use std::fs::File; use std::os::unix::fs::FileExt; use uuid::Uuid;"),
        ("src/env/clock.rs", "use std::time::{Duration, Instant, SystemTime};"),
        ("src/bin/ebbtide/import.rs", "use std::fs::File; use clap::Parser; use anyhow::Context;"),
        ("src/server/http.rs", "use hyper_util::rt::TokioIo; fn f() { axum::serve(1, 2); }"),
        ("src/server/vbs/mod.rs", "use axum::extract::State; use tokio::time::Duration; use serde_json::json;"),
        ("src/engine/open.rs", "fn f(format: Format) { let uuid = format.uuid; mark(uuid, uuid.len()); }"),
        ("src/engine/write.rs", "use std::time::Duration;"),
        ("src/wal/mod.rs", "#[cfg(test)]\nfn f() { std::fs::read(\"\"); }\nfn g() {}"),
        ("tests/it/kill.rs", "use std::thread; use sled::Config;"),
    ];
    for (path, code) in good {
        passes(path, &format!("//! Room.\n\n{code}\n"));
    }
}

#[test]
fn test_modules_in_files_of_their_own_may_name_anything() {
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    let declaration = "//! Wal.\n#[cfg(test)]\npub(crate) mod faulty;\n";
    let named = "//! Tests.\nuse crate::engine::Engine;\nuse std::thread;\n";
    let tested = [file("src/wal/mod.rs", declaration), file("src/wal/faulty.rs", named)];
    assert_eq!(complaints(&tested), Vec::<String>::new());
    let plain = [file("src/wal/mod.rs", "//! Wal.\nmod faulty;\n"), file("src/wal/faulty.rs", named)];
    assert_eq!(complaints(&plain).len(), 2, "without the mark it is a room like any other");
}

#[test]
fn a_file_without_the_houses_form_is_found() {
    bites("src/wal/mod.rs", "// Wal.\n", 1, "opening");
    bites("benches/ingest.rs", "fn main() {}\n", 1, "opening");
    let long = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
    bites("tests/it/main.rs", &long(401), 401, "size");
    passes("tests/it/main.rs", &long(400));
    bites("src/wal/mod.rs", "//! Wal.\n// 10 \u{b5}s\n", 2, "ascii");
    bites("docs/format.md", "# Format\n\nA \u{2192} B\n", 3, "ascii");
    bites("src/wal/mod.rs", &format!("//! Wal.\n// {}{}: later\n", "FIX", "ME"), 2, "leftover");
    bites("src/wal/mod.rs", "//! Wal.\nfn f() { todo!() }\n", 2, "leftover");
    bites("src/wal/mod.rs", "//! Wal.\nfn f() { unimplemented!(\"later\") }\n", 2, "leftover");
    bites("tests/it/main.rs", "//! It.\n#[test]\n#[ignore = \"slow\"]\nfn f() {}\n", 3, "leftover");
    passes("src/wal/mod.rs", "//! Wal. No todo! here.\nfn f() -> &'static str { \"unimplemented!\" }\n");
}

#[test]
fn code_is_told_from_comments_strings_and_characters() {
    let source = "a /* b /* c */ d */ e // f\n\"g\\\"h\" r#\"i\"j\"# 'k' '\\'' b'\"' <'l> br\"m\" '\u{e9}' r#type n";
    let code = source::code_of(source);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "e", "b", "<'l>", "r#type", "n"]);
    assert_eq!(code.lines().count(), 2);
}

#[test]
fn grouped_imports_are_written_out_with_their_lines() {
    let paths =
        source::paths_of("use crate::{\n    a,\n    b::{self, c as d, e::*},\n};\nlet x: Vec::<u8> = f::g(h.i);");
    let found: Vec<_> = paths.iter().map(|path| format!("{} {}", path.line, path.segments.join("::"))).collect();
    let wanted = ["2 crate::a", "3 crate::b", "3 crate::b::c", "3 crate::b::e::*", "5 Vec", "5 u8", "5 f::g", "5 h"];
    for path in wanted {
        assert!(found.iter().any(|found| found == path), "{path} in {found:?}");
    }
}
