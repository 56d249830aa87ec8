//! What comes from outside: cargo-deny with the rules of deny.toml.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// Its rules change between versions, so everyone uses the same. Building it takes two to three
/// minutes on two cores, once.
const VERSION: &str = "0.20.2";

/// Checks licences, bans and sources; advisories only where their database can be had.
pub(super) fn check(workspace: &Workspace) -> Result<(), CommandError> {
    let tool = tool(workspace)?;
    let deny = |arguments: &[&str]| {
        let mut deny = Command::new(&tool);
        // Without a terminal for passwords: where the database is out of reach, git must not ask.
        deny.current_dir(&workspace.root).env("GIT_TERMINAL_PROMPT", "0").args(arguments);
        deny
    };
    let rules = ["check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    command::succeed(&mut deny(&rules))?;
    if !command::works(&mut deny(&["fetch", "db"])) {
        println!("advisories: not checked, their database is out of reach from here");
        return Ok(());
    }
    command::succeed(&mut deny(&["check", "--disable-fetch", "advisories"]))
}

/// cargo-deny in our version: the user's own, else ours below the target folder, else built now.
fn tool(workspace: &Workspace) -> Result<PathBuf, CommandError> {
    let root = workspace.target.join("tools");
    let ours = root.join("bin").join("cargo-deny");
    let known = [PathBuf::from("cargo-deny"), ours.clone()];
    let is_right = |tool: &PathBuf| {
        let output = Command::new(tool).arg("--version").output();
        output.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).trim().ends_with(&format!(" {VERSION}"))
        })
    };
    if let Some(tool) = known.into_iter().find(is_right) {
        return Ok(tool);
    }
    let package = format!("cargo-deny@{VERSION}");
    let mut install = workspace.cargo(["install", &package, "--locked", "--force", "--root"]);
    command::succeed(install.arg(root))?;
    Ok(ours)
}
