//! `watchfire store`: backup of the store while a run is active, and its restoration.

use super::{Global, Outcome, Printer, load_config, require_store};
use crate::model::ChainId;
use crate::runtime::{self, Clock, SystemClock, quoted_path};
use crate::settings::Secrets;
use crate::store::{self, Store};
use anyhow::Context as _;
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// Back the store up, and restore it.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Write a complete copy of the store to FILE, even while `run` uses it. Copying the file by hand may produce an
    /// empty copy.
    Backup {
        /// The copy to write.
        file: PathBuf,
        /// Overwrite an existing file.
        #[arg(long)]
        replace: bool,
    },
    /// Replace the store by a backup while no `run` uses it. An existing store is moved aside.
    Restore {
        /// The backup.
        file: PathBuf,
    },
}

pub(crate) async fn run_store(command: &StoreCommand, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match load_config(global, Secrets::NamesOnly, printer) {
        Ok(book) => book,
        Err(outcome) => return Ok(outcome),
    };
    let path = book.store.clone();
    match command {
        StoreCommand::Backup { file, replace } => {
            require_store(&path)?;
            let (from, to, replace) = (path.clone(), file.clone(), *replace);
            let copied = tokio::task::spawn_blocking(move || store::backup_store(&from, &to, replace)).await?;
            copied.with_context(|| {
                format!("failed to back up {} to {}{}", path.display(), file.display(), replace_hint(file))
            })?;
            let restore = runtime::command_line(&format!("store restore {}", quoted_path(file)));
            printer.progress(&format!("wrote {}; `{restore}` brings it back", file.display()));
        }
        StoreCommand::Restore { file } => {
            let (from, to) = (file.clone(), path.clone());
            let restored =
                tokio::task::spawn_blocking(move || store::restore_store(&from, &to, &timestamp_suffix())).await?;
            let restored =
                restored.with_context(|| format!("failed to restore {} to {}", file.display(), path.display()))?;
            if let Some(before) = restored.before {
                printer.progress(&format!("the earlier store was moved to {}", before.display()));
            }
            printer.progress(&format!(
                "restored {}: `{}` goes on from where it stood",
                path.display(),
                runtime::command_line("run")
            ));
            let store = Store::open(&path).await.context("failed to open the store")?;
            let chains: Vec<(String, ChainId)> =
                book.chains.iter().map(|chain| (chain.info.name.to_string(), chain.info.id)).collect();
            for (name, id) in chains {
                let stands =
                    match store.last_committed_block(id).await.context("failed to read where the chain stands")? {
                        Some(at) => format!("judged up to block {}", at.number),
                        None => "nothing judged yet".to_owned(),
                    };
                printer.progress(&format!("{name}: {stands}"));
            }
        }
    }
    Ok(Outcome::Calm)
}

/// Returns the current time as used in the name of a store that was moved aside.
pub(crate) fn timestamp_suffix() -> String {
    SystemClock.now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn replace_hint(file: &Path) -> &'static str {
    if file.exists() { " (`--replace` writes over it)" } else { "" }
}
