//! A list of windows, and what becomes of it on the way to a chart: one number for each window, gaps filled. Knows
//! nothing of where windows come from.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::limits::WINDOWS_MAX;
use crate::model::point::Value;
use crate::model::summary::Number;
use crate::model::time::Timestamp;
use crate::model::window::Window;

/// Windows of one period in order of time, those with at least one value. See [`Db::windows`](crate::Db::windows).
#[derive(Clone, Debug, Default)]
pub struct Windows {
    pub(crate) list: Vec<Window>,
    pub(crate) missing: Vec<Error>,
}

/// One number for each window, in order of time. See [`Db::values`](crate::Db::values).
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub(crate) list: Vec<(Timestamp, Number)>,
    pub(crate) missing: Vec<Error>,
}

impl Values {
    /// What could not be read: windows near it may lack points.
    pub fn missing(&self) -> &[Error] {
        &self.missing
    }
}

impl std::ops::Deref for Values {
    type Target = [(Timestamp, Number)];

    fn deref(&self) -> &[(Timestamp, Number)] {
        &self.list
    }
}

/// What a window is condensed to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Function {
    /// The mean of all values.
    Average,
    /// The smallest value; a bound if [`Window::is_bound`] says so.
    Min,
    /// The largest value; a bound if [`Window::is_bound`] says so.
    Max,
    /// The sum.
    Sum,
    /// The number of values.
    Count,
    /// The population variance.
    Variance,
    /// The earliest value of each window.
    First,
    /// The latest value of each window.
    Last,
    /// The latest value of all windows together: one answer, at the time of its point.
    Latest,
}

#[cfg(test)]
impl Function {
    pub(crate) const ALL: [Self; 9] = [
        Self::Average,
        Self::Min,
        Self::Max,
        Self::Sum,
        Self::Count,
        Self::Variance,
        Self::First,
        Self::Last,
        Self::Latest,
    ];
}

/// What stands where there is no window. Before the first window and behind the last one nothing is ever made up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Fill {
    /// Nothing: only windows that exist are answered.
    #[default]
    None,
    /// A row without a number.
    Null,
    /// The number of the window before.
    Previous,
    /// A number on the straight line from the window before to the next one, always a float.
    Linear,
    /// Zero, of the type of the window before.
    Zero,
}

impl Number {
    /// The nearest double.
    #[expect(clippy::cast_precision_loss, reason = "the nearest one is asked for")]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    fn zero(self) -> Self {
        match self {
            Self::Int(_) => Self::Int(0),
            Self::Float(_) => Self::Float(0.0),
        }
    }
}

impl From<Value> for Number {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(int) => Self::Int(int.into()),
            Value::Float(float) => Self::Float(float),
        }
    }
}

impl Windows {
    /// What could not be read: windows near it may lack points.
    pub fn missing(&self) -> &[Error] {
        &self.missing
    }

    /// One number for each window, with gaps between the first and the last of them filled.
    ///
    /// ```
    /// use ebbtide::{Db, Fill, Function, Number, Point, SeriesKey, TimeRange, Timestamp};
    /// use std::time::Duration;
    /// let db = Db::in_memory();
    /// let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("host", "a")])?;
    /// for (second, value) in [(0, 10), (120, 30)] {
    ///     db.insert(&cpu, Point::new(Timestamp::from_secs(second), value))?;
    /// }
    /// let windows = db.windows(&cpu, TimeRange::ALL, Duration::from_secs(60))?;
    /// let filled = windows.values(Function::Max, Fill::Linear)?;
    /// assert_eq!(filled[1], (Timestamp::from_secs(60), Some(Number::Float(20.0))));
    /// assert_eq!(windows.values(Function::Max, Fill::None)?.len(), 2);
    /// # Ok::<(), ebbtide::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for more than [`WINDOWS_MAX`] rows: leave gaps, or ask for a shorter range.
    pub fn values(&self, function: Function, fill: Fill) -> Result<Vec<(Timestamp, Option<Number>)>> {
        let rows = self.list.iter().map(|window| (window.start, window.number(function)));
        if function == Function::Latest {
            let last = self.list.last().map(Window::last);
            return Ok(last.into_iter().map(|(time, value)| (time, Some(value.into()))).collect());
        }
        let mut filled: Vec<(Timestamp, Option<Number>)> = Vec::with_capacity(self.list.len());
        let period = self.list.first().map_or(Duration::ZERO, |window| window.period);
        let mut before: Option<(Timestamp, Number)> = None;
        for (time, number) in rows {
            if let Some(before) = before.filter(|_| fill != Fill::None) {
                fill_gap(&mut filled, fill, period, before, (time, number))?;
            }
            filled.push((time, Some(number)));
            before = Some((time, number));
        }
        Ok(filled)
    }
}

/// Adds the rows between two windows.
fn fill_gap(
    rows: &mut Vec<(Timestamp, Option<Number>)>,
    fill: Fill,
    period: Duration,
    (from, before): (Timestamp, Number),
    (to, next): (Timestamp, Number),
) -> Result<()> {
    let length = i64::try_from(period.as_millis()).expect("a period of windows is checked");
    let steps = (to.as_millis() - from.as_millis()) / length;
    let gaps = usize::try_from(steps - 1).expect("windows are in order of time");
    // The window behind the gap has to fit too.
    if gaps >= WINDOWS_MAX.saturating_sub(rows.len()) {
        return Err(Error::invalid(format!("there are more than {WINDOWS_MAX} rows with those between the windows")));
    }
    for step in 1..steps {
        let number = match fill {
            Fill::None | Fill::Null => None,
            Fill::Previous => Some(before),
            Fill::Zero => Some(before.zero()),
            Fill::Linear => {
                #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
                let part = step as f64 / steps as f64;
                // Not by their difference, which may pass the largest double.
                Some(Number::Float(before.to_f64() * (1.0 - part) + next.to_f64() * part))
            }
        };
        rows.push((Timestamp::from_millis(from.as_millis() + step * length), number));
    }
    Ok(())
}

impl Window {
    pub(crate) fn number(&self, function: Function) -> Number {
        match function {
            Function::Average => Number::Float(self.average()),
            Function::Min => self.min().into(),
            Function::Max => self.max().into(),
            Function::Sum => self.sum(),
            Function::Count => Number::Int(self.count().into()),
            Function::Variance => Number::Float(self.variance()),
            Function::First => self.first().1.into(),
            Function::Last | Function::Latest => self.last().1.into(),
        }
    }
}

impl std::ops::Deref for Windows {
    type Target = [Window];

    fn deref(&self) -> &[Window] {
        &self.list
    }
}

impl<'a> IntoIterator for &'a Windows {
    type Item = &'a Window;
    type IntoIter = std::slice::Iter<'a, Window>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl IntoIterator for Windows {
    type Item = Window;
    type IntoIter = std::vec::IntoIter<Window>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}
