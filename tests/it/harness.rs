//! Starts the real binary as a server and talks to it as a plain HTTP client would. Knows no test; a server that a
//! test leaves behind is killed.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use ebbtide::{Clock, SystemClock};
use tempfile::NamedTempFile;

/// Longest a test waits for anything: more than any limit it provokes, and an end to every hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often something is looked at that cannot be waited for.
const POLL: Duration = Duration::from_millis(5);

/// What the page's URL continues with behind the project id.
const METRIC_DATA: &str = "metric-data";

/// The current time, in milliseconds since 1970.
pub(crate) fn now_millis() -> i64 {
    SystemClock::default().now().as_millis()
}

/// Looks until `done` gives something.
#[allow(clippy::disallowed_methods, reason = "the only sleep of the tests, between looks of a bounded wait")]
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::default();
    loop {
        if let Some(outcome) = done() {
            return outcome;
        }
        assert!(clock.monotonic() < PATIENCE, "{what} took longer than {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

/// The path of a project's points.
pub(crate) fn points_path(project: &str) -> String {
    format!("/V1.0/{project}/{METRIC_DATA}")
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebbtide"));
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for("the command", || child.try_wait().expect("it is our child"));
    child.wait_with_output().expect("it has ended")
}

/// A running `ebbtide serve`, killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it logs; shown when a test fails.
    log: NamedTempFile,
    client: Client,
}

impl Server {
    /// Starts `ebbtide serve` with these arguments on a port of the system's choice, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebbtide"));
        let log = NamedTempFile::new().expect("a file");
        let stderr = log.reopen().expect("it is there");
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it prints UTF-8");
        let address = line.strip_prefix("ebbtide listening on http://").and_then(|rest| rest.trim_end().parse().ok());
        let Some(address) = address else {
            let status = child.wait();
            panic!("the server is not ready but ended with {status:?}, having printed {line:?}: {}", read_back(&log));
        };
        Self { child, stdout, log, client: Client::new(address) }
    }

    /// Starts a server on a directory.
    pub(crate) fn start_on(data: &Path) -> Self {
        Self::start(&["--data", data.to_str().expect("test paths are UTF-8")])
    }

    /// A client of this server.
    pub(crate) fn client(&self) -> Client {
        self.client
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Posts a body.
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.client.post(path, body)
    }

    /// Gets a path, which may have a query.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.client.get(path)
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("there is a shell");
        assert!(status.success(), "the server can be signalled");
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the server", || self.child.try_wait().expect("it is our child"))
    }

    /// Asks the server to stop, and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Kills the server as a crash would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.wait();
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        read_back(&self.log)
    }

    /// What it printed behind the ready line, once it has ended.
    pub(crate) fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("it prints UTF-8");
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended long ago, and a test that is failing already needs no second complaint.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("the log of the server at {}:\n{}", self.client.address, self.log());
        }
    }
}

/// A plain HTTP client with one connection for each request. Also for servers within the test's own process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    address: SocketAddr,
}

impl Client {
    /// A client of the server at this address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The server's address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Posts a body.
    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.request("POST", path, body.as_ref())
    }

    /// Gets a path, which may have a query.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.request("GET", path, b"")
    }

    /// Any method, with a body.
    pub(crate) fn request(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        let json = [("content-type", "application/json")];
        self.send(method, path, if method == "GET" { &[] } else { &json }, body)
    }

    /// Any method, with headers and a body.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut connection = self.begin(method, path, headers, body);
        connection.reply()
    }

    /// Sends a request and leaves the reply to whoever reads it.
    pub(crate) fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Connection {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        let names_host = headers.iter().any(|(name, _)| *name == "host");
        if !names_host {
            request.push_str("host: test\r\n");
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").expect("memory");
        }
        if method != "GET" {
            write!(request, "content-length: {}\r\n", body.len()).expect("memory");
        }
        let mut connection = self.connect();
        connection.write_all(format!("{request}\r\n").as_bytes()).expect("the server reads headers");
        connection.write_all(body).expect("the server reads bodies");
        connection
    }

    /// A bare connection, for requests no well-behaved client would send.
    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        Connection(BufReader::new(stream))
    }
}

/// A bare connection to a server.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Reads one reply.
    pub(crate) fn reply(&mut self) -> Reply {
        Reply::read(&mut self.0).expect("the server replies")
    }

    /// The status of one reply, or none if the connection ends without one.
    pub(crate) fn status(&mut self) -> Option<u16> {
        Reply::read(&mut self.0).ok().map(|reply| reply.status)
    }

    /// Ends the client's side: no request follows.
    pub(crate) fn end_requests(&self) {
        self.0.get_ref().shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }

    /// Reads until the server closes the connection, and counts the bytes.
    pub(crate) fn read_to_its_end(&mut self) -> usize {
        let mut bytes = Vec::new();
        // A reset is an end as well.
        self.0.read_to_end(&mut bytes).ok();
        bytes.len()
    }

    /// Whether the server closes the connection without a further byte.
    pub(crate) fn is_closed_by_server(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// What a server replied.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// Names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body as it came.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let status_line = line(from)?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("a bad status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = line(from)?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Self { status, headers, body: Vec::new() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reply.body.resize(length, 0);
        from.read_exact(&mut reply.body)?;
        Ok(reply)
    }

    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("bodies are UTF-8")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Asserts that this is a refusal in the one shape every known client can read.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str, fragment: &str) {
        let text = self.text();
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{text}");
        let body: serde_json::Value = serde_json::from_str(text).expect("an error's body is JSON");
        assert_eq!(body["http_code"], status, "{text}");
        assert_eq!(body["message"]["code"], code, "{text}");
        assert_eq!(body["message"]["details"], body["message"]["message"], "{text}");
        let details = body["message"]["details"].as_str().expect("a string");
        assert!(details.contains(fragment), "{details:?} does not name {fragment:?}");
    }

    /// Asserts that this is a 201 without a body.
    #[track_caller]
    pub(crate) fn assert_stored(&self) {
        assert_eq!(self.status, 201, "{}", self.text());
        assert_eq!(self.header("content-length"), Some("0"));
        assert!(self.body.is_empty());
    }
}

fn read_back(log: &NamedTempFile) -> String {
    let mut text = String::new();
    let outcome = log.reopen().and_then(|mut file| file.read_to_string(&mut text));
    outcome.map_or_else(|error| format!("no log: {error}"), |_| text)
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}
