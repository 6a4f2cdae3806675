//! The published filters: what a window is condensed to, and how the rules show the result (S11). Pure numbers and
//! text; which windows there are is not its business.

use crate::model::point::Value;
use crate::model::summary::Number;
use crate::model::window::Window;
use crate::server::rules::{Decimals, Rules};

/// How numbers are shown that are computed from several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Precision {
    /// Integers are condensed to integers.
    is_whole: bool,
    decimals: Decimals,
}

impl Precision {
    pub(super) fn of(rules: &Rules) -> Self {
        Self { is_whole: rules.is_whole, decimals: rules.decimals }
    }

    fn show(self, float: f64) -> String {
        number(Value::Float(match self.decimals {
            Decimals::Rounded => two_decimals(float, true),
            Decimals::Cut => two_decimals(float, false),
            Decimals::Full => float,
        }))
    }
}

/// What a window is condensed to. A raw value comes back under the filter's name unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filter {
    Average,
    Max,
    Min,
    Sum,
    Variance,
}

impl Filter {
    /// What a question is told that names another.
    pub(super) const NAMES: &str = "must be average, max, min, sum or variance";

    const ALL: [Self; 5] = [Self::Average, Self::Max, Self::Min, Self::Sum, Self::Variance];

    /// The filter of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// Its name on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Max => "max",
            Self::Min => "min",
            Self::Sum => "sum",
            Self::Variance => "variance",
        }
    }

    /// The JSON number that a window is condensed to; none if it passes the largest double.
    ///
    /// Smallest and largest value keep their type, as does the sum of integers. Otherwise the rules may cut the fraction
    /// off what only integers make up, and leave two decimals of other results.
    pub(super) fn show(self, window: &Window, precision: Precision) -> Option<String> {
        let cut = |whole: Option<i128>| whole.filter(|_| precision.is_whole).map(Number::Int);
        let typed = |value| match value {
            Value::Int(int) => Number::Int(int.into()),
            Value::Float(float) => Number::Float(float),
        };
        let result = match self {
            Self::Average => cut(whole_average(window)).unwrap_or(Number::Float(window.average())),
            Self::Variance => cut(whole_variance(window)).unwrap_or(Number::Float(window.variance())),
            Self::Max => typed(window.max()),
            Self::Min => typed(window.min()),
            Self::Sum => window.sum(),
        };
        match result {
            Number::Int(whole) => Some(whole.to_string()),
            Number::Float(float) => float.is_finite().then(|| precision.show(float)),
        }
    }
}

/// The mean without its fraction, exactly, if all values are integers.
fn whole_average(window: &Window) -> Option<i128> {
    match window.sum() {
        Number::Int(sum) => Some(sum / i128::from(window.count())),
        Number::Float(_) => None,
    }
}

/// The population variance without its fraction, exactly, if all values are integers.
fn whole_variance(window: &Window) -> Option<i128> {
    let ints = window.summary.ints.filter(|ints| ints.count == window.count())?;
    Some(ints.whole_variance())
}

/// The shortest text that reads back as the same number; a float never looks like an integer.
pub(super) fn number(value: Value) -> String {
    match value {
        Value::Int(int) => int.to_string(),
        Value::Float(float) => serde_json::to_string(&float).expect("a number has a JSON text"),
    }
}

