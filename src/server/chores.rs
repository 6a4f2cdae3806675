//! What a server does by itself as time passes: running backup policies. Databases have threads of their own for what
//! falls due in them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::env::clock::Clock as _;
use crate::server::site::Site;

/// How often it is looked whether something is due. Runs are hours apart.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs what falls due until the server stops.
pub(super) async fn keep_running(site: Arc<Site>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = ticks.tick() => {}
        }
        let now = site.clock.now();
        if site.backups.next_run().is_none_or(|next| next > now) {
            continue;
        }
        let _turn = site.backing_up.acquire().await;
        let working = Arc::clone(&site);
        let outcome = tokio::task::spawn_blocking(move || working.backups.run_due(&working.ids)).await;
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("a backup policy could not run: {error}"),
            Err(panic) => tracing::error!("a backup panicked: {panic}"),
        }
    }
}
