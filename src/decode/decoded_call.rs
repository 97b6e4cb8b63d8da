//! Decodes calldata and logs into deeds: a name, arguments, and the quality of the decoding.

use super::movement::{Movement, Piece};
use super::subjects::{Subject, Subjects};
pub(crate) use crate::contracts::{address_at, bytes_at, uint_at};

use crate::abi::{Abi, Budget, Decoded, Event, Flaws, Function, Opaque, bundled};
use crate::model::value::{Arg, Value};
use crate::model::{DecodedCall, Decoding, Log};
use alloy_primitives::{Address, Bytes, U256, hex};
use std::sync::{Arc, LazyLock};

/// Reads the calldata of a call to `target`, made by `actor`.
///
/// The ABIs are tried in this order: the target's own watch, the token at that address, the bundled ABIs, and the
/// functions in the actor's rules. The first that knows the selector is used alone. Where it has several functions for
/// the selector and more than one fits, all are shown and none is trusted.
pub(crate) fn of_call(
    subjects: &Subjects,
    actor: Address,
    target: Option<Address>,
    input: &Bytes,
    budget: &mut Budget,
) -> DecodedCall {
    let Some(target) = target else { return contract_creation() };
    if input.is_empty() {
        return ether_payment();
    }
    let Some((selector, rest)) = input.split_first_chunk::<4>() else {
        return opaque_call(None, input, &Opaque::NoSelector(u8::try_from(input.len()).unwrap_or(3)));
    };
    let rest = input.slice_ref(rest);
    of_candidates(candidate_functions(subjects, actor, target, *selector), *selector, input, &rest, budget)
}

/// Decodes the same by the ABI of the code that the target ran, which lists every function of that code.
pub(crate) fn of_call_by(abi: &Abi, input: &Bytes, budget: &mut Budget) -> DecodedCall {
    let Some((selector, rest)) = input.split_first_chunk::<4>() else {
        return opaque_call(None, input, &Opaque::NoSelector(u8::try_from(input.len()).unwrap_or(3)));
    };
    let rest = input.slice_ref(rest);
    of_candidates(abi.functions_of(*selector), *selector, input, &rest, budget)
}

fn of_candidates(
    candidates: &[Arc<Function>],
    selector: [u8; 4],
    input: &Bytes,
    rest: &Bytes,
    budget: &mut Budget,
) -> DecodedCall {
    match candidates {
        [] => opaque_call(Some(selector), input, &Opaque::UnknownSelector(selector)),
        [only] => read_as(only, rest, budget),
        several => {
            let readings: Vec<DecodedCall> = several.iter().map(|function| read_as(function, rest, budget)).collect();
            let clean: Vec<&DecodedCall> = readings.iter().filter(|deed| deed.decoding == Decoding::Clean).collect();
            match clean.as_slice() {
                [only] => (*only).clone(),
                _ => DecodedCall {
                    decoding: Decoding::Ambiguous(several.iter().map(|f| f.signature.to_string()).collect()),
                    ..opaque_call(Some(selector), input, &Opaque::UnknownSelector(selector))
                },
            }
        }
    }
}

/// Reads a log of `log.address`, by the same order of ABIs.
pub(crate) fn of_log(subjects: &Subjects, log: &Log, budget: &mut Budget) -> DecodedCall {
    of_event(event_of(subjects, log), log, budget)
}

/// Decodes the same by the ABI of the code that wrote the log, otherwise by the events in the subject's rules.
pub(crate) fn of_log_by(abi: &Abi, subject: &Subject, log: &Log, budget: &mut Budget) -> DecodedCall {
    of_event(abi.event_for(&log.topics).or_else(|| subject.rule_abi.event_for(&log.topics)), log, budget)
}

fn of_event(event: Option<&Arc<Event>>, log: &Log, budget: &mut Budget) -> DecodedCall {
    let topic0 = log.topics.first().copied();
    let Some(event) = event else {
        let why = topic0.map_or_else(
            || "The log has no topic that would name its event.".to_owned(),
            |topic| Opaque::UnknownEvent(topic).to_string(),
        );
        return DecodedCall {
            name: topic0.map_or_else(|| Arc::from("log without topics"), |t| Arc::from(format!("{t:#x}"))),
            signature: topic0.map_or_else(|| Arc::from("log without topics"), |t| Arc::from(format!("{t:#x}"))),
            selector: None,
            topic0,
            args: vec![],
            decoding: Decoding::Opaque(why),
            mutates: true,
        };
    };
    let (args, decoding) = read_how(event.decode_log(&log.topics, &log.data, budget));
    DecodedCall {
        name: event.name.clone(),
        signature: event.signature.clone(),
        selector: None,
        topic0,
        args,
        decoding,
        mutates: true,
    }
}

/// A payment without calldata.
pub(crate) fn ether_payment() -> DecodedCall {
    argumentless_call("ether", Decoding::Ether)
}

/// A contract creation: its init code is not decoded.
fn contract_creation() -> DecodedCall {
    argumentless_call("creation", Decoding::Clean)
}

/// A call whose bytes are not available: a submission whose payload the node did not return.
pub(crate) fn unknown_call(why: &str) -> DecodedCall {
    argumentless_call("unknown", Decoding::Opaque(why.to_owned()))
}

/// An authorization of EIP-7702.
pub(crate) fn delegation_authorization(to: Address) -> DecodedCall {
    let name = if to.is_zero() { "clear delegation" } else { "delegate code" };
    DecodedCall {
        args: vec![named_argument("delegate", "address", Value::Address(to))],
        ..argumentless_call(name, Decoding::Clean)
    }
}

