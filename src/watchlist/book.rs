//! The compiled configuration.

use crate::classify::rule::{AddressSet, Rules};
use crate::decode::Subjects;
use crate::deliver::Targets;
use crate::escalate::Routing;
use crate::heartbeat::HeartbeatTarget;
use crate::model::watch::ChainInfo;
use crate::model::{Activity, Item, Severity, WatchId, WatchInfo};
use crate::safe_service::Service;
use crate::settings::{Problem, Secret, Spot};
use crate::source::FinalityRule;
use alloy_primitives::{Address, B256};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A complete configuration with every name resolved. Immutable: a reload creates a new one and replaces the old one as
/// a whole.
pub struct Config {
    /// Chains in the order of the main file. A watch's chain is found by its id.
    pub chains: Vec<ChainBook>,
    /// Watches by [`WatchId`].
    pub watches: Arc<[WatchInfo]>,
    /// Rules of each watch.
    pub rules: Arc<Rules>,
    /// Services that keep the queues of Safes, at most one for each chain, in the order of the main file.
    pub queues: Vec<QueueBook>,
    /// Registry of each wallet, by [`WatchId`].
    pub registries: Vec<Registry>,
    /// Paths, feeds, names and units.
    pub roster: Arc<Routing>,
    /// Destinations of messages.
    pub destinations: Targets,
    /// Address that serves metrics and readiness; absent unless the main file sets it.
    pub console: Option<SocketAddr>,
    /// Targets of our heartbeat, in the order of the main file.
    pub heartbeats: Vec<HeartbeatTarget>,
    /// Path of the store's file; a relative path is relative to the main file's directory.
    pub store: PathBuf,
    /// The watchlists' own tests, in the order of the files.
    pub tests: Vec<WatchTest>,
    /// Notes on the files that are not mistakes, each at its place; includes skipped entries of ABI files.
    pub notes: Vec<Problem>,
    /// SHA-256 of the text of all files, in hex: the same text has the same hash on every machine.
    pub hash: String,
}

/// A chain of the configuration.
#[derive(Clone, Debug)]
pub struct ChainBook {
    /// Name, id, explorer.
    pub info: Arc<ChainInfo>,
    /// Endpoints of the chain: at least one, at most [`ENDPOINTS_MAX`](crate::source::pool::ENDPOINTS_MAX), in the
    /// order of the file, each with a name of its own.
    pub endpoints: Vec<EndpointSettings>,
    /// Intended time between two blocks of the chain; never zero.
    pub slot: Duration,
    /// Clock used to detect that the chain has stopped.
    pub clock: ChainClock,
    /// Rule for the finality of a block.
    pub finality: FinalityRule,
    /// True if every block is verified against its own header before it is judged.
    pub verify: bool,
    /// True if the calls inside of transactions are examined, where a node provides traces.
    pub traces: bool,
    /// True if transactions are observed before a block includes them, where a node announces them.
    pub pending: bool,
    /// Hash of block 0, where it is known: a node with another one serves another chain, whatever id it reports.
    pub genesis: Option<B256>,
    /// Addresses that the decoder looks for.
    pub subjects: Arc<Subjects>,
}

/// Safe queues of one service.
#[derive(Clone, Debug)]
pub struct QueueBook {
    /// Settings of the service.
    pub service: Service,
    /// The chain of its Safes.
    pub chain: Arc<ChainInfo>,
    /// Watches of kind `safe` on that chain, except those with `queue = false`.
    pub safes: Vec<WatchId>,
}

/// Settings for one of a chain's nodes.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Name in logs, metrics and pages; never the URL.
    pub name: Arc<str>,
    /// URL of the endpoint.
    pub url: EndpointUrl,
    /// Maximum number of requests per second; absent if the file sets no bound.
    pub requests_per_second: Option<NonZeroU32>,
}

/// URL of a node.
#[derive(Clone, Debug)]
pub enum EndpointUrl {
    /// A URL written in the file, checked to contain no credentials; also the path of a socket.
    Plain(String),
    /// A URL stored outside the file, since most providers put a key into it.
    Secret(Secret),
}

impl EndpointUrl {
    /// Returns the URL; absent where secrets were not fetched. Must not be displayed.
    #[must_use]
    pub fn expose(&self) -> Option<&str> {
        match self {
            Self::Plain(url) => Some(url),
            Self::Secret(secret) => secret.expose(),
        }
    }

