//! What clients write about policies: the texts of the wire, misspelt as they are published, to schedule and retention
//! and back. A body may say a part of it only; then the rest stays as it was.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{Code, Refusal};
use crate::model::time::Timestamp;
use crate::policy::book::{DEFAULT_NAME, Policy, TAGS_MAX};
use crate::policy::retention::{Keep, Retention};
use crate::policy::schedule::{Days, Schedule, WeekDay, Zone};

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Most days between two runs. One of the published pages says 14, the newest one 30.
const FREQUENCY_MAX: u64 = 30;

/// Backups that are kept. One of the published pages says 2 to 14, the newest one 2 to 99.
const NUMBER: std::ops::RangeInclusive<u64> = 2..=99;

/// Days for which they are kept.
const DAYS: std::ops::RangeInclusive<u64> = 2..=99_999;

/// Names of the days of the week, from Sunday on.
const WEEK: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Longest key of a tag, in characters, and the longest value.
const TAG_CHARS_MAX: (usize, usize) = (36, 43);

/// The body of a new policy, or of a change of one.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PolicyBody {
    backup_policy_name: Option<Value>,
    scheduled_policy: Option<ScheduleBody>,
    tags: Option<Vec<TagBody>>,
    time_zone: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct ScheduleBody {
    start_time: Option<Value>,
    frequency: Option<Value>,
    week_frequency: Option<Value>,
    rentention_num: Option<Value>,
    rentention_day: Option<Value>,
    #[serde(rename = "remain_first_backup_of_curMonth")]
    remain_first: Option<Value>,
    status: Option<Value>,
}

/// A tag as it is written.
#[derive(Debug, Deserialize)]
pub(super) struct TagBody {
    key: String,
    #[serde(default)]
    value: Option<String>,
}

impl PolicyBody {
    /// The new policy that this describes.
    pub(super) fn into_new(self, id: String, now: Timestamp) -> Result<Policy, Refusal> {
        let name = self.name()?.ok_or_else(|| Refusal::new(Code::PolicyName, "backup_policy_name is missing"))?;
        let Some(body) = &self.scheduled_policy else {
            return Err(Refusal::new(Code::EmptyObject, "scheduled_policy is missing"));
        };
        let missing = |code, what: &str| Refusal::new(code, format!("scheduled_policy.{what} is missing"));
        let on = body.status()?.ok_or_else(|| missing(Code::Status, "status"))?;
        let hours = body.hours()?.ok_or_else(|| missing(Code::StartTime, "start_time"))?;
        let days = body.days()?.ok_or_else(|| missing(Code::Frequency, "frequency or week_frequency"))?;
        let keep = body.keep()?.ok_or_else(|| missing(Code::Retention, "rentention_num or rentention_day"))?;
        let (first, zone) = (body.remain_first()?.unwrap_or(false), self.zone()?.unwrap_or_default());
        let (schedule, retention) = (Schedule::new(hours, days, zone)?, Retention::new(keep, first)?);
        let tags = merged(&[], self.tags.unwrap_or_default())?;
        Ok(Policy { id, name, on, schedule, retention, tags, handled: now })
    }

    /// Changes a policy to what this says. Runs up to now are seen to if it runs otherwise than before.
    pub(super) fn apply(self, policy: &mut Policy, is_default: bool, now: Timestamp) -> Result<(), Refusal> {
        if let Some(name) = self.name_of(is_default)? {
            policy.name = name;
        }
        let empty = ScheduleBody::default();
        let body = self.scheduled_policy.as_ref().unwrap_or(&empty);
        let (old, was_on) = (policy.schedule.clone(), policy.on);
        let hours = body.hours()?.unwrap_or_else(|| old.hours().to_vec());
        let days = body.days()?.unwrap_or_else(|| old.days().clone());
        policy.schedule = Schedule::new(hours, days, self.zone()?.unwrap_or(old.zone()))?;
        let keep = body.keep()?.unwrap_or(policy.retention.keep());
        let first = body.remain_first()?.unwrap_or(policy.retention.first_of_month());
        policy.retention = Retention::new(keep, first)?;
        policy.on = body.status()?.unwrap_or(was_on);
        if policy.schedule != old || (policy.on && !was_on) {
            policy.handled = now;
        }
        if let Some(tags) = self.tags {
            policy.tags = merged(&[], tags)?;
        }
        Ok(())
    }

