//! The first pass: reads every file to its end and sends nothing. Finds malformed cells, series that would run into
//! one, the number of points and the last time. Stdin is left out, since it can be read only once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::{Result, bail};
use ebbtide::{SeriesKey, Timestamp};

use super::input::{Reader, Source};
use super::item::{Defaults, Sample};

/// What the first pass found, file by file.
#[derive(Debug)]
pub(super) struct Survey {
    files: Vec<FileSurvey>,
}

#[derive(Debug, Default)]
struct FileSurvey {
    points: u64,
    has_times: bool,
    /// The latest time of a sample; for a file without times, how far its last sample is behind its first.
    last: Option<Timestamp>,
}

impl Survey {
    pub(super) fn of(sources: &[Source], defaults: &Defaults<'_>) -> Result<Self> {
        let mut owners = HashMap::new();
        let files = sources.iter().map(|source| {
            if source.is_stdin() {
                return Ok(FileSurvey { has_times: true, ..FileSurvey::default() });
            }
            let reader = source.open(defaults)?;
            claim(&reader, source, &mut owners)?;
            survey(reader)
        });
        Ok(Self { files: files.collect::<Result<_>>()? })
    }

    /// Points in all files.
    pub(super) fn points(&self) -> u64 {
        self.files.iter().map(|file| file.points).sum()
    }

    /// By how many milliseconds the times of a file move. A file without times always ends now; the others keep their
    /// times, or all move by the same, so that the latest of them is now.
    pub(super) fn offset(&self, position: usize, shift_to_now: bool, now: Timestamp) -> i64 {
        let file = &self.files[position];
        let last = match file.has_times {
            false => file.last,
            true if shift_to_now => self.files.iter().filter(|file| file.has_times).filter_map(|file| file.last).max(),
            true => return 0,
        };
        last.map_or(0, |last| now.as_millis().saturating_sub(last.as_millis()))
    }
}

/// Notes which column of which file each series comes from. Two columns with one series would overwrite each other
/// without a word, and names can become one when they are bent to the contract's grammar.
fn claim(reader: &Reader<'_>, source: &Source, owners: &mut HashMap<SeriesKey, String>) -> Result<()> {
    for (header, series) in reader.columns() {
        let owner = format!("column {header:?} of {}", source.name());
        match owners.entry(series.key.clone()) {
            Entry::Vacant(free) => drop(free.insert(owner)),
            Entry::Occupied(taken) => {
                bail!("{} and {owner} would both become the series {}", taken.get(), series.key)
            }
        }
    }
    Ok(())
}

fn survey(reader: Reader<'_>) -> Result<FileSurvey> {
    let mut found = FileSurvey { has_times: reader.has_times(), ..FileSurvey::default() };
    reader.read(0, &mut |sample| {
        found.points += u64::from(matches!(sample, Sample::Point(_)));
        found.last = found.last.max(Some(sample.time()));
        Ok(())
    })?;
    Ok(found)
}
