//! The log-in face, `/v3/...`: as much of OpenStack's Identity API as clients need to find the other faces and to get a
//! token. Keeps no users and projects of its own: a project is what somebody asks for, and its name is its id.

mod catalog;
mod login;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use serde_json::{Value, json};

use self::catalog::{catalog, endpoints_of, services_of};
use self::login::Login;
use crate::server::auth::{Denied, Grant, Guard, Visitor};
use crate::server::calendar::show;
use crate::server::face::{Face, host, json_answer};
use crate::server::ids::Naming;
use crate::server::projects::ProjectId;
use crate::server::site::Site;

/// The project of those who name none.
const PROJECT_OTHERWISE: &str = "default";

/// The one domain there is, by id and name.
const DOMAIN: (&str, &str) = ("default", "Default");

/// A token that is asked about, or that was issued.
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Every other path of the face.
const REST: &str = "/v3/{*rest}";

/// By which some clients say what they work on.
const PROJECT_ID: &str = "x-project-id";

/// What the requests of this face share.
#[derive(Debug)]
pub(super) struct Keystone {
    site: Arc<Site>,
    guard: Guard,
    /// Of every endpoint in the catalogue.
    region: String,
}

impl Keystone {
    pub(super) fn new(site: Arc<Site>, guard: Guard, region: String) -> Self {
        Self { site, guard, region }
    }

    /// The addresses of this face.
    pub(super) fn routes(self) -> Router {
        let wrong_method = async || {
            let why = "this address does not know this method";
            Face::Identity.refuse(StatusCode::METHOD_NOT_ALLOWED, "", why)
        };
        let nothing = async || Face::Identity.refuse(StatusCode::NOT_FOUND, "", "there is nothing at this address");
        Router::new()
            .route("/v3", get(version))
            .route("/v3/", get(version))
            .route("/v3/auth/tokens", get(show_token).post(create_token).delete(revoke_token))
            .route("/v3/projects", get(projects))
            .route("/v3/auth/projects", get(projects))
            .route("/v3/auth/domains", get(domains))
            .route("/v3/auth/catalog", get(own_catalog))
            .route("/v3/services", get(services))
            .route("/v3/endpoints", get(endpoints))
            // Of the whole face: nothing of it should be answered in the shape of another.
            .route(REST, any(nothing))
            .method_not_allowed_fallback(wrong_method)
            .with_state(Arc::new(self))
    }

    /// What is told of a token.
    fn token(&self, grant: &Grant, methods: &[String], host: &str) -> Value {
        let domain = json!({ "id": DOMAIN.0, "name": DOMAIN.1 });
        json!({ "token": {
            "methods": methods,
            "user": { "id": grant.user, "name": grant.user, "domain": domain, "password_expires_at": null },
            "project": { "id": grant.project, "name": grant.project, "domain": domain },
            "is_domain": false,
            "roles": [{ "id": "te_admin", "name": "te_admin" }],
            "issued_at": show(grant.issued),
            "expires_at": show(grant.expires()),
            "audit_ids": [],
            "catalog": catalog(host, &grant.project, &self.region),
        } })
    }

    /// The project of whoever asks.
    fn project_of(&self, visitor: &Visitor, headers: &HeaderMap) -> String {
        let given = || {
            let token = text(headers, "x-auth-token")?;
            Some(self.site.issued.find(token, self.site.clock.beneath())?.project)
        };
        let named = || text(headers, PROJECT_ID).filter(|id| ProjectId::new(id).is_some()).map(str::to_owned);
        let own = visitor.reach.0.clone();
        own.or_else(given).or_else(named).unwrap_or_else(|| PROJECT_OTHERWISE.to_owned())
    }
}

async fn version(headers: HeaderMap) -> Response {
    let href = format!("http://{}/v3/", host(&headers));
    json_answer(
        StatusCode::OK,
        &json!({ "version": {
        "id": "v3.6",
        "status": "stable",
        "updated": "2016-04-04T00:00:00Z",
        "links": [{ "rel": "self", "href": href }],
        "media-types": [],
    } }),
    )
}

