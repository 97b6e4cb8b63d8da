//! Evidence from a trace: the claims that certainly ran, and the calls that no calldata shows.
//!
//! A trace is the claim of one node. It is checked against the transaction, its result and its logs, and it only adds
//! activities: a call missing from the trace is judged by the logs as before.

use super::frames::{Claim, FRAMES_MAX, Frame, FrameKind, FrameOpener, inner_wrappers};
use super::own::OwnCode;
use super::{Questions, Subjects, erc4337, stillness, versions};
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::{
    Activity, ActivityKind, Block, CallHow, Fate, Known, Log, Operation, Position, Role, Stage, Status, TracedCall, Tx,
    TxTrace,
};
use alloy_primitives::map::{HashMap, HashSet};
use alloy_primitives::{Address, Bytes, U256};
use std::collections::VecDeque;

/// Last precompile in the row from 0x01 on. Precompiles compute and store nothing.
///
/// Source: the precompiles of Frontier to Prague: EIP-198, EIP-196, EIP-197, EIP-152, EIP-4844, EIP-2537 (up to 0x11).
const PRECOMPILE_LAST: u64 = 0x11;
/// `P256VERIFY`, another precompile. Source: EIP-7951; RIP-7212.
const P256_VERIFY: u64 = 0x100;

/// Returns the traces of the block's transactions, where they are needed and the node has them; they are requested
/// once.
pub(crate) fn block_traces<'a>(
    block: &Block,
    subjects: &Subjects,
    questions: &mut Questions<'a>,
) -> Option<&'a [TxTrace]> {
    if !subjects.looks_inside() || subjects.is_empty() || block.txs.is_empty() {
        return None;
    }
    match questions.ask(Read::Traces)? {
        Answer::Traces(traces) => Some(&traces[..]),
        _ => None,
    }
}

/// Returns whether a subject makes or receives a call that can change something.
pub(crate) fn is_trace_relevant(trace: &TxTrace, subjects: &Subjects) -> bool {
    let watched =
        |call: &TracedCall| subjects.get(&call.from).is_some() || call.to.is_some_and(|to| subjects.get(&to).is_some());
    trace.calls.iter().any(|call| call.how != CallHow::Staticcall && watched(call))
}

/// Returns whether the trace of this one transaction may be requested where blocks are not traced. It may if no
/// observed call explains something of a wallet or something that left a subject, or if a contract was called, whose
/// code can do things that only a trace shows.
pub(crate) fn begs_for_a_trace(activities: &[Activity], subjects: &Subjects) -> bool {
    let left = |activity: &Activity| {
        let subject = subjects.get(&activity.from);
        match activity.kind {
            ActivityKind::Event => subject.is_some_and(|subject| subject.contract().has(Property::Wallet)),
            ActivityKind::Move => subject.is_some_and(|subject| subject.watch == activity.watch),
            // Ether that leaves by an inner call is in no log. The balance does not show it either where another call
            // of the block brings in the same amount.
            ActivityKind::Call => {
                let called = activity.to.and_then(|to| subjects.get(&to));
                called
                    .is_some_and(|own| !own.contract().has(Property::Wallet) && !own.contract().has(Property::Account))
            }
            ActivityKind::Act | ActivityKind::State => false,
        }
    };
    let alone = |activity: &Activity| activity.role == Role::Leaf || activity.kind == ActivityKind::Call;
    activities.iter().any(|activity| alone(activity) && activity.fate == Fate::Executed && left(activity))
}

/// Returns the part of a trace that is impossible for this transaction with this receipt.
pub(crate) fn trace_contradiction(trace: &TxTrace, tx: &Tx) -> Option<&'static str> {
    let Some(own) = trace.calls.first() else { return Some("it is empty") };
    if trace.tx.is_some_and(|hash| hash != tx.hash) {
        return Some("it is of another transaction");
    }
    let target = if own.how == CallHow::Create { tx.to.is_none() } else { own.to == tx.to };
    if !target || own.from != tx.from || own.value != tx.value || own.input != tx.input {
        return Some("it begins with another call");
    }
    if tx.status != Status::Unknown && own.failed == tx.status.has_effects() {
        return Some("it ends another way than the receipt");
    }
    (trace.has_logs && !same_logs(trace, tx)).then_some("its logs are not those of the receipt")
}

