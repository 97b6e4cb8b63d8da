//! Opens a transaction's call: the tree of calls that its bytes claim, wrapper by wrapper.
//!
//! The content read here is a claim. [`super::outcome`] decides afterwards from the logs whether it came true.

use super::announced_calls::{self, Announcement};
use super::decoded_call;
use super::multisig;
use super::safe::{self, SafeExec};
use super::subjects::{Library, Subjects, zero_is_itself};
use super::{Questions, Subject, erc4337, traces};
use crate::abi::{Budget, bundled, multisend};
use crate::contracts::{ContractKind, Envelope, Property};
use crate::model::read::{Answer, Read};
use crate::model::{
    DecodedCall, Decoding, Fate, Known, Operation, Position, Stage, Tx, TxTrace, Wrapper, activity::Note,
};
use alloy_primitives::{Address, Bytes, U256};
use std::sync::Arc;

/// Maximum number of calls opened in one transaction. A batch of 500 payments fits; calls beyond the limit are reported
/// as a budget reached.
pub(crate) const FRAMES_MAX: usize = 1024;

/// The last of Ethereum's own transaction types (EIP-7702).
const TYPE_LAST: u64 = 4;

/// `multiSend(bytes)`. Source: MultiSend.sol, Safe 1.1.1 to 1.5.0.
const MULTI_SEND: [u8; 4] = [0x8d, 0x80, 0xff, 0x0a];

/// Call, claimed or proven.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) parent: Option<usize>,
    pub(crate) position: Position,
    /// `msg.sender`, or the contract that runs foreign code by delegatecall.
    pub(crate) caller: Address,
    pub(crate) target: Option<Address>,
    pub(crate) value: U256,
    pub(crate) operation: Operation,
    pub(crate) via: Vec<Wrapper>,
    /// True if every surrounding call is known to do what its calldata says: libraries and watched wallets, nothing
    /// else. An unknown contract can take the calldata of a Safe and do something else.
    pub(crate) certain: bool,
    pub(crate) deed: DecodedCall,
    pub(crate) shape: FrameKind,
    pub(crate) stage: Stage,
    pub(crate) fate: Fate,
    /// Approvals in the frame, where it is a wallet's envelope.
    pub(crate) signers: Option<Vec<Address>>,
    /// Ordinal of the wrapper's own log that confirms it.
    pub(crate) confirmed_by: Option<u32>,
    pub(crate) notes: Vec<Note>,
    /// Calldata, unchanged.
    pub(crate) input: Bytes,
    /// True if a trace shows that it ran and that no surrounding call undid it; `None` if no trace shows it.
    pub(crate) seen: Option<bool>,
    /// True if only a trace shows the call.
    pub(crate) inner: bool,
    /// Place of the call in the trace, where one shows it.
    pub(crate) traced: Option<usize>,
    /// Address of the code to which the target passed its calldata, where a trace shows it and it matters.
    pub(crate) code: Option<Address>,
    /// Watched address at which it makes a contract, where it does.
    pub(crate) made: Option<Address>,
    /// True if the content of the call cannot be known yet, so that it is not reported before it ran.
    pub(crate) hidden: bool,
    /// Indexes of the activities made of it; filled by [`super::activities`].
    pub(crate) acts: Vec<usize>,
}

impl Frame {
    /// Returns whether the frame is a wallet's own log instead of a call.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self.shape, FrameKind::Told(_))
    }
}

/// Kind of a frame, besides being a call.
#[derive(Clone, Debug)]
pub(crate) enum FrameKind {
    /// A call without a wrapper.
    Plain,
    /// A MultiSend list. It makes no activity: its items represent it.
    Batch,
    /// `execTransaction`.
    SafeExec(Box<SafeExec>),
    /// `execTransactionFromModule`, with or without return data: the caller is the module.
    ModuleExec,
    /// A legacy multisig's submission, confirmation or execution. The id of a submission is known from its log.
    Proposal {
        /// Id from the calldata or the `Submission` log.
        id: Option<U256>,
        /// Submission, confirmation or execution.
        verb: multisig::Verb,
    },
    /// A bundle for an EntryPoint. It makes no activity: its operations represent it.
    Operations,
    /// A request to an account with code to make calls.
    Account,
    /// A wallet's own log instead of a call; the calls that it announces are its children.
    Told(Box<Announcement>),
    /// A call that made a wallet write such logs: the frames of those logs.
    Carrier(Vec<usize>),
}

