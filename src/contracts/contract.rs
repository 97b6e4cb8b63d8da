//! Any contract with an ABI: nothing is known about it in advance.

use super::kind::ContractKind;
use super::kind::Property::{LogsFollowCalls, Open, Proxy, SmartAccount};

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind =
    ContractKind { properties: &[Open, Proxy, SmartAccount, LogsFollowCalls], ..ContractKind::BASE };
