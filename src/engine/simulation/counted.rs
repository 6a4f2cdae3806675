//! What counts in windows, by brute force: of each time of a series, every write that no later one has replaced while it
//! was alive.

use crate::model::packed::PackedPoint;
use crate::model::point::{Point, Value};
use crate::model::rollup::Rollup;
use crate::model::time::Timestamp;

/// What counts at one time.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Counted {
    /// The last of each chain of writes that replaced each other, in the order in which they came.
    pub(in crate::engine) points: Vec<Point>,
    /// Whether the next write replaces the last of them, if that is alive then.
    is_open: bool,
    /// Every value that ever counted, for what rounding may lose.
    pub(in crate::engine) ever: Vec<f64>,
}

impl Counted {
    /// A point that counts, if `counts`, written when the last write was alive or not.
    pub(in crate::engine) fn write(&mut self, point: &Point, counts: bool, is_replaced: bool) {
        if counts {
            if self.is_open && is_replaced {
                self.points.pop();
            }
            self.points.push(point.clone());
            self.ever.push(float_of(point.value));
        }
        self.is_open = counts;
    }

    /// The last write was deleted.
    pub(in crate::engine) fn close(&mut self) {
        self.is_open = false;
    }
}

pub(in crate::engine) fn float_of(value: Value) -> f64 {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        Value::Int(int) => int as f64,
        Value::Float(float) => float,
    }
}

/// Whether a point counts in a window of its series.
pub(in crate::engine) fn counts(rollup: &Rollup, point: &Point, accepted_at: Timestamp) -> bool {
    let packed = PackedPoint::new(point, None);
    packed.time >= rollup.counts_from(accepted_at) && !packed.is_non_finite()
}
