//! Parses the arguments and returns an exit code; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    watchfire::cli::main()
}
