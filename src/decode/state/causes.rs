//! Table of the functions and events that account for a change of each item.
//!
//! Only judged activities explain a change: a call that ran, or a log, whose own values agree with the new value of the
//! item. Foreign code that the subject ran by delegatecall explains nothing, even under a known name, so that its
//! writes are reported on their own. The one exception is the known writes of a listed migration library.

use super::Look;
use crate::model::activity::Note;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Decoding, Fate, Item, Operation, Stage};
use alloy_primitives::{Address, B256};

/// Change of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Change to another value.
    Becomes,
    /// A member joins a set.
    Joins,
    /// A member leaves it.
    Leaves,
}

/// Way in which an activity states the value, or the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// The argument at this index.
    Arg(usize),
    /// A list of addresses at this index.
    Among(usize),
    /// The role at the first index, and the holder at the second.
    Holder,
    /// The caller.
    Caller,
    /// The zero address, implied by the name alone.
    Nobody,
    /// No value: any value is accounted for.
    Anything,
    /// No value, where the previous value was zero.
    Begins,
}

use Does::{Becomes, Joins, Leaves};
use Says::{Among, Anything, Arg, Begins, Caller, Holder, Nobody};

struct Row {
    item: &'static str,
    does: Does,
    /// Functions and events by name, and where each contains the value.
    by: &'static [(&'static str, Says)],
}

