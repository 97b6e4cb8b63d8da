//! Frames become activities: for each watched address, what it did and what was done to it.

use super::frames::{Frame, Shape};
use super::{Subject, Subjects, deed, named, ops, safe};
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Fate, Kind, Operation, Position, Role, Tx, WatchId};
use alloy_primitives::{Address, U256};

/// Appends the activities that `frames` mean to whoever is watched, outer before inner.
pub(crate) fn from_frames(frames: &mut [Frame], tx: &Tx, subjects: &Subjects, out: &mut Vec<Activity>) {
    for index in 0..frames.len() {
        if matches!(frames[index].shape, Shape::Batch) && frames[index].operation == Operation::Delegatecall {
            // A MultiSend list is known and silent: its items stand for it. What could not be read of it does not go by, though.
            flag_batch(&mut frames[index], tx, subjects, out);
            continue;
        }
        let frame = &frames[index];
        let act = subjects.get(&frame.caller).filter(|subject| acts(subject, frame)).map(|subject| {
            let signers = approvals(frames, index, tx);
            let act = activity(subject.watch, ActivityKind::Act, frame, tx, signers);
            let paid = ops::prefunded(frames, index).map(|_| Note::Prefund);
            let act = Activity { notes: act.notes.into_iter().chain(paid).chain(named::of(frame)).collect(), ..act };
            // For the heir it is ether that arrives; for the contract itself it is no payment, whatever a rule says of those.
            let ends = frame.notes.contains(&Note::Destroyed);
            if ends { Activity { deed: deed::destruction(frame.target.unwrap_or_default()), ..act } } else { act }
        });
        let call = frame
            .target
            // What a wallet does to itself is its act, once.
            .filter(|target| frame.operation == Operation::Call && *target != frame.caller)
            // Who makes it instead of the governor is not known here, and would be told of as somebody else's call.
            .filter(|_| !is_by_others(frames, frame) && !frame.hidden)
            .and_then(|target| subjects.get(&target))
            .map(|subject| activity(subject.watch, ActivityKind::Call, frame, tx, approvals(frames, index, tx)));
        let wallet = subjects.get(&frame.caller).is_some_and(|subject| subject.kind.is_wallet());
        let cause = act.is_some().then(|| inner_cause(frames, index, wallet, tx, out)).flatten();
        let act = act.map(|act| Activity { role: cause.map_or(Role::Leaf, |of| Role::Effect { of }), ..act });
        // To validate an operation belongs to it.
        let operation = ops::validated(frames, index).and_then(|at| called(&frames[at], out));
        let charged = ops::is_charged(frames, index, tx).then_some(Note::Charged);
        let call = call.map(|call| Activity {
            role: operation.map_or(Role::Leaf, |of| Role::Effect { of }),
            notes: call.notes.into_iter().chain(charged).collect(),
            ..call
        });
        // Whoever makes a contract at a watched address calls nobody: what it says there is that it is made.
        let made = frame.made.and_then(|made| subjects.get(&made)).map(|subject| {
            let made = activity(subject.watch, ActivityKind::Call, frame, tx, approvals(frames, index, tx));
            Activity { to: frame.made, ..made }
        });
        for activity in [act, call, made].into_iter().flatten() {
            frames[index].acts.push(out.len());
            out.push(activity);
        }
    }
    wrap(frames, subjects, out);
}

/// The judged call that the subject does this inside of, where nothing but a trace shows that.
///
/// A contract's own code decides what it does when it is called. Whether whoever vouches for the call vouches for that as well is for the
/// judge to say. A wallet does nothing by itself but ask its guard and pay for its execution.
fn inner_cause(frames: &[Frame], index: usize, wallet: bool, tx: &Tx, out: &[Activity]) -> Option<usize> {
    let frame = &frames[index];
    if !frame.inner {
        return None;
    }
    if let Some(operation) = ops::prefunded(frames, index) {
        return called(&frames[operation], out);
    }
    // What a contract calls of itself is part of what it was called for.
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
    called(outer, out).filter(|_| accounted)
}

/// The activity that a frame is to whom it calls.
pub(crate) fn called(frame: &Frame, out: &[Activity]) -> Option<usize> {
    let call = |at: &&usize| out[**at].kind == ActivityKind::Call && out[**at].to == frame.target;
    frame.acts.iter().find(call).copied()
}

/// Whether the frame is a call that somebody makes in the name of the wallet that tells of it.
fn is_by_others(frames: &[Frame], frame: &Frame) -> bool {
    let around = frame.parent.map(|parent| &frames[parent].shape);
    matches!(around, Some(Shape::Told(saying)) if saying.by_others)
}

