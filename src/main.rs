//! Arguments in, an exit code out; everything else is library.

use std::process::ExitCode;

fn main() -> ExitCode {
    watchfire::cli::main()
}
