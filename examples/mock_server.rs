//! A server within a program, as a test would use it: points come in over HTTP, a week passes in a moment, the points
//! have expired, and what they amounted to is still there.

use std::time::Duration;

use ebbtide::server::MockServer;
use ebbtide::{Point, SeriesKey, TimeRange};

const PROJECT: &str = "my-project";
const HOUR: Duration = Duration::from_secs(3_600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = MockServer::start()?;
    let url = format!("{}/V1.0/{PROJECT}/metric-data", server.uri());
    let start = server.now();
    server.stop_clock();

    for value in [60, 70, 80] {
        let time = server.now().as_millis();
        let metric = r#"{"namespace":"MINE.APP","metric_name":"cpu","dimensions":[{"name":"host","value":"a"}]}"#;
        let item = format!(r#"{{"metric":{metric},"ttl":172800,"collect_time":{time},"value":{value},"unit":"%"}}"#);
        ureq::post(&url).content_type("application/json").send(format!("[{item}]"))?;
        server.advance(HOUR)?;
    }
    let ask = |period: u32, filter: &str| {
        let (from, to) = (start.as_millis() - 86_400_000, start.as_millis() + 86_400_000);
        let series = "namespace=MINE.APP&metric_name=cpu&dim.0=host,a";
        let query = format!("{url}?{series}&from={from}&to={to}&period={period}&filter={filter}");
        ureq::get(&query).call()?.body_mut().read_to_string()
    };
    println!("on the first day, raw:       {}", ask(1, "average")?);
    println!("on the first day, by hours:  {}", ask(3_600, "average")?);
    assert_eq!(ask(1, "average")?.matches("timestamp").count(), 3);

    server.advance(7 * 24 * HOUR)?; // expiry, flushing and merging happen on the way
    println!("a week later, raw:           {}", ask(1, "average")?);
    println!("a week later, by hours:      {}", ask(3_600, "average")?);
    assert_eq!(ask(1, "average")?.matches("timestamp").count(), 0);
    assert_eq!(ask(3_600, "average")?.matches("timestamp").count(), 3);

    // The back door: a point of any time and TTL, past every rule of the API.
    let old = SeriesKey::new("MINE.APP", "uptime", [("host", "a")])?;
    server.db(PROJECT)?.insert(&old, Point::new(start, i64::MAX))?;
    assert_eq!(server.db(PROJECT)?.points(&old, TimeRange::ALL)?.count(), 1);
    println!("{} requests were received", server.received_requests().len());
    Ok(())
}
