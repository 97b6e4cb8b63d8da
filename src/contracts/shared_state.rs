//! State that several kinds have in common: proxies, owners, roles, supplies, balances and code.

use super::state::ItemChange::{Becomes, Joins, Leaves};
use super::state::StatedValue::{Anything, Arg, Caller, Holder, Nobody};
use super::state::{ReadMethod, StateGroup, StatedValue, cause_row, slow_line, state_line};
use crate::model::state::{DECIMALS, KIND};
use alloy_primitives::{B256, b256};

/// State of a contract of which nothing is known in advance: it may be a proxy, and have an owner and roles.
pub(super) const ANY_CONTRACT: &[&StateGroup] = &[PROXY_SLOTS, OWNER_VIEWS, ROLE_HOLDERS, HOLDINGS, PROXIED_CODE, FITS];

/// Source: EIP-1967.
pub const IMPLEMENTATION: B256 = b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
const ADMIN: B256 = b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");
/// Source: EIP-1967.
pub const BEACON: B256 = b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
/// keccak256("org.zeppelinos.proxy.implementation"). Source: UpgradeabilityProxy.sol of ZeppelinOS, in use by FiatToken.
pub const ZOS_IMPLEMENTATION: B256 = b256!("7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3");
/// keccak256("org.zeppelinos.proxy.admin"). Source: AdminUpgradeabilityProxy.sol of ZeppelinOS.
const ZOS_ADMIN: B256 = b256!("10d6a54a4754c8869d6886b5f5d7fbfa5b4522237ea5c60d11bc4e7a1ff9390b");
/// keccak256("PROXIABLE"). Source: EIP-1822.
pub const PROXIABLE: B256 = b256!("c5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7");

/// `implementation()` of a beacon.
pub const GET_IMPLEMENTATION: [u8; 4] = [0x5c, 0x60, 0xda, 0x1b];
/// `hasRole(bytes32,address)`
pub const HAS_ROLE: [u8; 4] = [0x91, 0xd1, 0x48, 0x54];
/// `owner()`
const OWNER: [u8; 4] = [0x8d, 0xa5, 0xcb, 0x5b];
/// `pendingOwner()`
const PENDING_OWNER: [u8; 4] = [0xe3, 0x0c, 0x39, 0x78];
/// `pendingAdmin()`
const PENDING_ADMIN: [u8; 4] = [0x26, 0x78, 0x22, 0x47];
/// `defaultAdmin()`
const DEFAULT_ADMIN: [u8; 4] = [0x84, 0xef, 0x8f, 0xfc];
/// `timelock()`
const GET_TIMELOCK: [u8; 4] = [0xd3, 0x32, 0x19, 0xb4];
/// `votingDelay()`
const VOTING_DELAY: [u8; 4] = [0x39, 0x32, 0xab, 0xb1];
/// `votingPeriod()`
const VOTING_PERIOD: [u8; 4] = [0x02, 0xa2, 0x51, 0xa3];
/// `proposalThreshold()`
const PROPOSAL_THRESHOLD: [u8; 4] = [0xb5, 0x81, 0x31, 0xb0];
/// `getMinDelay()`
const GET_MIN_DELAY: [u8; 4] = [0xf2, 0x7a, 0x0c, 0x92];
/// `delay()`
const DELAY: [u8; 4] = [0x6a, 0x42, 0xb8, 0xf8];
/// `totalSupply()`
const TOTAL_SUPPLY: [u8; 4] = [0x18, 0x16, 0x0d, 0xdd];

const UPGRADES: &[(&str, StatedValue)] =
    &[("upgradeTo", Arg(0)), ("upgradeToAndCall", Arg(0)), ("Upgraded", Arg(0)), ("setImplementation", Arg(0))];
const ADMINS: &[(&str, StatedValue)] =
    &[("changeAdmin", Arg(0)), ("AdminChanged", Arg(1)), ("changeProxyAdmin", Arg(1))];

