//! The compiled configuration.

use crate::classify::rule::{AddressSet, Rules};
use crate::decode::Subjects;
use crate::deliver::Targets;
use crate::escalate::Roster;
use crate::model::watch::ChainInfo;
use crate::model::{Activity, Item, Severity, WatchId, WatchInfo};
use crate::pulse::Heart;
use crate::queue::Service;
use crate::settings::{Problem, Secret, Spot};
use crate::source::FinalityRule;
use alloy_primitives::{Address, B256};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything a configuration says, with every name resolved. Immutable: a reload makes another and swaps it in whole.
pub struct Book {
    /// In the order of the main file. A watch's chain is found by its id.
    pub chains: Vec<ChainBook>,
    /// By [`WatchId`].
    pub watches: Arc<[WatchInfo]>,
    /// What is normal for each.
    pub rules: Arc<Rules>,
    /// Who keeps the queues of Safes, at most one for each chain, in the order of the main file.
    pub queues: Vec<QueueBook>,
    /// What the registry says of each wallet, by [`WatchId`].
    pub registries: Vec<Registry>,
    /// Paths, feeds, names and units.
    pub roster: Arc<Roster>,
    /// Where messages go.
    pub destinations: Targets,
    /// Where metrics and readiness are asked for; nowhere unless the main file says.
    pub console: Option<SocketAddr>,
    /// Who waits for our heartbeat, in the order of the main file.
    pub heartbeats: Vec<Heart>,
    /// The store's file, relative to the main file's directory where it is relative.
    pub store: PathBuf,
    /// The watchlists' own tests, in the order of the files.
    pub tests: Vec<WatchTest>,
    /// What is worth knowing of the files and no mistake, each at its place; entries of ABI files that are passed over among it.
    pub notes: Vec<Problem>,
    /// SHA-256 of the text of all files, in hex: the same text has the same hash on every machine.
    pub hash: String,
}

/// One chain.
#[derive(Clone, Debug)]
pub struct ChainBook {
    /// Name, id, explorer.
    pub info: Arc<ChainInfo>,
    /// Where its nodes are: at least one, at most [`ENDPOINTS_MAX`](crate::source::pool::ENDPOINTS_MAX), in the order of the file, each with a name of its own.
    pub endpoints: Vec<EndpointSettings>,
    /// Time between two blocks, as the chain means it to be; never zero.
    pub slot: Duration,
    /// Which clock says that the chain stands still.
    pub clock: ChainClock,
    /// How it is known that a block stays.
    pub finality: FinalityRule,
    /// Whether every block is held against its own header before it is judged.
    pub verify: bool,
    /// Whether the calls inside of transactions are looked at, where a node tells of them.
    pub traces: bool,
    /// Whether transactions are heard of before a block holds them, where a node announces them.
    pub pending: bool,
    /// Hash of block 0, where it is known: a node that has another serves another chain, whatever id it names.
    pub genesis: Option<B256>,
    /// Whom the decoder looks out for.
    pub subjects: Arc<Subjects>,
}

/// The queues that one service keeps.
#[derive(Clone, Debug)]
pub struct QueueBook {
    /// How it is asked.
    pub service: Service,
    /// The chain of its Safes.
    pub chain: Arc<ChainInfo>,
    /// Watches of kind `safe` on that chain, but those that said `queue = false`.
    pub safes: Vec<WatchId>,
}

/// How to reach one of a chain's nodes.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// What logs, metrics and pages call it; never its URL.
    pub name: Arc<str>,
    /// Where it is.
    pub url: EndpointUrl,
    /// How many requests a second it may be asked; without a bound of ours where it says nothing.
    pub requests_per_second: Option<NonZeroU32>,
}

/// Where a node is.
#[derive(Clone, Debug)]
pub enum EndpointUrl {
    /// Written in the file, and checked to carry no credentials; also the path of a socket.
    Plain(String),
    /// Kept elsewhere, since most providers put a key into it.
    Secret(Secret),
}

