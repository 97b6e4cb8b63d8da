//! What is known of a watch wherever it is mentioned.

use super::ids::ChainId;
use super::pending::PendingVoice;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Index of a watch in its book. Valid for one loaded book only; what is stored uses chain and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u32);

impl WatchId {
    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What kind of contract or account is watched: brings the decoder, the ABI and the built-in severities.
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
    /// OpenZeppelin Governor, Governor Bravo, Aragon Voting, or a Zodiac module that carries out what was voted.
    Governor,
    /// A token contract.
    Erc20,
    /// A MiniMe token: its controller can mint, burn and move.
    Minime,
    /// A proxy of any sort, a beacon, a diamond, or a ProxyAdmin.
    Proxy,
    /// A contract with one owner, by whichever name.
    Ownable,
    /// A contract with roles.
    AccessControl,
    /// Tokens or ether that are released over time.
    Vesting,
    /// A name in ENS, wherever it is written down.
    EnsName,
    /// Anything with an ABI.
    Contract,
    /// An account with a key.
    Eoa,
}

impl Kind {
    /// All of them.
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

    /// Whether it acts only through an envelope of its own: whatever else it does is not its owners' doing.
    #[must_use]
    pub const fn is_wallet(self) -> bool {
        matches!(self, Self::Safe | Self::Multisig | Self::ParityMultisig | Self::Timelock)
    }

    /// The word a watchlist uses.
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

    /// Whether it carries out what its owners or voters decide, itself or through somebody else, and its acts are judged one by one.
    #[must_use]
    pub const fn carries_out(self) -> bool {
        self.is_wallet() || matches!(self, Self::Governor)
    }

    /// Whether the contract may have functions that its kind does not bring: an owner, roles or an upgrade stand beside whatever
    /// else it does.
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
    /// The name a watchlist uses.
    pub name: Arc<str>,
    /// EIP-155 id.
    pub id: ChainId,
    /// Block explorer without a trailing slash, such as `https://etherscan.io`; absent for private chains.
    pub explorer: Option<Arc<str>>,
}

/// One watch without its rules.
#[derive(Clone, Debug)]
pub struct WatchInfo {
    /// Place in the book.
    pub id: WatchId,
    /// What people call it.
    pub label: Arc<str>,
    /// Where it lives.
    pub chain: Arc<ChainInfo>,
    /// What is watched.
    pub address: Address,
    /// What it is.
    pub kind: Kind,
    /// Why it exists, in its owner's words; printed on every page.
    pub purpose: Arc<str>,
    /// Name of the path its findings take.
    pub path: Arc<str>,
    /// Where the responder reads what to do.
    pub runbook: Option<Arc<str>>,
    /// Judge and record, page nobody.
    pub observe: bool,
    /// Whether what is found in a transaction that is only pending pages.
    pub pending: PendingVoice,
    /// What people call the roles of the contract, where somebody wrote them down.
    pub roles: Option<RoleNames>,
}

/// Roles of a contract: the word by which it knows each, and what people call it.
pub type RoleNames = Arc<[(B256, Arc<str>)]>;
