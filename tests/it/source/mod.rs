//! The source against nodes that misbehave at the wire: nothing missed, nothing phantom, nothing twice, everything in order.
//!
//! The oracle of each test is the canonical chain, scanned once more from its first block once the nodes behave again. What
//! nodes do is said in [`faulty`], what they serve in [`chain`], and who commits it in [`watcher`].

mod abilities;
mod chain;
mod data;
mod envelopes;
mod faulty;
mod forks;
mod grants;
mod greedy;
mod ipc;
mod line;
mod lived;
mod odd;
mod proof;
mod real;
mod schedules;
mod several;
mod states;
mod tally;
mod tape;
pub(crate) mod twisted;
mod watcher;
