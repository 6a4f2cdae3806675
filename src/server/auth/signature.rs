//! Signed requests, in both published schemes of the one algorithm `SDK-HMAC-SHA256`. Pure: the moment and the secret
//! come from outside.

use std::time::Duration;

use axum::http::{Method, request};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::canonical::{Habit, Signed, hash, hash_of};
use super::header;
use crate::model::time::Timestamp;
use crate::server::calendar::read_compact;

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// How far a signature's time may be from the server's, in either direction. Nobody publishes it; this is customary.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);

/// What every signature covers, so that it holds for one place and moment.
const ALWAYS_SIGNED: [&str; 2] = ["host", "x-sdk-date"];

/// Most headers that are signed: as many as a request may have.
const SIGNED_HEADERS_MAX: usize = 100;

/// Says that the body is not signed, which is for what is not JSON.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What an `Authorization` header says, beside the request it came with.
pub(super) struct Claim<'a> {
    head: &'a request::Parts,
    scheme: Scheme<'a>,
    names: Vec<&'a str>,
    signature: [u8; 32],
    date: &'a str,
}

/// How a key is made of the secret, and what is signed beside the hash.
enum Scheme<'a> {
    /// `Access=AK`: the secret itself.
    Plain { access_key: &'a str },
    /// `Credential=AK/date/region/service/sdk_request`: a key for one day and service.
    Scoped { access_key: &'a str, scope: &'a str },
}

impl<'a> Claim<'a> {
    /// Takes a header apart. An error says what is wrong with it.
    pub(super) fn read(authorization: &'a str, head: &'a request::Parts) -> Result<Self, String> {
        let fields = authorization.strip_prefix(ALGORITHM).filter(|fields| fields.starts_with(' '));
        let fields = fields.ok_or_else(|| format!("the algorithm must be {ALGORITHM}"))?;
        let field = |name: &str| {
            let pairs = fields.split(',').filter_map(|pair| pair.trim().split_once('='));
            pairs.into_iter().find(|(each, _)| *each == name).map(|(_, value)| value)
        };
        let scheme = match (field("Access"), field("Credential")) {
            (Some(access_key), None) => Scheme::Plain { access_key },
            (None, Some(credential)) => {
                let (access_key, scope) = credential.split_once('/').ok_or("Credential names no scope")?;
                Scheme::Scoped { access_key, scope }
            }
            _ => return Err("the signature names no access key".into()),
        };
        let names: Vec<&str> = field("SignedHeaders").ok_or("SignedHeaders is missing")?.split(';').collect();
        if names.len() > SIGNED_HEADERS_MAX {
            return Err(format!("more than {SIGNED_HEADERS_MAX} headers are signed"));
        }
        if let Some(name) = ALWAYS_SIGNED.iter().find(|name| !names.contains(name)) {
            return Err(format!("the header {name} is not signed"));
        }
        let signature = field("Signature").and_then(from_hex).ok_or("Signature must be 64 digits in hex")?;
        let date = header(&head.headers, "x-sdk-date").ok_or("X-Sdk-Date is missing")?;
        Ok(Self { head, scheme, names, signature, date })
    }

    pub(super) fn access_key(&self) -> &'a str {
        match self.scheme {
            Scheme::Plain { access_key } | Scheme::Scoped { access_key, .. } => access_key,
        }
    }

    /// Whether the secret made this signature of this request, and not long ago.
    pub(super) fn verify(&self, secret: &str, body: &[u8], now: Timestamp) -> Result<(), String> {
        let date = read_compact(self.date).ok_or("X-Sdk-Date must be yyyyMMddTHHmmssZ")?;
        if date < now - SKEW_MAX || now + SKEW_MAX < date {
            return Err(format!("the request was signed more than {} minutes from now", SKEW_MAX.as_secs() / 60));
        }
        let payload = self.payload(body)?;
        let key = self.key(secret)?;
        let Self { head, names, .. } = self;
        let signed = Signed { method: &head.method, uri: &head.uri, headers: &head.headers, names, payload: &payload };
        let may_move = head.method == Method::POST && body.is_empty();
        let habits = Habit::ALL.into_iter().filter(|habit| may_move || matches!(habit, Habit::None | Habit::OneBlank));
        let is_made_by = |habit| {
            let hash = hash(&signed, habit)?;
            let text = match self.scheme {
                Scheme::Plain { .. } => format!("{ALGORITHM}\n{}\n{hash}", self.date),
                Scheme::Scoped { scope, .. } => format!("{ALGORITHM}\n{}\n{scope}\n{hash}", self.date),
            };
            mac(&key, &text).verify_slice(&self.signature).ok()
        };
        if habits.into_iter().any(|habit| is_made_by(habit).is_some()) {
            Ok(())
        } else {
            Err("the signature does not match the request".into())
        }
    }

    /// What stands for the body in what was signed. It must be true of the body that came.
    fn payload(&self, body: &[u8]) -> Result<String, String> {
        let hash = hash_of(body);
        match header(&self.head.headers, "x-sdk-content-sha256") {
            None => Ok(hash),
            Some(said) if said.eq_ignore_ascii_case(&hash) => Ok(said.to_owned()),
            Some(UNSIGNED) => {
                // All bodies of these APIs are JSON, whatever they are said to be.
                if body.is_empty() { Ok(UNSIGNED.to_owned()) } else { Err("a body has to be signed".into()) }
            }
            Some(_) => Err("X-Sdk-Content-Sha256 is not the hash of the body".into()),
        }
    }

    fn key(&self, secret: &str) -> Result<Vec<u8>, String> {
        let Scheme::Scoped { scope, .. } = self.scheme else { return Ok(secret.as_bytes().to_vec()) };
        let steps: Vec<&str> = scope.split('/').collect();
        let [day, _region, _service, "sdk_request"] = steps[..] else {
            return Err("the scope must be date/region/service/sdk_request".into());
        };
        if !self.date.starts_with(day) || day.len() != 8 {
            return Err("the scope is of another day than X-Sdk-Date".into());
        }
        let start = format!("SDK{secret}").into_bytes();
        Ok(steps.iter().fold(start, |key, step| mac(&key, step).finalize().into_bytes().to_vec()))
    }
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key has any length");
    mac.update(text.as_bytes());
    mac
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
