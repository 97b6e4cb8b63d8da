//! Activity that involves a subject, decoded and not yet judged.

use super::holding::Holding;
use super::proposals::Progress;
use super::state::Item;
use super::value::Arg;
use super::watch::WatchId;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Kind of activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivityKind {
    /// A call to the subject.
    Call,
    /// An act of the subject: a leaf call that it executes, a transaction that an account sends.
    Act,
    /// A log that the subject emits.
    Event,
    /// A token's log that names the subject: value or an allowance, in or out.
    Move,
    /// An item of the subject's state that changed, or that differs from the registry.
    State,
}

impl ActivityKind {
    /// Returns the keyword that starts a rule.
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

/// Stage of an activity on its way into the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Written down on chain, not executed: a submission to a multisig.
    Proposed,
    /// Announced, but not in a block yet.
    Pending,
    /// In a block.
    Included,
    /// Attempted and undone: the transaction's status is 0.
    Reverted,
}

impl Stage {
    /// Returns the word used in watchlists.
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

/// Outcome of a call inside a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Executed.
    Executed,
    /// The whole transaction reverted.
    Reverted,
    /// Failed inside a wrapper that swallowed the failure. The transaction itself succeeded.
    Failed,
    /// Proposed so far, and not yet executed.
    Waiting,
    /// A wrapper claims the call, but the subject's own log does not confirm it.
    Unconfirmed,
}

impl Fate {
    /// Returns the word used in watchlists.
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

/// Type of call by which the subject executes a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// An ordinary call.
    Call,
    /// Foreign code executed with the subject's storage and funds.
    Delegatecall,
    /// A contract creation.
    Create,
}

impl Operation {
    /// Returns the word used in watchlists.
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
/// Written `call`, `call.0.2`, `log.5`, `log.5.0` for a call that a log announces, `trace.1.0`, `state.threshold`. A
/// position stays the same when a reorg moves the transaction to another block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Position {
    /// Empty for the transaction's own call; then the index of each visible inner call.
    Call(Vec<u16>),
    /// Ordinal of the log.
    Log(u32),
    /// Index of an EIP-7702 authorization in its list.
    Authorization(u16),
    /// Due time of an expected action that did not come, in Unix seconds; no position in any transaction. Written
    /// `due.1795194000`.
    Due(u64),
    /// A call that only a trace shows: the index of each call on the path to it, counted among calls that can change
    /// state. The index does not depend on whether a node lists calls of precompiled contracts.
    Inside(Vec<u16>),
    /// An item of the state, which has no position in the transaction.
    State(Item),
    /// A call that a log announces: the ordinal of the log, then the index of each call.
    Told {
        /// Ordinal of the log.
        log: u32,
        /// Path to the call among the calls that the log announces.
        path: Vec<u16>,
    },
}

impl Position {
    /// Returns the position of the `index`-th call inside this one.
    #[must_use]
    pub fn child_call(&self, index: u16) -> Self {
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

/// Role of an activity in its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// An activity that is judged on its own.
    Leaf,
    /// A wrapper (`execTransaction`, `submitTransaction` ...): judged by its own conditions, and by the verdicts of the
    /// calls it carries.
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

/// Result of decoding the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// Plain ether transfer, without calldata.
    Ether,
    /// Decoded, and encodes back to the same bytes.
    Clean,
    /// Calldata that encodes back to the same bytes, except for these bytes after it. Contracts that follow their ABI
    /// never read them; attribution (ERC-8021) is written there.
    Suffixed(Bytes),
    /// Decoded as a contract would, but not in the canonical encoding of honest encoders; each string is one flaw.
    Flawed(Vec<String>),
    /// Not decodable, with the reason.
    Opaque(String),
    /// Several signatures fit; all are listed.
    Ambiguous(Vec<String>),
}

/// The function or event, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedCall {
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
    /// Result of decoding the bytes.
    pub decoding: Decoding,
    /// True if the decoding ABI declares that it changes state. Unknown functions count as changing.
    pub mutates: bool,
}

