//! Changes of control over a contract, on any contract, recognized by their common names.
//!
//! Source: MiniMeToken.sol, Owned.sol, OpenZeppelin Ownable, AccessControl, Pausable and proxies, FiatToken and TetherToken, DS-Auth.

use super::access;
use super::table::{Found, Row, critical, high};
use crate::classify::rule::WatchRules;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind};

/// Returns the finding that depends on the arguments: on the role.
pub(crate) fn weigh(activity: &Activity, _: &WatchRules) -> Option<Found> {
    access::weigh(activity)
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
pub(crate) fn is_meant(activity: &Activity, rules: &WatchRules) -> bool {
    let (name, signature) = (&*activity.deed.name, &*activity.deed.signature);
    if ONLY_AS.iter().any(|(known, only)| *known == name && *only != signature) || signature == SHARES {
        return false;
    }
    let elsewhere = activity.kind == ActivityKind::Act && activity.to != Some(rules.address);
    let for_everybody = OF_ISSUERS.contains(&signature) || name == "mint" && signature != "mint(address,uint256)";
    !(elsewhere && for_everybody) || activity.notes.contains(&Note::Issuer)
}

pub(crate) const FUNCTIONS: &[Row] = &[
    critical("changeController", "the token's controller is replaced: it can mint, burn and move anybody's tokens"),
    critical("generateTokens", "tokens are minted"),
    critical("destroyTokens", "tokens are burned from a holder"),
    critical("enableTransfers", "transfers are switched on or off"),
    critical("claimTokens", "the controller takes what lies in the token contract"),
    critical("createCloneToken", "a clone of the token is created"),
    critical("mint", "tokens are minted"),
    critical("issue", "tokens are minted"),
    critical("redeem", "tokens are taken out of supply"),
    critical("burnFrom", "tokens are burned from a holder"),
    critical("destroyBlackFunds", "a holder's tokens are destroyed"),
    // Permit2: allowances are taken back because they may be abused, or to stop what depends on them.
    critical("lockdown", "allowances given through Permit2 are taken back"),
    critical("pause", "the contract is paused"),
    critical("unpause", "the contract is unpaused"),
    critical("blacklist", "an account is blocked"),
    critical("unBlacklist", "an account is unblocked"),
    critical("addBlackList", "an account is blocked"),
    critical("removeBlackList", "an account is unblocked"),
    critical("configureMinter", "a minter is allowed"),
    critical("addMinter", "a minter is allowed"),
    critical("removeMinter", "a minter is removed"),
    critical("setMinter", "the minter changes"),
    critical("updateMasterMinter", "the master minter changes"),
    critical("updatePauser", "the pauser changes"),
    critical("updateBlacklister", "the blacklister changes"),
    critical("rescueERC20", "tokens are taken out of the contract"),
    critical("setParams", "the token's fees change"),
    critical("deprecate", "the token is replaced by another contract"),
    critical("transferOwnership", "ownership changes hands"),
    critical("renounceOwnership", "ownership is given up"),
    critical("acceptOwnership", "ownership changes hands"),
    critical("changeOwner", "ownership changes hands"),
    critical("setOwner", "ownership changes hands"),
    critical("setAuthority", "the authority changes"),
    critical("setController", "the controller changes"),
    critical("setPendingAdmin", "the administrator is to change"),
    critical("acceptAdmin", "the administrator changes"),
    critical("changeAdmin", "the administrator changes"),
    critical("changeProxyAdmin", "the administrator changes"),
    critical("grantRole", "a role is granted"),
    high("revokeRole", "a role is revoked"),
    high("renounceRole", "a role is given up"),
    critical("setRoleAdmin", "who gives a role changes"),
    critical("beginDefaultAdminTransfer", "the administrator is to change"),
    critical("rely", "an account is given authority"),
    critical("deny", "an account loses authority"),
    critical("upgradeTo", "the contract's code is replaced"),
    critical("upgradeToAndCall", "the contract's code is replaced"),
    critical("upgradeAndCall", "the contract's code is replaced"),
    critical("upgrade", "the contract's code is replaced"),
    critical("diamondCut", "the contract's code is replaced"),
    critical("grantRoles", "roles are granted"),
    high("revokeRoles", "roles are revoked"),
    critical("setPeer", "whom a bridge believes changes"),
    critical("setTrustedRemote", "whom a bridge believes changes"),
    critical("initialize", "a live contract is initialized again"),
    critical("updateDelay", "the delay changes"),
];

/// Events that report such a change.
pub(crate) const EVENTS: &[Row] = &[
    critical("AddedOwner", "an owner was added"),
    critical("RemovedOwner", "an owner was removed"),
    critical("OwnerAddition", "an owner was added"),
    critical("OwnerRemoval", "an owner was removed"),
    critical("ChangedThreshold", "the number of signatures required changed"),
    critical("RequirementChange", "the number of confirmations required changed"),
    critical("OwnershipTransferred", "ownership changed hands"),
    high("OwnershipTransferStarted", "ownership is to change hands"),
    critical("OwnerUpdated", "ownership changed hands"),
    critical("OwnerChanged", "ownership changed hands"),
    critical("NewOwner", "ownership changed hands"),
    critical("LogSetOwner", "ownership changed hands"),
    critical("LogSetAuthority", "the authority changed"),
    critical("NewAdmin", "the administrator changed"),
    critical("NewPendingAdmin", "the administrator is to change"),
    critical("AdminChanged", "the administrator changed"),
    critical("Upgraded", "the contract's code was replaced"),
    critical("BeaconUpgraded", "the contract's code was replaced"),
    critical("Initialized", "a live contract was initialized again"),
    critical("DiamondCut", "the contract's code was replaced"),
    critical("RoleGranted", "a role was granted"),
    high("RoleRevoked", "a role was revoked"),
    critical("RoleAdminChanged", "who gives a role changed"),
    critical("DefaultAdminTransferScheduled", "the administrator is to change"),
    high("DefaultAdminDelayChangeScheduled", "the administrator's delay is to change"),
    critical("NewController", "the controller changed"),
    critical("ControllerChanged", "the controller changed"),
    critical("ControllerUpgraded", "controllers are made anew"),
    critical("Paused", "the contract was paused"),
    critical("Unpaused", "the contract was unpaused"),
    critical("Pause", "the contract was paused"),
    critical("Unpause", "the contract was unpaused"),
    critical("MinterAdded", "a minter was allowed"),
    critical("MinterRemoved", "a minter was removed"),
    critical("MinterConfigured", "a minter was allowed"),
    critical("Blacklisted", "an account was blocked"),
    critical("UnBlacklisted", "an account was unblocked"),
    critical("AddedBlackList", "an account was blocked"),
    critical("RemovedBlackList", "an account was unblocked"),
    critical("DestroyedBlackFunds", "a holder's tokens were destroyed"),
    critical("Issue", "tokens were minted"),
    critical("Redeem", "tokens were taken out of supply"),
    critical("Deprecate", "the token was replaced by another contract"),
    critical("Mint", "tokens were minted"),
    critical("Burn", "tokens were burned"),
    critical("ClaimedTokens", "the controller took what lay in the token contract"),
    critical("MinDelayChange", "the delay changed"),
];
