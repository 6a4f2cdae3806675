//! The credentials that a server was started with: tokens, access keys and users, each for one project or for all.
//! Reads them from their texts; checks no request.

use std::fmt;

use super::{Print, is_same, print_of};
use crate::error::{Error, Result};
use crate::server::projects::ProjectId;

/// Most tokens, access keys and users, of each: they are compared one by one.
const EACH_MAX: usize = 1_000;

/// Longest text of a credential, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;

/// Who may use a server. Without any, which is the default, anybody may, whatever they say they are.
///
/// ```
/// use ebbtide::server::Credentials;
/// let credentials = Credentials::new().token("secret=my-project")?.access_key("AK:SK")?.user("me:password=my-project")?;
/// assert!(!credentials.is_empty());
/// # Ok::<(), ebbtide::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Credentials {
    tokens: Vec<(Print, Reach)>,
    keys: Vec<AccessKey>,
    users: Vec<User>,
}

/// The only project that somebody may use; none for all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::server) struct Reach(pub(in crate::server) Option<String>);

#[derive(Clone)]
pub(super) struct AccessKey {
    id: String,
    pub(super) secret: String,
    pub(super) reach: Reach,
}

#[derive(Clone)]
struct User {
    name: String,
    password: Print,
    reach: Reach,
}

impl Credentials {
    /// None: everybody is let in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.keys.is_empty() && self.users.is_empty()
    }

    /// Adds a token, from `TOKEN` or `TOKEN=PROJECT`.
    ///
    /// # Errors
    /// `InvalidInput` for an empty or too long text, a bad project id, or too many tokens.
    pub fn token(mut self, text: &str) -> Result<Self> {
        let (token, reach) = split_project(text)?;
        push(&mut self.tokens, (print_of(token), reach))?;
        Ok(self)
    }

    /// Adds an access key, from `AK:SK` or `AK:SK=PROJECT`.
    ///
    /// # Errors
    /// As [`Credentials::token`], and for a text without `:`.
    pub fn access_key(mut self, text: &str) -> Result<Self> {
        let (id, secret, reach) = split_pair(text)?;
        push(&mut self.keys, AccessKey { id: id.to_owned(), secret: secret.to_owned(), reach })?;
        Ok(self)
    }

    /// Adds a user who may log in, from `NAME:PASSWORD` or `NAME:PASSWORD=PROJECT`.
    ///
    /// # Errors
    /// As [`Credentials::access_key`].
    pub fn user(mut self, text: &str) -> Result<Self> {
        let (name, password, reach) = split_pair(text)?;
        push(&mut self.users, User { name: name.to_owned(), password: print_of(password), reach })?;
        Ok(self)
    }

    /// Adds those of a text with one in each line: `token TEXT`, `access-key TEXT` or `user TEXT`. Empty lines and those
    /// that begin with `#` mean nothing.
    ///
    /// # Errors
    /// As the three above; the error names the line.
    pub fn lines(self, text: &str) -> Result<Self> {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).try_fold(self, |all, (number, line)| {
            let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
            let added = match kind {
                "token" => all.token(text.trim()),
                "access-key" => all.access_key(text.trim()),
                "user" => all.user(text.trim()),
                _ => Err(Error::invalid("begins with none of `token`, `access-key` and `user`")),
            };
            added.map_err(|error| Error::invalid(format!("line {number}: {error}")))
        })
    }

    /// What a token is for; nothing if there is no such token.
    pub(super) fn reach_of_token(&self, token: &str) -> Option<Reach> {
        let print = print_of(token);
        // All are compared, so that the time tells nothing of which one it was.
        let same = self.tokens.iter().filter(|(each, _)| is_same(each, &print));
        same.fold(None, |found, (_, reach)| found.or_else(|| Some(reach.clone())))
    }

    pub(super) fn key(&self, id: &str) -> Option<&AccessKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// What a user may use; nothing if name or password are wrong.
    pub(in crate::server) fn login(&self, name: &str, password: &str) -> Option<Reach> {
        let print = print_of(password);
        // The password is compared whatever the name is, so that the time tells nothing of which one is wrong.
        let same = self.users.iter().filter(|user| is_same(&user.password, &print) && user.name == name);
        same.fold(None, |found, user| found.or_else(|| Some(user.reach.clone())))
    }
}

impl fmt::Debug for Credentials {
    /// How many, and none of them: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, keys, users) = (self.tokens.len(), self.keys.len(), self.users.len());
        write!(f, "Credentials({tokens} tokens, {keys} access keys, {users} users)")
    }
}

fn push<T>(list: &mut Vec<T>, one: T) -> Result<()> {
    if list.len() == EACH_MAX {
        return Err(Error::invalid(format!("there are {EACH_MAX} of these credentials, which is the most")));
    }
    list.push(one);
    Ok(())
}

/// What stands before the last `=`, and the project behind it.
fn split_project(text: &str) -> Result<(&str, Reach)> {
    let (secret, project) = match text.rsplit_once('=') {
        // What ends with `=` is base64, as tokens often are.
        Some((secret, project)) if !project.is_empty() => (secret, Some(project)),
        _ => (text, None),
    };
    if secret.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(Error::invalid(format!("a credential has 1 to {TEXT_BYTES_MAX} bytes")));
    }
    match project {
        Some(project) if ProjectId::new(project).is_none() => Err(Error::invalid(ProjectId::FORM)),
        project => Ok((secret, Reach(project.map(str::to_owned)))),
    }
}

fn split_pair(text: &str) -> Result<(&str, &str, Reach)> {
    let (pair, reach) = split_project(text)?;
    match pair.split_once(':') {
        Some((name, secret)) if !name.is_empty() && !secret.is_empty() => Ok((name, secret, reach)),
        _ => Err(Error::invalid("a name and its secret are written NAME:SECRET")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_apart_at_the_first_colon_and_the_last_equals_sign() {
        let all = Credentials::new().token("a=b=p").expect("good").token("Zm8=").expect("good");
        assert_eq!(all.reach_of_token("a=b"), Some(Reach(Some("p".into()))));
        assert_eq!(all.reach_of_token("Zm8="), Some(Reach(None)));
        assert_eq!(all.reach_of_token("a"), None);
        let all = all.access_key("AK:S:K=p").expect("good").user("n:w").expect("good");
        assert_eq!(all.key("AK").map(|key| (key.secret.as_str(), key.reach.0.as_deref())), Some(("S:K", Some("p"))));
        assert!(all.key("ak").is_none());
        assert_eq!((all.login("n", "w"), all.login("n", "x"), all.login("m", "w")), (Some(Reach(None)), None, None));
        assert!(!format!("{all:?}").contains('S'));
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = "# who\n\ntoken t=p\naccess-key AK:SK\nuser u:w\n";
        assert!(!Credentials::new().lines(good).expect("good").is_empty());
        for (text, line) in [("token t\nuser u", 2), ("other x", 1), ("token", 1), ("token t=p/q", 1)] {
            let error = Credentials::new().lines(text).expect_err(text).to_string();
            assert!(error.contains(&format!("line {line}: ")), "{error}");
        }
    }
}
