//! The rules of the published pages, one row for each (at least): a request that the rule decides about, and what each
//! profile answers. `ebbtide rules` prints the same rules with their sources.

mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use ebbtide::server::{Profile, Rule, Server as LocalServer, ServerConfig};
use ebbtide::{ManualClock, Timestamp};

use self::rows::ROWS;
use crate::harness::{Client, Server, run};

/// The moment at which the clock of these tests stands.
const NOW: i64 = 1_795_281_677_579;

const PROFILES: [Profile; 3] = [Profile::Document, Profile::Current, Profile::Lab];

/// A request and what it is answered, as status and a piece of the answer.
struct Row {
    rule: &'static str,
    /// What is asked for, in a few words.
    request: &'static str,
    ask: fn(Client) -> Answer,
    /// In `document`, `current` and `lab`.
    answers: [(u16, &'static str); 3],
    /// A value that no profile has, and the answer then.
    switched: Option<(&'static str, (u16, &'static str))>,
}

/// Status, and the text of the answer.
type Answer = (u16, String);

fn start(profile: Profile, switched: Option<(&str, &str)>) -> (LocalServer, Client) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW)));
    let local = "127.0.0.1:0".parse().expect("an address");
    let mut config = ServerConfig::in_memory().listen(local).clock(clock).profile(profile);
    if let Some((rule, value)) = switched {
        config = config.rule(rule, value).expect("the rule takes it");
    }
    let server = config.start().expect("starts");
    let client = Client::new(server.local_addr());
    (server, client)
}

fn expect(row: &Row, profile: Profile, switched: Option<(&str, &str)>, (status, fragment): (u16, &str)) {
    let rule = Rule::all().iter().find(|rule| rule.id() == row.rule).expect("a row is about a rule");
    let place = format!("{} ({}), {} in {profile} with {switched:?}", row.rule, rule.source(), row.request);
    let (server, client) = start(profile, switched);
    let (found, text) = (row.ask)(client);
    assert_eq!(found, status, "{place}: {text}");
    assert!(text.contains(fragment), "{place}: {text} lacks {fragment}");
    server.stop().expect("closes");
}

#[test]
fn every_rule_decides_in_each_profile_as_the_table_says() {
    // Method: every row, in every profile.
    for row in ROWS {
        for (profile, answer) in PROFILES.into_iter().zip(row.answers) {
            expect(row, profile, None, answer);
        }
    }
}

#[test]
fn every_rule_is_switched_by_itself() {
    // Goal: a rule of another profile, or of none, is answered as there, whatever the profile. Method: every row whose
    // rule differs, in each profile with the value of each other one; and the row's own value.
    for row in ROWS {
        let rule = Rule::all().iter().find(|rule| rule.id() == row.rule).expect("a row is about a rule");
        for profile in PROFILES {
            for (other, answer) in PROFILES.into_iter().zip(row.answers) {
                if rule.value(profile) != rule.value(other) {
                    expect(row, profile, Some((row.rule, rule.value(other))), answer);
                }
            }
        }
        if let Some((value, answer)) = row.switched {
            expect(row, Profile::Document, Some((row.rule, value)), answer);
        }
    }
}

#[test]
fn every_rule_has_a_row_that_shows_it_decide() {
    // Goal: no rule is printed that nothing follows. Method: each has a request that is answered in two ways.
    for rule in Rule::all() {
        let shows = |row: &&Row| {
            let answers = row.answers.into_iter().chain(row.switched.map(|(_, answer)| answer));
            answers.collect::<BTreeSet<(u16, &str)>>().len() > 1
        };
        assert!(ROWS.iter().filter(|row| row.rule == rule.id()).any(|row| shows(&row)), "{}", rule.id());
    }
}

#[test]
fn the_command_line_prints_rules_and_switches_them() {
    // Goal: what is printed has everything of every rule, and is what `serve` takes.
    let printed = run(&["rules"]);
    assert_eq!(printed.status.code(), Some(0));
    let text = String::from_utf8(printed.stdout).expect("UTF-8");
    let mut lines = text.lines();
    for rule in Rule::all() {
        assert_eq!(lines.next(), Some(&*format!("{} ({})", rule.id(), rule.takes())));
        assert_eq!(lines.next(), Some(&*format!("  {}", rule.statement())));
        let [document, current, lab] = PROFILES.map(|profile| rule.value(profile));
        assert_eq!(lines.next(), Some(&*format!("  document {document}, current {current}, lab {lab}")));
        assert_eq!(lines.next(), Some(&*format!("  source: {}", rule.source())));
    }
    assert_eq!(lines.next(), None);
    for wrong in ["ttl", "ttl=x", "nothing=1", "=1"] {
        let refused = run(&["serve", "--memory", "--listen", "127.0.0.1:0", "--rule", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
    }
    let server = Server::start(&["--memory", "--rule", "alarm-quota=7", "--rule", "time-past=none"]);
    assert!(server.get("/V1.0/p/quotas").text().contains("\"quota\":7,"));
    assert!(rows::post_at(server.client(), 0).0 == 201);
}
