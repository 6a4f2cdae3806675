//! CSV: `value`; `ts_ms,value`; or `ts_ms` and a column for each series, named `metric` or `metric#k`. Rows are handed
//! on one by one, in the order of the file. Line ends are the `csv` crate's business; a quote is no part of a number,
//! so a stray one is a malformed cell and not the start of a text that spans the file.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use csv::{ReaderBuilder, StringRecord, Trim};

use super::input::LineBound;
use super::item::{Defaults, Dimension, Item, Metric, Out, Sample, Series, shifted};
use super::{names, number};

/// The header of the column of times.
const TIME: &str = "ts_ms";
/// The header of the only column of values.
const VALUE: &str = "value";

/// An open CSV file, behind its header.
pub(super) struct Table<'d> {
    name: String,
    rows: csv::Reader<LineBound>,
    /// Where times come from; `None` when they are in the first column.
    step_millis: Option<i64>,
    /// The columns of values, in order: header and series.
    columns: Vec<(String, Series)>,
    defaults: &'d Defaults<'d>,
}

impl<'d> Table<'d> {
    /// Reads the header and finds out which shape the file has.
    pub(super) fn open(path: &Path, input: LineBound, defaults: &'d Defaults<'d>) -> Result<Self> {
        let name = path.display().to_string();
        let mut rows = ReaderBuilder::new().trim(Trim::All).quoting(false).from_reader(input);
        let headers = rows.headers().with_context(|| format!("{name} line 1"))?.clone();
        let headers: Vec<&str> = headers.iter().collect();
        if headers.iter().any(|header| header.contains('"')) {
            bail!("{name} line 1: quotes are not understood here: name the columns without them");
        }
        let (step_millis, headers) = match headers.as_slice() {
            [VALUE] => match defaults.step_millis {
                Some(step_millis) => (Some(step_millis), &headers[..]),
                None => bail!("{name} has values without times: say how far apart they are, such as --step 10s"),
            },
            [TIME, columns @ ..] if !columns.is_empty() => (None, columns),
            _ => bail!("{name} line 1: expected `value`, `ts_ms,value`, or `ts_ms` and a column for each series"),
        };
        let files = FileNames::of(path, defaults)?;
        let columns = headers
            .iter()
            .enumerate()
            .map(|(position, &header)| {
                let series = files.series(header, headers.len() == 1 && header == VALUE);
                let column = position + 1 + usize::from(step_millis.is_none());
                Ok((header.to_owned(), series.with_context(|| format!("{name} line 1, column {column}"))?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { name, rows, step_millis, columns, defaults })
    }

    pub(super) fn has_times(&self) -> bool {
        self.step_millis.is_none()
    }

    pub(super) fn columns(&self) -> &[(String, Series)] {
        &self.columns
    }

    /// Hands on every cell that is not empty. Samples without times are placed from `offset` on, a step apart.
    pub(super) fn read(mut self, offset: i64, out: &mut Out<'_>) -> Result<()> {
        let mut record = StringRecord::new();
        let mut steps: i64 = 0;
        while self.rows.read_record(&mut record).with_context(|| self.name.clone())? {
            let line = record.position().map_or(0, csv::Position::line);
            let mut cells = record.iter().enumerate();
            let time = if let Some(step_millis) = self.step_millis {
                steps.checked_mul(step_millis).ok_or_else(|| "there are too many samples".into())
            } else {
                let (_, cell) = cells.next().expect("the reader refuses rows shorter than the header");
                cell.parse().map_err(|_| format!("{cell:?} is not a time in whole milliseconds"))
            };
            let time = time.and_then(|time| shifted(time, offset)).map_err(|why| self.at(line, 0, &why))?;
            steps += 1;
            for ((position, cell), (_, series)) in cells.zip(&self.columns) {
                if cell.is_empty() {
                    continue;
                }
                if number::is_not_finite(cell) {
                    out(Sample::NotFinite { series, time })?;
                    continue;
                }
                let number = number::parse_cell(cell).map_err(|why| self.at(line, position, &why))?;
                let Defaults { ttl_secs, unit, .. } = *self.defaults;
                out(Sample::Point(Item { series, time, number, ttl_secs, unit }))?;
            }
        }
        Ok(())
    }

    fn at(&self, line: u64, position: usize, why: &str) -> anyhow::Error {
        let header = match (position, self.step_millis) {
            (0, None) => TIME,
            (_, None) => &self.columns[position - 1].0,
            (_, Some(_)) => &self.columns[position].0,
        };
        anyhow!("{} line {line}, column {} ({header}): {why}", self.name, position + 1)
    }
}

/// What a file's path says about its series.
struct FileNames {
    namespace: String,
    stem: String,
}

impl FileNames {
    fn of(path: &Path, defaults: &Defaults<'_>) -> Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("finding the folder of {}", path.display()))?;
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
        let namespace = defaults.namespace.clone().unwrap_or_else(|| names::namespace(&folder.to_string_lossy()));
        Ok(Self { namespace, stem: path.file_stem().unwrap_or_default().to_string_lossy().into_owned() })
    }

    /// The series of a column: named after the file when it is the file's only one, else after its header.
    fn series(&self, header: &str, is_only: bool) -> ebbtide::Result<Series> {
        let dimension = |name: &str, value| Dimension { name: name.into(), value: names::dimension_value(value) };
        let mut dimensions = vec![dimension("file", &self.stem)];
        let name = match header.rsplit_once('#') {
            _ if is_only => names::metric(&self.stem),
            Some((metric, number)) => {
                dimensions.push(dimension("series", number));
                names::metric(metric)
            }
            None => names::metric(header),
        };
        Series::new(Metric { namespace: self.namespace.clone(), dimensions, name })
    }
}
