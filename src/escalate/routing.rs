//! Recipients of each notification, and names of addresses.

use crate::model::amount::Unit;
use crate::model::likeness::lookalike_key;
use crate::model::page::Party;
use crate::model::path::{Feed, Path, PathStep};
use crate::model::watch::ChainInfo;
use crate::model::{BlockRef, ChainId, JudgedBlock, Severity, WatchId, WatchInfo};
use alloy_primitives::Address;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Part of a configuration that the engine needs: its paths, feeds and names. Built once when watchlists are compiled.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// By name.
    pub paths: HashMap<String, Path>,
    /// Destinations with a feed, and the parts of the feed that they receive.
    pub feeds: Vec<(String, Feed)>,
    /// The address book.
    pub names: AddressNames,
    /// Units of tokens' amounts.
    pub tokens: HashMap<(ChainId, Address), Unit>,
    /// Number of seconds after which a block counts as seen late, for each chain with blocks on a wall-clock schedule.
    pub lateness: HashMap<ChainId, u64>,
    /// All watches, at the index given by their [`WatchId`].
    pub watches: Arc<[WatchInfo]>,
}

impl Routing {
    /// The watch with this id; absent only when the id comes from another book.
    #[must_use]
    pub fn watch(&self, id: WatchId) -> Option<&WatchInfo> {
        self.watches.get(id.index())
    }

    /// Returns by how many seconds after its time `block` is judged, if that is later than it should be; always `None`
    /// on a chain that does not follow our clock. `now_ms` is wall-clock milliseconds.
    pub(super) fn lateness_seconds(&self, block: &JudgedBlock, now_ms: u64) -> Option<u64> {
        let bound = *self.lateness.get(&block.chain)?;
        let seconds = (now_ms / 1000).saturating_sub(block.time);
        (seconds > bound).then_some(seconds)
    }

    /// The path called `name`.
    ///
    /// Compiled watchlists name only existing paths. For any other name, all destinations of all paths are notified at
    /// once, because a finding must never reach no one.
    #[must_use]
    pub fn path(&self, name: &str) -> Path {
        self.paths.get(name).cloned().unwrap_or_else(|| self.path_to_everybody(name))
    }

    /// Returns a path with one step that notifies every destination of every path.
    pub(super) fn path_to_everybody(&self, name: &str) -> Path {
        let steps = self.paths.values().flat_map(|path| &path.steps);
        let to: BTreeSet<String> = steps.flat_map(|step| step.to.iter().cloned()).collect();
        Path {
            name: name.to_owned(),
            steps: vec![PathStep { to: to.into_iter().collect(), ack_within: 300 }],
            page_at: Severity::High,
            notify: Vec::new(),
            ack_expires: 1800,
        }
    }
}

/// Address book: the name of an address on a chain, and the watches whose registries list it as owner.
#[derive(Clone, Debug, Default)]
pub struct AddressNames {
    by_address: HashMap<(ChainId, Address), Arc<str>>,
    /// Labels of the watches whose registries list an address as owner.
    owners: HashMap<(ChainId, Address), Vec<Arc<str>>>,
    /// All addresses above, by the digits that people compare.
    alike: HashMap<(ChainId, u32), Vec<Address>>,
}

/// Maximum number of watches named for one owner; further ones are counted.
const OWNED_SAID_MAX: usize = 2;

impl AddressNames {
    /// Writes a name down; a later one wins.
    pub fn insert(&mut self, chain: ChainId, address: Address, name: impl Into<Arc<str>>) {
        self.by_address.insert((chain, address), name.into());
        self.index_lookalike(chain, address);
    }

    /// Records that the registry of the watch with this label lists an address as owner.
    pub fn insert_owner(&mut self, chain: ChainId, address: Address, label: &Arc<str>) {
        let owned = self.owners.entry((chain, address)).or_default();
        if !owned.contains(label) {
            owned.push(Arc::clone(label));
        }
        self.index_lookalike(chain, address);
    }

    fn index_lookalike(&mut self, chain: ChainId, address: Address) {
        let alike = self.alike.entry((chain, lookalike_key(&address))).or_default();
        if !address.is_zero() && !alike.contains(&address) {
            alike.push(address);
        }
    }

    /// The name of an address, if it has one.
    #[must_use]
    pub fn get(&self, chain: ChainId, address: Address) -> Option<&Arc<str>> {
        self.by_address.get(&(chain, address))
    }

    /// Returns the watches whose registries list an address as owner: `Treasury Safe`, `Treasury Safe and Council
    /// Safe`.
    fn owner_description(&self, chain: ChainId, address: Address) -> Option<String> {
        let owned = self.owners.get(&(chain, address))?;
        let said: Vec<&str> = owned.iter().take(OWNED_SAID_MAX).map(|label| &**label).collect();
        Some(match owned.len().saturating_sub(OWNED_SAID_MAX) {
            0 => said.join(" and "),
            more => format!("{} and {more} more", said.join(", ")),
        })
    }

    /// Returns the address with its name, or with the known address that it looks like if it has none.
    #[must_use]
    pub fn party(&self, chain: ChainId, address: Address) -> Party {
        let owner = self.owner_description(chain, address).map(|owned| format!("owner of {owned}"));
        let name = match (self.get(chain, address), owner) {
            (Some(name), Some(owner)) => Some(format!("{name}, {owner}")),
            (Some(name), None) => Some(name.to_string()),
            (None, owner) => owner,
        };
        let looks_like = if name.is_none() { self.find_lookalike(chain, address) } else { None };
        let known = looks_like.map(|twin| Box::new(Party { looks_like: None, ..self.party(chain, twin) }));
        Party { address, name, looks_like: known }
    }

    /// Returns a known address that the unknown `address` looks like.
    fn find_lookalike(&self, chain: ChainId, address: Address) -> Option<Address> {
        let alike = self.alike.get(&(chain, lookalike_key(&address)))?;
        if alike.contains(&address) { None } else { alike.first().copied() }
    }

    /// Returns the name, or `owner 0x7099…79C8 of Treasury Safe` for an address in a registry, or the address as
    /// `0x7099…79C8`.
    #[must_use]
    pub fn display_name(&self, chain: ChainId, address: Address) -> String {
        match (self.get(chain, address), self.owner_description(chain, address)) {
            (Some(name), _) => name.to_string(),
            (None, Some(owned)) => format!("owner {} of {owned}", shorten_address(address)),
            (None, None) => shorten_address(address),
        }
    }
}

/// Changes by one step of the chain: blocks that a reorg took away, then appended blocks, all judged.
#[derive(Clone, Copy, Debug)]
pub struct StepJudged<'a> {
    /// Chain of the step.
    pub chain: &'a ChainInfo,
    /// Blocks that were retracted.
    pub retract: &'a [BlockRef],
    /// Blocks that are new, oldest first.
    pub blocks: &'a [JudgedBlock],
}

/// `0x7099…79C8`, in EIP-55.
#[must_use]
pub fn shorten_address(address: Address) -> String {
    let full = address.to_checksum(None);
    format!("{}…{}", &full[..6], &full[38..])
}
