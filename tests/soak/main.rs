//! Long runs, by hand and apart from `tests/run`: what takes minutes to show. `README.md` beside this file says what there is.
//!
//! The real program between a live node and real receivers; the wire to the node is ours.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(clippy::disallowed_methods, reason = "a long run takes place in real time, and is waited for in it")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what was seen is printed for whoever started the run")]

mod absence;
mod backlog;
mod costs;
mod faults;
mod fork;
mod life;
#[path = "../it/faults/missed.rs"]
#[allow(dead_code, unused_imports, reason = "a test is among them")]
mod missed;
mod oracle;
mod proofs;
mod signs;
#[path = "../it/support/mod.rs"]
#[allow(unused_imports, reason = "its tests are not among these")]
mod support;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: cargo test --test soak -- <run> [options]

  faults    a live chain under every fault of the line and of the data   [--for 10m] [--seed N]
  absence   many blocks missed while the program was down                [--blocks 2000] [--seed N]
  costs     requests and time that traces and state reads take           [--blocks 100]
  backlog   pages, leases, feed and commits beside a long outbox         [--for 10m]
  proofs    recorded blocks against their own headers                    --blocks-in DIR

WATCHFIRE_BINARY names another build of the program than the one that was built with this.";

/// What was asked for on the command line.
struct Args {
    seed: u64,
    time: Duration,
    blocks: Option<u64>,
    recorded: PathBuf,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(run) = words.next() else { return usage() };
    let mut args =
        Args { seed: fastrand::u64(..), time: Duration::from_secs(600), blocks: None, recorded: PathBuf::new() };
    while let Some(option) = words.next() {
        let value = words.next().unwrap_or_default();
        let read = match option.as_str() {
            "--seed" => value.parse().map(|seed| args.seed = seed).is_ok(),
            "--blocks" => value.parse().map(|blocks| args.blocks = Some(blocks)).is_ok(),
            "--blocks-in" => {
                args.recorded = PathBuf::from(&value);
                args.recorded.is_dir()
            }
            "--for" => duration(&value).map(|time| args.time = time).is_some(),
            _ => false,
        };
        if !read {
            return usage();
        }
    }
    println!("--seed {}", args.seed);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match run.as_str() {
        "faults" => runtime.block_on(faults::run(&args)),
        "backlog" => runtime.block_on(backlog::run(&args)),
        "costs" => runtime.block_on(costs::run(&args)),
        "absence" => runtime.block_on(absence::run(&args)),
        "proofs" => proofs::run(&args.recorded),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// `90s`, `10m`.
fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (number, "s") => (number, 1),
        (number, "m") => (number, 60),
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

/// `12.3 s`.
fn duration_of(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
