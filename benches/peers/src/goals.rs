//! The lines of numbers to beat, and where each is found among the figures.

use crate::elsewhere::{CODEC, HTTP_BUFFERED, HTTP_SYNCED};
use crate::figures::Figures;
use crate::plan::{BY_SERIES, rate_row};
use crate::stores::KINDS;

const SYNCED: &str = "each synced";

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Better {
    More,
    Less,
}

pub(crate) struct Goal {
    pub(crate) what: &'static str,
    /// What an acknowledgement promised; nothing for what is not about writing.
    pub(crate) durability: &'static str,
    pub(crate) row: String,
    /// Name of the figure, and of Ebbtide's own where its files hold more than what the line is about.
    pub(crate) figure: &'static str,
    pub(crate) own_figure: &'static str,
    /// What the figure is multiplied by to have the unit.
    scale: f64,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) wanted: Option<f64>,
}

impl Goal {
    fn new(what: &'static str, row: impl Into<String>, figure: &'static str) -> Self {
        let (scale, unit, better) = match figure {
            "rate" | "rate_flushed" => (1e-6, "M/s", Better::More),
            "gain" => (1.0, "x", Better::More),
            "memory" | "memory_beyond" => (1e-6, "MB", Better::Less),
            "reopen" | "expire" => (1e3, "ms", Better::Less),
            "freed_part" => (100.0, "% of the files", Better::More),
            "rewritten_part" => (100.0, "% of the freed", Better::Less),
            "decode" | "aggregate" | "encode" => (1.0, "ns/point", Better::Less),
            "query_a" | "query_b" | "query_c" | "query_d" | "query_e" => (1e6, "us", Better::Less),
            _ => (1.0, "B/point", Better::Less),
        };
        Self { what, durability: "", row: row.into(), figure, own_figure: figure, scale, unit, better, wanted: None }
    }

    fn at(self, wanted: f64) -> Self {
        Self { wanted: Some(wanted), ..self }
    }

    fn own(self, own_figure: &'static str) -> Self {
        Self { own_figure, ..self }
    }

    fn synced(self) -> Self {
        Self { durability: SYNCED, ..self }
    }

    fn buffered(self) -> Self {
        Self { durability: "nothing synced", ..self }
    }

    /// A store's figure in the line's unit.
    pub(crate) fn of(&self, figures: &Figures, store: &str) -> Option<f64> {
        let name = if store == "ebbtide" { self.own_figure } else { self.figure };
        figures.get(&self.row, store, name).map(|number| number * self.scale)
    }

    pub(crate) fn is_better(&self, one: f64, other: f64) -> bool {
        if self.better == Better::More { one >= other } else { one <= other }
    }

    /// Whether a store has stored all of the line's workload, where that is asked.
    pub(crate) fn is_whole(&self, figures: &Figures, store: &str) -> bool {
        figures.get(&self.row, store, "whole").is_none_or(|whole| whole > 0.0)
    }

    /// What a line says of Ebbtide. A gain over one writer says nothing when one writer is slow for this disk.
    pub(crate) fn verdict(&self, figures: &Figures) -> &'static str {
        let Some(own) = self.of(figures, "ebbtide") else { return "not measured" };
        let one_writer = |store| Self::new("", rate_row(1, true, 1), "rate").of(figures, store).unwrap_or_default();
        if self.figure == "gain" && one_writer("ebbtide") < one_writer("rawlog") {
            return "no verdict: one writer is behind the floor";
        }
        match self.wanted {
            _ if !self.is_whole(figures, "ebbtide") => "in part",
            Some(wanted) if self.is_better(own, wanted) => "met",
            Some(_) => "MISSED",
            None => "",
        }
    }

    /// The best of the peers, floors not among them.
    pub(crate) fn best_peer(&self, figures: &Figures) -> Option<(&'static str, f64)> {
        let peers = KINDS.iter().filter(|kind| !kind.is_floor && kind.name != "ebbtide");
        // What acknowledges before a disk has it is no peer where that is asked,
        let peers = peers.filter(|kind| kind.syncs || self.durability != SYNCED);
        // and what holds a part of the workload is none in sizes and times.
        let peers = peers.filter(|kind| self.unit == "M/s" || self.is_whole(figures, kind.name));
        let found = peers.filter_map(|kind| Some((kind.name, self.of(figures, kind.name)?)));
        found.filter(|(_, number)| number.is_finite()).reduce(
            |best, next| {
                if self.is_better(best.1, next.1) { best } else { next }
            },
        )
    }
}

/// Figures that are made of others: how much 64 writers gain over one, and what a store takes of memory beyond what
/// the bench does, whose floor holds a table of names too.
pub(crate) fn derive(figures: &mut Figures) {
    for kind in KINDS {
        for row in ["W1", "W3"] {
            let memory = |store| figures.get(row, store, "memory");
            if let (Some(all), Some(floor), false) = (memory(kind.name), memory("null"), kind.is_floor) {
                figures.add(row, kind.name, "memory_beyond", (all - floor).max(0.0));
            }
        }
        let rate = |figures: &Figures, writers| figures.get(&rate_row(1, true, writers), kind.name, "rate");
        if let (Some(one), Some(many)) = (rate(figures, 1), rate(figures, 64)) {
            figures.add(&rate_row(1, true, 64), kind.name, "gain", many / one);
        }
    }
}

