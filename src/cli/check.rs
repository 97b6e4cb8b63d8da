//! `watchfire check`: all problems of a configuration, the watchlists' own tests, and the verdict for each function.

use super::{Global, Outcome, Printer, load_config};
use crate::classify::builtin::BUILTINS;
use crate::classify::rule::{Due, Rules};
use crate::model::text::format_count;
use crate::model::{Severity, Verdict, WatchId};
use crate::safe_service::monthly_requests;
use crate::settings::{Secrets, show_duration};
use crate::watchlist::check::{CoverageRow, Note, Otherwise, TestOutcome, config_notes, coverage_rows, run_tests};
use crate::watchlist::{Config, QueueBook};
use anstyle::AnsiColor;
use clap::Args;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Check the configuration.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Fetch the secrets too, to check that each one exists.
    #[arg(long)]
    secrets: bool,
    /// List for every function the rule that would vouch for it, and the severity without one.
    #[arg(long)]
    coverage: bool,
}

pub(crate) fn run_check(args: &Check, global: &Global, printer: &Printer) -> Outcome {
    let secrets = if args.secrets { Secrets::Resolve } else { Secrets::NamesOnly };
    let book = match load_config(global, secrets, printer) {
        Ok(book) => book,
        Err(outcome) => return outcome,
    };
    let outcomes = run_tests(&book);
    let failed = outcomes.iter().filter(|outcome| !outcome.has_passed()).count();
    for outcome in &outcomes {
        print_test_outcome(&book, outcome, printer);
    }
    if args.coverage {
        print_coverage(&book, printer);
    }
    for queue in &book.queues {
        print_proposal_watches(&book, queue, printer);
    }
    print_proxy_abis(&book, printer);
    for note in config_notes(&book) {
        print_note(&note, printer);
    }
    if !printer.is_json() {
        printer.text(&format!(
            "{} on {}, {}{}, {}, {}; {} of {} tests pass",
            format_count(book.watches.len(), "watch", "watches"),
            format_count(book.chains.len(), "chain", "chains"),
            format_count(book.rules.watches.iter().map(|watch| watch.rules.len()).sum::<usize>(), "rule", "rules"),
            describe_expected(&book),
            format_count(book.roster.paths.len(), "path", "paths"),
            format_count(book.destinations.len(), "destination", "destinations"),
            outcomes.len() - failed,
            outcomes.len()
        ));
    }
    if failed == 0 { Outcome::Calm } else { Outcome::Unknown }
}

/// Returns the number of expectations as text; empty if there are none.
fn describe_expected(book: &Config) -> String {
    let n: usize = book.rules.watches.iter().map(|watch| watch.expected.len()).sum();
    if n == 0 { String::new() } else { format!(", {}", format_count(n, "expectation", "expectations")) }
}

fn watch_label(book: &Config, watch: WatchId) -> &str {
    book.watch(watch).map_or("?", |watch| &watch.label)
}

fn print_test_outcome(book: &Config, outcome: &TestOutcome, printer: &Printer) {
    let watch = watch_label(book, outcome.watch);
    if printer.is_json() {
        return printer.json(&json!({
            "type": "test", "watch": watch, "name": &*outcome.name, "passed": outcome.has_passed(), "failures": outcome.failures,
        }));
    }
    if outcome.has_passed() {
        return printer.text(&format!(
            "{}  {watch}: {}",
            printer.paint(AnsiColor::Green.on_default(), "pass"),
            outcome.name
        ));
    }
    let (line, column) = outcome.spot.line_column();
    let tag = printer.paint(AnsiColor::Red.on_default().bold(), "FAIL");
    printer.text(&format!("{tag}  {watch}: {}  ({}:{line}:{column})", outcome.name, outcome.spot.file.path));
    for failure in &outcome.failures {
        printer.text(&format!("      {failure}"));
    }
    if let Verdict::Abnormal(abnormal) = &outcome.verdict {
        for reason in &abnormal.reasons {
            printer.text(&format!("      {reason}"));
        }
    }
}

/// Prints the Safes whose queues are read, and how often.
fn print_proposal_watches(book: &Config, queue: &QueueBook, printer: &Printer) {
    let (service, chain) = (&queue.service, &queue.chain.name);
    let safes: Vec<&str> = queue.safes.iter().map(|id| watch_label(book, *id)).collect();
    let (hot, cold) = (show_duration(service.hot), show_duration(service.cold));
    // The traffic is not known in advance. The quota used without activity, and the quota added by one busy hour of a
    // Safe, are known.
    let (quiet, hour) =
        (monthly_requests(safes.len(), service.cold), monthly_requests(1, service.hot).div_ceil(30 * 24));
    if printer.is_json() {
        return printer.json(&json!({
            "type": "queues", "service": &*service.name, "chain": &**chain, "watches": safes, "hot": hot, "cold": cold,
            "requests_per_month": service.requests_per_month, "takes_per_month": quiet, "takes_per_busy_hour": hour,
        }));
    }
    printer.text(&format!(
        "queue {chain}: {} through {}, every {cold}, and every {hot} while something happens; {quiet} of {} requests a month while \
         nothing does, {hour} for an hour in which something does at one",
        format_count(safes.len(), "Safe", "Safes"),
        service.name,
        service.requests_per_month
    ));
}

