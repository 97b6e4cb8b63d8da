//! Who is told of what, and how things are called.

use crate::model::amount::Unit;
use crate::model::page::Party;
use crate::model::path::{Feed, Path, PathStep};
use crate::model::watch::ChainInfo;
use crate::model::{BlockRef, ChainId, JudgedBlock, Severity, WatchId, WatchInfo};
use alloy_primitives::Address;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What the engine must know of a configuration: its paths, feeds and names. Built once when watchlists are compiled.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// By name.
    pub paths: HashMap<String, Path>,
    /// Destinations that listen to the feed, and to what of it.
    pub feeds: Vec<(String, Feed)>,
    /// The address book.
    pub names: Names,
    /// Units of tokens' amounts.
    pub tokens: HashMap<(ChainId, Address), Unit>,
    /// Seconds after which a block counts as seen late, of each chain whose clock is ours.
    pub lateness: HashMap<ChainId, u64>,
    /// Every watch, at the index its [`WatchId`] says.
    pub watches: Arc<[WatchInfo]>,
}

impl Roster {
    /// The watch with this id; absent only when the id comes from another book.
    #[must_use]
    pub fn watch(&self, id: WatchId) -> Option<&WatchInfo> {
        self.watches.get(id.index())
    }

    /// How many seconds after its time `block` is judged, if that is later than it should be; never on a chain whose clock is not
    /// ours. `now_ms` is wall-clock milliseconds.
    pub(super) fn late(&self, block: &JudgedBlock, now_ms: u64) -> Option<u64> {
        let bound = *self.lateness.get(&block.chain)?;
        let seconds = (now_ms / 1000).saturating_sub(block.time);
        (seconds > bound).then_some(seconds)
    }

    /// The path called `name`.
    ///
    /// Compiled watchlists name only paths that exist. If one did not, everybody on any path would be told at once: a
    /// finding that reaches nobody is the one outcome that must not be.
    #[must_use]
    pub fn path(&self, name: &str) -> Path {
        self.paths.get(name).cloned().unwrap_or_else(|| self.everybody(name))
    }

    /// A path of one step that tells every destination any path names.
    pub(super) fn everybody(&self, name: &str) -> Path {
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

/// The address book: what people call an address on a chain.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<(ChainId, Address), Arc<str>>);

impl Names {
    /// Writes a name down; a later one wins.
    pub fn insert(&mut self, chain: ChainId, address: Address, name: impl Into<Arc<str>>) {
        self.0.insert((chain, address), name.into());
    }

    /// The name of an address, if it has one.
    #[must_use]
    pub fn get(&self, chain: ChainId, address: Address) -> Option<&Arc<str>> {
        self.0.get(&(chain, address))
    }

    /// The address with its name.
    #[must_use]
    pub fn party(&self, chain: ChainId, address: Address) -> Party {
        Party { address, name: self.get(chain, address).map(ToString::to_string) }
    }

    /// The name, else the address as `0x7099…79C8`.
    #[must_use]
    pub fn show(&self, chain: ChainId, address: Address) -> String {
        self.get(chain, address).map_or_else(|| short(address), ToString::to_string)
    }
}

/// What one step of the chain brought: blocks a reorg took away, then blocks appended, all judged.
#[derive(Clone, Copy, Debug)]
pub struct StepJudged<'a> {
    /// The chain it happened on.
    pub chain: &'a ChainInfo,
    /// Blocks that are gone.
    pub retract: &'a [BlockRef],
    /// Blocks that are new, oldest first.
    pub blocks: &'a [JudgedBlock],
}

/// `0x7099…79C8`, in EIP-55.
#[must_use]
pub fn short(address: Address) -> String {
    let full = address.to_checksum(None);
    format!("{}…{}", &full[..6], &full[38..])
}
