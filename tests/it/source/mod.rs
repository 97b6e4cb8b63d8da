//! The source against nodes that misbehave at the wire: nothing missed, nothing phantom, nothing twice, everything in order.
//!
//! The oracle of each test is the canonical chain, scanned once more from its first block once the nodes behave again. What
//! nodes do is said in `support::fake_node`, what they serve in `support::chain`, and who commits it in `support::follow`.

mod abilities;
mod data;
mod envelopes;
mod forks;
mod grants;
mod greedy;
mod ipc;
mod line;
mod odd;
mod proof;
mod real;
mod schedules;
mod several;
mod shared_pool;
mod states;
mod tally;
mod tape;
mod tape_playback;
