//! Roles, some of which give full control of a contract.
//!
//! Source: AccessControl.sol and AccessControlDefaultAdminRules.sol of OpenZeppelin; ACL.sol of Aragon, which keeps the
//! permissions of many applications in one place. A role is the hash of its name, except the default administrator,
//! which is zero.

use super::control::{Control, Found, critical_row, high_row};
use super::kind::ContractKind;
use super::kind::Property::{LogsFollowCalls, Open, Proxy, Roles};
use crate::abi::bundled;
use crate::model::roles;
use crate::model::value::Value;
use crate::model::{Activity, Severity};

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "access-control",
    about: "roles",
    abis: &[bundled::access_control],
    properties: &[Open, Proxy, Roles, LogsFollowCalls],
    control: Control {
        functions: &[
            critical_row("acceptDefaultAdminTransfer", "the administrator changes"),
            critical_row("changeDefaultAdminDelay", "how long a change of administrator takes changes"),
            critical_row("rollbackDefaultAdminDelay", "how long a change of administrator takes stays as it is"),
            high_row("cancelDefaultAdminTransfer", "a change of administrator is called off"),
            critical_row("createPermission", "a permission is given, and whoever manages it is named"),
            critical_row("grantPermission", "a permission is given"),
            critical_row("grantPermissionP", "a permission is given"),
            critical_row("revokePermission", "a permission is taken"),
            critical_row("setPermissionManager", "who gives a permission changes"),
            critical_row("removePermissionManager", "nobody gives a permission any more"),
        ],
        events: &[
            high_row("DefaultAdminTransferCanceled", "a change of administrator was called off"),
            high_row("DefaultAdminDelayChangeCanceled", "a change of the administrator's delay was called off"),
            critical_row("SetPermission", "a permission was given or taken"),
            critical_row("SetPermissionParams", "what a permission is for changed"),
            critical_row("ChangePermissionManager", "who gives a permission changed"),
        ],
        elsewhere: true,
        ..Control::BASE
    },
    ..ContractKind::BASE
};

/// Functions and events that [`assess_activity`] weighs.
pub(super) const ASSESSED: &[&str] = &["grantRole", "revokeRole", "renounceRole", "RoleGranted", "RoleRevoked"];

/// Weighs a role that is granted or revoked, on any contract. An attacker revokes the roles of those who could stop the
/// attack.
pub(super) fn assess_activity(activity: &Activity) -> Option<Found> {
    let given = match &*activity.deed.name {
        "grantRole" | "RoleGranted" => true,
        "revokeRole" | "renounceRole" | "RoleRevoked" => false,
        _ => return None,
    };
    let Value::FixedBytes(role, 32) = &activity.deed.args.first()?.value else { return None };
    let name = roles::name_of(*role).map_or_else(|| format!("the role {role}"), str::to_owned);
    let severity = if given && roles::is_privileged_role(*role) { Severity::Critical } else { Severity::High };
    Some((severity, format!("{name} is {}", if given { "granted" } else { "revoked" })))
}
