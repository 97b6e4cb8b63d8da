//! Abilities of a node, their changes since the previous probe, and the gaps that remain with the abilities of all
//! nodes.
//!
//! Capabilities of a node, as pure data: [`super::probe_node()`] sends the requests.

use crate::contracts::{self, Property};
use crate::model::{ChainId, Kind, Link};
use alloy_primitives::B256;

/// Capability that a node may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// All receipts of a block by its hash (`eth_getBlockReceipts`).
    BlockReceipts,
    /// A transaction's receipt (`eth_getTransactionReceipt`), which suffices where `eth_getBlockReceipts` is missing.
    Receipts,
    /// Contract calls at the hash of a block (`eth_call` with EIP-1898), which must fail for an unknown hash.
    StateReads,
    /// Traces of the calls inside a transaction (`debug_traceTransaction` with `callTracer`).
    CallTracer,
    /// Traces of a whole block in Parity's form (`trace_block`).
    TraceBlock,
    /// Storage with a proof (`eth_getProof`).
    Proofs,
    /// Logs of the past (`eth_getLogs`).
    Logs,
    /// Raw bytes of a transaction (`eth_getRawTransactionByHash`), from which its hash is computed.
    RawTransactions,
    /// Raw bytes of a block's receipts (`debug_getRawReceipts`).
    RawReceipts,
    /// The block tag `safe`.
    SafeTag,
    /// The block tag `finalized`.
    FinalizedTag,
    /// Announcements of new heads (`eth_subscribe`).
    Subscriptions,
    /// Several requests in one HTTP request.
    Batches,
    /// Announcements of transactions before a block includes them (`eth_subscribe`, or a filter).
    Pending,
}

/// State of an ability of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// Tested with a correct result.
    Yes,
    /// Missing, or tested with a wrong result; with the reason, in our words or the node's.
    No(String),
    /// Untested, with the reason.
    Unknown(String),
}

/// Abilities of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Name of the node's software as one printable line; absent if the node does not report it.
    pub client: Option<String>,
    /// Chain that the node serves.
    pub chain: ChainId,
    /// Hash of block 0, if the node has it.
    pub genesis: Option<B256>,
    /// Newest block of the node.
    pub head: Link,
    /// State of each capability, in the order of [`Capability::ALL`].
    pub can: [Support; Capability::ALL.len()],
    /// Size of the largest batch over HTTP that was tried and answered; zero over a socket, where each request is sent
    /// alone.
    pub batch_max: usize,
}

impl Capability {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::BlockReceipts,
        Self::Receipts,
        Self::StateReads,
        Self::CallTracer,
        Self::TraceBlock,
        Self::Proofs,
        Self::Logs,
        Self::RawTransactions,
        Self::RawReceipts,
        Self::SafeTag,
        Self::FinalizedTag,
        Self::Subscriptions,
        Self::Batches,
        Self::Pending,
    ];

    /// Returns the name used in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockReceipts => "block-receipts",
            Self::Receipts => "receipts",
            Self::StateReads => "state-reads",
            Self::CallTracer => "call-tracer",
            Self::TraceBlock => "trace-block",
            Self::Proofs => "proofs",
            Self::Logs => "logs",
            Self::RawTransactions => "raw-transactions",
            Self::RawReceipts => "raw-receipts",
            Self::SafeTag => "safe-tag",
            Self::FinalizedTag => "finalized-tag",
            Self::Subscriptions => "subscriptions",
            Self::Batches => "batches",
            Self::Pending => "pending",
        }
    }
}

impl Support {
    /// Returns whether the ability was seen to work.
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Returns the reason why the ability is missing or unknown.
    #[must_use]
    pub fn unavailable_reason(&self) -> Option<&str> {
        match self {
            Self::Yes => None,
            Self::No(why) | Self::Unknown(why) => Some(why),
        }
    }
}

impl Capabilities {
    /// Returns the state of an ability.
    #[must_use]
    pub fn capability_status(&self, ability: Capability) -> &Support {
        &self.can[ability as usize]
    }

    /// Returns whether the ability was seen to work.
    #[must_use]
    pub fn has_capability(&self, ability: Capability) -> bool {
        self.capability_status(ability).is_yes()
    }

    /// Returns each capability and its state.
    pub fn iter(&self) -> impl Iterator<Item = (Capability, &Support)> {
        Capability::ALL.into_iter().zip(&self.can)
    }

