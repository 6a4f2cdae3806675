//! One connection and its thread: sends requests as they are, reads answers, and takes nothing but 201.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::requests::Requests;

/// Longer than any answer without a body.
const ANSWER_BYTES_MAX: usize = 4_096;

pub(crate) struct Client {
    stream: TcpStream,
    requests: Requests,
    /// What came of answers that are not whole yet.
    unread: Vec<u8>,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) points: u64,
    /// Of bodies.
    pub(crate) bytes: u64,
    /// Processor time of the thread that sent.
    pub(crate) cpu: Duration,
}

impl Client {
    pub(crate) fn new(server: SocketAddr, requests: Requests) -> Self {
        let stream = TcpStream::connect(server).expect("the server listens");
        stream.set_nodelay(true).expect("a fresh connection");
        let (unread, latencies) = (Vec::new(), Vec::new());
        Self { stream, requests, unread, latencies, points: 0, bytes: 0, cpu: Duration::ZERO }
    }

    /// Has every series named.
    pub(crate) fn warm_up(&mut self) {
        for _ in 0..self.requests.round() {
            let (request, ..) = self.requests.next();
            self.stream.write_all(request).expect("the server reads");
            self.read_answer();
        }
    }

    /// Sends this many points, with `depth` requests under way at a time.
    pub(crate) fn send(&mut self, points: usize, depth: usize) {
        let mut under_way = VecDeque::with_capacity(depth);
        let mut to_send = points as u64;
        while to_send > 0 || !under_way.is_empty() {
            while to_send > 0 && under_way.len() < depth {
                under_way.push_back(Instant::now());
                let (request, points, bytes) = self.requests.next();
                self.stream.write_all(request).expect("the server reads");
                to_send = to_send.saturating_sub(points);
                self.points += points;
                self.bytes += bytes;
            }
            self.read_answer();
            self.latencies.extend(under_way.pop_front().map(|sent| sent.elapsed()));
        }
        self.cpu = cpu_of_thread();
    }

    fn read_answer(&mut self) {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.unread.len() < ANSWER_BYTES_MAX, "not an answer: {}", self.unread_text());
            let mut buffer = [0; ANSWER_BYTES_MAX];
            let read = self.stream.read(&mut buffer).expect("the server answers");
            assert!(read > 0, "the server has gone: {}", self.unread_text());
            self.unread.extend_from_slice(&buffer[..read]);
        };
        assert!(self.unread.starts_with(b"HTTP/1.1 201 "), "not stored: {}", self.unread_text());
        self.unread.drain(..end);
    }

    fn unread_text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

/// What the kernel says about the processor time of this thread; zero where there is no such file.
fn cpu_of_thread() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}
