//! The parameters behind the question mark of a URL: decoded, and read one by one as whoever asks needs them. What is
//! not asked for is passed over.

use super::error::{Code, Refusal};
use super::grammar::Name;
use super::json::cut;
use crate::server::rules::Rules;

/// Most parameters of a URL; the pages have hardly more than ten.
const PARAMETERS_MAX: usize = 64;

/// The parameters of a URL, decoded, in the order given; each at most once.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Broken percent signs stand for themselves and broken UTF-8 becomes U+FFFD, which no name may contain.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.len() == PARAMETERS_MAX {
                let why = format!("the URL has more than {PARAMETERS_MAX} parameters");
                return Err(Refusal::new(Code::Parameter, why));
            }
            let name = if name == "dim" { "dim.0".into() } else { name.into_owned() };
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(wrong(&name, "is given twice"));
            }
            parameters.push((name, value.into_owned()));
        }
        Ok(Self(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| wrong(name, "is missing"))
    }

    pub(super) fn required_name(&self, name: &str, kind: Name, rules: &Rules) -> Result<&str, Refusal> {
        self.required(name)?;
        Ok(self.name(name, kind, rules)?.unwrap_or_default())
    }

    /// A name that may be given.
    pub(super) fn name(&self, name: &str, kind: Name, rules: &Rules) -> Result<Option<&str>, Refusal> {
        let text = self.get(name);
        text.map_or(Ok(()), |text| kind.check(text, rules)).map_err(|why| wrong(name, &why))?;
        Ok(text)
    }

    /// The length of a page: the most that is allowed if it is not given.
    pub(super) fn limit(&self, most: u32) -> Result<u32, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(most) };
        let number = text.parse().ok().filter(|limit| (1..=most).contains(limit) && is_digits(text));
        number.ok_or_else(|| Refusal::new(Code::Paging, format!("limit must be 1 to {most}")))
    }

    /// A time, in milliseconds.
    pub(super) fn millis(&self, name: &str) -> Result<i64, Refusal> {
        let text = self.required(name)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !is_digits(digits) {
            return Err(wrong(name, "must be an integer, in milliseconds since 1970"));
        }
        text.parse().map_err(|_| wrong(name, "is out of range"))
    }

    /// `dim.0=name,value` and so on; a `dim` alone is the first. Their order and gaps between their numbers mean nothing.
    pub(super) fn dimensions(&self, rules: &Rules) -> Result<Vec<(&str, &str)>, Refusal> {
        let most = rules.dimensions.most;
        let mut dimensions = Vec::new();
        for (parameter, text) in &self.0 {
            let Some(number) = parameter.strip_prefix("dim.") else { continue };
            if !(0..most).any(|each| each.to_string() == number) {
                return Err(wrong(parameter, &format!("is none of the {most} that there may be, counted from dim.0")));
            }
            let (name, value) = text.split_once(',').ok_or_else(|| wrong(parameter, "must be name,value"))?;
            Name::Dimension.check(name, rules).map_err(|why| wrong(parameter, &format!("name {why}")))?;
            // The published query side knows more characters in values than the ingest side: no series has them.
            Name::Value.check_length(value).map_err(|why| wrong(parameter, &format!("value {why}")))?;
            dimensions.push((name, value));
        }
        Ok(dimensions)
    }
}

/// The refusal of a parameter.
pub(super) fn wrong(parameter: &str, why: &str) -> Refusal {
    Refusal::new(Code::Parameter, format!("{} {why}", cut(parameter)))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