/// Compares logs without their order: nodes list a call's logs separately from those of the calls that it makes.
fn same_logs(trace: &TxTrace, tx: &Tx) -> bool {
    fn log_content(log: &Log) -> (&Address, &[alloy_primitives::B256], &[u8]) {
        (&log.address, &log.topics, &log.data)
    }
    let undone = reverted_calls(trace);
    let holding = trace.calls.iter().zip(&undone).filter(|(_, undone)| !**undone);
    let mut traced: Vec<_> = holding.flat_map(|(call, _)| &call.logs).map(log_content).collect();
    let mut received: Vec<_> = tx.logs.iter().map(log_content).collect();
    traced.sort_unstable();
    received.sort_unstable();
    traced == received
}

/// Returns for each call whether it, or a call around it, failed.
pub(super) fn reverted_calls(trace: &TxTrace) -> Vec<bool> {
    let mut undone: Vec<bool> = Vec::with_capacity(trace.calls.len());
    for call in &trace.calls {
        let around = call.parent.and_then(|parent| undone.get(parent as usize)).copied();
        undone.push(call.failed || around.unwrap_or(false));
    }
    undone
}

/// Returns for each call whether it can change nothing: a static call and the calls inside it, or a precompile.
pub(super) fn readonly_calls(trace: &TxTrace) -> Vec<bool> {
    let mut walk = TraceWalk::new(trace);
    trace.calls.iter().enumerate().for_each(|(at, call)| {
        walk.enter_call(at, call);
    });
    walk.still
}

/// Marks the claims that the trace shows to have run, and appends calls of and to subjects that no claim covers.
///
/// `known` is the state before the block, which distinguishes a proxy's own code from other code.
pub(super) fn join_trace(opener: &mut FrameOpener<'_, '_, '_>, trace: &TxTrace, tx: &Tx, known: Option<&Known>) {
    let undone = reverted_calls(trace);
    let mut walk = TraceWalk::new(trace);
    let mut claims = Claims::default();
    let mut own = OwnCode::new(tx, known);
    let shown = versions::traced_implementations(trace, opener.subjects);
    let mut born: HashSet<Address> = HashSet::default();
    for (at, call) in trace.calls.iter().enumerate() {
        claims.take_up(&opener.frames);
        let around = walk.enter_call(at, call);
        if walk.still[at] {
            continue;
        }
        let ran = !undone[at];
        if ran && call.how == CallHow::Create {
            born.extend(call.to);
        }
        // A self-destruct with the same ether to the same heir is not the payment that calldata claims.
        let ends = call.how == CallHow::SelfDestruct;
        let known = match at {
            0 => Some(0),
            _ if ends => None,
            _ => claims.take_matching_claim(call, &opener.frames),
        };
        let made = call.to.filter(|to| ran && call.how == CallHow::Create && opener.subjects.get(to).is_some());
        if let Some(index) = known {
            let frame = &mut opener.frames[index];
            frame.made = frame.made.or(made);
            frame.seen = Some(ran);
            frame.certain = true;
            frame.code = shown.get(&at).copied();
            frame.traced = Some(at);
            walk.frame[at] = Some(index);
            continue;
        }
        if !concerns_one(call, opener.subjects) {
            continue;
        }
        let passed = passed_on(call, trace, opener.subjects);
        if passed == Some(TransferKind::AsWallet) {
            continue;
        }
        let foreign = call.how == CallHow::Delegatecall && opener.subjects.get(&call.from).is_some();
        let is_own = foreign && call.to.is_some_and(|code| own.is_own_code(call.from, code, opener));
        if passed == Some(TransferKind::AsProxy) && (!foreign || is_own || is_versioned_proxy(call, opener.subjects)) {
            continue;
        }
        if opener.frames.len() >= FRAMES_MAX {
            note_unfollowed_subjects(opener, trace, at, &mut walk);
            break;
        }
        if let Some(index) = unread_payload_frame(call, around, &opener.frames).filter(|_| !ends) {
            fill_frame(opener, index, call, ran);
            opener.frames[index].code = shown.get(&at).copied();
            opener.frames[index].traced = Some(at);
            walk.frame[at] = Some(index);
            continue;
        }
        let index =
            append_traced_call(opener, claim_from_call(call, around, walk.trace_position(at), &opener.frames), at);
        let frame = &mut opener.frames[index];
        frame.seen = Some(ran);
        frame.made = made;
        frame.code = shown.get(&at).copied();
        if let Some(deed) = erc4337::validation_call(call) {
            frame.deed = deed;
        }
        match passed {
            _ if ends => frame.notes.push(Note::Destroyed),
            _ if is_own => frame.notes.push(Note::OwnCode),
            Some(TransferKind::AsProxy) => frame.notes.push(Note::HandsOn),
            _ if call.how == CallHow::Call && call.to.is_some_and(|to| born.contains(&to)) => {
                frame.notes.push(Note::Newborn);
            }
            _ => {}
        }
        walk.frame[at] = Some(index);
    }
    stillness::note_view_changes(&mut opener.frames, trace, opener.subjects);
}

