//! A connection that does not wait for ever: the two waits that hyper's own time limits do not tell apart or do not
//! know. Knows bytes only. hyper bounds how long an idle connection may stay; here a request, once begun, must bring
//! its headers in time, and a client must take its answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Tells a connection's time limits whether a request is being worked on. Shared with what answers the requests.
///
/// Counts every beginning and end, so that a request which came and went between two reads is noticed too: odd while a
/// request is being worked on.
#[derive(Clone, Debug, Default)]
pub(super) struct Attention(Arc<AtomicU64>);

impl Attention {
    /// The headers of a request have come: from now on the body's own time limit holds.
    pub(super) fn engage(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The request has its answer: the next bytes begin another one.
    pub(super) fn release(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn changes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that fails with `TimedOut` when the peer is too slow.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    attention: Attention,
    /// The changes of `attention` up to the last read.
    changes: u64,
    header_time_max: Duration,
    write_time_max: Duration,
    /// Runs from the connection's start, and later from the first byte of each request, to the end of its headers.
    header_limit: Option<Pin<Box<Sleep>>>,
    /// Runs from the first time that the peer does not take an answer at once; with the changes of `attention` that
    /// tell which answer that is.
    write_limit: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, attention: Attention, header_time_max: Duration, write_time_max: Duration) -> Self {
        let header_limit = Some(Box::pin(tokio::time::sleep(header_time_max)));
        Self { stream, attention, changes: 0, header_time_max, write_time_max, header_limit, write_limit: None }
    }

    /// Passes on the outcome of a write, unless the answer has been pending for too long.
    fn limit_write<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            return outcome;
        }
        // One limit for the whole answer: a client that takes a byte now and then would hold it for ever.
        let changes = self.attention.changes();
        let time_max = self.write_time_max;
        let limit = match &mut self.write_limit {
            Some((of, limit)) if *of == changes => limit,
            other => &mut other.insert((changes, Box::pin(tokio::time::sleep(time_max)))).1,
        };
        ready!(limit.as_mut().poll(cx));
        Poll::Ready(Err(too_slow("the client does not take its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let changes = self.attention.changes();
        if changes != self.changes {
            // Headers have come to their end since the last read.
            self.changes = changes;
            self.header_limit = None;
        }
        let is_between_requests = changes.is_multiple_of(2);
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before && is_between_requests && self.header_limit.is_none() {
            let deadline = Instant::now() + self.header_time_max;
            self.header_limit = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
        if let (Poll::Pending, Some(limit)) = (&outcome, &mut self.header_limit) {
            ready!(limit.as_mut().poll(cx));
            return Poll::Ready(Err(too_slow("the request's headers do not come")));
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limit_write(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.limit_write(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limit_write(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.limit_write(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

fn too_slow(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
