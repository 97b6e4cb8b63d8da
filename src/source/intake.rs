//! Limits on the size of the answers that nodes send, and on the bytes held at once.
//!
//! A request for kilobytes may be answered with gigabytes. Each request has a limit, derived from its expected answer,
//! and an answer is read as it arrives, never beyond its limit. The process has a bound too: an answer of more than
//! ordinary size needs room, which is limited. Room is taken in two steps, each once and by all requests in the same
//! order. A request that holds the second step waits for nothing else, so at least one request always makes progress.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Largest accepted answer in bytes: twice the size of the receipts of an Ethereum block that contains only logs.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Answers up to this size need no room: there are as many of them as open requests, and nearly all are far smaller.
const ORDINARY_BYTES: usize = 1 << 20;
/// Answers up to this size are held several at a time: the fullest blocks of busy chains.
const LARGE_BYTES: usize = 8 << 20;
/// Number of such answers held at once: 48 MB in all.
const LARGE_AT_ONCE: usize = 6;
/// Number of the largest answers held at once: 56 MB more. With the data made from an answer, and the program itself,
/// the process stays below 256 MB.
const HUGE_AT_ONCE: usize = 1;
/// Bytes of the fields that every header has, in JSON, including the longest blooms and extra data.
const HEADER_BYTES: u64 = 64 << 10;
/// Bytes of a transaction's hash in quotes, and the minimum gas of a transaction.
const HASH_BYTES: u64 = 72;
const GAS_PER_TX: u64 = 21_000;
/// Maximum number of JSON bytes that one unit of gas can add to a block or its receipts: a log without data costs 375
/// gas and is written in some 600 bytes, calldata costs at least 4 gas a byte; a fifth of the gas may have been
/// refunded, and other chains have other prices.
const BYTES_PER_GAS: u64 = 4;
/// Bytes allowed for a block regardless of its gas, since other chains count gas differently.
const BLOCK_BYTES_MIN: u64 = 20 << 20;
/// Limit for a header if the chain's gas is unknown or implausible: as many hashes as any chain puts in a block.
const HEADER_BYTES_MAX: usize = 4 << 20;
/// An announcement: a header, or a transaction with calldata of 128 KB, the most that nodes pass on.
pub(super) const ANNOUNCED_BYTES_MAX: usize = 1 << 20;
/// Limit for a number, a word, a name, or an error with the data of a revert.
const WORD_BYTES_MAX: usize = 256 << 10;
/// Limit for the code of a contract, the result of a call, a transaction, or the proofs of one account.
const DATA_BYTES_MAX: usize = 4 << 20;
/// Bytes of the result of a log search, or of the traces of one transaction or block. Larger results are requested in
/// parts.
const LOGS_BYTES_MAX: usize = 16 << 20;

/// Bytes of parsed blocks that wait for the pipelines of all chains, beside the first step of each.
const WAITING_BYTES_MAX: usize = 48 << 20;
/// Total bytes of traces that wait for the evaluation of their block.
const AHEAD_BYTES_MAX: usize = 24 << 20;
/// Bytes for each permit of these semaphores.
const UNIT_BYTES: usize = 1 << 10;

/// Room shared by the whole process.
static LARGE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LARGE_AT_ONCE)));
static HUGE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(HUGE_AT_ONCE)));

static WAITING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(WAITING_BYTES_MAX / UNIT_BYTES)));
static AHEAD: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AHEAD_BYTES_MAX / UNIT_BYTES)));

/// Room for parsed data that waits. It is released on drop.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "it counts while it lives")] Option<OwnedSemaphorePermit>);

/// Room for the steps of one chain that wait for its pipeline: one of them needs no room, so that a chain whose pipeline stands still
/// with all the room there is holds up no other. The rest shares the room of the process.
#[derive(Debug)]
pub(super) struct Queue(Arc<Semaphore>);

