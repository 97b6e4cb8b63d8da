//! `watchfire drift`: current differences between the chain and the configuration, and the closed and live incidents
//! about them that still apply.

use super::explain::select_chain;
use super::{Global, Outcome, Printer, load_config};
use crate::app::{find_exposures, pool_of};
use crate::decode;
use crate::escalate;
use crate::model::incident::Incident;
use crate::model::{Difference, Origin, difference};
use crate::pipeline::{Survey, detect_registry_drift, load_history};
use crate::settings::Secrets;
use crate::source::Pool;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::watchlist::{ChainBook, Config};
use anyhow::Context as _;
use clap::Args;
use serde_json::json;

/// Show where the chain differs from the configuration: registries, decimals of tokens, kinds of watches.
#[derive(Debug, Args)]
pub(crate) struct Drift {
    /// Only this chain.
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
}

pub(crate) async fn run_drift(args: &Drift, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match load_config(global, Secrets::Resolve, printer) {
        Ok(book) => book,
        Err(outcome) => return Ok(outcome),
    };
    let chains: Vec<&ChainBook> = match &args.chain {
        Some(name) => vec![select_chain(&book, Some(name))?],
        None => book.chains.iter().collect(),
    };
    let (mut differs, mut unknown) = (false, false);
    for chain in chains {
        let pool = pool_of(chain, &Metrics::default())?;
        let surveyed = survey_newest_block(&book, chain, &pool).await?;
        differs |= !surveyed.told.is_empty();
        unknown |= !surveyed.unread.is_empty();
        print_registry_drift(chain, &surveyed, printer);
        print_allowances(&book, chain, &pool, printer).await?;
    }
    Ok(match (unknown, differs) {
        (true, _) => Outcome::Unknown,
        (false, true) => Outcome::Findings,
        (false, false) => Outcome::Calm,
    })
}

/// Lists standing allowances of tokens that the configuration knows. They do not count as differences.
async fn print_allowances(book: &Config, chain: &ChainBook, pool: &Pool, printer: &Printer) -> anyhow::Result<()> {
    let (found, unlisted) = find_exposures(book, chain, |_| vec![], pool).await;
    for exposure in &found {
        if printer.is_json() {
            printer.json(&exposure.json_record(book));
        } else {
            printer.text(&format!("allowance  {}", exposure.sentence(book)));
        }
    }
    for (watch, why) in &unlisted {
        printer.progress(&format!("failed to list standing allowances of {}: {why}", watch.label));
    }
    Ok(())
}

/// Surveys the state at the newest block of a chain.
pub(super) async fn survey_newest_block<'b>(
    book: &'b Config,
    chain: &ChainBook,
    pool: &Pool,
) -> anyhow::Result<Survey<'b>> {
    let name = &chain.info.name;
    let head = pool.fetch_newest_head().await.with_context(|| format!("failed to ask {name} for its newest block"))?;
    let head = head.with_context(|| format!("{name} has no block yet"))?;
    Ok(detect_registry_drift(book, chain, head, pool).await)
}

pub(super) fn print_registry_drift(chain: &ChainBook, surveyed: &Survey<'_>, printer: &Printer) {
    let Survey { at, told, unread } = surveyed;
    for one in told {
        if printer.is_json() {
            let (item, is, should) = one.difference.as_ref().map_or((None, None, None), |difference| {
                (Some(difference.item.to_string()), Some(difference.is), Some(difference.should))
            });
            printer.json_object(json!({
                "type": "difference", "chain": &*chain.info.name, "block": at.number, "watch": &*one.watch.label,
                "address": one.watch.address.to_checksum(None), "severity": one.severity.as_str(), "item": item,
                "chain_says": is, "configuration_says": should, "headline": one.headline,
            }));
        } else {
            let loud = super::printer::severity_style(one.severity.as_str());
            let severity = printer.paint(loud, &format!("{:<9}", one.severity));
            printer.text(&format!("{severity} {}", one.headline));
        }
    }
    for watch in unread {
        if printer.is_json() {
            printer.json(&json!({ "type": "unread", "chain": &*chain.info.name, "watch": &*watch.label }));
        } else {
            printer.text(&format!("?         no endpoint tells all of the state of {}", watch.label));
        }
    }
    if !printer.is_json() && told.is_empty() && unread.is_empty() {
        printer.text(&format!("{} is as the configuration says at block {}", chain.info.name, at.number));
    }
}

/// Returns the registry drift of the watch of an incident, as last read; `None` if the incident is about something
/// else.
pub(super) async fn incident_differences(
    store: &Store,
    book: &Config,
    incident: &Incident,
) -> anyhow::Result<Option<Vec<(Difference, String)>>> {
    let Origin::Findings { watch: subject } = incident.origin else { return Ok(None) };
    let chain = book.chains.iter().find(|chain| chain.info.id == subject.chain);
    let watch = book.watches.iter().find(|watch| watch.watched_address() == subject);
    let is_about = incident.rules.iter().any(|rule| rule == difference::DRIFT);
    let (Some(chain), Some(watch), true) = (chain, watch, is_about) else { return Ok(None) };
    let history = load_history(store, chain).await?;
    let at = crate::model::BlockRef { number: 0, hash: alloy_primitives::B256::ZERO };
    let differences = decode::registry_differences(&chain.subjects, history.known_state(), watch.address).into_iter();
    Ok(Some(
        differences
            .map(|difference| {
                let activity = decode::activity_of(&difference, watch.id, at);
                let headline = escalate::activity_headline(&activity, watch, &book.roster);
                (difference, headline)
            })
            .collect(),
    ))
}
