//! Reads of the state after a block, and of the calls inside its transactions.
//!
//! Reads that can be proven are sent with a request for a proof. An endpoint's answer without a proof is used only if
//! no endpoint has one. An answer that contradicts the block is kept for the driver, which records it against the
//! endpoint.

use super::{Asked, Member, Pool, Work};
use crate::model::BlockRef;
use crate::model::read::{Answer, HOLDING_READS_MAX, READS_MAX, Read, STATE_READS_MAX};
use crate::runtime::monotonic_now;
use crate::source::node::Node;
use crate::source::proof;
use crate::source::quorum::EndpointId;
use crate::source::role_members;
use crate::source::rpc::NodeError;
use alloy_primitives::Address;
use futures::StreamExt;
use futures::future::{BoxFuture, join_all};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Number of reads in flight at the same time.
const READS_AT_ONCE: usize = 16;
/// Number of attempts for a read; most failures are broken connections, which the next attempt reopens.
const READ_TRIES: usize = 3;
/// Time after an endpoint went down during which reads wait for it. A verdict with complete data is worth more than one
/// made while no endpoint can be reached. The outage is reported meanwhile.
const OUTAGE_MAX: Duration = Duration::from_secs(45);
/// Number of failures remembered for one request.
const FAILURES_MAX: usize = 64;

impl Pool {
    /// Returns answers to `reads` in their order, each requested only by the hash of block `at`. Reads beyond the sum
    /// of [`READS_MAX`], [`STATE_READS_MAX`] and [`HOLDING_READS_MAX`] are not sent. [`Read::Before`] is requested at
    /// the block that it names.
    ///
    /// Reads of one account are sent together, with a proof: if any endpoint returns one, that is the answer. Answers
    /// without a proof are used only if no endpoint returns one.
    pub async fn answer_reads(&self, at: BlockRef, reads: &[Read]) -> Vec<Answer> {
        let mut accounts: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
        let mut asked: Vec<BoxFuture<'_, Vec<(usize, Answer)>>> = Vec::new();
        for (n, read) in reads.iter().enumerate().take(READS_MAX + STATE_READS_MAX + HOLDING_READS_MAX) {
            match (read, proof::account_of(read)) {
                (_, Some(of)) => accounts.entry(of).or_default().push(n),
                (Read::Grants { .. }, None) => {
                    asked.push(Box::pin(async move { vec![(n, self.fetch_role_members(at, read).await)] }));
                }
                (_, None) => asked.push(Box::pin(async move { vec![(n, self.read_one(at, read, &[]).await)] })),
            }
        }
        for (of, places) in accounts {
            let reads: Arc<[Read]> = places.iter().map(|n| reads[*n].clone()).collect();
            asked.push(Box::pin(async move {
                let answers = self.read_account(at, of, reads).await;
                places.into_iter().zip(answers).collect()
            }));
        }
        let mut answers = vec![Answer::Unavailable; reads.len()];
        let mut told = futures::stream::iter(asked).buffer_unordered(READS_AT_ONCE);
        while let Some(some) = told.next().await {
            for (n, answer) in some {
                answers[n] = answer;
            }
        }
        answers
    }

