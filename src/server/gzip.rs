//! Bodies that are packed with gzip, on their way in and out. Unpacked, a body is as long as any other may be. The only
//! room that names flate2.

use std::io::{Read as _, Write as _};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;

use crate::server::door::aside;
use crate::server::http::BODY_BYTES_MAX;

/// Shortest answer that is packed: a shorter one fits a packet anyway.
const PACKED_BYTES_MIN: usize = 1_024;

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unpacked {
    /// It is packed in another way.
    Unknown,
    Broken,
    TooLarge,
}

/// The body of a request as it was before it was packed.
pub(super) fn unpack(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Unpacked> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let encoding = match (encodings.next(), encodings.next()) {
        (None, _) => return Ok(body),
        (Some(one), None) => one.to_str().map_err(|_| Unpacked::Unknown)?.trim().to_ascii_lowercase(),
        (Some(_), Some(_)) => return Err(Unpacked::Unknown),
    };
    match encoding.as_str() {
        "" | "identity" => return Ok(body),
        "gzip" | "x-gzip" => {}
        _ => return Err(Unpacked::Unknown),
    }
    let mut unpacked = Vec::new();
    let most = BODY_BYTES_MAX as u64 + 1;
    MultiGzDecoder::new(&body[..]).take(most).read_to_end(&mut unpacked).map_err(|_| Unpacked::Broken)?;
    if unpacked.len() > BODY_BYTES_MAX { Err(Unpacked::TooLarge) } else { Ok(unpacked.into()) }
}

/// Whether a client takes packed answers.
pub(super) fn is_welcome(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| {
        let (name, quality) = offer.split_once(';').unwrap_or((offer, ""));
        let refused = quality.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// A packed body. It keeps the plain one, and with it the room that is counted for that.
struct Packed {
    bytes: Vec<u8>,
    _plain: Bytes,
}

impl AsRef<[u8]> for Packed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The answer with its body packed, if that pays.
pub(super) async fn pack(response: Response) -> Response {
    let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let Some(length) = length.filter(|length| *length >= PACKED_BYTES_MIN) else { return response };
    if response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // The body is whole and in memory: nothing is waited for, and nothing fails.
    let plain = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_broken) => return Response::from_parts(head, Body::empty()),
    };
    let work = move || {
        let bytes = squeeze(&plain);
        Bytes::from_owner(Packed { bytes, _plain: plain })
    };
    let packed = aside(length, work).await;
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, packed.into())
}

fn squeeze(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory takes every write");
    encoder.finish().expect("memory takes every write")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_body_comes_out_as_it_went_in_and_no_longer_than_allowed() {
        let gzip = headers(CONTENT_ENCODING, "gzip");
        let packed = |length: usize| Bytes::from(squeeze(&vec![b' '; length]));
        assert_eq!(unpack(&gzip, packed(BODY_BYTES_MAX)).map(|body| body.len()), Ok(BODY_BYTES_MAX));
        assert_eq!(unpack(&gzip, packed(BODY_BYTES_MAX + 1)), Err(Unpacked::TooLarge));
        let bomb = packed(64 << 20);
        assert!(bomb.len() < BODY_BYTES_MAX, "it is short on the wire");
        assert_eq!(unpack(&gzip, bomb), Err(Unpacked::TooLarge));
        let whole = packed(100);
        assert_eq!(unpack(&gzip, whole.slice(..whole.len() - 1)), Err(Unpacked::Broken));
        assert_eq!(unpack(&gzip, Bytes::from_static(b"[]")), Err(Unpacked::Broken));
        assert_eq!(unpack(&HeaderMap::new(), whole.clone()), Ok(whole.clone()));
        for other in ["br", "deflate", "gzip, gzip"] {
            assert_eq!(unpack(&headers(CONTENT_ENCODING, other), whole.clone()), Err(Unpacked::Unknown), "{other}");
        }
    }

    #[test]
    fn packed_answers_go_to_those_who_take_them() {
        for (offer, is_taken) in
            [("gzip", true), ("deflate, GZip;q=0.5", true), ("gzip;q=0", false), ("br", false), ("", false)]
        {
            assert_eq!(is_welcome(&headers(ACCEPT_ENCODING, offer)), is_taken, "{offer}");
        }
    }
}
