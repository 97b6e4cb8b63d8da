//! Judging of pending transactions before a block contains them, and their tracking to the end.
//!
//! Transactions come from [`crate::source::Mempool`], with their senders recovered. Those with a finding are stored
//! together with it; the chain step that includes one raises the same finding with the same identity. Findings are
//! retracted here when the transaction is replaced, is never included, or leads to a different finding when included.
//! All state is in the store, so that a restart continues with it.

use super::{Reader, ask_through, examine_queued, load_history};
use crate::classify::{self, History};
use crate::contracts::{self, Property};
use crate::decode;
use crate::escalate;
use crate::model::incident::ChangeSet;
use crate::model::pending::{Ended, Ending, Pending};
use crate::model::read::{Answer, READS_MAX, Read};
use crate::model::{
    Activity, ActivityKind, Anchor, Block, BlockRef, Judged, JudgedBlock, Link, Position, Provenance, Tx, Verdict,
};
use crate::runtime::{self, Clock};
use crate::source::mempool::Interest;
use crate::store::{OwnedStepJudged, PendingSeen, Store};
use crate::watchlist::{ChainBook, Config};
use alloy_primitives::{Address, B256, keccak256};
use anyhow::Context as _;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tracing::debug;

/// Maximum number of transactions that wait to be included, each with a finding of its own: if more are announced,
/// those that have waited longest are ended.
pub const WAITING_MAX: usize = 1_024;
/// Time after which a pending transaction expires, in milliseconds: half an hour.
pub const EXPIRES_MS: u64 = 1_800_000;
/// Maximum number of remembered acts of watched accounts that were announced and that a rule vouched for: if a
/// different transaction displaces one, that is reported. They are kept only in memory: an act announced before a
/// restart can be displaced unnoticed until the other transaction is in a block.
const VOUCHED_MAX: usize = 1_024;
/// Maximum number of questions asked of the node for all transactions announced between two blocks, as many as for four
/// blocks, so that a flood of announcements cannot use up a quota. Further questions count as unanswered, and the
/// result says so.
const READS_BETWEEN_MAX: usize = 4 * READS_MAX;

/// Maximum length of calldata, in bytes, up to which an act that a rule vouched for is kept whole, 4 KiB. When a longer
/// act displaces a transaction that is received after it, this is not reported.
const KEPT_INPUT_MAX: usize = 4_096;

/// An announced act of a watched account that a rule vouched for.
struct Vouched {
    hash: B256,
    /// Digest of its effect, without the fee it offers.
    does: B256,
    /// Time at which it was first announced, wall-clock milliseconds.
    seen_at: u64,
    /// Bid per unit of gas.
    bid: Option<u128>,
    /// The act with its verdict, unless its calldata is too long to keep.
    judged: Option<Box<Judged>>,
}

/// Checks whether a pool would replace the second of two transactions for one nonce by the first; true if either bid is
/// unknown.
fn can_replace_pending(first: Option<u128>, second: Option<u128>) -> bool {
    first.zip(second).is_none_or(|(first, second)| first > second)
}

/// The pending transactions of a chain.
pub struct PendingWatcher {
    book: Arc<Config>,
    chain: Arc<ChainBook>,
    store: Store,
    clock: Arc<dyn Clock>,
    nudge: Arc<Notify>,
    waiting: BTreeMap<B256, Pending>,
    /// Bids per unit of gas of the waiting transactions that were announced since the start.
    bids: HashMap<B256, u128>,
    /// Senders and nonces of the waiting transactions: another transaction with the same pair replaces one.
    nonces: Arc<Mutex<HashSet<(Address, u64)>>>,
    /// Acts that a rule vouched for, by sender and nonce; `order` keeps the order of their announcement.
    vouched: HashMap<(Address, u64), Vouched>,
    order: VecDeque<(Address, u64)>,
    /// Rolling windows as of this block.
    history: Option<(BlockRef, History)>,
    /// Number of questions asked at this block.
    asked: (Option<BlockRef>, usize),
    /// Newest block at which the waiting transactions were checked.
    looked: Option<BlockRef>,
}