impl Default for Queue {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Queue {
    /// Waits for room for the blocks of a step. A step that is larger than the total waits until it is alone.
    pub(super) async fn hold(&self, n_bytes: usize) -> Held {
        // Neither is ever closed.
        let held = tokio::select! {
            biased;
            alone = self.0.clone().acquire_owned() => alone,
            shared = WAITING.clone().acquire_many_owned(permit_units(n_bytes, WAITING_BYTES_MAX)) => shared,
        };
        Held(held.ok())
    }
}

/// Takes room for traces that were fetched in advance, if some is free.
pub(super) fn hold_ahead(n_bytes: usize) -> Option<Held> {
    let units = u32::try_from(n_bytes.div_ceil(UNIT_BYTES)).ok()?;
    AHEAD.clone().try_acquire_many_owned(units).ok().map(|permit| Held(Some(permit)))
}

/// Returns whether there is room for traces that nothing has requested yet.
pub(super) fn has_room_ahead() -> bool {
    AHEAD.available_permits() > AHEAD_BYTES_MAX / UNIT_BYTES / 8
}

fn permit_units(n_bytes: usize, max: usize) -> u32 {
    u32::try_from(n_bytes.min(max).div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

/// Intake from one endpoint, limited to one large answer at a time.
#[derive(Clone, Debug)]
pub(super) struct IntakeBudget(Arc<Semaphore>);

/// Room for one answer at its current size. It is released on drop.
pub(super) struct Reservation {
    intake: IntakeBudget,
    n_bytes: usize,
    /// Number of steps taken, at most two.
    steps: usize,
    held: Vec<OwnedSemaphorePermit>,
    waiting: Option<BoxFuture<'static, Vec<OwnedSemaphorePermit>>>,
}

/// Error for an answer that is larger than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeLimitExceeded;

/// Answer, and the room that it takes while it is held.
#[derive(Debug)]
pub(super) struct BoundedText {
    raw: Box<RawValue>,
    _room: Option<Reservation>,
}

impl Default for IntakeBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl IntakeBudget {
    pub(super) fn new_room(&self) -> Reservation {
        Reservation { intake: self.clone(), n_bytes: 0, steps: 0, held: Vec::new(), waiting: None }
    }
}

impl Reservation {
    /// Makes room for `n` more bytes, and waits for it if the answer becomes a large one.
    pub(super) async fn reserve_bytes(&mut self, n: usize, limit: usize) -> Result<(), SizeLimitExceeded> {
        self.count_bytes(n);
        if self.n_bytes > limit {
            return Err(SizeLimitExceeded);
        }
        std::future::poll_fn(|cx| self.poll_ready(cx)).await;
        Ok(())
    }

    /// Counts `n` more bytes. There must be room for them before more are read.
    pub(super) fn count_bytes(&mut self, n: usize) {
        self.n_bytes = self.n_bytes.saturating_add(n);
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Waits until there is room for the bytes counted.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                self.held.append(&mut std::task::ready!(waiting.poll_unpin(cx)));
                self.waiting = None;
                self.steps += 1;
            }
            let step: BoxFuture<'static, _> = match self.steps {
                0 if self.n_bytes > ORDINARY_BYTES => {
                    let intake = self.intake.0.clone();
                    Box::pin(async move { acquire_permits([intake, LARGE.clone()]).await })
                }
                1 if self.n_bytes > LARGE_BYTES => Box::pin(async { acquire_permits([HUGE.clone()]).await }),
                _ => return Poll::Ready(()),
            };
            self.waiting = Some(step);
        }
    }
}

