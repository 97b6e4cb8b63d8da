//! The calls around an activity, which `via` rules test and findings name.
//!
//! Only certain facts are recorded. Where a trace shows which call wrote a log, the result is exact. Otherwise it is
//! the common part of all calls that may have written the log. Without a trace it is the transaction's own call, and
//! the single act of the subject that the log can belong to.

use super::frames::Frame;
use super::traces;
use super::{Subject, Subjects};
use crate::model::activity::{Around, Note};
use crate::model::{Activity, ActivityKind, CallHow, Fate, Log, Operation, Position, TracedCall, Tx, TxTrace};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, hex, keccak256};
use std::sync::{Arc, LazyLock};

/// Maximum number of calls named around one activity. Honest calls are nested less deeply; calls further out are not
/// named.
const AROUND_MAX: usize = 16;
/// Maximum number of calls to one token that are compared where a trace does not show which of them wrote a log.
const WRITERS_MAX: usize = 64;

/// Functions of a Zodiac Roles modifier whose fifth argument is the role. Source: Roles.sol of zodiac-modifier-roles 1 and 2.
static WITH_ROLE: LazyLock<[[u8; 4]; 4]> = LazyLock::new(|| {
    let name = |role: &str, function: &str| {
        let hash = keccak256(format!("{function}(address,uint256,bytes,uint8,{role},bool)"));
        [hash[0], hash[1], hash[2], hash[3]]
    };
    [
        name("bytes32", "execTransactionWithRole"),
        name("bytes32", "execTransactionWithRoleReturnData"),
        name("uint16", "execTransactionWithRole"),
        name("uint16", "execTransactionWithRoleReturnData"),
    ]
});

/// Notes the calls around what a subject does inside calls, and around value that left it.
///
/// `out` holds all activities so far, under the indexes that the frames know; those of `tx` are at its end.
pub(super) fn note_outer_calls(
    frames: &[Frame],
    tx: &Tx,
    trace: Option<&TxTrace>,
    subjects: &Subjects,
    out: &mut [Activity],
) {
    let scene = CallContext { frames, trace: trace.map(Shown::from_trace), of_call: by_call(frames) };
    let of_act: HashMap<usize, usize> =
        frames.iter().enumerate().flat_map(|(index, frame)| frame.acts.iter().map(move |at| (*at, index))).collect();
    let first = out.iter().rposition(|other| other.tx != tx.hash).map_or(0, |last| last + 1);
    let mut met: HashMap<(Address, Place), Arc<[Around]>> = HashMap::default();
    for at in first..out.len() {
        let activity = &out[at];
        let own = |address: &Address| subjects.get(address).map(|subject: &Subject| subject.watch);
        if own(&activity.from) != Some(activity.watch) || activity.fate != Fate::Executed {
            continue;
        }
        let calls = match (activity.kind, &activity.position) {
            (ActivityKind::Act, _) => of_act.get(&at).map(|index| scene.around_act(*index).into()),
            (ActivityKind::Move, Position::Log(ordinal)) => tx.logs.get(*ordinal as usize).map(|log| {
                // One call may write a thousand logs, which share the same surrounding calls.
                let place = (activity.from, scene.log_origin(log));
                let around = || scene.around_log(log, activity.from, out, &of_act).into();
                Arc::clone(met.entry(place).or_insert_with(around))
            }),
            _ => None,
        };
        if let Some(calls) = calls.filter(|calls: &Arc<[Around]>| !calls.is_empty()) {
            out[at].notes.reserve_exact(1);
            out[at].notes.push(Note::Inside(calls));
        }
    }
}

/// Returns the frames by their index in the trace.
fn by_call(frames: &[Frame]) -> HashMap<usize, usize> {
    frames.iter().enumerate().filter_map(|(index, frame)| Some((frame.traced?, index))).collect()
}

/// Writer of a log, as far as known.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    /// By one of these calls of the trace.
    Calls(Vec<usize>),
    /// By this contract, in any call.
    Contract(Address),
}

struct CallContext<'a> {
    frames: &'a [Frame],
    trace: Option<Shown<'a>>,
    of_call: HashMap<usize, usize>,
}

