//! `watchfire probe`: capabilities of endpoints, and what stays unseen with them.

use super::explain::select_chain;
use super::{Global, Outcome, Printer, drift, load_config};
use crate::app::endpoint_gaps::{Found, Gap, by_tags, capability_gaps, probe_endpoint, probe_nodes};
use crate::app::pool_of;
use crate::model::state::{DECIMALS, KIND};
use crate::settings::Secrets;
use crate::source::{Capabilities, Deadlines, Endpoint, Node, Pool, Support};
use crate::telemetry::Metrics;
use crate::watchlist::{ChainBook, Config};
use anstyle::{AnsiColor, Style};
use clap::Args;
use futures::future::join_all;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use std::convert::Infallible;

/// Test the capabilities of endpoints.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// Addresses of endpoints, which are not printed; without one, the endpoints of the configuration are tested.
    // Any number of values is accepted, because an error about a surplus argument would print the address.
    #[arg(value_name = "URL", value_parser = parse_secret, conflicts_with = "chain")]
    urls: Vec<SecretString>,
    /// Only the endpoints of this chain.
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
}

fn parse_secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.to_owned().into())
}

pub(crate) async fn run_probe(args: &Probe, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    if !args.urls.is_empty() {
        let found = join_all(args.urls.iter().zip(1..).map(|(url, nth)| probe_url(url, nth))).await;
        return Ok(print_probe_results(None, &found, &[], printer));
    }
    let book = match load_config(global, Secrets::OnUse, printer) {
        Ok(book) => book,
        Err(outcome) => return Ok(outcome),
    };
    let chains: Vec<&ChainBook> = match &args.chain {
        Some(name) => vec![select_chain(&book, Some(name))?],
        None => book.chains.iter().collect(),
    };
    let (mut calm, mut fits) = (true, true);
    for chain in chains {
        let pool = pool_of(chain, &Metrics::default())?;
        let found = probe_nodes(pool.nodes()).await;
        calm &=
            print_probe_results(Some(chain), &found, &capability_gaps(&book, chain, &found), printer) == Outcome::Calm;
        if found.iter().any(|found| found.abilities.is_ok()) {
            fits &= check_config_fit(&book, chain, &pool, printer).await?;
        }
    }
    Ok(match (calm, fits) {
        (false, _) => Outcome::Unknown,
        (true, false) => Outcome::Findings,
        (true, true) => Outcome::Calm,
    })
}

/// Prints the tokens and watches of the configuration that do not match the chain, and returns whether all match.
async fn check_config_fit(book: &Config, chain: &ChainBook, pool: &Pool, printer: &Printer) -> anyhow::Result<bool> {
    let mut surveyed = drift::survey_newest_block(book, chain, pool).await?;
    surveyed.unread.clear();
    surveyed.told.retain(|told| {
        told.difference.as_ref().is_some_and(|difference| [DECIMALS, KIND].contains(&difference.item.name()))
    });
    let fits = surveyed.told.is_empty();
    if !fits {
        drift::print_registry_drift(chain, &surveyed, printer);
    }
    Ok(fits)
}

/// Probes the endpoint at an address that is in no configuration.
async fn probe_url(url: &SecretString, nth: usize) -> Found {
    let endpoint = Endpoint { name: format!("endpoint-{nth}").into(), url: url.clone() };
    match Box::pin(Node::discover_chain(&endpoint, Deadlines::default())).await {
        Ok(node) => probe_endpoint(node).await,
        Err(error) => Found { endpoint: endpoint.name, abilities: Err(error.to_string()) },
    }
}

/// Prints the results. Returns calm if every endpoint can do what is asked of it.
fn print_probe_results(chain: Option<&ChainBook>, found: &[Found], gaps: &[Gap<'_>], printer: &Printer) -> Outcome {
    let tags = chain.is_some_and(by_tags);
    for found in found {
        if printer.is_json() {
            printer.json_object(endpoint_record(chain, found));
        } else {
            print_endpoint(chain, found, tags, printer);
        }
    }
    for gap in gaps {
        if printer.is_json() {
            let watches: Vec<&str> = gap.watches.iter().map(|watch| &*watch.label).collect();
            let chain = chain.map(|chain| &*chain.info.name);
            printer
                .json_object(json!({ "type": "blind", "chain": chain, "watches": watches, "blind_to": gap.blind_to }));
        } else {
            gap.lines().for_each(|line| printer.text(&line));
        }
    }
    let able =
        |found: &Found| found.abilities.as_ref().is_ok_and(|abilities| abilities.missing_capabilities(tags).is_empty());
    if found.iter().all(able) { Outcome::Calm } else { Outcome::Unknown }
}

fn print_endpoint(chain: Option<&ChainBook>, found: &Found, tags: bool, printer: &Printer) {
    let bold = |text: &str| printer.paint(Style::new().bold(), text);
    let name = match chain {
        Some(chain) => format!("{} of {}", found.endpoint, chain.info.name),
        None => found.endpoint.to_string(),
    };
    let abilities = match &found.abilities {
        Ok(abilities) => abilities,
        Err(why) => return printer.text(&format!("{}: {why}", bold(&name))),
    };
    let client = abilities.client.as_deref().unwrap_or("an unnamed node");
    let genesis = abilities.genesis.map_or(String::new(), |genesis| format!(", begun with {genesis}"));
    let (id, head) = (abilities.chain, abilities.head.at.number);
    printer.text(&format!("{}: {client}, chain {id} at block {head}{genesis}", bold(&name)));
    for (ability, can) in abilities.iter() {
        let mark = match can {
            Support::Yes => printer.paint(AnsiColor::Green.on_default(), "yes"),
            Support::No(_) => printer.paint(AnsiColor::Red.on_default(), "no "),
            Support::Unknown(_) => printer.paint(AnsiColor::Yellow.on_default(), "?  "),
        };
        let more = match can.unavailable_reason() {
            Some(why) => why.to_owned(),
            None if abilities.batch_max > 0 && ability.name() == "batches" => format!("of {}", abilities.batch_max),
            None => String::new(),
        };
        printer.text(format!("  {mark}  {:<17} {more}", ability.name()).trim_end());
    }
    let lacking: Vec<&str> = abilities.missing_capabilities(tags).iter().map(|ability| ability.name()).collect();
    if !lacking.is_empty() {
        printer.text(&format!("  {} {}", bold("lacks what a watch needs:"), lacking.join(", ")));
    }
}

fn endpoint_record(chain: Option<&ChainBook>, found: &Found) -> Value {
    let mut record = json!({ "type": "endpoint", "endpoint": &*found.endpoint });
    if let Some(chain) = chain {
        record["chain"] = json!(&*chain.info.name);
    }
    match &found.abilities {
        Err(why) => record["error"] = json!(why),
        Ok(abilities) => append_capabilities(abilities, &mut record),
    }
    record
}

fn append_capabilities(abilities: &Capabilities, record: &mut Value) {
    record["chain_id"] = json!(abilities.chain.0);
    record["client"] = json!(abilities.client);
    record["genesis"] = json!(abilities.genesis);
    record["head"] = json!(abilities.head.at.number);
    let (mut can, mut why) = (Map::new(), Map::new());
    for (ability, tried) in abilities.iter() {
        let known = !matches!(tried, Support::Unknown(_));
        can.insert(ability.name().to_owned(), if known { json!(tried.is_yes()) } else { Value::Null });
        if let Some(reason) = tried.unavailable_reason() {
            why.insert(ability.name().to_owned(), json!(reason));
        }
    }
    record["abilities"] = can.into();
    record["why"] = why.into();
    record["batch_max"] = json!(abilities.batch_max);
}