impl EndpointUrl {
    /// The URL; absent where secrets were not fetched. Not to be shown.
    #[must_use]
    pub fn expose(&self) -> Option<&str> {
        match self {
            Self::Plain(url) => Some(url),
            Self::Secret(secret) => secret.expose(),
        }
    }

    /// Returns why it is absent, for a person.
    #[must_use]
    pub fn why_absent(&self) -> String {
        match self {
            Self::Plain(_) => "it is written in the file".to_owned(),
            Self::Secret(secret) => secret.why_absent(),
        }
    }
}

/// Which clock a chain is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainClock {
    /// Block times are compared with ours: a head that is old is a blindness.
    Wall,
    /// Block time is all there is: tapes and private chains.
    Chain,
}

/// What a wallet is expected to look like on chain.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Owners, also `@owners` in its rules.
    pub owners: Option<AddressSet>,
    /// How many of them must approve.
    pub threshold: Option<u32>,
    /// Modules that may act for it.
    pub modules: Option<AddressSet>,
    /// Who may propose to its queue beside the owners.
    pub delegates: Option<AddressSet>,
    /// Items of the state that hold an address, such as the guard, and which; zero says none.
    pub values: Vec<(Item, Address)>,
    /// How long what a timelock schedules, or a governor proposes, waits at least.
    pub delay: Option<Duration>,
    /// Whether anybody may carry out what a timelock holds.
    pub open_executor: Option<bool>,
    /// Code that a proxy may run.
    pub implementations: Option<AddressSet>,
    /// Who holds each role; of roles that are not named, nobody.
    pub roles: Option<Vec<RoleBook>>,
    /// The first block whose logs are searched for holders of roles.
    pub roles_since: u64,
}

/// A role, and who is expected to hold it.
#[derive(Clone, Debug)]
pub struct RoleBook {
    /// The word by which the contract knows it.
    pub role: B256,
    /// What the watchlist calls it.
    pub name: Arc<str>,
    /// All who hold it.
    pub holders: AddressSet,
}

/// One `[[watch.test]]`: an activity and the verdict it should get.
#[derive(Clone, Debug)]
pub struct WatchTest {
    /// Whose test it is.
    pub watch: WatchId,
    /// What it shows, in its author's words.
    pub name: Arc<str>,
    /// Where it is written.
    pub spot: Spot,
    /// Block time of the activity, Unix seconds.
    pub time: u64,
    /// What happens, or does not.
    pub of: TestOf,
    /// What is expected.
    pub expect: Expectation,
}

/// What a test is about.
#[derive(Clone, Debug)]
pub enum TestOf {
    /// Something that happens.
    Activity {
        /// What happens.
        activity: Box<Activity>,
        /// What happened before, each so many seconds before the test's time, the oldest first.
        before: Vec<(u64, Activity)>,
    },
    /// Something that does not come.
    Absence {
        /// Name of the `[[watch.absent]]`.
        name: Arc<str>,
        /// When it came before, each so many seconds before the test's time, the oldest first.
        before: Vec<u64>,
    },
}

/// What a test expects of a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// `verdict = "normal"`.
    pub normal: bool,
    /// The rule or built-in that vouches or raises, if the test says.
    pub by: Option<Arc<str>>,
    /// How loud, if the test says.
    pub severity: Option<Severity>,
    /// Beginnings of reasons that must be among those given.
    pub refused: Vec<Arc<str>>,
}

impl Book {
    /// The same for blocks of the past, which are not late however old they are.
    #[must_use]
    pub fn by_block_time(self) -> Self {
        let roster = Roster { lateness: HashMap::new(), ..(*self.roster).clone() };
        Self { roster: Arc::new(roster), ..self }
    }

    /// The watch with this id; absent only for an id of another book.
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

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Book")
            .field("chains", &self.chains.len())
            .field("watches", &self.watches.len())
            .field("destinations", &self.destinations.keys())
            .finish_non_exhaustive()
    }
}
