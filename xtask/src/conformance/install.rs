//! The published clients, each in a folder of its own below the target folder. Which package in
//! which version is said by the client's folder in `tests/clients`: a `requirements.txt` for pip,
//! or a `package.json` and its lock for npm.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::command::{self, CommandError};

/// A client could not be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("cannot use {path}")]
    File { path: PathBuf, source: io::Error },
}

/// Installs every client below `sources` that is not there, or is there in another version. One
/// that cannot run on this machine is left out and named.
pub(super) fn all(sources: &Path, target: &Path) -> Result<(), InstallError> {
    let entries = read(fs::read_dir(sources), sources)?.flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = entries.filter(|name| sources.join(name).is_dir()).collect();
    names.sort();
    names.iter().try_for_each(|name| one(&sources.join(name), &target.join(name)))
}

/// Installs what one folder pins, as above.
pub(crate) fn one(source: &Path, folder: &Path) -> Result<(), InstallError> {
    let python = source.join("requirements.txt");
    let pins = if python.exists() { python.clone() } else { source.join("package-lock.json") };
    let wanted = read(fs::read_to_string(&pins), &pins)?;
    // Written last: a folder without it was not finished.
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    if folder.exists() {
        read(fs::remove_dir_all(folder), folder)?;
    }
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let installed = if python.exists() {
        with_pip(&python, &wanted, folder)?
    } else {
        with_npm(source, folder)?
    };
    if !installed {
        println!("{name} is left out: what it runs on is not there");
        return Ok(());
    }
    println!("{name} is installed");
    read(fs::write(&stamp, wanted), &stamp)
}

/// Into a virtual environment; false without a Python that can run it.
fn with_pip(requirements: &Path, wanted: &str, folder: &Path) -> Result<bool, InstallError> {
    let special = wanted.lines().find_map(|line| line.strip_prefix("# Python modules: "));
    let modules = ["venv, ensurepip"].into_iter().chain(special).collect::<Vec<_>>().join(", ");
    let import = format!("import {modules}");
    let can = |python: &&&str| command::works(Command::new(python).args(["-c", &import]));
    let Some(python) = PYTHONS.iter().find(can) else { return Ok(false) };
    command::succeed(Command::new(python).args(["-m", "venv"]).arg(folder))?;
    // Not compiled ahead: of the largest package's thousands of modules a few are used.
    let pip = ["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"];
    let mut pip_install = Command::new(folder.join("bin/python"));
    command::succeed(pip_install.args(pip).arg("--requirement").arg(requirements))?;
    Ok(true)
}

/// The system's own first.
const PYTHONS: [&str; 4] = ["python3", "python3.11", "python3.10", "python3.9"];

/// Into a folder of packages; false without npm.
fn with_npm(source: &Path, folder: &Path) -> Result<bool, InstallError> {
    if !["node", "npm"].iter().all(|it| command::works(Command::new(it).arg("--version"))) {
        return Ok(false);
    }
    read(fs::create_dir_all(folder), folder)?;
    for name in ["package.json", "package-lock.json"] {
        read(fs::copy(source.join(name), folder.join(name)), &source.join(name))?;
    }
    // No package's own scripts run.
    let ci = ["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
    command::succeed(Command::new("npm").args(ci).current_dir(folder))?;
    Ok(true)
}

/// Names the file in an error.
fn read<T>(result: io::Result<T>, path: &Path) -> Result<T, InstallError> {
    result.map_err(|source| InstallError::File { path: path.to_owned(), source })
}
