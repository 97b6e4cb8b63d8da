//! Watchlists: what an operator writes, compiled into what the program judges by.
//!
//! Comes in: a main file (chains, destinations, paths) and the watchlists it names. Goes out: a [`Book`], in which every name
//! is an address, every amount is in its smallest unit and every function is a selector; or [`Problems`], all of them at once,
//! each with its place and what to write instead. Never here: a connection, a clock, or a guess. What cannot be understood
//! is an error, and so is what can be understood but could never happen: a rule nobody reaches, hours that never come.
//!
//! Reading order: [`file`](self) is what is written, `compile` resolves it into the [`Book`], [`check`] judges the watchlists'
//! own tests and says for every function what would happen.

mod amount;
mod book;
pub mod check;
mod compile;
mod file;
mod files;
mod hours;

#[cfg(test)]
mod tests;

pub use book::{
    Book, ChainBook, ChainClock, EndpointSettings, EndpointUrl, Expectation, QueueBook, Registry, WatchTest,
};
pub use files::{Disk, Files, Memory};

use crate::settings::{Problems, Secrets};
use std::path::Path;

/// Reads a configuration from the disk: the main file at `path`, and the watchlists and ABIs it names.
///
/// # Errors
///
/// Every problem of every file. With [`Secrets::Resolve`], a secret that is not there is one of them.
pub fn load(path: &Path, secrets: Secrets) -> Result<Book, Problems> {
    compile(path, &Disk, secrets)
}

/// Reads a configuration from `files`. The disk and the environment are touched only for secrets.
///
/// # Errors
///
/// As [`load`].
pub fn compile(path: &Path, files: &dyn Files, secrets: Secrets) -> Result<Book, Problems> {
    compile::compile(path, files, secrets)
}
