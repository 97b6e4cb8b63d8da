//! Safe 1.1.1 to 1.5.0.
//!
//! Source: OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol, SafeMigration.sol.

use super::table::{Found, Row, Table, critical_row, high_row};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};
use alloy_primitives::U256;

pub(crate) static TABLE: Table = Table {
    kind: Kind::Safe,
    unreadable: Severity::Critical,
    functions: &[
        critical_row("addOwnerWithThreshold", "an owner is added"),
        critical_row("removeOwner", "an owner is removed"),
        critical_row("swapOwner", "an owner is replaced"),
        critical_row("changeThreshold", "the number of signatures required changes"),
        critical_row("enableModule", "a module is enabled: it can move everything without signatures"),
        high_row("disableModule", "a module is disabled"),
        critical_row("setGuard", "the guard changes"),
        critical_row("setModuleGuard", "the module guard changes"),
        critical_row("setFallbackHandler", "the fallback handler changes"),
        critical_row("changeMasterCopy", "the Safe's code is replaced"),
        critical_row("setup", "a live Safe is set up again"),
    ],
    events: EVENTS,
    public: &[],
    gates: &[],
    weigh: assess_activity,
};

const EVENTS: &[Row] = &[
    critical_row("AddedOwner", "an owner was added"),
    critical_row("RemovedOwner", "an owner was removed"),
    critical_row("ChangedThreshold", "the number of signatures required changed"),
    critical_row("EnabledModule", "a module was enabled"),
    critical_row("DisabledModule", "a module was disabled"),
    critical_row("ChangedGuard", "the guard changed"),
    critical_row("ChangedModuleGuard", "the module guard changed"),
    critical_row("ChangedFallbackHandler", "the fallback handler changed"),
    critical_row("ChangedMasterCopy", "the Safe's code was replaced"),
    critical_row("SafeSetup", "the Safe was set up"),
];

/// Weighs a new threshold. One above `registry.threshold` requires more signatures, which is the harmless direction.
/// Without a registry the direction is unknown, so it is treated as a reduction.
fn assess_activity(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    if activity.kind == ActivityKind::Event || &*activity.deed.name != "changeThreshold" {
        return None;
    }
    let asked = activity.deed.args.first()?.value.as_uint()?;
    (asked > U256::from(rules.threshold?))
        .then(|| (Severity::High, "the number of signatures required changes".to_owned()))
}
