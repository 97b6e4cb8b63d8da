//! Changes of control over a contract, on any contract, recognized by their common names.
//!
//! Source: MiniMeToken.sol, Owned.sol, OpenZeppelin Ownable, AccessControl, Pausable and proxies, FiatToken and TetherToken, DS-Auth.

use super::access_control;
use super::control::{ControlRow, Found, WatchedContract, critical_row, high_row};
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind};

/// Returns the finding that depends on the arguments: on the role.
#[must_use]
pub fn assess_any_contract(activity: &Activity) -> Option<Found> {
    access_control::assess_activity(activity)
}

/// Returns whether [`assess_any_contract`] assesses functions or events of this name.
#[must_use]
pub fn is_assessed_by_arguments(name: &str) -> bool {
    access_control::ASSESSED.contains(&name)
}

/// Names that change control only with these arguments. With other arguments, some contract offers them to everybody.
///
/// Source: TetherToken.sol, MiniMeToken.sol; on the other side CErc20.sol of Compound and EIP-4626, whose holders
/// redeem.
const ONLY_AS: &[(&str, &str)] = &[
    ("redeem", "redeem(uint256)"),
    ("issue", "issue(uint256)"),
    ("setParams", "setParams(uint256,uint256)"),
    ("deprecate", "deprecate(address)"),
    ("claimTokens", "claimTokens(address)"),
    ("Redeem", "Redeem(uint256)"),
    ("Issue", "Issue(uint256)"),
    ("Deprecate", "Deprecate(address)"),
];

/// Functions that only the issuer of a token can call, and that every depositor of a lending pool or a vault can call
/// there. Source: TetherToken.sol; CErc20.sol.
const OF_ISSUERS: &[&str] = &["redeem(uint256)", "issue(uint256)", "mint(uint256)"];

/// Signature of a vault's `mint`, which deposits as much as the given number of shares costs. Source: EIP-4626.
const SHARES: &str = "mint(uint256,address)";

/// Returns whether a function or event with one of the names below has the meaning of that name, judged by its
/// arguments, its caller and its target.
#[must_use]
pub fn is_meant(activity: &Activity, own: &WatchedContract) -> bool {
    let (name, signature) = (&*activity.deed.name, &*activity.deed.signature);
    if ONLY_AS.iter().any(|(known, only)| *known == name && *only != signature) || signature == SHARES {
        return false;
    }
    let elsewhere = activity.kind == ActivityKind::Act && activity.to != Some(own.address);
    let for_everybody = OF_ISSUERS.contains(&signature) || name == "mint" && signature != "mint(address,uint256)";
    !(elsewhere && for_everybody) || activity.notes.contains(&Note::Issuer)
}

/// Functions that change control, under their common names.
pub const FUNCTIONS: &[ControlRow] = &[
    critical_row("changeController", "the token's controller is replaced: it can mint, burn and move anybody's tokens"),
    critical_row("generateTokens", "tokens are minted"),
    critical_row("destroyTokens", "tokens are burned from a holder"),
    critical_row("enableTransfers", "transfers are switched on or off"),
    critical_row("claimTokens", "the controller takes what lies in the token contract"),
    critical_row("createCloneToken", "a clone of the token is created"),
    critical_row("mint", "tokens are minted"),
    critical_row("issue", "tokens are minted"),
    critical_row("redeem", "tokens are taken out of supply"),
    critical_row("burnFrom", "tokens are burned from a holder"),
    critical_row("destroyBlackFunds", "a holder's tokens are destroyed"),
    // Permit2: allowances are taken back because they may be abused, or to stop what depends on them.
    critical_row("lockdown", "allowances given through Permit2 are taken back"),
    critical_row("pause", "the contract is paused"),
    critical_row("unpause", "the contract is unpaused"),
    critical_row("blacklist", "an account is blocked"),
    critical_row("unBlacklist", "an account is unblocked"),
    critical_row("addBlackList", "an account is blocked"),
    critical_row("removeBlackList", "an account is unblocked"),
    critical_row("configureMinter", "a minter is allowed"),
    critical_row("addMinter", "a minter is allowed"),
    critical_row("removeMinter", "a minter is removed"),
    critical_row("setMinter", "the minter changes"),
    critical_row("updateMasterMinter", "the master minter changes"),
    critical_row("updatePauser", "the pauser changes"),
    critical_row("updateBlacklister", "the blacklister changes"),
    critical_row("rescueERC20", "tokens are taken out of the contract"),
    critical_row("setParams", "the token's fees change"),
    critical_row("deprecate", "the token is replaced by another contract"),
    critical_row("transferOwnership", "ownership changes hands"),
    critical_row("renounceOwnership", "ownership is given up"),
    critical_row("acceptOwnership", "ownership changes hands"),
    critical_row("changeOwner", "ownership changes hands"),
    critical_row("setOwner", "ownership changes hands"),
    critical_row("setAuthority", "the authority changes"),
    critical_row("setController", "the controller changes"),
    critical_row("setPendingAdmin", "the administrator is to change"),
    critical_row("acceptAdmin", "the administrator changes"),
    critical_row("changeAdmin", "the administrator changes"),
    critical_row("changeProxyAdmin", "the administrator changes"),
    critical_row("grantRole", "a role is granted"),
    high_row("revokeRole", "a role is revoked"),
    high_row("renounceRole", "a role is given up"),
    critical_row("setRoleAdmin", "who gives a role changes"),
    critical_row("beginDefaultAdminTransfer", "the administrator is to change"),
    critical_row("rely", "an account is given authority"),
    critical_row("deny", "an account loses authority"),
    critical_row("upgradeTo", "the contract's code is replaced"),
    critical_row("upgradeToAndCall", "the contract's code is replaced"),
    critical_row("upgradeAndCall", "the contract's code is replaced"),
    critical_row("upgrade", "the contract's code is replaced"),
    critical_row("diamondCut", "the contract's code is replaced"),
    critical_row("grantRoles", "roles are granted"),
    high_row("revokeRoles", "roles are revoked"),
    critical_row("setPeer", "whom a bridge believes changes"),
    critical_row("setTrustedRemote", "whom a bridge believes changes"),
    critical_row("initialize", "a live contract is initialized again"),
    critical_row("updateDelay", "the delay changes"),
];

