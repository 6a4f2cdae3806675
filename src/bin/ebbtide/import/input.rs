//! The user's files: which format each one has, and the one place that opens them. Reading is left to the format's
//! own room.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::item::{Defaults, Out, Series};
use super::ndjson::Lines;
use super::table::Table;

/// Longest line of an input file, in bytes: bounds memory on files that are no text. A request of the longest kind,
/// written in one line, fits many times.
const LINE_BYTES_MAX: usize = 8 << 20;

/// One file to import.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Csv,
    Ndjson,
    /// NDJSON too, but it can be read only once.
    Stdin,
}

impl Source {
    /// The files in the order given; refuses unknown formats and a second stdin before anything is opened.
    pub(super) fn all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let sources = paths.iter().map(|path| Self::new(path)).collect::<Result<Vec<_>>>()?;
        if sources.iter().filter(|source| source.is_stdin()).count() > 1 {
            bail!("stdin (`-`) can be read only once");
        }
        Ok(sources)
    }

    fn new(path: &Path) -> Result<Self> {
        let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let format = match extension.as_ref().and_then(|extension| extension.to_str()) {
            _ if path.as_os_str() == "-" => Format::Stdin,
            Some("csv") => Format::Csv,
            Some("ndjson" | "jsonl") => Format::Ndjson,
            _ => bail!("{}: expected a file that ends in .csv, .ndjson or .jsonl, or `-`", path.display()),
        };
        Ok(Self { path: path.to_owned(), format })
    }

    pub(super) fn name(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.format == Format::Stdin
    }

    /// Opens the file from its start.
    pub(super) fn open<'d>(&self, defaults: &'d Defaults<'d>) -> Result<Reader<'d>> {
        let input = LineBound { input: self.bytes()?, since_newline: 0 };
        match self.format {
            Format::Csv => Ok(Reader::Csv(Table::open(&self.path, input, defaults)?)),
            Format::Ndjson => Ok(Reader::Ndjson(Lines::new(self.path.display().to_string(), input, defaults))),
            Format::Stdin => Ok(Reader::Ndjson(Lines::new("stdin".into(), input, defaults))),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the user's input is not a file of the database")]
    fn bytes(&self) -> Result<Box<dyn Read>> {
        if self.is_stdin() {
            return Ok(Box::new(io::stdin().lock()));
        }
        let file = File::open(&self.path).with_context(|| format!("opening {}", self.path.display()))?;
        Ok(Box::new(file))
    }
}

/// An open file of either format.
pub(super) enum Reader<'d> {
    Csv(Table<'d>),
    Ndjson(Lines<'d>),
}

impl Reader<'_> {
    /// Whether the samples bring their own times.
    pub(super) fn has_times(&self) -> bool {
        match self {
            Self::Csv(table) => table.has_times(),
            Self::Ndjson(_) => true,
        }
    }

    /// The series that this file alone must hold, each with the name of its column; none where items name theirs.
    pub(super) fn columns(&self) -> &[(String, Series)] {
        match self {
            Self::Csv(table) => table.columns(),
            Self::Ndjson(_) => &[],
        }
    }

    /// Hands on every sample, its time moved by `offset` milliseconds.
    pub(super) fn read(self, offset: i64, out: &mut Out<'_>) -> Result<()> {
        match self {
            Self::Csv(table) => table.read(offset, out),
            Self::Ndjson(lines) => lines.read(offset, out),
        }
    }
}

/// Ends a file whose line would outgrow memory with an error.
pub(super) struct LineBound {
    input: Box<dyn Read>,
    since_newline: usize,
}

impl Read for LineBound {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.since_newline = match buffer[..read].iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => read - newline - 1,
            None => self.since_newline + read,
        };
        if self.since_newline > LINE_BYTES_MAX {
            return Err(io::Error::other(format!("a line is longer than {LINE_BYTES_MAX} bytes")));
        }
        Ok(read)
    }
}
