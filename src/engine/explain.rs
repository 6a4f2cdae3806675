//! Where one point is, or why it is not there.

use std::fmt;

use crate::engine::Engine;
use crate::engine::cursor::{Cursor, Filter, Source};
use crate::engine::query::Places;
use crate::env::layout;
use crate::error::Error;
use crate::model::durability::Sequence;
use crate::model::packed::{ALWAYS_DEAD, NEVER, PackedPoint};
use crate::model::segment::Role;
use crate::model::series::SeriesKey;
use crate::model::time::{TimeRange, Timestamp};

/// What is known of one series at one millisecond. See [`Db::explain`](crate::Db::explain).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What a read answers, and why.
    pub outcome: Outcome,
    /// Everything that is stored there, what was written last first: one sentence each.
    pub places: Vec<String>,
}

/// What a read of one millisecond answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The point is there.
    Visible,
    /// The last write has expired at this moment; nothing older comes back.
    Expired(Timestamp),
    /// The last write was dead when it was stored. It hides what was there before.
    DeadOnArrival,
    /// It was deleted.
    Deleted,
    /// A file that may hold it cannot be read.
    Quarantined,
    /// Nothing is stored there: nothing was written, or its bytes are gone.
    NeverSeen,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Visible => f.write_str("visible")?,
            Outcome::Expired(at) => write!(f, "expired at {at}")?,
            Outcome::DeadOnArrival => f.write_str("dead when it was stored")?,
            Outcome::Deleted => f.write_str("deleted")?,
            Outcome::Quarantined => f.write_str("a file that may hold it cannot be read")?,
            Outcome::NeverSeen => f.write_str("nothing is stored there")?,
        }
        self.places.iter().try_for_each(|place| write!(f, "\n  {place}"))
    }
}

impl Engine {
    pub(crate) fn explain(&self, key: &SeriesKey, time: Timestamp) -> Explanation {
        let now = self.guard.now();
        let millis = time.as_millis();
        let range = TimeRange::new(time, Timestamp::from_millis(millis.saturating_add(1)));
        // Where, what if that can be read, and the last deletion that was carried out there.
        let mut found: Vec<(String, Option<PackedPoint>, Sequence)> = Vec::new();
        let mut unread = Vec::new();
        let view = self.view.read();
        let Some(id) = view.catalog.id(key) else {
            return Explanation { outcome: Outcome::NeverSeen, places: Vec::new() };
        };
        let deletions = view.deletions.of(id);
        let recent = |head: &crate::head::Head| head.range(id, range).next();
        found.extend(recent(&view.active).map(|point| ("recent".to_owned(), Some(point), view.visible)));
        for frozen in view.frozen.iter().rev() {
            let point = recent(&frozen.head);
            found.extend(point.map(|point| ("on its way to a segment".to_owned(), Some(point), frozen.last)));
        }
        let places = Places::of(&view, id, range, now);
        drop(view);
        let told = |error: &Error| format!("unreadable: {error}");
        for slot in places.slots(id, range) {
            let name = format!("{}/{}", layout::SEGMENTS, layout::segment_name(slot.meta.number, slot.meta.kind()));
            let filter = Filter::new((millis, millis), std::sync::Arc::default());
            let point =
                Source::of(slot, id, filter).map(|source| Cursor::new(source.into_iter().collect()).next().transpose());
            match point.and_then(|point| point) {
                Ok(Some((point, _))) => found.push((name, Some(point), slot.meta.erased)),
                Ok(None) => {}
                // It hides what lies beneath. A plain segment replaces nothing, so it is asked last.
                Err(error) if slot.meta.role == Role::Override => found.push((told(&error), None, slot.meta.erased)),
                Err(error) => unread.push((told(&error), None, slot.meta.erased)),
            }
        }
        found.append(&mut unread);
        let hidden = |erased| deletions.iter().find(|deletion| deletion.hides(erased, millis));
        let last = found.iter().find(|(_, _, erased)| hidden(*erased).is_none());
        let outcome = match last {
            None if found.is_empty() => Outcome::NeverSeen,
            None => Outcome::Deleted,
            Some((_, None, _)) => Outcome::Quarantined,
            Some((_, Some(point), _)) if point.is_visible_at(now) => Outcome::Visible,
            Some((_, Some(point), _)) if point.expires_at == ALWAYS_DEAD => Outcome::DeadOnArrival,
            Some((_, Some(point), _)) => Outcome::Expired(Timestamp::from_millis(point.expires_at)),
        };
        let mut is_newest = true;
        let mut tell = |(name, point, erased): &(String, Option<PackedPoint>, Sequence)| {
            let Some(point) = point else {
                is_newest = false;
                return name.clone();
            };
            let state = match hidden(*erased) {
                Some(deletion) => format!("deleted by batch {}", deletion.sequence),
                None if !std::mem::replace(&mut is_newest, false) => "replaced by what was written later".to_owned(),
                None if point.expires_at == NEVER => "never expires".to_owned(),
                None if point.expires_at == ALWAYS_DEAD => "dead when it was stored".to_owned(),
                None => format!("expires at {} ms", point.expires_at),
            };
            format!("{name}: {state}")
        };
        let places = found.iter().map(&mut tell).collect();
        Explanation { outcome, places }
    }
}
