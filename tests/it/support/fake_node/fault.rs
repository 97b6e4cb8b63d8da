//! What can go wrong with a node, and for how long: the words of a fault script.

use std::time::Duration;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    // === The line ===
    /// New connections are closed at once.
    Refuses,
    /// New connections are taken and never spoken to: a handshake that hangs.
    Stalls,
    /// Nothing is sent any more, on any connection, and nothing is closed: a half-open socket.
    Mute,
    /// A process that was stopped: it reads nothing and says nothing, and answers all of it once it goes on.
    Frozen,
    /// Every answer takes so long.
    Slow(Duration),
    /// The connection breaks at every call of a contract.
    BreaksAtCalls,
    // === Subscriptions ===
    /// Subscribers hear nothing.
    Silent,
    /// A new head is not announced.
    LosesHead,
    /// A subscription is refused.
    RefusesSubscription,
    // === One answer ===
    /// It never comes.
    Unanswered,
    /// `"result":nullnull`, as an old erigon wrote it.
    NullNull,
    /// An error that does not say to which question.
    WithoutId,
    /// 429, with this many seconds of `Retry-After` over HTTP.
    Limited(u64),
    /// 402, as a vendor says that the day's credit is spent.
    Unpaid,
    /// A maintenance page, with status 200.
    Html,
    /// A body that says it is gzip and is not.
    BadGzip,
    /// The newest head cannot be had.
    FailsPoll,
    // === What it says, where nothing but another node can tell ===
    /// It serves another chain.
    OtherChain(u64),
    /// A block asked for by its hash is not known.
    NullByHash,
    /// It has no `eth_getBlockReceipts`.
    LacksReceipts,
    /// It has no raw transactions and receipts.
    LacksRaw,
    /// Traces are `{}`, with success.
    EmptyTraces,
    // === What it says, and what it says is not true ===
    /// Another block than the one asked for.
    OtherBlock,
    /// A head above its own that nobody ever made.
    PhantomHead,
    /// Receipts `[]` of a block with transactions.
    EmptyReceipts,
    /// A log is left out, the others numbered through.
    DropsLog,
    /// A log says something else.
    AltersLog,
    /// A transaction failed that did not, or the other way round.
    AltersStatus,
    /// A transaction is left out with its receipt, the others numbered through.
    DropsTx,
    /// A transaction's value is another.
    AltersTx,
    /// A call has no `to`, as if it were a creation.
    MissingTo,
    /// A transaction's sender is another.
    AltersSender,
    /// A field of the header is another.
    AltersHeader,
    /// A header names another parent.
    AltersParent,
    /// Another block altogether, which is whole in itself and hides that its hash is another behind a field that nobody knows.
    Forges,
    /// A number has more digits than fit in 256 bits.
    HugeQuantity,
    // === What it says, and what is odd but true ===
    /// A field in the header that nobody knows, and that its hash knows nothing of.
    ExtraField,
    /// Whole blocks are larger by this many bytes.
    Padded(usize),
}

/// A fault, and how often it still happens.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(super) fault: Fault,
    left: u32,
}

/// What goes wrong now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Vec<Planned>);

impl Fault {
    /// So many times, then never again. Without a count it goes on until it is mended.
    pub(crate) fn times(self, n: u32) -> Planned {
        Planned { fault: self, left: n }
    }

    /// Whether an answer with this fault contradicts the block's own hash, roots or count of receipts, so that it is known to be
    /// false without asking anybody else.
    pub(crate) fn contradicts_itself(&self) -> bool {
        matches!(
            self,
            Self::EmptyReceipts
                | Self::DropsLog
                | Self::AltersLog
                | Self::AltersStatus
                | Self::DropsTx
                | Self::AltersTx
                | Self::MissingTo
                | Self::AltersHeader
                | Self::AltersParent
        )
    }
}

impl Fault {
    /// Whether it makes a block wrong, as opposed to a head.
    pub(crate) fn is_about_a_block(&self) -> bool {
        self.contradicts_itself() || matches!(self, Self::OtherBlock | Self::AltersSender | Self::HugeQuantity)
    }
}

impl From<Fault> for Planned {
    fn from(fault: Fault) -> Self {
        fault.times(u32::MAX)
    }
}

impl Script {
    pub(super) fn add(&mut self, planned: Planned) {
        self.0.push(planned);
    }

    pub(super) fn mend(&mut self, fault: &Fault) {
        self.0.retain(|planned| planned.fault != *fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this goes wrong now. It is not used up by asking.
    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.0.iter().any(|planned| planned.fault == *fault)
    }

    /// Whether this goes wrong this time.
    pub(super) fn take(&mut self, fault: &Fault) -> bool {
        self.take_like(|other| (other == fault).then_some(())).is_some()
    }

    /// What the first fault that `like` knows is about; it has happened once more then.
    pub(super) fn take_like<T>(&mut self, like: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let (at, found) = self.0.iter().enumerate().find_map(|(at, planned)| Some((at, like(&planned.fault)?)))?;
        let left = &mut self.0[at].left;
        if *left != u32::MAX {
            *left -= 1;
        }
        if *left == 0 {
            self.0.remove(at);
        }
        Some(found)
    }
}
