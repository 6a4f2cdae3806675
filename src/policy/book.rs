//! What one project knows of backups: its policies, its volumes and which policy each of them has, and the backups that
//! there are. Keeps the rules among them (names, counts, one policy for each volume); makes and removes no backup.

use crate::error::{Error, ErrorKind, Result};
use crate::model::time::Timestamp;
use crate::policy::retention::{Keep, Retention};
use crate::policy::schedule::{Days, Due, Schedule, Zone};

/// Most policies of a project beside the default one: what the published page says.
pub(crate) const POLICIES_MAX: usize = 10;

/// Most volumes that a project knows.
pub(crate) const VOLUMES_MAX: usize = 1_000;

/// Most backups of a project.
pub(crate) const BACKUPS_MAX: usize = 10_000;

/// Most tags of a policy: what the published page says.
pub(crate) const TAGS_MAX: usize = 10;

/// The name of the policy that every project has.
pub(crate) const DEFAULT_NAME: &str = "default";

/// One policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whether it runs by itself.
    pub(crate) on: bool,
    pub(crate) schedule: Schedule,
    pub(crate) retention: Retention,
    pub(crate) tags: Vec<(String, String)>,
    /// Runs up to this moment were seen to.
    pub(crate) handled: Timestamp,
}

/// One volume: the project's own, or one that was declared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The one policy that it is associated with.
    pub(crate) policy: Option<String>,
}

/// One backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Backup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) volume: String,
    /// The policy that has made it, which alone may remove it by itself.
    pub(crate) policy: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) bytes: u64,
    /// Whether it is a folder of its own; a volume without a database has nothing to store.
    pub(crate) stored: bool,
    /// Whether it has come to its end; one that has failed is not in the book.
    pub(crate) whole: bool,
}

/// All of it. The default policy comes first and is always there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Book {
    pub(crate) policies: Vec<Policy>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) backups: Vec<Backup>,
}

impl Book {
    /// A book with nothing but a default policy that does not run, and the project's own volume.
    pub(crate) fn new(default_policy: String, own_volume: String, now: Timestamp) -> Self {
        let schedule = Schedule::new([0], Days::Every(1), Zone::UTC).expect("midnight of each day is a schedule");
        let retention = Retention::new(Keep::Number(7), false).expect("seven backups can be kept");
        let name = DEFAULT_NAME.to_owned();
        let policy =
            Policy { id: default_policy, name, on: false, schedule, retention, tags: Vec::new(), handled: now };
        let volume = Volume { id: own_volume, name: "own".to_owned(), policy: None };
        Self { policies: vec![policy], volumes: vec![volume], backups: Vec::new() }
    }

