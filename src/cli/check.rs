//! `watchfire check`: every problem at once, the watchlists' own tests, and what would happen for each function.

use super::{Global, Outcome, Printer, book};
use crate::classify::builtin::BUILTINS;
use crate::settings::Secrets;
use crate::watchlist::{self, Book};
use anstyle::AnsiColor;
use clap::Args;
use std::fmt::Write as _;

/// Check the configuration.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Fetch secrets too, to see that each is there.
    #[arg(long)]
    secrets: bool,
    /// Say for every function what would vouch for it, and what it costs otherwise.
    #[arg(long)]
    coverage: bool,
}

pub(crate) fn check(args: &Check, global: &Global, printer: &Printer) -> Outcome {
    let secrets = if args.secrets { Secrets::Resolve } else { Secrets::NamesOnly };
    let book = match book(global, secrets, printer) {
        Ok(book) => book,
        Err(outcome) => return outcome,
    };
    let outcomes = watchlist::run_tests(&book);
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    if printer.is_json() {
        json(&book, &outcomes, printer);
    } else {
        for outcome in &outcomes {
            let tag = if outcome.passed() {
                printer.paint(AnsiColor::Green.on_default(), "pass")
            } else {
                printer.paint(AnsiColor::Red.on_default().bold(), "FAIL")
            };
            printer.text(&format!("{tag}  {}: {}", outcome.watch, outcome.name));
            for line in &outcome.differences {
                printer.text(&format!("      {line}"));
            }
        }
        if args.coverage {
            coverage(&book, printer);
        }
        printer.text(&format!(
            "{} watches on {} chains, {} rules, {} paths, {} destinations; {} of {} tests pass",
            book.watches.len(),
            book.chains.len(),
            book.rules.watches.iter().map(|watch| watch.rules.len()).sum::<usize>(),
            book.roster.paths.len(),
            book.destinations.len(),
            outcomes.len() - failed,
            outcomes.len()
        ));
    }
    if failed == 0 { Outcome::Calm } else { Outcome::Unknown }
}

/// What would happen, function by function.
fn coverage(book: &Book, printer: &Printer) {
    let mut shown = None;
    for row in watchlist::coverage(book) {
        if shown.as_ref() != Some(&row.watch) {
            printer.text(&format!("\n{}", printer.paint(AnsiColor::Cyan.on_default().bold(), &row.watch)));
            shown = Some(row.watch.clone());
        }
        let mut line = format!("  {:<5} {:<64}", row.kind.as_str(), row.function);
        if row.rules.is_empty() {
            let _ = write!(line, " {} by {}", row.severity, row.builtin);
        } else {
            let _ = write!(line, " {}, else {}", row.rules.join(", "), row.severity);
        }
        printer.text(&line);
    }
    printer.text(&format!("\n{}", printer.paint(AnsiColor::Cyan.on_default().bold(), "built-ins")));
    for builtin in BUILTINS {
        let does = if builtin.vouches { "vouches" } else { "raises" };
        printer.text(&format!("  {:<28} {does:<8} {}", builtin.name, builtin.about));
    }
    printer.text("");
}

fn json(book: &Book, outcomes: &[watchlist::TestOutcome], printer: &Printer) {
    for outcome in outcomes {
        printer.json(&serde_json::json!({
            "type": "test", "watch": outcome.watch, "name": outcome.name, "passed": outcome.passed(),
            "differences": outcome.differences,
        }));
    }
    for row in watchlist::coverage(book) {
        printer.json(&serde_json::json!({
            "type": "coverage", "watch": row.watch, "activity": row.kind.as_str(), "function": row.function,
            "rules": row.rules, "severity": row.severity.as_str(), "builtin": row.builtin,
        }));
    }
}
