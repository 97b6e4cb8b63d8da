//! An act as shown on a page, in a form in which two acts can be compared: parties, function, target, amounts and
//! stage.

use super::group::RaisedFinding;
use super::headline::token_of;
use super::routing::Routing;
use crate::model::activity::{Note, Role};
use crate::model::coverage::{Doer, PARTS_MAX, Reach, Shown};
use crate::model::value::{Arg, Value};
use crate::model::{Activity, ActivityKind, Decoding, Fate, Operation, Position, Stage};
use alloy_primitives::{Address, B256, Keccak256, U256};

/// Functions and events of fungible tokens whose argument at this position is an amount, so that a smaller one is no
/// worse. A number in any other function may be a delay, a threshold or a minimum price, for which a smaller one is
/// worse.
///
/// Source: ERC-20, ERC-677 and ERC-1363; MiniMeToken.sol; OpenZeppelin ERC20Burnable.
const AMOUNTS: &[(&str, usize)] = &[
    ("transfer(address,uint256)", 1),
    ("transferFrom(address,address,uint256)", 2),
    ("transferAndCall(address,uint256,bytes)", 1),
    ("approve(address,uint256)", 1),
    ("approveAndCall(address,uint256,bytes)", 1),
    ("increaseAllowance(address,uint256)", 1),
    ("increaseApproval(address,uint256)", 1),
    ("mint(address,uint256)", 1),
    ("generateTokens(address,uint256)", 1),
    ("burn(uint256)", 0),
    ("burnFrom(address,uint256)", 1),
    ("destroyTokens(address,uint256)", 1),
    ("Transfer(address,address,uint256)", 2),
    ("Approval(address,address,uint256)", 2),
];

/// Rule for changes of control or of its parameters, whose arguments must match exactly.
const CONTROL: &str = "builtin/control";

/// Names of arguments that differ each time and have no effect.
const SIGNATURES: &[&str] = &["signature", "signatures", "sig", "sigs"];

/// Returns the comparable form of a raised verdict.
pub(super) fn shown_content(raised: &RaisedFinding<'_>, roster: &Routing) -> Shown {
    let activity = &raised.judged.activity;
    let doer = acting_party(activity, raised.watch.address);
    let mut parts = ActParts { with_bytes: has_exact_bytes(activity, doer), ..ActParts::default() };
    parts.sums.push(activity.value);
    let function = match &activity.position {
        // The current state is identified by its item and its values together.
        Position::State(item) => format!("{item}"),
        Position::Due(due) => format!("due {due}"),
        _ => activity.deed.signature.to_string(),
    };
    let amounts = amount_positions(raised, roster);
    for (place, arg) in activity.deed.args.iter().enumerate() {
        parts.add_argument(arg, amounts.contains(&place));
    }
    // The tip is value that leaves too.
    parts.sums.extend(
        activity.notes.iter().find_map(|note| if let Note::Tip { paid, .. } = note { Some(*paid) } else { None }),
    );
    let actors = [Some(activity.from), Some(activity.origin), acting_module(activity)];
    let actors = sorted_addresses(actors.into_iter().flatten().filter(|address| !address.is_zero()).collect());
    let signers = activity.signers.clone().map(sorted_addresses);
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
        exact: parts.exact_digest(),
        reach: activity_reach(activity),
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

/// Returns how far an activity came.
pub(super) const fn activity_reach(activity: &Activity) -> Reach {
    match (activity.stage, activity.fate) {
        (Stage::Reverted, _) | (_, Fate::Reverted | Fate::Failed) => Reach::Tried,
        (Stage::Pending, _) => Reach::Pending,
        (Stage::Proposed, _) | (_, Fate::Waiting) => Reach::Proposed,
        (Stage::Included, Fate::Unconfirmed) => Reach::Claimed,
        (Stage::Included, Fate::Executed) => Reach::Executed,
    }
}

/// Returns the party on whose behalf the activity happens.
pub(super) fn acting_party(activity: &Activity, watch: Address) -> Doer {
    match (activity.kind, &activity.position) {
        (_, Position::Due(_)) | (ActivityKind::State, _) => Doer::Nobody,
        (ActivityKind::Act, _) => Doer::Subject,
        // An authorization of EIP-7702 is signed by the subject's own key.
        (_, Position::Authorization(_)) => Doer::Subject,
        (ActivityKind::Move, _) if activity.from == watch => Doer::Outflow,
        (ActivityKind::Move | ActivityKind::Call | ActivityKind::Event, _) => Doer::Stranger,
    }
}

/// Returns whether the activity's bytes say what it does; always true for a stranger's calldata, whose effects are
/// judged by themselves.
fn is_read(activity: &Activity, doer: Doer) -> bool {
    let opaque = matches!(activity.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_));
    // Init code is not decoded.
    doer != Doer::Subject || !(opaque || activity.operation == Operation::Create || activity.to.is_none())
}

