//! `tape info`: contents of a tape, and whether it is complete.

use crate::cli::{Outcome, Printer};
use crate::model::text::format_count;
use crate::settings::show_duration;
use crate::tape::{self, Inspection};
use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The tape.
    file: PathBuf,
    /// Accept blocks that contradict their own hash, for example those of a development chain that impersonates
    /// accounts.
    #[arg(long)]
    unverified: bool,
}

pub(super) fn run_info(args: &Info, printer: &Printer) -> anyhow::Result<Outcome> {
    let size = std::fs::metadata(&args.file).map(|file| file.len());
    let size = size.with_context(|| format!("failed to read {}", args.file.display()))?;
    let survey = Inspection::from_reader(
        tape::open_tape(&args.file).with_context(|| format!("failed to read {}", args.file.display()))?,
    );
    if printer.is_json() {
        printer.json(&inspection_json(&survey, size));
    } else {
        printer.text(&inspection_text(&survey, size));
    }
    Ok(if survey.broken.is_some() || (!args.unverified && !survey.refused.is_empty()) {
        Outcome::Unknown
    } else {
        Outcome::Calm
    })
}

fn inspection_json(survey: &Inspection, size: u64) -> Value {
    let traces: Value = survey.traces.iter().map(|(method, n)| (method.name().to_owned(), Value::from(*n))).collect();
    let refused: Vec<Value> =
        survey.refused.blocks.iter().map(|(block, why)| json!({ "block": block, "why": why })).collect();
    let mut line = json!({
        "type": "tape", "version": survey.version, "packing": survey.packing.name(), "chain": survey.head.chain.0,
        "note": survey.head.note, "whole": survey.is_whole(), "stretches": survey.n_stretches, "blocks": survey.n_blocks,
        "transactions": survey.n_txs, "logs": survey.n_logs, "reorgs": survey.n_reorgs,
        "retracted": survey.n_retracted, "verified": survey.n_verified, "unproven": survey.n_unproven,
        "refused": refused, "reads": survey.n_reads, "traces": traces, "captions": survey.n_captions,
        "promotions": survey.n_promotions, "faults": survey.troubles, "notes": survey.notes,
        "bytes": size, "bytes_unpacked": survey.n_bytes,
    });
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            line[key] = value;
        }
    };
    add("began", survey.head.began.map(|began| began.to_string().into()));
    add("from_block", survey.numbers.map(|(from, _)| from.into()));
    add("to_block", survey.numbers.map(|(_, to)| to.into()));
    add("from_time", survey.times.and_then(|(from, _)| rfc_3339(from)).map(Value::from));
    add("to_time", survey.times.and_then(|(_, to)| rfc_3339(to)).map(Value::from));
    add("seconds", survey.lasted.map(|lasted| lasted.as_secs_f64().into()));
    add("cut_after_line", survey.cut.map(Value::from));
    add("error", survey.broken.as_deref().map(Value::from));
    line
}

fn inspection_text(survey: &Inspection, size: u64) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(format!("{name:<13}{value}"));
    row("tape", format!("version {}, chain {}", survey.version, survey.head.chain.0));
    if !survey.head.note.is_empty() {
        row("note", survey.head.note.clone());
    }
    if let Some(began) = survey.head.began {
        let lasted = survey.lasted.map(|lasted| format!(", for {}", show_duration(whole_seconds(lasted))));
        row("recorded", format!("from {began}{}", lasted.unwrap_or_default()));
    }
    if let (Some((from, to)), Some(times)) = (survey.numbers, survey.times) {
        row(
            "blocks",
            format!(
                "{}, {from} to {to}, in {}",
                survey.n_blocks,
                format_count(survey.n_stretches, "stretch", "stretches")
            ),
        );
        if let (Some(from), Some(to)) = (rfc_3339(times.0), rfc_3339(times.1)) {
            row("block times", format!("{from} to {to}"));
        }
    } else {
        row("blocks", "none".to_owned());
    }
    row(
        "contents",
        format!(
            "{}, {}",
            format_count(survey.n_txs, "transaction", "transactions"),
            format_count(survey.n_logs, "log", "logs")
        ),
    );
    row(
        "reorgs",
        match survey.n_reorgs {
            0 => "none".to_owned(),
            n => format!("{n}, which took back {}", format_count(survey.n_retracted, "block", "blocks")),
        },
    );
    let unproven = match survey.n_unproven {
        0 => String::new(),
        n => format!(", {n} that are newer than this program"),
    };
    row("verified", format!("{} of {}{unproven}", survey.n_verified, format_count(survey.n_blocks, "block", "blocks")));
    for (block, why) in &survey.refused.blocks {
        row("refused", format!("block {block}: {why}"));
    }
    if survey.refused.n_more > 0 {
        row("", format!("and {} more", survey.refused.n_more));
    }
    row("reads", survey.n_reads.to_string());
    row(
        "traces",
        match survey.traces.is_empty() {
            true => "none".to_owned(),
            false => {
                let traces = survey
                    .traces
                    .iter()
                    .map(|(method, n)| format!("{} by {}", format_count(*n, "block", "blocks"), method.name()));
                traces.collect::<Vec<_>>().join(", ")
            }
        },
    );
    row(
        "finality",
        match survey.n_promotions {
            0 => "not told".to_owned(),
            n => format!("moved {}", format_count(n, "time", "times")),
        },
    );
    if survey.n_captions > 0 {
        row("captions", survey.n_captions.to_string());
    }
    if !survey.troubles.is_empty() {
        let troubles = survey.troubles.iter().map(|(kind, n)| format!("{kind} {}", format_count(*n, "time", "times")));
        row("blind", troubles.collect::<Vec<_>>().join(", "));
    }
    for note in &survey.notes {
        row("remark", note.clone());
    }
    if survey.n_more_notes > 0 {
        row("", format!("and {} more", survey.n_more_notes));
    }
    row("size", format!("{size} bytes, {} unpacked ({})", survey.n_bytes, survey.packing.name()));
    row(
        "whole",
        match (&survey.broken, survey.cut) {
            (Some(why), _) => format!("no: it cannot be read beyond this: {why}"),
            (None, Some(line)) => format!("no: it is cut short after line {line}, and good up to there"),
            (None, None) => "yes".to_owned(),
        },
    );
    rows.join("\n")
}

/// Tapes last minutes or days, so fractions of a second are dropped.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

fn rfc_3339(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(seconds).ok()?;
    Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}