/// A contract that destroys itself and transfers its ether to `heir`.
pub(crate) fn self_destruct(heir: Address) -> DecodedCall {
    DecodedCall {
        args: vec![named_argument("heir", "address", Value::Address(heir))],
        ..argumentless_call("self-destruct", Decoding::Clean)
    }
}

/// A movement of a token: the content of the log, under names that do not depend on the token's own ABI. For tokens
/// with ids, the ids are listed after the total number.
pub(crate) fn token_movement(token: Address, movement: &Movement) -> DecodedCall {
    let mut deed = MOVEMENTS[usize::from(movement.approval)].clone();
    let values = [
        Value::Address(token),
        Value::Address(movement.from),
        Value::Address(movement.to),
        Value::Uint(movement.amount),
    ];
    for (arg, value) in deed.args.iter_mut().zip(values) {
        arg.value = value;
    }
    if !movement.pieces.is_empty() {
        let list =
            |of: fn(&Piece) -> U256| Value::Array(movement.pieces.iter().map(|piece| Value::Uint(of(piece))).collect());
        deed.args.push(named_argument("ids", "uint256[]", list(|piece| piece.id)));
        deed.args.push(named_argument("amounts", "uint256[]", list(|piece| piece.amount)));
    }
    deed
}

/// Movements without values: most of a busy block's activities are made of these, and their names are always the same.
static MOVEMENTS: LazyLock<[DecodedCall; 2]> = LazyLock::new(|| {
    let shape = |name: &str, to: &str| {
        let blank = |name: &str, ty: &str| named_argument(name, ty, Value::Bool(false));
        let args =
            vec![blank("token", "address"), blank("from", "address"), blank(to, "address"), blank("amount", "uint256")];
        DecodedCall { args, ..argumentless_call(name, Decoding::Clean) }
    };
    [shape("transfer", "to"), shape("approval", "spender")]
});

fn argumentless_call(name: &str, decoding: Decoding) -> DecodedCall {
    let name: Arc<str> = Arc::from(name);
    DecodedCall { decoding, ..DecodedCall::without_calldata(name.clone(), name, vec![]) }
}

fn named_argument(name: &str, ty: &str, value: Value) -> Arg {
    Arg { name: Arc::from(name), ty: Arc::from(ty), value, span: None }
}

fn opaque_call(selector: Option<[u8; 4]>, input: &Bytes, why: &Opaque) -> DecodedCall {
    let name: Arc<str> = match selector {
        Some(selector) => Arc::from(format!("0x{}", hex::encode(selector))),
        None => Arc::from(format!("0x{}", hex::encode(input))),
    };
    DecodedCall {
        signature: name.clone(),
        name,
        selector,
        topic0: None,
        args: vec![],
        decoding: Decoding::Opaque(why.to_string()),
        mutates: true,
    }
}

/// Returns the decoded arguments, and the quality of the decoding.
fn read_how(decoded: Result<Decoded, Opaque>) -> (Vec<Arg>, Decoding) {
    match decoded {
        Ok(decoded) if decoded.flaws.is_empty() => (decoded.args, Decoding::Clean),
        Ok(decoded) => {
            let flaws = decoded.flaws.descriptions().map(str::to_owned).collect();
            (decoded.args, Decoding::Flawed(flaws))
        }
        Err(opaque) => (vec![], Decoding::Opaque(opaque.to_string())),
    }
}

/// Decodes a call's arguments like [`read_how`], where bytes after the arguments may have a meaning of their own.
pub(super) fn read_call(function: &Function, rest: &Bytes, budget: &mut Budget) -> (Vec<Arg>, Decoding) {
    match function.decode_arguments(rest, budget) {
        Ok(decoded) if decoded.flaws == Flaws::TRAILING && decoded.end <= rest.len() => {
            (decoded.args, Decoding::Suffixed(rest.slice(decoded.end..)))
        }
        decoded => read_how(decoded),
    }
}

fn read_as(function: &Arc<Function>, rest: &Bytes, budget: &mut Budget) -> DecodedCall {
    let (args, decoding) = read_call(function, rest, budget);
    DecodedCall {
        name: function.name.clone(),
        signature: function.signature.clone(),
        selector: Some(function.selector),
        topic0: None,
        args,
        decoding,
        mutates: function.mutates,
    }
}

/// Returns the functions for `selector` from the first ABI that has any, without duplicate signatures.
fn candidate_functions(subjects: &Subjects, actor: Address, target: Address, selector: [u8; 4]) -> &[Arc<Function>] {
    let rules = || subjects.get(&actor).map_or(&[] as &[_], |subject| subject.rule_abi.functions_of(selector));
    let first = match (subjects.get(&target), subjects.token_abi(&target)) {
        // A watched contract's ABI is complete, so no other ABI is asked for the meaning of a selector. The exception
        // is the actor's own rules, which may name a function of a proxy that the ABI lacks.
        (Some(own), _) => own.abi.functions_of(selector),
        (None, Some(token)) if !token.functions_of(selector).is_empty() => token.functions_of(selector),
        (None, _) => bundled::combined_abi().functions_of(selector),
    };
    if first.is_empty() { rules() } else { first }
}

fn event_of<'a>(subjects: &'a Subjects, log: &Log) -> Option<&'a Arc<Event>> {
    if let Some(subject) = subjects.get(&log.address) {
        return subject.abi.event_for(&log.topics).or_else(|| subject.rule_abi.event_for(&log.topics));
    }
    let abi = match subjects.token_abi(&log.address) {
        Some(token) => token,
        None => bundled::combined_abi(),
    };
    abi.event_for(&log.topics)
}

// === Reading a deed's arguments by place ===
