//! Calls that a governor executes. Its log names only a proposal, so that the calls are taken from the calldata that
//! binds the proposal's number, or else read from the governor.
//!
//! Source: Governor.sol `getProposalId`, GovernorStorage.sol `proposalDetails`, GovernorBravoDelegate.sol `getActions`, Voting.sol of
//! Aragon `getVote` and CallsScript.sol.

use super::announced_calls::{AnnouncedCall, AnnouncedPayload, Announcement, Verb, parallel_list_calls};
use super::decoded_call::uint_at;
use super::frames::FrameOpener;
use crate::abi::{Budget, bundled};
use crate::model::read::{Answer, Read};
use crate::model::{DecodedCall, Decoding, Kind, Log};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// Maximum number of calls that are followed in an Aragon script.
const SCRIPT_CALLS_MAX: usize = 256;

/// Returns the calls that `log` reports as executed or put to the vote, and the reason if they could not be read.
pub(super) fn announced_by_log(
    opener: &mut FrameOpener<'_, '_, '_>,
    kind: Kind,
    log: &Log,
    deed: &DecodedCall,
) -> Option<(Announcement, Option<String>)> {
    if kind != Kind::Governor {
        return None;
    }
    let id = uint_at(deed, 0)?;
    let (verb, payload) = match &*deed.signature {
        "ProposalExecuted(uint256)" => (Verb::CarriesOut, proposal_payload(opener, log.address, id)),
        "StartVote(uint256,address,string)" => (Verb::Proposes, vote_payload(opener, log.address, id)),
        "ExecuteVote(uint256)" => (Verb::CarriesOut, vote_payload(opener, log.address, id)),
        _ => return None,
    };
    let saying = |calls| Announcement {
        ordinal: log.ordinal,
        verb,
        id: Some(B256::from(id)),
        delay: None,
        calls,
        by_others: verb == Verb::CarriesOut,
    };
    match payload {
        AnnouncedPayload::Is(calls) => Some((saying(calls), None)),
        AnnouncedPayload::Asked => None,
        AnnouncedPayload::Unread(why) => Some((saying(vec![]), Some(why))),
    }
}

/// The calls of proposal or vote `id`, which a call of `deed` asks the governor to carry out.
pub(super) fn requested_payload(
    opener: &mut FrameOpener<'_, '_, '_>,
    at: Address,
    deed: &DecodedCall,
    id: U256,
) -> AnnouncedPayload {
    if &*deed.name == "executeVote" { vote_payload(opener, at, id) } else { proposal_payload(opener, at, id) }
}

/// `timelock()`. Source: GovernorTimelockControl.sol and GovernorTimelockCompound.sol of OpenZeppelin; GovernorBravoDelegateStorageV1.
const TIMELOCK: [u8; 4] = [0xd3, 0x32, 0x19, 0xb4];

/// Returns the watched timelock through which a governor executes its proposals.
pub(super) fn executing_timelock(opener: &mut FrameOpener<'_, '_, '_>, governor: Address) -> Option<Address> {
    let watched = |at: &Address| opener.subjects.get(at).is_some_and(|subject| subject.kind == Kind::Timelock);
    if !opener.subjects.addresses().any(|at| watched(&at)) {
        return None;
    }
    let answer = opener.ask_node(Read::Call { to: governor, data: Bytes::from_static(&TIMELOCK) })?;
    let at = answer.first_word().map(Address::from_word)?;
    opener.subjects.get(&at).filter(|subject| subject.kind == Kind::Timelock).map(|_| at)
}

fn proposal_payload(opener: &mut FrameOpener<'_, '_, '_>, at: Address, id: U256) -> AnnouncedPayload {
    let is_execution = |deed: &DecodedCall| {
        &*deed.signature == "execute(address[],uint256[],bytes[],bytes32)" && deed.decoding == Decoding::Clean
    };
    let asked = opener.frames.iter().filter(|frame| frame.target == Some(at) && is_execution(&frame.deed));
    // The number is the hash of the encoded arguments, so matching arguments are the proposal's calls, no matter who
    // passed them on.
    let bound =
        asked.filter(|frame| frame.input.get(4..).is_some_and(|args| U256::from_be_bytes(keccak256(args).0) == id));
    if let Some(calls) = bound.filter_map(|frame| parallel_list_calls(&frame.deed, 0, 1, None, 2)).next() {
        return AnnouncedPayload::Is(calls);
    }
    for (name, signatures) in [("getActions(uint256)", Some(2)), ("proposalDetails(uint256)", None)] {
        let payloads = if signatures.is_some() { 3 } else { 2 };
        match query_view(opener, at, name, id) {
            View::Asked => return AnnouncedPayload::Asked,
            View::Is(deed) => {
                if let Some(calls) =
                    parallel_list_calls(&deed, 0, 1, signatures, payloads).filter(|calls| !calls.is_empty())
                {
                    return AnnouncedPayload::Is(calls);
                }
            }
            View::None => {}
        }
    }
    AnnouncedPayload::Unread(format!("What proposal {id} does could not be read from the governor."))
}