    /// Returns the spenders that `owner` ever approved for any of `tokens`, according to the logs of one endpoint up to
    /// block `until`.
    ///
    /// # Errors
    /// When no endpoint searches all of them.
    pub async fn fetch_spenders(
        &self,
        owner: Address,
        tokens: &[Address],
        until: u64,
    ) -> Result<Vec<(Address, Address)>, NodeError> {
        let tokens: Arc<[Address]> = tokens.into();
        let ask = |node: Node| -> BoxFuture<'static, _> {
            let tokens = tokens.clone();
            Box::pin(async move { node.fetch_spenders(owner, &tokens, until).await })
        };
        self.first_of(Work::Call, None, ask).await.answer.map(|(_, given)| given)
    }

    /// Returns whether block `at` is still on the chain: true as long as any endpoint says so, or none answers.
    pub async fn is_canonical(&self, at: BlockRef) -> bool {
        let ask = |node: Node| -> BoxFuture<'static, _> { Box::pin(async move { node.is_canonical(at).await }) };
        let told =
            join_all(self.members.iter().map(|member| member.send_request(self.priority, Work::Head, ask))).await;
        let mut answers = told.into_iter().flatten().peekable();
        answers.peek().is_none() || answers.any(|stands| stands)
    }

    /// Takes the endpoints' answers about state that contradict the block and have not been examined yet.
    pub(in crate::source) fn take_invalid_responses(&self) -> Vec<(EndpointId, NodeError)> {
        let of_member = |(voice, member): (EndpointId, &Member)| {
            let caught = std::mem::take(&mut *member.caught.lock().unwrap_or_else(PoisonError::into_inner));
            caught.into_iter().map(move |error| (voice, error))
        };
        self.members.iter().enumerate().flat_map(of_member).collect()
    }

    /// Returns when [`Pool::take_invalid_responses`] has something new.
    pub(in crate::source) async fn wait_for_invalid_response(&self) {
        self.members[0].look.notified().await;
    }

    async fn read_account(&self, at: BlockRef, of: Address, reads: Arc<[Read]>) -> Vec<Answer> {
        let ask = |node: Node| -> BoxFuture<'static, _> {
            let reads = reads.clone();
            Box::pin(async move { node.prove_reads(at, of, &reads).await })
        };
        match self.send_with_retries(Work::Call, &[], ask).await {
            Ok(answers) => answers,
            Err(failures) => {
                // An endpoint with a false proof is not trusted without a proof either.
                let is_large = |error: &NodeError| matches!(error, NodeError::TooLarge { .. });
                let wrong = failures.iter().filter(|(_, error)| error.is_wrong() && !is_large(error));
                let without: Vec<EndpointId> = wrong.map(|(voice, _)| *voice).collect();
                join_all(reads.iter().map(|read| self.read_one(at, read, &without))).await
            }
        }
    }

    /// Merges the role members from the logs of all endpoints. No log can be proven complete. For an account listed
    /// wrongly, the contract itself answers that it holds no role.
    async fn fetch_role_members(&self, at: BlockRef, read: &Read) -> Answer {
        let ask = |node: Node| -> BoxFuture<'static, _> {
            let read = read.clone();
            Box::pin(async move { node.answer_read(at, &read).await })
        };
        for _ in 0..READ_TRIES {
            let told =
                join_all(self.members.iter().map(|member| member.send_request(self.priority, Work::Call, ask))).await;
            let broken = told.iter().any(|answer| answer.as_ref().is_err_and(NodeError::breaks_the_wire));
            let told = told.into_iter().filter_map(|answer| match answer {
                Ok(Answer::Data(data)) => Some(data),
                _ => None,
            });
            let told: Vec<_> = told.collect();
            if !told.is_empty() {
                return Answer::Data(role_members::merge_role_members(&told));
            }
            if !broken {
                break;
            }
        }
        Answer::Unavailable
    }

    /// Returns the answer of the first endpoint that has one, other than `without`.
    async fn read_one(&self, at: BlockRef, read: &Read, without: &[EndpointId]) -> Answer {
        let work = if matches!(read, Read::Traces | Read::Trace(_)) { Work::Trace } else { Work::Call };
        let ask = |node: Node| -> BoxFuture<'static, _> {
            let read = read.clone();
            Box::pin(async move { node.answer_read(at, &read).await })
        };
        self.send_with_retries(work, without, ask).await.unwrap_or(Answer::Unavailable)
    }

    /// Repeats a request within [`READ_TRIES`] and [`OUTAGE_MAX`], and records answers that contradict the block. On
    /// failure returns the errors of the endpoints.
    async fn send_with_retries<T>(
        &self,
        work: Work,
        without: &[EndpointId],
        ask: impl Fn(Node) -> BoxFuture<'static, Result<T, NodeError>>,
    ) -> Result<T, Vec<(EndpointId, NodeError)>> {
        let (mut all, mut tries, mut tries_alive, began) = (Vec::new(), 0, 0, monotonic_now());
        let pause = self.deadlines().backoff.base * 5;
        loop {
            let order = self.endpoint_order(work, None).into_iter().filter(|voice| !without.contains(voice));
            let Asked { answer, failures, .. } = self.first_among(order.collect(), work, &ask).await;
            // An answer about another block may be the result of a reorg. It is not used, and it does not count against
            // the endpoint.
            for (voice, error) in failures.iter().filter(|(_, error)| matches!(error, NodeError::Lie { .. })) {
                self.members[*voice].keep_invalid_response(error);
            }
            if let Ok((_, answer)) = answer {
                return Ok(answer);
            }
            tries += 1;
            let limited = failures.iter().find_map(|(_, error)| match error {
                NodeError::Limited { after, .. } => Some(after.unwrap_or(pause)),
                _ => None,
            });
            // An answer that is too large will be too large again.
            let is_large = |error: &NodeError| matches!(error, NodeError::TooLarge { .. });
            let broken = failures.iter().any(|(_, error)| error.breaks_the_wire() && !is_large(error));
            let mut down = failures.iter().filter(|(voice, error)| {
                let lately = || self.members[*voice].lock_health().went_down_within(OUTAGE_MAX, monotonic_now());
                matches!(error, NodeError::Unreachable(_)) && lately()
            });
            // An endpoint that answers other requests meanwhile is not down: it closes the connection at this request,
            // and will do so again.
            tries_alive +=
                usize::from(down.clone().all(|(voice, _)| self.members[*voice].lock_health().worked_since(began)));
            let may_be_back = down.next().is_some() && tries_alive <= READ_TRIES && began.elapsed() < OUTAGE_MAX;
            if all.len() < FAILURES_MAX {
                all.extend(failures);
            }
            match limited {
                Some(wait) if tries < READ_TRIES => tokio::time::sleep(wait.min(self.deadlines().call)).await,
                None if broken && tries < READ_TRIES => {}
                _ if may_be_back => tokio::time::sleep(pause).await,
                _ => return Err(all),
            }
        }
    }
}