/// Notes on every subject involved in the calls from this one on that these calls are not followed, so that an attacker
/// cannot hide calls behind many others.
fn note_unfollowed_subjects(opener: &mut FrameOpener<'_, '_, '_>, trace: &TxTrace, from: usize, walk: &mut TraceWalk) {
    let why = format!("More calls of and to the subject than are followed in one transaction ({FRAMES_MAX}).");
    let mut told: Vec<Address> = Vec::new();
    let undone = reverted_calls(trace);
    for (at, call) in trace.calls.iter().enumerate().skip(from) {
        let around = if at == from { walk.frame[at] } else { walk.enter_call(at, call) };
        if walk.still[at] || undone[at] {
            continue;
        }
        let parties = [Some(call.from), call.to].into_iter().flatten();
        let new: Vec<Address> =
            parties.filter(|who| opener.subjects.get(who).is_some() && !told.contains(who)).collect();
        if new.is_empty() || told.len() >= UNFOLLOWED_MAX {
            continue;
        }
        told.extend(new);
        let index =
            append_traced_call(opener, claim_from_call(call, around, walk.trace_position(at), &opener.frames), at);
        opener.frames[index].notes.push(Note::BudgetReached(why.clone()));
    }
}

/// Appends a frame for a call that only the trace shows, followed by the calls that it wraps.
fn append_traced_call(opener: &mut FrameOpener<'_, '_, '_>, claim: Claim, at: usize) -> usize {
    let index = opener.frames.len();
    opener.open_call(claim);
    let frame = &mut opener.frames[index];
    frame.seen = Some(true);
    frame.certain = true;
    frame.inner = true;
    frame.traced = Some(at);
    index
}

/// Maximum number of subjects of one transaction on which calls that are not followed are noted.
const UNFOLLOWED_MAX: usize = 256;

/// Returns whether the code that a proxy runs is tracked anyway.
fn is_versioned_proxy(call: &TracedCall, subjects: &Subjects) -> bool {
    subjects.versions_of(&call.from).is_some()
}

fn concerns_one(call: &TracedCall, subjects: &Subjects) -> bool {
    subjects.get(&call.from).is_some() || call.to.is_some_and(|to| subjects.get(&to).is_some())
}

fn claim_from_call(call: &TracedCall, around: Option<usize>, position: Position, frames: &[Frame]) -> Claim {
    let outer = around.map(|at| &frames[at]);
    Claim {
        parent: around,
        position,
        caller: call.from,
        target: call.to.filter(|_| call.how != CallHow::Create),
        value: call.value,
        input: call.input.clone(),
        operation: call_operation(call.how),
        via: outer.and_then(|outer| Some(inner_wrappers(outer, outer.target?))).unwrap_or_default(),
        stage: Stage::Included,
    }
}

fn call_operation(how: CallHow) -> Operation {
    match how {
        CallHow::Delegatecall => Operation::Delegatecall,
        CallHow::Create => Operation::Create,
        CallHow::Call | CallHow::Staticcall | CallHow::SelfDestruct => Operation::Call,
    }
}

