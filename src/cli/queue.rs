//! `watchfire queue`: transactions in the queues of watched Safes, as last seen by `run`, and the verdicts on them.
//!
//! All data comes from the store. No service and no node is asked, so a responder can read it wherever the file is.

use super::{Global, Outcome, Printer, load_config_and_store};
use crate::model::proposals::{Remembered, Waits};
use crate::model::record::VerdictLine;
use crate::model::{BlindnessKind, IncidentScope, Severity, WatchInfo};
use crate::store::{Filter, Store};
use crate::watchlist::Config;
use anstyle::AnsiColor;
use anyhow::Context as _;
use clap::Args;
use serde_json::json;

/// Show the transactions in the queues of watched Safes.
#[derive(Debug, Args)]
pub(crate) struct Queue {
    /// Only this watch, by its label.
    #[arg(value_name = "WATCH")]
    watch: Option<String>,
    /// Include transactions that were executed, replaced or withdrawn.
    #[arg(long)]
    all: bool,
}

/// A queued transaction with the judgement on it.
struct Shown {
    one: Remembered,
    /// Effects of the transaction and problems with it, one line each, the highest severity first.
    said: Vec<(Option<Severity>, String)>,
    findings: Vec<String>,
    severity: Option<Severity>,
}

pub(crate) async fn run_proposals(args: &Queue, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let (book, store) = match load_config_and_store(global, printer).await? {
        Ok(opened) => opened,
        Err(outcome) => return Ok(outcome),
    };
    let queued = book.queues.iter().flat_map(|queue| &queue.safes).filter_map(|id| book.watch(*id));
    let wanted: Vec<&WatchInfo> =
        queued.filter(|watch| args.watch.as_ref().is_none_or(|label| *watch.label == **label)).collect();
    if let (Some(label), true) = (&args.watch, wanted.is_empty()) {
        anyhow::bail!("no Safe called `{label}` has a queue that is looked at");
    }
    let (mut n, mut unseen) = (0, unseen_services(&book, &store, &wanted).await?);
    for watch in &wanted {
        let kept =
            store.load_proposals(watch.chain.id, watch.address).await.context("failed to read what is queued")?;
        let mut shown: Vec<Remembered> = kept.remembered;
        shown.retain(|one| args.all || one.waits == Waits::Queued);
        shown.sort_by_key(|one| (one.waits != Waits::Queued, one.nonce));
        n += shown.len();
        for one in shown {
            print_proposal(watch, &load_last_verdict(&store, watch, one).await?, printer);
        }
        if kept.looked_at.is_none() {
            unseen.push(format!("{}: its queue was not looked at yet", watch.label));
        }
    }
    for unseen in &unseen {
        if printer.is_json() {
            printer.json(&json!({ "type": "note", "note": unseen }));
        } else {
            printer.text(unseen);
        }
    }
    if n == 0 && !printer.is_json() {
        match (wanted.is_empty(), unseen.is_empty()) {
            (true, _) => printer.text("no queue is looked at: write a `[safe-service.NAME]`"),
            (false, true) => printer.text("nothing waits"),
            (false, false) => printer.text("nothing waits as far as was seen"),
        }
    }
    Ok(if unseen.is_empty() { Outcome::Calm } else { Outcome::Unknown })
}

/// Returns the services that currently do not show the queues of these watches, as recorded by `run`.
async fn unseen_services(book: &Config, store: &Store, wanted: &[&WatchInfo]) -> anyhow::Result<Vec<String>> {
    let mut unseen = Vec::new();
    let queues = book.queues.iter().filter(|queue| wanted.iter().any(|watch| watch.chain.id == queue.chain.id));
    for queue in queues {
        let live = Filter { scope: Some(IncidentScope::Chain(queue.chain.id)), ..Filter::live_only() };
        for incident in store.list_incidents(live).await.context("failed to read whether services answer")? {
            let Some(blindness) = incident.origin.outage() else { continue };
            if BlindnessKind::OF_SERVICES.contains(&blindness.kind) && blindness.over.is_none() {
                unseen.push(incident.page.headline.clone());
            }
        }
    }
    Ok(unseen)
}

/// Returns the latest judgement on a transaction, part by part.
async fn load_last_verdict(store: &Store, watch: &WatchInfo, one: Remembered) -> anyhow::Result<Shown> {
    let lines = store.lines_of(watch.chain.id, one.hash).await.context("failed to read what was judged")?;
    let findings = store.findings_by(watch.chain.id, one.hash).await.context("failed to read findings")?;
    let severity = findings.iter().map(|finding| finding.severity).max();
    let mut said: Vec<(Option<Severity>, String)> =
        findings.iter().map(|finding| (Some(finding.severity), finding.headline.clone())).collect();
    // Lists the acts of the transaction, unless they are findings and listed already.
    let acts = lines.iter().filter(|line| line.activity == "act" && line.verdict == "normal");
    let newest = acts.fold(Vec::<&VerdictLine>::new(), |mut newest, line| {
        newest.retain(|known| known.position != line.position);
        newest.push(line);
        newest
    });
    said.extend(newest.into_iter().map(|line| (None, line.headline.clone())));
    said.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    let findings = findings.iter().map(|finding| finding.id.to_string()).collect();
    Ok(Shown { one, said, findings, severity })
}

fn print_proposal(watch: &WatchInfo, shown: &Shown, printer: &Printer) {
    let Shown { one, said, findings, severity } = shown;
    let progress = one.progress;
    if printer.is_json() {
        return printer.json_object(json!({
            "type": "queued", "chain": &*watch.chain.name, "watch": &*watch.label, "address": watch.address.to_checksum(None),
            "tx": format!("{:#x}", one.hash), "nonce": one.nonce.to_string(), "waits": one.waits.as_str(),
            "confirmed": progress.confirmed, "threshold": progress.threshold, "executable": progress.is_executable(),
            "verdict": if severity.is_some() { "abnormal" } else { "normal" },
            "severity": severity.map(Severity::as_str), "finding_ids": findings,
            "headlines": said.iter().map(|(_, text)| text).collect::<Vec<_>>(),
        }));
    }
    let word = match severity {
        Some(severity) => printer.paint(super::printer::severity_style(severity.as_str()), &format!("{severity:<9}")),
        None => printer.paint(AnsiColor::Green.on_default(), &format!("{:<9}", "normal")),
    };
    let state = if one.waits == Waits::Queued {
        progress.to_string()
    } else {
        format!("nonce {}, {}", one.nonce, one.waits.as_str())
    };
    printer.text(&format!("{word} {} on {}: {state}", watch.label, watch.chain.name));
    for (_, text) in said {
        printer.text(&format!("          {text}"));
    }
    printer.text(&format!("          {:#x}", one.hash));
}
