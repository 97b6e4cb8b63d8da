//! End-to-end and property tests, in one binary. Everything in the middle is real; only the wire is ours: a real node with
//! real wallets on one side (`support::anvil`, `support::treasury`), a recording HTTP server on the other (`support::inbox`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod support;

mod abi_case;
mod abi_properties;
mod answers;
mod architecture;
mod calm_contracts;
mod calm_week;
mod changes;
mod clock;
mod commands;
mod conditions;
mod conduct;
mod contract_kinds;
mod counting;
mod decode;
mod deliver;
mod demo;
mod deny;
mod drift;
mod english;
mod exits;
mod exposure;
mod false_tapes;
mod faults;
mod fees;
mod habits;
mod holdings;
mod hostile;
mod inside;
mod judging;
mod mistakes;
mod outbox;
mod paging;
mod pending;
mod printed;
mod probe;
mod queued;
mod queues;
mod quota;
mod raising;
mod ranks;
mod reach;
mod readme;
mod rows;
mod signs;
mod source;
mod tapes;
mod unread;
mod verify;
mod watchlist;
mod whole_way;
mod wildcards;
mod world;
