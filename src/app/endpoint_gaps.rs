//! Capabilities of endpoints as text: for `probe`, and at the start of `run`.

use crate::model::WatchInfo;
use crate::source::capabilities::{Support, blind_to, mempool_gap};
use crate::source::{Capabilities, FinalityRule, Node, probe_node};
use crate::watchlist::{ChainBook, Config};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Maximum number of watches named for one gap; the rest is counted.
const LABELS_MAX: usize = 5;

/// Answer of one endpoint.
pub(crate) struct Found {
    pub(crate) endpoint: Arc<str>,
    /// Capabilities of the endpoint, or the reason why it could not be asked.
    pub(crate) abilities: Result<Capabilities, String>,
}

/// Gap in what some watches of a chain can see.
pub(crate) struct Gap<'b> {
    pub(crate) watches: Vec<&'b WatchInfo>,
    /// Clauses, each about one thing that is not seen.
    pub(crate) blind_to: Vec<String>,
}

/// Asks all nodes at once.
pub(crate) async fn probe_nodes(nodes: impl Iterator<Item = Node>) -> Vec<Found> {
    join_all(nodes.map(probe_endpoint)).await
}

/// Asks one.
pub(crate) async fn probe_endpoint(node: Node) -> Found {
    let abilities = Box::pin(probe_node(&node)).await.map_err(|error| error.to_string());
    Found { endpoint: node.name().into(), abilities }
}

/// Returns whether the finality of the chain follows its block tags.
pub(crate) fn by_tags(chain: &ChainBook) -> bool {
    chain.finality == FinalityRule::Tags
}

/// Returns one line about one endpoint.
pub(crate) fn capability_summary(chain: &str, found: &Found) -> String {
    let name = format!("{} of {chain}", found.endpoint);
    let abilities = match &found.abilities {
        Ok(abilities) => abilities,
        Err(why) => return format!("{name} cannot be asked what it can do: {why}"),
    };
    let those = |fits: fn(&Support) -> bool| {
        let names = abilities.iter().filter(|(_, can)| fits(can)).map(|(ability, _)| ability.name());
        names.collect::<Vec<_>>().join(", ")
    };
    let client = abilities.client.as_deref().unwrap_or("an unnamed node");
    let groups = [
        ("can", those(Support::is_yes)),
        ("cannot", those(|can| matches!(can, Support::No(_)))),
        ("not known", those(|can| matches!(can, Support::Unknown(_)))),
    ];
    let groups = groups.into_iter().filter(|(_, names)| !names.is_empty());
    let groups: Vec<String> = groups.map(|(group, names)| format!("{group}: {names}")).collect();
    format!("{name} ({client}) {}", groups.join("; "))
}

/// Returns what the endpoints leave unseen for the watches of a chain, with watches that have the same gaps grouped
/// together.
pub(crate) fn capability_gaps<'b>(book: &'b Config, chain: &ChainBook, found: &[Found]) -> Vec<Gap<'b>> {
    let able: Vec<_> =
        found.iter().filter_map(|found| Some((&*found.endpoint, found.abilities.as_ref().ok()?))).collect();
    let unheard = if chain.pending && !able.is_empty() { mempool_gap(&able) } else { None };
    let mut gaps: BTreeMap<Vec<String>, Vec<&WatchInfo>> = BTreeMap::new();
    for watch in book.watches.iter().filter(|watch| watch.chain.id == chain.info.id) {
        let mut blind = blind_to(watch.kind, by_tags(chain), chain.traces, &able);
        blind.extend(unheard.clone());
        gaps.entry(blind).or_default().push(watch);
    }
    let gaps = gaps.into_iter().filter(|(blind_to, _)| !blind_to.is_empty());
    gaps.map(|(blind_to, watches)| Gap { watches, blind_to }).collect()
}

impl Gap<'_> {
    /// A line for each thing that is not seen.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let mut labels: Vec<String> =
            self.watches.iter().take(LABELS_MAX).map(|watch| watch.label.to_string()).collect();
        let more = self.watches.len().saturating_sub(LABELS_MAX);
        if more > 0 {
            labels.push(format!("{more} more"));
        }
        let labels = labels.join(", ");
        self.blind_to.iter().map(move |what| format!("not seen of {labels}: {what}"))
    }
}