/// Way in which a contract forwards a call that it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransferKind {
    /// By delegatecall, with the same calldata. The code need not be the contract's own.
    AsProxy,
    /// A wallet to its own code, or a Safe to its fallback handler.
    AsWallet,
}

/// Returns the way of forwarding if the call only forwards the call that its caller received.
///
/// Source: EIP-1167, EIP-1967 and SafeProxy.sol forward their calldata unchanged; FallbackManager.sol calls the handler
/// with the calldata, followed by the address of the Safe's caller. Any other contract that forwards calldata by a call
/// makes an ordinary call.
pub(super) fn passed_on(call: &TracedCall, trace: &TxTrace, subjects: &Subjects) -> Option<TransferKind> {
    let caller = trace.calls.get(call.parent? as usize)?;
    let inside = if caller.how == CallHow::Delegatecall { caller.from } else { caller.to? };
    if inside != call.from {
        return None;
    }
    let has = |property| subjects.get(&call.from).is_some_and(|subject| subject.contract().has(property));
    match call.how {
        CallHow::Delegatecall if call.input == caller.input => {
            Some(if has(Property::Wallet) { TransferKind::AsWallet } else { TransferKind::AsProxy })
        }
        CallHow::Call if has(Property::FallbackHandler) && call.value.is_zero() && !caller.input.is_empty() => {
            let rest = call.input.strip_prefix(&caller.input[..])?;
            (*rest == message_sender(caller, trace)?[..]).then_some(TransferKind::AsWallet)
        }
        _ => None,
    }
}

/// `msg.sender` of the code that runs in this call.
fn message_sender(call: &TracedCall, trace: &TxTrace) -> Option<Address> {
    let mut call = call;
    while call.how == CallHow::Delegatecall {
        call = trace.calls.get(call.parent? as usize)?;
    }
    Some(call.from)
}

/// Returns the frame of a multisig's submission whose payload could not be read from the node, and which this call
/// executes.
fn unread_payload_frame(call: &TracedCall, around: Option<usize>, frames: &[Frame]) -> Option<usize> {
    let outer = around?;
    if !matches!(frames[outer].shape, FrameKind::Proposal { .. }) || frames[outer].target != Some(call.from) {
        return None;
    }
    frames.iter().position(|frame| {
        frame.parent == Some(outer)
            && frame.target.is_none()
            && frame.seen.is_none()
            && frame.notes.iter().any(|note| matches!(note, Note::Unread(_)))
    })
}

fn fill_frame(opener: &mut FrameOpener<'_, '_, '_>, index: usize, call: &TracedCall, ran: bool) {
    let deed = opener.decode_call(call.from, call.to, &call.input);
    let frame = &mut opener.frames[index];
    frame.deed = deed;
    frame.target = call.to;
    frame.value = call.value;
    frame.operation = call_operation(call.how);
    frame.input = call.input.clone();
    frame.notes.retain(|note| !matches!(note, Note::Unread(_)));
    frame.seen = Some(ran);
    frame.certain = true;
}

/// Position in the trace.
struct TraceWalk {
    /// True for each call that can change nothing: a static call and all calls inside it, or a call of a contract of
    /// the protocol.
    still: Vec<bool>,
    /// The frame of each call, or else of the nearest call around it that has one.
    frame: Vec<Option<usize>>,
    /// The way to each call that can change something.
    parent: Vec<Option<u32>>,
    place: Vec<u16>,
    n_inside: Vec<u16>,
}

impl TraceWalk {
    fn new(trace: &TxTrace) -> Self {
        let n = trace.calls.len();
        Self {
            still: vec![false; n],
            frame: vec![None; n],
            parent: trace.calls.iter().map(|call| call.parent).collect(),
            place: vec![0; n],
            n_inside: vec![0; n],
        }
    }