/// Events that report such a change.
pub const EVENTS: &[ControlRow] = &[
    critical_row("AddedOwner", "an owner was added"),
    critical_row("RemovedOwner", "an owner was removed"),
    critical_row("OwnerAddition", "an owner was added"),
    critical_row("OwnerRemoval", "an owner was removed"),
    critical_row("ChangedThreshold", "the number of signatures required changed"),
    critical_row("RequirementChange", "the number of confirmations required changed"),
    critical_row("OwnershipTransferred", "ownership changed hands"),
    high_row("OwnershipTransferStarted", "ownership is to change hands"),
    critical_row("OwnerUpdated", "ownership changed hands"),
    critical_row("OwnerChanged", "ownership changed hands"),
    critical_row("NewOwner", "ownership changed hands"),
    critical_row("LogSetOwner", "ownership changed hands"),
    critical_row("LogSetAuthority", "the authority changed"),
    critical_row("NewAdmin", "the administrator changed"),
    critical_row("NewPendingAdmin", "the administrator is to change"),
    critical_row("AdminChanged", "the administrator changed"),
    critical_row("Upgraded", "the contract's code was replaced"),
    critical_row("BeaconUpgraded", "the contract's code was replaced"),
    critical_row("Initialized", "a live contract was initialized again"),
    critical_row("DiamondCut", "the contract's code was replaced"),
    critical_row("RoleGranted", "a role was granted"),
    high_row("RoleRevoked", "a role was revoked"),
    critical_row("RoleAdminChanged", "who gives a role changed"),
    critical_row("DefaultAdminTransferScheduled", "the administrator is to change"),
    high_row("DefaultAdminDelayChangeScheduled", "the administrator's delay is to change"),
    critical_row("NewController", "the controller changed"),
    critical_row("ControllerChanged", "the controller changed"),
    critical_row("ControllerUpgraded", "controllers are made anew"),
    critical_row("Paused", "the contract was paused"),
    critical_row("Unpaused", "the contract was unpaused"),
    critical_row("Pause", "the contract was paused"),
    critical_row("Unpause", "the contract was unpaused"),
    critical_row("MinterAdded", "a minter was allowed"),
    critical_row("MinterRemoved", "a minter was removed"),
    critical_row("MinterConfigured", "a minter was allowed"),
    critical_row("Blacklisted", "an account was blocked"),
    critical_row("UnBlacklisted", "an account was unblocked"),
    critical_row("AddedBlackList", "an account was blocked"),
    critical_row("RemovedBlackList", "an account was unblocked"),
    critical_row("DestroyedBlackFunds", "a holder's tokens were destroyed"),
    critical_row("Issue", "tokens were minted"),
    critical_row("Redeem", "tokens were taken out of supply"),
    critical_row("Deprecate", "the token was replaced by another contract"),
    critical_row("Mint", "tokens were minted"),
    critical_row("Burn", "tokens were burned"),
    critical_row("ClaimedTokens", "the controller took what lay in the token contract"),
    critical_row("MinDelayChange", "the delay changed"),
];