    fn name_of(&self, is_default: bool) -> Result<Option<String>, Refusal> {
        if !is_default {
            return self.name();
        }
        match &self.backup_policy_name {
            Some(Value::String(name)) if name != DEFAULT_NAME => {
                Err(Refusal::new(Code::DefaultPolicy, "the default backup policy cannot be renamed"))
            }
            _ => Ok(None),
        }
    }

    fn name(&self) -> Result<Option<String>, Refusal> {
        let Some(name) = &self.backup_policy_name else { return Ok(None) };
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_good = |name: &&str| (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_sign);
        match name.as_str().filter(is_good) {
            Some(name) if name.starts_with(DEFAULT_NAME) => {
                Err(Refusal::new(Code::PolicyName, "backup_policy_name must not start with default"))
            }
            Some(name) => Ok(Some(name.to_owned())),
            None => {
                let most = NAME_CHARS_MAX;
                let why = format!("backup_policy_name must be 1 to {most} letters, digits, `_` and `-`");
                Err(Refusal::new(Code::PolicyName, why))
            }
        }
    }

    fn zone(&self) -> Result<Option<Zone>, Refusal> {
        let Some(zone) = &self.time_zone else { return Ok(None) };
        let read = |text: &str| {
            let (sign, rest) = text.strip_prefix("UTC")?.split_at_checked(1)?;
            let (hours, minutes) = rest.split_once(':')?;
            let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
            let (hours, minutes) = (i16::from(number(hours)?), i16::from(number(minutes).filter(|most| *most < 60)?));
            let sign = match sign {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            Zone::east_of_utc(sign * (hours * 60 + minutes)).ok()
        };
        let zone = zone.as_str().and_then(read);
        zone.map(Some).ok_or_else(|| Refusal::new(Code::TimeZone, "time_zone must be such as UTC+02:00"))
    }
}

impl ScheduleBody {
    fn hours(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(text) = &self.start_time else { return Ok(None) };
        let hour = |time: &str| {
            let hour = time.trim().strip_suffix(":00").filter(|hour| hour.len() == 2)?;
            hour.parse().ok().filter(|hour: &u8| *hour < 24)
        };
        let hours: Option<Vec<u8>> = text.as_str().and_then(|text| text.split(',').map(hour).collect());
        hours.filter(|hours| hours.len() <= 24).map(Some).ok_or_else(|| {
            Refusal::new(Code::StartTime, "start_time must be full hours of UTC as HH:mm, separated by commas")
        })
    }

    /// The frequency wins.
    fn days(&self) -> Result<Option<Days>, Refusal> {
        if let Some(frequency) = &self.frequency {
            let every = frequency.as_u64().filter(|every| (1..=FREQUENCY_MAX).contains(every));
            let every = every.and_then(|every| u8::try_from(every).ok());
            let why = format!("frequency must be an integer of 1 to {FREQUENCY_MAX}");
            return every.map(|every| Some(Days::Every(every))).ok_or_else(|| Refusal::new(Code::Frequency, why));
        }
        let Some(days) = &self.week_frequency else { return Ok(None) };
        let day = |day: &Value| WEEK.iter().position(|each| day.as_str() == Some(each)).map(|day| WeekDay::ALL[day]);
        let days: Option<Vec<_>> = days.as_array().and_then(|days| days.iter().map(day).collect());
        let days = days.filter(|days| !days.is_empty());
        let why = "week_frequency must be a list of SUN, MON, TUE, WED, THU, FRI, SAT";
        days.map(|days| Some(Days::On(days))).ok_or_else(|| Refusal::new(Code::WeekFrequency, why))
    }

