//! Thousands of random schedules against the whole source, on all cores. What a schedule is stands in
//! `tests/it/source/schedules.rs`, from where it is taken as it is; an ordinary test run plays some thirty of them.
//!
//! ```text
//! cargo test --release --test schedules -- 10000          # seeds 0 to 9999
//! cargo test --release --test schedules -- 10000 123456   # from seed 123456 on
//! WATCHFIRE_SEED=7 cargo nextest run -E 'test(random_schedules)'
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]
#![allow(dead_code, unused_imports, reason = "taken from tests that need more of it")]

#[path = "../../it/support"]
mod support {
    pub(crate) mod accounts;
    pub(crate) mod chain;
    pub(crate) mod fake_node;
    pub(crate) mod follow;
}

#[path = "../../it/source"]
mod source {
    pub(crate) mod schedules;
    pub(crate) mod tally;
}

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (n, first) = match (numbers.next(), numbers.next()) {
        (Some(Ok(n)), None) if n > 0 => (n, 0),
        (Some(Ok(n)), Some(Ok(first))) if n > 0 => (n, first),
        _ => {
            eprintln!("say how many schedules, and perhaps from which seed on: -- 10000 [SEED]");
            return ExitCode::from(2);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // A failure tells its story; the panic's own words on top of it say nothing more.
    std::panic::set_hook(Box::new(|_| {}));
    #[expect(clippy::disallowed_methods, reason = "how long it took, told to a person")]
    let began = Instant::now();
    match source::schedules::play_all(first, n, threads) {
        Ok(tally) => {
            println!(
                "seeds {first} to {}, {:.0} s on {threads} threads\n{tally}",
                first + n - 1,
                began.elapsed().as_secs_f64()
            );
            ExitCode::SUCCESS
        }
        Err(failed) => {
            println!("{failed}");
            ExitCode::FAILURE
        }
    }
}
