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
    /// ERC-20, EIP-2612 `permit`, EIP-3009 authorizations and the helpers for allowances.
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

/// All of them in one index, for a contract of which nothing is known. What several files have is found once.
pub fn any() -> &'static Abi {
    static ANY: LazyLock<Abi> =
        LazyLock::new(|| all().into_iter().fold(Abi::default(), |merged, (_, abi)| merged.merge(abi)));
    &ANY
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, hex};

    use super::*;

    /// Signature and selector, as published with the contracts.
    #[track_caller]
    fn has_functions(abi: &Abi, expected: &[(&str, &str)]) {
        for (signature, selector) in expected {
            let bytes = hex::decode_to_array::<_, 4>(selector).unwrap_or_else(|e| panic!("{selector}: {e}"));
            assert_eq!(abi.function(bytes).map(|f| &*f.signature), Some(*signature), "{selector}");
        }
    }

    /// Signature, first bytes of its topic, and the numbers of topics its layouts have.
    #[track_caller]
    fn has_events(abi: &Abi, expected: &[(&str, &str, &[usize])]) {
        for (signature, topic, layouts) in expected {
            let events = abi.events_named(signature);
            assert_eq!(events.iter().map(|e| e.n_topics()).collect::<Vec<_>>(), *layouts, "{signature}");
            for event in events {
                let topic0 = event.topic0.unwrap_or_default();
                assert!(format!("{topic0:#x}").starts_with(topic), "{signature}: {topic0}");
                let topics = [vec![topic0], vec![B256::ZERO; event.n_topics() - 1]].concat();
                assert_eq!(abi.event_for(&topics), Some(event));
            }
        }
    }

    #[test]
    fn the_index_of_all_has_what_each_of_them_has() {
        for (file, abi) in all() {
            for function in abi.functions() {
                let found = any().functions_of(function.selector);
                assert!(
                    found.iter().any(|known| known.signature == function.signature),
                    "{file}: {}",
                    function.signature
                );
            }
            for event in abi.all_events() {
                let topics = [vec![event.topic0.unwrap_or_default()], vec![B256::ZERO; event.n_topics() - 1]].concat();
                assert!(any().event_for(&topics).is_some(), "{file}: {}", event.signature);
                assert!(!event.anonymous, "an anonymous event would fit logs of any contract");
            }
        }
    }

    #[test]
    fn every_bundled_file_is_an_abi() {
        for (file, abi) in all() {
            assert!(abi.functions().len() > 0, "{file}");
        }
    }

    #[test]
    fn safe_has_its_functions_and_both_layouts_of_its_events() {
        has_functions(
            safe(),
            &[
                (
                    "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
                    "0x6a761202",
                ),
                ("execTransactionFromModule(address,uint256,bytes,uint8)", "0x468721a7"),
                ("execTransactionFromModuleReturnData(address,uint256,bytes,uint8)", "0x5229073f"),
                ("setup(address[],uint256,address,bytes,address,address,uint256,address)", "0xb63e800d"),
                ("addOwnerWithThreshold(address,uint256)", "0x0d582f13"),
                ("removeOwner(address,address,uint256)", "0xf8dc5dd9"),
                ("swapOwner(address,address,address)", "0xe318b52b"),
                ("changeThreshold(uint256)", "0x694e80c3"),
                ("enableModule(address)", "0x610b5925"),
                ("disableModule(address,address)", "0xe009cfde"),
                ("setGuard(address)", "0xe19a9dd9"),
                ("setModuleGuard(address)", "0xe068df37"),
                ("setFallbackHandler(address)", "0xf08a0323"),
                ("changeMasterCopy(address)", "0x7de7edef"),
                ("approveHash(bytes32)", "0xd4d9bdcd"),
                ("simulateAndRevert(address,bytes)", "0xb4faba09"),
                ("signMessage(bytes)", "0x85a5affe"),
            ],
        );
        has_events(
            safe(),
            &[
                ("ExecutionSuccess(bytes32,uint256)", "0x442e715f626346e8", &[2, 1]),
                ("ExecutionFailure(bytes32,uint256)", "0x23428b18acfb3ea6", &[2, 1]),
                ("ExecutionFromModuleSuccess(address)", "0x6895c13664aa4f67", &[2]),
                ("ExecutionFromModuleFailure(address)", "0xacd2c870", &[2]),
                ("AddedOwner(address)", "0x9465fa0c962cc769", &[2, 1]),
                ("RemovedOwner(address)", "0xf8d49fc529812e9a", &[2, 1]),
                ("ChangedThreshold(uint256)", "0x610f7ff2b304ae89", &[1]),
                ("EnabledModule(address)", "0xecdf3a3effea5783", &[2, 1]),
                ("DisabledModule(address)", "0xaab4fa2b463f581b", &[2, 1]),
                ("ChangedGuard(address)", "0x1151116914515bc0", &[2, 1]),
                ("ChangedModuleGuard(address)", "0xcd1966d6be16bc0c", &[2]),
                ("ChangedFallbackHandler(address)", "0x5ac6c46c93c8d0e5", &[2, 1]),
                ("ChangedMasterCopy(address)", "0x75e41bc35ff1bf14", &[1]),
                ("ApproveHash(bytes32,address)", "0xf2a0eb156472d144", &[3]),
                ("SafeSetup(address,address[],uint256,address,address)", "0x141df868", &[2]),
                (
                    "SafeMultiSigTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes,bytes)",
                    "0x66753cd2",
                    &[1],
                ),
                ("SafeModuleTransaction(address,address,uint256,bytes,uint8)", "0xb648d364", &[1]),
            ],
        );
        assert!(safe().takes_ether());
        has_functions(multisend(), &[("multiSend(bytes)", "0x8d80ff0a")]);
    }

    #[test]
    fn the_legacy_wallet_has_its_functions_and_events() {
        has_functions(
            multisig_wallet(),
            &[
                ("submitTransaction(address,uint256,bytes)", "0xc6427474"),
                ("confirmTransaction(uint256)", "0xc01a8c84"),
                ("revokeConfirmation(uint256)", "0x20ea8d86"),
                ("executeTransaction(uint256)", "0xee22610b"),
                ("addOwner(address)", "0x7065cb48"),
                ("removeOwner(address)", "0x173825d9"),
                ("replaceOwner(address,address)", "0xe20056e6"),
                ("changeRequirement(uint256)", "0xba51a6df"),
                ("changeDailyLimit(uint256)", "0xcea08621"),
                ("transactions(uint256)", "0x9ace38c2"),
                ("getOwners()", "0xa0e67e2b"),
                ("required()", "0xdc8452cd"),
                ("transactionCount()", "0xb77bf600"),
            ],
        );
        has_events(
            multisig_wallet(),
            &[
                ("Submission(uint256)", "0xc0ba8fe4b176c171", &[2]),
                ("Confirmation(address,uint256)", "0x4a504a94899432a9", &[3]),
                ("Revocation(address,uint256)", "0xf6a317157440607f", &[3]),
                ("Execution(uint256)", "0x33e13ecb54c3076d", &[2]),
                ("ExecutionFailure(uint256)", "0x526441bb6c1aba3c", &[2]),
                ("OwnerAddition(address)", "0xf39e6e1eb0edcf53", &[2]),
                ("OwnerRemoval(address)", "0x8001553a916ef2f4", &[2]),
                ("RequirementChange(uint256)", "0xa3f1ee9126a074d9", &[1]),
                ("DailyLimitChange(uint256)", "0xc71bdc6a", &[1]),
            ],
        );
        let outputs = multisig_wallet().functions_named("transactions")[0].outputs.iter().map(|o| &*o.ty);
        assert_eq!(outputs.collect::<Vec<_>>(), ["address", "uint256", "bytes", "bool"]);
        assert!(multisig_wallet().takes_ether());
    }

    #[test]
    fn tokens_have_their_functions_and_events() {
        let standard = [
            ("transfer(address,uint256)", "0xa9059cbb"),
            ("transferFrom(address,address,uint256)", "0x23b872dd"),
            ("approve(address,uint256)", "0x095ea7b3"),
        ];
        has_functions(erc20(), &standard);
        has_functions(minime(), &standard);
        has_functions(weth9(), &standard);
        has_functions(
            erc20(),
            &[
                ("increaseAllowance(address,uint256)", "0x39509351"),
                ("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", "0xd505accf"),
                (
                    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
                    "0xe3ee160e",
                ),
                ("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)", "0xcf092995"),
                ("cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)", "0x5a049a70"),
            ],
        );
        has_events(erc20(), &[("AuthorizationUsed(address,bytes32)", "0x98de503528ee59b5", &[3])]);
        has_functions(
            minime(),
            &[
                ("changeController(address)", "0x3cebb823"),
                ("generateTokens(address,uint256)", "0x827f32c0"),
                ("destroyTokens(address,uint256)", "0xd3ce77fe"),
                ("enableTransfers(bool)", "0xf41e60c5"),
                ("claimTokens(address)", "0xdf8de3e7"),
                ("approveAndCall(address,uint256,bytes)", "0xcae9ca51"),
                ("createCloneToken(string,uint8,string,uint256,bool)", "0x6638c087"),
                ("controller()", "0xf77c4791"),
                ("transfersEnabled()", "0xbef97c87"),
            ],
        );
        has_functions(
            snt_controller(),
            &[
                ("changeController(address)", "0x3cebb823"),
                ("changeOwner(address)", "0xa6f9dae1"),
                ("acceptOwnership()", "0x79ba5097"),
                ("proxyPayment(address)", "0xf48c3054"),
                ("onTransfer(address,address,uint256)", "0x4a393149"),
                ("onApprove(address,address,uint256)", "0xda682aeb"),
            ],
        );
        for abi in [erc20(), minime(), weth9()] {
            has_events(
                abi,
                &[
                    ("Transfer(address,address,uint256)", "0xddf252ad", &[3]),
                    ("Approval(address,address,uint256)", "0x8c5be1e5", &[3]),
                ],
            );
        }
        has_events(
            minime(),
            &[
                ("ClaimedTokens(address,address,uint256)", "0xf931edb47c50b4b4", &[3]),
                ("NewCloneToken(address,uint256)", "0x086c875b377f900b", &[2]),
            ],
        );
        has_events(snt_controller(), &[("ControllerChanged(address)", "0x027c3e080ed9215f", &[2])]);
        // The same topic as the legacy wallet's: topics alone never say who speaks.
        assert_eq!(
            weth9().events_named("Deposit(address,uint256)")[0].topic0,
            multisig_wallet().events_named("Deposit(address,uint256)")[0].topic0
        );
    }

    #[test]
    fn control_functions_of_common_tokens_are_known() {
        has_functions(
            erc20_control(),
            &[
                ("pause()", "0x8456cb59"),
                ("unpause()", "0x3f4ba83a"),
                ("blacklist(address)", "0xf9f92be4"),
                ("unBlacklist(address)", "0x1a895266"),
                ("mint(address,uint256)", "0x40c10f19"),
                ("burnFrom(address,uint256)", "0x79cc6790"),
                ("configureMinter(address,uint256)", "0x4e44d956"),
                ("removeMinter(address)", "0x3092afd5"),
                ("updateMasterMinter(address)", "0xaa20e1e4"),
                ("updatePauser(address)", "0x554bab3c"),
                ("updateBlacklister(address)", "0xad38bf22"),
                ("rescueERC20(address,address,uint256)", "0xb2118a8d"),
                ("upgradeTo(address)", "0x3659cfe6"),
                ("upgradeToAndCall(address,bytes)", "0x4f1ef286"),
                ("changeAdmin(address)", "0x8f283970"),
                ("issue(uint256)", "0xcc872b66"),
                ("redeem(uint256)", "0xdb006a75"),
                ("addBlackList(address)", "0x0ecb93c0"),
                ("removeBlackList(address)", "0xe4997dc5"),
                ("destroyBlackFunds(address)", "0xf3bdc228"),
                ("deprecate(address)", "0x0753c30c"),
                ("setParams(uint256,uint256)", "0xc0324c77"),
                ("transferOwnership(address)", "0xf2fde38b"),
                ("renounceOwnership()", "0x715018a6"),
                ("setOwner(address)", "0x13af4035"),
                ("setAuthority(address)", "0x7a9e5e4b"),
                ("rely(address)", "0x65fae35e"),
                ("deny(address)", "0x9c52a7f1"),
                ("setPendingAdmin(address)", "0x4dd18bf5"),
                ("acceptAdmin()", "0x0e18b681"),
                ("setController(address)", "0x92eefe9b"),
                ("addMinter(address)", "0x983b2d56"),
                ("setMinter(address)", "0xfca3b5aa"),
                ("grantRole(bytes32,address)", "0x2f2ff15d"),
                ("revokeRole(bytes32,address)", "0xd547741f"),
                ("renounceRole(bytes32,address)", "0x36568abe"),
                ("beginDefaultAdminTransfer(address)", "0x634e93da"),
                ("changeDefaultAdminDelay(uint48)", "0x649a5ec7"),
                ("initialize()", "0x8129fc1c"),
                ("initialize(address)", "0xc4d66de8"),
            ],
        );
        has_events(
            erc20_control(),
            &[
                ("Upgraded(address)", "0xbc7cd75a20ee27fd", &[2, 1]),
                ("AdminChanged(address,address)", "0x7e644d79422f17c0", &[1]),
                ("OwnershipTransferred(address,address)", "0x8be0079c531659141", &[3, 1]),
                ("OwnershipTransferStarted(address,address)", "0x38d16b8c", &[3]),
                ("RoleGranted(bytes32,address,address)", "0x2f8788117e7eff1d", &[4]),
                ("RoleRevoked(bytes32,address,address)", "0xf6391f5c", &[4]),
                ("RoleAdminChanged(bytes32,bytes32,bytes32)", "0xbd79b86f", &[4]),
                ("DefaultAdminTransferScheduled(address,uint48)", "0x3377dc44", &[2]),
                ("DefaultAdminDelayChangeScheduled(uint48,uint48)", "0xf1038c18", &[1]),
                ("BeaconUpgraded(address)", "0x1cf3b03a", &[2]),
                ("Initialized(uint8)", "0x7f26b83f", &[1]),
                ("Initialized(uint64)", "0xc7f505b2", &[1]),
                ("Paused(address)", "0x62e78cea", &[1]),
                ("Unpaused(address)", "0x5db9ee0a", &[1]),
                ("Pause()", "0x6985a022", &[1]),
                ("MinterAdded(address)", "0x6ae17283", &[2]),
                ("MinterConfigured(address,uint256)", "0x46980fca", &[2]),
                ("Issue(uint256)", "0xcb8241ad", &[1]),
                ("Blacklisted(address)", "0xffa4e61817776925", &[2]),
                ("AddedBlackList(address)", "0x42e160154868087d", &[1]),
                ("NewController(address)", "0xe253457d9ad994ca", &[1, 2]),
                ("LogSetOwner(address)", "0xce241d7c", &[2]),
                ("LogSetAuthority(address)", "0x1abebea8", &[2]),
            ],
        );
    }
}
