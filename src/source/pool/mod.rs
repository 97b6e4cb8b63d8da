//! Several endpoints of one chain, asked as one.
//!
//! Comes in: a question. Goes out: the first good answer, whose it is, and what the others did wrong. The best endpoint is asked
//! first; when it takes longer than nineteen of twenty of its answers did, the next is asked as well; when it fails, the next is
//! asked at once. That one does not know a block which another knows is lag, not absence. What never happens here: an error or a
//! `null` that wins over an answer, or an answer that nobody stands for.

mod bucket;
mod health;
mod read;

use super::council::Voice;
use super::node::Node;
use super::rpc::NodeError;
use super::{Deadlines, Fetched};
use crate::model::{ChainId, Link};
use crate::runtime::instant;
use alloy_primitives::B256;
use bucket::Bucket;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
pub use health::{Health, QUARANTINE, Work};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Most endpoints of one chain: more would cost requests and add nothing to trust.
pub const ENDPOINTS_MAX: usize = 16;

/// Wrong answers of one endpoint that are kept until somebody looks: one is enough to distrust it.
const CAUGHT_MAX: usize = 4;

/// One chain's endpoints. Cloned freely; clones share connections, health and limits.
#[derive(Clone)]
pub struct Pool(Arc<[Member]>);

struct Member {
    node: Node,
    health: Mutex<Health>,
    bucket: Option<Bucket>,
    /// Wrong answers about state, until the driver looks.
    caught: Mutex<Vec<NodeError>>,
    /// Of the whole pool: somebody should look.
    look: Arc<Notify>,
}

/// What became of a question.
pub(super) struct Asked<T> {
    /// The first good answer, or the failure that says most.
    pub(super) answer: Result<(Voice, T), NodeError>,
    /// Who failed meanwhile, and how.
    pub(super) failures: Vec<(Voice, NodeError)>,
    /// How often another endpoint was asked because the one before took long.
    pub(super) hedges: u32,
}

/// A pool needs endpoints of one chain: at least one, at most [`ENDPOINTS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chain needs one to {ENDPOINTS_MAX} endpoints, all of the same chain")]
pub struct BadPool;

impl Pool {
    /// Endpoints in the order in which they are preferred, each with how many requests a second it may be sent, if that is limited.
    ///
    /// # Errors
    /// When there are none, too many, or of several chains.
    pub fn new(nodes: Vec<(Node, Option<f64>)>) -> Result<Self, BadPool> {
        let chain = nodes.first().map(|(node, _)| node.chain());
        if nodes.is_empty() || nodes.len() > ENDPOINTS_MAX || nodes.iter().any(|(node, _)| Some(node.chain()) != chain)
        {
            return Err(BadPool);
        }
        let (now, look) = (instant(), Arc::<Notify>::default());
        let member = |(node, rate): (Node, Option<f64>)| Member {
            node,
            health: Mutex::new(Health::new()),
            bucket: rate.map(|rate| Bucket::new(rate, now)),
            caught: Mutex::default(),
            look: look.clone(),
        };
        Ok(Self(nodes.into_iter().map(member).collect()))
    }

