//! What an embedder's and a server's build may pull in. Goal: the crate counts stay under a budget, what is banned
//! stays out, and nothing needs a newer Rust than we promise. Method: walk the graph that `cargo metadata` gives for
//! this machine, offline; whoever can run this test has fetched all of it. Features that only dev-dependencies ask
//! for are on in that graph, so the counts err upwards. Licences and advisories: `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Most crates that a program compiles to embed Ebbtide, Ebbtide included.
const EMBEDDER_CRATES_MAX: usize = 45;
/// Most crates with the HTTP face and the command line.
const SERVER_CRATES_MAX: usize = 130;

const ASYNC_RUNTIMES: [&str; 6] =
    ["async-executor", "async-global-executor", "async-std", "futures-executor", "smol", "tokio"];

/// Crates and the start of their versions, and why they stay out.
const BANNED: [(&str, &str, &str); 3] = [
    ("bincode", "2.", "another format, and it allocates what a length prefix says"),
    ("bincode", "3.", "not code but a compile error"),
    ("openssl-sys", "", "a C library that every build would have to find"),
];

#[test]
fn an_embedder_compiles_few_crates_and_no_async_runtime() {
    let metadata = metadata(&["--no-default-features"]);
    let crates = crates_to_build(&metadata);
    println!("embedder: {} crates, at most {EMBEDDER_CRATES_MAX}: {crates:?}", crates.len());
    assert!(crates.len() <= EMBEDDER_CRATES_MAX, "{} crates: {crates:#?}", crates.len());
    let runtimes = crates.iter().filter(|name| ASYNC_RUNTIMES.contains(&name.split(' ').next().unwrap_or_default()));
    assert_eq!(runtimes.collect::<Vec<_>>(), Vec::<&String>::new(), "the library is synchronous");
}

#[test]
fn a_server_compiles_a_bounded_number_of_crates() {
    let crates = crates_to_build(&metadata(&["--no-default-features", "--features", "server"]));
    println!("server: {} crates, at most {SERVER_CRATES_MAX}", crates.len());
    assert!(crates.len() <= SERVER_CRATES_MAX, "{} crates: {crates:#?}", crates.len());
    // The walk reaches what the feature turns on, so the embedder's count is not small for want of looking.
    assert!(crates.iter().any(|name| name.starts_with("tokio ")), "{crates:#?}");
}

#[test]
fn nothing_banned_is_built_even_for_tests() {
    let metadata = metadata(&["--all-features"]);
    let packages: Vec<_> =
        packages(&metadata).map(|package| (text(package, "name"), text(package, "version"))).collect();
    assert_eq!(banned(&packages), Vec::<String>::new());
    assert!(packages.contains(&("bincode", "1.3.3")), "the pinned one is seen");
    // The check itself bites:
    assert_eq!(banned(&[("bincode", "1.3.3"), ("bincode", "2.0.1"), ("openssl-sys", "0.9.0")]).len(), 2);
}

#[test]
fn nothing_needs_a_newer_rust_than_we_promise() {
    let metadata = metadata(&["--all-features"]);
    let ours = rust_version(env!("CARGO_PKG_RUST_VERSION"));
    let newer = packages(&metadata)
        .filter(|package| package["rust_version"].as_str().is_some_and(|needed| rust_version(needed) > ours));
    let newer: Vec<_> = newer.map(|package| (text(package, "name"), text(package, "rust_version"))).collect();
    assert_eq!(newer, [], "need a newer Rust than {ours:?}");
    // The comparison is by number, and a patch release is no newer than its minor one without a patch number.
    assert!(rust_version("1.100") > rust_version("1.89") && rust_version("1.89.0") == rust_version("1.89"));
}

/// The dependency graph for this machine, dev-dependencies included, under these features.
fn metadata(features: &[&str]) -> Value {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &host()]);
    let output = cargo.args(features).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo can be run");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {complaint}");
    serde_json::from_slice(&output.stdout).expect("cargo metadata speaks JSON")
}

/// The triple of this machine, `x86_64-unknown-linux-gnu` or the like.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc can be run");
    let about = String::from_utf8(output.stdout).expect("rustc speaks UTF-8");
    about.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc -vV names the host").to_owned()
}

/// Name and version of each crate that a build of Ebbtide compiles: normal and build dependencies, all the way down.
fn crates_to_build(metadata: &Value) -> BTreeSet<String> {
    let names: BTreeMap<&str, String> = packages(metadata)
        .map(|package| (text(package, "id"), format!("{} {}", text(package, "name"), text(package, "version"))))
        .collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).map(|node| (text(node, "id"), node)).collect();
    let mut reached = BTreeSet::new();
    let mut open = vec![text(&metadata["resolve"], "root")];
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            let built = list(&nodes[id]["deps"])
                .filter(|dependency| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].as_str() != Some("dev")));
            open.extend(built.map(|dependency| text(dependency, "pkg")));
        }
    }
    reached.into_iter().map(|id| names[id].clone()).collect()
}

fn banned(packages: &[(&str, &str)]) -> Vec<String> {
    let reason = |name: &str, version: &str| {
        let ban = BANNED.iter().find(|(banned, start, _)| *banned == name && version.starts_with(start));
        ban.map(|(_, _, why)| format!("{name} {version}: {why}"))
    };
    packages.iter().filter_map(|(name, version)| reason(name, version)).collect()
}

fn rust_version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().expect("a Rust version is made of numbers"));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    list(&metadata["packages"])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("cargo metadata gives a list here").iter()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("cargo metadata gives a text here")
}
