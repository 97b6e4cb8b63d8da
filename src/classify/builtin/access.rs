//! Roles: some of them are as good as the contract itself.
//!
//! Source: AccessControl.sol and AccessControlDefaultAdminRules.sol of OpenZeppelin; ACL.sol of Aragon, which keeps the permissions of
//! many applications in one place. A role is the hash of its name, but for the default administrator, which is zero.

use super::table::{Found, Table, critical, high, names_say_all};
use crate::model::value::Value;
use crate::model::{Activity, Kind, Severity};
use alloy_primitives::{B256, b256};

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
    weigh: names_say_all,
};

/// Roles whose holder can do anything, or make tokens, or replace code, or pass a delay.
const RULING: [(B256, &str); 6] = [
    (B256::ZERO, "DEFAULT_ADMIN_ROLE"),
    (b256!("9f2df0fed2c77648de5860a4cc508cd0818c85b8b8a1ab4ceeef8d981c8956a6"), "MINTER_ROLE"),
    (b256!("189ab7a9244df0848122154315af71fe140f3db0fe014031783b0946b8c9d2e3"), "UPGRADER_ROLE"),
    (b256!("b09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1"), "PROPOSER_ROLE"),
    (b256!("d8aa0f3194971a2a116679f7c2090f6939c8d4e01a2a8d7e41d55e5351469e63"), "EXECUTOR_ROLE"),
    (b256!("5f58e3a2316349923ce3780f8d587db2d72378aed66a8261c916544fa6846ca5"), "TIMELOCK_ADMIN_ROLE"),
];

/// Roles that are known by name and rule nothing by themselves.
const KNOWN: [(B256, &str); 2] = [
    (b256!("65d7a28e3265b37a6474929f336521b332c1681b933f6cb9f3376673440d862a"), "PAUSER_ROLE"),
    (b256!("fd643c72710c63c0180259aba6b2d05451e3591a24e58b62239378085726f783"), "CANCELLER_ROLE"),
];

/// A role that is given or taken, on whichever contract. Taking one is what an attacker does to those who would stop him.
pub(crate) fn weigh(activity: &Activity) -> Option<Found> {
    let given = match &*activity.deed.name {
        "grantRole" | "RoleGranted" => true,
        "revokeRole" | "renounceRole" | "RoleRevoked" => false,
        _ => return None,
    };
    let Value::FixedBytes(role, 32) = &activity.deed.args.first()?.value else { return None };
    let ruling = RULING.iter().find(|(hash, _)| hash == role);
    let known = ruling.or_else(|| KNOWN.iter().find(|(hash, _)| hash == role));
    let name = known.map_or_else(|| format!("the role {role}"), |(_, name)| (*name).to_owned());
    let severity = if given && ruling.is_some() { Severity::Critical } else { Severity::High };
    Some((severity, format!("{name} is {}", if given { "granted" } else { "revoked" })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn a_role_is_the_hash_of_its_name() {
        for (hash, name) in RULING.iter().skip(1).chain(&KNOWN) {
            assert_eq!(*hash, keccak256(name), "{name}");
        }
    }
}
