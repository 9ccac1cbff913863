//! The binary of the load generator.

fn main() {}
