//! Writes the documents that come from the tables into a folder: `cargo xtask docs` calls it with
//! `docs`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "docs".into()));
    std::fs::write(folder.join("openapi.json"), opencpm_api::document::openapi())?;
    std::fs::write(folder.join("api-reference.md"), opencpm_api::document::reference())
}
