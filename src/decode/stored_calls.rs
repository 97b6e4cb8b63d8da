//! Calls that a contract stores under a number, such as the calls of a proposal. A log that names only the number is
//! opened by the calldata that binds it, or else by asking the contract.

use super::decoded_call;
use super::frames::FrameOpener;
use crate::abi::{Abi, Budget};
use crate::contracts::{AnnouncedCall, StoredCalls};
use crate::model::read::{Answer, Read};
use crate::model::{DecodedCall, Decoding};
use alloy_primitives::{Address, Bytes, U256, keccak256};

/// Calls of a log, if they can be obtained.
pub(super) enum AnnouncedPayload {
    Is(Vec<AnnouncedCall>),
    /// The node is being asked.
    Asked,
    /// The node could not answer.
    Unread(String),
}

/// Returns the calls that the contract at `at` stores under `id`.
pub(super) fn stored_payload(
    opener: &mut FrameOpener<'_, '_, '_>,
    at: Address,
    stored: &StoredCalls,
    id: U256,
) -> AnnouncedPayload {
    if let Some((signature, read_calls)) = stored.bound_by {
        let is_execution = |deed: &DecodedCall| &*deed.signature == signature && deed.decoding == Decoding::Clean;
        let asked = opener.frames.iter().filter(|frame| frame.target == Some(at) && is_execution(&frame.deed));
        let mut bound =
            asked.filter(|frame| frame.input.get(4..).is_some_and(|args| U256::from_be_bytes(keccak256(args).0) == id));
        if let Some(calls) = bound.find_map(|frame| read_calls(&frame.deed)) {
            return AnnouncedPayload::Is(calls);
        }
    }
    for (view, read_calls) in stored.views {
        match query_view(opener, at, view, id) {
            View::Asked => return AnnouncedPayload::Asked,
            View::Is(deed) => {
                if let Some(calls) = read_calls(&deed) {
                    return AnnouncedPayload::Is(calls);
                }
            }
            View::None => {}
        }
    }
    AnnouncedPayload::Unread((stored.unread)(id))
}

enum View {
    Is(DecodedCall),
    Asked,
    None,
}

/// Returns the answer of a view of the contract about `id`, at the block's end.
fn query_view(opener: &mut FrameOpener<'_, '_, '_>, at: Address, name: &str, id: U256) -> View {
    let abis = opener.subjects.get(&at).map_or(&[] as &[fn() -> &'static Abi], |subject| subject.contract().abis);
    let Some(function) = abis.iter().find_map(|abi| abi().functions_named(name).into_iter().next()) else {
        return View::None;
    };
    let data: Bytes = [function.selector.as_slice(), &id.to_be_bytes::<32>()].concat().into();
    match opener.ask_node(Read::Call { to: at, data }) {
        None => View::Asked,
        Some(Answer::Data(returned)) => match function.decode_output(returned, &mut Budget::default()) {
            Ok(decoded) => View::Is(DecodedCall { args: decoded.args, ..decoded_call::unknown_call("") }),
            Err(_) => View::None,
        },
        Some(_) => View::None,
    }
}
