//! ABIs that come with the program, of the contracts treasuries and tokens are made of.
//!
//! The files stand in `abis/`; where each is from is told there. A watch's own ABI always goes before these.

use std::sync::LazyLock;

use super::index::Abi;

macro_rules! bundle {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $name() -> &'static Abi {
                static ABI: LazyLock<Abi> = LazyLock::new(|| {
                    // Part of the program, read by a test: no input can make it fail.
                    Abi::from_json(include_str!(concat!("../../abis/", $file))).expect(concat!("abis/", $file, " is an ABI"))
                });
                &ABI
            }
        )*

        /// Every bundled ABI with the name of its file.
        pub fn all() -> Vec<(&'static str, &'static Abi)> {
            vec![$(($file, $name())),*]
        }
    };
}

bundle! {
    /// Safe 1.1.1 to 1.5.0 and SafeL2, with both layouts of the events that changed in 1.4.1.
    safe = "safe.json";
    /// MultiSend and MultiSendCallOnly; their packed list is read by [`super::multisend`].
    multisend = "multisend.json";
    /// The ConsenSys and Gnosis MultiSigWallet of solc 0.4, with its variant of a daily limit.
    multisig_wallet = "multisig-wallet.json";
    /// ERC-20, EIP-2612 `permit` and the helpers for allowances.
    erc20 = "erc20.json";
    /// What rules over a token: minting, burning, pausing, lists, roles, ownership, upgrades.
    erc20_control = "erc20-control.json";
    /// MiniMeToken, such as SNT.
    minime = "minime.json";
    /// SNTPlaceHolder, the controller of SNT.
    snt_controller = "snt-controller.json";
    /// WETH9.
    weth9 = "weth9.json";
}
