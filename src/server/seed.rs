//! Points that a server starts with, from files. A file that cannot be read whole refuses the start: a test should not
//! begin with half of what it needs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::cloudeye;
use super::projects::{ProjectId, Projects};
use crate::env::disk::Disk as _;
use crate::env::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};

/// Longest file of points that a server starts with, in bytes. As a batch of the engine it has at most
/// [`BATCH_POINTS_MAX`](crate::limits::BATCH_POINTS_MAX) points.
pub const SEED_BYTES_MAX: u64 = 64 << 20;

/// Most files.
const FILES_MAX: usize = 16;

/// Stores the points of all files, each in its project; a project that was there before is left as it is.
pub(super) fn load(files: &[(PathBuf, String)], projects: &Projects) -> Result<()> {
    if files.len() > FILES_MAX {
        return Err(Error::invalid(format!("a server starts with the points of at most {FILES_MAX} files")));
    }
    let in_file = |file: &Path, error: Error| Error::new(error.kind(), format!("{}: {error}", file.display()));
    let mut known = HashSet::new();
    for (file, project) in files {
        let project = project_of(project).map_err(|error| in_file(file, error))?;
        if projects.open_existing(&project)?.is_some() {
            known.insert(project);
        }
    }
    files.iter().try_for_each(|(file, project)| {
        load_one(file, &project_of(project)?, &known, projects).map_err(|error| in_file(file, error))
    })
}

fn project_of(text: &str) -> Result<ProjectId> {
    ProjectId::new(text).ok_or_else(|| Error::invalid(ProjectId::FORM))
}

fn load_one(file: &Path, project: &ProjectId, known: &HashSet<ProjectId>, projects: &Projects) -> Result<()> {
    if known.contains(project) {
        // IMPORTANT: written again, what has expired since would be new points, and count in their windows once more.
        tracing::info!(%project, file = %file.display(), "seed data left out: the project is there already");
        return Ok(());
    }
    let body = RealDisk.read(file, SEED_BYTES_MAX).map_err(|error| Error::io("cannot be read", error))?;
    let batch = cloudeye::read_points(&body).map_err(|why| Error::new(ErrorKind::InvalidInput, why))?;
    let receipt = projects.open_or_create(project)?.write(&batch)?;
    tracing::info!(%project, file = %file.display(), points = receipt.stored, "seed data loaded");
    Ok(())
}
