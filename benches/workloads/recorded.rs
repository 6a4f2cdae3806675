//! Recorded series that are kept beside the project, not in it: each folder as it is, and W2, made of one folder's
//! five-minute series. Looked for at run time: a clone has none.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use ebbtide::{Point, SeriesKey, Timestamp};

use super::devops::{Arrival, START};

/// The step given to values that were recorded without times.
const STEP: Duration = Duration::from_secs(10);

/// The five-minute series of a cloud's machines that W2 is made of, and what it makes of them.
const CLOUD: [&str; 8] = [
    "ec2_cpu_utilization_24ae8d",
    "ec2_cpu_utilization_53ea38",
    "ec2_cpu_utilization_825cc2",
    "ec2_disk_write_bytes_1ef3de",
    "ec2_network_in_257a54",
    "elb_request_count_8c0756",
    "grok_asg_anomaly",
    "rds_cpu_utilization_cc0c53",
];
const REPLICAS: usize = 500;
const POINTS_PER_REPLICA: usize = 4_000;
/// How far each copy of a file is rotated against the one before; a prime, so that no two copies coincide.
const ROTATION: usize = 61;

/// All files of a folder, one after another, each row by row. Empty cells are no points.
pub(crate) fn folder(folder: &str) -> Option<impl Iterator<Item = Arrival> + use<>> {
    let mut series = 0;
    let files = csv_files(folder)?.into_iter();
    Some(files.flat_map(move |file| {
        let table = Table::open(&file, series);
        series += table.keys.len();
        table.flatten()
    }))
}

/// W2: copies of the cloud's series under names of their own, rotated in time, on the grid that each file has.
pub(crate) fn replicated() -> Option<impl Iterator<Item = Arrival> + use<>> {
    let files = csv_files("nab")?;
    let originals = CLOUD.map(|name| {
        let file = files.iter().find(|file| file.file_stem().is_some_and(|stem| stem == name));
        let mut points: Vec<Point> = Vec::new();
        for (_, _, point) in Table::open(file.expect("the recorded data is whole"), 0).flatten() {
            // A time that stands twice in a file would be an overwrite in every copy.
            if points.last().is_none_or(|last| last.time < point.time) {
                points.push(point);
            }
        }
        points
    });
    let key = |copy: usize| {
        let (metric, instance) = (CLOUD[copy % CLOUD.len()], format!("i-{:08x}", copy * 2_654_435_761 % (1 << 32)));
        SeriesKey::new("BENCH.W2", metric, [("instance_id", instance)]).expect("a valid name")
    };
    let keys: Vec<_> = (0..REPLICAS).map(key).collect();
    Some((0..POINTS_PER_REPLICA * REPLICAS).map(move |number| {
        let (step, copy) = (number / REPLICAS, number % REPLICAS);
        let original = &originals[copy % CLOUD.len()];
        let rotated = &original[(step + copy / CLOUD.len() * ROTATION) % original.len()];
        // The first time's place on the grid stays, the day does not.
        let first = original[0].time.as_millis();
        let time =
            Timestamp::from_millis(START.as_millis() + first % 300_000 + original[step].time.as_millis() - first);
        (copy, keys[copy].clone(), Point::new(time, rotated.value))
    }))
}

/// A CSV file: `ts_ms` and a column for each series, or one column of values without times.
struct Table {
    keys: Vec<SeriesKey>,
    first_series: usize,
    has_times: bool,
    lines: std::io::Lines<BufReader<File>>,
    rows: u32,
}

impl Table {
    fn open(file: &PathBuf, first_series: usize) -> Self {
        let stem = file.file_stem().expect("a file has a name").to_string_lossy();
        let mut lines = BufReader::new(File::open(file).expect("a readable file")).lines();
        let head = lines.next().expect("a first line").expect("text");
        let has_times = head.starts_with("ts_ms,");
        let key = |column: &str| {
            // A file of one series is named by its series; a table is a job with many, `#k` numbers those of a metric.
            if column == "value" {
                return SeriesKey::new::<&str, &str>("BENCH.DATA", &*stem, []).expect("a valid name");
            }
            let (metric, number) = column.split_once('#').unwrap_or((column, "0"));
            SeriesKey::new("BENCH.DATA", metric, [("job", &*stem), ("number", number)]).expect("a valid name")
        };
        let keys = head.split(',').skip(usize::from(has_times)).map(key).collect();
        Self { keys, first_series, has_times, lines, rows: 0 }
    }

    fn row(&self, line: &str) -> Vec<Arrival> {
        let mut cells = line.split(',');
        let time = if self.has_times {
            let cell = cells.next().expect("a line has a cell");
            Timestamp::from_millis(cell.parse().expect("a time in milliseconds"))
        } else {
            START + STEP * self.rows
        };
        let given = cells.enumerate().filter(|(_, cell)| !cell.is_empty());
        given
            .map(|(column, cell)| {
                let value: f64 = cell.parse().expect("a number");
                (self.first_series + column, self.keys[column].clone(), Point::new(time, value))
            })
            .collect()
    }
}

impl Iterator for Table {
    type Item = Vec<Arrival>;

    fn next(&mut self) -> Option<Vec<Arrival>> {
        let line = self.lines.next()?.expect("text");
        let row = self.row(&line);
        self.rows += 1;
        Some(row)
    }
}

/// The tables of a folder, in order of their names.
fn csv_files(folder: &str) -> Option<Vec<PathBuf>> {
    let project = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the project's directory");
    let folder = PathBuf::from(project).join("../shared/data").join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: there is no recorded data at {}", folder.display());
        return None;
    };
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "csv")).collect();
    files.sort();
    Some(files)
}