/// Whether a call made by `subject` is something it does: a wallet's leaves, an account's transactions.
fn acts(subject: &Subject, frame: &Frame) -> bool {
    match subject.kind {
        Kind::Eoa => true,
        _ => frame.parent.is_some(),
    }
}

fn activity(watch: WatchId, kind: ActivityKind, frame: &Frame, tx: &Tx, signers: Option<Vec<Address>>) -> Activity {
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

/// Accounts that approved the frame: those of the nearest wallet's envelope around it or of its own, else the sender of the transaction
/// where the frame is a call of the sender's own. A call that a contract makes by itself is signed by nobody.
fn approvals(frames: &[Frame], index: usize, tx: &Tx) -> Option<Vec<Address>> {
    let mut at = Some(index);
    while let Some(frame) = at.map(|at| &frames[at]) {
        if frame.shape.is_envelope() {
            return frame.signers.clone();
        }
        at = frame.parent;
    }
    Some(if frames[index].caller == tx.from { vec![tx.from] } else { Vec::new() })
}

/// Gives envelopes their role: what a wallet's envelope carries is judged, and the envelope with it.
fn wrap(frames: &[Frame], subjects: &Subjects, out: &mut [Activity]) {
    for (index, frame) in frames.iter().enumerate() {
        let Some(subject) = frame.target.and_then(|target| subjects.get(&target)) else { continue };
        if !frame.shape.is_envelope() {
            continue;
        }
        let carries = carried(frames, index, subject.watch, out);
        let mut inner = None;
        for at in &frame.acts {
            if out[*at].watch == subject.watch && out[*at].kind == ActivityKind::Call {
                out[*at].role = Role::Envelope { carries: carries.clone() };
                inner = Some(*at);
            }
        }
        // Another watch's act that is this envelope takes its verdict; ether that goes along leaves that watch, and nothing inside
        // the envelope answers for it.
        if let Some(inner) = inner.filter(|_| frame.value.is_zero()) {
            for at in frame.acts.iter().filter(|at| **at != inner) {
                out[*at].role = Role::Envelope { carries: vec![inner] };
            }
        }
    }
}

/// What the wallet that `index` is addressed to does of what stands in it, or in the logs that it made the wallet write.
pub(crate) fn carried(frames: &[Frame], index: usize, watch: WatchId, out: &[Activity]) -> Vec<usize> {
    let wallet = frames[index].target;
    let inside: Vec<usize> = match &frames[index].shape {
        Shape::Carrier(said) => said.iter().flat_map(|at| leaves(frames, *at)).collect(),
        _ => leaves(frames, index).collect(),
    };
    let acts = inside.into_iter().flat_map(|leaf| &frames[leaf].acts).copied();
    acts.filter(|at| out[*at].watch == watch && Some(out[*at].from) == wallet && out[*at].kind == ActivityKind::Act)
        .collect()
}

/// Frames directly inside `index`, looking through MultiSend lists.
fn leaves(frames: &[Frame], index: usize) -> impl Iterator<Item = usize> + '_ {
    (index + 1..frames.len()).filter(move |at| {
        let mut parent = frames[*at].parent;
        while let Some(p) = parent {
            if p == index {
                return true;
            }
            if !matches!(frames[p].shape, Shape::Batch) {
                return false;
            }
            parent = frames[p].parent;
        }
        false
    })
}

/// A batch whose list is not encoded as a wallet would, or is longer than what is opened, is an act of its own.
fn flag_batch(frame: &mut Frame, tx: &Tx, subjects: &Subjects, out: &mut Vec<Activity>) {
    let Some(subject) = subjects.get(&frame.caller) else { return };
    let clean = frame.deed.decoding == crate::model::Decoding::Clean;
    let whole = !frame.notes.iter().any(|note| matches!(note, Note::BudgetReached(_)));
    if clean && whole {
        return;
    }
    frame.acts.push(out.len());
    out.push(activity(subject.watch, ActivityKind::Act, frame, tx, None));
}

/// Subjects whose address stands anywhere in calldata that was not opened to its end: whatever was meant for them stands behind
/// more calls than are followed.
pub(crate) fn unopened(frames: &[Frame], tx: &Tx, subjects: &Subjects, first: usize, out: &mut Vec<Activity>) {
    let cut = frames.iter().filter(|frame| frame.notes.iter().any(|note| matches!(note, Note::BudgetReached(_))));
    // What ran counts for more than what a stranger's contract merely claims.
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
            deed: deed::unknown(why),
            operation: Operation::Call,
            signers: None,
            via: vec![],
            role: Role::Leaf,
            notes: vec![Note::BudgetReached(why.to_owned())],
        });
    }
}

/// Subjects told of in one transaction that was not opened to its end: the loudest way to say the same thing is said once each.
const UNOPENED_MAX: usize = 256;
