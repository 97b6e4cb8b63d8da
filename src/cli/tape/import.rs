//! `tape import`: makes a tape of blocks recorded by other tools.

use crate::cli::{Outcome, Printer};
use crate::model::ChainId;
use crate::model::text::format_count;
use crate::tape::{self, Head, ImportError, TapeCompression, Writer};
use anyhow::{Context as _, bail};
use clap::Args;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The tape to write; packed with zstd if its name ends in .zst, with gzip otherwise.
    file: PathBuf,
    /// Files and directories to import (.json, .jsonl, .ndjson, also with .gz or .zst): blocks, receipts and traces as
    /// returned by a node, together or in separate files.
    #[arg(required = true)]
    from: Vec<PathBuf>,
    /// EIP-155 id of the blocks' chain.
    #[arg(long, value_name = "ID", default_value_t = 1)]
    chain_id: u64,
    /// Content of the tape, in a sentence.
    #[arg(long, default_value = "")]
    note: String,
    /// Also import blocks that contradict their own hash, for example those of a development chain that impersonates
    /// accounts.
    #[arg(long)]
    unverified: bool,
}

pub(super) fn run_import(args: &Import, printer: &Printer) -> anyhow::Result<Outcome> {
    if args.file.exists() {
        bail!("{} is there already", args.file.display());
    }
    // A partial tape would look complete, so the file gets its final name only when it is complete.
    let mut part = args.file.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let imported = write_tape(args, &part);
    if imported.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    let imported = match imported {
        Ok(imported) => imported,
        Err(Failure::Flaws(error)) => {
            printer.progress(&error.to_string());
            bail!("nothing was imported");
        }
        Err(Failure::Other(error)) => return Err(error),
    };
    std::fs::rename(&part, &args.file).with_context(|| format!("failed to create {}", args.file.display()))?;
    let traced = if imported.n_traced > 0 { format!(", {} with traces", imported.n_traced) } else { String::new() };
    printer.progress(&format!(
        "wrote {}: {} in {}{traced}",
        args.file.display(),
        format_count(imported.n_blocks, "block", "blocks"),
        format_count(imported.n_stretches, "stretch", "stretches")
    ));
    Ok(Outcome::Calm)
}

/// Reason that nothing was imported: the files, whose errors are reported line by line, or the tape.
enum Failure {
    Flaws(ImportError),
    Other(anyhow::Error),
}

fn write_tape(args: &Import, part: &Path) -> Result<tape::Imported, Failure> {
    let file =
        File::create(part).with_context(|| format!("failed to create {}", part.display())).map_err(Failure::Other)?;
    let head = Head::new(ChainId(args.chain_id), args.note.clone());
    let tape =
        |error: tape::TapeError| Failure::Other(anyhow::Error::new(error).context("failed to write to the tape"));
    let mut writer =
        Writer::with_compression(BufWriter::new(file), &head, TapeCompression::for_path(&args.file)).map_err(tape)?;
    let proven = !args.unverified && tape::is_provable(head.chain);
    let imported = tape::import_files(&args.from, &mut writer, proven).map_err(|error| match error {
        ImportError::Tape(error) => tape(error),
        flaws @ ImportError::Flaws(_) => Failure::Flaws(flaws),
    })?;
    writer.finish().map_err(tape)?;
    Ok(imported)
}
