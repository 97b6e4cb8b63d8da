//! `watchfire explain TX`: the decoded tree, the verdict, and how every rule fared.

use super::session::{pool_of, stored};
use super::{Global, Outcome, Printer, book};
use crate::classify::{self, History};
use crate::escalate::{self, StepJudged};
use crate::model::record::Line;
use crate::model::{Activity, Judged, JudgedBlock, Role, Verdict};
use crate::pipeline;
use crate::settings::Secrets;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::watchlist::{Book, ChainBook};
use alloy_primitives::B256;
use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail};
use clap::Args;
use std::sync::Arc;

/// Show what a transaction does.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The transaction's hash.
    tx: B256,
    /// On which chain, where the configuration has several.
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
}

pub(crate) async fn explain(args: &Explain, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match book(global, Secrets::Resolve, printer) {
        Ok(book) => book,
        Err(outcome) => return Ok(outcome),
    };
    let chain = chosen(&book, args.chain.as_deref())?;
    let pool = pool_of(chain, &Metrics::default())?;
    let hash = pool.block_of(args.tx).await.context("ask for the transaction")?.with_context(|| {
        format!("{} does not know the transaction {}, or it is not in a block yet", pool.names(), args.tx)
    })?;
    let fetched = Box::pin(pool.get(hash)).await.context("fetch the transaction's block")?;
    // Windows as they stand now: what the same rule vouched for since then counts as well, and that is said.
    let history = windows(&book, chain).await?;
    // What is known of the state is of today, and says nothing of a block of the past.
    let subjects = Arc::new((*chain.subjects).clone().without_state());
    let chain = &ChainBook { subjects, ..chain.clone() };
    let judged = pipeline::examine(&fetched.block, chain, &book, &history, &pool).await.judged;
    let ours: Vec<usize> = (0..judged.judged.len()).filter(|at| judged.judged[*at].activity.tx == args.tx).collect();
    if ours.is_empty() {
        printer.progress("the transaction touches none of the watched addresses");
        return Ok(Outcome::Calm);
    }
    for at in &ours {
        if printer.is_json() {
            json(&judged, *at, &book, chain, printer);
        } else {
            show(&judged, *at, &book, &history, printer);
        }
    }
    let found = ours.iter().any(|at| matches!(judged.judged[*at].verdict, Verdict::Abnormal(_)));
    Ok(if found { Outcome::Findings } else { Outcome::Calm })
}

pub(crate) fn chosen<'a>(book: &'a Book, name: Option<&str>) -> anyhow::Result<&'a ChainBook> {
    let known = || book.chains.iter().map(|chain| &*chain.info.name).collect::<Vec<_>>().join(", ");
    match (name, book.chains.as_slice()) {
        (Some(name), _) => {
            book.chain(name).with_context(|| format!("there is no chain `{name}`; the configuration has {}", known()))
        }
        (None, [only]) => Ok(only),
        (None, _) => bail!("say with --chain which of {}", known()),
    }
}

async fn windows(book: &Book, chain: &ChainBook) -> anyhow::Result<History> {
    if !book.store.exists() {
        return Ok(History::default());
    }
    let store = Store::open(&book.store).await.context("open the store")?;
    if stored(&store, chain.info.id).await?.is_none() {
        return Ok(History::default());
    }
    pipeline::remembered(&store, chain).await
}

fn json(block: &JudgedBlock, at: usize, book: &Book, chain: &ChainBook, printer: &Printer) {
    let judged = &block.judged[at];
    let Some(watch) = book.watch(judged.activity.watch) else { return };
    let step = StepJudged { chain: &chain.info, retract: &[], blocks: std::slice::from_ref(block) };
    let line = escalate::verdict_line(&step, block, judged, watch, &book.roster, None, None);
    printer.line(&Line::Verdict(Box::new(line)));
}

/// One activity: what it is, the verdict, and every rule's trial.
fn show(block: &JudgedBlock, at: usize, book: &Book, history: &History, printer: &Printer) {
    let Judged { activity, verdict } = &block.judged[at];
    let Some(watch) = book.watch(activity.watch) else { return };
    let headline = escalate::headline(activity, watch, &book.roster);
    let indent = "  ".repeat(depth(activity));
    let (tag, by) = match verdict {
        Verdict::Normal { by } => (printer.paint(AnsiColor::Green.on_default(), "normal   "), by.to_string()),
        Verdict::Abnormal(abnormal) => {
            let severity = format!("{:<9}", abnormal.severity);
            let told = abnormal.repeats.map_or(abnormal.rule.to_string(), |of| {
                format!("{} of {}", abnormal.rule, block.judged[of].activity.position)
            });
            (printer.paint(super::printer::loud(abnormal.severity.as_str()), &severity), told)
        }
    };
    let dim = Style::new().dimmed();
    printer.text(&format!(
        "{tag} {indent}{} {:<12} {headline}  {}",
        activity.kind.as_str(),
        activity.position.to_string(),
        printer.paint(dim, &format!("by {by}"))
    ));
    for arg in &activity.deed.args {
        printer.text(&format!("{:12}{indent}{}", "", printer.paint(dim, &arg.to_string())));
    }
    if let Some((code, abi)) = activity.runs() {
        let read_by = abi.map_or_else(String::new, |abi| format!(", read by {abi}"));
        let text = format!("runs the code of {code}{read_by}");
        printer.text(&format!("{:12}{indent}{}", "", printer.paint(dim, &text)));
    }
    if let Verdict::Abnormal(abnormal) = verdict
        && abnormal.repeats.is_none()
    {
        for reason in &abnormal.reasons {
            printer.text(&format!("{:12}{indent}why: {reason}", ""));
        }
    }
    if activity.role == Role::Leaf
        && let Some(rules) = book.rules.watches.get(activity.watch.index())
    {
        for trial in classify::trials(activity, rules, history, block.time) {
            let held = if trial.holds() { "holds".to_owned() } else { refusals(&trial) };
            printer.text(&format!("{:12}{indent}rule `{}` {held}", "", trial.rule));
        }
    }
}

fn refusals(trial: &classify::Trial) -> String {
    let refusals: Vec<String> =
        trial.refusals.iter().map(|refusal| format!("{} {}", refusal.condition, refusal.text)).collect();
    format!("does not: {}", refusals.join("; "))
}

fn depth(activity: &Activity) -> usize {
    activity.via.len()
}
