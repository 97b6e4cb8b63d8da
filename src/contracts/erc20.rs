//! Tokens: functions and events that all token kinds share.
//!
//! Source: EIP-20; FiatToken and TetherToken. Minting and burning log a transfer from and to the zero address.

use super::control::{Control, Found, WatchedContract};
use super::kind::ContractKind;
use super::kind::Property::{Proxy, Token};
use super::shared_state::{FITS, HOLDINGS, OWNER_VIEWS, PROXIED_CODE, PROXY_SLOTS, ROLE_HOLDERS, SUPPLY};
use crate::abi::bundled;
use crate::model::{Activity, ActivityKind, Severity};
use alloy_primitives::Address;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "erc20",
    about: "a token",
    abis: &[bundled::erc20, bundled::erc20_control],
    properties: &[Token, Proxy],
    essentials: &[("supply", false)],
    state: &[PROXY_SLOTS, OWNER_VIEWS, ROLE_HOLDERS, SUPPLY, HOLDINGS, PROXIED_CODE, FITS],
    control: Control { weigh: assess_activity, ..Control::BASE },
    ..ContractKind::BASE
};

/// Weighs tokens that come from or go to the zero address.
pub(super) fn assess_activity(activity: &Activity, _: &WatchedContract) -> Option<Found> {
    if activity.kind != ActivityKind::Event || &*activity.deed.name != "Transfer" {
        return None;
    }
    let party = |index: usize| activity.deed.args.get(index).and_then(|arg| arg.value.as_address());
    let what = match (party(0), party(1)) {
        (Some(Address::ZERO), _) => "tokens are minted",
        (_, Some(Address::ZERO)) => "tokens are burned",
        _ => return None,
    };
    Some((Severity::Critical, what.to_owned()))
}