    /// Returns the capabilities that the program needs and this node was not seen to have. With `tags`, finality is
    /// read from the block tags.
    #[must_use]
    pub fn missing_capabilities(&self, tags: bool) -> Vec<Capability> {
        // Receipts one by one are slow but sufficient.
        let receipts = if self.has_capability(Capability::Receipts) { None } else { Some(Capability::BlockReceipts) };
        let tags = tags.then_some([Capability::SafeTag, Capability::FinalizedTag]).into_iter().flatten();
        let needed = receipts.into_iter().chain([Capability::StateReads]).chain(tags);
        needed.filter(|ability| !self.has_capability(*ability)).collect()
    }

    /// Returns the abilities that were present in the previous probe and are missing now. An ability that could not be
    /// tested does not count as lost.
    #[must_use]
    pub fn lost_since(&self, before: &Self) -> Vec<Capability> {
        let lost = |ability: &Capability| {
            before.has_capability(*ability) && matches!(self.capability_status(*ability), Support::No(_))
        };
        Capability::ALL.into_iter().filter(lost).collect()
    }

    /// Returns the abilities that are present now and were missing in the previous probe.
    #[must_use]
    pub fn gained_since(&self, before: &Self) -> Vec<Capability> {
        let gained = |ability: &Capability| {
            self.has_capability(*ability) && matches!(before.capability_status(*ability), Support::No(_))
        };
        Capability::ALL.into_iter().filter(gained).collect()
    }

    /// Returns these capabilities, with those that could not be tried this time taken from `before`. A loss is
    /// therefore detected even if a probe in between failed.
    #[must_use]
    pub fn with_unknown_from(mut self, before: &Self) -> Self {
        for (now, before) in self.can.iter_mut().zip(&before.can) {
            if matches!(now, Support::Unknown(_)) {
                now.clone_from(before);
            }
        }
        self
    }
}

/// Returns the visibility gaps of a watch of this kind with these endpoints of its chain, each given with its name: one
/// clause for each gap, empty without gaps. With `tags`, finality on the chain follows its block tags; with `traces`,
/// the calls inside transactions are requested.
#[must_use]
pub fn blind_to(kind: Kind, tags: bool, traces: bool, endpoints: &[(&str, &Capabilities)]) -> Vec<String> {
    let contract = contracts::of_kind(kind);
    // A capability that could not be tried, for example on a chain without transactions, is not yet a gap.
    let any = |ability: Capability| {
        endpoints.iter().any(|(_, node)| !matches!(node.capability_status(ability), Support::No(_)))
    };
    if endpoints.is_empty() {
        return vec!["everything: no endpoint could be asked".to_owned()];
    }
    if !any(Capability::BlockReceipts) && !any(Capability::Receipts) {
        return vec!["everything: no endpoint gives receipts".to_owned()];
    }
    let mut blind = Vec::new();
    if !traces {
        blind.push(format!("{}: `traces = false`", contract.unlogged));
    } else if !any(Capability::CallTracer) && !any(Capability::TraceBlock) {
        blind.push(format!("{}: no endpoint tells what runs inside a transaction", contract.unlogged));
    }
    if !any(Capability::StateReads) {
        let silent = "changes of its state that leave no log";
        let what = contract.unread.map_or_else(|| silent.to_owned(), |what| format!("{what}; {silent}"));
        blind.push(format!("{what}: no endpoint reads state at the hash of a block"));
    }
    if contract.has(Property::Roles) && !any(Capability::Logs) {
        blind.push("who else was given a role before it was watched: no endpoint searches its logs".to_owned());
    }
    if tags && !any(Capability::FinalizedTag) {
        blind.push("whether its blocks are final: no endpoint answers for the tag `finalized`".to_owned());
    } else if tags && !any(Capability::SafeTag) {
        blind.push(
            "whether its blocks are safe before they are final: no endpoint answers for the tag `safe`".to_owned(),
        );
    }
    blind
}

