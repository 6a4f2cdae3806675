//! What was measured, for people and for programs. Every number has its unit in its name.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use ebbtide::Stats;
use serde_json::{Value, json};

use super::Args;
use super::drive::Measured;

/// Bytes of a point before it is encoded: a time and a value.
pub(super) const PAYLOAD_BYTES: u64 = 16;

/// The percentiles that are told: name, and how many of a hundred thousand.
pub(super) const PERCENTILES: [(&str, u64); 5] =
    [("p50", 50_000), ("p90", 90_000), ("p99", 99_000), ("p99.9", 99_900), ("max", 100_000)];

/// One bench.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) args: &'a Args,
    pub(super) measured: Measured,
    /// After everything was flushed and merged.
    pub(super) stats: Stats,
    /// Bytes that went to storage, where the kernel tells it.
    pub(super) written: Option<u64>,
    pub(super) peak_memory: Option<u64>,
}

impl Report<'_> {
    pub(super) fn rate(&self) -> f64 {
        ratio(self.measured.points, 1) / self.measured.taken.as_secs_f64().max(1e-9)
    }

    /// As if nothing but writing took time: a writer of a closed load also makes its batches.
    fn writing_rate(&self) -> f64 {
        let seconds = self.measured.writing.as_secs_f64() / ratio(self.args.writers as u64, 1);
        ratio(self.measured.points, 1) / seconds.max(1e-9)
    }

    /// In milliseconds.
    pub(super) fn percentile(&self, of_100_000: u64) -> f64 {
        millis(self.measured.latency.percentile(of_100_000))
    }

    /// What stays on disk for each stored point.
    fn bytes_per_point(&self) -> Option<f64> {
        let Stats { points, segment_bytes, manifest_bytes, catalog_bytes, .. } = self.stats;
        (points > 0).then(|| ratio(segment_bytes + manifest_bytes + catalog_bytes, points))
    }

    fn written_per_point(&self) -> Option<f64> {
        self.written.filter(|_| self.measured.points > 0).map(|bytes| ratio(bytes, self.measured.points))
    }

    fn write_amplification(&self) -> Option<f64> {
        self.written_per_point().map(|bytes| bytes / ratio(PAYLOAD_BYTES, 1))
    }

    /// From what moment latency counts.
    pub(super) fn latency_from(&self) -> &'static str {
        if self.args.rate > 0 { "schedule" } else { "call" }
    }

    pub(super) fn print(&self) -> Result<()> {
        let Args { durability, batch, writers, series, seed, rate, .. } = self.args;
        let Measured { points, taken, refused, dead_on_arrival, .. } = self.measured;
        let mut out = std::io::stdout().lock();
        let asked = if *rate > 0 { format!("{rate} points/s asked for") } else { "as fast as possible".into() };
        writeln!(
            out,
            "{points} points of {series} series, {writers} writers, batches of {batch}, seed {seed}, {asked}"
        )?;
        writeln!(out, "durability     {durability}")?;
        writeln!(out, "rate           {:.0} points/s over {:.3} s", self.rate(), taken.as_secs_f64())?;
        if *rate == 0 {
            writeln!(out, "while writing  {:.0} points/s, making the batches left out", self.writing_rate())?;
        }
        write!(out, "latency        ")?;
        for (name, of_100_000) in PERCENTILES {
            write!(out, "{name} {:.3} ms  ", self.percentile(of_100_000))?;
        }
        writeln!(out, "(from the {})", self.latency_from())?;
        writeln!(out, "on disk        {} bytes/point, compacted", decimal(self.bytes_per_point()))?;
        let (per_point, times) = (decimal(self.written_per_point()), decimal(self.write_amplification()));
        writeln!(
            out,
            "written        {per_point} bytes/point, {times} times the {PAYLOAD_BYTES} bytes of time and value"
        )?;
        let memory = self.peak_memory.map(|bytes| ratio(bytes, 1 << 20));
        writeln!(out, "peak memory    {} MiB", decimal(memory))?;
        if refused + dead_on_arrival > 0 {
            writeln!(out, "note           {refused} batches offered again, {dead_on_arrival} points dead on arrival")?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        let Args { durability, batch, writers, series, seed, rate, ttl, .. } = self.args;
        let measured = &self.measured;
        let latency: serde_json::Map<_, _> = PERCENTILES
            .into_iter()
            .map(|(name, of_100_000)| (name.replace('.', "_"), self.percentile(of_100_000).into()))
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "asked": {
                "points": self.args.points, "series": series, "batch": batch, "writers": writers,
                "points_per_second": rate, "durability": durability.to_string(), "ttl_secs": ttl, "seed": seed,
                "seconds": self.args.seconds,
            },
            "points": measured.points,
            "batches": measured.latency.count(),
            "replaced": measured.replaced,
            "late": measured.late,
            "dead_on_arrival": measured.dead_on_arrival,
            "batches_offered_again": measured.refused,
            "seconds": measured.taken.as_secs_f64(),
            "points_per_second": self.rate(),
            "writing_seconds": measured.writing.as_secs_f64(),
            "points_per_second_while_writing": self.writing_rate(),
            "latency_from": self.latency_from(),
            "latency_ms": latency,
            "points_on_disk": self.stats.points,
            "bytes_per_point_on_disk": self.bytes_per_point(),
            "segment_bytes": self.stats.segment_bytes,
            "window_bytes": self.stats.window_bytes,
            "manifest_bytes": self.stats.manifest_bytes,
            "catalog_bytes": self.stats.catalog_bytes,
            "bytes_written": self.written,
            "bytes_written_per_point": self.written_per_point(),
            "write_amplification": self.write_amplification(),
            "peak_memory_bytes": self.peak_memory,
            "timeline": { "span_ms": millis(measured.timeline.span()), "points": measured.timeline.counts() },
        })
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "told with a few digits")]
pub(super) fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

fn decimal(number: Option<f64>) -> String {
    number.map_or_else(|| "an unknown number of".into(), |number| format!("{number:.2}"))
}