impl DecodedCall {
    /// Returns a deed that the program derives itself, without decoding bytes: cleanly decoded, state-changing, with
    /// neither selector nor topic.
    #[must_use]
    pub fn without_calldata(name: impl Into<Arc<str>>, signature: impl Into<Arc<str>>, args: Vec<Arg>) -> Self {
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

    /// Returns whether the note is one of [`BY_ITSELF`].
    #[must_use]
    pub fn is_by_itself(&self) -> bool {
        self.selector.is_none() && self.topic0.is_none() && BY_ITSELF.contains(&&*self.name)
    }
}

/// Acts without a function, which hand over the subject itself or end it: a delegation of its code, its end (EIP-7702, EIP-6780). A rule
/// names them by these words.
pub const BY_ITSELF: [&str; 3] = ["delegate code", "clear delegation", "self-destruct"];

/// A wrapper around an activity, outermost first in [`Activity::via`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper {
    /// The contract that wraps.
    pub at: Address,
    /// Function of the wrapper: `execTransaction`, `multiSend` ...
    pub function: Arc<str>,
}

/// Enclosing call, inside of which an activity happened.
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
    /// Role that the call names, if it is a call to a Zodiac Roles modifier; a number is padded on the left.
    pub role: Option<B256>,
}

/// Activity that involves one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The subject's watch.
    pub watch: WatchId,
    /// Kind of activity.
    pub kind: ActivityKind,
    /// Stage on its way into the chain.
    pub stage: Stage,
    /// Outcome of the call.
    pub fate: Fate,
    /// Transaction hash. For a change of state that cannot be assigned to a single transaction, the block's hash.
    pub tx: B256,
    /// Index of the transaction in its block; for an activity without a transaction, the index after the last one.
    pub tx_index: u32,
    /// Place within the transaction.
    pub position: Position,
    /// Acting address: the direct caller of a call, the subject for an act, the party that value leaves for a move, the
    /// emitter of an event.
    pub from: Address,
    /// Sender of the transaction.
    pub origin: Address,
    /// Counterparty: target of a call or act, recipient or spender of a move; absent for creations and events.
    pub to: Option<Address>,
    /// Ether sent with the call, in wei.
    pub value: U256,
    /// Function or event, with arguments.
    pub deed: DecodedCall,
    /// Type of call by which a leaf is executed.
    pub operation: Operation,
    /// Approvers, where known: recovered from signatures, or the confirmations of a multisig. `None` when they are
    /// unknown, which never satisfies a condition on signers.
    pub signers: Option<Vec<Address>>,
    /// Wrappers around it, outermost first.
    pub via: Vec<Wrapper>,
    /// Role in its transaction.
    pub role: Role,
    /// Facts noticed by the decoder that make the activity abnormal regardless of rules about its arguments; see
    /// `classify::builtin`.
    pub notes: Vec<Note>,
}

impl Activity {
    /// Returns the progress towards execution, if it is a pending proposal of a Safe.
    #[must_use]
    pub fn proposal_progress(&self) -> Option<Progress> {
        self.notes.iter().find_map(|note| if let Note::Queued(progress) = note { Some(*progress) } else { None })
    }

    /// Returns the token's answers about the subject's holding, if a token logged the activity.
    #[must_use]
    pub fn token_holding(&self) -> Option<&Holding> {
        self.notes.iter().find_map(|note| if let Note::Holding(holding) = note { Some(&**holding) } else { None })
    }

    /// Returns the calls that the activity certainly happened inside, innermost first; `None` where this cannot be
    /// shown.
    #[must_use]
    pub fn enclosing_calls(&self) -> Option<&Arc<[Around]>> {
        self.notes.iter().find_map(|note| if let Note::Inside(calls) = note { Some(calls) } else { None })
    }

    /// Returns the code that the subject ran for it, and the watchlist's name for the ABI of that code, where the
    /// registry lists the implementations that the subject may run.
    #[must_use]
    pub fn executed_code(&self) -> Option<(Address, Option<&Arc<str>>)> {
        self.notes.iter().find_map(|note| match note {
            Note::Runs { implementation, abi, .. } => Some((*implementation, abi.as_ref())),
            _ => None,
        })
    }
}

/// Reference by which a priority fee is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// Priority fee that half of the other transactions in the block did not exceed, in wei for each unit of gas.
    Others(u128),
    /// The base fee of its block, in wei for each unit of gas.
    BaseFee(u128),
}

