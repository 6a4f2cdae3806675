//! The memory of answers: each one is counted from before it is built until its client has taken it. Knows nothing of
//! what an answer says.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::{Code, Refusal};

/// Most memory for answers that are being built or sent, in KiB: ten (of windows three) are built at a time, and 32 of the longest or
/// thousands of ordinary ones can wait for their clients.
const ROOM_KIB: usize = 256 << 10;

/// Longest answer, in bytes.
pub(in crate::server) const ANSWER_BYTES_MAX: usize = 8 << 20;

/// The room that an answer of points takes while it is built, in KiB: its points, its text, and the text's room to grow.
pub(in crate::server) const BUILDING_KIB: u32 = 24 << 10;

/// The same of an answer of windows, each of which takes some 500 bytes on its way from the store, or of many series,
/// whose points wait for one another.
pub(super) const BUILDING_WINDOWS_KIB: u32 = 72 << 10;

/// Longest wait for room: answers are built in milliseconds, so a longer one means that slow clients hold it.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Memory that answers may take, counted in KiB.
#[derive(Clone, Debug)]
pub(in crate::server) struct AnswerRoom(Arc<Semaphore>);

impl Default for AnswerRoom {
    fn default() -> Self {
        Self::of_kib(ROOM_KIB)
    }
}

impl AnswerRoom {
    pub(in crate::server) fn of_kib(kib: usize) -> Self {
        Self(Arc::new(Semaphore::new(kib)))
    }

    /// Room to build an answer; refused when there is none for a while.
    pub(in crate::server) async fn reserve(&self, kib: u32) -> Result<OwnedSemaphorePermit, Refusal> {
        match timeout(WAIT_MAX, Arc::clone(&self.0).acquire_many_owned(kib)).await {
            Ok(room) => Ok(room.expect("nobody closes the semaphore")),
            Err(_elapsed) => Err(Refusal::new(Code::Busy, "too many answers wait for their clients")),
        }
    }
}

/// An answer with the room that it takes.
pub(in crate::server) struct Answer {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl Answer {
    /// Gives back the room that the answer did not need.
    pub(in crate::server) fn new(mut bytes: Vec<u8>, mut room: OwnedSemaphorePermit) -> Self {
        bytes.shrink_to_fit();
        let needed = bytes.len().div_ceil(1 << 10).min(room.num_permits());
        drop(room.split(room.num_permits() - needed));
        Self { bytes, _room: room }
    }

    /// The body of a response: its room is free again when the last byte is on its way.
    pub(in crate::server) fn into_body(self) -> Body {
        Bytes::from_owner(self).into()
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_its_room_until_it_is_gone() {
        // Goal: what slow clients have not taken counts. Method: room to build one and a little more.
        let room = AnswerRoom::of_kib(BUILDING_KIB as usize + 10);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let reserved = runtime.block_on(room.reserve(BUILDING_KIB)).expect("there is room");
        assert_eq!(room.0.available_permits(), 10);
        let refused = runtime.block_on(room.reserve(BUILDING_KIB)).expect_err("no room for another");
        assert!(refused.to_string().starts_with("ces.0020 "), "{refused}");
        let body = Answer::new(vec![b'x'; 2_049], reserved).into_body();
        assert_eq!(room.0.available_permits(), BUILDING_KIB as usize + 10 - 3, "what is not needed is given back");
        drop(body);
        assert_eq!(room.0.available_permits(), BUILDING_KIB as usize + 10);
    }
}
