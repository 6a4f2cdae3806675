//! Checking a whole segment: every checksum, every chunk decoded, every fact held against what the
//! points and summaries say.

use std::collections::BTreeSet;

use crate::codec::points::Shape;
use crate::codec::stats::Stats;
use crate::error::{Error, Result};
use crate::model::limits::DAMAGE_NOTES_MAX;
use crate::model::packed::{ALWAYS_DEAD, NEVER, PackedPoint};
use crate::model::segment::Role;
use crate::model::series::SeriesId;
use crate::segment::chunk::Chunk;
use crate::segment::page::Entry;
use crate::segment::reader::Segment;

/// What the chunks add up to.
struct Sums {
    chunks: u64,
    points: u64,
    times: (i64, i64),
    expiries: (i64, i64),
    series: BTreeSet<SeriesId>,
}

impl Segment {
    /// Reads everything; gives what is wrong, at most as many errors as are told one by one. Empty for a sound file.
    pub(crate) fn verify(&self) -> Vec<Error> {
        let mut found = Found::default();
        found.note(self.file.read_frame().map(|_| ()));
        let sums = match self.meta().role {
            Role::Plain(_) | Role::Override => {
                let mut points = Vec::new();
                self.verify_chunks(&mut found, |chunk| self.verify_points(chunk, &mut points))
            }
            Role::Summaries(_) => {
                let mut records = Vec::new();
                self.verify_chunks(&mut found, |chunk| {
                    records.clear();
                    self.read_summaries(chunk, &mut records)
                })
            }
        };
        let names = self.names();
        found.note(names.as_ref().map(|_| ()).map_err(Error::clone));
        // Where a part is damaged, the rest adds up to less, which would be told in vain.
        if let (true, Ok(names)) = (found.errors.is_empty(), names) {
            found.note(self.check_sums(&sums, names.iter().map(|(id, _)| id)));
        }
        found.errors
    }

    /// Hands every chunk that can be listed to `verify`.
    fn verify_chunks<E: Entry>(&self, found: &mut Found, mut verify: impl FnMut(&E) -> Result<()>) -> Sums {
        let mut sums = Sums {
            chunks: 0,
            points: 0,
            times: (i64::MAX, i64::MIN),
            expiries: (NEVER, ALWAYS_DEAD),
            series: BTreeSet::new(),
        };
        for number in 0..self.frame.pages.len() {
            match self.read_page(number) {
                Ok(entries) => {
                    for entry in entries {
                        found.note(verify(&entry));
                        sums.add(&entry);
                    }
                }
                Err(error) => found.note(Err(error)),
            }
        }
        sums
    }

    fn verify_points(&self, chunk: &Chunk, points: &mut Vec<PackedPoint>) -> Result<()> {
        points.clear();
        self.read(chunk, points)?;
        if Shape::of(points) != chunk.shape {
            return Err(self.bad_chunk(chunk, "the points are not what the directory says"));
        }
        if Stats::of(points) != chunk.stats {
            return Err(self.bad_chunk(chunk, "the statistics are not those of the points"));
        }
        Ok(())
    }

    fn check_sums<'a>(&self, sums: &'a Sums, named: impl Iterator<Item = &'a SeriesId>) -> Result<()> {
        let (meta, footer) = (self.meta(), &self.frame.footer);
        let says = (footer.chunks, meta.points, meta.times, meta.expiries);
        if !named.eq(&sums.series) {
            return Err(self.file.corrupt(footer.names(), "the names are not those of the directory"));
        }
        if says == (sums.chunks, sums.points, sums.times, sums.expiries) {
            Ok(())
        } else {
            Err(self.file.corrupt(footer.directory, "the chunks do not add up to what the footer says"))
        }
    }
}

impl Sums {
    fn add(&mut self, entry: &impl Entry) {
        let (times, expiries) = (entry.times(), entry.expiries());
        self.chunks += 1;
        self.points += u64::from(entry.count());
        self.times = (self.times.0.min(times.0), self.times.1.max(times.1));
        self.expiries = (self.expiries.0.min(expiries.0), self.expiries.1.max(expiries.1));
        self.series.insert(entry.series());
    }
}

/// Errors, each once: a shared block is damaged in all of its chunks.
#[derive(Default)]
struct Found {
    errors: Vec<Error>,
    told: BTreeSet<String>,
}

impl Found {
    fn note(&mut self, checked: Result<()>) {
        let Err(error) = checked else { return };
        if self.errors.len() < DAMAGE_NOTES_MAX && self.told.insert(error.to_string()) {
            self.errors.push(error);
        }
    }
}
