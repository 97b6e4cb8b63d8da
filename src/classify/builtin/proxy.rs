//! Proxies: transparent, UUPS, beacon and diamond, and the ProxyAdmin in front of one.
//!
//! Source: EIP-1967, EIP-1822, EIP-2535; TransparentUpgradeableProxy.sol, UUPSUpgradeable.sol, UpgradeableBeacon.sol, ProxyAdmin.sol of
//! OpenZeppelin 3 to 5; AdminUpgradeabilityProxy.sol of ZeppelinOS.

use super::table::{Table, critical, names_say_all};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Proxy,
    unreadable: Severity::Critical,
    functions: &[
        critical("upgrade", "the contract's code is replaced"),
        critical("upgradeTo", "the contract's code is replaced"),
        critical("upgradeToAndCall", "the contract's code is replaced"),
        critical("upgradeAndCall", "the contract's code is replaced"),
        critical("diamondCut", "the contract's code is replaced"),
        critical("changeAdmin", "who may replace the code changes"),
        critical("changeProxyAdmin", "who may replace the code changes"),
        critical("initialize", "a live contract is initialized again"),
    ],
    events: &[
        critical("Upgraded", "the contract's code was replaced"),
        critical("AdminChanged", "who may replace the code changed"),
        critical("BeaconUpgraded", "where the contract takes its code from was replaced"),
        critical("DiamondCut", "the contract's code was replaced"),
        critical("Initialized", "a live contract was initialized again"),
    ],
    public: &[],
    gates: &[],
    weigh: names_say_all,
};
