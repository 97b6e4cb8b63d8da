//! Finds the calls that changed nothing, independent of any ABI: a function declared as a view may move tokens.

use super::frames::Frame;
use super::subjects::Subjects;
use super::traces::{self, TransferKind, passed_on};
use crate::model::activity::Note;
use crate::model::{CallHow, TracedCall, TxTrace};

/// Notes on every frame whose function should change nothing, by its ABI, whether the trace shows a change.
///
/// A trace shows logs, ether, creations and calls. It does not show writes to storage; those are found by reading the
/// state.
pub(super) fn note_view_changes(frames: &mut [Frame], trace: &TxTrace, subjects: &Subjects) {
    let quiet = |frame: &Frame| frame.deed.selector.is_some() && !frame.deed.mutates;
    if !frames.iter().any(|frame| quiet(frame) && frame.traced.is_some()) {
        return;
    }
    let within = changes_within(trace, subjects);
    for frame in frames.iter_mut().filter(|frame| quiet(frame)) {
        let Some(at) = frame.traced else { continue };
        let own = trace.calls.get(at).and_then(own_change);
        match own.or(within.get(at).copied().flatten()) {
            Some(what) => frame.notes.push(Note::Changes(what.to_owned())),
            // Without logs the trace does not show everything.
            None if trace.has_logs => frame.notes.push(Note::Still),
            None => {}
        }
    }
}

/// Returns for each call the first kind of change made by the calls inside it; `None` where they make no lasting
/// change.
///
/// A Safe calls its fallback handler by a plain call. That call alone is no change; the calls of the handler are
/// examined like all others.
fn changes_within(trace: &TxTrace, subjects: &Subjects) -> Vec<Option<&'static str>> {
    let n = trace.calls.len();
    let (still, undone) = (traces::readonly_calls(trace), traces::reverted_calls(trace));
    let mut within: Vec<Option<&'static str>> = vec![None; n];
    for at in (0..n).rev() {
        let call = &trace.calls[at];
        let Some(parent) = call.parent.map(|parent| parent as usize).filter(|parent| *parent < at) else { continue };
        if still[at] || undone[at] {
            continue;
        }
        let hands_on = call.how == CallHow::Delegatecall && call.input == trace.calls[parent].input;
        let made = match call.how {
            CallHow::Delegatecall if hands_on => None,
            _ if passed_on(call, trace, subjects) == Some(TransferKind::AsWallet) => None,
            CallHow::Delegatecall => Some("it runs other code by delegatecall"),
            _ => Some("it calls somebody who can change something"),
        };
        let change = own_change(call).or(within[at]).or(made);
        within[parent] = change.or(within[parent]);
    }
    within
}

/// Returns the change that the call makes by itself.
fn own_change(call: &TracedCall) -> Option<&'static str> {
    match call.how {
        CallHow::Create => Some("it creates a contract"),
        CallHow::SelfDestruct => Some("it ends a contract"),
        _ if !call.value.is_zero() => Some("ether moves"),
        _ if !call.logs.is_empty() => Some("it writes a log"),
        _ => None,
    }
}
