//! One thing that touched a subject, decoded and not yet judged.

use super::holding::Holding;
use super::queue::Progress;
use super::state::Item;
use super::value::Arg;
use super::watch::WatchId;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What sort of touch it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivityKind {
    /// Someone calls the subject.
    Call,
    /// The subject does something: a leaf it executes, a transaction an account sends.
    Act,
    /// The subject logs.
    Event,
    /// A token's log names the subject: value or an allowance in or out.
    Move,
    /// Something of the subject's state is no longer what it was, or not what the registry says.
    State,
}

impl ActivityKind {
    /// The word a rule begins with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Act => "act",
            Self::Event => "event",
            Self::Move => "move",
            Self::State => "state",
        }
    }
}

/// How far along it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Written down on chain, not executed: a submission to a multisig.
    Proposed,
    /// Announced, and in no block yet.
    Pending,
    /// In a block.
    Included,
    /// Tried and undone: the transaction's status is 0.
    Reverted,
}

impl Stage {
    /// The word a watchlist uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Pending => "pending",
            Self::Included => "included",
            Self::Reverted => "reverted",
        }
    }
}

/// What became of it, for a call inside a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It ran.
    Executed,
    /// The whole transaction reverted.
    Reverted,
    /// It failed inside a wrapper that swallowed the failure: the transaction succeeded all the same.
    Failed,
    /// It is only proposed so far.
    Waiting,
    /// A wrapper claims it, and the subject's own log does not confirm it.
    Unconfirmed,
}

impl Fate {
    /// The word a watchlist uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Reverted => "reverted",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// How the subject executes a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// An ordinary call.
    Call,
    /// Foreign code run with the subject's storage and money.
    Delegatecall,
    /// A contract creation.
    Create,
}

impl Operation {
    /// The word a watchlist uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Delegatecall => "delegatecall",
            Self::Create => "create",
        }
    }
}

/// Place of a cause within its transaction: a call path, or a log's ordinal among the transaction's logs.
///
/// Written `call`, `call.0.2`, `log.5`, `log.5.0` for a call that a log tells of, `trace.1.0`, `state.threshold`. It never changes when a reorg moves the transaction to another block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Position {
    /// Empty for the transaction's own call; then the index of each visible inner call.
    Call(Vec<u16>),
    /// Ordinal of the log.
    Log(u32),
    /// Index of an EIP-7702 authorization in its list.
    Authorization(u16),
    /// No place in any transaction: the time by which something was expected that did not come, Unix seconds. Written `due.1795194000`.
    Due(u64),
    /// A call that only a trace shows: the index of each call on the way to it, among those that can change something. Whether a node
    /// lists calls of precompiled contracts makes no difference.
    Inside(Vec<u16>),
    /// An item of the state, which has no place in the transaction.
    State(Item),
    /// A call that a log tells of: the ordinal of the log, then the index of each call.
    Told {
        /// Ordinal of the log.
        log: u32,
        /// Way to the call among those the log tells of.
        path: Vec<u16>,
    },
}

impl Position {
    /// The `index`-th call inside this one.
    #[must_use]
    pub fn child(&self, index: u16) -> Self {
        let extended = |path: &[u16]| [path, &[index]].concat();
        match self {
            Self::Call(path) => Self::Call(extended(path)),
            Self::Inside(path) => Self::Inside(extended(path)),
            Self::Told { log, path } => Self::Told { log: *log, path: extended(path) },
            Self::Log(_) | Self::Authorization(_) | Self::Due(_) | Self::State(_) => Self::Call(vec![index]),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(path) => {
                f.write_str("call")?;
                path.iter().try_for_each(|index| write!(f, ".{index}"))
            }
            Self::Log(ordinal) => write!(f, "log.{ordinal}"),
            Self::Authorization(index) => write!(f, "authorization.{index}"),
            Self::State(item) => write!(f, "state.{item}"),
            Self::Due(time) => write!(f, "due.{time}"),
            Self::Inside(path) => {
                f.write_str("trace")?;
                path.iter().try_for_each(|index| write!(f, ".{index}"))
            }
            Self::Told { log, path } => {
                write!(f, "log.{log}")?;
                path.iter().try_for_each(|index| write!(f, ".{index}"))
            }
        }
    }
}

/// What part an activity plays in its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Judged by itself.
    Leaf,
    /// A wrapper (`execTransaction`, `submitTransaction` ...): its own conditions, and the verdicts of what it carries.
    ///
    /// `carries` are indexes into the same list of activities.
    Envelope {
        /// The activities it carries.
        carries: Vec<usize>,
    },
    /// A log that a decoded call explains (emitter, parties and amounts agree): takes the verdict of `of`, an index into
    /// the same list of activities.
    Effect {
        /// The activity that explains it.
        of: usize,
    },
}