const fn cause_row(item: &'static str, does: Does, by: &'static [(&'static str, Says)]) -> Row {
    Row { item, does, by }
}

const UPGRADES: &[(&str, Says)] =
    &[("upgradeTo", Arg(0)), ("upgradeToAndCall", Arg(0)), ("Upgraded", Arg(0)), ("setImplementation", Arg(0))];
const ADMINS: &[(&str, Says)] = &[("changeAdmin", Arg(0)), ("AdminChanged", Arg(1)), ("changeProxyAdmin", Arg(1))];

/// Source: OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol and Safe.sol 1.1.1 to 1.5.0;
/// MultiSigWallet.sol; Wallet.sol of Parity; MiniMeToken.sol; OpenZeppelin Ownable, Ownable2Step, AccessControlDefaultAdminRules,
/// TimelockController, GovernorSettings and ERC1967Utils; Timelock.sol of Compound; DS-Auth; EIP-7702.
const ROWS: &[Row] = &[
    cause_row(
        "singleton",
        Becomes,
        &[("changeMasterCopy", Arg(0)), ("ChangedMasterCopy", Arg(0)), ("setup", Begins), ("SafeSetup", Begins)],
    ),
    cause_row("code", Becomes, &[("setup", Begins), ("SafeSetup", Begins)]),
    cause_row("implementation-code", Becomes, &[("setup", Begins), ("SafeSetup", Begins)]),
    cause_row(
        "owner",
        Joins,
        &[
            ("addOwnerWithThreshold", Arg(0)),
            ("swapOwner", Arg(2)),
            ("setup", Among(0)),
            ("addOwner", Arg(0)),
            ("replaceOwner", Arg(1)),
            ("AddedOwner", Arg(0)),
            ("OwnerAddition", Arg(0)),
            ("SafeSetup", Among(1)),
        ],
    ),
    cause_row(
        "owner",
        Leaves,
        &[
            // In a Safe, the owner is the second argument, after the previous owner in the list; in a multisig it is
            // the only argument.
            ("removeOwner", Arg(1)),
            ("removeOwner", Arg(0)),
            ("swapOwner", Arg(1)),
            ("replaceOwner", Arg(0)),
            ("RemovedOwner", Arg(0)),
            ("OwnerRemoval", Arg(0)),
        ],
    ),
    cause_row(
        "threshold",
        Becomes,
        &[
            ("changeThreshold", Arg(0)),
            ("addOwnerWithThreshold", Arg(1)),
            ("removeOwner", Arg(2)),
            ("setup", Arg(1)),
            ("ChangedThreshold", Arg(0)),
            ("SafeSetup", Arg(2)),
        ],
    ),
    cause_row("module", Joins, &[("enableModule", Arg(0)), ("EnabledModule", Arg(0))]),
    cause_row("module", Leaves, &[("disableModule", Arg(1)), ("DisabledModule", Arg(0))]),
    cause_row("guard", Becomes, &[("setGuard", Arg(0)), ("ChangedGuard", Arg(0))]),
    cause_row("module-guard", Becomes, &[("setModuleGuard", Arg(0)), ("ChangedModuleGuard", Arg(0))]),
    cause_row(
        "fallback-handler",
        Becomes,
        &[("setFallbackHandler", Arg(0)), ("setup", Arg(4)), ("ChangedFallbackHandler", Arg(0)), ("SafeSetup", Arg(4))],
    ),
    cause_row(
        "required",
        Becomes,
        &[("changeRequirement", Arg(0)), ("RequirementChange", Arg(0)), ("RequirementChanged", Arg(0))],
    ),
    cause_row(
        "daily-limit",
        Becomes,
        &[("changeDailyLimit", Arg(0)), ("DailyLimitChange", Arg(0)), ("setDailyLimit", Arg(0))],
    ),
    cause_row(
        "owners",
        Becomes,
        &[("addOwner", Anything), ("removeOwner", Anything), ("OwnerAdded", Anything), ("OwnerRemoved", Anything)],
    ),
    cause_row("role", Joins, &[("grantRole", Holder), ("RoleGranted", Holder)]),
    cause_row("role", Leaves, &[("revokeRole", Holder), ("renounceRole", Holder), ("RoleRevoked", Holder)]),
    cause_row(
        "open-executor",
        Becomes,
        &[
            ("grantRole", Anything),
            ("revokeRole", Anything),
            ("renounceRole", Anything),
            ("RoleGranted", Anything),
            ("RoleRevoked", Anything),
        ],
    ),
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
    cause_row("timelock-admin", Becomes, &[("acceptAdmin", Caller), ("NewAdmin", Arg(0))]),
    cause_row("implementation", Becomes, UPGRADES),
    cause_row("zos-implementation", Becomes, UPGRADES),
    cause_row("uups-implementation", Becomes, UPGRADES),
    cause_row("admin", Becomes, ADMINS),
    cause_row("zos-admin", Becomes, ADMINS),
    cause_row("beacon", Becomes, &[("upgradeBeaconToAndCall", Arg(0)), ("BeaconUpgraded", Arg(0))]),
    cause_row(
        "controller",
        Becomes,
        &[("changeController", Arg(0)), ("NewController", Arg(0)), ("ControllerChanged", Arg(0))],
    ),
    cause_row("transfers-enabled", Becomes, &[("enableTransfers", Arg(0))]),
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
    cause_row("delegate", Becomes, &[("delegate code", Arg(0)), ("clear delegation", Nobody)]),
    cause_row(
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
    ),
];

/// Items that a listed library of migrations writes. Source: SafeMigration.sol, SafeToL2Migration.sol.
const MIGRATED: &[&str] = &["singleton", "fallback-handler", "guard"];

/// Returns the activity that accounts for the change, if there is one: the last whose values agree, with calls
/// preferred to logs.
pub(super) fn find_cause(look: &Look<'_>, item: Item, before: B256, after: B256) -> Option<usize> {
    let does = match (item.of, before.is_zero(), after.is_zero()) {
        (Some(_), true, false) => Joins,
        (Some(_), false, true) => Leaves,
        _ => Becomes,
    };
    let explains = |(at, activity): (usize, &Activity)| {
        let is = is_safe_migration(activity, item)
            || is_effective_act(look, activity)
                && matching_effects(activity, item.name(), does)
                    .any(|says| is_change_explained(activity, says, item, before, after));
        is.then_some((activity.kind != ActivityKind::Event, at))
    };
    look.activities.iter().enumerate().filter_map(explains).max().map(|(_, at)| at)
}

/// Returns the value of an unreadable item after the block's acts; `None` if they do not change it.
pub(super) fn expected_value(look: &Look<'_>, item: Item) -> Option<B256> {
    let member = item.of.is_some();
    let mut value = None;
    for activity in look.activities.iter().filter(|activity| is_effective_act(look, activity)) {
        for does in if member { [Joins, Leaves].as_slice() } else { &[Becomes] } {
            let said = |says| match (does, item.of) {
                (Becomes, _) => stated_value(activity, says),
                (_, Some(_)) => {
                    is_member_named(activity, says, item).then(|| B256::with_last_byte(u8::from(*does == Joins)))
                }
                _ => None,
            };
            value = matching_effects(activity, item.name(), *does).find_map(said).or(value);
        }
    }
    value
}

/// Members that the block's acts add to a set that could not be read.
pub(super) fn added_members(look: &Look<'_>, item: Item) -> Vec<Item> {
    let own = look.activities.iter().filter(|activity| is_effective_act(look, activity));
    let said = own.flat_map(|activity| {
        matching_effects(activity, item.name(), Joins).flat_map(|says| match says {
            Arg(at) => argument_at(activity, at)
                .and_then(Value::as_address)
                .map(|who| item.for_address(who))
                .into_iter()
                .collect(),
            Among(at) => address_list_at(activity, at).into_iter().map(|who| item.for_address(who)).collect(),
            Holder => {
                let holder = argument_at(activity, 0)
                    .and_then(storage_word)
                    .zip(argument_at(activity, 1).and_then(Value::as_address));
                holder.map(|(role, who)| Item::role_membership(role, who)).into_iter().collect()
            }
            _ => vec![],
        })
    });
    said.collect()
}

/// Returns whether the activity is the subject's, ran, could be read, and changes the subject itself.
fn is_effective_act(look: &Look<'_>, activity: &Activity) -> bool {
    let itself = match activity.kind {
        ActivityKind::Call | ActivityKind::Event => true,
        ActivityKind::Act => activity.to == Some(look.address) || activity.notes.contains(&Note::Delegation),
        ActivityKind::Move | ActivityKind::State => false,
    };
    activity.watch == look.subject.watch
        && itself
        && activity.fate == Fate::Executed
        && activity.stage == Stage::Included
        && activity.operation == Operation::Call
        && !matches!(activity.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_))
}

fn is_safe_migration(activity: &Activity, item: Item) -> bool {
    activity.operation == Operation::Delegatecall
        && activity.fate == Fate::Executed
        && MIGRATED.contains(&item.name())
        && activity
            .notes
            .iter()
            .any(|note| matches!(note, Note::KnownLibrary(name) if name.starts_with("SafeMigration")))
}

fn matching_effects<'a>(activity: &'a Activity, item: &'a str, does: Does) -> impl Iterator<Item = Says> + 'a {
    let rows = ROWS.iter().filter(move |row| row.item == item && row.does == does);
    rows.flat_map(|row| row.by).filter(|(name, _)| *name == &*activity.deed.name).map(|(_, says)| *says)
}

fn is_change_explained(activity: &Activity, says: Says, item: Item, before: B256, after: B256) -> bool {
    match item.of {
        Some(_) => is_member_named(activity, says, item),
        None if says == Begins => before.is_zero(),
        None => says == Anything || stated_value(activity, says) == Some(after),
    }
}

fn is_member_named(activity: &Activity, says: Says, item: Item) -> bool {
    let Some(who) = item.of else { return false };
    let is_who = |at| argument_at(activity, at).and_then(Value::as_address) == Some(who);
    match says {
        Arg(at) => is_who(at),
        Among(at) => address_list_at(activity, at).contains(&who),
        Holder => is_who(1) && argument_at(activity, 0).and_then(storage_word) == item.role,
        Caller => activity.from == who,
        Nobody | Begins => false,
        Anything => true,
    }
}

fn stated_value(activity: &Activity, says: Says) -> Option<B256> {
    match says {
        Arg(at) => storage_word(&activity.deed.args.get(at)?.value),
        Caller => Some(activity.from.into_word()),
        Nobody => Some(B256::ZERO),
        Among(_) | Holder | Anything | Begins => None,
    }
}

fn argument_at(activity: &Activity, at: usize) -> Option<&Value> {
    activity.deed.args.get(at).map(|arg| &arg.value)
}

fn address_list_at(activity: &Activity, at: usize) -> Vec<Address> {
    let list = activity.deed.args.get(at).and_then(|arg| arg.value.as_array());
    list.into_iter().flatten().filter_map(Value::as_address).collect()
}

/// Returns a value as it is stored.
fn storage_word(value: &Value) -> Option<B256> {
    match value {
        Value::Address(address) => Some(address.into_word()),
        Value::Uint(number) => Some(B256::from(*number)),
        Value::Bool(truth) => Some(B256::with_last_byte(u8::from(*truth))),
        Value::FixedBytes(word, 32) => Some(*word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_about_an_item() {
        for row in ROWS {
            assert!(Item::from_name(row.item).is_some(), "{}", row.item);
        }
    }
}
