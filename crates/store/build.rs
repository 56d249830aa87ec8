//! The migrations are part of the library: a change of them builds it anew.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
