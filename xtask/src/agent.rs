//! `cargo xtask agent`: the agent as one static binary that runs on any Linux of its processor.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// Builds it and prints its path as the last line.
pub(crate) fn run(workspace: &Workspace) -> Result<(), CommandError> {
    println!("{}", build(workspace)?.display());
    Ok(())
}

/// Builds it and returns its path.
///
/// The target is named although it is the host's: only then do the flags leave build scripts and
/// procedural macros alone, which cannot be static. The target folder is its own, because the
/// flags would make every ordinary build start anew.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf, CommandError> {
    let host = command::text(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = host.trim();
    let target = workspace.target.join("agent-static");
    let arguments = ["build", "--profile", "agent", "-p", "opencpm-agent", "--target", host];
    let mut cargo = workspace.cargo(arguments);
    cargo.arg("--target-dir").arg(&target).env("CARGO_ENCODED_RUSTFLAGS", flags());
    command::succeed(&mut cargo)?;
    Ok(target.join(host).join("agent").join("opencpm-agent"))
}

/// Static, and random numbers straight from the kernel: getrandom looks for the C library's
/// function by name at run time, does not find it in a static binary, and would then need
/// `/dev/urandom`, which an empty root does not have.
const STATIC: &str = "-Ctarget-feature=+crt-static\x1f--cfg\x1fgetrandom_backend=\"linux_raw\"";

/// The caller's compiler flags and ours. Cargo reads the encoded form before the plain one; its
/// separator is the unit separator (the Cargo book, "Environment variables").
fn flags() -> OsString {
    let encoded = std::env::var_os("CARGO_ENCODED_RUSTFLAGS");
    let plain = std::env::var("RUSTFLAGS").unwrap_or_default();
    let spaced = || plain.split_ascii_whitespace().collect::<Vec<_>>().join("\x1f").into();
    let mut flags = encoded.unwrap_or_else(spaced);
    if !flags.is_empty() {
        flags.push("\x1f");
    }
    flags.push(STATIC);
    flags
}
