//! The record of what POLICIES says, as control records are (see `codec::record`). Says nothing of what the fields mean
//! to whoever runs policies.

use serde::{Deserialize, Serialize};

use crate::codec::Malformed;
use crate::codec::record::{decode, encode};

/// What a project says of its volumes and their backups: the content of POLICIES.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct PoliciesV1 {
    /// The default policy comes first.
    pub(crate) policies: Vec<PolicyV1>,
    pub(crate) volumes: Vec<VolumeV1>,
    pub(crate) backups: Vec<KeptBackupV1>,
}

/// One policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyV1 {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whether it runs by itself.
    pub(crate) on: bool,
    /// Hours of UTC, as bits from 0 on.
    pub(crate) hours: u32,
    /// Every so many days counted from the first of the month; 0 where days of the week are told.
    pub(crate) every_days: u8,
    /// Days of the week, as bits from Sunday on.
    pub(crate) week_days: u8,
    /// By how many minutes its days are ahead of those of UTC.
    pub(crate) zone_minutes: i16,
    /// Most backups of a volume; 0 where days are told.
    pub(crate) keep_number: u16,
    pub(crate) keep_days: u32,
    pub(crate) keep_first_of_month: bool,
    pub(crate) tags: Vec<(String, String)>,
    /// Runs up to this moment were seen to, in ms since 1970.
    pub(crate) handled: i64,
}

/// One volume that is known, and the policy it is associated with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct VolumeV1 {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) policy: Option<String>,
}

/// One backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct KeptBackupV1 {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) volume: String,
    /// The policy that has made it.
    pub(crate) policy: Option<String>,
    /// In ms since 1970.
    pub(crate) at: i64,
    pub(crate) bytes: u64,
    /// Whether it is a folder of its own; a volume without a database has nothing to store.
    pub(crate) stored: bool,
    /// Whether it has come to its end.
    pub(crate) whole: bool,
}

impl PoliciesV1 {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_policies() {
        // Goal: the bytes on disk never change, whatever crate writes them.
        let text = |text: &str| text.to_owned();
        let record = PoliciesV1 {
            policies: vec![PolicyV1 {
                id: text("p"),
                name: text("n"),
                on: true,
                hours: 5,
                every_days: 1,
                week_days: 2,
                zone_minutes: -60,
                keep_number: 3,
                keep_days: 4,
                keep_first_of_month: true,
                tags: vec![(text("k"), text("v"))],
                handled: -1,
            }],
            volumes: vec![VolumeV1 { id: text("v"), name: text(""), policy: Some(text("p")) }],
            backups: vec![KeptBackupV1 {
                id: text("b"),
                name: text("m"),
                description: text(""),
                volume: text("v"),
                policy: None,
                at: 6,
                bytes: 7,
                stored: true,
                whole: true,
            }],
        };
        let mut golden = b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0p\x01\0\0\0\0\0\0\0n\x01\x05\0\0\0\x01\x02".to_vec();
        golden.extend(b"\xc4\xff\x03\0\x04\0\0\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0k\x01\0\0\0\0\0\0\0v");
        golden.extend(b"\xff\xff\xff\xff\xff\xff\xff\xff");
        golden.extend(b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0v\0\0\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0p");
        golden.extend(b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0b\x01\0\0\0\0\0\0\0m\0\0\0\0\0\0\0\0");
        golden.extend(b"\x01\0\0\0\0\0\0\0v\0\x06\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01\x01");
        assert_eq!(record.encode(), golden);
        assert_eq!(PoliciesV1::decode(&golden), Ok(record));
        assert!(PoliciesV1::decode(&golden[..golden.len() - 1]).is_err());
        golden.push(0);
        assert!(PoliciesV1::decode(&golden).is_err());
    }
}
