//! The directory: pages of entries, one for each chunk, whatever the chunks are of. Everything relative starts anew in
//! each page. What an entry says is its own affair.

use std::sync::Arc;

use crate::codec::Malformed;
use crate::codec::varint::{self, Reader};
use crate::model::series::SeriesId;
use crate::segment::cache::Item;
use crate::segment::format::{CHECKSUM_BYTES, Page};
use crate::segment::place::{Blocks, Place};

// The high bits of an entry's tag.
const SERIES_NEXT: u8 = 1 << 6;
const SERIES_OTHER: u8 = 2 << 6;

/// What a directory lists: a chunk of points, or of summaries.
pub(super) trait Entry: Clone {
    /// A page of the directory is closed once it is this long: all of it is read to find one chunk.
    const PAGE_BYTES: usize;

    /// What the next entry of a page is relative to.
    type Before;

    /// What the first entry of a page is relative to, where times are multiples of `step` ms.
    fn before(first: (SeriesId, i64), step: i64) -> Self::Before;

    /// Appends the entry and steps behind it.
    fn encode(&self, before: &mut Self::Before, blocks: &mut Blocks, out: &mut Vec<u8>);

    /// The next entry. The page has one more.
    fn decode(page: &mut PageReader<'_, Self>) -> Result<Self, Malformed>;

    fn series(&self) -> SeriesId;

    /// Number of points or summaries.
    fn count(&self) -> u32;

    /// First and last time, in ms.
    fn times(&self) -> (i64, i64);

    /// Earliest and latest expiry, in ms.
    fn expiries(&self) -> (i64, i64);

    /// Where its bytes are.
    fn places(&self) -> &[Place];

    /// A page of them for the cache, and back.
    fn keep(entries: &Arc<[Self]>) -> Item;
    fn kept(item: Item) -> Option<Arc<[Self]>>;
}

/// Appends an entry's tag and, if need be, its series. `tag` has the low 6 bits.
pub(super) fn put_tag(tag: u8, series: SeriesId, before: SeriesId, out: &mut Vec<u8>) {
    match series.0 - before.0 {
        0 => out.push(tag),
        1 => out.push(tag | SERIES_NEXT),
        more => {
            out.push(tag | SERIES_OTHER);
            varint::put(out, u64::from(more));
        }
    }
}

/// Reads the entries of one page.
pub(super) struct PageReader<'a, E: Entry> {
    pub(super) reader: Reader<'a>,
    pub(super) before: E::Before,
    pub(super) blocks: Blocks,
    /// Highest number of a unit.
    pub(super) units: u32,
}

impl<E: Entry> PageReader<'_, E> {
    /// The low 6 bits of a tag, and the series.
    pub(super) fn tag(&mut self, before: SeriesId) -> Result<(u8, SeriesId), Malformed> {
        let tag = self.reader.byte()?;
        let more = match tag & (3 << 6) {
            0 => 0,
            SERIES_NEXT => 1,
            SERIES_OTHER => self.reader.number()?,
            _ => return Err(Malformed("the tag of a chunk is unknown")),
        };
        let series = u32::try_from(more).ok().and_then(|more| before.0.checked_add(more));
        Ok((tag & 0x3f, SeriesId(series.ok_or(Malformed("a series id is out of range"))?)))
    }

    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.reader.number()?).map_err(|_| Malformed("a number of points is out of range"))
    }

    pub(super) fn place(&mut self) -> Result<Place, Malformed> {
        let number = self.reader.number()?;
        self.place_of(number)
    }

    /// The place that starts with this number.
    pub(super) fn place_of(&mut self, number: u64) -> Result<Place, Malformed> {
        Place::decode(number, &mut self.reader, &mut self.blocks)
    }

    /// All entries, from the first one that the page index names to before the one with which the next page starts.
    pub(super) fn read_all(
        &mut self,
        first: (SeriesId, i64),
        next: Option<(SeriesId, i64)>,
    ) -> Result<Vec<E>, Malformed> {
        const ORDER: Malformed = Malformed("a directory page is out of order");
        let mut entries: Vec<E> = Vec::new();
        let end_of = |entry: &E| (entry.series(), entry.times().1);
        while !self.reader.is_empty() {
            let entry = E::decode(self)?;
            let start = (entry.series(), entry.times().0);
            let in_order = match entries.last() {
                None => start == first,
                Some(before) => end_of(before) < start,
            };
            if !in_order {
                return Err(ORDER);
            }
            entries.push(entry);
        }
        let is_before_next = next.is_none_or(|next| entries.last().map(end_of) < Some(next));
        if is_before_next && self.blocks.next == self.blocks.end { Ok(entries) } else { Err(ORDER) }
    }
}

/// The directory in memory, until the blocks before it are written.
pub(super) struct DirectoryWriter<E: Entry> {
    /// Pages with room for their checksums.
    pub(super) bytes: Vec<u8>,
    pub(super) entries: u64,
    /// Their offsets count from the start of the directory until it is known.
    pages: Vec<Page>,
    /// `None` where a page ends.
    open: Option<(E::Before, Blocks)>,
    step: i64,
}

impl<E: Entry> DirectoryWriter<E> {
    /// An empty directory of chunks whose times are multiples of `step` ms.
    pub(super) fn new(step: i64) -> Self {
        Self { bytes: Vec::new(), entries: 0, pages: Vec::new(), open: None, step }
    }

    /// Adds a chunk whose first new block, if it has one, is at `next_block`.
    pub(super) fn put(&mut self, entry: &E, next_block: u64) {
        let (before, blocks) = self.open.get_or_insert_with(|| {
            let first = (entry.series(), entry.times().0);
            self.pages.push(Page { first, offset: self.bytes.len() as u64, len: 0, blocks: next_block });
            (E::before(first, self.step), Blocks { next: next_block, end: u64::MAX })
        });
        entry.encode(before, blocks, &mut self.bytes);
        self.entries += 1;
        let start = self.pages.last().map_or(0, |page| page.offset);
        if self.bytes.len() as u64 - start >= E::PAGE_BYTES as u64 {
            self.close_page();
        }
    }

    fn close_page(&mut self) {
        if self.open.take().is_some() {
            self.bytes.extend([0; CHECKSUM_BYTES]);
            let page = self.pages.last_mut().expect("a page that is closed was opened");
            page.len = self.bytes.len() - usize::try_from(page.offset).expect("the directory fits memory");
        }
    }

    /// Closes the last page and sums all of them, now that the directory's offset is known.
    pub(super) fn finish(&mut self, directory: u64, checksum: impl Fn(u64, &[u8]) -> u32) -> Vec<Page> {
        self.close_page();
        let mut pages = std::mem::take(&mut self.pages);
        let mut rest = &mut self.bytes[..];
        for page in &mut pages {
            let (bytes, behind) = rest.split_at_mut(page.len);
            let (content, sum) = bytes.split_at_mut(page.len - CHECKSUM_BYTES);
            page.offset += directory;
            sum.copy_from_slice(&checksum(page.offset, content).to_le_bytes());
            rest = behind;
        }
        pages
    }
}
