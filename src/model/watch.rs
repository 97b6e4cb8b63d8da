//! Properties of a watch, as needed wherever a watch is mentioned.

use super::ids::ChainId;
use super::origin::WatchedAddress;
use super::pending::PendingVoice;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Index of a watch in its book. Valid for one loaded book only; stored data uses chain and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u32);

impl WatchId {
    /// Returns the id as an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Kind of the watched contract or account: determines the decoder, the ABI and the built-in severities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Safe 1.1.1 to 1.5.0.
    Safe,
    /// Legacy Gnosis/ConsenSys MultiSigWallet, with or without daily limit.
    Multisig,
    /// The older wallet of Parity and EthDev, with its multi-owned operations and daily limit.
    ParityMultisig,
    /// OpenZeppelin TimelockController or Compound Timelock.
    Timelock,
    /// OpenZeppelin Governor, Governor Bravo, Aragon Voting, or a Zodiac module that executes vote results.
    Governor,
    /// A token contract.
    Erc20,
    /// A MiniMe token: its controller can mint, burn and move tokens.
    Minime,
    /// A proxy of any sort, a beacon, a diamond, or a ProxyAdmin.
    Proxy,
    /// A contract with one owner, under any function name.
    Ownable,
    /// A contract with roles.
    AccessControl,
    /// Tokens or ether released over time.
    Vesting,
    /// A name in ENS, in any of its contracts.
    EnsName,
    /// Any contract with an ABI.
    Contract,
    /// An account with a key.
    Eoa,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::Safe,
        Self::Multisig,
        Self::ParityMultisig,
        Self::Timelock,
        Self::Governor,
        Self::Erc20,
        Self::Minime,
        Self::Proxy,
        Self::Ownable,
        Self::AccessControl,
        Self::Vesting,
        Self::EnsName,
        Self::Contract,
        Self::Eoa,
    ];

    /// Returns true if it acts only through an envelope of its own. Its other actions are not those of its owners.
    #[must_use]
    pub const fn is_wallet(self) -> bool {
        matches!(self, Self::Safe | Self::Multisig | Self::ParityMultisig | Self::Timelock)
    }

    /// Returns the word used in watchlists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Multisig => "multisig",
            Self::ParityMultisig => "parity-multisig",
            Self::Timelock => "timelock",
            Self::Governor => "governor",
            Self::Erc20 => "erc20",
            Self::Minime => "minime",
            Self::Proxy => "proxy",
            Self::Ownable => "ownable",
            Self::AccessControl => "access-control",
            Self::Vesting => "vesting",
            Self::EnsName => "ens-name",
            Self::Contract => "contract",
            Self::Eoa => "eoa",
        }
    }

    /// Returns true if it carries out the decisions of its owners or voters, itself or through another contract, and
    /// its acts are judged one by one.
    #[must_use]
    pub const fn carries_out(self) -> bool {
        self.is_wallet() || matches!(self, Self::Governor)
    }

    /// Returns true if the contract may have functions beyond those of its kind: an owner, roles or an upgrade
    /// mechanism can accompany any other function.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Proxy
                | Self::Ownable
                | Self::AccessControl
                | Self::Governor
                | Self::Vesting
                | Self::Contract
                | Self::Eoa
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|k| k.as_str() == text).ok_or(())
    }
}

/// A chain, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainInfo {
    /// Name used in watchlists.
    pub name: Arc<str>,
    /// EIP-155 id.
    pub id: ChainId,
    /// Block explorer without a trailing slash, such as `https://etherscan.io`; absent for private chains.
    pub explorer: Option<Arc<str>>,
}

/// A watch without its rules.
#[derive(Clone, Debug)]
pub struct WatchInfo {
    /// Index in the book.
    pub id: WatchId,
    /// Name of the watch, for people.
    pub label: Arc<str>,
    /// Chain of the watch.
    pub chain: Arc<ChainInfo>,
    /// Watched address.
    pub address: Address,
    /// Kind of contract or account.
    pub kind: Kind,
    /// Purpose of the watch, in its owner's words; printed on every page.
    pub purpose: Arc<str>,
    /// Name of the path for its findings.
    pub path: Arc<str>,
    /// Location of the instructions for the responder.
    pub runbook: Option<Arc<str>>,
    /// Judge and record without paging.
    pub observe: bool,
    /// Paging setting for findings in transactions that are still pending.
    pub pending: PendingVoice,
    /// Names of the contract's roles, if configured.
    pub roles: Option<RoleNames>,
}

impl WatchInfo {
    /// Returns its address with its chain.
    #[must_use]
    pub fn watched_address(&self) -> WatchedAddress {
        WatchedAddress { chain: self.chain.id, address: self.address }
    }
}

/// Names of a contract's roles: the role's hash or number, and its human-readable name.
pub type RoleNames = Arc<[(B256, Arc<str>)]>;
