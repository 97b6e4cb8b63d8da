//! Watchlists: the files of an operator, compiled into the configuration that the program judges by.
//!
//! Comes in: a main file (chains, destinations, paths) and the watchlists it names. Goes out: a [`Config`], in which
//! every name is an address, every amount is in its smallest unit and every function is a selector; or [`Problems`],
//! all of them at once, each with its place and the accepted form. Never here: a connection, a clock, or a guess. Text
//! that cannot be understood is an error. Text that can be understood but can never apply is an error as well: an
//! unreachable rule, or hours that never occur.
//!
//! Reading order: [`file`](self) contains the written form, `compile` resolves it into the [`Config`], and [`check`]
//! judges the watchlists' own tests and reports the outcome for every function.

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
    ChainBook, ChainClock, Config, EndpointSettings, EndpointUrl, Expectation, QueueBook, Registry, WatchTest,
};
pub use files::{Disk, Files, Memory};

use crate::settings::{Problems, Secrets};
use std::path::Path;

/// Reads a configuration from the disk: the main file at `path`, and the watchlists and ABIs it names.
///
/// # Errors
///
/// Returns every problem of every file. With [`Secrets::Resolve`], a missing secret is one of them.
pub fn load_config(path: &Path, secrets: Secrets) -> Result<Config, Problems> {
    compile_config(path, &Disk, secrets)
}

/// Reads a configuration from `files`. The disk and the environment are accessed only for secrets.
///
/// # Errors
///
/// Returns the same errors as [`load_config`].
pub fn compile_config(path: &Path, files: &dyn Files, secrets: Secrets) -> Result<Config, Problems> {
    compile::compile_config(path, files, secrets)
}
