//! Watchfire decodes everything that touches a labelled Ethereum address, judges it against that address's own rules, and
//! escalates what no rule vouches for to a person.
//!
//! ```text
//! chain ─▶ source ─▶ decode ─▶ classify ─▶ escalate ─▶ store ─▶ deliver ─▶ people
//!           I/O      ──────────── pure ───────────     commit     I/O
//! ```
//!
//! Rooms import strictly from lower ranks; ARCHITECTURE.md has the table and a test holds every path in `src` against it.

pub mod abi;
pub mod classify;
pub mod cli;
pub mod console;
pub mod decode;
pub mod deliver;
pub mod escalate;
pub mod model;
pub mod pipeline;
pub mod post;
pub mod pulse;
pub mod queue;
pub mod runtime;
pub mod settings;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod watchlist;
