//! What the benches of whole workloads share: how much is asked for, and a writer that comes back when it is told to.

use std::time::{Duration, Instant};

use ebbtide::{Db, ErrorKind, Receipt, WriteBatch};

/// How long one batch is offered before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1);

/// Whether the bench is to run; otherwise (`cargo test --benches`) it was only to be built.
pub(crate) fn asked_for() -> bool {
    let asked = std::env::args().any(|argument| argument == "--bench");
    if !asked {
        println!("nothing is measured without `cargo bench`");
    }
    asked
}

/// Most points, from `EBBTIDE_POINTS`, for a quick look.
pub(crate) fn points_max(default: usize) -> usize {
    std::env::var("EBBTIDE_POINTS").map_or(default, |asked| asked.replace('_', "").parse().expect("a number of points"))
}

/// Writes a batch, again when the store asks to come back later; counts how often it did.
pub(crate) fn write(db: &Db, batch: &WriteBatch, refusals: &mut u64) -> Receipt {
    let start = Instant::now();
    loop {
        match db.write(batch) {
            Ok(receipt) => return receipt,
            Err(error) if error.kind() == ErrorKind::Overloaded && start.elapsed() < PATIENCE => {
                *refusals += 1;
                std::thread::sleep(PAUSE);
            }
            Err(error) => panic!("a batch is refused: {error}"),
        }
    }
}
