//! The events that were reported, in memory and within bounds. They are no series, and no database knows them: with the
//! server they are gone.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use super::datapoints::Text;
use super::error::{Code, Refusal};
use super::events::Event;
use super::json::json;
use crate::server::projects::ProjectId;

/// Most events of all projects together. Of more, those that came first are forgotten.
const EVENTS_MAX: usize = 10_000;

/// The same in bytes.
const BYTES_MAX: usize = 16 << 20;

/// Memory of an event apart from its texts, in bytes.
const EVENT_BYTES: usize = 512;

/// The events of all projects.
#[derive(Debug, Default)]
pub(in crate::server) struct Events(Mutex<KeptEvents>);

/// An event and its number.
pub(super) type Numbered<'a> = (u64, &'a Event);

/// Those that are kept, the newest ones.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct KeptEvents {
    /// By their numbers, in the order in which they came.
    events: BTreeMap<u64, (ProjectId, Event)>,
    numbers: HashMap<(ProjectId, Box<str>), u64>,
    next: u64,
    bytes: usize,
}

impl Events {
    /// Everything that is kept at this moment.
    pub(in crate::server) fn copy(&self) -> KeptEvents {
        self.0.lock().clone()
    }

    /// Puts this in place of everything that is kept.
    pub(in crate::server) fn replace(&self, kept: KeptEvents) {
        *self.0.lock() = kept;
    }

    /// Gives `use_them` the events of a project with their numbers, in the order in which they came.
    pub(super) fn with<T>(
        &self,
        project: &ProjectId,
        use_them: impl FnOnce(&mut dyn Iterator<Item = Numbered<'_>>) -> T,
    ) -> T {
        let kept = self.0.lock();
        let of_project = kept.events.iter().filter(|(_, (of, _))| of == project);
        use_them(&mut of_project.map(|(number, (_, event))| (*number, event)))
    }

    /// Keeps what is new, and gives the body of the answer: the same event always has the same id.
    pub(super) fn put(&self, project: &ProjectId, events: Vec<Event>) -> Result<Vec<u8>, Refusal> {
        let mut kept = self.0.lock();
        let mut text = Text::new(too_long);
        for (position, event) in events.into_iter().enumerate() {
            let name = json(&event.name);
            let id = kept.put(project, event);
            let separator = if position == 0 { "[" } else { "," };
            text.put(&format!("{separator}{{\"event_id\":\"{}\",\"event_name\":{name}}}", public_id(id)));
        }
        text.put("]");
        text.into_bytes()
    }
}

/// The id of an event on the wire, as long as the published ones.
pub(super) fn public_id(number: u64) -> String {
    format!("ev{number:022}")
}

impl KeptEvents {
    pub(in crate::server) fn bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, project: &ProjectId, event: Event) -> u64 {
        let key = (project.clone(), event.identity.clone());
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.bytes += bytes(&event);
        self.numbers.insert(key, number);
        self.events.insert(number, (project.clone(), event));
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some((_, (project, event))) = self.events.pop_first() else { break };
            self.bytes -= bytes(&event);
            self.numbers.remove(&(project, event.identity));
        }
        number
    }
}

fn bytes(event: &Event) -> usize {
    EVENT_BYTES + event.text_bytes() + event.identity.len()
}

fn too_long() -> Refusal {
    Refusal::new(Code::Body, "the request has more events than one answer has room for: report them in parts")
}
