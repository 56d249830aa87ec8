//! What the end-to-end tests run. `cargo xtask test` builds it and hands over where it lies;
//! a path guessed from here could lead to yesterday's build.

use std::path::PathBuf;

/// The server and command line, `opencpm`. Panics when the tests were started without it, as all
/// functions here do.
pub fn opencpm() -> PathBuf {
    path("OPENCPM_BIN")
}

/// The agent as an ordinary build makes it.
pub fn agent() -> PathBuf {
    path("OPENCPM_AGENT_BIN")
}

/// The agent that dies at chosen points when a test asks for it (its feature `fault-points`).
pub fn agent_with_faults() -> PathBuf {
    path("OPENCPM_AGENT_FAULTS")
}

/// The static agent.
pub fn static_agent() -> PathBuf {
    path("OPENCPM_AGENT_STATIC")
}

/// A folder for each published client that could be installed.
pub fn clients() -> PathBuf {
    path("OPENCPM_CLIENTS")
}

/// The program that generates cases from the OpenAPI document.
pub fn schemathesis() -> PathBuf {
    path("OPENCPM_SCHEMATHESIS")
}

#[expect(clippy::panic, reason = "only tests call this, and a test stops by a panic")]
fn path(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let Some(path) = path else {
        panic!("{variable} is not set: run the end-to-end tests through `cargo xtask test`");
    };
    assert!(path.exists(), "{variable} names {}, which is not there", path.display());
    path
}