    /// The chain they serve.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.0[0].node.chain()
    }

    /// How long they are waited for.
    #[must_use]
    pub fn deadlines(&self) -> &Deadlines {
        self.0[0].node.deadlines()
    }

    /// The endpoints, in the order in which they were given.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.0.iter().map(|member| &member.node)
    }

    /// How well each does.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.0.iter().map(|member| member.health().clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn name(&self, voice: Voice) -> Arc<str> {
        self.0[voice].node.shared_name()
    }

    pub(super) fn node(&self, voice: Voice) -> &Node {
        &self.0[voice].node
    }

    pub(super) fn has(&self, voice: Voice, what: impl Fn(&Health) -> bool) -> bool {
        self.0.get(voice).is_some_and(|member| what(&member.health()))
    }

    /// This endpoint was caught lying.
    pub(super) fn quarantine(&self, voice: Voice) {
        self.0[voice].health().quarantine(instant());
    }

    /// This endpoint gave an answer without sense. True when that was one too many, and it is in quarantine for it.
    pub(super) fn slipped(&self, voice: Voice) -> bool {
        self.0[voice].health().slipped(instant())
    }

    /// The newest block of one endpoint.
    pub(super) async fn head(&self, voice: Voice) -> Result<Option<Link>, NodeError> {
        self.0[voice].ask(Work::Head, 1.0, |node| Box::pin(async move { node.head().await })).await
    }

    /// The block that a tag names at one endpoint: `safe` or `finalized`.
    pub(super) async fn tag(&self, voice: Voice, tag: &'static str) -> Result<Option<Link>, NodeError> {
        self.0[voice].ask(Work::Head, 1.0, |node| Box::pin(async move { node.tag(tag).await })).await
    }

    /// The text of a transaction as one endpoint has it, pending or not; `null` where it does not.
    pub(super) async fn tx(&self, voice: Voice, hash: B256) -> Result<Box<RawValue>, NodeError> {
        let ask = |node: Node| -> BoxFuture<'static, _> {
            Box::pin(async move {
                let text = node.ask("eth_getTransactionByHash", [hash], node.deadlines().call).await?;
                Ok(text.into_raw())
            })
        };
        self.0[voice].ask(Work::Call, 1.0, ask).await
    }

    /// The header with this hash, from `first` before others.
    pub(super) async fn header(&self, hash: B256, first: Option<Voice>) -> Asked<Link> {
        self.first_of(Work::Head, 1.0, first, |node| Box::pin(async move { node.header(hash).await })).await
    }

    /// The block with this hash, from `first` before others.
    pub(super) async fn block(&self, hash: B256, first: Option<Voice>, keep_raw: bool) -> Asked<Fetched> {
        self.first_of(Work::Block, 2.0, first, |node| Box::pin(async move { node.block(hash, keep_raw).await })).await
    }

    /// The block with this hash as an endpoint other than `not` gives it; `None` when no other gives it.
    pub(super) async fn second(&self, hash: B256, not: Voice, keep_raw: bool) -> Option<(Voice, Fetched)> {
        for voice in self.order(Work::Block, None).into_iter().filter(|voice| *voice != not) {
            let ask =
                |node: Node| -> BoxFuture<'static, _> { Box::pin(async move { node.block(hash, keep_raw).await }) };
            if let Ok(block) = self.0[voice].ask(Work::Block, 2.0, ask).await {
                return Some((voice, block));
            }
        }
        None
    }

    /// The block at this height, from `first` before others.
    pub(super) async fn block_numbered(&self, number: u64, first: Option<Voice>, keep_raw: bool) -> Asked<Fetched> {
        let ask = |node: Node| -> BoxFuture<'static, _> {
            Box::pin(async move { node.block_numbered(number, keep_raw).await })
        };
        self.first_of(Work::Block, 2.0, first, ask).await
    }

    /// The newest block of the first endpoint that answers; `None` while its chain has none.
    ///
    /// # Errors
    /// When none answers.
    pub async fn newest(&self) -> Result<Option<Link>, NodeError> {
        let ask = |node: Node| -> BoxFuture<'static, _> { Box::pin(async move { node.head().await }) };
        self.first_of(Work::Head, 1.0, None, ask).await.answer.map(|(_, head)| head)
    }

    /// The block with this hash.
    ///
    /// # Errors
    /// When no endpoint gives it.
    pub async fn get(&self, hash: B256) -> Result<Fetched, NodeError> {
        self.block(hash, None, false).await.answer.map(|(_, block)| block)
    }

    /// What people call the endpoints.
    #[must_use]
    pub fn names(&self) -> String {
        self.nodes().map(Node::name).collect::<Vec<_>>().join(", ")
    }

    /// The block that includes this transaction; `None` when no endpoint that answers knows of one.
    ///
    /// # Errors
    /// When none answers.
    pub async fn block_of(&self, tx: B256) -> Result<Option<B256>, NodeError> {
        let ask = |node: Node| -> BoxFuture<'static, _> {
            Box::pin(
                async move { node.block_of(tx).await?.ok_or_else(|| NodeError::Missing(format!("transaction {tx}"))) },
            )
        };
        match self.first_of(Work::Head, 1.0, None, ask).await.answer {
            Ok((_, block)) => Ok(Some(block)),
            Err(NodeError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Endpoints in the order in which to ask them.
    fn order(&self, work: Work, first: Option<Voice>) -> Vec<Voice> {
        let now = instant();
        let mut order: Vec<_> = (0..self.len())
            .map(|voice| {
                let (quarantined, down, errors, time) = self.0[voice].health().rank(work, now);
                // Whoever named a block has it, which is worth more than speed and less than trust.
                ((quarantined, down, first.is_some_and(|first| first != voice), errors, time), voice)
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, voice)| voice).collect()
    }

    async fn first_of<T>(
        &self,
        work: Work,
        cost: f64,
        first: Option<Voice>,
        ask: impl Fn(Node) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Asked<T> {
        self.first_among(self.order(work, first), work, cost, ask).await
    }

    /// The first good answer of these endpoints, asked in their order.
    async fn first_among<T>(
        &self,
        order: Vec<Voice>,
        work: Work,
        cost: f64,
        ask: impl Fn(Node) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Asked<T> {
        let one = |voice: Voice| {
            let asked = self.0[voice].ask(work, cost, &ask);
            async move { (voice, asked.await) }
        };
        let mut waiting = order.into_iter();
        let (mut asked, mut failures) = (FuturesUnordered::new(), Vec::new());
        let (mut launch, mut hedge_at, mut hedges) = (true, instant(), 0);
        loop {
            if launch && let Some(voice) = waiting.next() {
                hedge_at = instant() + self.0[voice].health().hedge_after(work);
                asked.push(one(voice));
            }
            let can_hedge = waiting.len() > 0 && !asked.is_empty();
            launch = tokio::select! {
                biased;
                Some((voice, answer)) = asked.next() => match answer {
                    Ok(answer) => return Asked { answer: Ok((voice, answer)), failures, hedges },
                    Err(error) => {
                        failures.push((voice, error));
                        true
                    }
                },
                () = tokio::time::sleep_until(hedge_at), if can_hedge => {
                    hedges += 1;
                    true
                }
                else => return Asked { answer: Err(telling(&failures)), failures, hedges },
            };
        }
    }
}

impl From<Node> for Pool {
    fn from(node: Node) -> Self {
        Self(
            [Member {
                node,
                health: Mutex::new(Health::new()),
                bucket: None,
                caught: Mutex::default(),
                look: Arc::default(),
            }]
            .into(),
        )
    }
}

impl Member {
    /// Keeps a wrong answer until somebody looks at it.
    fn catch(&self, error: &NodeError) {
        let mut caught = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        if caught.len() < CAUGHT_MAX {
            caught.push(error.clone());
            self.look.notify_one();
        }
    }

    async fn ask<T>(
        &self,
        work: Work,
        cost: f64,
        ask: impl Fn(Node) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        self.rest(cost).await;
        let began = instant();
        let answer = ask(self.node.clone()).await;
        let mut health = self.health();
        match &answer {
            // Not to know a block is no fault: it may be gone, or not there yet.
            Ok(_) | Err(NodeError::Missing(_)) => health.worked(work, began.elapsed(), instant()),
            Err(_) => health.failed(),
        }
        answer
    }

    /// Waits until the endpoint may be asked.
    async fn rest(&self, cost: f64) {
        let wait = self.bucket.as_ref().map_or(Duration::ZERO, |bucket| bucket.take(cost, instant()));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.nodes()).finish()
    }
}

/// The failure that says most: an answer that is wrong, then a block that nobody knows, then whatever came last.
fn telling(failures: &[(Voice, NodeError)]) -> NodeError {
    let wrong = failures.iter().find(|(_, error)| error.is_wrong());
    let missing = || failures.iter().find(|(_, error)| matches!(error, NodeError::Missing(_)));
    let told = wrong.or_else(missing).or(failures.last());
    told.map_or_else(|| NodeError::Unreachable("nobody was asked".to_owned()), |(_, error)| error.clone())
}

#[cfg(test)]
mod tests;