/// With two decimals, rounded with halves away from zero, or cut; zero has no sign.
///
/// What is rounded or cut is the shortest decimal text of the double, which is what a person sees: 1.005 becomes 1.01, though
/// the double is a little less.
fn two_decimals(float: f64, is_rounded: bool) -> f64 {
    let text = float.abs().to_string();
    let two_decimals = match text.split_once('.') {
        Some((whole, fraction)) if fraction.len() > 2 => {
            let (kept, rest) = fraction.split_at(2);
            let hundredths: u64 = format!("{whole}{kept}").parse().expect("what has a fraction is less than 2^53");
            let hundredths = hundredths + u64::from(is_rounded && rest.as_bytes()[0] >= b'5');
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            text.parse::<f64>().expect("digits").copysign(float)
        }
        _ => float,
    };
    // Takes the sign off -0.0.
    two_decimals + 0.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::Db;
    use crate::model::batch::WriteBatch;
    use crate::model::point::Point;
    use crate::model::series::SeriesKey;
    use crate::model::time::{TimeRange, Timestamp};
    use crate::server::profile::Profile;

    /// What every filter shows of one window with these values.
    fn shown(values: &[Value], profile: Profile) -> [Option<String>; 5] {
        let db = Db::in_memory();
        let series = SeriesKey::new("A.B", "m", [("n", "v")]).expect("a good name");
        let points = (0..).zip(values).map(|(time, value)| Point::new(Timestamp::from_millis(time), *value));
        let batch: WriteBatch = points.map(|point| (series.clone(), point)).collect();
        db.write(&batch).expect("good points");
        let windows = db.windows(&series, TimeRange::ALL, Duration::from_secs(300)).expect("few");
        assert_eq!(windows.len(), 1);
        Filter::ALL.map(|filter| filter.show(&windows[0], Precision::of(&Rules::of(profile))))
    }

    fn expect(values: &[Value], profile: Profile, wanted: [&str; 5]) {
        let wanted = wanted.map(|text| (text != "-").then(|| text.to_owned()));
        assert_eq!(shown(values, profile), wanted, "{profile}: {values:?}");
    }

    #[test]
    fn integers_answer_integers() {
        // S11. Order: average, max, min, sum, variance. The page's own example comes first.
        let ints = |values: &[i64]| values.iter().copied().map(Value::Int).collect::<Vec<_>>();
        let (max, min) = (i64::MAX, i64::MIN);
        for profile in [Profile::Document, Profile::Current] {
            expect(&ints(&[1, 4]), profile, ["2", "4", "1", "5", "2"]);
            expect(&ints(&[-1, -4]), profile, ["-2", "-1", "-4", "-5", "2"]);
            expect(&ints(&[7]), profile, ["7", "7", "7", "7", "0"]);
            let [max, min] = [max.to_string(), min.to_string()];
            let (max, min) = (max.as_str(), min.as_str());
            let twice = (2 * i128::from(i64::MAX)).to_string();
            expect(&ints(&[i64::MAX; 2]), profile, [max, max, max, &twice, "0"]);
            // ((2^64 - 1) / 2)^2 = 2^126 - 2^63 + 1/4.
            let variance = ((1_i128 << 126) - (1 << 63)).to_string();
            expect(&ints(&[i64::MIN, i64::MAX]), profile, ["0", max, min, "-1", &variance]);
        }
        expect(&ints(&[1, 4]), Profile::Lab, ["2.5", "4", "1", "5", "2.25"]);
        expect(&ints(&[60]), Profile::Lab, ["60.0", "60", "60", "60", "0.0"]);
    }

    #[test]
    fn floats_have_two_decimals_or_all_of_them() {
        let floats = |values: &[f64]| values.iter().copied().map(Value::Float).collect::<Vec<_>>();
        expect(&floats(&[1.0, 4.0]), Profile::Document, ["2.5", "4.0", "1.0", "5.0", "2.25"]);
        expect(&floats(&[0.125, 0.126]), Profile::Document, ["0.13", "0.13", "0.13", "0.25", "0.0"]);
        expect(&floats(&[0.125]), Profile::Lab, ["0.125", "0.125", "0.125", "0.125", "0.0"]);
        expect(&floats(&[-0.0]), Profile::Document, ["0.0", "0.0", "0.0", "0.0", "0.0"]);
        expect(&floats(&[-0.0]), Profile::Lab, ["-0.0", "-0.0", "-0.0", "-0.0", "0.0"]);
        expect(&floats(&[-0.001]), Profile::Document, ["0.0", "0.0", "0.0", "0.0", "0.0"]);
        expect(&floats(&[1e300]), Profile::Document, ["1e+300", "1e+300", "1e+300", "1e+300", "0.0"]);
    }

    #[test]
    fn extremes_of_mixed_values_keep_their_type() {
        let mixed = [Value::Int(i64::MAX), Value::Float(0.5)];
        let max = i64::MAX.to_string();
        for (profile, least) in [(Profile::Document, "0.5"), (Profile::Lab, "0.5")] {
            let [_, shown_max, shown_min, sum, _] = shown(&mixed, profile);
            assert_eq!((shown_max, shown_min), (Some(max.clone()), Some(least.into())));
            assert_eq!(sum.as_deref(), Some("9.223372036854776e+18"));
        }
        expect(&[Value::Int(1), Value::Float(4.0)], Profile::Document, ["2.5", "4.0", "1", "5.0", "2.25"]);
    }

    #[test]
    fn what_passes_the_largest_double_is_no_number() {
        let [average, max, min, sum, variance] = shown(&[Value::Float(f64::MAX); 2], Profile::Document);
        assert_eq!(sum, None);
        assert_eq!(max, min);
        assert!(max.is_some_and(|max| max.parse() == Ok(f64::MAX)));
        for other in [average, variance].into_iter().flatten() {
            assert!(other.parse::<f64>().is_ok_and(f64::is_finite), "{other}");
        }
    }

    #[test]
    fn halves_of_the_shortest_text_go_away_from_zero() {
        let table = [
            (1.005, "1.01"),
            (-1.005, "-1.01"),
            (2.675, "2.68"),
            (0.994_999, "0.99"),
            (0.995, "1.0"),
            (99.999, "100.0"),
            (-99.999, "-100.0"),
            (1.1, "1.1"),
            (1e-320, "0.0"),
            (4_503_599_627_370_495.5, "4503599627370495.5"),
            (35_184_372_088_831.875, "35184372088831.88"),
            (1e22, "1e+22"),
            (f64::MAX, "1.7976931348623157e+308"),
        ];
        for (float, text) in table {
            assert_eq!(number(Value::Float(two_decimals(float, true))), text, "{float}");
        }
    }

    #[test]
    fn what_is_cut_goes_toward_zero() {
        for (float, text) in [(1.009, "1.0"), (-1.999, "-1.99"), (0.29, "0.29"), (-0.001, "0.0"), (1e300, "1e+300")] {
            assert_eq!(number(Value::Float(two_decimals(float, false))), text, "{float}");
        }
    }

    #[test]
    fn numbers_keep_their_type_and_every_bit() {
        // S11. Goal: an answer reads back as what was stored. Method: the awkward numbers.
        assert_eq!(number(Value::Int(i64::MIN)), i64::MIN.to_string());
        assert_eq!(number(Value::Float(60.0)), "60.0");
        assert_eq!(number(Value::Float(-0.0)), "-0.0");
        for float in [0.1, 1e16, 1e300, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1.0 / 3.0] {
            let text = number(Value::Float(float));
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(float.to_bits()), "{text}");
            assert!(text.contains(['.', 'e']), "{text} looks like an integer");
        }
    }
}