    /// Moves on to this call and returns the frame around it.
    fn enter_call(&mut self, at: usize, call: &TracedCall) -> Option<usize> {
        let parent = call.parent.map(|parent| parent as usize).filter(|parent| *parent < at);
        let within = parent.is_some_and(|parent| self.still[parent]);
        let precompile = call.to.is_some_and(is_pure_precompile);
        // Ether can be sent to a precompile, and is lost there. A contract that destroys itself may name any heir, with
        // or without ether.
        let nothing = precompile && call.value.is_zero() && call.how != CallHow::SelfDestruct;
        self.still[at] = within || call.how == CallHow::Staticcall || nothing;
        let around = parent.and_then(|parent| self.frame[parent]);
        self.frame[at] = around;
        if let Some(parent) = parent.filter(|_| !self.still[at]) {
            self.place[at] = self.n_inside[parent];
            self.n_inside[parent] = self.n_inside[parent].saturating_add(1);
        }
        around
    }

    fn trace_position(&self, at: usize) -> Position {
        let mut path = Vec::new();
        let mut at = at;
        while let Some(parent) = self.parent[at].filter(|parent| (*parent as usize) < at) {
            path.push(self.place[at]);
            at = parent as usize;
        }
        path.reverse();
        Position::Inside(path)
    }
}

/// Returns whether the address holds a contract of the protocol that can change nothing on any chain. Others among the
/// lowest addresses can: those of Arbitrum send messages to another chain, that of Celo moves ether.
fn is_pure_precompile(to: Address) -> bool {
    let at = U256::from_be_slice(to.as_slice());
    at == U256::from(P256_VERIFY) || !at.is_zero() && at <= U256::from(PRECOMPILE_LAST)
}

/// Properties that distinguish one claim from another: caller, target, operation and value.
type Face = (Address, Option<Address>, Operation, U256);

/// Claims without a matching call in the trace so far.
#[derive(Default)]
struct Claims {
    waiting: HashMap<Face, VecDeque<usize>>,
    n_known: usize,
}

impl Claims {
    /// Adds the frames that were opened since the last time.
    fn take_up(&mut self, frames: &[Frame]) {
        for (index, frame) in frames.iter().enumerate().skip(self.n_known.max(1)) {
            // A scheduled call did not run by being scheduled, although the same call may have run in the same
            // transaction.
            if frame.seen.is_none() && frame.stage != Stage::Proposed {
                let face = (frame.caller, frame.target, frame.operation, frame.value);
                self.waiting.entry(face).or_default().push_back(index);
            }
        }
        self.n_known = frames.len();
    }

    /// Returns the first claim that matches this call.
    fn take_matching_claim(&mut self, call: &TracedCall, frames: &[Frame]) -> Option<usize> {
        let face = (call.from, call.to, call_operation(call.how), call.value);
        let waiting = self.waiting.get_mut(&face)?;
        let place = waiting.iter().position(|index| same_input(&frames[*index].input, &call.input))?;
        waiting.remove(place)
    }
}