/// Address, topics and data of a log, by which it is found in a trace.
type Face<'a> = (Address, &'a [B256], &'a [u8]);

/// A trace, and the calls in it that may have written each log.
struct Shown<'a> {
    trace: &'a TxTrace,
    /// Calls by log, where the trace shows which call wrote it.
    by_log: HashMap<Face<'a>, Vec<usize>>,
    /// Calls by their target, where the trace does not show the writer of a log.
    by_target: HashMap<Address, Vec<usize>>,
}

impl<'a> Shown<'a> {
    fn from_trace(trace: &'a TxTrace) -> Self {
        let (still, undone) = (traces::readonly_calls(trace), traces::reverted_calls(trace));
        let mut shown = Self { trace, by_log: HashMap::default(), by_target: HashMap::default() };
        for (at, call) in trace.calls.iter().enumerate().filter(|(at, _)| !still[*at] && !undone[*at]) {
            for log in &call.logs {
                shown.by_log.entry((log.address, &log.topics[..], &log.data[..])).or_default().push(at);
            }
            if let (false, CallHow::Call, Some(to)) = (trace.has_logs, call.how, call.to) {
                shown.by_target.entry(to).or_default().push(at);
            }
        }
        shown
    }

    /// Returns the calls that may have written a log, at most one more than the limit for comparison.
    fn possible_writers(&self, log: &Log) -> Vec<usize> {
        let found = if self.trace.has_logs {
            self.by_log.get(&(log.address, &log.topics[..], &log.data[..]))
        } else {
            self.by_target.get(&log.address)
        };
        found.into_iter().flatten().copied().take(WRITERS_MAX + 1).collect()
    }
}

/// Progress on the way from an activity outwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stretch {
    /// Before any call of the subject: the log was written by a stranger's contract.
    Elsewhere,
    /// Inside a call to the subject.
    Within,
    /// Around the call to the subject: its callers. A call that the subject itself made further out ends the walk.
    Callers,
}

