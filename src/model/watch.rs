//! Properties of a watch, as needed wherever a watch is mentioned.

use super::ids::ChainId;
use super::origin::WatchedAddress;
use super::pending::PendingVoice;
use alloy_primitives::{Address, B256};
use std::fmt;
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

/// Kind of the watched contract or account, by its word in watchlists. `contracts::CONTRACTS` lists all kinds and describes
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(&'static str);

impl Kind {
    /// Creates the kind with this word. Only `contracts` does, so that every kind is in its list.
    #[must_use]
    pub(crate) const fn from_word(word: &'static str) -> Self {
        Self(word)
    }

    /// Returns the word used in watchlists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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
