//! Table of the items that are read for each kind of subject, and the way to read each.
//!
//! A new kind is added to the lines that apply to it, or gets lines of its own; the explanations for changes of a new
//! item are in [`super::causes`].

use crate::model::Kind;
use crate::model::state::{DECIMALS, KIND, NAME_EXPIRY, OWNER_DELEGATE, RELEASED_EARLY};
use alloy_primitives::{B256, b256};

/// Way in which a value is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// A slot of its storage.
    Slot(B256),
    /// The first word returned by a view without arguments.
    View([u8; 4]),
    /// The same, if the subject's ABI has the view.
    KnownView([u8; 4]),
    /// A list of addresses returned by a view.
    List([u8; 4]),
    /// A linked list in a mapping of its storage, from the sentinel 0x1 back to it, and the view that gives the members
    /// to look up first.
    Linked { slot: u8, hint: &'static [u8] },
    /// All holders of roles, where the subject's ABI has roles.
    Holders,
    /// The hash of its code.
    Code,
    /// The code of an account with a key: a delegation, or no code.
    Account,
    /// Number of transactions that an account sent.
    Nonce,
    /// Ether.
    Ether,
    /// Balance of each token that is counted.
    Tokens,
    /// Result of a view of the contract that another item names.
    Behind { item: &'static str, view: [u8; 4] },
    /// The hash of the code of the first implementation that exists.
    CodeBehind,
    /// Result of `hasRole` of the role with this hash, for the address zero.
    OpenRole(B256),
    /// Expiry of a name's registration.
    Expiry,
    /// Amount released beyond a schedule.
    Schedule,
    /// The EIP-7702 delegations of each member of a set, except members that are watched themselves.
    Delegates { of: &'static str },
    /// Decimals reported by each token whose unit a rule uses.
    Decimals,
    /// Match of the contract at the address with the watch's kind, by earlier reads.
    Fits,
}

/// Line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) kinds: &'static [Kind],
    pub(super) item: &'static str,
    pub(super) how: How,
    /// True if it is read on the slow beat alone: large answers, and values that no transaction with the subject
    /// changes.
    pub(super) slow: bool,
}

const fn state_line(kinds: &'static [Kind], item: &'static str, how: How) -> Line {
    Line { kinds, item, how, slow: false }
}

const fn slow_line(kinds: &'static [Kind], item: &'static str, how: How) -> Line {
    Line { kinds, item, how, slow: true }
}

const fn storage_slot(n: u8) -> How {
    let mut word = [0; 32];
    word[31] = n;
    How::Slot(B256::new(word))
}

const SAFE: &[Kind] = &[Kind::Safe];
const OWNERS: &[Kind] = &[Kind::Safe, Kind::Multisig];
const MULTISIG: &[Kind] = &[Kind::Multisig];
const MINIME: &[Kind] = &[Kind::Minime];
const ACCOUNT: &[Kind] = &[Kind::Eoa];
/// Kinds that may stand behind a proxy.
pub(super) const PROXIES: &[Kind] = &[
    Kind::Contract,
    Kind::Erc20,
    Kind::Proxy,
    Kind::Ownable,
    Kind::AccessControl,
    Kind::Vesting,
    Kind::Timelock,
    Kind::Governor,
];
/// Kinds that may have an owner.
const OWNED: &[Kind] = &[
    Kind::Contract,
    Kind::Erc20,
    Kind::Minime,
    Kind::Proxy,
    Kind::Ownable,
    Kind::AccessControl,
    Kind::Vesting,
    Kind::Timelock,
    Kind::Governor,
];
const TOKENS: &[Kind] = &[Kind::Erc20, Kind::Minime];
const PARITY: &[Kind] = &[Kind::ParityMultisig];
const VESTING: &[Kind] = &[Kind::Vesting];
const NAMES: &[Kind] = &[Kind::EnsName];
const TIMELOCK: &[Kind] = &[Kind::Timelock];
/// Kinds of subject with an address of their own. A name in ENS has none.
const ALL: &[Kind] = &[
    Kind::Safe,
    Kind::Multisig,
    Kind::ParityMultisig,
    Kind::Timelock,
    Kind::Governor,
    Kind::Erc20,
    Kind::Minime,
    Kind::Proxy,
    Kind::Ownable,
    Kind::AccessControl,
    Kind::Vesting,
    Kind::Contract,
    Kind::Eoa,
];
const CONTRACTS: &[Kind] = ALL.split_at(ALL.len() - 1).0;

/// keccak256("guard_manager.guard.address"). Source: GuardManager.sol, from 1.3.0 on.
const GUARD: B256 = b256!("4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8");
/// keccak256("module_manager.module_guard.address"). Source: ModuleManager.sol, from 1.5.0 on.
const MODULE_GUARD: B256 = b256!("b104e0b93118902c651344349b610029d694cfdec91c589c91ebafbcd0289947");
/// keccak256("fallback_manager.handler.address"). Source: FallbackManager.sol, from 1.1.0 on.
const FALLBACK_HANDLER: B256 = b256!("6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5");
/// Source: EIP-1967.
pub(in crate::decode) const IMPLEMENTATION: B256 =
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
const ADMIN: B256 = b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");
pub(in crate::decode) const BEACON: B256 = b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
/// keccak256("org.zeppelinos.proxy.implementation") and `.admin`. Source: UpgradeabilityProxy.sol and AdminUpgradeabilityProxy.sol of
/// ZeppelinOS, in use by FiatToken.
pub(in crate::decode) const ZOS_IMPLEMENTATION: B256 =
    b256!("7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3");
const ZOS_ADMIN: B256 = b256!("10d6a54a4754c8869d6886b5f5d7fbfa5b4522237ea5c60d11bc4e7a1ff9390b");
/// keccak256("PROXIABLE"). Source: EIP-1822.
pub(in crate::decode) const PROXIABLE: B256 = b256!("c5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7");

/// `getOwners()`, `required()`, `dailyLimit()`, `controller()`, `transfersEnabled()`, `owner()`, `pendingOwner()`,
/// `defaultAdmin()`, `timelock()`, `votingDelay()`, `votingPeriod()`, `proposalThreshold()`, `admin()`, `m_numOwners()`, `m_required()`,
/// `m_dailyLimit()`, `pendingAdmin()`, `getMinDelay()`, `delay()`, `implementation()`, `totalSupply()`
const GET_OWNERS: [u8; 4] = [0xa0, 0xe6, 0x7e, 0x2b];
const REQUIRED: [u8; 4] = [0xdc, 0x84, 0x52, 0xcd];
const DAILY_LIMIT: [u8; 4] = [0x67, 0xee, 0xba, 0x0c];
const CONTROLLER: [u8; 4] = [0xf7, 0x7c, 0x47, 0x91];
const TRANSFERS_ENABLED: [u8; 4] = [0xbe, 0xf9, 0x7c, 0x87];
const OWNER: [u8; 4] = [0x8d, 0xa5, 0xcb, 0x5b];
const PENDING_OWNER: [u8; 4] = [0xe3, 0x0c, 0x39, 0x78];
const DEFAULT_ADMIN: [u8; 4] = [0x84, 0xef, 0x8f, 0xfc];
const GET_TIMELOCK: [u8; 4] = [0xd3, 0x32, 0x19, 0xb4];
const VOTING_DELAY: [u8; 4] = [0x39, 0x32, 0xab, 0xb1];
const VOTING_PERIOD: [u8; 4] = [0x02, 0xa2, 0x51, 0xa3];
const PROPOSAL_THRESHOLD: [u8; 4] = [0xb5, 0x81, 0x31, 0xb0];
const GET_ADMIN: [u8; 4] = [0xf8, 0x51, 0xa4, 0x40];
const N_OWNERS: [u8; 4] = [0x41, 0x23, 0xcb, 0x6b];
const PARITY_REQUIRED: [u8; 4] = [0x74, 0x6c, 0x91, 0x71];
const PARITY_DAILY_LIMIT: [u8; 4] = [0xf1, 0x73, 0x6d, 0x86];
const PENDING_ADMIN: [u8; 4] = [0x26, 0x78, 0x22, 0x47];
const GET_MIN_DELAY: [u8; 4] = [0xf2, 0x7a, 0x0c, 0x92];
const DELAY: [u8; 4] = [0x6a, 0x42, 0xb8, 0xf8];
pub(in crate::decode) const GET_IMPLEMENTATION: [u8; 4] = [0x5c, 0x60, 0xda, 0x1b];
const TOTAL_SUPPLY: [u8; 4] = [0x18, 0x16, 0x0d, 0xdd];

/// `hasRole(bytes32,address)`
pub const HAS_ROLE: [u8; 4] = [0x91, 0xd1, 0x48, 0x54];
/// keccak256("EXECUTOR_ROLE"). A holder may execute operations that are due; where the zero address holds the role, any
/// account may. Source: TimelockController.sol, `onlyRoleOrOpenRole`.
const EXECUTOR_ROLE: B256 = b256!("d8aa0f3194971a2a116679f7c2090f6939c8d4e01a2a8d7e41d55e5351469e63");

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

/// All items that are read. Lines that depend on another item follow that item's line.
///
/// Source of the Safe's slots: SafeStorage.sol and the order of its bases, the same from 1.0.0 to 1.5.0.
pub(super) const LINES: &[Line] = &[
    state_line(SAFE, "singleton", storage_slot(0)),
    state_line(SAFE, "module", How::Linked { slot: 1, hint: GET_MODULES }),
    state_line(SAFE, "owner", How::Linked { slot: 2, hint: &GET_OWNERS }),
    state_line(SAFE, "threshold", storage_slot(4)),
    state_line(SAFE, "nonce", storage_slot(5)),
    state_line(SAFE, "guard", How::Slot(GUARD)),
    state_line(SAFE, "module-guard", How::Slot(MODULE_GUARD)),
    state_line(SAFE, "fallback-handler", How::Slot(FALLBACK_HANDLER)),
    state_line(MULTISIG, "owner", How::List(GET_OWNERS)),
    state_line(MULTISIG, "required", How::View(REQUIRED)),
    state_line(MULTISIG, "daily-limit", How::View(DAILY_LIMIT)),
    state_line(MINIME, "controller", How::View(CONTROLLER)),
    state_line(MINIME, "transfers-enabled", How::View(TRANSFERS_ENABLED)),
    state_line(PROXIES, "implementation", How::Slot(IMPLEMENTATION)),
    state_line(PROXIES, "admin", How::Slot(ADMIN)),
    state_line(PROXIES, "beacon", How::Slot(BEACON)),
    state_line(PROXIES, "zos-implementation", How::Slot(ZOS_IMPLEMENTATION)),
    state_line(PROXIES, "zos-admin", How::Slot(ZOS_ADMIN)),
    state_line(PROXIES, "uups-implementation", How::Slot(PROXIABLE)),
    state_line(OWNED, "ownership", How::KnownView(OWNER)),
    state_line(OWNED, "pending-ownership", How::KnownView(PENDING_OWNER)),
    state_line(OWNED, "pending-admin", How::KnownView(PENDING_ADMIN)),
    state_line(OWNED, "delay", How::KnownView(GET_MIN_DELAY)),
    state_line(OWNED, "delay", How::KnownView(DELAY)),
    state_line(OWNED, "default-admin", How::KnownView(DEFAULT_ADMIN)),
    state_line(OWNED, "executor", How::KnownView(GET_TIMELOCK)),
    state_line(OWNED, "voting-delay", How::KnownView(VOTING_DELAY)),
    state_line(OWNED, "voting-period", How::KnownView(VOTING_PERIOD)),
    state_line(OWNED, "proposal-threshold", How::KnownView(PROPOSAL_THRESHOLD)),
    // Read after the slot, which is zero where the contract is not a proxy.
    state_line(TIMELOCK, "timelock-admin", How::View(GET_ADMIN)),
    state_line(PROXIES, "role", How::Holders),
    state_line(TIMELOCK, "open-executor", How::OpenRole(EXECUTOR_ROLE)),
    state_line(PARITY, "owners", How::View(N_OWNERS)),
    state_line(PARITY, "required", How::View(PARITY_REQUIRED)),
    state_line(PARITY, "daily-limit", How::View(PARITY_DAILY_LIMIT)),
    state_line(VESTING, RELEASED_EARLY, How::Schedule),
    state_line(NAMES, NAME_EXPIRY, How::Expiry),
    state_line(TOKENS, "supply", How::View(TOTAL_SUPPLY)),
    state_line(ACCOUNT, "delegate", How::Account),
    state_line(ACCOUNT, "nonce", How::Nonce),
    state_line(ALL, "balance", How::Ether),
    state_line(ALL, "balance", How::Tokens),
    slow_line(ALL, DECIMALS, How::Decimals),
    slow_line(PROXIES, "beacon-implementation", How::Behind { item: "beacon", view: GET_IMPLEMENTATION }),
    slow_line(PROXIES, "admin-owner", How::Behind { item: "admin", view: OWNER }),
    slow_line(CONTRACTS, "code", How::Code),
    slow_line(PROXIES, "implementation-code", How::CodeBehind),
    slow_line(SAFE, "implementation-code", How::CodeBehind),
    slow_line(OWNERS, OWNER_DELEGATE, How::Delegates { of: "owner" }),
    slow_line(ALL, KIND, How::Fits),
];

/// Returns whether an item of this kind of subject is read on the slow beat alone.
pub(super) fn is_slow(kind: Kind, item: &str) -> bool {
    let mut read = LINES.iter().filter(|line| line.item == item && line.kinds.contains(&kind));
    read.all(|line| line.slow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Item;
    use alloy_primitives::{U256, keccak256};

    #[test]
    fn selectors_and_slots_are_those_of_their_names() {
        for (signature, selector) in [
            ("getOwners()", GET_OWNERS),
            ("required()", REQUIRED),
            ("dailyLimit()", DAILY_LIMIT),
            ("controller()", CONTROLLER),
            ("transfersEnabled()", TRANSFERS_ENABLED),
            ("owner()", OWNER),
            ("pendingOwner()", PENDING_OWNER),
            ("pendingAdmin()", PENDING_ADMIN),
            ("defaultAdmin()", DEFAULT_ADMIN),
            ("timelock()", GET_TIMELOCK),
            ("votingDelay()", VOTING_DELAY),
            ("votingPeriod()", VOTING_PERIOD),
            ("proposalThreshold()", PROPOSAL_THRESHOLD),
            ("admin()", GET_ADMIN),
            ("m_numOwners()", N_OWNERS),
            ("m_required()", PARITY_REQUIRED),
            ("m_dailyLimit()", PARITY_DAILY_LIMIT),
            ("getMinDelay()", GET_MIN_DELAY),
            ("delay()", DELAY),
            ("implementation()", GET_IMPLEMENTATION),
            ("totalSupply()", TOTAL_SUPPLY),
            ("hasRole(bytes32,address)", HAS_ROLE),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
        assert_eq!(keccak256("getModulesPaginated(address,uint256)")[..4], GET_MODULES[..4]);
        for (name, slot) in [
            ("guard_manager.guard.address", GUARD),
            ("module_manager.module_guard.address", MODULE_GUARD),
            ("fallback_manager.handler.address", FALLBACK_HANDLER),
            ("org.zeppelinos.proxy.implementation", ZOS_IMPLEMENTATION),
            ("org.zeppelinos.proxy.admin", ZOS_ADMIN),
            ("PROXIABLE", PROXIABLE),
            ("EXECUTOR_ROLE", EXECUTOR_ROLE),
        ] {
            assert_eq!(keccak256(name), slot, "{name}");
        }
        for (name, slot) in [
            ("eip1967.proxy.implementation", IMPLEMENTATION),
            ("eip1967.proxy.admin", ADMIN),
            ("eip1967.proxy.beacon", BEACON),
        ] {
            let expected = U256::from_be_bytes(keccak256(name).0) - U256::ONE;
            assert_eq!(B256::from(expected), slot, "{name}");
        }
    }

    #[test]
    fn every_line_is_about_an_item_and_stands_behind_what_it_needs() {
        for (at, line) in LINES.iter().enumerate() {
            assert!(Item::from_name(line.item).is_some(), "{}", line.item);
            if let How::Behind { item, .. } | How::Delegates { of: item } = line.how {
                assert!(LINES[..at].iter().any(|before| before.item == item), "{}", line.item);
            }
        }
    }
}
