//! Assessment of endpoints and blocks: the observed state compared with the expected one.

use super::Sync;
use crate::model::page::Way;
use crate::model::{BlindnessKind, BlockRef, Evidence, Severity};
use crate::runtime::{monotonic_now, quoted_word};
use crate::source::Fetched;
use crate::source::follow::Conflict;
use crate::source::health_issues::IssueKey;
use crate::source::meter::SourceMetrics;
use crate::source::quorum::EndpointId;
use crate::source::rpc::NodeError;
use crate::source::verify::Flaw;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Number of blocks behind the best endpoint from which an endpoint is reported as lagging. One or two are normal on
/// the network.
pub(super) const LAG_BLOCKS: u64 = 3;
/// Number of slots that a problem of one endpoint must last before it is reported.
const ENDPOINT_SLOTS: u32 = 4;
/// Number of slots for which endpoints may report different blocks at one height: a reorg reaches all of them within
/// one or two.
const DISAGREE_SLOTS: u32 = 2;
/// Number of gaps in the proof of one block that are listed.
const GAPS_TOLD: usize = 3;

impl Sync {
    /// Compares the observed state with the expected one, and updates the problems.
    pub(super) fn assess_health(&mut self) {
        let now = monotonic_now();
        let patience = self.pool.deadlines().blind;
        let alone = self.pool.len() == 1;
        let all_fail = (0..self.pool.len()).all(|voice| self.ears.is_failing(voice));
        let mut last: Option<(Instant, Timestamp, String)> = None;
        for voice in 0..self.pool.len() {
            let failing = self.ears.failure_of(voice);
            let other = failing.and_then(|failing| failing.error.serves_another());
            for kind in [BlindnessKind::WrongChain, BlindnessKind::WrongGenesis] {
                let symptom = failing.filter(|_| other == Some(kind)).map(|failing| IssueKey {
                    kind,
                    voice: Some(voice),
                    severity: Severity::High,
                    since: failing.since,
                    began: failing.began,
                    // Waiting does not turn another chain into ours.
                    patience: Duration::ZERO,
                    why: failing.error.to_string(),
                    evidence: None,
                    ways: Vec::new(),
                });
                self.troubles.set_issue(kind, Some(voice), symptom);
            }
            let down = failing.filter(|_| other.is_none());
            if let Some(failing) = down
                && last.as_ref().is_none_or(|(_, since, _)| *since <= failing.since)
            {
                last = Some((failing.began, failing.since, failing.error.to_string()));
            }
            let symptom = down.filter(|_| !alone && !all_fail).map(|failing| IssueKey {
                kind: BlindnessKind::EndpointDown,
                voice: Some(voice),
                severity: Severity::Warning,
                since: failing.since,
                began: failing.began,
                patience: patience.max(self.slot * ENDPOINT_SLOTS),
                why: failing.error.to_string(),
                evidence: None,
                ways: Vec::new(),
            });
            self.troubles.set_issue(BlindnessKind::EndpointDown, Some(voice), symptom);
            let quarantined = self.pool.health_matches(voice, |health| health.quarantined_until(now).is_some());
            if !quarantined {
                self.troubles.clear_issue(BlindnessKind::RefusedBlock, Some(voice));
            }
            let (name, SourceMetrics { metrics, chain }) = (self.pool.name(voice), &self.meter);
            metrics.endpoint_up(chain, &name, failing.is_none());
            metrics.endpoint_quarantined(chain, &name, quarantined);
        }
        let chain = |kind, severity, (began, since, why): (Instant, Timestamp, String), patience| IssueKey {
            kind,
            voice: None,
            severity,
            since,
            began,
            patience,
            why,
            evidence: None,
            ways: Vec::new(),
        };
        let unreachable = last.filter(|_| all_fail);
        let symptom = unreachable.map(|last| chain(BlindnessKind::Unreachable, Severity::High, last, patience));
        self.troubles.set_issue(BlindnessKind::Unreachable, None, symptom);
        let no_block = self.blocks.as_ref().filter(|_| !all_fail).map(|(began, since, error)| {
            chain(BlindnessKind::NoBlock, Severity::High, (*began, *since, self.told_of(error)), patience)
        });
        self.troubles.set_issue(BlindnessKind::NoBlock, None, no_block);
        let conflict = self.follower.conflict().map(|conflict: Conflict| {
            // The page must state the remedy.
            let ways = match conflict {
                Conflict::Finalized { head, .. } => {
                    let name = quoted_word(&self.meter.chain);
                    vec![Way::new("if that chain is right", format!("chain allow-reorg {name} {}", head.hash))]
                }
                Conflict::Forgotten { .. } => Vec::new(),
            };
            let told = (now, self.blocks_seen, conflict.to_string());
            IssueKey { ways, ..chain(BlindnessKind::FinalizedReorg, Severity::Critical, told, Duration::ZERO) }
        });
        self.troubles.set_issue(BlindnessKind::FinalizedReorg, None, conflict);
        for voice in 0..self.pool.len() {
            let lost = self.probes.lost_capabilities(voice).map(|lost| IssueKey {
                kind: BlindnessKind::AbilityLost,
                voice: Some(voice),
                // If another endpoint still has the capability, it is used there.
                severity: if lost.elsewhere { Severity::Warning } else { Severity::High },
                since: lost.since,
                began: now,
                patience: Duration::ZERO,
                why: lost.why,
                evidence: None,
                ways: Vec::new(),
            });
            self.troubles.set_issue(BlindnessKind::AbilityLost, Some(voice), lost);
        }
        let stalled = self.marks.stalled_since(now, self.slot).map(|(began, since, why)| {
            chain(BlindnessKind::FinalityStalled, Severity::High, (began, since, why), Duration::ZERO)
        });
        self.troubles.set_issue(BlindnessKind::FinalityStalled, None, stalled);
        if !alone {
            self.compare_endpoints(now);
        }
    }

