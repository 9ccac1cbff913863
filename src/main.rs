//! The broker's binary: see [`trunkline`].
fn main() {}
