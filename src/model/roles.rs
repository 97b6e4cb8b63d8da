//! Roles that are known by name, on any contract. A role is the hash of its name, except for the default administrator,
//! which is zero.
//!
//! Source: AccessControl.sol, TimelockController.sol and the presets of OpenZeppelin.

use alloy_primitives::{B256, b256};

/// Roles whose holder can perform any action, mint tokens, replace code or bypass a delay.
const RULING: [(B256, &str); 6] = [
    (B256::ZERO, "DEFAULT_ADMIN_ROLE"),
    (b256!("9f2df0fed2c77648de5860a4cc508cd0818c85b8b8a1ab4ceeef8d981c8956a6"), "MINTER_ROLE"),
    (b256!("189ab7a9244df0848122154315af71fe140f3db0fe014031783b0946b8c9d2e3"), "UPGRADER_ROLE"),
    (b256!("b09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1"), "PROPOSER_ROLE"),
    (b256!("d8aa0f3194971a2a116679f7c2090f6939c8d4e01a2a8d7e41d55e5351469e63"), "EXECUTOR_ROLE"),
    (b256!("5f58e3a2316349923ce3780f8d587db2d72378aed66a8261c916544fa6846ca5"), "TIMELOCK_ADMIN_ROLE"),
];

/// Roles with a known name that give no such power by themselves.
const KNOWN: [(B256, &str); 2] = [
    (b256!("65d7a28e3265b37a6474929f336521b332c1681b933f6cb9f3376673440d862a"), "PAUSER_ROLE"),
    (b256!("fd643c72710c63c0180259aba6b2d05451e3591a24e58b62239378085726f783"), "CANCELLER_ROLE"),
];

/// Returns the common name of this role, if it has one.
#[must_use]
pub fn name_of(role: B256) -> Option<&'static str> {
    RULING.iter().chain(&KNOWN).find(|(known, _)| *known == role).map(|(_, name)| *name)
}

/// Checks whether a holder of the role can do anything, make tokens, replace code or pass a delay.
#[must_use]
pub fn is_privileged_role(role: B256) -> bool {
    RULING.iter().any(|(known, _)| *known == role)
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
