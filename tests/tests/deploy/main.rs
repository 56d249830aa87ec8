//! The files in `deploy/` do what they say, with the real programs that they are for.

#![expect(clippy::expect_used, reason = "in a test a failed expectation is a failed test")]

mod haproxy;
mod load_balancer;
mod node;
mod units;

/// A file of the folder.
fn shipped(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    std::fs::read_to_string(path).expect(name)
}
