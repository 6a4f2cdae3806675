//! Connections: accepting them, reading requests whole within bounds of time and size, and stopping without losing an
//! answer. The only room that names hyper and how axum is served. Knows nothing of what a request means.
//!
//! A web framework's own server waits for ever on a client that sends nothing, takes hundreds of kilobytes of headers,
//! and waits for a body that it will refuse. So every wait and every size is bounded here.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::cloudeye::{Code, Refusal};
use super::door::{Door, HangUp};
use super::face::Face;
use super::patience::{Attention, Patient};
use super::timeouts::Timeouts;

/// Longest request body, in bytes: the page's 512 KB.
pub const BODY_BYTES_MAX: usize = 524_288;

/// Most bytes of headers. A signed request of a known client has about two kilobytes.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// Most headers of a request.
const HEADERS_MAX: usize = 100;

/// Most connections at a time; further ones wait in the system's queue. With the longest body on each of them the
/// server holds 512 MiB of requests; answers are bounded by `cloudeye::answer`.
pub(super) const CONNECTIONS_MAX: usize = 1_024;

/// Most bytes of a refused body that are read and thrown away, so that the client comes to read its answer.
const DRAIN_BYTES_MAX: usize = 16 << 20;

/// How long after a failed accept the next one is tried. Without descriptors every try fails at once, and one becomes
/// free within such a time or not at all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and answers until `stop` comes, then answers what is in flight.
pub(super) async fn serve(
    listener: StdTcpListener,
    door: Door,
    times: Timeouts,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("cannot accept connections: {error}"),
    };
    let permits = Arc::new(Semaphore::new(connections_max));
    let connections = GracefulShutdown::new();
    let door = Arc::new(door);
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let connection = connections.watch(converse(stream, Arc::clone(&door), times));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!("a connection ended: {error}");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::select! {
                    _ = stop.changed() => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    if timeout(times.stop, connections.shutdown()).await.is_err() {
        tracing::warn!("connections were cut: not finished within {:?}", times.stop);
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                // Answers are written in one piece: waiting to fill a packet would only delay them. A connection that
                // cannot be told so works all the same.
                stream.set_nodelay(true).ok();
                return Ok((stream, permit));
            }
            // The peer has gone again: not our trouble.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection, to its end.
fn converse(
    stream: TcpStream,
    door: Arc<Door>,
    times: Timeouts,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    let attention = Attention::default();
    let stream = Patient::new(stream, attention.clone(), times.headers, times.answer);
    let answer = service_fn(move |request| {
        let (door, attention) = (Arc::clone(&door), attention.clone());
        async move {
            attention.engage();
            let answered = answer(request, &door, times).await;
            attention.release();
            answered.map_err(|HangUp| io::Error::other("a fault rule drops the connection"))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // A client may end its side once it has asked: what it asked for is done, so it is told.
        .half_close(true)
        .header_read_timeout(times.idle)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_header_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), answer)
}

/// Reads a request whole and has it answered. What is too large or too slow never reaches the rooms behind.
async fn answer(request: Request<Incoming>, door: &Door, times: Timeouts) -> Result<Response, HangUp> {
    let (head, mut body) = request.into_parts();
    let mut visit = door.enter(&head);
    let (face, span) = (Face::of(head.uri.path()), visit.span());
    let response = if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        // A client that waits to be told to go on must not be: it would send what is refused already.
        let is_coming = !head.headers.contains_key(EXPECT);
        refuse(face.tell(&Refusal::too_large(BODY_BYTES_MAX)), is_coming.then_some(body), times)
    } else {
        match timeout(times.body, read(&mut body)).await {
            Ok(Ok(bytes)) => match door.serve(&mut visit, head, bytes).instrument(span).await {
                Ok(response) => response,
                Err(hang_up) => {
                    door.hang_up(&visit);
                    return Err(hang_up);
                }
            },
            Ok(Err(Unread::TooLarge)) => refuse(face.tell(&Refusal::too_large(BODY_BYTES_MAX)), Some(body), times),
            Ok(Err(Unread::Broken(error))) => {
                let why = format!("the request body cannot be read: {error}");
                refuse(face.tell(&Refusal::new(Code::Request, why)), None, times)
            }
            Err(_elapsed) => refuse(face.tell(&Refusal::too_slow()), None, times),
        }
    };
    Ok(door.leave(visit, response).await)
}

/// Why a body was not read to its end.
enum Unread {
    TooLarge,
    Broken(hyper::Error),
}

async fn read(body: &mut Incoming) -> Result<Bytes, Unread> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(Unread::Broken)?.into_data() else { continue };
        if bytes.len() + part.len() > BODY_BYTES_MAX {
            return Err(Unread::TooLarge);
        }
        if bytes.is_empty() {
            if body.is_end_stream() {
                return Ok(part);
            }
            // What the client says is still to come, so that a long body is copied once.
            let rest = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(BODY_BYTES_MAX);
            bytes.reserve_exact(part.len() + rest);
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

/// Refuses a request whose body was not read. The connection ends with it.
fn refuse(mut response: Response, unread: Option<Incoming>, times: Timeouts) -> Response {
    // NOTE: closing a connection with unread bytes in it resets it, and a reset takes the answer from a client that
    // has not read it yet. So what still comes is read and thrown away for a while.
    if let Some(body) = unread {
        tokio::spawn(timeout(times.drain, drain(body)));
    }
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn drain(mut body: Incoming) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.into_data().map_or(0, |part| part.len());
        if drained > DRAIN_BYTES_MAX {
            return;
        }
    }
}
