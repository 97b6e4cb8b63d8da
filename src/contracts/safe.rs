//! Safe 1.1.1 to 1.5.0.
//!
//! Source: OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol, SafeMigration.sol.

use super::control::{Control, ControlRow, Found, WatchedContract, critical_row, high_row};
use super::kind::Property::{CarriesOut, EtherLogsAddUp, FallbackHandler, Modules, ProposalService, Wallet};
use super::kind::{ContractKind, Envelope, NormalAct, UNLOGGED_BY_WALLETS, WALLET_EXECUTION_LOGS};
use super::shared_state::{CODE, FITS, HOLDINGS};
use super::state::ItemChange::{Becomes, Joins, Leaves};
use super::state::StatedValue::{Among, Arg, Begins};
use super::state::{ReadMethod, StateGroup, cause_row, slow_line, state_line, storage_slot};
use crate::abi::bundled;
use crate::model::state::OWNER_DELEGATE;
use crate::model::{Activity, ActivityKind, Severity};
use alloy_primitives::{B256, U256, b256};

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
    state: &[OWN_STATE, HOLDINGS, CODE, OWN_CODE, FITS],
    envelope: Some(Envelope::SafeTransaction),
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

/// keccak256("guard_manager.guard.address"). Source: GuardManager.sol, from 1.3.0 on.
const GUARD: B256 = b256!("4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8");
/// keccak256("module_manager.module_guard.address"). Source: ModuleManager.sol, from 1.5.0 on.
const MODULE_GUARD: B256 = b256!("b104e0b93118902c651344349b610029d694cfdec91c589c91ebafbcd0289947");
/// keccak256("fallback_manager.handler.address"). Source: FallbackManager.sol, from 1.1.0 on.
const FALLBACK_HANDLER: B256 = b256!("6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5");

/// `getOwners()`
pub(super) const GET_OWNERS: [u8; 4] = [0xa0, 0xe6, 0x7e, 0x2b];
/// `getModulesPaginated(address,uint256)`, starting at the sentinel, with a page of 50.
const GET_MODULES: &[u8] = &{
    let mut call = [0u8; 68];
    call[0] = 0xcc;
    call[1] = 0x2f;
    call[2] = 0x84;
    call[3] = 0x52;
    call[35] = 1;
    call[67] = 50;
    call
};

/// Slots of a Safe, which replaced code cannot misreport. Source: SafeStorage.sol and the order of its bases, the same
/// from 1.0.0 to 1.5.0; OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol and
/// Safe.sol 1.1.1 to 1.5.0 for the functions and events.
const OWN_STATE: &StateGroup = &StateGroup {
    lines: &[
        state_line("singleton", storage_slot(0)),
        state_line("module", ReadMethod::Linked { slot: 1, hint: GET_MODULES }),
        state_line("owner", ReadMethod::Linked { slot: 2, hint: &GET_OWNERS }),
        state_line("threshold", storage_slot(4)),
        state_line("nonce", storage_slot(5)),
        state_line("guard", ReadMethod::Slot(GUARD)),
        state_line("module-guard", ReadMethod::Slot(MODULE_GUARD)),
        state_line("fallback-handler", ReadMethod::Slot(FALLBACK_HANDLER)),
    ],
    causes: &[
        cause_row(
            "singleton",
            Becomes,
            &[("changeMasterCopy", Arg(0)), ("ChangedMasterCopy", Arg(0)), ("setup", Begins), ("SafeSetup", Begins)],
        ),
        cause_row(
            "owner",
            Joins,
            &[
                ("addOwnerWithThreshold", Arg(0)),
                ("swapOwner", Arg(2)),
                ("setup", Among(0)),
                ("AddedOwner", Arg(0)),
                ("SafeSetup", Among(1)),
            ],
        ),
        // The owner is the second argument, after the previous owner in the list.
        cause_row("owner", Leaves, &[("removeOwner", Arg(1)), ("swapOwner", Arg(1)), ("RemovedOwner", Arg(0))]),
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
            &[
                ("setFallbackHandler", Arg(0)),
                ("setup", Arg(4)),
                ("ChangedFallbackHandler", Arg(0)),
                ("SafeSetup", Arg(4)),
            ],
        ),
        cause_row("code", Becomes, &[("setup", Begins), ("SafeSetup", Begins)]),
        cause_row("implementation-code", Becomes, &[("setup", Begins), ("SafeSetup", Begins)]),
    ],
};

/// Code that a Safe and its owners run.
const OWN_CODE: &StateGroup = &StateGroup {
    lines: &[
        slow_line("implementation-code", ReadMethod::CodeBehind),
        slow_line(OWNER_DELEGATE, ReadMethod::Delegates { of: "owner" }),
    ],
    causes: &[],
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn selectors_and_slots_are_those_of_their_names() {
        assert_eq!(keccak256("getOwners()")[..4], GET_OWNERS);
        assert_eq!(keccak256("getModulesPaginated(address,uint256)")[..4], GET_MODULES[..4]);
        assert_eq!(keccak256("guard_manager.guard.address"), GUARD);
        assert_eq!(keccak256("module_manager.module_guard.address"), MODULE_GUARD);
        assert_eq!(keccak256("fallback_manager.handler.address"), FALLBACK_HANDLER);
    }
}
