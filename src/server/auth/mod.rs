//! Who may ask: tokens and signed requests, held against the credentials that a server was started with. Decides who
//! somebody is and which project they may use; how a refusal looks is told by the faces.

mod canonical;
mod credentials;
mod issued;
mod signature;

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, request};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub use self::credentials::Credentials;
pub(super) use self::credentials::Reach;
pub(super) use self::issued::{Grant, Issued};
use self::signature::Claim;
use crate::model::time::Timestamp;
use crate::server::face::project_of;

/// The header of a token.
const TOKEN: &str = "x-auth-token";

/// What anybody may ask for: the versions, and to log in.
const OPEN_TO_ALL: [(&str, &str); 6] =
    [("GET", "/"), ("GET", "/V1.0"), ("GET", "/V1.0/"), ("GET", "/v3"), ("GET", "/v3/"), ("POST", "/v3/auth/tokens")];

/// Why a request is turned away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Denied {
    /// Nobody knows who asks (401).
    Unknown(String),
    /// It is known who asks, and that they may not (403).
    Forbidden(String),
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Visitor {
    pub(super) reach: Reach,
    /// Of the user that a token was issued to.
    pub(super) user: Option<String>,
}

/// The check that every request of the API passes.
#[derive(Clone, Debug)]
pub(super) struct Guard(pub(super) Arc<Credentials>);

impl Guard {
    /// Who asks, if they may. Without credentials anybody may ask for anything.
    pub(super) fn admit(
        &self,
        head: &request::Parts,
        body: &[u8],
        issued: &Issued,
        now: Timestamp,
    ) -> Result<Visitor, Denied> {
        if self.0.is_empty() {
            return Ok(Visitor::default());
        }
        let (method, path) = (head.method.as_str(), head.uri.path());
        let method = if method == "HEAD" { "GET" } else { method };
        if OPEN_TO_ALL.contains(&(method, path)) {
            return Ok(Visitor::default());
        }
        let visitor = self.identify(head, body, issued, now)?;
        match (&visitor.reach.0, project_of(path)) {
            (Some(own), Some(asked)) if own != asked => {
                Err(Denied::Forbidden("these credentials are of another project".into()))
            }
            _ => Ok(visitor),
        }
    }

    fn identify(&self, head: &request::Parts, body: &[u8], issued: &Issued, now: Timestamp) -> Result<Visitor, Denied> {
        if let Some(token) = header(&head.headers, TOKEN) {
            return self.by_token(token, issued, now);
        }
        let Some(authorization) = header(&head.headers, AUTHORIZATION.as_str()) else {
            return Err(Denied::Unknown("neither a token nor a signature is given".into()));
        };
        let claim = Claim::read(authorization, head).map_err(Denied::Unknown)?;
        let Some(key) = self.0.key(claim.access_key()) else {
            return Err(Denied::Unknown("this access key is not known".into()));
        };
        claim.verify(&key.secret, body, now).map_err(Denied::Unknown)?;
        Ok(Visitor { reach: key.reach.clone(), user: None })
    }

    /// Who has a token.
    pub(super) fn by_token(&self, token: &str, issued: &Issued, now: Timestamp) -> Result<Visitor, Denied> {
        if let Some(reach) = self.0.reach_of_token(token) {
            return Ok(Visitor { reach, user: None });
        }
        match issued.find(token, now) {
            Some(grant) => Ok(Visitor { reach: Reach(Some(grant.project)), user: Some(grant.user) }),
            None => Err(Denied::Unknown("this token is not known, or has expired".into())),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

/// What stands for a secret where secrets are compared: of one length, so that comparing tells nothing of it.
type Print = [u8; 32];

fn print_of(secret: &str) -> Print {
    Sha256::digest(secret.as_bytes()).into()
}

fn is_same(one: &Print, other: &Print) -> bool {
    one.ct_eq(other).into()
}
