//! Helpers that several tests share: chains and contracts on a real node, receivers and services, fakes at the wire
//! (`fake_node`, `altered_node`, `hostile_blocks`), and setups of the program that watches them.
#![allow(dead_code, reason = "the words of a language; not every test says all of them")]

pub(crate) mod abi;
pub(crate) mod accounts;
pub(crate) mod alertmanager;
pub(crate) mod altered_node;
pub(crate) mod anvil;
pub(crate) mod bill_payers;
pub(crate) mod case_chain;
pub(crate) mod chain;
pub(crate) mod contracts;
pub(crate) mod desk;
pub(crate) mod examples;
pub(crate) mod fake_node;
pub(crate) mod follow;
pub(crate) mod hostile_blocks;
pub(crate) mod inbox;
pub(crate) mod kit;
pub(crate) mod multisig;
pub(crate) mod operations;
pub(crate) mod pending_chain;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod queued_treasury;
pub(crate) mod safe;
pub(crate) mod service;
pub(crate) mod stored;
pub(crate) mod tokens;
pub(crate) mod treasury;
pub(crate) mod tx;
pub(crate) mod watch;
pub(crate) mod watched_proxy;