    pub(crate) fn policy(&self, id: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.id == id)
    }

    pub(crate) fn policy_mut(&mut self, id: &str) -> Option<&mut Policy> {
        self.policies.iter_mut().find(|policy| policy.id == id)
    }

    /// Whether this is the policy that every project has.
    pub(crate) fn is_default(&self, id: &str) -> bool {
        self.policies.first().is_some_and(|policy| policy.id == id)
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// `Overloaded` when there are as many as there may be.
    pub(crate) fn add(&mut self, policy: Policy) -> Result<()> {
        if self.policies.len() > POLICIES_MAX {
            let why = format!("there are {POLICIES_MAX} backup policies, which is the most");
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
        self.policies.push(policy);
        Ok(())
    }

    /// Removes a policy and its associations. What it has made stays, and is nobody's to remove by itself any more.
    pub(crate) fn remove(&mut self, id: &str) {
        self.policies.retain(|policy| policy.id != id);
        for volume in &mut self.volumes {
            volume.policy.take_if(|policy| policy == id);
        }
    }

    /// Makes a volume known.
    ///
    /// # Errors
    /// `Overloaded` when as many are known as may be.
    pub(crate) fn declare(&mut self, id: &str, name: &str) -> Result<()> {
        if self.volume(id).is_some() {
            return Ok(());
        }
        if self.volumes.len() >= VOLUMES_MAX {
            let why = format!("{VOLUMES_MAX} volumes are known, which is the most");
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
        self.volumes.push(Volume { id: id.to_owned(), name: name.to_owned(), policy: None });
        Ok(())
    }

    pub(crate) fn volume(&self, id: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.id == id)
    }

    /// Associates a volume with a policy, and with no other one any more; whether there is such a volume.
    pub(crate) fn associate(&mut self, volume: &str, policy: Option<&str>) -> bool {
        let found = self.volumes.iter_mut().find(|each| each.id == volume);
        found.map(|volume| volume.policy = policy.map(str::to_owned)).is_some()
    }

    /// The volumes of a policy, in the order in which they became known.
    pub(crate) fn volumes_of<'a>(&'a self, policy: &'a str) -> impl Iterator<Item = &'a Volume> {
        self.volumes.iter().filter(move |volume| volume.policy.as_deref() == Some(policy))
    }

    pub(crate) fn backup(&self, id: &str) -> Option<&Backup> {
        self.backups.iter().find(|backup| backup.id == id)
    }

    pub(crate) fn backup_mut(&mut self, id: &str) -> Option<&mut Backup> {
        self.backups.iter_mut().find(|backup| backup.id == id)
    }

    /// Adds a backup.
    ///
    /// # Errors
    /// `Overloaded` when there are as many as there may be.
    pub(crate) fn add_backup(&mut self, backup: Backup) -> Result<()> {
        if self.backups.len() >= BACKUPS_MAX {
            let why = format!("there are {BACKUPS_MAX} backups, which is the most: remove some");
            return Err(Error::new(ErrorKind::Overloaded, why));
        }
        self.backups.push(backup);
        Ok(())
    }

    /// The moment of the next run of all, if there is one.
    pub(crate) fn next_run(&self) -> Option<Timestamp> {
        let running = self.policies.iter().filter(|policy| self.runs(policy));
        running.map(|policy| policy.schedule.next_after(policy.handled)).min()
    }

    /// The policies that should have run by now, in the order of time.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<(String, Due)> {
        let running = self.policies.iter().filter(|policy| self.runs(policy));
        let mut due: Vec<_> =
            running.filter_map(|policy| Some((policy.id.clone(), policy.schedule.due(policy.handled, now)?))).collect();
        due.sort_by_key(|(_, due)| due.at);
        due
    }

    /// Whether a policy runs by itself, and has something to do.
    fn runs(&self, policy: &Policy) -> bool {
        policy.on && self.volumes_of(&policy.id).next().is_some()
    }

    /// Ids of what a policy has made of a volume and does not keep any more.
    pub(crate) fn expired(&self, policy: &Policy, volume: &str, now: Timestamp) -> Vec<String> {
        let is_its_own =
            |backup: &&Backup| backup.volume == volume && backup.policy.as_deref() == Some(&policy.id) && backup.whole;
        let mut own: Vec<&Backup> = self.backups.iter().filter(is_its_own).collect();
        own.sort_by_key(|backup| backup.at);
        let times: Vec<Timestamp> = own.iter().map(|backup| backup.at).collect();
        let expired = policy.retention.expired(&times, policy.schedule.zone(), now);
        expired.into_iter().map(|place| own[place].id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn policy(id: &str) -> Policy {
        Policy {
            id: id.to_owned(),
            name: id.to_owned(),
            on: true,
            ..Book::new(String::new(), String::new(), NOW).policies[0].clone()
        }
    }

    fn backup(id: &str, policy: Option<&str>, at: i64) -> Backup {
        Backup {
            id: id.to_owned(),
            name: id.to_owned(),
            description: String::new(),
            volume: "v".to_owned(),
            policy: policy.map(str::to_owned),
            at: Timestamp::from_secs(at),
            bytes: 0,
            stored: true,
            whole: true,
        }
    }

    #[test]
    fn a_volume_has_one_policy_at_most_and_loses_it_with_the_policy() {
        let mut book = Book::new("d".into(), "v".into(), NOW);
        book.add(policy("a")).expect("room");
        book.add(policy("b")).expect("room");
        assert!(book.associate("v", Some("a")) && book.associate("v", Some("b")));
        assert!(!book.associate("w", Some("a")), "it is not known");
        let count = |book: &Book, policy: &str| book.volumes_of(policy).count();
        assert_eq!((count(&book, "a"), count(&book, "b")), (0, 1));
        book.remove("b");
        assert_eq!(book.volume("v").expect("stays").policy, None);
        assert!(book.is_default("d") && !book.is_default("a"));
    }

    #[test]
    fn a_policy_removes_nothing_but_its_own() {
        // Goal: manual backups, those of other policies and unfinished ones stay. Method: one of each, older than all.
        let mut book = Book::new("d".into(), "v".into(), NOW);
        let keep = Retention::new(Keep::Number(1), false).expect("in range");
        let own = Policy { retention: keep, ..policy("a") };
        book.add(own.clone()).expect("room");
        let unfinished = Backup { whole: false, ..backup("unfinished", Some("a"), 1) };
        let elsewhere = Backup { volume: "w".into(), ..backup("elsewhere", Some("a"), 1) };
        let others = [backup("manual", None, 1), backup("other", Some("b"), 1), unfinished, elsewhere];
        // Not in the order of time.
        let all = others.into_iter().chain([backup("new", Some("a"), 5), backup("old", Some("a"), 2)]);
        all.for_each(|backup| book.add_backup(backup).expect("room"));
        assert_eq!(book.expired(&own, "v", NOW), ["old"]);
    }

    #[test]
    fn counts_have_an_end() {
        let mut book = Book::new("d".into(), "v".into(), NOW);
        for number in 0..POLICIES_MAX {
            book.add(policy(&number.to_string())).expect("room");
        }
        assert_eq!(book.add(policy("more")).expect_err("too many").kind(), ErrorKind::Overloaded);
        for number in 1..VOLUMES_MAX {
            book.declare(&number.to_string(), "").expect("room");
        }
        book.declare("v", "").expect("is known");
        assert_eq!(book.declare("more", "").expect_err("too many").kind(), ErrorKind::Overloaded);
        assert_eq!(book.volumes.len(), VOLUMES_MAX);
    }

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_only_if_there_is_something_to_do() {
        let mut book = Book::new("d".into(), "v".into(), NOW);
        let at = |hour| Schedule::new([hour], Days::Every(1), Zone::UTC).expect("a schedule");
        book.add(Policy { schedule: at(20), ..policy("late") }).expect("room");
        book.add(Policy { schedule: at(10), ..policy("early") }).expect("room");
        let day_later = NOW + std::time::Duration::from_secs(86_400);
        assert_eq!((book.next_run(), book.due(day_later)), (None, Vec::new()), "no volume");
        book.associate("v", Some("late"));
        book.declare("w", "").expect("room");
        book.associate("w", Some("early"));
        // NOW is 13:46:40 of its day.
        let evening = Timestamp::from_secs(950_400 + 20 * 3_600);
        assert_eq!(book.next_run(), Some(evening));
        let due: Vec<String> = book.due(day_later).into_iter().map(|(policy, _)| policy).collect();
        assert_eq!(due, ["late", "early"]);
        book.policy_mut("late").expect("there").on = false;
        assert_eq!(book.due(day_later).len(), 1);
    }
}
