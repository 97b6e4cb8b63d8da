//! A small language for end-to-end tests. In: a wish ("a Safe 1.4.1 with these owners pays"). Out: what the chain
//! answered. Never here: anything of the crate under test, or a fake in the middle; the node and the wallets are real.
#![allow(dead_code, reason = "the words of a language; not every test says all of them")]

pub(crate) mod abi;
pub(crate) mod accounts;
pub(crate) mod alertmanager;
pub(crate) mod anvil;
pub(crate) mod clerks;
pub(crate) mod contracts;
pub(crate) mod desk;
pub(crate) mod examples;
pub(crate) mod inbox;
pub(crate) mod kit;
pub(crate) mod multisig;
pub(crate) mod operations;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod safe;
pub(crate) mod service;
pub(crate) mod stored;
pub(crate) mod tokens;
pub(crate) mod treasury;
pub(crate) mod tx;
pub(crate) mod watch;
