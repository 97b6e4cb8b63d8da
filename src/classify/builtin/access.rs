//! Roles, some of which give full control of a contract.
//!
//! Source: AccessControl.sol and AccessControlDefaultAdminRules.sol of OpenZeppelin; ACL.sol of Aragon, which keeps the
//! permissions of many applications in one place. A role is the hash of its name, except the default administrator,
//! which is zero.

use super::table::{Found, Table, critical, high, names_say_all};
use crate::model::roles;
use crate::model::value::Value;
use crate::model::{Activity, Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::AccessControl,
    unreadable: Severity::High,
    functions: &[
        critical("acceptDefaultAdminTransfer", "the administrator changes"),
        critical("changeDefaultAdminDelay", "how long a change of administrator takes changes"),
        critical("rollbackDefaultAdminDelay", "how long a change of administrator takes stays as it is"),
        high("cancelDefaultAdminTransfer", "a change of administrator is called off"),
        critical("createPermission", "a permission is given, and whoever manages it is named"),
        critical("grantPermission", "a permission is given"),
        critical("grantPermissionP", "a permission is given"),
        critical("revokePermission", "a permission is taken"),
        critical("setPermissionManager", "who gives a permission changes"),
        critical("removePermissionManager", "nobody gives a permission any more"),
    ],
    events: &[
        high("DefaultAdminTransferCanceled", "a change of administrator was called off"),
        high("DefaultAdminDelayChangeCanceled", "a change of the administrator's delay was called off"),
        critical("SetPermission", "a permission was given or taken"),
        critical("SetPermissionParams", "what a permission is for changed"),
        critical("ChangePermissionManager", "who gives a permission changed"),
    ],
    public: &[],
    gates: &[],
    weigh: names_say_all,
};

/// Weighs a role that is granted or revoked, on any contract. An attacker revokes the roles of those who could stop the
/// attack.
pub(crate) fn weigh(activity: &Activity) -> Option<Found> {
    let given = match &*activity.deed.name {
        "grantRole" | "RoleGranted" => true,
        "revokeRole" | "renounceRole" | "RoleRevoked" => false,
        _ => return None,
    };
    let Value::FixedBytes(role, 32) = &activity.deed.args.first()?.value else { return None };
    let name = roles::name_of(*role).map_or_else(|| format!("the role {role}"), str::to_owned);
    let severity = if given && roles::rules(*role) { Severity::Critical } else { Severity::High };
    Some((severity, format!("{name} is {}", if given { "granted" } else { "revoked" })))
}
