//! Ebbtide is an embedded time-series storage engine for metrics that expire.
//!
//! Points are keyed by namespace, metric, dimensions and time. Every point carries its own time to live. What was
//! acknowledged is on stable storage and survives `kill -9` and power cuts; what is read back is exactly what was
//! written.
//!
//! # It is
//! - **Embedded and synchronous**: a library without an async runtime and without unsafe code.
//! - **Durable by default**: a write returns after its sync; concurrent writers share one ([`Durability`]).
//! - **Exact**: 64-bit integers and doubles keep every bit; expiry is exact to the millisecond.
//! - **Aggregating**: windows say what all points said, long after those have expired ([`Db::windows`],
//!   [`Builder::retention`]).
//! - **Atomic**: a batch is stored whole or not at all, and becomes visible at one moment.
//!
//! # It is not
//! - a query language, a cluster, or a store for strings and logs;
//! - shared between processes: one process owns a directory;
//! - fit for network file systems, whose locks and syncs it cannot trust.
//!
//! # Example
//! ```
//! use ebbtide::{Db, Point, SeriesKey, TimeRange, Timestamp, Ttl, WriteBatch};
//!
//! let db = Db::in_memory(); // or `Db::open("some/directory")?`
//! let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("instance_id", "33328f02")])?;
//!
//! let now = Timestamp::from_millis(1_795_281_677_579);
//! let mut batch = WriteBatch::new();
//! batch.push(cpu.clone(), Point::new(now, 60).with_ttl(Ttl::NEVER).with_unit("%"));
//! batch.push(cpu.clone(), Point::new(now + std::time::Duration::from_secs(10), 70));
//! let receipt = db.write(&batch)?;
//! assert_eq!(receipt.stored, 2);
//!
//! let values: Vec<_> = db.points(&cpu, TimeRange::ALL)?.collect::<Result<_, _>>()?;
//! assert_eq!(values.len(), 2);
//! # Ok::<(), ebbtide::Error>(())
//! ```
//!
//! # Limits
//! Every maximum stands in [`limits`] with its reason. Past a bound a call is refused with a typed [`Error`] and what
//! is stored stays unharmed.
//!
//! # Features
//! None by default. `server` adds the HTTP face and the command line `ebbtide`.

/// The program in README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

mod backup;
mod builder;
mod catalog;
mod codec;
mod db;
mod engine;
mod env;
mod error;
mod head;
mod manifest;
mod model;
mod policy;
mod segment;
#[cfg(feature = "server")]
pub mod server;
mod wal;

pub use backup::{Backup, Backups};
pub use builder::Builder;
pub use db::{Db, Points};
pub use engine::explain::{Explanation, Outcome};
pub use engine::health::Health;
pub use engine::recovery::Recovery;
pub use engine::settings::Maintenance;
pub use engine::stats::Stats;
pub use engine::verify_rollups::RollupReport;
pub use env::clock::{Clock, ManualClock, SystemClock};
pub use error::{Error, ErrorKind, Result};
pub use model::aggregate::{Aggregate, Group};
pub use model::batch::{Receipt, WriteBatch};
pub use model::columns::{Columns, Latest};
pub use model::durability::{Durability, Sequence};
pub use model::limits;
pub use model::point::{Point, Unit, Value};
pub use model::rollup::Late;
pub use model::selector::{Order, Selector, SeriesPage};
pub use model::series::{Dimension, SeriesKey};
pub use model::summary::Number;
pub use model::time::{TimeRange, Timestamp, Ttl};
pub use model::window::{Window, WindowState};
pub use model::windows::{Fill, Function, Values, Windows};
pub use policy::named::BackupPolicy;
pub use policy::retention::{Keep, Retention};
pub use policy::schedule::{Days, Due, Schedule, WeekDay, Zone};
