//! What is written down is what the server does.

use std::path::Path;

use opencpm_api::document::{openapi, reference};

fn kept(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_default()
}

#[test]
fn the_documents_in_the_tree_are_those_of_the_tables() {
    assert!(kept("openapi.json") == openapi(), "run `cargo xtask docs`");
    assert!(kept("api-reference.md") == reference(), "run `cargo xtask docs`");
}
