//! What must hold whatever breaks: the program itself, its node, the wire between them, or whoever it tells.
//!
//! Each test ends the same way: what was committed and what was told is compared with one calm pass over the chain as it
//! stands in the end, and with what the test can reckon for itself.
#![allow(clippy::disallowed_methods, reason = "faults take place in real time, and are waited for in it")]
#![allow(clippy::print_stdout, reason = "a seed is printed, so that what it did can be done again")]

mod blind;
mod disk;
mod filled;
mod finality;
mod kill;
mod missed;
mod node;
mod orders;
mod receivers;
mod schedule;
mod secrets;
mod storm;
mod tasks;
mod vanished;

/// Where a test's random choices come from: `WATCHFIRE_SEED` replays the seed that an earlier run printed.
fn random(test: &str) -> fastrand::Rng {
    let given = std::env::var("WATCHFIRE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: WATCHFIRE_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
