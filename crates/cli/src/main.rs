//! Placeholder until the first command exists.

fn main() {}
