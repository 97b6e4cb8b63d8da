//! Poll of a Safe's proposals: the list of the service is verified against the chain, judged as its execution would be,
//! and committed.
//!
//! A look has two halves, with the service's responses between them: [`Queues::read_safe_state`] returns the Safe's state and
//! the remembered proposals, [`Queues::judge_and_commit`] judges and commits. All state between looks is in the store. A
//! repeated look, in any process, therefore finds the same and reports nothing twice.

use super::{Reader, ask_through, examine_queued, load_history};
use crate::classify::proposals::{self, JudgedProposals, ListedProposal, Lookup, ProposalSnapshot};
use crate::classify::rule::WatchRules;
use crate::decode;
use crate::decode::queued::QueueState;
use crate::escalate;
use crate::model::incident::ChangeSet;
use crate::model::proposals::{Checked, Queued, Remembered, SafeState, Waits, proposal_digest};
use crate::model::read::{Answer, Answers, READS_MAX, Read};
use crate::model::{
    ActivityKind, Anchor, BlockRef, Judged, JudgedBlock, Link, Position, Provenance, Verdict, WatchInfo,
};
use crate::runtime::{self, Clock};
use crate::store::{OwnedStepJudged, QueueKept, QueueSeen, Store};
use crate::telemetry::Metrics;
use crate::watchlist::{ChainBook, Config};
use alloy_primitives::{B256, U256};
use anyhow::Context as _;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Maximum number of rounds of questions about a Safe's state: two, and one for each owner that the Safe's own list
/// omits, which an honest Safe never does.
const STANDING_ROUNDS_MAX: usize = 32;

/// Maximum number of approvals read in one look: as many as eight full blocks' worth of questions.
const APPROVALS_MAX: usize = 8 * READS_MAX;

/// Maximum number of transactions that are judged for the first time in one look: more than owners propose in a month,
/// and few enough that a service with invented proposals cannot fill the disk.
const FRESH_MAX: usize = 100;

/// Maximum number of calls of watched proxies, in one queue, for which each look reads which code they would run.
const CODES_MAX: usize = 100;

/// Proposals in the queues of a chain's Safes.
pub struct Queues {
    book: Arc<Config>,
    chain: Arc<ChainBook>,
    store: Store,
    clock: Arc<dyn Clock>,
    nudge: Arc<Notify>,
    metrics: Metrics,
    stale_after: Duration,
}

/// State of a Safe, read before its service is queried.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Newest judged block: all state is read there.
    pub tip: Link,
    /// State that the Safe reports at that block.
    pub state: SafeState,
    /// Stored proposals of the Safe, and its logs since the last poll.
    pub kept: QueueKept,
}

/// Answers of the service.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// Proposals that it lists.
    pub queued: Vec<Queued>,
    /// Nonce of the Safe according to the service.
    pub nonce: U256,
    /// Answers about hashes that the Safe logged, see [`Prepared::unlisted_hashes`].
    pub lookups: HashMap<B256, Lookup>,
    /// Proposals that it does not list any more and that it is not known to have deleted, see
    /// [`Prepared::vanished_hashes`]. They stay pending until the Safe's own nonce says what became of them.
    pub held: BTreeSet<B256>,
}

/// Result of a poll.
#[derive(Clone, Debug, Default)]
pub struct Concluded {
    /// Changes that the escalation engine made for it.
    pub plan: ChangeSet,
    /// True if anything was new or is still unclear, which justifies another poll soon.
    pub stirs: bool,
    /// Number of pending proposals.
    pub waiting: usize,
    /// Number of them that are listed under a hash other than that of their fields.
    pub misnamed: usize,
}

impl Prepared {
    /// Returns hashes that the Safe logged but that were never in the queue: the service must be asked about them.
    #[must_use]
    pub fn unlisted_hashes(&self, listed: &[Queued]) -> Vec<B256> {
        let mut known: HashSet<B256> = self.kept.remembered.iter().map(|one| one.hash).collect();
        known.extend(listed.iter().map(|one| decode::queued::hash(one, &self.state)));
        let logged = self.kept.traces.iter().map(|trace| trace.hash);
        logged.filter(|hash| known.insert(*hash)).collect()
    }

