//! Names of series from names of files, folders and columns, bent until the contract's grammar takes them. Two names
//! may become one here; the survey refuses that.

/// What every default namespace starts with.
const NAMESPACE_SERVICE: &str = "IMPORT.";
const NAMESPACE_CHARS_MAX: usize = 32;
const METRIC_CHARS_MAX: usize = 96;
const DIMENSION_VALUE_CHARS_MAX: usize = 256;

/// `IMPORT.<folder>`: 3 to 32 letters, digits and `_`, each part with a letter first.
pub(super) fn namespace(folder: &str) -> String {
    let item = fit(folder, NAMESPACE_CHARS_MAX - NAMESPACE_SERVICE.len(), |c| c.is_ascii_alphabetic(), "_");
    format!("{NAMESPACE_SERVICE}{item}")
}

/// A metric name: 1 to 96 letters, digits, `_` and `-`, a letter first.
pub(super) fn metric(text: &str) -> String {
    fit(text, METRIC_CHARS_MAX, |c| c.is_ascii_alphabetic(), "_-")
}

/// A dimension value: 1 to 256 letters, digits, `_` and `-`, a letter or a digit first.
pub(super) fn dimension_value(text: &str) -> String {
    fit(text, DIMENSION_VALUE_CHARS_MAX, |c| c.is_ascii_alphanumeric(), "_-")
}

/// Puts `_` for what is not allowed, an `x` before a wrong first character, and cuts what is too long.
fn fit(text: &str, chars_max: usize, may_lead: impl Fn(char) -> bool, marks: &str) -> String {
    let prefix = if text.starts_with(may_lead) { "" } else { "x" };
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    let bent = text.chars().map(|c| if is_allowed(c) { c } else { '_' });
    prefix.chars().chain(bent).take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_name_of_the_contract() {
        assert_eq!(namespace("node_exporter"), "IMPORT.node_exporter");
        assert_eq!(namespace("10 s-files"), "IMPORT.x10_s_files");
        assert_eq!(namespace(&"n".repeat(99)).len(), 32);
        assert_eq!(namespace(""), "IMPORT.x");
        assert_eq!(metric("exchange-2_cpc results"), "exchange-2_cpc_results");
        assert_eq!(metric("1min"), "x1min");
        assert_eq!(metric(&"m".repeat(99)).len(), 96);
        assert_eq!(dimension_value("17"), "17");
        assert_eq!(dimension_value("_a\u{e9}"), "x_a_");
        assert_eq!(dimension_value(""), "x");
    }
}
