//! Fresh ids from the operating system's randomness.

use uuid::Uuid;

/// A new random id (UUID version 4), as its 16 bytes.
pub(crate) fn new_id() -> [u8; 16] {
    *Uuid::new_v4().as_bytes()
}

/// How an id is shown and named in paths: lower-case hex in five groups.
pub(crate) fn show(id: [u8; 16]) -> String {
    Uuid::from_bytes(id).hyphenated().to_string()
}