    /// Returns the pending proposals that the service does not list any more although the Safe has not used their
    /// nonces: each was deleted, or the service has followed the chain further than this program has, and the nonce is
    /// used there. It must be asked which of the two.
    #[must_use]
    pub fn vanished_hashes(&self, listed: &[Queued]) -> Vec<B256> {
        let listed: HashSet<B256> = listed.iter().map(|one| decode::queued::hash(one, &self.state)).collect();
        let pending = |one: &&Remembered| one.waits == Waits::Queued && one.nonce >= self.state.nonce;
        let vanished = self.kept.remembered.iter().filter(pending).filter(|one| !listed.contains(&one.hash));
        vanished.map(|one| one.hash).collect()
    }
}

/// A listed transaction with all results of one look.
struct Seen<'a> {
    queued: &'a Queued,
    checked: &'a Checked,
    weighed: JudgedProposals,
    row: Remembered,
    /// Stored state of the proposal before this poll.
    before: Option<&'a Remembered>,
}

impl Queues {
    /// Creates the queues of `chain`. A proposal with a confirmation that waits at the Safe's next nonce for longer
    /// than `stale_after` is reported as stale.
    #[must_use]
    pub fn new(
        book: Arc<Config>,
        chain: Arc<ChainBook>,
        store: Store,
        clock: Arc<dyn Clock>,
        nudge: Arc<Notify>,
        stale_after: Duration,
    ) -> Self {
        Self { book, chain, store, clock, nudge, metrics: Metrics::default(), stale_after }
    }