impl FrameKind {
    /// Returns whether the frame wraps other frames as a wallet's envelope.
    pub(crate) fn is_envelope(&self) -> bool {
        !matches!(self, Self::Plain | Self::Batch | Self::Operations)
    }
}

/// Returns whether `tx` calls something that may wrap a call to a subject.
pub(crate) fn may_wrap(tx: &Tx, subjects: &Subjects) -> bool {
    let (Some(to), Some(selector)) = (tx.to, tx.input.first_chunk::<4>()) else { return false };
    match *selector {
        MULTI_SEND => subjects.library_at(&to).is_some(),
        selector if erc4337::is_handle_ops(to, selector) => erc4337::may_concern(&tx.input, subjects),
        selector => safe::is_exec(selector),
    }
}

/// Knowledge about a transaction beside its own bytes.
#[derive(Clone, Copy)]
pub(crate) struct DecodeContext<'a> {
    /// Block time, in Unix seconds.
    pub(crate) time: u64,
    /// Calls that ran inside according to a node, checked against the transaction.
    pub(crate) trace: Option<&'a TxTrace>,
    /// State before the block; `None` where no state is read.
    pub(crate) known: Option<&'a Known>,
}

/// Returns the tree of calls that `tx` claims, the transaction's own call first, followed by calls that only a trace
/// shows.
///
/// Calls announced in the logs of watched wallets are added before the trace is joined: a trace shows the executed
/// calls too, and each is then recognized as the same call and judged once.
pub(crate) fn build_call_tree(
    tx: &Tx,
    sight: DecodeContext<'_>,
    subjects: &Subjects,
    questions: &mut Questions<'_>,
) -> Vec<Frame> {
    let mut opener = open_root_call(tx, subjects, questions);
    announced_calls::open_announced_calls(&mut opener, tx, sight.time, false);
    if let Some(trace) = sight.trace {
        traces::join_trace(&mut opener, trace, tx, sight.known);
    }
    announced_calls::open_announced_calls(&mut opener, tx, sight.time, true);
    announced_calls::join_announcing_calls(&mut opener.frames, |address| subjects.get(address).map(Subject::contract));
    opener.frames
}

/// Returns the same for a transaction that has not run: wallets will announce the calls that their calldata requests.
pub(crate) fn open_ahead(tx: &Tx, subjects: &Subjects, questions: &mut Questions<'_>) -> Vec<Frame> {
    let mut opener = open_root_call(tx, subjects, questions);
    announced_calls::open_expected_calls(&mut opener);
    announced_calls::join_announcing_calls(&mut opener.frames, |address| subjects.get(address).map(Subject::contract));
    opener.frames
}

/// Starts with the transaction's own call and the calls that its bytes wrap.
fn open_root_call<'a, 'q, 'b>(
    tx: &Tx,
    subjects: &'a Subjects,
    questions: &'q mut Questions<'b>,
) -> FrameOpener<'a, 'q, 'b> {
    let mut opener = FrameOpener {
        subjects,
        questions,
        budget: Budget::default(),
        frames: Vec::new(),
        reverted: !tx.status.has_effects(),
    };
    let operation = if tx.to.is_some() { Operation::Call } else { Operation::Create };
    opener.open_call(Claim {
        parent: None,
        position: Position::Call(vec![]),
        caller: tx.from,
        target: tx.to,
        value: tx.value,
        input: tx.input.clone(),
        operation,
        via: vec![],
        stage: if tx.status.has_effects() { Stage::Included } else { Stage::Reverted },
    });
    if let Some(own) = opener.frames.first_mut() {
        own.made = made_at(tx, subjects);
    }
    opener
}

/// The watched address at which the transaction itself makes a contract, if it does.
///
/// Which address that is follows from the sender and his nonce, which hashes vouch for. What a rollup brings from its other chain has a
/// nonce that stands in its receipt alone: there the node's word for the address counts.
/// Source: EVM `CREATE`, keccak256(rlp([sender, nonce])); deposits of the OP Stack (type 0x7e, `depositNonce`).
pub(crate) fn made_at(tx: &Tx, subjects: &Subjects) -> Option<Address> {
    if tx.to.is_some() || !tx.status.has_effects() {
        return None;
    }
    let made = if tx.kind <= TYPE_LAST { tx.from.create(tx.nonce) } else { tx.created? };
    subjects.get(&made).map(|_| made)
}

/// Call to be opened.
pub(super) struct Claim {
    pub(super) parent: Option<usize>,
    pub(super) position: Position,
    pub(super) caller: Address,
    pub(super) target: Option<Address>,
    pub(super) value: U256,
    pub(super) input: Bytes,
    pub(super) operation: Operation,
    pub(super) via: Vec<Wrapper>,
    pub(super) stage: Stage,
}

