//! Safe 1.1.1 to 1.5.0.
//!
//! Source: OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol, SafeMigration.sol.

use super::table::{Found, Row, Table, critical, high};
use crate::classify::rule::WatchRules;
use crate::model::{Activity, ActivityKind, Kind, Severity};
use alloy_primitives::U256;

pub(crate) static TABLE: Table = Table {
    kind: Kind::Safe,
    unreadable: Severity::Critical,
    functions: &[
        critical("addOwnerWithThreshold", "an owner is added"),
        critical("removeOwner", "an owner is removed"),
        critical("swapOwner", "an owner is replaced"),
        critical("changeThreshold", "the number of signatures required changes"),
        critical("enableModule", "a module is enabled: it can move everything without signatures"),
        high("disableModule", "a module is disabled"),
        critical("setGuard", "the guard changes"),
        critical("setModuleGuard", "the module guard changes"),
        critical("setFallbackHandler", "the fallback handler changes"),
        critical("changeMasterCopy", "the Safe's code is replaced"),
        critical("setup", "a live Safe is set up again"),
    ],
    events: EVENTS,
    public: &[],
    gates: &[],
    weigh,
};

const EVENTS: &[Row] = &[
    critical("AddedOwner", "an owner was added"),
    critical("RemovedOwner", "an owner was removed"),
    critical("ChangedThreshold", "the number of signatures required changed"),
    critical("EnabledModule", "a module was enabled"),
    critical("DisabledModule", "a module was disabled"),
    critical("ChangedGuard", "the guard changed"),
    critical("ChangedModuleGuard", "the module guard changed"),
    critical("ChangedFallbackHandler", "the fallback handler changed"),
    critical("ChangedMasterCopy", "the Safe's code was replaced"),
    critical("SafeSetup", "the Safe was set up"),
];

/// Weighs a new threshold. One above `registry.threshold` requires more signatures, which is the harmless direction.
/// Without a registry the direction is unknown, so it is treated as a reduction.
fn weigh(activity: &Activity, rules: &WatchRules) -> Option<Found> {
    if activity.kind == ActivityKind::Event || &*activity.deed.name != "changeThreshold" {
        return None;
    }
    let asked = activity.deed.args.first()?.value.as_uint()?;
    (asked > U256::from(rules.threshold?))
        .then(|| (Severity::High, "the number of signatures required changes".to_owned()))
}
