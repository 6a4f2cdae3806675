//! `ebbtide bench`: how fast this machine takes a load, how long its acknowledgements take, and what it leaves on disk.
//!
//! This room has the arguments and the order of work: open, write, flush and compact, report. What is written is made
//! from a seed, when is fixed before the first write. It must not know a picture or the kernel's files.

mod drive;
mod folder;
mod histogram;
mod interrupt;
mod load;
mod plot;
mod process;
mod report;
mod timeline;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebbtide::limits::BATCH_POINTS_MAX;
use ebbtide::{Clock as _, Db, Durability, SystemClock};
use indicatif::{ProgressBar, ProgressStyle};

use self::drive::{Drive, Schedule};
use self::folder::{Folder, Paper};
use self::interrupt::Interrupt;
use self::load::Load;
use self::report::Report;

/// Most writers: each is a thread.
const WRITERS_MAX: usize = 1_024;

/// Most series: their names are in memory twice.
const SERIES_MAX: usize = 10_000_000;

/// Writes a made load into a fresh database and tells rate, latency and size.
///
/// With `--rate` the load is open: every batch has a moment at which it is due, fixed before the first one, and its
/// latency counts from that moment, also when the writer comes late because earlier batches took long. Without it each
/// writer writes as fast as it can, and latency counts from the call.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make the database in this directory, which must be new or empty, and keep it; a temporary directory if not
    /// given, removed at the end. Durability is worth what the file system there makes of it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Points in all
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    points: u64,
    /// Series in all
    #[arg(long, default_value_t = 1_000)]
    series: usize,
    /// Points of a batch
    #[arg(long, value_name = "POINTS", default_value_t = 1_000)]
    batch: usize,
    /// Threads that write, each its own series
    #[arg(long, default_value_t = 1)]
    writers: usize,
    /// Points a second, of all writers together; 0 is as fast as possible
    #[arg(long, value_name = "POINTS", default_value_t = 0)]
    rate: u64,
    /// When a batch is acknowledged: `sync`, `interval:MS` or `buffered`, as in `serve`
    #[arg(long, value_name = "MODE", default_value_t)]
    durability: Durability,
    /// Seconds after its own time until a point expires; 0 is never
    #[arg(long, value_name = "SECS", default_value_t = 604_800)]
    ttl: u32,
    /// What the values are made from: the same seed gives the same points
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write only what is due within so many seconds, or without `--rate` is begun within them
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Write what was measured into this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw rate and latency into this file, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    args.check()?;
    let open = |file: &Option<PathBuf>| file.as_deref().map(Paper::open).transpose();
    let (json, svg) = (open(&args.json)?, open(&args.svg)?);
    let interrupt = Interrupt::listen()?;
    let folder = match &args.data {
        Some(dir) => Folder::keep(dir)?,
        None => Folder::temporary()?,
    };
    let series_max = u32::try_from(args.series).expect("`check` bounds it");
    let builder = Db::builder(folder.path()).durability(args.durability).series_max(series_max.max(1_000_000));
    let db = builder.open().with_context(|| format!("opening {}", folder.path().display()))?;

    let clock = SystemClock::default();
    let load = Load::new(args.seed, args.series, args.points, args.ttl, args.writers, clock.now());
    let schedule = Schedule { rate: args.rate, points: args.points, writers: args.writers, batch: args.batch };
    let limit = args.seconds.map(Duration::from_secs);
    let is_over = interrupt.flag();
    let drive = Drive { db: &db, load: &load, batch: args.batch, schedule, limit, clock: &clock, is_over };
    let written_before = process::bytes_written();
    let bar = progress_bar(args.points);
    let measured = drive.run(|points| bar.set_position(points));
    bar.finish_and_clear();
    let measured = measured?;
    interrupt.check()?;

    eprintln!("compacting");
    db.flush()?;
    interrupt.check()?;
    db.compact()?;
    interrupt.check()?;
    let stats = db.stats();
    db.close()?;
    let written = process::bytes_written().zip(written_before).map(|(after, before)| after.saturating_sub(before));
    // A file system in memory hands nothing to a device, which is not counted.
    let written = written.filter(|&bytes| bytes > 0);
    let report = Report { args, measured, stats, written, peak_memory: process::peak_memory_bytes() };
    report.print()?;
    if let Some(paper) = json {
        paper.write(&format!("{:#}\n", report.json()))?;
    }
    if let Some(paper) = svg {
        paper.write(&plot::svg(&report))?;
    }
    Ok(())
}

impl Args {
    fn check(&self) -> Result<()> {
        ensure!((1..=BATCH_POINTS_MAX).contains(&self.batch), "--batch must be 1 to {BATCH_POINTS_MAX} points");
        ensure!((1..=WRITERS_MAX).contains(&self.writers), "--writers must be 1 to {WRITERS_MAX}");
        ensure!((1..=SERIES_MAX).contains(&self.series), "--series must be 1 to {SERIES_MAX}");
        ensure!(self.writers <= self.series, "each writer needs a series of its own: fewer --writers or more --series");
        self.check_ttl()
    }

    /// The load lies in half of its time to live, a millisecond or more from scrape to scrape; the other half is for
    /// the writing, whose length is known if there is a rate.
    fn check_ttl(&self) -> Result<()> {
        let scrapes = self.points.div_ceil(self.series as u64) + 1;
        let due = self.points.checked_div(self.rate).unwrap_or(0).min(self.seconds.unwrap_or(u64::MAX));
        let least = (scrapes.div_ceil(1_000)).max(due) * 2;
        ensure!(
            self.ttl == 0 || u64::from(self.ttl) >= least,
            "--ttl {} is too short: points would expire before they are written; {least} or more, or 0",
            self.ttl
        );
        Ok(())
    }
}

/// Quiet when stderr is not a terminal.
fn progress_bar(points: u64) -> ProgressBar {
    const TEMPLATE: &str = "{bar:30} {human_pos}/{human_len} points, {per_sec}, {eta} to go";
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well formed");
    ProgressBar::new(points).with_style(style)
}
