//! Turns frames into activities: for each watched address, the calls that it made and the calls that it received.

use super::frames::{Frame, FrameKind};
use super::{Subject, Subjects, decoded_call, erc4337, named, safe};
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Fate, Operation, Position, Role, Tx, WatchId};
use alloy_primitives::{Address, U256};

/// Appends the activities that `frames` mean for watched addresses, outer frames before inner ones.
pub(crate) fn from_frames(frames: &mut [Frame], tx: &Tx, subjects: &Subjects, out: &mut Vec<Activity>) {
    for index in 0..frames.len() {
        if matches!(frames[index].shape, FrameKind::Batch) && frames[index].operation == Operation::Delegatecall {
            // A known MultiSend list makes no activity of its own: its items represent it. Parts of the list that could
            // not be read are still reported.
            flag_batch(&mut frames[index], tx, subjects, out);
            continue;
        }
        let frame = &frames[index];
        let act = subjects.get(&frame.caller).filter(|subject| is_act_of_subject(subject, frame)).map(|subject| {
            let signers = approving_accounts(frames, index, tx);
            let act = frame_activity(subject.watch, ActivityKind::Act, frame, tx, signers);
            let paid = erc4337::prefunded_operation(frames, index).map(|_| Note::Prefund);
            let act = Activity {
                notes: act.notes.into_iter().chain(paid).chain(named::named_addresses_note(frame)).collect(),
                ..act
            };
            // The heir receives ether. For the destroyed contract it is not a payment, so rules about payments do not
            // apply.
            let ends = frame.notes.contains(&Note::Destroyed);
            if ends {
                Activity { deed: decoded_call::self_destruct(frame.target.unwrap_or_default()), ..act }
            } else {
                act
            }
        });
        let call = frame
            .target
            // A call that a wallet makes to itself is recorded once, as its act.
            .filter(|target| frame.operation == Operation::Call && *target != frame.caller)
            // The account that makes this call in place of the governor is unknown here. An activity for it would be
            // reported as a call by a stranger.
            .filter(|_| !is_by_others(frames, frame) && !frame.hidden)
            .and_then(|target| subjects.get(&target))
            .map(|subject| {
                frame_activity(subject.watch, ActivityKind::Call, frame, tx, approving_accounts(frames, index, tx))
            });
        let wallet = subjects.get(&frame.caller).is_some_and(|subject| subject.contract().has(Property::Wallet));
        let cause = act.is_some().then(|| inner_cause(frames, index, wallet, tx, out)).flatten();
        let act = act.map(|act| Activity { role: cause.map_or(Role::Leaf, |of| Role::Effect { of }), ..act });
        // Validating an operation is part of that operation.
        let operation = erc4337::validated_operation(frames, index).and_then(|at| call_activity(&frames[at], out));
        let charged = erc4337::is_charged(frames, index, tx).then_some(Note::Charged);
        let call = call.map(|call| Activity {
            role: operation.map_or(Role::Leaf, |of| Role::Effect { of }),
            notes: call.notes.into_iter().chain(charged).collect(),
            ..call
        });
        // Whoever makes a contract at a watched address calls nobody: what it says there is that it is made.
        let made = frame.made.and_then(|made| subjects.get(&made)).map(|subject| {
            let made =
                frame_activity(subject.watch, ActivityKind::Call, frame, tx, approving_accounts(frames, index, tx));
            Activity { to: frame.made, ..made }
        });
        for activity in [act, call, made].into_iter().flatten() {
            frames[index].acts.push(out.len());
            out.push(activity);
        }
    }
    assign_envelope_roles(frames, subjects, out);
}