    /// Compares the endpoints with each other.
    fn compare_endpoints(&mut self, now: Instant) {
        let since_start = self.started.elapsed();
        let dissents: Vec<_> = self.council.dissenting_endpoints().collect();
        let lags = self.council.endpoint_lags(since_start);
        for voice in 0..self.pool.len() {
            let symptom = |kind, severity, ago: Duration, slots: u32, why| IssueKey {
                kind,
                voice: Some(voice),
                severity,
                since: self.clock.now() - jiff::SignedDuration::try_from(ago).unwrap_or_default(),
                began: now - ago.min(since_start),
                patience: self.slot * slots,
                why,
                evidence: None,
                ways: Vec::new(),
            };
            let dissent = dissents.iter().find(|dissent| dissent.voice == voice).map(|dissent| {
                let why = match dissent.ours {
                    Some(ours) => format!("it names block {}, on a chain without our block {ours}", dissent.theirs),
                    None => {
                        format!("it names block {}, and nobody can show how that follows from ours", dissent.theirs)
                    }
                };
                let ago = since_start.saturating_sub(dissent.since);
                symptom(BlindnessKind::Disagreement, Severity::High, ago, DISAGREE_SLOTS, why)
            });
            let lag = lags.get(voice).copied().flatten();
            self.meter.metrics.endpoint_lag(&self.meter.chain, &self.pool.name(voice), lag.unwrap_or_default());
            // Each new head briefly reduces the lag of such an endpoint by one block.
            let held = self.troubles.is_held(BlindnessKind::Lag, Some(voice));
            let least = if held { LAG_BLOCKS - 1 } else { LAG_BLOCKS };
            let lag = lag.filter(|lag| *lag >= least && dissent.is_none());
            let lag = lag.map(|lag| {
                let why = format!("it is {lag} blocks behind the others");
                symptom(BlindnessKind::Lag, Severity::Warning, Duration::ZERO, ENDPOINT_SLOTS, why)
            });
            self.troubles.set_issue(BlindnessKind::Disagreement, Some(voice), dissent);
            self.troubles.set_issue(BlindnessKind::Lag, Some(voice), lag);
        }
    }

    /// Reports that two endpoints return one block differently, and that nothing shows which of them is right.
    pub(super) fn report_disagreement(&mut self, voice: EndpointId, other: EndpointId, at: BlockRef) {
        let (name, other_name) = (self.pool.name(voice), self.pool.name(other));
        self.troubles.raise_issue(IssueKey {
            kind: BlindnessKind::Disagreement,
            voice: None,
            severity: Severity::High,
            since: self.clock.now(),
            began: monotonic_now(),
            patience: Duration::ZERO,
            why: format!("{name} and {other_name} give block {at} differently, and its header cannot vouch for either"),
            evidence: None,
            ways: Vec::new(),
        });
    }

    /// Reports a block that its header does not prove, and clears the report when the next block is proven again.
    pub(super) fn track_verification(&mut self, body: &Fetched) {
        let why: Vec<String> = body.gaps.iter().take(GAPS_TOLD).map(ToString::to_string).collect();
        let symptom = (!why.is_empty()).then(|| IssueKey {
            kind: BlindnessKind::UnverifiedBlock,
            voice: None,
            severity: Severity::Warning,
            since: self.clock.now(),
            began: monotonic_now(),
            patience: Duration::ZERO,
            why: format!("block {}: {}", body.block.at.number, why.join("; ")),
            evidence: None,
            ways: Vec::new(),
        });
        if symptom.is_none() {
            self.troubles.clear_issue(BlindnessKind::Disagreement, None);
        } else {
            self.meter.metrics.record_unverified_block(&self.meter.chain);
        }
        self.troubles.set_issue(BlindnessKind::UnverifiedBlock, None, symptom);
    }

    /// Reports an endpoint that sent a false or invalid answer.
    pub(super) fn report_invalid_response(
        &mut self,
        voice: EndpointId,
        error: &NodeError,
        evidence: Option<Arc<Evidence>>,
    ) {
        let (name, SourceMetrics { metrics, chain }) = (self.pool.name(voice), &self.meter);
        metrics.endpoint_strike(chain, &name);
        metrics.record_refused_block(
            chain,
            &name,
            if let NodeError::Lie { flaw, .. } = error { flaw.metric_label() } else { "nonsense" },
        );
        self.troubles.raise_issue(IssueKey {
            kind: BlindnessKind::RefusedBlock,
            voice: Some(voice),
            severity: Severity::High,
            since: self.clock.now(),
            began: monotonic_now(),
            patience: Duration::ZERO,
            why: self.told_of(error),
            evidence,
            ways: Vec::new(),
        });
    }

    /// Returns the reported text of a failure. A block that contradicts its hash is false, unless no block of the chain
    /// was ever seen to match its hash: then the chain may compute its hashes differently, and the reader needs to know
    /// the remedy.
    fn told_of(&self, error: &NodeError) -> String {
        let NodeError::Lie { flaw, .. } = error else { return error.to_string() };
        if matches!(flaw, Flaw::State { .. } | Flaw::Sender { .. }) || self.pool.nodes().any(|node| node.has_verified())
        {
            return error.to_string();
        }
        let chain = &self.meter.chain;
        format!(
            "no block of {chain} was seen that follows from its own hash as Ethereum's do: {flaw}. If {chain} makes its hashes or \
             roots in another way, set `verify = false` in [chain.{chain}], and its blocks are taken at the word of its endpoints"
        )
    }
}