    /// The number wins.
    fn keep(&self) -> Result<Option<Keep>, Refusal> {
        let refuse = |what: &str, least: u64, most: u64| {
            Refusal::new(Code::Retention, format!("{what} must be an integer of {least} to {most}"))
        };
        if let Some(number) = &self.rentention_num {
            let number = number.as_u64().filter(|number| NUMBER.contains(number));
            let number = number.and_then(|number| u16::try_from(number).ok());
            let refusal = || refuse("rentention_num", *NUMBER.start(), *NUMBER.end());
            return number.map(|number| Some(Keep::Number(number))).ok_or_else(refusal);
        }
        let Some(days) = &self.rentention_day else { return Ok(None) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded down, and held in range")]
        let whole = |days: &Value| days.as_u64().or_else(|| Some(days.as_f64()?.clamp(0.0, 1e6) as u64));
        let days = whole(days).filter(|days| DAYS.contains(days)).and_then(|days| u32::try_from(days).ok());
        days.map(|days| Some(Keep::Days(days))).ok_or_else(|| refuse("rentention_day", *DAYS.start(), *DAYS.end()))
    }

    fn remain_first(&self) -> Result<Option<bool>, Refusal> {
        one_of(self.remain_first.as_ref(), ["Y", "N"])
            .map_err(|why| Refusal::new(Code::FirstOfMonth, format!("remain_first_backup_of_curMonth {why}")))
    }

    fn status(&self) -> Result<Option<bool>, Refusal> {
        one_of(self.status.as_ref(), ["ON", "OFF"]).map_err(|why| Refusal::new(Code::Status, format!("status {why}")))
    }
}

/// Whether a text is the first of two words.
fn one_of(value: Option<&Value>, words: [&str; 2]) -> Result<Option<bool>, String> {
    let Some(value) = value else { return Ok(None) };
    let place = words.iter().position(|word| value.as_str() == Some(word));
    place.map(|place| Some(place == 0)).ok_or_else(|| format!("must be {} or {}", words[0], words[1]))
}

/// Tags with others put in, which replace those of their keys.
pub(super) fn merged(tags: &[(String, String)], more: Vec<TagBody>) -> Result<Vec<(String, String)>, Refusal> {
    let mut tags = tags.to_vec();
    for TagBody { key, value } in more {
        let value = value.unwrap_or_default();
        let is_good = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let (key_max, value_max) = TAG_CHARS_MAX;
        if !(1..=key_max).contains(&key.len()) || !is_good(&key) {
            let why = format!("the key of a tag must be 1 to {key_max} letters, digits, `-` and `_`");
            return Err(Refusal::new(Code::TagKey, why));
        }
        if value.len() > value_max || !is_good(&value) {
            let why = format!("the value of a tag must be 0 to {value_max} letters, digits, `-` and `_`");
            return Err(Refusal::new(Code::TagValue, why));
        }
        match tags.iter_mut().find(|(each, _)| *each == key) {
            Some(tag) => tag.1 = value,
            None => tags.push((key, value)),
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(Refusal::new(Code::TooManyTags, format!("a backup policy has at most {TAGS_MAX} tags")));
    }
    Ok(tags)
}

/// The keys of tags that are to go.
pub(super) fn keys(tags: Vec<TagBody>) -> Vec<String> {
    tags.into_iter().map(|tag| tag.key).collect()
}

/// A policy as the list shows it.
pub(super) fn show(policy: &Policy, volumes: usize) -> Value {
    let mut scheduled = Map::new();
    let zone = policy.schedule.zone();
    let hours: Vec<String> = policy.schedule.hours().iter().map(|hour| format!("{hour:02}:00")).collect();
    scheduled.insert("start_time".into(), json!(hours.join(",")));
    match policy.schedule.days() {
        Days::Every(every) => scheduled.insert("frequency".into(), json!(every)),
        Days::On(days) => {
            let days: Vec<_> = days.iter().map(|day| WEEK[*day as usize]).collect();
            scheduled.insert("week_frequency".into(), json!(days))
        }
    };
    match policy.retention.keep() {
        Keep::Number(number) => scheduled.insert("rentention_num".into(), json!(number)),
        Keep::Days(days) => scheduled.insert("rentention_day".into(), json!(days)),
    };
    let first = if policy.retention.first_of_month() { "Y" } else { "N" };
    scheduled.insert("remain_first_backup_of_curMonth".into(), json!(first));
    scheduled.insert("status".into(), json!(if policy.on { "ON" } else { "OFF" }));
    let (sign, minutes) = (if zone.minutes() < 0 { '-' } else { '+' }, zone.minutes().unsigned_abs());
    json!({
        "backup_policy_id": policy.id,
        "backup_policy_name": policy.name,
        "scheduled_policy": scheduled,
        "policy_resource_count": volumes,
        "time_zone": format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60),
    })
}