/// Slots of proxies. Source: EIP-1967, EIP-1822, ZeppelinOS; ERC1967Utils.sol of OpenZeppelin.
pub(super) const PROXY_SLOTS: &StateGroup = &StateGroup {
    lines: &[
        state_line("implementation", ReadMethod::Slot(IMPLEMENTATION)),
        state_line("admin", ReadMethod::Slot(ADMIN)),
        state_line("beacon", ReadMethod::Slot(BEACON)),
        state_line("zos-implementation", ReadMethod::Slot(ZOS_IMPLEMENTATION)),
        state_line("zos-admin", ReadMethod::Slot(ZOS_ADMIN)),
        state_line("uups-implementation", ReadMethod::Slot(PROXIABLE)),
    ],
    causes: &[
        cause_row("implementation", Becomes, UPGRADES),
        cause_row("zos-implementation", Becomes, UPGRADES),
        cause_row("uups-implementation", Becomes, UPGRADES),
        cause_row("admin", Becomes, ADMINS),
        cause_row("zos-admin", Becomes, ADMINS),
        cause_row("beacon", Becomes, &[("upgradeBeaconToAndCall", Arg(0)), ("BeaconUpgraded", Arg(0))]),
    ],
};

/// Owners, administrators and settings that a contract of any kind may have. Source: OpenZeppelin Ownable, Ownable2Step,
/// AccessControlDefaultAdminRules, TimelockController and GovernorSettings; Timelock.sol of Compound; DS-Auth.
pub(super) const OWNER_VIEWS: &StateGroup = &StateGroup {
    lines: &[
        state_line("ownership", ReadMethod::KnownView(OWNER)),
        state_line("pending-ownership", ReadMethod::KnownView(PENDING_OWNER)),
        state_line("pending-admin", ReadMethod::KnownView(PENDING_ADMIN)),
        state_line("delay", ReadMethod::KnownView(GET_MIN_DELAY)),
        state_line("delay", ReadMethod::KnownView(DELAY)),
        state_line("default-admin", ReadMethod::KnownView(DEFAULT_ADMIN)),
        state_line("executor", ReadMethod::KnownView(GET_TIMELOCK)),
        state_line("voting-delay", ReadMethod::KnownView(VOTING_DELAY)),
        state_line("voting-period", ReadMethod::KnownView(VOTING_PERIOD)),
        state_line("proposal-threshold", ReadMethod::KnownView(PROPOSAL_THRESHOLD)),
    ],
    causes: &[
        cause_row("executor", Becomes, &[("updateTimelock", Arg(0)), ("TimelockChange", Arg(1))]),
        cause_row("voting-delay", Becomes, &[("setVotingDelay", Arg(0)), ("VotingDelaySet", Arg(1))]),
        cause_row("voting-period", Becomes, &[("setVotingPeriod", Arg(0)), ("VotingPeriodSet", Arg(1))]),
        cause_row("proposal-threshold", Becomes, &[("setProposalThreshold", Arg(0)), ("ProposalThresholdSet", Arg(1))]),
        cause_row(
            "default-admin",
            Becomes,
            &[
                ("acceptDefaultAdminTransfer", Caller),
                ("RoleGranted", Arg(1)),
                ("RoleRevoked", Nobody),
                ("renounceRole", Nobody),
            ],
        ),
        cause_row(
            "ownership",
            Becomes,
            &[
                ("transferOwnership", Arg(0)),
                ("acceptOwnership", Caller),
                ("claimOwnership", Caller),
                ("completeOwnershipHandover", Arg(0)),
                ("renounceOwnership", Nobody),
                ("changeOwner", Arg(0)),
                ("setOwner", Arg(0)),
                ("OwnershipTransferred", Arg(1)),
                ("OwnerUpdated", Arg(1)),
                ("LogSetOwner", Arg(0)),
                // Where roles have a default administrator, that is the address that the contract reports as its owner
                // (ERC-5313).
                ("acceptDefaultAdminTransfer", Caller),
            ],
        ),
        cause_row(
            "pending-ownership",
            Becomes,
            &[
                ("transferOwnership", Arg(0)),
                ("acceptOwnership", Nobody),
                ("claimOwnership", Nobody),
                ("renounceOwnership", Nobody),
                ("OwnershipTransferStarted", Arg(1)),
                ("OwnershipTransferred", Nobody),
            ],
        ),
        cause_row(
            "pending-admin",
            Becomes,
            &[
                ("setPendingAdmin", Arg(0)),
                ("acceptAdmin", Nobody),
                ("NewPendingAdmin", Arg(0)),
                ("NewPendingAdmin", Arg(1)),
            ],
        ),
        cause_row(
            "delay",
            Becomes,
            &[("updateDelay", Arg(0)), ("setDelay", Arg(0)), ("MinDelayChange", Arg(1)), ("NewDelay", Arg(0))],
        ),
    ],
};

