//! `watchfire explain TX`: the decoded tree, the verdict, and the result of every rule.

use super::tape::{load_tape, refuse_false};
use super::{Global, Outcome, Printer, load_config};
use crate::app::{checks_of, pool_of, stored_window};
use crate::classify::{self, History};
use crate::escalate::{self, StepJudged};
use crate::model::record::Line;
use crate::model::{Activity, Judged, JudgedBlock, Role, Verdict, Voucher};
use crate::pipeline;
use crate::settings::Secrets;
use crate::source::{Deadlines, Endpoint, Node, Pool};
use crate::store::Store;
use crate::tape::{Pace, TapeServer};
use crate::telemetry::Metrics;
use crate::watchlist::{ChainBook, Config};
use alloy_primitives::B256;
use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// Show what a transaction does.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Hash of the transaction, or its address at an explorer.
    #[arg(value_parser = parse_tx)]
    tx: Tx,
    /// Name of the chain, if the configuration has several.
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Look for it on this tape instead of asking the chain's endpoints.
    #[arg(long, value_name = "FILE", conflicts_with = "chain")]
    tape: Option<PathBuf>,
}

/// A transaction as it is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tx {
    hash: B256,
    /// Host of the explorer in the address; it identifies the chain.
    explorer: Option<String>,
}

/// Reads a hash, alone or within an explorer's address such as `https://etherscan.io/tx/0x…#eventlog`.
fn parse_tx(text: &str) -> Result<Tx, String> {
    let text = text.trim();
    let url = Url::parse(text).ok().filter(Url::has_host);
    let explorer = url.as_ref().and_then(Url::host_str).map(str::to_owned);
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
    let digits = |part: &str| part.strip_prefix("0x").unwrap_or(part).to_owned();
    let hex = |part: &&str| digits(part).bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = parts.filter(hex).collect();
    if let Some(hash) = parts.iter().find_map(|part| digits(part).parse().ok()) {
        return Ok(Tx { hash, explorer });
    }
    Err(match parts.iter().map(|part| digits(part).len()).max() {
        Some(40) => "that is an address; a transaction's hash has 64 hexadecimal digits behind its `0x`".to_owned(),
        Some(n) if n >= 8 => {
            format!("a transaction's hash has 64 hexadecimal digits behind its `0x`, and here are {n}")
        }
        _ => "write a transaction's hash, `0x` and 64 hexadecimal digits, or an explorer's address of it".to_owned(),
    })
}

/// Place where a transaction is looked up: the chain, its endpoints, and the server of a played tape.
struct Found<'a> {
    chain: &'a ChainBook,
    pool: Pool,
    _server: Option<TapeServer>,
}

/// The endpoints of the chain, or the tape, that the arguments name.
async fn resolve_source<'a>(args: &Explain, book: &'a Config, printer: &Printer) -> anyhow::Result<Found<'a>> {
    let Some(file) = &args.tape else {
        let by_explorer = args.tx.explorer.as_deref().and_then(|host| find_explorer_chain(book, host));
        let chain = match by_explorer.filter(|_| args.chain.is_none()) {
            Some(chain) => chain,
            None => select_chain(book, args.chain.as_deref())?,
        };
        return Ok(Found { chain, pool: pool_of(chain, &Metrics::default())?, _server: None });
    };
    let tape = load_tape(file, printer)?;
    let Some(chain) = book.chains.iter().find(|chain| chain.info.id == tape.head.chain) else {
        bail!("the tape is of chain {}, which the configuration does not have", tape.head.chain);
    };
    if checks_of(chain).verify {
        refuse_false(&tape, printer)?;
    }
    let server = TapeServer::start(chain.info.id, tape.join_stretches(), Pace::AtOnce)
        .await
        .context("failed to serve the tape")?;
    let endpoint = Endpoint { name: "tape".into(), url: server.url().to_owned().into() };
    let node = Node::new(&endpoint, chain.info.id, Deadlines::default()).context("failed to use the tape's server")?;
    Ok(Found { chain, pool: node.with_checks(checks_of(chain)).into(), _server: Some(server) })
}

/// Returns the only chain whose explorer is at this host.
fn find_explorer_chain<'a>(book: &'a Config, host: &str) -> Option<&'a ChainBook> {
    let at = |chain: &&ChainBook| {
        let explorer = chain.info.explorer.as_deref().and_then(|text| Url::parse(text).ok());
        explorer.is_some_and(|url| url.host_str() == Some(host))
    };
    let mut chains = book.chains.iter().filter(at);
    chains.next().filter(|_| chains.next().is_none())
}

pub(crate) async fn run_explain(args: &Explain, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match load_config(global, Secrets::OnUse, printer) {
        Ok(book) => book,
        Err(outcome) => return Ok(outcome),
    };
    let tx = args.tx.hash;
    let Found { chain, pool, _server } = resolve_source(args, &book, printer).await?;
    let hash = pool.block_of(tx).await.context("failed to ask for the transaction")?.with_context(|| {
        format!("{} does not know the transaction {tx}, or it is not in a block yet", pool.endpoint_names())
    })?;
    let fetched = Box::pin(pool.get(hash)).await.context("failed to fetch the transaction's block")?;
    // The windows are the current ones: they also count what the same rule vouched for since then, and the output says
    // so.
    let history = if args.tape.is_some() { History::default() } else { load_history(&book, chain).await? };
    // Known state is today's and says nothing about a past block.
    let subjects = Arc::new((*chain.subjects).clone().without_state());
    let chain = &ChainBook { subjects, ..chain.clone() };
    let judged = pipeline::examine_block(&fetched.block, chain, &book, &history, &pool).await.judged;
    let ours: Vec<usize> = (0..judged.judged.len()).filter(|at| judged.judged[*at].activity.tx == tx).collect();
    if ours.is_empty() {
        printer.progress("the transaction touches none of the watched addresses");
        return Ok(Outcome::Calm);
    }
    for at in &ours {
        if printer.is_json() {
            print_verdict_json(&judged, *at, &book, chain, printer);
        } else {
            print_activity(&judged, *at, &book, &history, printer);
        }
    }
    let found = ours.iter().any(|at| matches!(judged.judged[*at].verdict, Verdict::Abnormal(_)));
    Ok(if found { Outcome::Findings } else { Outcome::Calm })
}

