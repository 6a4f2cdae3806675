//! POLICIES: the book of a project in two files, which take turns, so that the generation before the last one is there
//! if the last one cannot be read. Format: docs/format.md, POLICIES.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::Malformed;
use crate::codec::checksum;
use crate::codec::policies::{KeptBackupV1, PoliciesV1, PolicyV1, VolumeV1};
use crate::env::disk::{Disk, replace};
use crate::env::layout::POLICIES;
use crate::error::{Error, ErrorKind, Result};
use crate::model::time::Timestamp;
use crate::policy::book::{BACKUPS_MAX, Backup, Book, POLICIES_MAX, Policy, TAGS_MAX, VOLUMES_MAX, Volume};
use crate::policy::retention::{Keep, Retention};
use crate::policy::schedule::{Days, Schedule, WeekDay, Zone};

const MAGIC: [u8; 8] = *b"EBBTIDE\0";
const VERSION: u16 = 1;
/// Kind of file: POLICIES.
const KIND: u16 = 7;
/// Magic, version, kind, checksum and generation.
const HEADER_BYTES: usize = 24;
/// Longest file: the most of everything with the longest texts is less.
const BYTES_MAX: u64 = 16 << 20;

/// The writing end of POLICIES.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    disk: Arc<dyn Disk>,
    paths: [PathBuf; 2],
    generation: u64,
}

/// What was found in the two files.
#[derive(Debug)]
pub(crate) struct Found {
    /// None where nothing has been written yet, or nothing of it can be read.
    pub(crate) book: Option<Book>,
    /// What is wrong: then the book may not be the last one, and nothing should be removed because of what it says.
    pub(crate) damage: Vec<String>,
}

impl PolicyFile {
    /// Reads what is there. The folder may not be there yet; then nothing is.
    ///
    /// # Errors
    /// `Unsupported` for a newer format; `Io` when a file cannot be read.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Self, Found)> {
        let paths = POLICIES.map(|name| dir.join(name));
        let (mut newest, mut damage, mut there) = (None::<(u64, Book)>, Vec::new(), 0);
        for path in &paths {
            let bytes = match disk.read(path, BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(format_args!("read {}", path.display()), error)),
            };
            there += 1;
            match decode(&bytes) {
                Ok(found) => newest = newest.filter(|(generation, _)| *generation > found.0).or(Some(found)),
                Err(Unread::Newer(version)) => {
                    let why = format!("{} is of format {version}, this version knows {VERSION}", path.display());
                    return Err(Error::new(ErrorKind::Unsupported, why));
                }
                Err(Unread::Damaged(why)) => damage.push(format!("{}: {why}", path.display())),
            }
        }
        let generation = newest.as_ref().map_or(0, |(generation, _)| *generation);
        if there == 1 && generation != 1 && damage.is_empty() {
            damage.push(format!("{}: one of the two files of policies is missing", dir.display()));
        }
        Ok((Self { disk, paths, generation }, Found { book: newest.map(|(_, book)| book), damage }))
    }

    /// Makes a book the one that is found from now on, durably. The folder has to be there.
    ///
    /// # Errors
    /// `NoSpace` and `Io` as the system has it: the book before is still there.
    pub(crate) fn save(&mut self, book: &Book) -> Result<()> {
        let generation = self.generation + 1;
        let path = &self.paths[usize::from(!generation.is_multiple_of(2))];
        replace(&*self.disk, path, &encode(generation, book))
            .map_err(|error| Error::io(format_args!("write {}", path.display()), error))?;
        self.generation = generation;
        Ok(())
    }
}

