//! Ebbtide inside a program: open a directory, write a batch, read it back. Run it twice: the points are still there.

use std::time::Duration;

use ebbtide::{Clock, Db, Point, SeriesKey, SystemClock, TimeRange, Ttl, WriteBatch};

fn main() -> ebbtide::Result<()> {
    let db = Db::open(std::env::temp_dir().join("ebbtide-embed"))?;
    let cpu = SeriesKey::new("MINE.APP", "cpu_util", [("instance_id", "33328f02")])?;
    let disk = SeriesKey::new("MINE.APP", "disk_free", [("instance_id", "33328f02"), ("disk", "vda")])?;

    let now = SystemClock::default().now();
    let mut batch = WriteBatch::new();
    batch.push(cpu.clone(), Point::new(now, 60).with_ttl(Ttl::from_secs(3_600)).with_unit("%"));
    batch.push(cpu.clone(), Point::new(now + Duration::from_secs(10), 70).with_ttl(Ttl::from_secs(60)).with_unit("%"));
    batch.push(disk.clone(), Point::new(now, 12.5).with_ttl(Ttl::NEVER).with_unit("GB"));
    let receipt = db.write(&batch)?; // back only once the batch is on stable storage
    println!("stored {} points, durability {}", receipt.stored, receipt.durability);

    for series in [&cpu, &disk] {
        for point in db.points(series, TimeRange::ALL)? {
            println!("{series} {:?}", point?);
        }
    }
    db.close()
}