/// A fact about an activity that does not follow from its bytes alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A budget was exhausted; the rest was not decoded.
    BudgetReached(String),
    /// The target of a delegatecall is a known library that is always reported, such as a migration.
    KnownLibrary(Arc<str>),
    /// A Safe pays for its execution: recipient of the refund (zero means the executor).
    Refund(Address),
    /// The call was executed through this module.
    Module(Address),
    /// Id of the legacy multisig submission that is submitted, confirmed or executed.
    Submission(U256),
    /// The timelock operation or governor proposal that the activity is part of.
    Operation {
        /// Id that the subject uses for it.
        id: B256,
        /// Seconds until it may be executed, where the subject states them.
        delay: Option<u64>,
    },
    /// An EIP-7702 authorization of the subject; it is valid even if the transaction reverted.
    Delegation,
    /// The amount of an approval is at or above the token's supply.
    AboveSupply,
    /// Executed without the logs that it always writes. The contract is not what it seems to be.
    Unlogged,
    /// The caller controls the token, and needs no allowance to move any holder's tokens.
    Controller,
    /// The called token is itself watched, or names the subject as its owner.
    Issuer,
    /// Pays a far higher tip for inclusion than is usual in its block.
    Tip {
        /// Total in wei.
        paid: U256,
        /// Wei for each unit of gas.
        per_gas: u128,
        /// Reference by which the priority fee is unusual.
        beside: Usual,
    },
    /// A part of a fee that the node does not report, and the amount assumed for it, up to the amount that the sender
    /// signed.
    FeeBound {
        /// Name of that part in receipts.
        lacks: &'static str,
        /// Wei above the lower bound of the fee.
        allowed: U256,
    },
    /// The vote of an account that had at most half as much voting power a day before the proposal's snapshot.
    FreshVotes,
    /// A log that its contract must have emitted within a call to it, although only the log is evidence of that call.
    Logged,
    /// An account pays the EntryPoint for its own operation, the amount that the EntryPoint requested when it had the
    /// operation validated.
    Prefund,
    /// The account itself pays for this operation (ERC-4337), according to its EntryPoint.
    Charged,
    /// Addresses in the words of calldata that cannot be decoded, each once; absent where there are more than the
    /// limit.
    Names(Option<Box<[Address]>>),
    /// Rest of an allowance, logged again beside the transfer that used the allowance.
    Remainder,
    /// The contract that is called was created earlier in the same transaction: nothing depended on it before.
    Newborn,
    /// The subject destroys itself; its funds go to another address.
    Destroyed,
    /// The subject's own log has a Safe transaction hash that does not match the transaction's fields.
    HashMismatch,
    /// Token's answers about the subject's holding, and whether the subject uses the token.
    Holding(Box<Holding>),
    /// The trace shows the call in full, with all inner calls, and it changed nothing.
    Still,
    /// A function that should change nothing did change state; the text is the first change in the trace, as the end of
    /// a sentence.
    Changes(String),
    /// A delegatecall to the subject's own code: its own address, an address in its slots, or an implementation in its
    /// registry.
    OwnCode,
    /// A delegatecall that forwards the calldata unchanged, as a proxy does, to code that no source names as the
    /// subject's.
    HandsOn,
    /// Calls that the activity certainly happened inside, innermost first, from the subject outwards up to the
    /// subject's own outgoing call.
    Inside(Arc<[Around]>),
    /// The value differs from the registry (registry drift).
    Drift,
    /// Happened in one of this many blocks, of which this block is the last: state is read only at intervals.
    Within(u64),
    /// The value is insecure (misconfiguration), and the registry does not declare it as intended.
    Posture,
    /// Code at a counterparty's address after the block, as its hash; the hash of empty code if the address has no
    /// code. Only where a rule asks for it.
    Code {
        /// Address of the account.
        of: Address,
        /// Keccak-256, as returned by `EXTCODEHASH`.
        hash: B256,
    },
    /// Code that the subject ran for it, where its registry lists the implementations that it may run.
    Runs {
        /// Address of that code.
        implementation: Address,
        /// Watchlist name of the ABI by which it was decoded; absent for the watch's own ABI.
        abi: Option<Arc<str>>,
        /// True if `registry.implementations` lists it.
        listed: bool,
    },
    /// A fact had to be read from the node, but could not be; the text says what is unknown as a result.
    Unread(String),
    /// Pending among a Safe's proposals, with its progress towards execution. The sender, the time and the full set of
    /// signers are not known yet.
    Queued(Progress),
    /// Problem that a Safe's proposals show by themselves, in one sentence.
    Queue(String),
}
