//! The migrations are part of the library: a change of them builds it anew.

#[expect(clippy::print_stdout, reason = "a build script speaks to Cargo on standard output")]
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
