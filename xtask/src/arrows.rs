//! `cargo xtask arrows`: which package of the workspace uses which. The list is checked in, so
//! that a new arrow is a line in a diff that a reviewer sees.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::workspace::{Package, Workspace};

/// The checked-in list, from the workspace's root.
const LIST: &str = "docs/arrows.txt";

const HEAD: &str = "\
# Which package of the workspace uses which; what may use what is told in docs/architecture.md.
# Compared by `cargo xtask test`, written by `cargo xtask arrows --bless`.
";

/// The arrows are not as written down, or cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArrowsError {
    #[error("cannot read the list of arrows {path}; `cargo xtask arrows --bless` writes it")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the list of arrows {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "the arrows between the packages are not those in {LIST}:\n{changes}\
         take the change back, or put it into the list with `cargo xtask arrows --bless`"
    )]
    Changed { changes: String },
}

/// Prints the arrows, then compares them with the list or, with `bless`, writes the list.
pub(crate) fn run(workspace: &Workspace, bless: bool) -> Result<(), ArrowsError> {
    let now = drawn(workspace);
    print!("{now}");
    let path = workspace.root.join(LIST);
    if bless {
        return std::fs::write(&path, HEAD.to_owned() + &now)
            .map_err(|source| ArrowsError::Write { path, source });
    }
    compare(&path, &now)
}

/// Compares with the checked-in list and prints nothing.
pub(crate) fn check(workspace: &Workspace) -> Result<(), ArrowsError> {
    compare(&workspace.root.join(LIST), &drawn(workspace))
}

fn compare(path: &Path, now: &str) -> Result<(), ArrowsError> {
    let written = std::fs::read_to_string(path)
        .map_err(|source| ArrowsError::Read { path: path.to_owned(), source })?;
    let changes = changes(&written, now);
    if changes.is_empty() { Ok(()) } else { Err(ArrowsError::Changed { changes }) }
}

/// A line for each arrow, sorted: first those of the code that ships, then what only tests and
/// build scripts use.
fn drawn(workspace: &Workspace) -> String {
    let mut lines = BTreeSet::new();
    for package in &workspace.packages {
        lines.extend(arrows(package));
    }
    lines.into_iter().fold(String::new(), |mut text, (kind, from, to)| {
        let note = if kind.is_empty() { String::new() } else { format!(" ({kind})") };
        let _ = writeln!(text, "{from} -> {to}{note}");
        text
    })
}

/// The package's arrows to others of the workspace, as kind, from, to. The kind of a normal one
/// is empty, so that it sorts first.
fn arrows(package: &Package) -> impl Iterator<Item = (&str, &str, &str)> {
    let inside = package.dependencies.iter().filter(|used| used.path.is_some());
    inside.map(|used| {
        (used.kind.as_deref().unwrap_or_default(), package.name.as_str(), used.name.as_str())
    })
}

/// What is in only one of the two lists: `+` for a new arrow, `-` for one that is gone.
fn changes(written: &str, now: &str) -> String {
    let lines = |text: &'_ str| -> BTreeSet<String> {
        let arrows = text.lines().map(str::trim);
        arrows
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    let (written, now) = (lines(written), lines(now));
    let new = now.difference(&written).map(|line| format!("  + {line}\n"));
    let gone = written.difference(&now).map(|line| format!("  - {line}\n"));
    new.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_the_arrows_that_are_written_down() {
        let workspace = Workspace::load().unwrap();
        if let Err(error) = check(&workspace) {
            panic!("{error}");
        }
    }

    #[test]
    fn a_new_arrow_and_one_that_is_gone_are_both_named() {
        let written = "# a comment\n\na -> b\na -> c\n";
        assert_eq!(changes(written, "a -> b\nd -> b (dev)\n"), "  + d -> b (dev)\n  - a -> c\n");
        assert_eq!(changes(written, "a -> c\na -> b\n"), "");
    }
}
