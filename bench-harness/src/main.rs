//! The binary of the load generator. Everything is in the library.

use std::process::ExitCode;

// Connections by the ten thousand are set up and given up; the load itself allocates nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bench_harness::cli::main()
}