fn same_input(claimed: &Bytes, ran: &Bytes) -> bool {
    claimed == ran
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::unknown_kind;
    use crate::decode::subjects::Subject;
    use crate::model::{BlockRef, ChainId, WatchId};
    use alloy_primitives::B256;
    use std::sync::Arc;

    const WATCHED: Address = Address::repeat_byte(0xaa);
    const STRANGER: Address = Address::repeat_byte(0xbb);
    const SENDER: Address = Address::repeat_byte(0xcc);

    fn subjects() -> Subjects {
        let abi = Arc::new(crate::abi::Abi::default());
        let mut subjects = Subjects::new(ChainId(1));
        subjects.insert_subject(
            WATCHED,
            Subject { watch: WatchId(0), kind: unknown_kind(), abi: abi.clone(), rule_abi: abi },
        );
        subjects.look_inside();
        subjects
    }

    fn call(parent: Option<u32>, from: Address, to: Address, value: u64) -> TracedCall {
        TracedCall {
            parent,
            how: CallHow::Call,
            from,
            to: Some(to),
            value: U256::from(value),
            input: Bytes::new(),
            failed: false,
            logs: vec![],
        }
    }

    fn tx() -> Tx {
        Tx {
            hash: B256::repeat_byte(1),
            index: 0,
            kind: 2,
            from: SENDER,
            to: Some(STRANGER),
            value: U256::ZERO,
            input: Bytes::new(),
            nonce: 0,
            authorizations: vec![],
            status: Status::Success,
            created: None,
            logs: vec![],
            fee: None,
            tip: None,
            bid: None,
        }
    }

    fn decoded(calls: Vec<TracedCall>) -> crate::decode::Decoded {
        let at = BlockRef { number: 1, hash: B256::repeat_byte(9) };
        let block = Block { at, parent: B256::ZERO, time: 0, txs: vec![tx()], withdrawals: vec![] };
        let trace = TxTrace { tx: Some(tx().hash), calls, has_logs: true };
        let answers = [(Read::Traces, Answer::Traces(vec![trace].into()))].into();
        crate::decode::decode_block(&block, &subjects(), &Default::default(), &answers)
    }

    #[test]
    fn ether_that_comes_and_goes_inside_somebody_else_s_call_is_seen() {
        let calls = vec![
            call(None, SENDER, STRANGER, 0),
            call(Some(0), STRANGER, WATCHED, 5),
            call(Some(1), WATCHED, SENDER, 3),
        ];
        let seen = decoded(calls).activities;
        let told: Vec<_> = seen.iter().map(|a| (a.kind.as_str(), a.position.to_string(), a.value)).collect();
        assert_eq!(
            told,
            [("call", "trace.0".to_owned(), U256::from(5)), ("act", "trace.0.0".to_owned(), U256::from(3))]
        );
    }

    #[test]
    fn calls_that_can_change_nothing_are_neither_seen_nor_counted() {
        let mut asks = call(Some(0), STRANGER, WATCHED, 0);
        asks.how = CallHow::Staticcall;
        let within = call(Some(1), WATCHED, SENDER, 0);
        let precompile = call(Some(0), STRANGER, Address::with_last_byte(1), 0);
        let calls =
            vec![call(None, SENDER, STRANGER, 0), asks, within, precompile, call(Some(0), STRANGER, WATCHED, 1)];
        let seen = decoded(calls).activities;
        assert_eq!(seen.iter().map(|a| a.position.to_string()).collect::<Vec<_>>(), ["trace.0"]);
    }

    #[test]
    fn of_the_lowest_addresses_only_those_that_compute_change_nothing() {
        let seen = |n: u64| {
            let to = Address::from_word(U256::from(n).into());
            decoded(vec![call(None, SENDER, STRANGER, 0), call(Some(0), WATCHED, to, 0)]).activities.len()
        };
        let still: Vec<u64> = (0..0x220).filter(|n| seen(*n) == 0).collect();
        assert_eq!(still, (1..=0x11).chain([0x100]).collect::<Vec<u64>>());
    }

    #[test]
    fn what_is_undone_inside_a_transaction_that_went_through_is_an_attempt() {
        let mut outer = call(Some(0), STRANGER, SENDER, 0);
        outer.failed = true;
        let calls = vec![call(None, SENDER, STRANGER, 0), outer, call(Some(1), SENDER, WATCHED, 1)];
        let seen = decoded(calls).activities;
        assert_eq!(seen.iter().map(|a| (a.stage, a.fate)).collect::<Vec<_>>(), [(Stage::Reverted, Fate::Reverted)]);
    }

    #[test]
    fn a_trace_of_something_else_is_not_believed_and_told() {
        for (calls, why) in [
            (vec![], "it is empty"),
            (vec![call(None, SENDER, WATCHED, 0)], "it begins with another call"),
            (vec![call(None, SENDER, STRANGER, 1)], "it begins with another call"),
        ] {
            let decoded = decoded(calls);
            assert_eq!(decoded.false_traces, [(tx().hash, why)]);
            assert_eq!(decoded.activities, []);
        }
        let mut logs = call(None, SENDER, STRANGER, 0);
        logs.logs = vec![Log { address: WATCHED, topics: vec![], data: Bytes::new(), ordinal: 0 }];
        assert_eq!(decoded(vec![logs]).false_traces.len(), 1);
        let mut failed = call(None, SENDER, STRANGER, 0);
        failed.failed = true;
        assert_eq!(decoded(vec![failed]).false_traces.len(), 1);
    }
}
