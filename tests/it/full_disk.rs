//! A disk that is full when the server starts after a kill: what was acknowledged is served, and writing goes on by
//! itself once there is room.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ebbtide::server::ServerConfig;
use ebbtide::{Clock, ManualClock, SystemClock};

use crate::harness::{Client, Server, now_millis, points_path};

/// Room for one log of 8 MiB, and not for a second one beside the filling.
const DISK_BYTES: &str = "size=24m";

/// A small file system in memory; gone when dropped.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", DISK_BYTES, "tmpfs"]).arg(dir.path()).status();
        status.is_ok_and(|status| status.success()).then_some(Self { dir })
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Takes all the room that is left; gives the file that holds it.
    #[allow(clippy::disallowed_methods, reason = "a test fills a disk behind the server's back")]
    fn fill(&self) -> PathBuf {
        let path = self.dir.path().join("filling");
        let error = std::fs::write(&path, vec![1; 32 << 20]).expect_err("more than there is room for");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that stays behind is empty and harms nothing; the folder below it cannot be removed then.
        Command::new("umount").arg(self.dir.path()).status().ok();
    }
}

#[allow(clippy::disallowed_methods, reason = "a test fills a disk behind the server's back")]
fn remove(path: &Path) {
    std::fs::remove_file(path).expect("it is there");
}

fn body(time: i64) -> String {
    let metric = r#"{"namespace":"A.B","metric_name":"m","dimensions":[{"name":"n","value":"v"}]}"#;
    format!(r#"[{{"metric":{metric},"ttl":600,"collect_time":{time},"value":1}}]"#)
}

#[test]
fn a_start_on_a_full_disk_serves_reads_and_takes_writes_up_again() {
    // Method: a real server on a small file system is killed and the disk filled. A second server, whose clock is ours,
    // answers reads and refuses writes, until there is room and 15 seconds have gone by.
    let Some(disk) = SmallDisk::mount() else {
        // Not `println`, which tests that pass keep to themselves.
        writeln!(std::io::stderr(), "SKIPPED: no file system can be mounted here").expect("stderr");
        return;
    };
    let now = now_millis();
    let path = points_path("p");
    let mut killed = Server::start(&["--data", disk.data().to_str().expect("test paths are UTF-8")]);
    killed.post(&path, body(now)).assert_stored();
    killed.kill();

    let filling = disk.fill();
    let clock = Arc::new(ManualClock::new(SystemClock::default().now()));
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = ServerConfig::on_disk(disk.data()).listen(listen).clock(clock.clone()).start().expect("starts");
    let client = Client::new(server.local_addr());
    let (from, to) = (now - 1_000, now + 1_000);
    let question = format!("{path}?namespace=A.B&metric_name=m&dim.0=n,v&from={from}&to={to}&period=1&filter=max");
    let count = || client.get(&question).text().matches("timestamp").count();
    assert_eq!(count(), 1, "what was acknowledged is served");
    client.post(&path, body(now + 1)).assert_refused(503, "ces.0019", "read-only");
    remove(&filling);
    client.post(&path, body(now + 1)).assert_refused(503, "ces.0019", "read-only");
    clock.advance(Duration::from_secs(15));
    client.post(&path, body(now + 1)).assert_stored();
    assert_eq!(count(), 2);
    server.stop().expect("closes");
}