/// Returns the judged call inside which the subject does this, where only a trace shows the nesting.
///
/// A contract's own code decides what it does when it is called. The evaluator decides whether a vouch for the call
/// also covers those inner calls. A wallet by itself only asks its guard and pays for its execution.
fn inner_cause(frames: &[Frame], index: usize, wallet: bool, tx: &Tx, out: &[Activity]) -> Option<usize> {
    let frame = &frames[index];
    if !frame.inner {
        return None;
    }
    if let Some(operation) = erc4337::prefunded_operation(frames, index) {
        return call_activity(&frames[operation], out);
    }
    // A call that a contract makes to itself is part of the call that it received.
    let asked = |outer: &Frame| {
        let calls = outer.operation == Operation::Call && outer.caller != frame.caller;
        outer.target == Some(frame.caller) && (wallet || calls)
    };
    let mut around = frame.parent;
    while let Some(at) = around.filter(|at| !asked(&frames[*at])) {
        around = frames[at].parent;
    }
    let outer = &frames[around?];
    let accounted = !wallet || safe::asks_its_guard(frame) || safe::pays_refund(outer, frame, tx);
    call_activity(outer, out).filter(|_| accounted)
}

/// Returns the activity that `frame` is to the address that it calls.
pub(crate) fn call_activity(frame: &Frame, out: &[Activity]) -> Option<usize> {
    let call = |at: &&usize| out[**at].kind == ActivityKind::Call && out[**at].to == frame.target;
    frame.acts.iter().find(call).copied()
}

/// Returns whether the frame is a call that another account makes in the name of the wallet that logs it.
fn is_by_others(frames: &[Frame], frame: &Frame) -> bool {
    let around = frame.parent.map(|parent| &frames[parent].shape);
    matches!(around, Some(FrameKind::Told(saying)) if saying.by_others)
}

/// Returns whether a call made by `subject` is an act of the subject: a leaf of a wallet, a transaction of an account.
fn is_act_of_subject(subject: &Subject, frame: &Frame) -> bool {
    subject.contract().has(Property::Account) || frame.parent.is_some()
}

fn frame_activity(
    watch: WatchId,
    kind: ActivityKind,
    frame: &Frame,
    tx: &Tx,
    signers: Option<Vec<Address>>,
) -> Activity {
    Activity {
        watch,
        kind,
        stage: frame.stage,
        fate: frame.fate,
        tx: tx.hash,
        tx_index: tx.index,
        position: frame.position.clone(),
        from: frame.caller,
        origin: tx.from,
        to: frame.target,
        value: frame.value,
        deed: frame.deed.clone(),
        operation: frame.operation,
        signers,
        via: frame.via.clone(),
        role: Role::Leaf,
        notes: frame.notes.clone(),
    }
}

/// Returns the accounts that approved the frame: those of the nearest wallet envelope around it, or of its own
/// envelope; otherwise the sender of the transaction, where the frame is the sender's own call. A call that a contract
/// makes by itself has no signers.
fn approving_accounts(frames: &[Frame], index: usize, tx: &Tx) -> Option<Vec<Address>> {
    let mut at = Some(index);
    while let Some(frame) = at.map(|at| &frames[at]) {
        if frame.shape.is_envelope() {
            return frame.signers.clone();
        }
        at = frame.parent;
    }
    Some(if frames[index].caller == tx.from { vec![tx.from] } else { Vec::new() })
}

/// Assigns the role of envelopes: the content of a wallet's envelope is judged, and the envelope takes its verdict.
fn assign_envelope_roles(frames: &[Frame], subjects: &Subjects, out: &mut [Activity]) {
    for (index, frame) in frames.iter().enumerate() {
        let Some(subject) = frame.target.and_then(|target| subjects.get(&target)) else { continue };
        if !frame.shape.is_envelope() {
            continue;
        }
        let carries = carried_activities(frames, index, subject.watch, out);
        let mut inner = None;
        for at in &frame.acts {
            if out[*at].watch == subject.watch && out[*at].kind == ActivityKind::Call {
                out[*at].role = Role::Envelope { carries: carries.clone() };
                inner = Some(*at);
            }
        }
        // An act of another watch that is this same envelope takes the envelope's verdict. Ether sent along leaves that
        // other watch, and nothing inside the envelope accounts for it.
        if let Some(inner) = inner.filter(|_| frame.value.is_zero()) {
            for at in frame.acts.iter().filter(|at| **at != inner) {
                out[*at].role = Role::Envelope { carries: vec![inner] };
            }
        }
    }
}