/// Prints the ABI used for the code behind each proxy, where a watch names one.
fn print_proxy_abis(book: &Config, printer: &Printer) {
    for watch in &*book.watches {
        let chain = book.chains.iter().find(|chain| chain.info.id == watch.chain.id);
        let Some(versions) = chain.and_then(|chain| chain.subjects.versions_of(&watch.address)) else { continue };
        for (code, version) in versions.all() {
            if printer.is_json() {
                let abi = version.name.as_deref();
                printer.json_object(json!({ "type": "implementation", "watch": &*watch.label, "address": code.to_checksum(None), "abi": abi }));
                continue;
            }
            let abi =
                version.name.as_deref().map_or_else(|| "the watch's own ABI".to_owned(), |name| format!("`{name}`"));
            printer.text(&format!("code  {}: {code} is read by {abi}", watch.label));
        }
    }
}

/// Prints a note: a possible improvement, not a mistake.
fn print_note(note: &Note, printer: &Printer) {
    if printer.is_json() {
        return printer.json_object(json!({
            "type": "note", "chain": note.chain.as_deref(), "place": note.place.as_deref(), "note": note.text,
        }));
    }
    let about = note.chain.as_deref().or(note.place.as_deref()).unwrap_or_default();
    printer.text(&format!("{}  {about}: {}", printer.paint(AnsiColor::Yellow.on_default(), "note"), note.text));
}

/// Prints what would happen for each function, and the list of built-ins.
fn print_coverage(book: &Config, printer: &Printer) {
    let heading = |text: &str| printer.text(&format!("\n{}", printer.paint(AnsiColor::Cyan.on_default().bold(), text)));
    let mut shown = None;
    for row in coverage_rows(book) {
        if printer.is_json() {
            printer.json(&json!({
                "type": "coverage", "watch": watch_label(book, row.watch), "activity": row.kind.as_str(), "function": &*row.function,
                "to_itself": row.to_itself, "vouched_by": rule_names(&row.vouched_by), "raised_by": rule_names(&row.raised_by),
                "otherwise": describe_default_verdict(&row),
            }));
            continue;
        }
        if shown != Some(row.watch) {
            heading(watch_label(book, row.watch));
            shown = Some(row.watch);
        }
        let own = if row.to_itself { " on itself" } else { "" };
        let mut says: Vec<String> = row.raised_by.iter().map(|rule| format!("raised by {rule}")).collect();
        says.extend(row.vouched_by.iter().map(|rule| format!("vouched for by {rule}")));
        says.push(if says.is_empty() {
            describe_default_verdict(&row)
        } else {
            format!("else {}", describe_default_verdict(&row))
        });
        printer.text(&format!(
            "  {:<5} {:<60} {}",
            row.kind.as_str(),
            format!("{}{own}", row.function),
            says.join(", ")
        ));
    }
    print_expected(&book.rules, book, printer);
    if printer.is_json() {
        return;
    }
    heading("built-ins");
    for builtin in BUILTINS {
        let does = if builtin.vouches { "vouches" } else { "raises" };
        printer.text(&format!("  {:<28} {does:<8} {}", builtin.name, builtin.about));
    }
    printer.text("");
}

/// Prints each expected action and the severity of the finding if it does not come.
fn print_expected(rules: &Rules, book: &Config, printer: &Printer) {
    for (rules, expected) in rules.watches.iter().flat_map(|rules| rules.expected.iter().map(move |e| (rules, e))) {
        let due = match &expected.due {
            Due::Every { text, .. } => format!("every {text}"),
            Due::By(weekly) => format!("by {}", weekly.text),
        };
        let grace = show_duration(Duration::from_secs(expected.grace));
        let rule = &expected.rule;
        let (watch, function) = (watch_label(book, rules.watch), rule.deed.watchlist_text());
        let severity = rule.severity.unwrap_or(Severity::High);
        if printer.is_json() {
            printer.json(&json!({
                "type": "expectation", "watch": watch, "name": &*rule.name, "activity": rule.kind.as_str(),
                "function": &*function, "due": due, "grace": grace, "severity": severity.as_str(),
            }));
            continue;
        }
        let what = format!("{} {function}", rule.kind.as_str());
        printer.text(&format!("  {watch}: {what} {due}, {grace} of grace, else {severity} by {}", rule.name));
    }
}

fn rule_names(rules: &[Arc<str>]) -> Vec<&str> {
    rules.iter().map(|rule| &**rule).collect()
}

fn describe_default_verdict(row: &CoverageRow) -> String {
    match &row.otherwise {
        Otherwise::Normal(builtin) => format!("normal by {builtin}"),
        Otherwise::Envelope => "judged by what it carries".to_owned(),
        Otherwise::Finding { by, severity } => format!("{severity} by {by}"),
    }
}