/// Why a file says nothing.
enum Unread {
    Newer(u16),
    Damaged(&'static str),
}

impl From<Malformed> for Unread {
    fn from(malformed: Malformed) -> Self {
        Self::Damaged(malformed.0)
    }
}

fn encode(generation: u64, book: &Book) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(KIND.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(generation.to_le_bytes());
    bytes.extend(record(book).encode());
    let checksum = checksum::of(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> std::result::Result<(u64, Book), Unread> {
    let header = bytes.split_first_chunk::<HEADER_BYTES>().filter(|(header, _)| header[..8] == MAGIC);
    let (header, record) = header.ok_or(Unread::Damaged("it does not start like a file of policies"))?;
    let mut unsealed = bytes.to_vec();
    unsealed[12..16].fill(0);
    if checksum::of(&unsealed).to_le_bytes() != header[12..16] {
        return Err(Unread::Damaged("its checksum is another one"));
    }
    match u16::from_le_bytes([header[8], header[9]]) {
        VERSION if header[10..12] == KIND.to_le_bytes() => {}
        VERSION => return Err(Unread::Damaged("it is another kind of file")),
        newer => return Err(Unread::Newer(newer)),
    }
    let (_, generation) = header.split_last_chunk().expect("the header is longer");
    Ok((u64::from_le_bytes(*generation), book(PoliciesV1::decode(record)?)?))
}

fn record(book: &Book) -> PoliciesV1 {
    PoliciesV1 {
        policies: book.policies.iter().map(policy_record).collect(),
        volumes: book.volumes.iter().map(volume_record).collect(),
        backups: book.backups.iter().map(backup_record).collect(),
    }
}

fn policy_record(policy: &Policy) -> PolicyV1 {
    let Policy { id, name, on, schedule, retention, tags, handled } = policy.clone();
    let (every_days, week_days) = match schedule.days() {
        Days::Every(every) => (*every, 0),
        Days::On(days) => (0, days.iter().fold(0, |bits, day| bits | 1 << *day as u8)),
    };
    let (keep_number, keep_days) = match retention.keep() {
        Keep::Number(number) => (number, 0),
        Keep::Days(days) => (0, days),
    };
    PolicyV1 {
        id,
        name,
        on,
        hours: schedule.hours().iter().fold(0, |bits, hour| bits | 1 << hour),
        every_days,
        week_days,
        zone_minutes: schedule.zone().minutes(),
        keep_number,
        keep_days,
        keep_first_of_month: retention.first_of_month(),
        tags,
        handled: handled.as_millis(),
    }
}

fn volume_record(volume: &Volume) -> VolumeV1 {
    let Volume { id, name, policy } = volume.clone();
    VolumeV1 { id, name, policy }
}

fn backup_record(backup: &Backup) -> KeptBackupV1 {
    let Backup { id, name, description, volume, policy, at, bytes, stored, whole } = backup.clone();
    KeptBackupV1 { id, name, description, volume, policy, at: at.as_millis(), bytes, stored, whole }
}

/// The book, if the record can be true.
fn book(record: PoliciesV1) -> std::result::Result<Book, Malformed> {
    let PoliciesV1 { policies, volumes, backups } = record;
    let is_bounded = (1..=POLICIES_MAX + 1).contains(&policies.len())
        && volumes.len() <= VOLUMES_MAX
        && backups.len() <= BACKUPS_MAX
        && policies.iter().all(|policy| policy.tags.len() <= TAGS_MAX);
    if !is_bounded {
        return Err(Malformed("it lists more than there can be, or no policy"));
    }
    Ok(Book {
        policies: policies.into_iter().map(policy).collect::<std::result::Result<_, _>>()?,
        volumes: volumes.into_iter().map(|VolumeV1 { id, name, policy }| Volume { id, name, policy }).collect(),
        backups: backups.into_iter().map(backup).collect(),
    })
}

fn policy(record: PolicyV1) -> std::result::Result<Policy, Malformed> {
    let bits = |bits: u32, count: u8| (0..count).filter(move |bit| bits >> bit & 1 == 1);
    let days = match record.every_days {
        0 => Days::On(bits(record.week_days.into(), 7).map(|day| WeekDay::ALL[usize::from(day)]).collect()),
        every => Days::Every(every),
    };
    let keep = match record.keep_number {
        0 => Keep::Days(record.keep_days),
        number => Keep::Number(number),
    };
    let zone = Zone::east_of_utc(record.zone_minutes).map_err(|_| Malformed("a zone is out of range"))?;
    let schedule = Schedule::new(bits(record.hours, 32), days, zone);
    Ok(Policy {
        id: record.id,
        name: record.name,
        on: record.on,
        schedule: schedule.map_err(|_| Malformed("a schedule never runs"))?,
        retention: Retention::new(keep, record.keep_first_of_month)
            .map_err(|_| Malformed("a retention is out of range"))?,
        tags: record.tags,
        handled: Timestamp::from_millis(record.handled),
    })
}

fn backup(record: KeptBackupV1) -> Backup {
    let KeptBackupV1 { id, name, description, volume, policy, at, bytes, stored, whole } = record;
    Backup { id, name, description, volume, policy, at: Timestamp::from_millis(at), bytes, stored, whole }
}

#[cfg(test)]
mod tests;
