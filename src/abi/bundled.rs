//! ABIs that come with the program, of the contracts treasuries and tokens are made of.
//!
//! The files stand in `abis/`; where each is from is told there. A watch's own ABI always goes before these. Where a name alone is
//! written, the first of them that has it is meant: what is common stands before what is special.

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
    /// OpenZeppelin TimelockController and Compound Timelock.
    timelock = "timelock.json";
    /// OpenZeppelin Governor with its extensions, Governor Alpha and Bravo, Aragon Voting.
    governor = "governor.json";
    /// Zodiac modules: Delay, Reality, and what every module has.
    zodiac = "zodiac.json";
    /// Transparent, UUPS, beacon and diamond proxies, beacons, ProxyAdmin.
    proxy = "proxy.json";
    /// One owner, by the names of OpenZeppelin, DappHub, Solmate, Solady, Compound and Curve.
    ownable = "ownable.json";
    /// OpenZeppelin AccessControl with default administrator rules.
    access_control = "access-control.json";
    /// The multi-owned wallet of EthDev and Parity.
    parity_multisig = "parity-multisig.json";
    /// OpenZeppelin VestingWallet and TokenVesting, and the names other locks use.
    vesting = "vesting.json";
    /// ENS registry, registrar, wrapper and resolver.
    ens = "ens.json";
    /// Permit2.
    permit2 = "permit2.json";
    /// ERC-4337 EntryPoint 0.6 to 0.8.
    entry_point = "entry-point.json";
    /// Accounts that are contracts: the calls an EntryPoint or an owner has them make.
    smart_account = "smart-account.json";
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

    #[test]
    fn no_selector_and_no_topic_has_two_meanings_in_the_index_of_all() {
        for function in any().functions() {
            assert_eq!(any().functions_of(function.selector).len(), 1, "{}", function.signature);
        }
        for event in any().all_events() {
            let same = any().events(event.topic0.unwrap_or_default());
            assert!(same.iter().all(|other| other.signature == event.signature), "{}", event.signature);
        }
    }

    #[test]
    fn timelocks_have_their_functions_and_events() {
        has_functions(
            timelock(),
            &[
                ("schedule(address,uint256,bytes,bytes32,bytes32,uint256)", "0x01d5062a"),
                ("scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)", "0x8f2a0bb0"),
                ("execute(address,uint256,bytes,bytes32,bytes32)", "0x134008d3"),
                ("executeBatch(address[],uint256[],bytes[],bytes32,bytes32)", "0xe38335e5"),
                ("cancel(bytes32)", "0xc4d252f5"),
                ("updateDelay(uint256)", "0x64d62353"),
                ("queueTransaction(address,uint256,string,bytes,uint256)", "0x3a66f901"),
                ("executeTransaction(address,uint256,string,bytes,uint256)", "0x0825f38f"),
                ("cancelTransaction(address,uint256,string,bytes,uint256)", "0x591fcdfe"),
                ("setDelay(uint256)", "0xe177246e"),
            ],
        );
        has_events(
            timelock(),
            &[
                ("CallScheduled(bytes32,uint256,address,uint256,bytes,bytes32,uint256)", "0x4cf4410c", &[3]),
                ("CallExecuted(bytes32,uint256,address,uint256,bytes)", "0xc2617efa", &[3]),
                ("Cancelled(bytes32)", "0xbaa1eb22", &[2]),
                ("MinDelayChange(uint256,uint256)", "0x11c24f4e", &[1]),
                ("NewDelay(uint256)", "0x948b1f6a", &[2]),
                ("QueueTransaction(bytes32,address,uint256,string,bytes,uint256)", "0x76e2796d", &[3]),
                ("ExecuteTransaction(bytes32,address,uint256,string,bytes,uint256)", "0xa560e319", &[3]),
            ],
        );
    }

    #[test]
    fn governors_and_modules_have_their_functions_and_events() {
        has_functions(
            governor(),
            &[
                ("propose(address[],uint256[],bytes[],string)", "0x7d5e81e2"),
                ("propose(address[],uint256[],string[],bytes[],string)", "0xda95691a"),
                ("castVote(uint256,uint8)", "0x56781388"),
                ("queue(address[],uint256[],bytes[],bytes32)", "0x160cbed7"),
                ("queue(uint256)", "0xddf0b009"),
                ("execute(address[],uint256[],bytes[],bytes32)", "0x2656227d"),
                ("execute(uint256)", "0xfe0d94c1"),
                ("cancel(address[],uint256[],bytes[],bytes32)", "0x452115d6"),
                ("relay(address,uint256,bytes)", "0xc28bc2fa"),
                ("updateTimelock(address)", "0xa890c910"),
                ("setVotingDelay(uint48)", "0x79051887"),
                ("setVotingDelay(uint256)", "0x70b0f660"),
                ("setVotingPeriod(uint32)", "0xe540d01d"),
                ("setVotingPeriod(uint256)", "0xea0217cf"),
                ("updateQuorumNumerator(uint256)", "0x06f3f9e6"),
                ("newVote(bytes,string)", "0xd5db2c80"),
                ("forward(bytes)", "0xd948d468"),
            ],
        );
        has_events(
            governor(),
            &[
                (
                    "ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)",
                    "0x7d84a626",
                    &[1],
                ),
                ("VoteCast(address,uint256,uint8,uint256,string)", "0xb8e13888", &[2]),
                ("ProposalExecuted(uint256)", "0x712ae138", &[1]),
                ("ProposalCanceled(uint256)", "0x789cf55b", &[1]),
                ("QuorumNumeratorUpdated(uint256,uint256)", "0x0553476b", &[1]),
                ("VotingDelaySet(uint256,uint256)", "0xc565b045", &[1]),
                ("VotingPeriodSet(uint256,uint256)", "0x7e3f7f07", &[1]),
                ("ProposalThresholdSet(uint256,uint256)", "0xccb45da8", &[1]),
                ("TimelockChange(address,address)", "0x08f74ea4", &[1]),
                ("StartVote(uint256,address,string)", "0x4d72fe05", &[3]),
                ("ExecuteVote(uint256)", "0xbf8e2b10", &[2]),
                ("SetPermission(address,address,bytes32,bool)", "0x759b9a74", &[4]),
            ],
        );
        has_functions(
            zodiac(),
            &[
                ("addProposal(string,bytes32[])", "0x8dcd2661"),
                ("executeProposalWithIndex(string,bytes32[],address,uint256,bytes,uint8,uint256)", "0x14604b8c"),
                ("setAvatar(address)", "0x086cfca8"),
                ("setTarget(address)", "0x776d1a01"),
            ],
        );
        has_events(
            zodiac(),
            &[
                ("ProposalQuestionCreated(bytes32,string)", "0xa1f50470", &[3]),
                ("TargetSet(address,address)", "0x90cc2f57", &[3]),
            ],
        );
    }

    #[test]
    fn proxies_owners_and_roles_have_their_functions_and_events() {
        has_functions(
            proxy(),
            &[
                ("upgradeTo(address)", "0x3659cfe6"),
                ("upgradeToAndCall(address,bytes)", "0x4f1ef286"),
                ("upgrade(address,address)", "0x99a88ec4"),
                ("upgradeAndCall(address,address,bytes)", "0x9623609d"),
                ("changeAdmin(address)", "0x8f283970"),
                ("changeProxyAdmin(address,address)", "0x7eff275e"),
                ("initialize()", "0x8129fc1c"),
                ("initialize(address)", "0xc4d66de8"),
                ("diamondCut((address,uint8,bytes4[])[],address,bytes)", "0x1f931c1c"),
            ],
        );
        has_events(
            proxy(),
            &[
                ("Upgraded(address)", "0xbc7cd75a", &[2, 1]),
                ("AdminChanged(address,address)", "0x7e644d79", &[1]),
                ("BeaconUpgraded(address)", "0x1cf3b03a", &[2]),
                ("Initialized(uint8)", "0x7f26b83f", &[1]),
                ("Initialized(uint64)", "0xc7f505b2", &[1]),
                ("DiamondCut((address,uint8,bytes4[])[],address,bytes)", "0x8faa7087", &[1]),
            ],
        );
        has_functions(
            ownable(),
            &[
                ("transferOwnership(address)", "0xf2fde38b"),
                ("renounceOwnership()", "0x715018a6"),
                ("acceptOwnership()", "0x79ba5097"),
                ("changeOwner(address)", "0xa6f9dae1"),
                ("setOwner(address)", "0x13af4035"),
                ("setAuthority(address)", "0x7a9e5e4b"),
                ("rely(address)", "0x65fae35e"),
                ("deny(address)", "0x9c52a7f1"),
                ("setPendingAdmin(address)", "0x4dd18bf5"),
                ("acceptAdmin()", "0x0e18b681"),
                ("_setPendingAdmin(address)", "0xb71d1a0c"),
                ("_acceptAdmin()", "0xe9c714f2"),
                ("commit_transfer_ownership(address)", "0x6b441a40"),
                ("apply_transfer_ownership()", "0x6a1c05ae"),
                ("setController(address)", "0x92eefe9b"),
            ],
        );
        has_events(
            ownable(),
            &[
                ("OwnershipTransferred(address,address)", "0x8be0079c", &[3, 1]),
                ("OwnershipTransferStarted(address,address)", "0x38d16b8c", &[3]),
                ("OwnershipTransferRequested(address,address)", "0xed8889f5", &[3]),
                ("OwnerUpdated(address,address)", "0x8292fce1", &[3]),
                ("OwnershipHandoverRequested(address)", "0xdbf36a10", &[2]),
                ("OwnerChanged(address,address)", "0xb532073b", &[1]),
                ("LogSetOwner(address)", "0xce241d7c", &[2]),
                ("LogSetAuthority(address)", "0x1abebea8", &[2]),
                ("NewAdmin(address)", "0x71614071", &[2]),
                ("NewPendingAdmin(address)", "0x69d78e38", &[2]),
                ("CommitOwnership(address)", "0x2f56810a", &[1]),
                ("ApplyOwnership(address)", "0xebee2d57", &[1]),
                ("ControllerUpgraded(address)", "0x77ad8467", &[1]),
            ],
        );
        has_functions(
            access_control(),
            &[
                ("grantRole(bytes32,address)", "0x2f2ff15d"),
                ("revokeRole(bytes32,address)", "0xd547741f"),
                ("renounceRole(bytes32,address)", "0x36568abe"),
                ("beginDefaultAdminTransfer(address)", "0x634e93da"),
                ("changeDefaultAdminDelay(uint48)", "0x649a5ec7"),
                ("setRoleAdmin(bytes32,bytes32)", "0x1e4e0091"),
                ("createPermission(address,address,bytes32,address)", "0xbe038478"),
                ("grantPermission(address,address,bytes32)", "0x0a8ed3db"),
                ("revokePermission(address,address,bytes32)", "0x9d0effdb"),
                ("setPermissionManager(address,address,bytes32)", "0xafd925df"),
            ],
        );
        has_events(
            access_control(),
            &[
                ("SetPermission(address,address,bytes32,bool)", "0x759b9a74", &[4]),
                ("SetPermissionParams(address,address,bytes32,bytes32)", "0x8dfee25d", &[4]),
                ("ChangePermissionManager(address,bytes32,address)", "0xf3addc8b", &[4]),
                ("RoleGranted(bytes32,address,address)", "0x2f878811", &[4]),
                ("RoleRevoked(bytes32,address,address)", "0xf6391f5c", &[4]),
                ("RoleAdminChanged(bytes32,bytes32,bytes32)", "0xbd79b86f", &[4]),
                ("DefaultAdminTransferScheduled(address,uint48)", "0x3377dc44", &[2]),
                ("DefaultAdminDelayChangeScheduled(uint48,uint48)", "0xf1038c18", &[1]),
            ],
        );
    }

    #[test]
    fn the_oldest_wallets_and_the_locks_have_their_functions_and_events() {
        has_functions(
            parity_multisig(),
            &[
                ("execute(address,uint256,bytes)", "0xb61d27f6"),
                ("confirm(bytes32)", "0x797af627"),
                ("revoke(bytes32)", "0xb75c7dc6"),
                ("changeOwner(address,address)", "0xf00d4b5d"),
                ("initWallet(address[],uint256,uint256)", "0xe46dcfeb"),
                ("initMultiowned(address[],uint256)", "0xc57c5f60"),
                ("initDaylimit(uint256)", "0x9da5e0eb"),
                ("kill(address)", "0xcbf0b0c0"),
                ("setDailyLimit(uint256)", "0xb20d30a9"),
            ],
        );
        has_events(
            parity_multisig(),
            &[
                ("OwnerChanged(address,address)", "0xb532073b", &[1]),
                ("OwnerAdded(address)", "0x994a9366", &[1]),
                ("OwnerRemoved(address)", "0x58619076", &[1]),
                ("RequirementChanged(uint256)", "0xacbdb084", &[1]),
                ("MultiTransact(address,bytes32,uint256,address,bytes,address)", "0xe3a3a411", &[1]),
                ("SingleTransact(address,uint256,address,bytes,address)", "0x9738cd1a", &[1]),
                ("ConfirmationNeeded(bytes32,address,uint256,address,bytes)", "0x1733cbb5", &[1]),
            ],
        );
        has_functions(
            vesting(),
            &[
                ("release()", "0x86d1a69f"),
                ("release(address)", "0x19165587"),
                ("revoke(address)", "0x74a8f103"),
                ("setBeneficiary(address)", "0x1c31f710"),
                ("emergencyExit(address)", "0xa441d067"),
                ("emergencyWithdraw(address)", "0x6ff1c9bc"),
            ],
        );
        has_events(
            vesting(),
            &[
                ("ERC20Released(address,uint256)", "0xc0e52349", &[2]),
                ("EtherReleased(uint256)", "0xda9d4e5f", &[1]),
                ("TokensReleased(address,uint256)", "0xc7798891", &[1]),
                ("TokenVestingRevoked(address)", "0x39983c6d", &[1]),
            ],
        );
    }

    #[test]
    fn ens_has_its_functions_and_events() {
        has_functions(
            ens(),
            &[
                ("setOwner(bytes32,address)", "0x5b0fc9c3"),
                ("setResolver(bytes32,address)", "0x1896f70a"),
                ("setSubnodeOwner(bytes32,bytes32,address)", "0x06ab5923"),
                ("setSubnodeRecord(bytes32,bytes32,address,address,uint64)", "0x5ef2c7f0"),
                ("setRecord(bytes32,address,address,uint64)", "0xcf408823"),
                ("setApprovalForAll(address,bool)", "0xa22cb465"),
                ("setAddr(bytes32,address)", "0xd5fa2b00"),
                ("setContenthash(bytes32,bytes)", "0x304e6ade"),
                ("setText(bytes32,string,string)", "0x10f13a8c"),
                ("reclaim(uint256,address)", "0x28ed4f6c"),
                ("setFuses(bytes32,uint16)", "0x402906fc"),
                ("renew(string,uint256)", "0xacf1a841"),
            ],
        );
        has_events(
            ens(),
            &[
                ("Transfer(bytes32,address)", "0xd4735d92", &[2]),
                ("NewOwner(bytes32,bytes32,address)", "0xce0457fe", &[3]),
                ("NewResolver(bytes32,address)", "0x335721b0", &[2]),
                ("AddrChanged(bytes32,address)", "0x52d7d861", &[2]),
                ("AddressChanged(bytes32,uint256,bytes)", "0x65412581", &[2]),
                ("ContenthashChanged(bytes32,bytes)", "0xe379c162", &[2]),
                ("TextChanged(bytes32,string,string,string)", "0x448bc014", &[3]),
                ("NameWrapped(bytes32,bytes,address,uint32,uint64)", "0x8ce7013e", &[2]),
                ("FusesSet(bytes32,uint32)", "0x39873f00", &[2]),
                ("ApprovalForAll(address,address,bool)", "0x17307eab", &[3]),
                ("ControllerAdded(address)", "0x0a8bb315", &[2]),
                ("NameRenewed(uint256,uint256)", "0x9b87a00e", &[2]),
                ("NameRenewed(string,bytes32,uint256,uint256)", "0x3da24c02", &[2]),
            ],
        );
    }

    #[test]
    fn permits_and_accounts_have_their_functions_and_events() {
        has_functions(
            permit2(),
            &[
                ("approve(address,address,uint160,uint48)", "0x87517c45"),
                ("permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)", "0x2b67b570"),
                ("permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)", "0x2a2d80d1"),
                (
                    "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)",
                    "0x30f28b7a",
                ),
                (
                    "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)",
                    "0xedd9444b",
                ),
                ("transferFrom(address,address,uint160,address)", "0x36c78516"),
                ("lockdown((address,address)[])", "0xcc53287f"),
            ],
        );
        has_events(
            permit2(),
            &[
                ("Permit(address,address,address,uint160,uint48,uint48)", "0xc6a377bf", &[4]),
                ("Approval(address,address,address,uint160,uint48)", "0xda9fa7c1", &[4]),
                ("Lockdown(address,address,address)", "0x89b1add1", &[2]),
            ],
        );
        has_functions(smart_account(), &[("execute(address,uint256,bytes)", "0xb61d27f6")]);
    }
}