pub(crate) fn goals() -> Vec<Goal> {
    let rate = |what, batch, synced, writers| {
        let goal = Goal::new(what, rate_row(batch, synced, writers), "rate");
        if synced { goal.synced() } else { goal.buffered() }
    };
    let mut goals = vec![
        Goal::new("W1 ingest, batch 10,000, one writer", "W1", "rate").buffered().at(12.0),
        rate("the same, two writers", 10_000, false, 2).at(16.0),
        Goal::new("W1 ingest and flush, batch 10,000", "W1", "rate_flushed").buffered(),
        Goal::new("W1 ingest, batch 10,000, series by series (`push_all`)", BY_SERIES, "rate").buffered().at(25.0),
        rate("W1 ingest, batch 1,000", 1_000, false, 1).at(8.0),
        rate("W1 ingest, batch 100", 100, false, 1).at(4.0),
        rate("W1 ingest, batch 1", 1, false, 1).at(0.8),
        rate("W1 ingest, batch 10,000", 10_000, true, 1).at(5.0),
        rate("W1 ingest, batch 1,000", 1_000, true, 1).at(1.5),
        rate("W1 ingest, batch 100", 100, true, 1).at(0.4),
        rate("W1 ingest, batch 1", 1, true, 1).at(0.008),
        rate("64 concurrent writers of 1 point", 1, true, 64),
        Goal::new("64 writers of 1 point against one", rate_row(1, true, 64), "gain").synced().at(20.0),
        Goal::new("W1 disk", "W1", "disk").own("disk_of_points").at(0.35),
        Goal::new("W1 disk, all files", "W1", "disk"),
        Goal::new("W1 bytes written to disk, log included", "W1", "written").buffered().at(6.0),
        Goal::new("W1 bytes written to disk, log apart", "W1", "segments_written").buffered().at(1.0),
        Goal::new("W1 peak memory", "W1", "memory").buffered().at(80.0),
        Goal::new("W1 peak memory beyond that of `null`", "W1", "memory_beyond").buffered(),
        Goal::new("W1 reopen", "W1", "reopen").at(4.0),
        Goal::new("(a) one series, last 1 h raw (360 points)", "W1", "query_a").at(4.0),
        Goal::new("(b) one series, 24 h raw (8,640)", "W1", "query_b").at(30.0),
        Goal::new("(c) 5-min average, 12 h, 8 hosts (34,560)", "W1", "query_c").at(60.0),
        Goal::new("(d) hourly max, 24 h, 100 hosts (864,000)", "W1", "query_d").at(1_000.0),
        Goal::new("(e) latest point of each of 1,000 series", "W1", "query_e").at(150.0),
    ];
    goals.extend(others());
    goals
}

fn others() -> Vec<Goal> {
    vec![
        Goal::new("W2 disk", "W2", "disk").own("disk_of_points").at(2.2),
        Goal::new("W2 disk, all files", "W2", "disk"),
        Goal::new("W3 ingest", "W3", "rate").buffered().at(4.0),
        Goal::new("W3 disk, with names", "W3", "disk").own("disk_of_points").at(2.5),
        Goal::new("W3 disk, all files", "W3", "disk"),
        Goal::new("W3 peak memory", "W3", "memory").buffered().at(150.0),
        Goal::new("W3 peak memory beyond that of `null`", "W3", "memory_beyond").buffered(),
        Goal::new("W3 reopen", "W3", "reopen").at(150.0),
        Goal::new("W4 ingest", "W4", "rate").buffered().at(6.0),
        Goal::new("W5 ingest", "W5", "rate").buffered().at(8.0),
        Goal::new("W5 disk", "W5", "disk").own("disk_of_points").at(1.5),
        Goal::new("W5 disk, all files", "W5", "disk"),
        Goal::new("W5 expiry of 48 %", "W5", "expire").at(20.0),
        Goal::new("W5 expiry, space freed", "W5", "freed_part"),
        Goal::new("W5 expiry, bytes written", "W5", "rewritten_part").at(5.0),
        Goal::new("node_exporter, disk", "node_exporter", "disk").own("disk_of_points").at(0.87),
        Goal::new("m3, disk", "m3", "disk").own("disk_of_points").at(0.88),
        Goal::new("nab, disk", "nab", "disk").own("disk_of_points").at(2.15),
        Goal::new("codec, packed: decode", CODEC, "decode").at(1.0),
        Goal::new("codec, packed: decode and aggregate", CODEC, "aggregate").at(0.7),
        Goal::new("codec, packed: encode", CODEC, "encode").at(14.0),
        Goal::new("HTTP ingest over loopback, client on the same cores", HTTP_BUFFERED, "rate").buffered().at(1.2),
        Goal::new("the same, each 201 on stable storage", HTTP_SYNCED, "rate").synced().at(0.8),
    ]
}
