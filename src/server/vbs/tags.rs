//! Tags of policies, and which policies have which.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{TagBody, keys, merged};
use super::error::{Answered, Code, Refusal};
use super::{Project, Shared, Within, checked, done, no_such_policy, ok, parse, project_id, within};
use crate::policy::book::Policy;

/// Most keys of a question, and values of a key.
const QUESTION_MAX: usize = 20;

/// Most policies of an answer.
const LIMIT_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
struct OneTag {
    tag: TagBody,
}

#[derive(Debug, Deserialize)]
struct Change {
    action: String,
    tags: Vec<TagBody>,
}

/// Which policies are asked for: those that have all of `tags`, any of `tags_any`, not all of `not_tags` and none of
/// `not_tags_any`.
#[derive(Debug, Deserialize)]
struct Question {
    action: String,
    #[serde(default)]
    tags: Vec<Wanted>,
    #[serde(default)]
    tags_any: Vec<Wanted>,
    #[serde(default)]
    not_tags: Vec<Wanted>,
    #[serde(default)]
    not_tags_any: Vec<Wanted>,
    #[serde(default)]
    matches: Vec<Match>,
    limit: Option<Value>,
    offset: Option<Value>,
}

/// A key with one of these values, or with any if there are none.
#[derive(Debug, Deserialize)]
struct Wanted {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Match {
    key: String,
    value: String,
}

pub(super) async fn list(State(face): Shared, path: Within) -> Answered {
    let (project, id) = within(path)?;
    face.run(move |face| {
        let told = |policy: &Policy| json!({ "tags": told(policy) });
        let tags = face.site.backups.read(&project, |state| state.book.policy(&id).map(told))?;
        tags.map(|tags| ok(&tags)).ok_or_else(|| no_such_policy(&id))
    })
    .await
}

/// Every key of the project with its values.
pub(super) async fn list_all(State(face): Shared, project: Project) -> Answered {
    let project = project_id(project)?;
    face.run(move |face| {
        let tags: BTreeMap<String, BTreeSet<String>> = face.site.backups.read(&project, |state| {
            let mut all = BTreeMap::<_, BTreeSet<_>>::new();
            for (key, value) in state.book.policies.iter().flat_map(|policy| &policy.tags) {
                all.entry(key.clone()).or_default().insert(value.clone());
            }
            all
        })?;
        let tags: Vec<Value> = tags.iter().map(|(key, values)| json!({ "key": key, "values": values })).collect();
        Ok(ok(&json!({ "tags": tags })))
    })
    .await
}

pub(super) async fn add(State(face): Shared, path: Within, body: Bytes) -> Answered {
    let (project, id) = within(path)?;
    let OneTag { tag } = parse(&body)?;
    face.run(move |face| {
        face.site.backups.change(&project, |book, _| {
            let policy = book.policy_mut(&id).ok_or_else(|| no_such_policy(&id))?;
            policy.tags = merged(&policy.tags, vec![tag])?;
            Ok::<_, Refusal>(())
        })?;
        Ok(done())
    })
    .await
}

pub(super) async fn remove(
    State(face): Shared,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Answered {
    let (project, id, key) = path.map_or_else(|_| Default::default(), |Path(all)| all);
    let project = checked(&project)?;
    face.run(move |face| {
        face.site.backups.change(&project, |book, _| {
            let policy = book.policy_mut(&id).ok_or_else(|| no_such_policy(&id))?;
            let count = policy.tags.len();
            policy.tags.retain(|(each, _)| *each != key);
            if policy.tags.len() == count {
                return Err(Refusal::new(Code::NotFound, format!("the policy has no tag {key:?}")));
            }
            Ok(())
        })?;
        Ok(done())
    })
    .await
}

pub(super) async fn change(State(face): Shared, path: Within, body: Bytes) -> Answered {
    let (project, id) = within(path)?;
    let Change { action, tags } = parse(&body)?;
    face.run(move |face| {
        face.site.backups.change(&project, |book, _| {
            let policy = book.policy_mut(&id).ok_or_else(|| no_such_policy(&id))?;
            match action.as_str() {
                "create" | "update" => policy.tags = merged(&policy.tags, tags)?,
                "delete" => {
                    let keys = keys(tags);
                    policy.tags.retain(|(key, _)| !keys.contains(key));
                }
                _ => return Err(Refusal::new(Code::Body, "action must be create, update or delete")),
            }
            Ok(())
        })?;
        Ok(done())
    })
    .await
}

/// The policies with certain tags.
pub(super) async fn query(State(face): Shared, project: Project, body: Bytes) -> Answered {
    let project = project_id(project)?;
    let question: Question = parse(&body)?;
    face.run(move |face| {
        let lists = [&question.tags, &question.tags_any, &question.not_tags, &question.not_tags_any];
        if lists
            .iter()
            .any(|list| list.len() > QUESTION_MAX || list.iter().any(|each| each.values.len() > QUESTION_MAX))
        {
            return Err(Refusal::new(
                Code::TooManyTags,
                format!("a question has at most {QUESTION_MAX} keys and values"),
            ));
        }
        let (limit, offset) = (number(question.limit.as_ref(), LIMIT_MAX)?, number(question.offset.as_ref(), 0)?);
        let found: Vec<Value> = face.site.backups.read(&project, |state| {
            let policies = state.book.policies.iter().filter(|policy| question.fits(policy));
            policies
                .map(|policy| {
                    json!({
                        "resource_id": policy.id,
                        "resource_name": policy.name,
                        "resource_detail": null,
                        "tags": told(policy),
                    })
                })
                .collect()
        })?;
        let count = found.len();
        match question.action.as_str() {
            "count" => Ok(ok(&json!({ "total_count": count }))),
            "filter" => {
                let page: Vec<Value> = found.into_iter().skip(offset).take(limit.min(LIMIT_MAX)).collect();
                Ok(ok(&json!({ "total_count": count, "resources": page })))
            }
            _ => Err(Refusal::new(Code::Body, "action must be filter or count")),
        }
    })
    .await
}

impl Question {
    fn fits(&self, policy: &Policy) -> bool {
        let has = |wanted: &Wanted| {
            let value = policy.tags.iter().find(|(key, _)| *key == wanted.key).map(|(_, value)| value);
            value.is_some_and(|value| wanted.values.is_empty() || wanted.values.contains(value))
        };
        self.tags.iter().all(has)
            && (self.tags_any.is_empty() || self.tags_any.iter().any(has))
            && (self.not_tags.is_empty() || !self.not_tags.iter().all(has))
            && !self.not_tags_any.iter().any(has)
            && self.matches.iter().all(|wanted| wanted.key == "resource_name" && policy.name.contains(&wanted.value))
    }
}

/// A number, or one in quotation marks.
fn number(value: Option<&Value>, otherwise: usize) -> Result<usize, Refusal> {
    let Some(value) = value else { return Ok(otherwise) };
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Refusal::new(Code::Body, "limit and offset must be integers that are not negative"))
}

fn told(policy: &Policy) -> Value {
    policy.tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}
