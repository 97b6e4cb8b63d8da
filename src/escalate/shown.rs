//! An act as a page shows it, in a form that two acts can be compared by: who, what, where to, how much, how far.

use super::group::Raised;
use crate::model::activity::Note;
use crate::model::coverage::{Doer, PARTS_MAX, Reach, Shown};
use crate::model::value::{Arg, Value};
use crate::model::{Activity, ActivityKind, Decoding, Fate, Operation, Position, Stage};
use alloy_primitives::{Address, B256, Keccak256, U256};

/// Names of numbers that say when or how often and not how much; a later deadline is no larger sum.
const NO_SUMS: &[&str] = &["deadline", "nonce", "expiry", "expiration", "timestamp", "validafter", "validuntil"];

/// What a page shows of a raised verdict.
pub(super) fn shown(raised: &Raised<'_>) -> Shown {
    let activity = &raised.judged.activity;
    let mut parts = Parts::default();
    let doer = doer(activity, raised.watch.address);
    let function = match &activity.position {
        // Whatever a state is now is told by its item and its values together.
        Position::State(item) => format!("{item}"),
        Position::Due(due) => format!("due {due}"),
        _ => activity.deed.signature.to_string(),
    };
    for arg in &activity.deed.args {
        parts.take(arg, activity.kind == ActivityKind::State);
    }
    parts.sums.insert(0, activity.value);
    let actors = [Some(activity.from), Some(activity.origin), module(activity)];
    let actors = sorted(actors.into_iter().flatten().filter(|address| !address.is_zero()).collect());
    let signers = activity.signers.clone().map(sorted);
    let few = [parts.parties.len(), parts.sums.len(), signers.as_ref().map_or(0, Vec::len)];
    Shown {
        watch: raised.watch.address,
        rule: raised.abnormal.rule.to_string(),
        doer,
        actors,
        kind: activity.kind,
        operation: activity.operation,
        function: function.chars().take(FUNCTION_CHARS_MAX).collect(),
        target: activity.to,
        exact: parts.digest(),
        reach: reach(activity),
        whole: few.iter().all(|n| *n <= PARTS_MAX) && function.len() <= FUNCTION_CHARS_MAX && is_read(activity, doer),
        signers: signers.map(|mut signers| {
            signers.truncate(PARTS_MAX);
            signers
        }),
        parties: parts.parties.into_iter().take(PARTS_MAX).collect(),
        sums: parts.sums.into_iter().take(PARTS_MAX).collect(),
        since: Vec::new(),
    }
}

/// Characters of a signature that are compared.
const FUNCTION_CHARS_MAX: usize = 400;

/// How far an activity came.
pub(super) const fn reach(activity: &Activity) -> Reach {
    match (activity.stage, activity.fate) {
        (Stage::Reverted, _) | (_, Fate::Reverted | Fate::Failed) => Reach::Tried,
        (Stage::Pending, _) => Reach::Pending,
        (Stage::Proposed, _) | (_, Fate::Waiting) => Reach::Proposed,
        (Stage::Included, Fate::Unconfirmed) => Reach::Claimed,
        (Stage::Included, Fate::Executed) => Reach::Executed,
    }
}

/// On whose behalf it happens.
pub(super) fn doer(activity: &Activity, watch: Address) -> Doer {
    match (activity.kind, &activity.position) {
        (_, Position::Due(_)) | (ActivityKind::State, _) => Doer::Nobody,
        (ActivityKind::Act, _) => Doer::Subject,
        // An authorization of EIP-7702 is signed by the subject's own key.
        (_, Position::Authorization(_)) => Doer::Subject,
        (ActivityKind::Move, _) if activity.from == watch => Doer::Outflow,
        (ActivityKind::Move | ActivityKind::Call | ActivityKind::Event, _) => Doer::Stranger,
    }
}

/// Whether its bytes say what it does. What a stranger's calldata does shows in its effects, which are judged by themselves.
fn is_read(activity: &Activity, doer: Doer) -> bool {
    let opaque = matches!(activity.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_));
    // Init code is not decoded.
    doer != Doer::Subject || !(opaque || activity.operation == Operation::Create || activity.to.is_none())
}

fn module(activity: &Activity) -> Option<Address> {
    activity.notes.iter().find_map(|note| if let Note::Module(module) = note { Some(*module) } else { None })
}

fn sorted(mut addresses: Vec<Address>) -> Vec<Address> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The arguments, sorted by how two of them compare.
#[derive(Default)]
struct Parts {
    parties: Vec<Address>,
    sums: Vec<U256>,
    exact: Option<Keccak256>,
}

impl Parts {
    /// Each argument is one sum at most: that of all its numbers.
    fn take(&mut self, arg: &Arg, as_it_is: bool) {
        let mut sum = None;
        self.walk(&arg.name, &arg.value, as_it_is, &mut sum);
        self.sums.extend(sum);
    }

    fn walk(&mut self, name: &str, value: &Value, as_it_is: bool, sum: &mut Option<U256>) {
        match value {
            Value::Address(address) => self.parties.push(*address),
            Value::Uint(number) if !as_it_is && is_sum(name) => {
                *sum = Some(sum.unwrap_or_default().saturating_add(*number));
            }
            Value::Uint(number) if as_it_is || !is_time(name) => self.is_exactly(&number.to_be_bytes::<32>()),
            Value::Uint(_) => {}
            Value::Int(number) => self.is_exactly(&number.to_be_bytes::<32>()),
            Value::Bool(is) => self.is_exactly(&[u8::from(*is)]),
            Value::FixedBytes(bytes, _) | Value::Hash(bytes) => self.is_exactly(bytes.as_slice()),
            Value::Bytes(bytes) | Value::String(bytes) if as_it_is => self.is_exactly(bytes),
            // Signatures and messages differ each time; what calldata in them does is judged by itself.
            Value::Bytes(_) | Value::String(_) => {}
            Value::Array(items) => items.iter().for_each(|item| self.walk(name, item, as_it_is, sum)),
            Value::Tuple(fields) => {
                fields.iter().for_each(|field| self.walk(&field.name, &field.value, as_it_is, sum));
            }
        }
    }

    fn is_exactly(&mut self, bytes: &[u8]) {
        let digest = self.exact.get_or_insert_with(Keccak256::new);
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }

    fn digest(&mut self) -> Option<B256> {
        self.exact.take().map(Keccak256::finalize)
    }
}

/// Whether a number of this name says how much. One without a name may be anything, and one that names a thing is not that thing
/// when it differs.
fn is_sum(name: &str) -> bool {
    let name = plain(name);
    !name.is_empty() && !name.ends_with("id") && !name.ends_with("ids") && !is_time(&name)
}

fn is_time(name: &str) -> bool {
    NO_SUMS.contains(&&*plain(name))
}

fn plain(name: &str) -> String {
    name.trim_matches('_').to_lowercase()
}