impl CallContext<'_> {
    /// Returns the calls around an act of the subject.
    fn around_act(&self, index: usize) -> Vec<Around> {
        let frame = &self.frames[index];
        match (&self.trace, frame.traced) {
            (Some(Shown { trace, .. }), Some(at)) => {
                let from = trace.calls[at].parent.map(|parent| parent as usize);
                self.walk_trace(trace, from, frame.caller, Stretch::Within)
            }
            _ => self.walk_frames(frame.parent, frame.caller, Stretch::Within),
        }
    }

    fn log_origin(&self, log: &Log) -> Place {
        self.trace.as_ref().map_or(Place::Contract(log.address), |shown| Place::Calls(shown.possible_writers(log)))
    }

    /// Returns the calls around a token's log that names the subject as the sender of the tokens.
    fn around_log(&self, log: &Log, subject: Address, all: &[Activity], of_act: &HashMap<usize, usize>) -> Vec<Around> {
        let Some(shown) = &self.trace else { return self.around_untraced(log, subject, all, of_act) };
        let (trace, writers) = (shown.trace, shown.possible_writers(log));
        if writers.is_empty() || writers.len() > WRITERS_MAX {
            return self.walk_trace(trace, Some(0), subject, Stretch::Elsewhere);
        }
        let mut ways = writers.iter().map(|at| self.walk_trace(trace, Some(*at), subject, Stretch::Elsewhere));
        let first = ways.next().unwrap_or_default();
        ways.fold(first, |common, way| {
            let same = common.iter().rev().zip(way.iter().rev()).take_while(|(one, other)| one == other).count();
            common[common.len() - same..].to_vec()
        })
    }

    /// Returns the same where only calldata and logs are known: the calls around the single act that may have written
    /// the log, where there is only one and the transaction was sent by the subject or to it; otherwise the
    /// transaction's own call.
    fn around_untraced(
        &self,
        log: &Log,
        subject: Address,
        all: &[Activity],
        of_act: &HashMap<usize, usize>,
    ) -> Vec<Around> {
        let root = &self.frames[0];
        let own = root.caller == subject || root.target == Some(subject);
        let ran = |activity: &Activity| {
            activity.kind == ActivityKind::Act && activity.from == subject && activity.fate == Fate::Executed
        };
        let acts = || of_act.iter().filter_map(|(at, index)| Some((all.get(*at)?, *index))).filter(|(act, _)| ran(act));
        let foreign = acts().any(|(act, _)| act.operation != Operation::Call);
        let mut holders = acts().filter(|(act, _)| act.to != Some(log.address));
        if let (true, false, Some((_, index)), None) = (own, foreign, holders.next(), holders.next()) {
            return self.walk_frames(Some(index), subject, Stretch::Elsewhere);
        }
        self.walk_frames(Some(0), subject, Stretch::Elsewhere)
    }

    fn walk_trace(&self, trace: &TxTrace, from: Option<usize>, subject: Address, begin: Stretch) -> Vec<Around> {
        let mut walk = CallWalk::new(subject, begin);
        let mut next = from;
        while let Some(at) = next {
            let call = &trace.calls[at];
            let plain = call.how == CallHow::Call || call.how == CallHow::Create;
            if plain && !walk.pass_call(call.from, call.to, || self.outer_call(at, call)) {
                break;
            }
            next = call.parent.map(|parent| parent as usize).filter(|parent| *parent < at);
        }
        walk.calls
    }

    fn walk_frames(&self, from: Option<usize>, subject: Address, begin: Stretch) -> Vec<Around> {
        let mut walk = CallWalk::new(subject, begin);
        let mut next = from;
        while let Some(at) = next {
            let frame = &self.frames[at];
            let plain = frame.operation != Operation::Delegatecall && !frame.is_told();
            if plain && !walk.pass_call(frame.caller, frame.target, || of_frame(frame)) {
                break;
            }
            next = frame.parent;
        }
        walk.calls
    }

    fn outer_call(&self, at: usize, call: &TracedCall) -> Around {
        if let Some(index) = self.of_call.get(&at) {
            return of_frame(&self.frames[*index]);
        }
        let creates = call.how == CallHow::Create;
        let selector = call.input.first_chunk::<4>().copied().filter(|_| !creates);
        let function = match selector {
            _ if creates => Arc::from("creation"),
            None => Arc::from("ether"),
            Some(selector) => Arc::from(format!("0x{}", hex::encode(selector))),
        };
        let to = call.to.filter(|_| !creates);
        Around { from: call.from, to, selector, function, role: roles_modifier_key(&call.input) }
    }
}

/// The way outwards from an activity of one subject.
struct CallWalk {
    subject: Address,
    stretch: Stretch,
    calls: Vec<Around>,
}

impl CallWalk {
    fn new(subject: Address, stretch: Stretch) -> Self {
        Self { subject, stretch, calls: Vec::new() }
    }

    /// Passes one call; returns false where the walk ends before it.
    fn pass_call(&mut self, from: Address, to: Option<Address>, shown: impl FnOnce() -> Around) -> bool {
        let (by_subject, of_subject) = (from == self.subject, to == Some(self.subject));
        if self.stretch == Stretch::Callers && by_subject || self.calls.len() >= AROUND_MAX {
            return false;
        }
        self.calls.push(shown());
        self.stretch = match self.stretch {
            _ if of_subject && !by_subject => Stretch::Callers,
            Stretch::Elsewhere if by_subject => Stretch::Within,
            stretch => stretch,
        };
        true
    }
}

fn of_frame(frame: &Frame) -> Around {
    Around {
        from: frame.caller,
        to: frame.target,
        selector: frame.input.first_chunk::<4>().copied().filter(|_| frame.operation != Operation::Create),
        function: frame.deed.signature.clone(),
        role: roles_modifier_key(&frame.input),
    }
}

/// Returns the role named by a call to a Roles modifier.
fn roles_modifier_key(input: &Bytes) -> Option<B256> {
    let selector = input.first_chunk::<4>()?;
    WITH_ROLE.contains(selector).then(|| input.get(4 + 4 * 32..4 + 5 * 32).map(B256::from_slice)).flatten()
}
