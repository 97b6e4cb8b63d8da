//! Proxies: transparent, UUPS, beacon and diamond, and the ProxyAdmin in front of one.
//!
//! Source: EIP-1967, EIP-1822, EIP-2535; TransparentUpgradeableProxy.sol, UUPSUpgradeable.sol, UpgradeableBeacon.sol, ProxyAdmin.sol of
//! OpenZeppelin 3 to 5; AdminUpgradeabilityProxy.sol of ZeppelinOS.

use super::control::{Control, critical_row};
use super::kind::ContractKind;
use super::kind::Property::{LogsFollowCalls, Open, Proxy};
use crate::abi::bundled;
use crate::model::Severity;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "proxy",
    about: "transparent, UUPS and beacon proxies, beacons, diamonds, ProxyAdmin",
    abis: &[bundled::proxy],
    properties: &[Open, Proxy, LogsFollowCalls],
    control: Control {
        unreadable: Severity::Critical,
        functions: &[
            critical_row("upgrade", "the contract's code is replaced"),
            critical_row("upgradeTo", "the contract's code is replaced"),
            critical_row("upgradeToAndCall", "the contract's code is replaced"),
            critical_row("upgradeAndCall", "the contract's code is replaced"),
            critical_row("diamondCut", "the contract's code is replaced"),
            critical_row("changeAdmin", "who may replace the code changes"),
            critical_row("changeProxyAdmin", "who may replace the code changes"),
            critical_row("initialize", "a live contract is initialized again"),
        ],
        events: &[
            critical_row("Upgraded", "the contract's code was replaced"),
            critical_row("AdminChanged", "who may replace the code changed"),
            critical_row("BeaconUpgraded", "where the contract takes its code from was replaced"),
            critical_row("DiamondCut", "the contract's code was replaced"),
            critical_row("Initialized", "a live contract was initialized again"),
        ],
        elsewhere: true,
        ..Control::BASE
    },
    ..ContractKind::BASE
};
