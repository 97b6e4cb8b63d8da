//! Pool of several endpoints of one chain with the interface of one endpoint.
//!
//! Comes in: a request. Goes out: the first good answer, its endpoint, and the errors of the others. The best endpoint
//! is asked first. When it takes longer than nineteen of twenty of its answers did, the next is asked as well; when it
//! fails, the next is asked at once. If one endpoint lacks a block that another has, that is lag, not absence. Never
//! here: an error or a `null` that wins over an answer, or an answer without a known endpoint.

mod health;
mod read;

use super::node::Node;
use super::quorum::EndpointId;
use super::rate_limit::Priority;
use super::rpc::NodeError;
use super::{Deadlines, Fetched, RawText};
use crate::model::{ChainId, Link};
use crate::runtime::monotonic_now;
use alloy_primitives::B256;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
pub use health::{Health, QUARANTINE, Work};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Maximum number of endpoints of one chain: more would cost requests and not improve trust.
pub const ENDPOINTS_MAX: usize = 16;

/// Number of wrong answers kept for one endpoint until the driver reads them: one is enough to distrust it.
const CAUGHT_MAX: usize = 4;

/// Handle of the endpoints of one chain. Cloned freely; clones share limits, health and quarantine, and so do the handles
/// of [`Pool::with_priority`].
#[derive(Clone)]
pub struct Pool {
    members: Arc<[Member]>,
    /// Purpose of the requests that this handle sends.
    priority: Priority,
}

struct Member {
    node: Node,
    health: Mutex<Health>,
    /// Wrong answers about state that the driver has not read yet.
    caught: Mutex<Vec<NodeError>>,
    /// Signal to the driver, shared by the whole pool.
    look: Arc<Notify>,
}

/// Outcome of a request.
pub(super) struct Asked<T> {
    /// First good answer, or the most informative failure.
    pub(super) answer: Result<(EndpointId, T), NodeError>,
    /// Endpoints that failed meanwhile, each with its error.
    pub(super) failures: Vec<(EndpointId, NodeError)>,
    /// Number of times another endpoint was asked because the previous one was slow.
    pub(super) hedges: u32,
}

/// Error for an invalid pool: it needs at least one and at most [`ENDPOINTS_MAX`] endpoints, all of one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chain needs one to {ENDPOINTS_MAX} endpoints, all of the same chain")]
pub struct BadPool;

impl Pool {
    /// Creates a pool of endpoints in the order of preference, each with its limit of requests a second, if there is
    /// one.
    ///
    /// # Errors
    /// When there are none, too many, or of several chains.
    pub fn new(nodes: Vec<(Node, Option<f64>)>) -> Result<Self, BadPool> {
        let chain = nodes.first().map(|(node, _)| node.chain_id());
        if nodes.is_empty()
            || nodes.len() > ENDPOINTS_MAX
            || nodes.iter().any(|(node, _)| Some(node.chain_id()) != chain)
        {
            return Err(BadPool);
        }
        let look = Arc::<Notify>::default();
        let member = |(node, rate): (Node, Option<f64>)| Member {
            node: match rate {
                Some(rate) => node.with_rate_limit(rate),
                None => node,
            },
            health: Mutex::new(Health::new()),
            caught: Mutex::default(),
            look: look.clone(),
        };
        Ok(Self { members: nodes.into_iter().map(member).collect(), priority: Priority::default() })
    }