    /// Records metrics of the queues in `metrics`.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Reads the state of the Safe of `watch`. Returns `None` if no block was judged yet, or the node does not answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read_safe_state(&self, watch: &WatchInfo, reader: &dyn Reader) -> anyhow::Result<Option<Prepared>> {
        let id = self.chain.info.id;
        let Some(tip) = self.store.chain_tip(id).await.context("failed to read the newest block")? else {
            return Ok(None);
        };
        let mut answers = Answers::new();
        let mut rounds = 0..STANDING_ROUNDS_MAX;
        let state = loop {
            match (decode::queued::resolve_safe_state(id, watch.address, &answers), rounds.next()) {
                (QueueState::Known(state), _) => break state,
                (QueueState::Asks(reads), Some(_)) => {
                    let told = reader.read(tip.at, &reads).await;
                    answers.extend(reads.into_iter().zip(told));
                }
                (QueueState::Asks(_), None) | (QueueState::Dark, _) => return Ok(None),
            }
        };
        // Read after the tip, so that it includes all logs of the Safe up to the tip.
        let mut kept = self.store.load_proposals(id, watch.address).await.context("failed to read what is queued")?;
        // A block may have been committed in between.
        kept.retain_up_to(tip.at.number);
        Ok(Some(Prepared { tip, state, kept }))
    }

    /// Judges the service's responses and commits them as a whole.
    ///
    /// # Errors
    /// When the store refuses. Nothing is lost by that: the next look finds the same.
    pub async fn judge_and_commit(
        &self,
        watch: &WatchInfo,
        prepared: &Prepared,
        answered: &Answered,
        reader: &dyn Reader,
    ) -> anyhow::Result<Concluded> {
        let Some(rules) = self.book.rules.watches.get(watch.id.index()) else { return Ok(Concluded::default()) };
        let now_ms = runtime::steady_millis(&*self.clock);
        let Prepared { tip, state, kept } = prepared;
        let (queued, checked) = self.check_proposals(prepared, answered, reader).await;
        let listed: Vec<_> =
            queued.iter().zip(&checked).map(|(queued, checked)| ListedProposal { queued, checked }).collect();
        let look = ProposalSnapshot { now_ms, stale_after: self.stale_after.as_secs(), service_nonce: answered.nonce };
        let weighed = proposals::assess_proposals(&listed, state, &kept.remembered, rules, look);
        let mut seen: Vec<Seen<'_>> = listed
            .iter()
            .zip(weighed)
            .map(|(one, weighed)| self.seen_proposal(one.queued, one.checked, weighed, prepared, now_ms))
            .collect();
        let waiting = seen.len();
        // Transactions beyond the limit are still new at the next look, and wait until then.
        let mut n_new = 0;
        seen.retain(|one| {
            n_new += usize::from(one.before.is_none());
            one.before.is_some() || n_new <= FRESH_MAX
        });
        self.stand_for_code(&mut seen, tip.at, reader).await;
        let fresh: Vec<&Seen<'_>> =
            seen.iter().filter(|one| one.before.is_none_or(|before| before.judged != one.row.judged)).collect();
        let mut blocks = self.judge_new_proposals(&fresh, watch, rules, tip.at, reader).await?;
        let (accounted, of_chain, open) = reconcile_safe_logs(prepared, answered, watch, rules);
        blocks
            .extend(of_chain.into_iter().map(|(at, time, judged)| self.synthetic_block(at.into(), time, vec![judged])));
        let (remembered, news) = proposal_outcomes(&seen, kept, &answered.held, state);
        let stirs =
            waiting > seen.len() || !remembered.is_empty() || open || seen.iter().any(|one| one.weighed.doubtful);
        self.count_verdicts(&blocks);
        let step = OwnedStepJudged {
            chain: self.chain.info.clone(),
            watches: self.book.watches.clone(),
            retract: Vec::new(),
            blocks,
            undo: None,
        };
        let (roster, told) = (self.book.roster.clone(), news.clone());
        let whole = QueueSeen { step, safe: watch.address, remembered, news, accounted };
        let committed = self.store.commit_queue(whole, now_ms, move |step, standing| {
            escalate::proposal_change_set(step, standing, &roster, now_ms, &told)
        });
        let plan = committed.await.context("failed to commit what is queued")?;
        self.nudge.notify_one();
        let misnamed = seen.iter().filter(|one| one.queued.claimed != one.checked.hash).count();
        Ok(Concluded { plan, stirs, waiting, misnamed })
    }

    /// Returns the pending proposals, each hash once, with their signatures checked.
    async fn check_proposals(
        &self,
        prepared: &Prepared,
        answered: &Answered,
        reader: &dyn Reader,
    ) -> (Vec<Queued>, Vec<Checked>) {
        let Prepared { tip, state, .. } = prepared;
        let waits: Vec<&Queued> = answered.queued.iter().filter(|one| one.nonce >= state.nonce).collect();
        let mut all = check_all_signatures(&waits, state, &Answers::new()).await;
        let wanted: HashSet<Read> =
            all.iter_mut().flat_map(|(_, checked)| std::mem::take(&mut checked.wanted)).collect();
        if !wanted.is_empty() {
            let wanted: Vec<Read> = wanted.into_iter().take(APPROVALS_MAX).collect();
            let told = reader.read(tip.at, &wanted).await;
            all = check_all_signatures(&waits, state, &wanted.into_iter().zip(told).collect()).await;
        }
        // Of two identical transactions, the one reported under its correct hash is kept; the service's wrong hash for
        // the other is reported under the correct one.
        all.sort_by_key(|(queued, checked)| (queued.nonce, checked.hash, queued.claimed != checked.hash));
        let mut seen = HashSet::new();
        all.retain(|(_, checked)| seen.insert(checked.hash));
        all.into_iter().unzip()
    }

    fn seen_proposal<'a>(
        &self,
        queued: &'a Queued,
        checked: &'a Checked,
        weighed: JudgedProposals,
        prepared: &'a Prepared,
        now_ms: u64,
    ) -> Seen<'a> {
        let before = prepared.kept.remembered.iter().find(|one| one.hash == checked.hash);
        let row = Remembered {
            hash: checked.hash,
            nonce: queued.nonce,
            waits: Waits::Queued,
            first: before.map_or(prepared.tip.at.number, |before| before.first),
            time: before.map_or(prepared.tip.time, |before| before.time),
            seen_at: before.map_or(now_ms, |before| before.seen_at),
            rejects: queued.is_rejection(),
            judged: self.stands_for(checked, &weighed),
            progress: weighed.progress,
            doubtful: weighed.doubtful,
        };
        Seen { queued, checked, weighed, row, before }
    }

    /// Returns a digest of all inputs to the verdicts that change from look to look, or with the configuration.
    fn stands_for(&self, checked: &Checked, weighed: &JudgedProposals) -> B256 {
        let mut signers = checked.signers.clone();
        signers.sort_unstable();
        let signers: Vec<u8> = signers.iter().flat_map(|signer| signer.0.0).collect();
        let matters: String = weighed.matters.iter().map(|matter| format!("{},", matter.name)).collect();
        proposal_digest(&[
            self.book.hash.as_bytes(),
            &signers,
            matters.as_bytes(),
            weighed.progress.to_string().as_bytes(),
        ])
    }

    /// Includes the code that a watched proxy runs in the digest of each proposal that calls it. The meaning of the
    /// call changes with that code, so a proposal is judged again if the code changes while it is pending.
    async fn stand_for_code(&self, seen: &mut [Seen<'_>], at: BlockRef, reader: &dyn Reader) {
        if !self.chain.subjects.has_versions() {
            return;
        }
        let mut n_asked = 0;
        for one in seen {
            let unasked = self.decode_proposal(one, &Answers::new());
            let touches = unasked.wanted.iter().any(|read| matches!(read, Read::Storage { .. }));
            // Beyond the limit, the transactions that wait longest for their turn keep the verdict for the code that
            // ran when they were first seen.
            if !touches || n_asked == CODES_MAX {
                continue;
            }
            n_asked += 1;
            let (decoded, answers) =
                ask_through(at, reader, |_| true, |answers| self.decode_proposal(one, answers)).await;
            if let Some(before) = one.before.filter(|_| answers.values().any(|answer| *answer == Answer::Unavailable)) {
                one.row.judged = before.judged;
                continue;
            }
            let codes = decoded.activities.iter().filter_map(|activity| activity.executed_code());
            let codes: Vec<u8> = codes.flat_map(|(code, _)| code.0.0).collect();
            one.row.judged = proposal_digest(&[one.row.judged.as_slice(), &codes]);
            tokio::task::yield_now().await;
        }
    }

    /// Returns verdicts on new or changed transactions, each in a block of its own that represents the moment when the
    /// transaction was first seen.
    async fn judge_new_proposals(
        &self,
        fresh: &[&Seen<'_>],
        watch: &WatchInfo,
        rules: &WatchRules,
        at: BlockRef,
        reader: &dyn Reader,
    ) -> anyhow::Result<Vec<JudgedBlock>> {
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let history = load_history(&self.store, &self.chain).await?;
        let mut blocks = Vec::with_capacity(fresh.len());
        for one in fresh {
            let activities = self.read_and_decode(one, at, reader).await;
            let mut judged = examine_queued(activities, &self.book, &history, one.row.time);
            let envelope = judged.iter().map(|judged| &judged.activity).find(|activity| {
                activity.kind == ActivityKind::Call
                    && activity.watch == watch.id
                    && activity.position == Position::Call(vec![])
            });
            let raised: Vec<Judged> = envelope
                .into_iter()
                .flat_map(|envelope| proposals::proposal_findings(envelope, &one.weighed.matters, rules))
                .collect();
            judged.extend(raised);
            blocks.push(self.synthetic_block(Anchor::Proposed { since: one.row.first }, one.row.time, judged));
            tokio::task::yield_now().await;
        }
        Ok(blocks)
    }

    async fn read_and_decode(&self, one: &Seen<'_>, at: BlockRef, reader: &dyn Reader) -> Vec<crate::model::Activity> {
        ask_through(at, reader, |_| true, |answers| self.decode_proposal(one, answers)).await.0.activities
    }

    fn decode_proposal(&self, one: &Seen<'_>, answers: &Answers) -> decode::Decoded {
        let (subjects, progress) = (&self.chain.subjects, one.weighed.progress);
        decode::queued::decode_proposal(one.queued, one.checked, progress, subjects, answers)
    }

    fn synthetic_block(&self, anchor: Anchor, time: u64, judged: Vec<Judged>) -> JudgedBlock {
        let chain = self.chain.info.id;
        JudgedBlock {
            chain,
            anchor,
            parent: B256::ZERO,
            time,
            judged,
            deltas: Vec::new(),
            sight: Provenance::default(),
        }
    }

    fn count_verdicts(&self, blocks: &[JudgedBlock]) {
        for judged in blocks.iter().flat_map(|block| &block.judged) {
            let severity = match &judged.verdict {
                Verdict::Normal { .. } => None,
                Verdict::Abnormal(abnormal) => Some(abnormal.severity),
            };
            let watch = self.book.watch(judged.activity.watch);
            self.metrics.record_verdict(watch.map_or("", |watch| &watch.label), severity);
        }
    }
}

/// Checks the signatures of each transaction. Recovering a hostile list of them takes seconds, so other tasks of the
/// chain may run in between.
async fn check_all_signatures(waits: &[&Queued], state: &SafeState, answers: &Answers) -> Vec<(Queued, Checked)> {
    let mut all = Vec::with_capacity(waits.len());
    for one in waits {
        all.push(((*one).clone(), decode::queued::check_signatures(one, state, answers)));
        tokio::task::yield_now().await;
    }
    all
}

/// A finding that a queue causes about an event on chain, with its block and time.
type OfChain = (BlockRef, u64, Judged);

/// Compares the Safe's logs with the queue, in order, up to the first log that the service cannot answer for yet.
/// Returns the position up to which all logs are accounted for, the findings, and whether any log is still open.
fn reconcile_safe_logs(
    prepared: &Prepared,
    answered: &Answered,
    watch: &WatchInfo,
    rules: &WatchRules,
) -> (i64, Vec<OfChain>, bool) {
    let Prepared { state, kept, .. } = prepared;
    let mut known: HashSet<B256> = kept.remembered.iter().map(|one| one.hash).collect();
    // Includes transactions whose nonce is already past: they were shown at least once.
    known.extend(answered.queued.iter().map(|one| decode::queued::hash(one, state)));
    let executed: HashSet<B256> = kept.traces.iter().filter(|trace| trace.executed).map(|trace| trace.hash).collect();
    // True if another transaction was waiting for one of the nonces that these executions used.
    let lowest = state.nonce.saturating_sub(U256::from(executed.len()));
    let displaced = kept.remembered.iter().any(|one| {
        let used = one.nonce >= lowest && one.nonce < state.nonce;
        let waited = matches!(one.waits, Waits::Queued | Waits::Replaced) && !one.rejects;
        used && waited && !executed.contains(&one.hash)
    });
    let mut found = Vec::new();
    for trace in &kept.traces {
        if known.contains(&trace.hash) {
            continue;
        }
        match answered.lookups.get(&trace.hash).copied().unwrap_or(Lookup::Unknown) {
            Lookup::Unknown => return (trace.seq - 1, found, true),
            lookup => {
                let judged = proposals::judge_safe_log(trace, lookup, displaced, watch.id, rules);
                found.extend(judged.map(|judged| (trace.at, trace.time, judged)));
            }
        }
    }
    (kept.until, found, false)
}

/// Returns the proposals whose stored state changes, and the outcomes of proposals for the recipients who were notified
/// of them.
fn proposal_outcomes(
    seen: &[Seen<'_>],
    kept: &QueueKept,
    held: &BTreeSet<B256>,
    state: &SafeState,
) -> (Vec<Remembered>, Vec<(B256, String)>) {
    let listed: BTreeSet<B256> = seen.iter().map(|one| one.row.hash).chain(held.iter().copied()).collect();
    let executed = kept.traces.iter().filter(|trace| trace.executed).map(|trace| trace.hash).collect();
    let settled = proposals::resolve_remembered(&kept.remembered, &listed, &executed, state);
    let news = settled.iter().filter_map(|one| Some((one.hash, outcome_sentence(one)?))).collect();
    let ended: HashSet<B256> = settled.iter().filter(|one| one.waits != Waits::Queued).map(|one| one.hash).collect();
    let changed = seen.iter().filter(|one| !ended.contains(&one.row.hash) && one.before != Some(&one.row));
    let mut remembered: Vec<Remembered> = changed.map(|one| one.row.clone()).collect();
    remembered.extend(settled.into_iter().filter(|one| one.waits != Waits::Queued));
    (remembered, news)
}

/// Returns the outcome of a proposal as a sentence for people; `None` if it is pending again.
fn outcome_sentence(one: &Remembered) -> Option<String> {
    match one.waits {
        Waits::Queued => None,
        Waits::Executed => Some(format!("What was queued at nonce {} was executed", one.nonce)),
        Waits::Replaced => Some(format!(
            "Nonce {} was used by another transaction: what was queued for it can never be executed",
            one.nonce
        )),
        Waits::Withdrawn => Some(format!("What was queued at nonce {} is no longer shown by its service", one.nonce)),
    }
}
