//! Watchfire decodes all activity of labelled Ethereum addresses, judges it by each address's own rules, and escalates
//! to a person any activity that no rule vouches for.
//!
//! ```text
//! chain ─▶ source ─▶ decode ─▶ classify ─▶ escalate ─▶ store ─▶ deliver ─▶ people
//!           I/O      ──────────── pure ───────────     commit     I/O
//! ```
//!
//! Each module imports only from modules of a lower rank; ARCHITECTURE.md has the table, and a test checks every path
//! in `src` against it.

pub mod abi;
pub mod app;
pub mod classify;
pub mod cli;
pub mod contracts;
pub mod decode;
pub mod deliver;
pub mod escalate;
pub mod heartbeat;
pub mod http;
pub mod model;
pub mod pipeline;
pub mod runtime;
pub mod safe_service;
pub mod settings;
pub mod source;
pub mod store;
pub mod tape;
pub mod telemetry;
pub mod watchlist;
pub mod web;
pub mod wire;
