//! ABIs that are built into the program, of the contracts that treasuries and tokens commonly use.
//!
//! The files are in `abis/`, which also documents their origin. A watch's own ABI always takes precedence over these.
//! When a rule gives a name without its signature, the first file that has the name is used: common contracts come
//! before special ones.

use std::sync::LazyLock;

use super::index::Abi;

macro_rules! bundle {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $name() -> &'static Abi {
                static ABI: LazyLock<Abi> = LazyLock::new(|| {
                    // The file is part of the program and read by a test: no input can make this fail.
                    Abi::from_json(include_str!(concat!("../../abis/", $file))).expect(concat!("abis/", $file, " is an ABI"))
                });
                &ABI
            }
        )*

        /// Every bundled ABI with the name of its file.
        pub fn bundled_abis() -> Vec<(&'static str, &'static Abi)> {
            vec![$(($file, $name())),*]
        }
    };
}

bundle! {
    /// Safe 1.1.1 to 1.5.0 and SafeL2, with both layouts of the events that changed in 1.4.1.
    safe = "safe.json";
    /// MultiSend and MultiSendCallOnly; [`super::multisend`] reads their packed list.
    multisend = "multisend.json";
    /// Libraries that a Safe runs by delegatecall: migrations, messages, creations, simulations.
    safe_libraries = "safe-libraries.json";
    /// The ConsenSys and Gnosis MultiSigWallet of solc 0.4, with its variant of a daily limit.
    multisig_wallet = "multisig-wallet.json";
    /// ERC-20, EIP-2612 `permit`, EIP-3009 authorizations, the allowance helpers, and the additions of ERC-677 and
    /// ERC-1363.
    erc20 = "erc20.json";
    /// Administrative functions and events of a token: minting, burning, pausing, lists, roles, ownership, upgrades.
    erc20_control = "erc20-control.json";
    /// MiniMeToken, such as SNT.
    minime = "minime.json";
    /// SNTPlaceHolder, the controller of SNT.
    snt_controller = "snt-controller.json";
    /// WETH9.
    weth9 = "weth9.json";
    /// OpenZeppelin TimelockController and Compound Timelock.
    timelock = "timelock.json";
    /// OpenZeppelin Governor with its extensions, Governor Alpha and Bravo, Aragon Voting.
    governor = "governor.json";
    /// Zodiac modules: Delay, Reality, and the functions that every module has.
    zodiac = "zodiac.json";
    /// Transparent, UUPS, beacon and diamond proxies, beacons, ProxyAdmin.
    proxy = "proxy.json";
    /// Contracts with a single owner, with the names used by OpenZeppelin, DappHub, Solmate, Solady, Compound and
    /// Curve.
    ownable = "ownable.json";
    /// OpenZeppelin AccessControl with default administrator rules.
    access_control = "access-control.json";
    /// The multi-owned wallet of EthDev and Parity.
    parity_multisig = "parity-multisig.json";
    /// OpenZeppelin VestingWallet and TokenVesting, and the function names that other locks use.
    vesting = "vesting.json";
    /// ENS registry, registrar, wrapper and resolver.
    ens = "ens.json";
    /// Permit2.
    permit2 = "permit2.json";
    /// ERC-4337 EntryPoint 0.6 to 0.8.
    entry_point = "entry-point.json";
    /// Smart accounts: the calls that an EntryPoint or an owner makes through them.
    smart_account = "smart-account.json";
    /// ERC-721 and ERC-1155: tokens that have ids.
    collectibles = "collectibles.json";
    /// ERC-6909: tokens with ids and an allowance for each id.
    erc6909 = "erc6909.json";
    /// ERC-777, ERC-223 and a form of ERC-1363: tokens that call the recipient of a transfer.
    erc777 = "erc777.json";
}

/// Returns all of them in one index, for a contract whose ABI is not known. An entry that is in several files appears
/// once.
pub fn combined_abi() -> &'static Abi {
    static ANY: LazyLock<Abi> =
        LazyLock::new(|| bundled_abis().into_iter().fold(Abi::default(), |merged, (_, abi)| merged.merge(abi)));
    &ANY
}

#[cfg(test)]
mod tests;
