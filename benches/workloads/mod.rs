//! The workloads by name: made from fixed seeds or read from the recorded data that lies beside the project, point by
//! point, so that none is ever in memory as a whole. What is asked of a store with them stands in the benches.

pub(crate) mod churn;
pub(crate) mod cloud_eye;
pub(crate) mod devops;
pub(crate) mod late;
pub(crate) mod recorded;

use devops::{Arrival, Devops, Dice, SERIES, coin};

const W1_POINTS: usize = 8_640_000;
const W4_POINTS: usize = 1_000_000;

/// Points on their way in.
pub(crate) type Arrivals = Box<dyn Iterator<Item = Arrival>>;

/// A workload by its name; any other name is that of a folder of recorded data. `None`, said aloud, when the recorded
/// data is not there.
pub(crate) fn arrivals(name: &str) -> Option<Arrivals> {
    Some(match name {
        "W1" => Box::new(Devops::new(SERIES, coin).take(W1_POINTS)),
        "W1 lively" => Box::new(Devops::new(SERIES, normal).take(W1_POINTS)),
        "W2" => Box::new(recorded::replicated()?),
        "W3" => Box::new(churn::Churn::new()),
        "W4" => Box::new(late::Late::new().take(W4_POINTS)),
        "W5" => Box::new(cloud_eye::CloudEye::new()),
        folder => Box::new(recorded::folder(folder)?),
    })
}

/// A step of a livelier walk: the normal distribution of variance 1, rounded, which holds 2.1 bits where [`coin`]
/// holds one.
fn normal(dice: &mut Dice) -> i8 {
    // The shares of 0, 1, 2 and 3 steps, up and down together, in thousandths.
    let side = coin(dice);
    match dice.below(1_000) {
        0..383 => 0,
        383..866 => side,
        866..987 => 2 * side,
        _ => 3 * side,
    }
}
