//! What the user sees: a progress bar while points go out, then what was skipped and one line of summary. Counts are
//! kept per series, so memory grows with the number of series only.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use ebbtide::{Clock, SeriesKey, SystemClock, Timestamp};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::item::Sample;

/// Most series named in the list of skipped samples: a screenful; the total says the rest.
const SKIPPED_SERIES_SHOWN_MAX: usize = 20;

/// The counts of an import and its progress bar.
pub(super) struct Report<'c> {
    clock: &'c SystemClock,
    started: Duration,
    /// When the import began, by the wall clock.
    now: Timestamp,
    bar: ProgressBar,
    stored: u64,
    expired: u64,
    series: HashSet<SeriesKey>,
    skipped: BTreeMap<SeriesKey, u64>,
}

impl<'c> Report<'c> {
    /// `total` is the number of points to come, if that is known. The bar is quiet when stderr is not a terminal.
    pub(super) fn new(clock: &'c SystemClock, now: Timestamp, total: Option<u64>) -> Self {
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{bar:30} {human_pos}/{human_len} points, {rate} points/s, {eta} to go")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {human_pos} points, {rate} points/s, {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the templates are well formed");
        bar.set_style(style.with_key("rate", write_rate));
        let (stored, expired) = (0, 0);
        let (series, skipped) = (HashSet::new(), BTreeMap::new());
        Self { clock, started: clock.monotonic(), now, bar, stored, expired, series, skipped }
    }

    /// Counts a sample on its way to the destination.
    pub(super) fn count(&mut self, sample: &Sample<'_>) {
        match sample {
            Sample::Point(item) => {
                self.expired += u64::from(item.has_expired_at(self.now));
                if !self.series.contains(&item.series.key) {
                    self.series.insert(item.series.key.clone());
                }
            }
            Sample::NotFinite { series, .. } => *self.skipped.entry(series.key.clone()).or_default() += 1,
        }
    }

    /// Counts points that the destination has stored.
    pub(super) fn advance(&mut self, points: u64) {
        if points > 0 {
            self.stored += points;
            self.bar.set_position(self.stored);
        }
    }

    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// Leaves the line of the bar empty for what is printed next.
    pub(super) fn hide_progress(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints what was skipped to stderr, and the summary to stdout.
    pub(super) fn print(&self) -> Result<()> {
        let elapsed = self.clock.monotonic().saturating_sub(self.started);
        let skipped: u64 = self.skipped.values().sum();
        self.print_skipped(skipped);
        if self.expired > 0 {
            eprintln!(
                "note: {} points had outlived their ttl when they were sent and cannot be read back: see --ttl and \
                 --shift-to-now",
                self.expired
            );
        }
        let (points, series, seconds) = (self.stored, self.series.len(), elapsed.as_secs_f64());
        let rate = u128::from(points) * 1_000 / elapsed.as_millis().max(1);
        let mut stdout = std::io::stdout();
        writeln!(
            stdout,
            "imported {points} points of {series} series in {seconds:.1} s ({rate} points/s), skipped {skipped}"
        )?;
        Ok(())
    }

    fn print_skipped(&self, total: u64) {
        if total == 0 {
            return;
        }
        eprintln!("skipped {total} samples that are NaN or infinite, which no point can hold:");
        for (series, count) in self.skipped.iter().take(SKIPPED_SERIES_SHOWN_MAX) {
            eprintln!("  {count} of {series}");
        }
        let hidden = self.skipped.len().saturating_sub(SKIPPED_SERIES_SHOWN_MAX);
        if hidden > 0 {
            eprintln!("  and those of {hidden} more series");
        }
    }
}

/// Points a second without the decimals that indicatif would show.
fn write_rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    write!(out, "{:.0}", state.per_sec()).expect("the bar is written to memory");
}