fn vote_payload(opener: &mut FrameOpener<'_, '_, '_>, at: Address, id: U256) -> AnnouncedPayload {
    let unread = || AnnouncedPayload::Unread(format!("What vote {id} is about could not be read from the contract."));
    match query_view(opener, at, "getVote(uint256)", id) {
        View::Asked => AnnouncedPayload::Asked,
        View::Is(deed) => {
            let text = deed.args.get(9).and_then(|arg| arg.value.as_bytes());
            text.and_then(parse_evm_script).map_or_else(unread, AnnouncedPayload::Is)
        }
        View::None => unread(),
    }
}

enum View {
    Is(DecodedCall),
    Asked,
    None,
}

/// Returns the answer of a view of the governor about `id`, at the block's end.
fn query_view(opener: &mut FrameOpener<'_, '_, '_>, at: Address, name: &str, id: U256) -> View {
    let Some(function) = bundled::governor().functions_named(name).into_iter().next() else { return View::None };
    let data: Bytes = [function.selector.as_slice(), &id.to_be_bytes::<32>()].concat().into();
    match opener.ask_node(Read::Call { to: at, data }) {
        None => View::Asked,
        Some(Answer::Data(returned)) => match function.decode_output(returned, &mut Budget::default()) {
            Ok(decoded) => View::Is(DecodedCall { args: decoded.args, ..super::decoded_call::unknown_call("") }),
            Err(_) => View::None,
        },
        Some(_) => View::None,
    }
}

/// Returns the calls of an EVM script: `0x00000001`, then for each call its target, the length of its calldata in four
/// bytes, and the calldata. An empty script has no calls. `None` where the script has another form.
pub(super) fn parse_evm_script(text: &Bytes) -> Option<Vec<AnnouncedCall>> {
    if text.is_empty() {
        return Some(vec![]);
    }
    let mut at = text.strip_prefix(&[0, 0, 0, 1]).map(|_| 4)?;
    let mut calls = Vec::new();
    while at < text.len() {
        let to = Address::from_slice(text.get(at..at + 20)?);
        let len = text.get(at + 20..)?.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize)?;
        let from = at + 24;
        text.get(from..from.checked_add(len)?)?;
        if calls.len() >= SCRIPT_CALLS_MAX {
            return None;
        }
        calls.push(AnnouncedCall { to: Some(to), value: U256::ZERO, data: text.slice(from..from + len) });
        at = from + len;
    }
    Some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_that_of_its_name() {
        assert_eq!(keccak256("timelock()")[..4], TIMELOCK);
    }

    #[test]
    fn a_script_is_read_to_its_end_or_not_at_all() {
        let call =
            |to: u8, data: &[u8]| [&[to; 20][..], &u32::try_from(data.len()).unwrap_or(0).to_be_bytes(), data].concat();
        let text: Bytes = [&[0, 0, 0, 1][..], &call(7, b"abcd"), &call(8, b"")].concat().into();
        let calls = parse_evm_script(&text).unwrap_or_default();
        assert_eq!(
            calls.iter().map(|call| (call.to, &call.data[..])).collect::<Vec<_>>(),
            [(Some(Address::repeat_byte(7)), &b"abcd"[..]), (Some(Address::repeat_byte(8)), &b""[..]),]
        );
        assert_eq!(parse_evm_script(&Bytes::new()), Some(vec![]));
        for cut in 1..text.len() {
            let whole = [4, 4 + 28].contains(&cut);
            assert_eq!(parse_evm_script(&text.slice(..cut)).is_some(), whole, "{cut}");
        }
        assert_eq!(parse_evm_script(&Bytes::from_static(&[0, 0, 0, 2])), None);
    }
}
