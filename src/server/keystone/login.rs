//! What somebody who logs in says, and whether that is true. Issues nothing.

use serde::Deserialize;
use serde_json::Value;

use crate::model::time::Timestamp;
use crate::server::auth::{Denied, Guard, Issued, Reach};

/// Longest name of a user, in bytes.
const USER_BYTES_MAX: usize = 256;

/// The body of a log-in, as far as it means something here.
#[derive(Debug, Deserialize)]
pub(super) struct Login {
    auth: Auth,
}

#[derive(Debug, Deserialize)]
struct Auth {
    identity: Identity,
    /// Where it is no object, nothing is asked for.
    #[serde(default)]
    scope: Value,
}

#[derive(Debug, Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Option<Password>,
    token: Option<Token>,
}

#[derive(Debug, Deserialize)]
struct Password {
    user: User,
}

#[derive(Debug, Deserialize)]
struct User {
    id: Option<String>,
    name: Option<String>,
    password: String,
}

#[derive(Debug, Deserialize)]
struct Token {
    id: String,
}

impl Login {
    /// Reads a body. An error says what is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let login: Self =
            serde_json::from_slice(body).map_err(|error| format!("the log-in cannot be read: {error}"))?;
        let identity = &login.auth.identity;
        let method = identity.methods.first().map(String::as_str);
        match (method, &identity.password, &identity.token, identity.methods.len()) {
            (Some("password"), Some(_), _, 1) | (Some("token"), _, Some(_), 1) => {}
            _ => return Err("one method is known at a time, `password` or `token`, with its own part".into()),
        }
        if login.user().is_some_and(|user| user.len() > USER_BYTES_MAX) {
            return Err(format!("the user's name is longer than {USER_BYTES_MAX} bytes"));
        }
        Ok(login)
    }

    pub(super) fn methods(&self) -> Vec<String> {
        self.auth.identity.methods.clone()
    }

    /// The project that is asked for; its name is its id.
    pub(super) fn project(&self) -> Option<&str> {
        let project = self.auth.scope.get("project")?;
        project.get("id").or_else(|| project.get("name"))?.as_str()
    }

    fn user(&self) -> Option<&str> {
        let user = &self.auth.identity.password.as_ref()?.user;
        user.name.as_deref().or(user.id.as_deref())
    }

    /// Who it is, and what they may use.
    pub(super) fn check(&self, guard: &Guard, issued: &Issued, now: Timestamp) -> Result<(String, Reach), Denied> {
        let lets_all_in = guard.0.is_empty();
        let wrong = || Denied::Unknown("user or password are wrong".into());
        match (&self.auth.identity.password, &self.auth.identity.token) {
            (Some(password), _) if self.auth.identity.methods[0] == "password" => {
                let user = self.user().ok_or_else(wrong)?;
                if lets_all_in {
                    return Ok((user.to_owned(), Reach::default()));
                }
                let own = guard.0.login(user, &password.user.password).ok_or_else(wrong)?;
                Ok((user.to_owned(), own))
            }
            (_, Some(token)) => {
                let known = guard.by_token(&token.id, issued, now);
                let visitor = if lets_all_in { known.unwrap_or_default() } else { known? };
                let reach = if lets_all_in { Reach::default() } else { visitor.reach };
                Ok((visitor.user.unwrap_or_else(|| "token".to_owned()), reach))
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_openstack_client_sends_is_read() {
        // auth-and-clients 3.1, the body as it was seen.
        let body = r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"u","password":"w",
            "domain":{"name":"d"}}}},"scope":{"project":{"name":"p","domain":{"name":"d"}}}}}"#;
        let login = Login::read(body.as_bytes()).expect("good");
        assert_eq!((login.user(), login.project(), login.methods()), (Some("u"), Some("p"), vec!["password".into()]));
    }

    #[test]
    fn what_nobody_can_log_in_with_is_refused() {
        for body in [
            "",
            "[]",
            r#"{"auth":{"identity":{"methods":["totp"]}}}"#,
            r#"{"auth":{"identity":{"methods":["password"]}}}"#,
            r#"{"auth":{"identity":{"methods":[]}}}"#,
            r#"{"auth":{"identity":{"methods":["token","password"],"token":{"id":"t"}}}}"#,
        ] {
            assert!(Login::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