/// Returns the acts of the wallet that `index` is addressed to, among the calls inside the frame or inside the logs
/// that it made the wallet write.
pub(crate) fn carried_activities(frames: &[Frame], index: usize, watch: WatchId, out: &[Activity]) -> Vec<usize> {
    let wallet = frames[index].target;
    let inside: Vec<usize> = match &frames[index].shape {
        FrameKind::Carrier(said) => said.iter().flat_map(|at| leaf_frames(frames, *at)).collect(),
        _ => leaf_frames(frames, index).collect(),
    };
    let acts = inside.into_iter().flat_map(|leaf| &frames[leaf].acts).copied();
    acts.filter(|at| out[*at].watch == watch && Some(out[*at].from) == wallet && out[*at].kind == ActivityKind::Act)
        .collect()
}

/// Frames directly inside `index`, looking through MultiSend lists.
fn leaf_frames(frames: &[Frame], index: usize) -> impl Iterator<Item = usize> + '_ {
    (index + 1..frames.len()).filter(move |at| {
        let mut parent = frames[*at].parent;
        while let Some(p) = parent {
            if p == index {
                return true;
            }
            if !matches!(frames[p].shape, FrameKind::Batch) {
                return false;
            }
            parent = frames[p].parent;
        }
        false
    })
}

/// Records a batch as an act of its own where its list is not encoded as a wallet would encode it, or is longer than
/// the limit for opening it.
fn flag_batch(frame: &mut Frame, tx: &Tx, subjects: &Subjects, out: &mut Vec<Activity>) {
    let Some(subject) = subjects.get(&frame.caller) else { return };
    let clean = frame.deed.decoding == crate::model::Decoding::Clean;
    let whole = !frame.notes.iter().any(|note| matches!(note, Note::BudgetReached(_)));
    if clean && whole {
        return;
    }
    frame.acts.push(out.len());
    out.push(frame_activity(subject.watch, ActivityKind::Act, frame, tx, None));
}

/// Reports the subjects whose address occurs anywhere in calldata that was not opened to its end: calls to them may
/// follow after the limit of opened calls.
pub(crate) fn append_unopened_subjects(
    frames: &[Frame],
    tx: &Tx,
    subjects: &Subjects,
    first: usize,
    out: &mut Vec<Activity>,
) {
    let cut = frames.iter().filter(|frame| frame.notes.iter().any(|note| matches!(note, Note::BudgetReached(_))));
    // A frame that ran takes precedence over one that only a stranger's contract claims.
    let Some(cut) = cut.min_by_key(|frame| frame.fate != Fate::Executed) else { return };
    let mut named: Vec<(Address, WatchId)> = Vec::new();
    for window in tx.input.windows(20) {
        let address = Address::from_slice(window);
        if let Some(subject) = subjects.get(&address)
            && named.iter().all(|(known, _)| *known != address)
        {
            named.push((address, subject.watch));
            if named.len() == UNOPENED_MAX {
                break;
            }
        }
    }
    for (address, watch) in named {
        let told = |activity: &Activity| {
            activity.watch == watch && activity.notes.iter().any(|note| matches!(note, Note::BudgetReached(_)))
        };
        if out[first..].iter().any(told) {
            continue;
        }
        let why = "The calldata names the subject behind more calls or values than are followed.";
        out.push(Activity {
            watch,
            kind: ActivityKind::Call,
            stage: cut.stage,
            fate: cut.fate,
            tx: tx.hash,
            tx_index: tx.index,
            position: Position::Call(vec![]),
            from: tx.from,
            origin: tx.from,
            to: Some(address),
            value: U256::ZERO,
            deed: decoded_call::unknown_call(why),
            operation: Operation::Call,
            signers: None,
            via: vec![],
            role: Role::Leaf,
            notes: vec![Note::BudgetReached(why.to_owned())],
        });
    }
}

/// Maximum number of subjects reported for one transaction that was not opened to its end. Each is reported once.
const UNOPENED_MAX: usize = 256;