/// How well the bytes could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// Plain ether, no calldata.
    Ether,
    /// Decoded, and encodes back to the same bytes.
    Clean,
    /// Calldata that encodes back to the same bytes but for what stands behind it: these bytes. Contracts that follow their ABI never
    /// look there; attribution (ERC-8021) is written there.
    Suffixed(Bytes),
    /// Decoded as a contract would, but no honest encoder writes it so; each string is one flaw.
    Flawed(Vec<String>),
    /// Not decodable, and why.
    Opaque(String),
    /// Several signatures fit; all are listed.
    Ambiguous(Vec<String>),
}

/// The function or event, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// `transfer`, `Transfer`; `ether` for a plain payment; the selector in hex when unknown; `creation`.
    pub name: Arc<str>,
    /// Canonical signature, such as `transfer(address,uint256)`; the same as `name` where there is none.
    pub signature: Arc<str>,
    /// First four bytes of the calldata; absent for events, plain ether and creations.
    pub selector: Option<[u8; 4]>,
    /// First topic, for events.
    pub topic0: Option<B256>,
    /// Decoded arguments in order. A move has `token`, `from`, `to` (or `spender`) and `amount`.
    pub args: Vec<Arg>,
    /// How well the bytes could be read.
    pub decoding: Decoding,
    /// Whether the ABI that decoded it says that it changes state. Unknown functions count as changing.
    pub mutates: bool,
}

impl Deed {
    /// What no bytes tell, but we: read well, changing something, with neither selector nor topic.
    #[must_use]
    pub fn told(name: impl Into<Arc<str>>, signature: impl Into<Arc<str>>, args: Vec<Arg>) -> Self {
        Self {
            name: name.into(),
            signature: signature.into(),
            selector: None,
            topic0: None,
            args,
            decoding: Decoding::Clean,
            mutates: true,
        }
    }

    /// Whether it is one of [`BY_ITSELF`].
    #[must_use]
    pub fn is_by_itself(&self) -> bool {
        self.selector.is_none() && self.topic0.is_none() && BY_ITSELF.contains(&&*self.name)
    }
}

/// Acts without a function, which hand over the subject itself or end it: a delegation of its code, its end (EIP-7702, EIP-6780). A rule
/// names them by these words.
pub const BY_ITSELF: [&str; 3] = ["delegate code", "clear delegation", "self-destruct"];

/// One wrapper around an activity, outermost first in [`Activity::via`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper {
    /// The contract that wraps.
    pub at: Address,
    /// Its function: `execTransaction`, `multiSend` ...
    pub function: Arc<str>,
}

/// One call that an activity happened inside of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// Caller.
    pub from: Address,
    /// Target; absent for a creation.
    pub to: Option<Address>,
    /// First four bytes of the calldata; absent for plain ether and for a creation.
    pub selector: Option<[u8; 4]>,
    /// Canonical signature where it is known, else the selector in hex, `ether` or `creation`.
    pub function: Arc<str>,
    /// Role that the call names, where it is one to a Zodiac Roles modifier; a number is padded on the left.
    pub role: Option<B256>,
}

/// One thing that touched one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The subject's watch.
    pub watch: WatchId,
    /// What sort of touch.
    pub kind: ActivityKind,
    /// How far along.
    pub stage: Stage,
    /// What became of it.
    pub fate: Fate,
    /// Transaction hash; of a change of state that no single transaction of the block accounts for, the block's hash.
    pub tx: B256,
    /// Place of the transaction in its block; behind the last where there is none.
    pub tx_index: u32,
    /// Place within the transaction.
    pub position: Position,
    /// Who acts: the direct caller of a call, the subject for an act, the party value leaves for a move, the emitter of an event.
    pub from: Address,
    /// Who sent the transaction.
    pub origin: Address,
    /// The other side: target of a call or act, receiver or spender of a move; absent for creations and events.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Function or event, with arguments.
    pub deed: Deed,
    /// How a leaf is executed.
    pub operation: Operation,
    /// Whose approval it carries, where known: recovered from signatures, or the confirmations of a multisig. `None` when they
    /// could not be told, which never satisfies a condition on signers.
    pub signers: Option<Vec<Address>>,
    /// Wrappers around it, outermost first.
    pub via: Vec<Wrapper>,
    /// What part it plays.
    pub role: Role,
    /// Facts the decoder noticed that make it abnormal whatever rules say of its arguments; see `classify::builtin`.
    pub notes: Vec<Note>,
}

impl Activity {
    /// How far it is, where it waits in a Safe's queue.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.notes.iter().find_map(|note| if let Note::Queued(progress) = note { Some(*progress) } else { None })
    }

    /// What the token says of the subject's holding, where a token logged it.
    #[must_use]
    pub fn holding(&self) -> Option<&Holding> {
        self.notes.iter().find_map(|note| if let Note::Holding(holding) = note { Some(&**holding) } else { None })
    }

    /// The calls that it surely happened inside of, innermost first; none where nothing shows that.
    #[must_use]
    pub fn inside(&self) -> Option<&Arc<[Around]>> {
        self.notes.iter().find_map(|note| if let Note::Inside(calls) = note { Some(calls) } else { None })
    }

    /// The code that the subject ran for it, and what the watchlist calls the ABI of that code, where its registry lists what it may run.
    #[must_use]
    pub fn runs(&self) -> Option<(Address, Option<&Arc<str>>)> {
        self.notes.iter().find_map(|note| match note {
            Note::Runs { implementation, abi, .. } => Some((*implementation, abi.as_ref())),
            _ => None,
        })
    }
}