/// Returns the visibility gap of every watch that needs transactions before a block holds them, if no endpoint
/// announces any.
#[must_use]
pub fn mempool_gap(endpoints: &[(&str, &Capabilities)]) -> Option<String> {
    let silent =
        endpoints.iter().all(|(_, node)| matches!(node.capability_status(Capability::Pending), Support::No(_)));
    silent.then(|| "what is only pending: no endpoint announces transactions before a block holds them".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::{CONTRACTS, kind_named};
    use crate::model::BlockRef;

    fn able(abilities: &[Capability]) -> Capabilities {
        let can = Capability::ALL.map(|ability| match abilities.contains(&ability) {
            true => Support::Yes,
            false => Support::No("the method does not exist".to_owned()),
        });
        let head = Link { at: BlockRef { number: 7, hash: B256::ZERO }, parent: B256::ZERO, time: 0 };
        Capabilities { client: None, chain: ChainId(1), genesis: None, head, can, batch_max: 0 }
    }

    fn untried(mut abilities: Capabilities, ability: Capability) -> Capabilities {
        abilities.can[ability as usize] = Support::Unknown("no answer within 5s".to_owned());
        abilities
    }

    #[test]
    fn an_ability_stands_at_its_place_and_has_a_name_of_its_own() {
        for (at, ability) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(ability as usize, at);
            assert_eq!(Capability::ALL.iter().filter(|other| other.name() == ability.name()).count(), 1);
        }
    }

    #[test]
    fn a_loss_is_told_once_it_is_certain_and_not_because_nobody_answered() {
        let full = able(&[Capability::Receipts, Capability::StateReads, Capability::CallTracer]);
        let pruned = able(&[Capability::Receipts, Capability::CallTracer, Capability::Proofs]);
        assert_eq!(pruned.lost_since(&full), [Capability::StateReads]);
        assert_eq!(pruned.gained_since(&full), [Capability::Proofs]);
        assert!(full.lost_since(&full).is_empty() && full.gained_since(&full).is_empty());
        let silent = untried(pruned.clone(), Capability::StateReads);
        assert!(silent.lost_since(&full).is_empty());
        let carried = silent.with_unknown_from(&full);
        assert_eq!(pruned.lost_since(&carried), [Capability::StateReads], "however many probes it took");
    }

    #[test]
    fn what_the_program_asks_for_is_receipts_of_some_kind_reads_and_the_tags_it_counts_on() {
        assert!(able(&[Capability::Receipts, Capability::StateReads]).missing_capabilities(false).is_empty());
        assert!(able(&[Capability::BlockReceipts, Capability::StateReads]).missing_capabilities(false).is_empty());
        assert_eq!(able(&[]).missing_capabilities(false), [Capability::BlockReceipts, Capability::StateReads]);
        let untagged = able(&[Capability::BlockReceipts, Capability::StateReads, Capability::SafeTag]);
        assert_eq!(untagged.missing_capabilities(true), [Capability::FinalizedTag]);
        assert_eq!(
            untried(untagged, Capability::StateReads).missing_capabilities(false),
            [Capability::StateReads],
            "not seen is not had"
        );
    }

    #[test]
    fn calls_inside_others_are_seen_where_somebody_traces_and_nobody_said_not_to() {
        let (plain, geth) = (able(&[Capability::BlockReceipts, Capability::StateReads]), Capability::CallTracer);
        let geth = able(&[Capability::BlockReceipts, Capability::StateReads, geth]);
        let both = [("own", &geth), ("vendor", &plain)];
        assert_eq!(blind_to(kind_named("eoa").unwrap(), false, true, &both), [""; 0]);
        assert_eq!(
            blind_to(kind_named("eoa").unwrap(), false, false, &both),
            ["ether that other contracts pay to it: `traces = false`"]
        );
        let why = "ether that other contracts pay to it: no endpoint tells what runs inside a transaction";
        assert_eq!(blind_to(kind_named("eoa").unwrap(), false, true, &both[1..]), [why]);
    }

    #[test]
    fn what_one_endpoint_can_do_the_chain_can() {
        let (receipts, reads) = (able(&[Capability::Receipts]), able(&[Capability::StateReads]));
        for contract in CONTRACTS {
            let (kind, has_roles) = (contract.kind(), contract.has(Property::Roles));
            let blind = blind_to(kind, false, true, &[("a", &receipts), ("b", &reads)]);
            assert_eq!(blind.len(), 1 + usize::from(has_roles), "traces, and the logs of the past: {blind:?}");
            assert_eq!(blind_to(kind, false, true, &[("b", &reads)]), ["everything: no endpoint gives receipts"]);
            assert_eq!(blind_to(kind, false, true, &[]), ["everything: no endpoint could be asked"]);
        }
        let without_state = blind_to(kind_named("multisig").unwrap(), true, true, &[("a", &receipts)]);
        assert_eq!(
            without_state[1..],
            [
                "what a confirmation executes and who confirmed it; changes of its state that leave no log: no endpoint reads state at the hash of a block",
                "whether its blocks are final: no endpoint answers for the tag `finalized`",
            ]
        );
    }
}