pub(super) struct FrameOpener<'a, 'q, 'b> {
    pub(super) subjects: &'a Subjects,
    pub(super) questions: &'q mut Questions<'b>,
    budget: Budget,
    pub(super) frames: Vec<Frame>,
    reverted: bool,
}

impl FrameOpener<'_, '_, '_> {
    /// Appends the call, followed by the calls that it wraps.
    pub(super) fn open_call(&mut self, claim: Claim) {
        let library = claim.target.and_then(|to| self.subjects.library_at(&to));
        let deed = match library {
            Some(Library::MultiSend | Library::MultiSendCallOnly) if claim.input.starts_with(&MULTI_SEND) => {
                batch_deed(&claim.input, &mut self.budget)
            }
            _ => decoded_call::of_call(self.subjects, claim.caller, claim.target, &claim.input, &mut self.budget),
        };
        let shape = self.frame_kind(&claim, &deed, library);
        let mut notes = Vec::new();
        if self.budget.was_reached()
            && let Decoding::Opaque(why) = &deed.decoding
        {
            notes.push(Note::BudgetReached(why.clone()));
        }
        if claim.operation == Operation::Delegatecall
            && let Some(library @ (Library::Migration | Library::SignMessage)) = library
        {
            notes.push(Note::KnownLibrary(Arc::from(library.name())));
        }
        if let FrameKind::SafeExec(exec) = &shape
            && let Some(receiver) = exec.effective_refund_receiver()
        {
            notes.push(Note::Refund(receiver));
        }
        if matches!(shape, FrameKind::ModuleExec) {
            notes.push(Note::Module(claim.caller));
        }
        let certain = claim.parent.is_none_or(|parent| self.passes_on(&self.frames[parent]));
        let index = self.frames.len();
        let Claim { parent, position, caller, target, value, operation, via, stage, input } = claim;
        self.frames.push(Frame {
            parent,
            position,
            caller,
            target,
            value,
            operation,
            via,
            certain,
            deed,
            shape,
            stage,
            fate: if self.reverted { Fate::Reverted } else { Fate::Executed },
            signers: None,
            confirmed_by: None,
            notes,
            input,
            seen: None,
            inner: false,
            traced: None,
            code: None,
            made: None,
            hidden: false,
            acts: vec![],
        });
        self.open_inside(index);
    }

    /// Asks the node, like [`Questions::ask`].
    pub(super) fn ask_node(&mut self, read: Read) -> Option<&Answer> {
        self.questions.ask(read)
    }

    /// Decodes calldata within the transaction's budget.
    pub(super) fn decode_call(&mut self, caller: Address, target: Option<Address>, input: &Bytes) -> DecodedCall {
        decoded_call::of_call(self.subjects, caller, target, input, &mut self.budget)
    }

    /// Returns whether `frame`, if it runs, runs what it claims to wrap.
    fn passes_on(&self, frame: &Frame) -> bool {
        let known = matches!(frame.shape, FrameKind::Batch | FrameKind::Operations)
            || frame.target.is_some_and(|target| self.subjects.get(&target).is_some());
        frame.certain && known
    }

    fn frame_kind(&self, claim: &Claim, deed: &DecodedCall, library: Option<Library>) -> FrameKind {
        let (Some(target), Some(selector)) = (claim.target, deed.selector) else { return FrameKind::Plain };
        if deed.args.is_empty() {
            return FrameKind::Plain;
        }
        if matches!(library, Some(Library::MultiSend | Library::MultiSendCallOnly)) && selector == MULTI_SEND {
            return FrameKind::Batch;
        }
        if claim.operation != Operation::Call {
            return FrameKind::Plain;
        }
        if erc4337::is_handle_ops(target, selector) {
            return FrameKind::Operations;
        }
        let brought = claim.parent.is_some_and(|parent| matches!(self.frames[parent].shape, FrameKind::Operations));
        let contract = self.subjects.get(&target).map(Subject::contract);
        // An account with a key makes the requested calls through code delegated to it. Another contract gets such
        // requests only from an EntryPoint.
        let is_requested = |contract: &ContractKind| {
            contract.has(Property::SmartAccount) && (contract.has(Property::Account) || brought)
        };
        if contract.is_some_and(is_requested) {
            return erc4337::requested_calls(deed).map_or(FrameKind::Plain, |_| FrameKind::Account);
        }
        // An unwatched contract that accepts Safe calldata may wrap a call to a subject; its own log has to confirm it.
        match contract.map_or(Some(Envelope::SafeTransaction), |contract| contract.envelope) {
            Some(Envelope::SafeTransaction) => {
                if selector == safe::EXEC_TRANSACTION {
                    SafeExec::from_call(deed).map_or(FrameKind::Plain, |exec| FrameKind::SafeExec(Box::new(exec)))
                } else if safe::is_module_exec(selector) {
                    FrameKind::ModuleExec
                } else {
                    FrameKind::Plain
                }
            }
            Some(Envelope::Submission) => multisig::Verb::from_selector(selector).map_or(FrameKind::Plain, |verb| {
                let id = if verb == multisig::Verb::Submit { None } else { decoded_call::uint_at(deed, 0) };
                FrameKind::Proposal { id, verb }
            }),
            None => FrameKind::Plain,
        }
    }

    fn open_inside(&mut self, index: usize) {
        if matches!(self.frames[index].shape, FrameKind::Plain) {
            return;
        }
        if let Err(why) = self.budget.enter_call() {
            self.frames[index].notes.push(Note::BudgetReached(why.to_string()));
            return;
        }
        match &self.frames[index].shape {
            // Log frames and their carriers are created after their content.
            FrameKind::Plain | FrameKind::Told(_) | FrameKind::Carrier(_) => {}
            FrameKind::Operations => self.open_operations(index),
            FrameKind::Account => self.open_account(index),
            FrameKind::Batch => self.open_batch(index),
            FrameKind::SafeExec(_) | FrameKind::ModuleExec => self.open_exec(index),
            FrameKind::Proposal { id, verb } => {
                let (id, verb) = (*id, *verb);
                self.open_proposal(index, id, verb);
            }
        }
        self.budget.leave_call();
    }

    /// Opens `execTransaction(to, value, data, operation, ...)` and `execTransactionFromModule(to, value, data,
    /// operation)`, which begin with the same arguments.
    fn open_exec(&mut self, index: usize) {
        let frame = &self.frames[index];
        let deed = &frame.deed;
        let (Some(to), Some(value), Some(data), Some(operation)) = (
            decoded_call::address_at(deed, 0),
            decoded_call::uint_at(deed, 1),
            decoded_call::bytes_at(deed, 2),
            decoded_call::uint_at(deed, 3),
        ) else {
            return;
        };
        let Some(wallet) = frame.target else { return };
        // Any operation other than a plain call runs foreign code as the Safe. An operation above 1 reverts; it is read
        // as a delegatecall, the more severe reading.
        let operation = if operation.is_zero() { Operation::Call } else { Operation::Delegatecall };
        let claim = Claim {
            parent: Some(index),
            position: frame.position.child_call(0),
            caller: wallet,
            target: Some(to),
            // A delegatecall carries no value of its own.
            value: if operation == Operation::Call { value } else { U256::ZERO },
            input: data.clone(),
            operation,
            via: inner_wrappers(frame, wallet),
            stage: frame.stage,
        };
        self.open_call(claim);
    }

    fn open_batch(&mut self, index: usize) {
        let frame = &self.frames[index];
        let Some(list) = decoded_call::bytes_at(&frame.deed, 0).cloned() else { return };
        let Some(library) = frame.target else { return };
        // By delegatecall, the items are the wallet's own calls; by an ordinary call, they are the library's calls.
        let caller = if frame.operation == Operation::Delegatecall { frame.caller } else { library };
        let via = inner_wrappers(frame, library);
        let (position, stage) = (frame.position.clone(), frame.stage);
        let (items, flaws) = match multisend::decode_multisend(&list, &mut self.budget) {
            Ok(list) => list,
            Err(why) => {
                let frame = &mut self.frames[index];
                if self.budget.was_reached() {
                    frame.notes.push(Note::BudgetReached(why.to_string()));
                }
                frame.deed.decoding = Decoding::Opaque(why.to_string());
                frame.shape = FrameKind::Plain;
                return;
            }
        };
        if !flaws.is_empty() && matches!(self.frames[index].deed.decoding, Decoding::Clean | Decoding::Suffixed(_)) {
            self.frames[index].deed.decoding = Decoding::Flawed(flaws.descriptions().map(str::to_owned).collect());
        }
        for (i, item) in items.into_iter().enumerate() {
            let Ok(place) = u16::try_from(i) else { break };
            if self.frames.len() >= FRAMES_MAX {
                let why = format!("The batch has more calls than are opened in one transaction ({FRAMES_MAX}).");
                self.frames[index].notes.push(Note::BudgetReached(why));
                break;
            }
            let itself = item.to.is_zero() && zero_is_itself(&library);
            let operation = if item.operation == 0 { Operation::Call } else { Operation::Delegatecall };
            self.open_call(Claim {
                parent: Some(index),
                position: position.child_call(place),
                caller,
                target: Some(if itself { caller } else { item.to }),
                value: if operation == Operation::Call { item.value } else { U256::ZERO },
                input: item.data,
                operation,
                via: via.clone(),
                stage,
            });
        }
    }

    /// Opens the operations of watched accounts; operations of other accounts are ignored.
    fn open_operations(&mut self, index: usize) {
        let frame = &self.frames[index];
        let Some(entry) = frame.target else { return };
        let calls = erc4337::bundled_operations(&frame.deed);
        let watched = calls.into_iter().enumerate().filter(|(_, asked)| self.subjects.get(&asked.account).is_some());
        let calls: Vec<_> = watched.map(|(place, asked)| (place, asked.account, U256::ZERO, asked.call)).collect();
        self.open_calls(index, entry, calls);
    }

    fn open_account(&mut self, index: usize) {
        let frame = &self.frames[index];
        let Some(account) = frame.target else { return };
        let calls = erc4337::requested_calls(&frame.deed).unwrap_or_default().into_iter().enumerate();
        self.open_calls(index, account, calls.map(|(place, (to, value, data))| (place, to, value, data)).collect());
    }

    /// Calls that `caller` makes inside the frame.
    fn open_calls(&mut self, index: usize, caller: Address, calls: Vec<(usize, Address, U256, Bytes)>) {
        let frame = &self.frames[index];
        let (via, position, stage) = (inner_wrappers(frame, caller), frame.position.clone(), frame.stage);
        for (place, to, value, input) in calls {
            let (Ok(place), true) = (u16::try_from(place), self.frames.len() < FRAMES_MAX) else {
                let why = format!("More calls are asked for than are opened in one transaction ({FRAMES_MAX}).");
                self.frames[index].notes.push(Note::BudgetReached(why));
                break;
            };
            self.open_call(Claim {
                parent: Some(index),
                position: position.child_call(place),
                caller,
                target: Some(to),
                value,
                input,
                operation: Operation::Call,
                via: via.clone(),
                stage,
            });
        }
    }

    fn open_proposal(&mut self, index: usize, id: Option<U256>, verb: multisig::Verb) {
        let frame = &self.frames[index];
        let Some(wallet) = frame.target else { return };
        let payload = multisig::submission_payload(&frame.deed, verb, wallet, id, self.questions, &mut self.budget);
        let claim = Claim {
            parent: Some(index),
            position: frame.position.child_call(0),
            caller: wallet,
            target: None,
            value: U256::ZERO,
            input: Bytes::new(),
            operation: Operation::Call,
            via: inner_wrappers(frame, wallet),
            stage: frame.stage,
        };
        match payload {
            multisig::MultisigPayload::Is { to, value, data } => {
                self.open_call(Claim { target: Some(to), value, input: data, ..claim });
            }
            multisig::MultisigPayload::Asked => {}
            multisig::MultisigPayload::None => {}
            multisig::MultisigPayload::Unread(why) => {
                self.open_call(claim);
                if let Some(inner) = self.frames.last_mut() {
                    inner.operation = Operation::Call;
                    inner.deed = decoded_call::unknown_call(&why);
                    inner.notes.push(Note::Unread(why));
                }
            }
        }
        if let Some(id) = id {
            self.frames[index].notes.push(Note::Submission(id));
        }
    }
}

/// Returns the wrappers of the calls inside `frame`, including `frame` itself at `at`.
pub(super) fn inner_wrappers(frame: &Frame, at: Address) -> Vec<Wrapper> {
    let mut via = frame.via.clone();
    via.push(Wrapper { at, function: frame.deed.name.clone() });
    via
}

fn batch_deed(input: &Bytes, budget: &mut Budget) -> DecodedCall {
    let rest = input.slice(4..);
    let Some(function) = bundled::multisend().function_by_selector(MULTI_SEND) else {
        return decoded_call::unknown_call("multiSend is not bundled");
    };
    let (args, decoding) = decoded_call::read_call(function, &rest, budget);
    DecodedCall {
        name: function.name.clone(),
        signature: function.signature.clone(),
        selector: Some(MULTI_SEND),
        topic0: None,
        args,
        decoding,
        mutates: true,
    }
}