/// The measure by which a tip is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// Half of the others in its block offered so much at most, in wei for each unit of gas.
    Others(u128),
    /// The base fee of its block, in wei for each unit of gas.
    BaseFee(u128),
}

/// Something about an activity that its bytes alone do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A budget was reached; what lies behind it was not decoded.
    BudgetReached(String),
    /// The target of a delegatecall is a known library that is not silent, such as a migration.
    KnownLibrary(Arc<str>),
    /// A Safe pays for its execution: receiver of the refund (zero means whoever executes).
    Refund(Address),
    /// Executed through this module.
    Module(Address),
    /// The id of the legacy multisig submission that is written, confirmed or executed.
    Submission(U256),
    /// The operation of a timelock or the proposal of a governor that it is part of.
    Operation {
        /// As the subject numbers it.
        id: B256,
        /// Seconds until it may be carried out, where the subject says so.
        delay: Option<u64>,
    },
    /// An EIP-7702 authorization of the subject; it holds even where the transaction reverted.
    Delegation,
    /// The amount of an approval is at or above the token's supply.
    AboveSupply,
    /// It ran, and logged nothing of what it always logs: whatever it was, it is not what it seems.
    Unlogged,
    /// The caller controls the token, and needs no allowance to move anybody's.
    Controller,
    /// The token that is called is watched itself, or names the subject as its owner.
    Issuer,
    /// It pays far more for being included than is usual in its block.
    Tip {
        /// Wei in all.
        paid: U256,
        /// Wei for each unit of gas.
        per_gas: u128,
        /// The measure by which that is unusual.
        beside: Usual,
    },
    /// A part of a fee that the node does not say, and how much was allowed for it up to what the sender signed.
    FeeBound {
        /// Its name in receipts.
        lacks: &'static str,
        /// Wei beyond the least that the fee can be.
        allowed: U256,
    },
    /// The vote of somebody who had at most half as many a day before the proposal's snapshot.
    FreshVotes,
    /// A log that its contract must have written inside of a call to it, though nothing but that speaks for it.
    Logged,
    /// An account pays the EntryPoint for an operation of its own, as much as that asked it for when it had the operation validated.
    Prefund,
    /// The account pays for this operation itself (ERC-4337), by the word of its EntryPoint.
    Charged,
    /// Addresses in the words of calldata that cannot be read, each once; absent where there are more than are looked at.
    Names(Option<Box<[Address]>>),
    /// What is left of an allowance, logged again beside the transfer that used it.
    Remainder,
    /// The contract that is called was created earlier in the same transaction: nothing depended on it before.
    Newborn,
    /// The subject destroys itself; what it held goes to somebody.
    Destroyed,
    /// The subject's own log names a Safe transaction hash that its fields do not give.
    HashMismatch,
    /// What the token says of the subject's holding, and whether the subject uses the token.
    Holding(Box<Holding>),
    /// The call is shown in full, with everything inside of it, and changed nothing.
    Still,
    /// A function that should change nothing did; the first change that a trace shows, as the end of a sentence.
    Changes(String),
    /// A delegatecall to the code that the subject consists of: its own address, what its slots name, or what its registry lists.
    OwnCode,
    /// A delegatecall that hands on the calldata as it came, as a proxy does, to code that nothing names as the subject's.
    HandsOn,
    /// The calls that it surely happened inside of, innermost first, from the subject outwards until the subject itself called out.
    Inside(Arc<[Around]>),
    /// The value is not what the registry says.
    Drift,
    /// It happened in one of so many blocks, this one the last: state is looked at now and then.
    Within(u64),
    /// The value is weak as it stands, and the registry does not say that it is meant.
    Posture,
    /// What stands at a counterparty's address after the block: hash of its code, that of nothing where there is none. Only where
    /// a rule asks for it.
    Code {
        /// Whose.
        of: Address,
        /// Keccak-256, as `EXTCODEHASH` gives it.
        hash: B256,
    },
    /// Which code the subject ran for it, where its registry lists what it may run.
    Runs {
        /// Where that code is.
        implementation: Address,
        /// What the watchlist calls the ABI that it was read by; the watch's own where absent.
        abi: Option<Arc<str>>,
        /// Whether `registry.implementations` lists it.
        listed: bool,
    },
    /// A fact had to be read from the node and could not be; what is unknown because of it.
    Unread(String),
    /// It waits in a Safe's queue, so far from being executed. Who sends it, when, and all who sign it are not known yet.
    Queued(Progress),
    /// What a Safe's queue itself shows to be wrong, in one sentence.
    Queue(String),
}