pub(crate) fn select_chain<'a>(book: &'a Config, name: Option<&str>) -> anyhow::Result<&'a ChainBook> {
    let known = || book.chains.iter().map(|chain| &*chain.info.name).collect::<Vec<_>>().join(", ");
    match (name, book.chains.as_slice()) {
        (Some(name), _) => {
            book.chain(name).with_context(|| format!("there is no chain `{name}`; the configuration has {}", known()))
        }
        (None, [only]) => Ok(only),
        (None, _) => bail!("say with --chain which of {}", known()),
    }
}

async fn load_history(book: &Config, chain: &ChainBook) -> anyhow::Result<History> {
    if Store::is_first_start(&book.store) {
        return Ok(History::default());
    }
    let store = Store::open(&book.store).await.context("failed to open the store")?;
    if stored_window(&store, chain.info.id).await?.is_none() {
        return Ok(History::default());
    }
    pipeline::load_history(&store, chain).await
}

fn print_verdict_json(block: &JudgedBlock, at: usize, book: &Config, chain: &ChainBook, printer: &Printer) {
    let judged = &block.judged[at];
    let Some(watch) = book.watch(judged.activity.watch) else { return };
    let step = StepJudged { chain: &chain.info, retract: &[], blocks: std::slice::from_ref(block) };
    let line = escalate::verdict_line(&step, block, judged, watch, &book.roster, None, None);
    printer.line(&Line::Verdict(Box::new(line)));
}

/// Prints one activity: a description, the verdict, and the result of every rule.
fn print_activity(block: &JudgedBlock, at: usize, book: &Config, history: &History, printer: &Printer) {
    let Judged { activity, verdict } = &block.judged[at];
    let Some(watch) = book.watch(activity.watch) else { return };
    let headline = escalate::activity_headline(activity, watch, &book.roster);
    let indent = "  ".repeat(via_depth(activity));
    let (tag, by) = match verdict {
        Verdict::Normal { by } => (printer.paint(AnsiColor::Green.on_default(), "normal   "), by.to_string()),
        Verdict::Abnormal(abnormal) => {
            let severity = format!("{:<9}", abnormal.severity);
            let told = abnormal.repeats.map_or(abnormal.rule.to_string(), |of| {
                format!("{} of {}", abnormal.rule, block.judged[of].activity.position)
            });
            (printer.paint(super::printer::severity_style(abnormal.severity.as_str()), &severity), told)
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
    if let Some((code, abi)) = activity.executed_code() {
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
    if is_judged_by_rules(activity, verdict)
        && let Some(rules) = book.rules.watches.get(activity.watch.index())
    {
        for trial in classify::evaluate_rules(activity, rules, history, block.time) {
            let held = if trial.holds() { "holds".to_owned() } else { describe_mismatches(&trial) };
            printer.text(&format!("{:12}{indent}rule `{}` {held}", "", trial.rule));
        }
    }
}

/// Checks whether the rules were applied to the activity: they are not applied to one that only repeats or follows from
/// another verdict.
fn is_judged_by_rules(activity: &Activity, verdict: &Verdict) -> bool {
    match (&activity.role, verdict) {
        (Role::Leaf, _) => true,
        (Role::Effect { .. }, Verdict::Normal { by }) => matches!(by, Voucher::Rule(_)),
        (Role::Effect { .. }, Verdict::Abnormal(abnormal)) => abnormal.repeats.is_none(),
        (Role::Envelope { .. }, _) => false,
    }
}

fn describe_mismatches(trial: &classify::RuleResult) -> String {
    let refusals: Vec<String> =
        trial.refusals.iter().map(|refusal| format!("{} {}", refusal.condition, refusal.text)).collect();
    format!("does not: {}", refusals.join("; "))
}

fn via_depth(activity: &Activity) -> usize {
    activity.via.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_named_by_its_hash_or_an_explorer_s_address() {
        let digits = "ab".repeat(32);
        let hash: B256 = digits.parse().unwrap();
        let cases = [
            (format!("0x{digits}"), None),
            (digits.clone(), None),
            (format!("https://etherscan.io/tx/0x{digits}#eventlog"), Some("etherscan.io")),
            (format!("https://eth.blockscout.com/tx/0x{digits}?tab=logs"), Some("eth.blockscout.com")),
            (format!("https://app.tenderly.co/tx/mainnet/0x{digits}/logs"), Some("app.tenderly.co")),
        ];
        for (text, explorer) in cases {
            assert_eq!(parse_tx(&text), Ok(Tx { hash, explorer: explorer.map(str::to_owned) }), "{text}");
        }
        assert!(parse_tx("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720").unwrap_err().starts_with("that is an address"));
        assert!(parse_tx("0xabcdef1234").unwrap_err().ends_with("and here are 10"));
        assert!(parse_tx("treasury").unwrap_err().starts_with("write a transaction's hash"));
    }
}