    /// Returns the reason why the URL is absent, for display.
    #[must_use]
    pub fn why_absent(&self) -> String {
        match self {
            Self::Plain(_) => "it is written in the file".to_owned(),
            Self::Secret(secret) => secret.why_absent(),
        }
    }
}

/// Clock by which a chain is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainClock {
    /// Block times are compared with the wall clock: an old head is an outage.
    Wall,
    /// Only block time is used: tapes and private chains.
    Chain,
}

/// Expected state of a wallet on chain.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Owners, also `@owners` in its rules.
    pub owners: Option<AddressSet>,
    /// Number of owners who must approve.
    pub threshold: Option<u32>,
    /// Modules that may act for it.
    pub modules: Option<AddressSet>,
    /// Addresses that may propose to its queue beside the owners.
    pub delegates: Option<AddressSet>,
    /// Items of the state that hold an address, such as the guard, each with that address; zero means no address.
    pub values: Vec<(Item, Address)>,
    /// Minimum delay of what a timelock schedules, or a governor proposes.
    pub delay: Option<Duration>,
    /// True if anybody may execute what a timelock holds.
    pub open_executor: Option<bool>,
    /// Implementations that a proxy may run.
    pub implementations: Option<AddressSet>,
    /// Holders of each role; a role that is not named is expected to have no holders.
    pub roles: Option<Vec<RoleBook>>,
    /// The first block whose logs are searched for role members.
    pub roles_since: u64,
}

/// A role with its expected members.
#[derive(Clone, Debug)]
pub struct RoleBook {
    /// Identifier of the role in the contract.
    pub role: B256,
    /// Name in the watchlist.
    pub name: Arc<str>,
    /// All members of the role.
    pub holders: AddressSet,
}

/// A `[[watch.test]]`: an activity and the verdict it should get.
#[derive(Clone, Debug)]
pub struct WatchTest {
    /// Watch that the test belongs to.
    pub watch: WatchId,
    /// Name of the test, in its author's words: what it shows.
    pub name: Arc<str>,
    /// Place of the test in its file.
    pub spot: Spot,
    /// Block time of the activity, Unix seconds.
    pub time: u64,
    /// Subject of the test: something that happens, or that does not.
    pub of: TestOf,
    /// Expected result.
    pub expect: Expectation,
}

/// Subject of a test.
#[derive(Clone, Debug)]
pub enum TestOf {
    /// An activity that happens.
    Activity {
        /// Activity that happens.
        activity: Box<Activity>,
        /// Earlier activities, each with the number of seconds before the test's time, the oldest first.
        before: Vec<(u64, Activity)>,
    },
    /// An expected action that does not happen.
    Absence {
        /// Name of the `[[watch.absent]]`.
        name: Arc<str>,
        /// Earlier arrivals, each as a number of seconds before the test's time, the oldest first.
        before: Vec<u64>,
    },
}

/// Verdict that a test expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// `verdict = "normal"`.
    pub normal: bool,
    /// Expected rule or built-in that vouches or raises, if the test names one.
    pub by: Option<Arc<str>>,
    /// Severity, if the test sets one.
    pub severity: Option<Severity>,
    /// Prefixes of reasons that must be among the given reasons.
    pub refused: Vec<Arc<str>>,
}

impl Config {
    /// Returns the configuration for judging past blocks, which never count as late.
    #[must_use]
    pub fn by_block_time(self) -> Self {
        let roster = Routing { lateness: HashMap::new(), ..(*self.roster).clone() };
        Self { roster: Arc::new(roster), ..self }
    }

    /// Returns the watch with this id; absent only for an id of another configuration.
    #[must_use]
    pub fn watch(&self, id: WatchId) -> Option<&WatchInfo> {
        self.watches.get(id.index())
    }

    /// The chain with this name.
    #[must_use]
    pub fn chain(&self, name: &str) -> Option<&ChainBook> {
        self.chains.iter().find(|chain| *chain.info.name == *name)
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Book")
            .field("chains", &self.chains.len())
            .field("watches", &self.watches.len())
            .field("destinations", &self.destinations.keys())
            .finish_non_exhaustive()
    }
}
