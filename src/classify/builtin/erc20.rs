//! Tokens: functions and events that all token kinds share.
//!
//! Source: EIP-20; FiatToken and TetherToken. Minting and burning log a transfer from and to the zero address.

use super::table::{Found, Table};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};
use alloy_primitives::Address;

pub(crate) static TABLE: Table = Table {
    kind: Kind::Erc20,
    unreadable: Severity::High,
    functions: &[],
    events: &[],
    public: &[],
    gates: &[],
    weigh: assess_activity,
};

/// Weighs tokens that come from or go to the zero address.
pub(crate) fn assess_activity(activity: &Activity, _: &WatchRules) -> Option<Found> {
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
