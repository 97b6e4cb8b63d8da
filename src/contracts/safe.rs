//! Safe 1.1.1 to 1.5.0.
//!
//! Source: OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol, SafeMigration.sol.

use super::control::{Control, ControlRow, Found, WatchedContract, critical_row, high_row};
use super::kind::Property::{CarriesOut, EtherLogsAddUp, FallbackHandler, Modules, ProposalService, Wallet};
use super::kind::{ContractKind, NormalAct, UNLOGGED_BY_WALLETS, WALLET_EXECUTION_LOGS};
use crate::abi::bundled;
use crate::model::{Activity, ActivityKind, Severity};
use alloy_primitives::U256;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "safe",
    about: "Safe 1.1.1 to 1.5.0",
    abis: &[bundled::safe],
    properties: &[Wallet, CarriesOut, EtherLogsAddUp, ProposalService, Modules, FallbackHandler],
    entry_points: &["execTransaction", "execTransactionFromModule", "execTransactionFromModuleReturnData"],
    essentials: &[("threshold", true), ("singleton", true)],
    ether_logs: &["SafeReceived(address,uint256)"],
    execution_logs: WALLET_EXECUTION_LOGS,
    normal_act: Some(NormalAct::Rejection),
    quiet_calls: &["approveHash"],
    known_outflow: Severity::Critical,
    unlogged: UNLOGGED_BY_WALLETS,
    unread: Some("who signed its transactions, and whether an allowance exceeds the supply"),
    control: Control {
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
        weigh: assess_activity,
        ..Control::BASE
    },
    ..ContractKind::BASE
};

const EVENTS: &[ControlRow] = &[
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
fn assess_activity(activity: &Activity, own: &WatchedContract) -> Option<Found> {
    if activity.kind == ActivityKind::Event || &*activity.deed.name != "changeThreshold" {
        return None;
    }
    let asked = activity.deed.args.first()?.value.as_uint()?;
    (asked > U256::from(own.threshold?))
        .then(|| (Severity::High, "the number of signatures required changes".to_owned()))
}