fn acting_module(activity: &Activity) -> Option<Address> {
    activity.notes.iter().find_map(|note| if let Note::Module(module) = note { Some(*module) } else { None })
}

fn sorted_addresses(mut addresses: Vec<Address>) -> Vec<Address> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Returns the positions of the arguments that are amounts of a token with a known unit, or of any movement that a
/// token logged.
pub(super) fn amount_positions(raised: &RaisedFinding<'_>, roster: &Routing) -> Vec<usize> {
    let activity = &raised.judged.activity;
    match activity.kind {
        // The amount, and the amounts for each id if the tokens have ids.
        ActivityKind::Move => vec![3, 5],
        ActivityKind::State => vec![],
        _ if *raised.abnormal.rule == *CONTROL => vec![],
        ActivityKind::Act | ActivityKind::Call | ActivityKind::Event => {
            // The numbers of an unlisted token may not be amounts: those of a collection are ids.
            let chain = raised.watch.chain.id;
            let listed = token_of(activity).is_some_and(|token| roster.tokens.contains_key(&(chain, token)));
            let known = AMOUNTS.iter().filter(|(signature, _)| listed && *activity.deed.signature == **signature);
            known.map(|(_, place)| *place).collect()
        }
    }
}

/// Returns whether `bytes` and `string` arguments are compared exactly: those of the subject's own acts, unless the
/// calls inside them are judged by themselves. The effects of bytes that strangers send to a subject show in what the
/// subject does.
fn has_exact_bytes(activity: &Activity, doer: Doer) -> bool {
    let opened = matches!(&activity.role, Role::Envelope { carries } if !carries.is_empty());
    activity.kind == ActivityKind::State || (doer == Doer::Subject && !opened)
}

/// The arguments, sorted by how two of them compare.
#[derive(Default)]
struct ActParts {
    parties: Vec<Address>,
    sums: Vec<U256>,
    exact: Option<Keccak256>,
    with_bytes: bool,
}

impl ActParts {
    fn add_argument(&mut self, arg: &Arg, is_amount: bool) {
        match (&arg.value, is_amount) {
            (Value::Uint(amount), true) => self.sums.push(*amount),
            (Value::Array(items), true) if items.iter().all(|item| item.as_uint().is_some()) => {
                self.sums.extend(items.iter().filter_map(Value::as_uint));
            }
            _ => self.add_value(&arg.name, &arg.value),
        }
    }

    /// Adds a value that has to be equal at its position.
    fn add_value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Address(address) => {
                self.parties.push(*address);
                self.is_exactly(b'a', address.as_slice());
            }
            Value::Uint(number) => self.is_exactly(b'u', &number.to_be_bytes::<32>()),
            Value::Int(number) => self.is_exactly(b'i', &number.to_be_bytes::<32>()),
            Value::Bool(is) => self.is_exactly(b'b', &[u8::from(*is)]),
            Value::FixedBytes(bytes, _) | Value::Hash(bytes) => self.is_exactly(b'w', bytes.as_slice()),
            Value::Bytes(bytes) | Value::String(bytes) => {
                if self.with_bytes && !is_signature(name) {
                    self.is_exactly(b'd', bytes);
                }
            }
            Value::Array(items) => {
                self.is_exactly(b'[', &(items.len() as u64).to_be_bytes());
                items.iter().for_each(|item| self.add_value(name, item));
            }
            Value::Tuple(fields) => {
                self.is_exactly(b'(', &(fields.len() as u64).to_be_bytes());
                fields.iter().for_each(|field| self.add_value(&field.name, &field.value));
            }
        }
    }

    /// Adds bytes that have to be equal. Tag and length separate neighboring values.
    fn is_exactly(&mut self, tag: u8, bytes: &[u8]) {
        let digest = self.exact.get_or_insert_with(Keccak256::new);
        digest.update([tag]);
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }

    fn exact_digest(&mut self) -> Option<B256> {
        self.exact.take().map(Keccak256::finalize)
    }
}

fn is_signature(name: &str) -> bool {
    SIGNATURES.contains(&&*name.trim_matches('_').to_lowercase())
}
