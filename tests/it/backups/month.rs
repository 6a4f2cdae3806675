//! A month goes by under a clock that is moved by hand. Goal: at its end the right backups are there, by name and time,
//! and a second run gives the same. Method: five schedules in one server, and every run of the month written down.

use std::time::Duration;

use ebbtide::server::{MockServer, ServerConfig};
use ebbtide::{Point, SeriesKey, Timestamp};
use serde_json::{Value, json};

use super::{associate, backups, create, own_volume, tasks};
use crate::harness::Client;

/// 2026-11-30T12:00:00Z, a Monday.
const START: Timestamp = Timestamp::from_secs(20_787 * 86_400 + 43_200);

/// A policy, the days and hours of December (from the first on, in UTC) whose backups are there at its end, and how many
/// runs there were.
struct Case {
    schedule: Value,
    zone: &'static str,
    left: &'static [(u8, u8)],
    runs: usize,
}

fn cases() -> [Case; 5] {
    let case = |schedule, zone, left, runs| Case { schedule, zone, left, runs };
    [
        // Every day at three, the last three.
        case(
            json!({ "frequency": 1, "start_time": "03:00", "rentention_num": 3, "remain_first_backup_of_curMonth": "N" }),
            "UTC+00:00",
            &[(29, 3), (30, 3), (31, 3)],
            31,
        ),
        // Every ten days from the first on, the last two and the first of the month.
        case(
            json!({ "frequency": 10, "start_time": "00:00", "rentention_num": 2, "remain_first_backup_of_curMonth": "Y" }),
            "UTC+00:00",
            &[(1, 0), (21, 0), (31, 0)],
            4,
        ),
        // Twice on weekends, for five days, and the first of the month.
        case(
            json!({ "week_frequency": ["SAT", "SUN"], "start_time": "06:00,18:00", "rentention_day": 5,
                    "remain_first_backup_of_curMonth": "Y" }),
            "UTC+00:00",
            &[(5, 6), (26, 6), (26, 18), (27, 6), (27, 18)],
            16,
        ),
        // On Mondays there, which begin on Sundays in UTC.
        case(
            json!({ "week_frequency": ["MON"], "start_time": "22:00,04:00", "rentention_num": 4,
                    "remain_first_backup_of_curMonth": "N" }),
            "UTC+03:00",
            &[(20, 22), (21, 4), (27, 22), (28, 4)],
            8,
        ),
        // Every fifth day there, for ten days; December and January begin in the evening of the day before.
        case(
            json!({ "frequency": 5, "start_time": "23:00", "rentention_day": 10, "remain_first_backup_of_curMonth": "N" }),
            "UTC+02:00",
            &[(25, 23), (30, 23), (31, 23)],
            8,
        ),
    ]
}

/// Name, time and id of a backup.
type Found = (String, String, String);

/// What there is at the end of the month: names, times and ids of all backups, and how many tasks each policy had.
fn month() -> (Vec<Vec<Found>>, Vec<usize>) {
    let server = MockServer::start_with(ServerConfig::in_memory().seed(7)).expect("starts");
    server.reset_to(START).expect("the start of the month");
    let client = Client::new(server.uri().trim_start_matches("http://").parse().expect("an address"));
    let series = SeriesKey::new("MINE.APP", "cpu", [("host", "a")]).expect("a good name");
    server.db("p").expect("opens").insert(&series, Point::new(START, 1)).expect("stored");
    let own = own_volume(client);
    let volumes: Vec<String> =
        (0..5).map(|number| if number == 0 { own.clone() } else { format!("v{number}") }).collect();
    let ids: Vec<String> = cases()
        .iter()
        .zip(&volumes)
        .enumerate()
        .map(|(number, (case, volume))| {
            let mut schedule = case.schedule.clone();
            schedule["status"] = json!("ON");
            let body = json!({ "backup_policy_name": format!("p{number}"), "scheduled_policy": schedule, "time_zone": case.zone });
            let id = create(client, &body);
            associate(client, &id, &[volume]);
            id
        })
        .collect();
    let by_hand = json!({ "backup": { "volume_id": own, "name": "by-hand" } });
    assert_eq!(client.post("/v2/p/cloudbackups", by_hand.to_string()).status, 200);
    crate::harness::wait_for("the backup by hand", || {
        (backups(client).iter().all(|each| each["status"] == "available") && backups(client).len() == 1).then_some(())
    });
    for _ in 0..31 {
        server.advance(Duration::from_secs(86_400)).expect("a day goes by");
    }
    server.advance(Duration::from_secs(11 * 3_600 + 1_800)).expect("up to half an hour before midnight");
    let all = backups(client);
    let of = |volume: &String| -> Vec<Found> {
        let of_volume = all.iter().filter(|backup| backup["volume_id"] == **volume);
        of_volume
            .map(|backup| {
                let text = |field: &str| backup[field].as_str().expect("a text").to_owned();
                (text("name"), text("created_at"), text("id"))
            })
            .collect()
    };
    let page = |id: &String| client.get(&format!("/v2/p/backuppolicy/{id}/backuptasks")).json();
    let counts = ids.iter().map(|id| {
        assert!(tasks(client, id).iter().all(|task| task["status"] == "EXECUTE_SUCCESS"));
        usize::try_from(page(id)["count"].as_u64().expect("a number")).expect("a few")
    });
    (volumes.iter().map(of).collect(), counts.collect())
}

#[test]
fn a_month_leaves_the_backups_of_five_schedules_by_name_and_time_every_time() {
    let (found, runs) = month();
    for ((number, case), mut found) in cases().iter().enumerate().zip(found.clone()) {
        if number == 0 {
            let by_hand = found.remove(0);
            assert_eq!(by_hand.0, "by-hand", "what was made by hand is older than all and stays");
        }
        let wanted: Vec<(String, String)> = case
            .left
            .iter()
            .map(|(day, hour)| {
                (format!("autobk_202612{day:02}T{hour:02}0000Z"), format!("2026-12-{day:02}T{hour:02}:00:00.000"))
            })
            .collect();
        let found: Vec<(String, String)> = found.into_iter().map(|(name, time, _)| (name, time)).collect();
        assert_eq!(found, wanted, "schedule {number}");
        assert_eq!(runs[number], case.runs, "schedule {number}");
    }
    assert_eq!(month(), (found, runs), "ids and all");
}