    /// Returns a handle of the same endpoints whose requests have this priority. Limits, health and quarantine are
    /// shared with all other handles; the connections are shared with those of the same priority.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self { members: self.members.clone(), priority }
    }

    /// The chain they serve.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        self.members[0].node.chain_id()
    }

    /// Returns the time limits for requests to the endpoints.
    #[must_use]
    pub fn deadlines(&self) -> &Deadlines {
        self.members[0].node.deadlines()
    }

    /// The endpoints, in the order in which they were given, for requests of this handle's priority.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = Node> {
        self.members.iter().map(|member| member.node.with_priority(self.priority))
    }

    /// Returns the health of each endpoint.
    #[must_use]
    pub fn endpoint_health(&self) -> Vec<Health> {
        self.members.iter().map(|member| member.lock_health().clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn name(&self, voice: EndpointId) -> Arc<str> {
        self.members[voice].node.shared_name()
    }

    pub(super) fn node(&self, voice: EndpointId) -> Node {
        self.members[voice].node.with_priority(self.priority)
    }

    pub(super) fn health_matches(&self, voice: EndpointId, what: impl Fn(&Health) -> bool) -> bool {
        self.members.get(voice).is_some_and(|member| what(&member.lock_health()))
    }

    /// Puts an endpoint in quarantine after a false answer.
    pub(super) fn quarantine_endpoint(&self, voice: EndpointId) {
        self.members[voice].lock_health().start_quarantine(monotonic_now());
    }

    /// Records a malformed answer of this endpoint. Returns true when that was one too many, and the endpoint is in
    /// quarantine for it.
    pub(super) fn record_malformed_response(&self, voice: EndpointId) -> bool {
        self.members[voice].lock_health().record_malformed_response(monotonic_now())
    }

    /// The newest block of one endpoint.
    pub(super) async fn fetch_head(&self, voice: EndpointId) -> Result<Option<Link>, NodeError> {
        self.members[voice]
            .send_request(self.priority, Work::Head, |node| Box::pin(async move { node.fetch_head().await }))
            .await
    }

    /// The block that a tag names at one endpoint: `safe` or `finalized`.
    pub(super) async fn fetch_tagged_block(
        &self,
        voice: EndpointId,
        tag: &'static str,
    ) -> Result<Option<Link>, NodeError> {
        self.members[voice]
            .send_request(self.priority, Work::Head, |node| Box::pin(async move { node.fetch_tagged_block(tag).await }))
            .await
    }

    /// Returns the text of a transaction at one endpoint, pending or not; `null` if the endpoint does not have it.
    pub(super) async fn fetch_transaction(&self, voice: EndpointId, hash: B256) -> Result<Box<RawValue>, NodeError> {
        let ask = |node: Node| -> BoxFuture<'static, _> {
            Box::pin(async move {
                let text = node.send_request("eth_getTransactionByHash", [hash], node.deadlines().call).await?;
                Ok(text.into_raw())
            })
        };
        self.members[voice].send_request(self.priority, Work::Call, ask).await
    }

    /// The header with this hash, from `first` before others.
    pub(super) async fn fetch_header(&self, hash: B256, first: Option<EndpointId>) -> Asked<Link> {
        self.first_of(Work::Head, first, |node| Box::pin(async move { node.fetch_header(hash).await })).await
    }

    /// The block with this hash, from `first` before others.
    pub(super) async fn fetch_block(&self, hash: B256, first: Option<EndpointId>, raw_text: RawText) -> Asked<Fetched> {
        self.first_of(Work::Block, first, |node| Box::pin(async move { node.fetch_block(hash, raw_text).await })).await
    }

    /// Returns the block with this hash from an endpoint other than `not`; `None` when no other endpoint has it.
    pub(super) async fn fetch_block_from_other(
        &self,
        hash: B256,
        not: EndpointId,
        raw_text: RawText,
    ) -> Option<(EndpointId, Fetched)> {
        for voice in self.endpoint_order(Work::Block, None).into_iter().filter(|voice| *voice != not) {
            let ask = |node: Node| -> BoxFuture<'static, _> {
                Box::pin(async move { node.fetch_block(hash, raw_text).await })
            };
            if let Ok(block) = self.members[voice].send_request(self.priority, Work::Block, ask).await {
                return Some((voice, block));
            }
        }
        None
    }

    /// The block at this height, from `first` before others.
    pub(super) async fn block_numbered(
        &self,
        number: u64,
        first: Option<EndpointId>,
        raw_text: RawText,
    ) -> Asked<Fetched> {
        let ask = |node: Node| -> BoxFuture<'static, _> {
            Box::pin(async move { node.block_numbered(number, raw_text).await })
        };
        self.first_of(Work::Block, first, ask).await
    }

    /// The newest block of the first endpoint that answers; `None` while its chain has none.
    ///
    /// # Errors
    /// When none answers.
    pub async fn fetch_newest_head(&self) -> Result<Option<Link>, NodeError> {
        let ask = |node: Node| -> BoxFuture<'static, _> { Box::pin(async move { node.fetch_head().await }) };
        self.first_of(Work::Head, None, ask).await.answer.map(|(_, head)| head)
    }

    /// The block with this hash.
    ///
    /// # Errors
    /// When no endpoint gives it.
    pub async fn get(&self, hash: B256) -> Result<Fetched, NodeError> {
        self.fetch_block(hash, None, RawText::Dropped).await.answer.map(|(_, block)| block)
    }

    /// Returns the display names of the endpoints.
    #[must_use]
    pub fn endpoint_names(&self) -> String {
        self.members.iter().map(|member| member.node.name()).collect::<Vec<_>>().join(", ")
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
        match self.first_of(Work::Head, None, ask).await.answer {
            Ok((_, block)) => Ok(Some(block)),
            Err(NodeError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Endpoints in the order in which to ask them.
    fn endpoint_order(&self, work: Work, first: Option<EndpointId>) -> Vec<EndpointId> {
        let now = monotonic_now();
        let mut order: Vec<_> = (0..self.len())
            .map(|voice| {
                let (quarantined, down, errors, time) = self.members[voice].lock_health().rank_key(work, now);
                // The endpoint that reported a block has it. This matters more than speed and less than trust.
                ((quarantined, down, first.is_some_and(|first| first != voice), errors, time), voice)
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, voice)| voice).collect()
    }

    async fn first_of<T>(
        &self,
        work: Work,
        first: Option<EndpointId>,
        ask: impl Fn(Node) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Asked<T> {
        self.first_among(self.endpoint_order(work, first), work, ask).await
    }

    /// The first good answer of these endpoints, asked in their order.
    async fn first_among<T>(
        &self,
        order: Vec<EndpointId>,
        work: Work,
        ask: impl Fn(Node) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Asked<T> {
        let one = |voice: EndpointId| {
            let asked = self.members[voice].send_request(self.priority, work, &ask);
            async move { (voice, asked.await) }
        };
        let mut waiting = order.into_iter();
        let (mut asked, mut failures) = (FuturesUnordered::new(), Vec::new());
        let (mut launch, mut hedge_at, mut hedges) = (true, monotonic_now(), 0);
        loop {
            if launch && let Some(voice) = waiting.next() {
                hedge_at = monotonic_now() + self.members[voice].lock_health().hedge_after(work);
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
                else => return Asked { answer: Err(most_informative_failure(&failures)), failures, hedges },
            };
        }
    }
}

impl From<Node> for Pool {
    fn from(node: Node) -> Self {
        let (caught, look) = Default::default();
        let member = Member { node, health: Mutex::new(Health::new()), caught, look };
        Self { members: [member].into(), priority: Priority::default() }
    }
}

impl Member {
    /// Keeps a wrong answer until the driver reads it.
    fn keep_invalid_response(&self, error: &NodeError) {
        let mut caught = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        if caught.len() < CAUGHT_MAX {
            caught.push(error.clone());
            self.look.notify_one();
        }
    }

    async fn send_request<T>(
        &self,
        priority: Priority,
        work: Work,
        ask: impl Fn(Node) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        let began = monotonic_now();
        let node = self.node.with_priority(priority);
        let answer = ask(node.clone()).await;
        // The time that the rate limit takes says nothing about the endpoint.
        let took = began.elapsed().saturating_sub(node.limited_time());
        let mut health = self.lock_health();
        match &answer {
            // A missing block does not count against the endpoint: the block may have left the chain, or may not have
            // arrived yet.
            Ok(_) | Err(NodeError::Missing(_)) => health.record_success(work, took, monotonic_now()),
            Err(_) => health.record_failure(),
        }
        answer
    }

    fn lock_health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.nodes()).finish()
    }
}

/// Returns the most informative failure: a wrong answer, then a missing block, then the last failure.
fn most_informative_failure(failures: &[(EndpointId, NodeError)]) -> NodeError {
    let wrong = failures.iter().find(|(_, error)| error.is_wrong());
    let missing = || failures.iter().find(|(_, error)| matches!(error, NodeError::Missing(_)));
    let told = wrong.or_else(missing).or(failures.last());
    told.map_or_else(|| NodeError::Unreachable("nobody was asked".to_owned()), |(_, error)| error.clone())
}

#[cfg(test)]
mod tests;