/// Holders of roles. Source: AccessControl.sol of OpenZeppelin.
pub(super) const ROLE_HOLDERS: &StateGroup = &StateGroup {
    lines: &[state_line("role", ReadMethod::Holders)],
    causes: &[
        cause_row("role", Joins, &[("grantRole", Holder), ("RoleGranted", Holder)]),
        cause_row("role", Leaves, &[("revokeRole", Holder), ("renounceRole", Holder), ("RoleRevoked", Holder)]),
    ],
};

/// Supply of a token. Source: FiatToken, TetherToken, MiniMeToken.sol; rebasing tokens.
pub(super) const SUPPLY: &StateGroup = &StateGroup {
    lines: &[state_line("supply", ReadMethod::View(TOTAL_SUPPLY))],
    causes: &[cause_row(
        "supply",
        Becomes,
        &[
            ("mint", Anything),
            ("issue", Anything),
            ("redeem", Anything),
            ("burn", Anything),
            ("burnFrom", Anything),
            ("generateTokens", Anything),
            ("destroyTokens", Anything),
            ("destroyBlackFunds", Anything),
            ("rebase", Anything),
            ("Mint", Anything),
            ("Burn", Anything),
            ("Issue", Anything),
            ("Redeem", Anything),
        ],
    )],
};

/// Balances of every subject with an address of its own.
pub(super) const HOLDINGS: &StateGroup = &StateGroup {
    lines: &[
        state_line("balance", ReadMethod::Ether),
        state_line("balance", ReadMethod::Tokens),
        slow_line(DECIMALS, ReadMethod::Decimals),
    ],
    causes: &[],
};

/// Code of a contract that is no proxy, or of the proxy itself.
pub(super) const CODE: &StateGroup = &StateGroup { lines: &[slow_line("code", ReadMethod::Code)], causes: &[] };

/// Code of a contract that may be a proxy, and whatever stands behind its slots.
pub(super) const PROXIED_CODE: &StateGroup = &StateGroup {
    lines: &[
        slow_line("beacon-implementation", ReadMethod::Behind { item: "beacon", view: GET_IMPLEMENTATION }),
        slow_line("admin-owner", ReadMethod::Behind { item: "admin", view: OWNER }),
        slow_line("code", ReadMethod::Code),
        slow_line("implementation-code", ReadMethod::CodeBehind),
    ],
    causes: &[],
};

/// Match of the address with its kind. The last group of a kind, since it judges by what was read before.
pub(super) const FITS: &StateGroup = &StateGroup { lines: &[slow_line(KIND, ReadMethod::Fits)], causes: &[] };

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, keccak256};

    #[test]
    fn selectors_and_slots_are_those_of_their_names() {
        for (signature, selector) in [
            ("owner()", OWNER),
            ("pendingOwner()", PENDING_OWNER),
            ("pendingAdmin()", PENDING_ADMIN),
            ("defaultAdmin()", DEFAULT_ADMIN),
            ("timelock()", GET_TIMELOCK),
            ("votingDelay()", VOTING_DELAY),
            ("votingPeriod()", VOTING_PERIOD),
            ("proposalThreshold()", PROPOSAL_THRESHOLD),
            ("getMinDelay()", GET_MIN_DELAY),
            ("delay()", DELAY),
            ("implementation()", GET_IMPLEMENTATION),
            ("totalSupply()", TOTAL_SUPPLY),
            ("hasRole(bytes32,address)", HAS_ROLE),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
        for (name, slot) in [
            ("org.zeppelinos.proxy.implementation", ZOS_IMPLEMENTATION),
            ("org.zeppelinos.proxy.admin", ZOS_ADMIN),
            ("PROXIABLE", PROXIABLE),
        ] {
            assert_eq!(keccak256(name), slot, "{name}");
        }
        for (name, slot) in [
            ("eip1967.proxy.implementation", IMPLEMENTATION),
            ("eip1967.proxy.admin", ADMIN),
            ("eip1967.proxy.beacon", BEACON),
        ] {
            let expected = U256::from_be_bytes(keccak256(name).0) - U256::ONE;
            assert_eq!(B256::from(expected), slot, "{name}");
        }
    }
}