async fn create_token(
    State(keystone): State<Arc<Keystone>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = keystone.site.clock.beneath();
    let login = match Login::read(&body) {
        Ok(login) => login,
        Err(why) => return Face::Identity.refuse(StatusCode::BAD_REQUEST, "", &why),
    };
    let (user, own) = match login.check(&keystone.guard, &keystone.site.issued, now) {
        Ok(who) => who,
        Err(Denied::Unknown(why) | Denied::Forbidden(why)) => {
            return Face::Identity.refuse(StatusCode::UNAUTHORIZED, "", &why);
        }
    };
    let project = match (own.0, login.project()) {
        (Some(own), Some(asked)) if own != asked => {
            return Face::Identity.refuse(StatusCode::UNAUTHORIZED, "", "this user has no right on this project");
        }
        (Some(project), _) => project,
        (None, asked) => asked.unwrap_or(PROJECT_OTHERWISE).to_owned(),
    };
    if ProjectId::new(&project).is_none() {
        let why = format!("{}, and its name is its id", ProjectId::FORM);
        return Face::Identity.refuse(StatusCode::BAD_REQUEST, "", &why);
    }
    let grant = Grant { user, project, issued: now };
    let token = keystone.site.ids.next(Naming::Thing);
    keystone.site.issued.add(&token, grant.clone());
    let mut body = keystone.token(&grant, &login.methods(), host(&headers));
    if query.is_some_and(|query| query.split('&').any(|each| each == "nocatalog" || each.starts_with("nocatalog="))) {
        body["token"].as_object_mut().expect("a token is an object").remove("catalog");
    }
    let token = HeaderValue::try_from(token).expect("digits are good in a header");
    ([(SUBJECT_TOKEN, token)], json_answer(StatusCode::CREATED, &body)).into_response()
}

async fn show_token(State(keystone): State<Arc<Keystone>>, headers: HeaderMap) -> Response {
    let token = text(&headers, SUBJECT_TOKEN.as_str());
    let Some(grant) = token.and_then(|token| keystone.site.issued.find(token, keystone.site.clock.beneath())) else {
        return no_such_token();
    };
    json_answer(StatusCode::OK, &keystone.token(&grant, &["password".to_owned()], host(&headers)))
}

async fn revoke_token(State(keystone): State<Arc<Keystone>>, headers: HeaderMap) -> Response {
    match text(&headers, SUBJECT_TOKEN.as_str()) {
        Some(token) if keystone.site.issued.revoke(token) => StatusCode::NO_CONTENT.into_response(),
        _ => no_such_token(),
    }
}

fn no_such_token() -> Response {
    Face::Identity.refuse(StatusCode::NOT_FOUND, "", "there is no such token")
}

/// The one project of whoever asks. Clients that ask by name, that of a region, take the only one that is listed.
async fn projects(
    State(keystone): State<Arc<Keystone>>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "name").map(|(_, value)| value);
    let asked = asked.filter(|name| ProjectId::new(name).is_some());
    let own = keystone.project_of(&visitor, &headers);
    let (id, name) = match (&asked, &visitor.reach.0) {
        (Some(asked), Some(own)) => (own.as_str(), asked.as_ref()),
        (Some(asked), None) if own == PROJECT_OTHERWISE => (asked.as_ref(), asked.as_ref()),
        (Some(asked), None) => (own.as_str(), asked.as_ref()),
        (None, _) => (own.as_str(), own.as_str()),
    };
    let href = format!("http://{}/v3/projects", host(&headers));
    json_answer(
        StatusCode::OK,
        &json!({
            "projects": [{
                "id": id,
                "name": name,
                "domain_id": DOMAIN.0,
                "parent_id": DOMAIN.0,
                "is_domain": false,
                "enabled": true,
                "description": "",
                "links": { "self": format!("{href}/{id}") },
            }],
            "links": { "self": href, "previous": null, "next": null },
        }),
    )
}

async fn domains(headers: HeaderMap) -> Response {
    let href = format!("http://{}/v3/auth/domains", host(&headers));
    json_answer(
        StatusCode::OK,
        &json!({
            "domains": [{ "id": DOMAIN.0, "name": DOMAIN.1, "enabled": true, "description": "", "links": {} }],
            "links": { "self": href, "previous": null, "next": null },
        }),
    )
}

async fn own_catalog(
    State(keystone): State<Arc<Keystone>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    let host = host(&headers);
    let catalog = catalog(host, &keystone.project_of(&visitor, &headers), &keystone.region);
    let href = format!("http://{host}/v3/auth/catalog");
    json_answer(StatusCode::OK, &json!({ "catalog": catalog, "links": { "self": href } }))
}

/// The catalogue in two parts, as huaweicloud-sdk-python reads it when it signs its requests.
async fn services() -> Response {
    json_answer(StatusCode::OK, &json!({ "services": services_of(), "links": {} }))
}

async fn endpoints(
    State(keystone): State<Arc<Keystone>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    let project = keystone.project_of(&visitor, &headers);
    let endpoints = endpoints_of(host(&headers), &project, &keystone.region);
    json_answer(StatusCode::OK, &json!({ "endpoints": endpoints, "links": {} }))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