/// Acquires one permit of each semaphore, in this order. None of the semaphores is ever closed.
async fn acquire_permits(of: impl IntoIterator<Item = Arc<Semaphore>>) -> Vec<OwnedSemaphorePermit> {
    let mut permits = Vec::new();
    for semaphore in of {
        permits.extend(semaphore.acquire_owned().await.ok());
    }
    permits
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("n_bytes", &self.n_bytes).field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl BoundedText {
    pub(super) fn new(raw: Box<RawValue>, room: Reservation) -> Self {
        Self { raw, _room: Some(room) }
    }

    /// Returns whether the text occupies room that others may wait for. Such a text should be read at once and not be
    /// kept.
    pub(super) fn is_large(&self) -> bool {
        self.raw.get().len() > ORDINARY_BYTES
    }

    /// Returns the answer alone and releases its room.
    pub(super) fn into_raw(self) -> Box<RawValue> {
        self.raw
    }
}

impl From<Box<RawValue>> for BoundedText {
    fn from(raw: Box<RawValue>) -> Self {
        Self { raw, _room: None }
    }
}

impl Deref for BoundedText {
    type Target = RawValue;

    fn deref(&self) -> &RawValue {
        &self.raw
    }
}

/// Returns the limit in bytes for a header with the hashes of its transactions, by the gas of its block if that is
/// known.
pub(super) fn header_bytes(gas: Option<u64>) -> usize {
    let hashes = |gas: u64| HEADER_BYTES.saturating_add((gas / GAS_PER_TX).saturating_mul(HASH_BYTES));
    gas.and_then(|gas| usize::try_from(hashes(gas)).ok()).map_or(HEADER_BYTES_MAX, |bytes| bytes.min(HEADER_BYTES_MAX))
}

/// Returns the limit in bytes for a block with whole transactions, or for all its receipts, by its gas if that is
/// known.
pub(super) fn block_bytes(gas: Option<u64>) -> usize {
    let all = gas.map(|gas| gas.saturating_mul(BYTES_PER_GAS).saturating_add(BLOCK_BYTES_MIN));
    all.and_then(|bytes| usize::try_from(bytes).ok()).map_or(ANSWER_BYTES_MAX, |bytes| bytes.min(ANSWER_BYTES_MAX))
}

/// Returns the limit in bytes for the answer to a method, if only the method is known.
pub(super) fn method_bytes(method: &str) -> usize {
    match method {
        "eth_getBlockByHash" | "eth_getBlockByNumber" => HEADER_BYTES_MAX,
        "eth_getBlockReceipts" | "eth_getTransactionReceipt" | "debug_getRawReceipts" => ANSWER_BYTES_MAX,
        "debug_traceBlockByHash" | "trace_block" | "debug_traceTransaction" => ANSWER_BYTES_MAX,
        "eth_getLogs" => LOGS_BYTES_MAX,
        "eth_call"
        | "eth_getCode"
        | "eth_getProof"
        | "eth_getTransactionByHash"
        | "eth_getRawTransactionByHash"
        | "debug_getRawTransaction"
        | "eth_getFilterChanges" => DATA_BYTES_MAX,
        _ => WORD_BYTES_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parsed_blocks_of_all_chains_wait_in_one_room() {
        let queue = Queue::default();
        let _first = queue.hold(1).await;
        let hold = |n_bytes| queue.hold(n_bytes);
        let half = hold(WAITING_BYTES_MAX / 2).await;
        let mut huge = Box::pin(hold(10 * WAITING_BYTES_MAX));
        assert!(futures::poll!(&mut huge).is_pending(), "it is alone or not at all");
        drop(half);
        let Poll::Ready(huge) = futures::poll!(&mut huge) else { panic!("it is alone now") };
        let mut small = Box::pin(hold(1));
        assert!(futures::poll!(&mut small).is_pending());
        drop(huge);
        assert!(futures::poll!(&mut small).is_ready());
        assert!(hold_ahead(AHEAD_BYTES_MAX + 1).is_none(), "traces never wait for room");
        let all = hold_ahead(AHEAD_BYTES_MAX).expect("there is room");
        assert!(!has_room_ahead() && hold_ahead(1).is_none());
        drop(all);
        assert!(has_room_ahead());
    }

    #[tokio::test]
    async fn a_chain_that_stands_still_with_all_the_room_holds_up_no_other() {
        let (still, other) = (Queue::default(), Queue::default());
        let _waits = [still.hold(1).await, still.hold(WAITING_BYTES_MAX).await];
        let Poll::Ready(step) = futures::poll!(Box::pin(other.hold(ORDINARY_BYTES))) else { panic!("it has to wait") };
        let mut second = Box::pin(other.hold(ORDINARY_BYTES));
        assert!(futures::poll!(&mut second).is_pending(), "one step each");
        drop(step);
        assert!(futures::poll!(&mut second).is_ready(), "one after the other");
    }

    #[test]
    fn limits_follow_the_gas_between_a_floor_and_a_ceiling() {
        assert_eq!(header_bytes(Some(0)), 64 << 10);
        assert!(header_bytes(Some(30_000_000)) < 200 << 10, "a header is kilobytes");
        assert_eq!((header_bytes(None), header_bytes(Some(u64::MAX))), (4 << 20, 4 << 20));
        assert_eq!(block_bytes(Some(0)), 20 << 20);
        assert_eq!(block_bytes(Some(5_000_000)), (20 << 20) + 20_000_000);
        assert_eq!((block_bytes(None), block_bytes(Some(u64::MAX))), (64 << 20, 64 << 20));
        for method in ["eth_chainId", "eth_getBalance", "web3_clientVersion", "eth_subscribe", "eth_getStorageAt"] {
            assert_eq!(method_bytes(method), WORD_BYTES_MAX, "{method}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_has_one_large_answer_at_a_time_and_small_ones_pass_by_it() {
        let intake = IntakeBudget::default();
        let (mut first, mut second, mut small) = (intake.new_room(), intake.new_room(), intake.new_room());
        first.reserve_bytes(2 << 20, ANSWER_BYTES_MAX).await.expect("within its limit");
        small.reserve_bytes(1 << 20, ANSWER_BYTES_MAX).await.expect("within its limit");
        let mut waits = Box::pin(second.reserve_bytes(2 << 20, ANSWER_BYTES_MAX));
        assert!(futures::poll!(&mut waits).is_pending(), "one at a time");
        drop(first);
        assert!(futures::poll!(&mut waits).is_ready(), "the room is free again");
        drop(waits);
        assert_eq!(small.reserve_bytes(1, 1 << 20).await, Err(SizeLimitExceeded));
    }

    #[tokio::test]
    async fn the_process_has_room_for_so_many_large_answers_and_no_more() {
        let grown = async |n: usize| {
            let mut room = IntakeBudget::default().new_room();
            room.reserve_bytes(n, ANSWER_BYTES_MAX).await.map(|()| room)
        };
        let mut held = Vec::new();
        for _ in 0..HUGE_AT_ONCE {
            held.push(grown(ANSWER_BYTES_MAX).await.expect("within its limit"));
        }
        for _ in HUGE_AT_ONCE..LARGE_AT_ONCE {
            held.push(grown(LARGE_BYTES).await.expect("within its limit"));
        }
        let mut waits = Box::pin(grown(ORDINARY_BYTES + 1));
        assert!(futures::poll!(&mut waits).is_pending());
        assert!(grown(ORDINARY_BYTES).await.is_ok(), "what is ordinary never waits");
        held.pop();
        assert!(matches!(futures::poll!(&mut waits), Poll::Ready(Ok(_))));
    }
}
