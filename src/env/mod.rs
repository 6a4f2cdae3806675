//! The world: disks, clocks, locks and fresh ids. The only floor that touches the operating system.

pub(crate) mod clock;
#[cfg(test)]
pub(crate) mod dice;
pub(crate) mod disk;
#[cfg(test)]
pub(crate) mod faulty;
pub(crate) mod identity;
pub(crate) mod layout;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod real;
