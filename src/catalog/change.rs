//! A change of the stored catalogue as blocks to drop and blocks to put, worked out before anything is written. Touches
//! only the blocks whose series change, and the next one where a block has become small.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::catalog::block::{self, Size};
use crate::catalog::name::{Stored, name_of};
use crate::error::{Error, Result};
use crate::model::segment::CatalogMark;
use crate::model::series::{SeriesId, SeriesKey};

/// A block under its key.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// Blocks in the order of their keys.
pub(super) trait Blocks {
    /// The last block whose key is not behind this name.
    fn at_or_before(&self, name: &[u8]) -> Result<Option<Record>>;

    /// The first block whose key is behind this name.
    fn after(&self, name: &[u8]) -> Result<Option<Record>>;
}

/// What is to be written, all at once.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) drop: Vec<Vec<u8>>,
    pub(super) put: Vec<Record>,
    /// What the store holds afterwards.
    pub(super) mark: CatalogMark,
}

/// Works out a change: series that leave, then series that come.
pub(super) fn plan(
    blocks: &impl Blocks,
    mark: CatalogMark,
    size: Size,
    added: &[(SeriesId, SeriesKey)],
    removed: &[SeriesKey],
) -> Result<Plan> {
    // Under each name, whether it leaves and what comes.
    let mut changes: BTreeMap<Vec<u8>, (bool, Option<Stored>)> = BTreeMap::new();
    for key in removed {
        changes.entry(name_of(key)).or_default().0 = true;
    }
    for (id, key) in added {
        let stored = Stored::new(*id, key);
        let name = stored.name.clone();
        changes.entry(name).or_default().1 = Some(stored);
    }
    let mark = CatalogMark { generation: mark.generation.saturating_add(1), ..mark };
    let mut plan = Plan { drop: Vec::new(), put: Vec::new(), mark };
    let mut run: Option<Run> = None;
    for (name, (leaves, comes)) in changes {
        let mut here = match run.take() {
            Some(run) => run.reach(blocks, size, &name, &mut plan)?,
            None => Run::around(blocks, &name)?,
        };
        here.change(&name, leaves, comes, &mut plan.mark)?;
        run = Some(here);
    }
    if let Some(run) = run {
        run.grow(blocks, size, None)?.finish(size, &mut plan);
    }
    Ok(plan)
}

/// The blocks of a catalogue that is written as a whole.
pub(super) fn plan_all(generation: u64, size: Size, mut series: Vec<Stored>) -> Plan {
    series.sort_unstable_by(|one, next| one.name.cmp(&next.name));
    assert!(series.is_sorted_by(|one, next| one.name < next.name), "each series is given once");
    let mark = mark_of(generation, &series);
    let mut plan = Plan { drop: Vec::new(), put: Vec::new(), mark };
    if !series.is_empty() {
        Run { keys: Vec::new(), series, end: None }.finish(size, &mut plan);
    }
    plan
}

/// What these series add up to.
pub(super) fn mark_of(generation: u64, series: &[Stored]) -> CatalogMark {
    let checksum = series.iter().fold(0_u64, |sum, each| sum.wrapping_add(each.checksum()));
    CatalogMark { generation, series: series.len() as u64, checksum }
}

/// Whether series are what the mark beside them says.
pub(super) fn check(series: &[Stored], mark: CatalogMark) -> Result<()> {
    if !series.is_sorted_by(|one, next| one.name < next.name) {
        return Err(Error::corrupt("its blocks overlap"));
    }
    let ids: FxHashSet<SeriesId> = series.iter().map(|each| each.id).collect();
    let read = mark_of(mark.generation, series);
    if read != mark || ids.len() != series.len() {
        return Err(Error::corrupt(format!("it holds {read:?}, its own mark says {mark:?}")));
    }
    Ok(())
}

/// Neighbouring blocks that are changed together.
struct Run {
    /// Under which they are stored now.
    keys: Vec<Vec<u8>>,
    series: Vec<Stored>,
    /// Key of the first block behind them.
    end: Option<Vec<u8>>,
}

impl Run {
    /// The block into which a name belongs.
    fn around(blocks: &impl Blocks, name: &[u8]) -> Result<Self> {
        let block = match blocks.at_or_before(name)? {
            Some(block) => Some(block),
            // What comes before everything else joins the first block.
            None => blocks.after(name)?,
        };
        let mut run = Self { keys: Vec::new(), series: Vec::new(), end: None };
        if let Some(block) = block {
            run.append(blocks, block)?;
        }
        Ok(run)
    }

    fn append(&mut self, blocks: &impl Blocks, (key, bytes): Record) -> Result<()> {
        let series = block::decode(&key, &bytes);
        self.series.extend(series.map_err(|malformed| Error::corrupt(malformed.0))?);
        self.end = blocks.after(&key)?.map(|(next, _)| next);
        self.keys.push(key);
        Ok(())
    }

    /// Takes in what follows while this is small and ends before `name`.
    fn grow(mut self, blocks: &impl Blocks, size: Size, name: Option<&[u8]>) -> Result<Self> {
        while let Some(end) = self.end.clone().filter(|end| name.is_none_or(|name| end.as_slice() <= name)) {
            if !size.is_small(&self.series) {
                break;
            }
            let next = blocks.at_or_before(&end)?.ok_or_else(|| Error::corrupt("a block is gone"))?;
            self.append(blocks, next)?;
        }
        Ok(self)
    }

    /// This run if `name` belongs into it; otherwise it is finished, and the run around `name` follows.
    fn reach(self, blocks: &impl Blocks, size: Size, name: &[u8], plan: &mut Plan) -> Result<Self> {
        let run = self.grow(blocks, size, Some(name))?;
        if run.end.as_ref().is_none_or(|end| name < end.as_slice()) {
            return Ok(run);
        }
        run.finish(size, plan);
        Self::around(blocks, name)
    }

    fn change(&mut self, name: &[u8], leaves: bool, comes: Option<Stored>, mark: &mut CatalogMark) -> Result<()> {
        let place = self.series.binary_search_by(|each| each.name.as_slice().cmp(name));
        let place = match (place, leaves) {
            (Ok(place), true) => {
                let left = self.series.remove(place);
                mark.series = mark.series.wrapping_sub(1);
                mark.checksum = mark.checksum.wrapping_sub(left.checksum());
                place
            }
            (Err(place), false) => place,
            (Ok(_), false) => return Err(Error::corrupt("a new series is in the stored catalogue already")),
            (Err(_), true) => return Err(Error::corrupt("a series that leaves is not in the stored catalogue")),
        };
        if let Some(stored) = comes {
            mark.series = mark.series.wrapping_add(1);
            mark.checksum = mark.checksum.wrapping_add(stored.checksum());
            self.series.insert(place, stored);
        }
        Ok(())
    }

    fn finish(mut self, size: Size, plan: &mut Plan) {
        for block in size.cut(&self.series, self.end.is_none()) {
            let Some(first) = block.first() else { break };
            self.keys.retain(|key| *key != first.name);
            plan.put.push((first.name.clone(), block::encode(block)));
        }
        plan.drop.append(&mut self.keys);
    }
}