impl PendingWatcher {
    /// Continues with the waiting transactions in the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn resume_from_store(
        book: Arc<Config>,
        chain: Arc<ChainBook>,
        store: Store,
        clock: Arc<dyn Clock>,
        nudge: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let kept = store.pending_transactions(chain.info.id).await.context("failed to read what is pending")?;
        let waiting: BTreeMap<B256, Pending> = kept.into_iter().map(|one| (one.hash, one)).collect();
        let (nonces, history, looked) = (Arc::default(), None, None);
        let watcher = Self {
            book,
            chain,
            store,
            clock,
            nudge,
            waiting,
            bids: HashMap::new(),
            nonces,
            history,
            looked,
            asked: (None, 0),
            vouched: HashMap::new(),
            order: VecDeque::new(),
        };
        watcher.note_nonces();
        Ok(watcher)
    }

    /// Returns a filter for relevant transactions: those that may touch a watch, and those that may replace a waiting
    /// one.
    #[must_use]
    pub fn mempool_interest(&self) -> Interest {
        let (subjects, nonces) = (self.chain.subjects.clone(), self.nonces.clone());
        Arc::new(move |tx| {
            decode::pending::is_pending_relevant(tx, &subjects)
                || nonces.lock().unwrap_or_else(PoisonError::into_inner).contains(&(tx.from, tx.nonce))
        })
    }

    /// Returns the number of transactions waiting to be included.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.waiting.len()
    }

    /// Judges announced transactions, and commits the findings.
    ///
    /// # Errors
    /// When the store refuses. The same can be heard again: what was committed is known by then.
    pub async fn judge_announced(&mut self, txs: &[Tx], reader: &dyn Reader) -> anyhow::Result<ChangeSet> {
        let id = self.chain.info.id;
        let Some(tip) = self.store.chain_tip(id).await.context("failed to read the newest block")? else {
            return Ok(ChangeSet::default());
        };
        let hashes = txs.iter().map(|tx| tx.hash).collect();
        let known = self
            .store
            .pending_known(id, hashes)
            .await
            .context("failed to read what is known of pending transactions")?;
        let mut known: HashSet<B256> = known.into_iter().collect();
        let (mut heard, mut blocks, now_ms) = (Heard::default(), Vec::new(), runtime::steady_millis(&*self.clock));
        for tx in txs {
            if !known.insert(tx.hash) {
                continue;
            }
            let rivals = self.same_nonce_pending(tx);
            // The transaction was displaced before it was received; the one that displaced it was already reported.
            if rivals.iter().any(|rival| !can_replace_pending(tx.bid, self.bids.get(&rival.hash).copied())) {
                continue;
            }
            let mut judged = self.judge_transaction(tx, tip, &rivals, reader).await?;
            debug!(tx = %tx.hash, "judged pending transaction {}", tx.hash);
            if let Some((late, bid, found)) = self.detect_displacement(tx, tip, &mut judged, now_ms) {
                self.bids.extend(bid.map(|bid| (late.hash, bid)));
                heard.changed.push(late);
                blocks.push(self.synthetic_block(tip, vec![found]));
            }
            rivals.iter().for_each(|rival| heard.end_pending(rival, Ending::Replaced, Some(tx.hash)));
            if judged.iter().any(|judged| matches!(judged.verdict, Verdict::Abnormal(_))) {
                let Tx { hash, from, nonce, bid, .. } = *tx;
                self.bids.extend(bid.map(|bid| (hash, bid)));
                heard.changed.push(Pending { hash, from, nonce, first: tip.at.number, seen_at: now_ms, ended: None });
                blocks.push(self.synthetic_block(tip, judged));
            }
        }
        let room = WAITING_MAX.saturating_sub(heard.changed.iter().filter(|one| one.ended.is_none()).count());
        let mut oldest: Vec<&Pending> = self.waiting.values().filter(|one| !heard.contains_hash(one.hash)).collect();
        oldest.sort_unstable_by_key(|one| (std::cmp::Reverse(one.seen_at), one.hash));
        oldest.into_iter().skip(room).for_each(|one| heard.end_pending(one, Ending::Expired, None));
        self.commit_changes(heard, blocks, now_ms).await
    }

    /// Checks the waiting transactions: at each new block, and as time passes.
    ///
    /// # Errors
    /// When the store refuses. Nothing is lost by that: the next look finds the same.
    pub async fn update_pending(&mut self, reader: &dyn Reader) -> anyhow::Result<ChangeSet> {
        let id = self.chain.info.id;
        if self.waiting.is_empty() {
            return Ok(ChangeSet::default());
        }
        let Some(tip) = self.store.chain_tip(id).await.context("failed to read the newest block")? else {
            return Ok(ChangeSet::default());
        };
        let now_ms = runtime::steady_millis(&*self.clock);
        let mut heard = Heard::default();
        if self.looked != Some(tip.at) {
            // Nonces are read before the included transactions, which can only increase afterwards: a nonce that is
            // used, but by none of the included transactions, was used by another transaction.
            let used = self.next_nonces(tip.at, reader).await;
            let hashes = self.waiting.keys().copied().collect();
            let included = self.store.included_hashes(id, hashes).await.context("failed to read what was included")?;
            let included: HashSet<B256> = included.into_iter().collect();
            for one in self.waiting.values() {
                if included.contains(&one.hash) {
                    heard.end_pending(one, Ending::Included, None);
                } else if used.get(&one.from).is_some_and(|next| *next > one.nonce) {
                    heard.end_pending(one, Ending::Replaced, None);
                }
            }
        }
        for one in self.waiting.values().filter(|one| now_ms.saturating_sub(one.seen_at) >= EXPIRES_MS) {
            if !heard.contains_hash(one.hash) {
                heard.end_pending(one, Ending::Expired, None);
            }
        }
        let plan = self.commit_changes(heard, Vec::new(), now_ms).await?;
        self.looked = Some(tip.at);
        Ok(plan)
    }

    /// Returns the waiting transactions with the same sender and nonce.
    fn same_nonce_pending(&self, tx: &Tx) -> Vec<Pending> {
        let same = |one: &&Pending| one.from == tx.from && one.nonce == tx.nonce && one.hash != tx.hash;
        self.waiting.values().filter(same).cloned().collect()
    }

    /// Returns the next nonce of each sender at this block, where the node can report it.
    async fn next_nonces(&self, at: BlockRef, reader: &dyn Reader) -> BTreeMap<Address, u64> {
        let senders: BTreeMap<Address, Read> =
            self.waiting.values().map(|one| (one.from, Read::Nonce(one.from))).take(READS_MAX).collect();
        let reads: Vec<Read> = senders.values().cloned().collect();
        let answers = reader.read(at, &reads).await;
        let next = |answer: &Answer| answer.as_number().and_then(|next| u64::try_from(next).ok());
        senders.into_keys().zip(&answers).filter_map(|(sender, answer)| Some((sender, next(answer)?))).collect()
    }

    /// Judges by the rules and the current windows; the result is not counted in the windows, because the transaction
    /// has not been executed.
    async fn judge_transaction(
        &mut self,
        tx: &Tx,
        tip: Link,
        rivals: &[Pending],
        reader: &dyn Reader,
    ) -> anyhow::Result<Vec<Judged>> {
        let at = Block { at: tip.at, parent: tip.parent, time: tip.time, txs: Vec::new(), withdrawals: Vec::new() };
        let subjects = &self.chain.subjects;
        let asked = &mut self.asked;
        let may_ask = |n: usize| {
            if asked.0 != Some(tip.at) {
                *asked = (Some(tip.at), 0);
            }
            asked.1 += n;
            asked.1 <= READS_BETWEEN_MAX
        };
        let (decoded, _) =
            ask_through(tip.at, reader, may_ask, |answers| decode::pending::decode_pending(tx, &at, subjects, answers))
                .await;
        if decoded.activities.is_empty() {
            return Ok(Vec::new());
        }
        let history = match self.history.take() {
            Some((at, history)) if at == tip.at => history,
            _ => load_history(&self.store, &self.chain).await?,
        };
        let mut judged = examine_queued(decoded.activities, &self.book, &history, tip.time);
        self.history = Some((tip.at, history));
        for judged in &mut judged {
            if let (Verdict::Abnormal(abnormal), Some(rival)) = (&mut judged.verdict, rivals.first()) {
                let why =
                    format!("it takes nonce {} of {} from {}, which is pending too", tx.nonce, tx.from, rival.hash);
                abnormal.reasons.insert(0, why);
                abnormal.near += 1;
            }
        }
        Ok(judged)
    }

    /// Reports when a watched account's transaction displaces another that does something different and that a rule
    /// vouched for; remembers the new one in turn. A higher bid for the same effect displaces nothing.
    ///
    /// The offered prices decide which transaction displaces the other, because several nodes announce them in
    /// different orders. If the displaced transaction is received second, the finding belongs to it and is returned.
    fn detect_displacement(
        &mut self,
        tx: &Tx,
        tip: Link,
        judged: &mut [Judged],
        now_ms: u64,
    ) -> Option<(Pending, Option<u128>, Judged)> {
        let (_, history) = self.history.as_ref()?;
        let account = |activity: &Activity| {
            let watch = self.book.watches.get(activity.watch.index());
            activity.kind == ActivityKind::Act
                && watch.is_some_and(|watch| {
                    watch.address == tx.from && contracts::of_kind(watch.kind).has(Property::Account)
                })
        };
        let whole = |position: &Position| matches!(position, Position::Call(path) if path.is_empty());
        let own = judged.iter_mut().find(|one| whole(&one.activity.position) && account(&one.activity))?;
        let key = (tx.from, tx.nonce);
        let to = tx.to.map_or_else(Vec::new, |to| to.to_vec());
        let does = keccak256([&to, &tx.value.to_be_bytes::<32>()[..], &tx.input].concat());
        let known = self.vouched.get(&key).filter(|known| now_ms.saturating_sub(known.seen_at) < EXPIRES_MS);
        let rival = known.filter(|known| known.hash != tx.hash && known.does != does);
        let (rules, time) = (&self.book.rules, tip.time);
        let is_late = known.is_some_and(|known| !can_replace_pending(tx.bid, known.bid));
        if is_late {
            let rival = rival?;
            let mut found = rival.judged.as_deref()?.clone();
            let vouched = matches!(own.verdict, Verdict::Normal { .. });
            classify::judge_displacement(&mut found, tx.hash, tx.nonce, rules, history, time);
            let is_found = vouched && matches!(found.verdict, Verdict::Abnormal(_));
            let late = Pending {
                hash: rival.hash,
                from: tx.from,
                nonce: tx.nonce,
                first: tip.at.number,
                seen_at: now_ms,
                ended: None,
            };
            return is_found.then_some((late, rival.bid, found));
        }
        if let Some(rival) = rival {
            classify::judge_displacement(own, rival.hash, tx.nonce, rules, history, time);
        }
        if matches!(own.verdict, Verdict::Normal { .. }) {
            let kept = (tx.input.len() <= KEPT_INPUT_MAX).then(|| Box::new(own.clone()));
            let one = Vouched { hash: tx.hash, does, seen_at: now_ms, bid: tx.bid, judged: kept };
            if self.vouched.insert(key, one).is_none() {
                self.order.push_back(key);
            }
            if self.order.len() > VOUCHED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.vouched.remove(&oldest);
            }
        }
        None
    }

    /// Returns a block that represents the moment of the first announcement; it is no block of the chain.
    fn synthetic_block(&self, tip: Link, judged: Vec<Judged>) -> JudgedBlock {
        JudgedBlock {
            chain: self.chain.info.id,
            anchor: Anchor::Pending { since: tip.at.number },
            parent: B256::ZERO,
            time: tip.time,
            judged,
            deltas: Vec::new(),
            sight: Provenance::default(),
        }
    }

    async fn commit_changes(
        &mut self,
        heard: Heard,
        blocks: Vec<JudgedBlock>,
        now_ms: u64,
    ) -> anyhow::Result<ChangeSet> {
        let Heard { changed, ended } = heard;
        if changed.is_empty() {
            return Ok(ChangeSet::default());
        }
        let step = OwnedStepJudged {
            chain: self.chain.info.clone(),
            watches: self.book.watches.clone(),
            retract: Vec::new(),
            blocks,
            undo: None,
        };
        let (roster, told) = (self.book.roster.clone(), ended.clone());
        let seen = PendingSeen { step, changed: changed.clone(), ended };
        let committed = self.store.commit_pending(seen, now_ms, move |step, standing| {
            escalate::pending_change_set(step, standing, &roster, now_ms, &told)
        });
        let plan = committed.await.context("failed to commit what is pending")?;
        self.nudge.notify_one();
        for one in changed {
            match one.ended {
                None => self.waiting.insert(one.hash, one),
                Some(_) => {
                    self.bids.remove(&one.hash);
                    self.waiting.remove(&one.hash)
                }
            };
        }
        self.note_nonces();
        Ok(plan)
    }

    fn note_nonces(&self) {
        let nonces = self.waiting.values().map(|one| (one.from, one.nonce)).collect();
        *self.nonces.lock().unwrap_or_else(PoisonError::into_inner) = nonces;
    }
}

/// Changes to be committed.
#[derive(Default)]
struct Heard {
    changed: Vec<Pending>,
    ended: Vec<Ended>,
}

impl Heard {
    fn end_pending(&mut self, one: &Pending, how: Ending, by: Option<B256>) {
        self.changed.push(Pending { ended: Some(how), ..one.clone() });
        self.ended.push(Ended { tx: one.hash, how, by });
    }

    fn contains_hash(&self, hash: B256) -> bool {
        self.changed.iter().any(|one| one.hash == hash)
    }
}
