//! `[chain.X]`: ids, explorers, and the clock of a chain.

use super::address::parse_address;
use super::endpoints::compile_endpoints;
use super::known::{DEVELOPMENT_ID, KNOWN_CHAINS, KNOWN_FINALITY, KnownChain};
use crate::decode::{Library, Subjects};
use crate::model::ChainId;
use crate::model::watch::ChainInfo;
use crate::settings::{At, Problem, Problems, SourceFile, nearest_name};
use crate::source::FinalityRule;
use crate::watchlist::book::{ChainBook, ChainClock, EndpointSettings};
use crate::watchlist::file::{ChainText, FinalityText, Lost, StateText};
use alloy_primitives::{Address, B256};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Time between blocks if neither the file nor the list of known chains gives one: Ethereum's.
const SLOT: Duration = Duration::from_secs(12);
/// Number of slots after its time at which a judged block counts as late: the same number of slots without a block
/// pages people.
const LATE_SLOTS: u32 = 4;
/// Minimum lateness: delays of a busy machine or a slow endpoint below it are not reported.
const LATE_MIN: Duration = Duration::from_secs(60);

/// Default number of blocks between two reads of an untouched state: ten minutes of Ethereum.
const STATE_EVERY: NonZeroU64 = NonZeroU64::MIN.saturating_add(49);

/// Placeholder id of a chain without an id; further such chains count down from here.
const UNKNOWN_ID: u64 = u64::MAX;
/// Maximum number of placeholder ids: more chains than any file has.
const UNKNOWN_MAX: u64 = 1 << 20;

/// All configured chains.
pub(super) struct Chains<'a> {
    compiled: Vec<Chain>,
    by_name: HashMap<String, usize>,
    lost: &'a Lost<'a>,
}

/// A chain before its subjects are known.
pub(super) struct Chain {
    pub(super) info: Arc<ChainInfo>,
    /// Empty if a problem was reported.
    endpoints: Vec<EndpointSettings>,
    slot: Duration,
    clock: ChainClock,
    finality: FinalityRule,
    verify: bool,
    traces: bool,
    pending: bool,
    genesis: Option<B256>,
    /// Number of blocks between two reads of the state; absent where no state is read.
    state: Option<NonZeroU64>,
    libraries: Vec<(Address, Library)>,
}

impl<'a> Chains<'a> {
    pub(super) fn compile(
        main: &Arc<SourceFile>,
        texts: &[ChainText<'_>],
        lost: &'a Lost<'a>,
        problems: &mut Problems,
    ) -> Self {
        let mut chains = Self { compiled: Vec::new(), by_name: HashMap::new(), lost };
        let mut by_id: HashMap<ChainId, At<&str>> = HashMap::new();
        if texts.is_empty() && !lost.may_define("chain", "") {
            let hint = "write `[chain.mainnet]` with an `endpoint`";
            problems.push(main.spot_at(0..0).problem("no chain is configured").with_hint(hint));
        }
        for (at, text) in texts.iter().enumerate() {
            // Chains without a known id get different placeholders, so that they do not count as the same chain.
            let unknown = UNKNOWN_ID.saturating_sub(at as u64);
            let chain = Chain::compile(text, unknown, problems);
            if let Some(first) = by_id.insert(chain.info.id, text.name.clone()) {
                let problem = text.name.problem(format!("chain id {} is configured twice", chain.info.id));
                problems.push(problem.with_related_spot(first.spot, "first here"));
            }
            chains.by_name.insert(text.name.value.to_owned(), chains.compiled.len());
            chains.compiled.push(chain);
        }
        chains
    }

    /// Returns the chain with this name; reports a problem if there is none.
    pub(super) fn find_chain(&self, name: &At<&str>, problems: &mut Problems) -> Option<&Arc<ChainInfo>> {
        match self.by_name.get(name.value) {
            Some(index) => Some(&self.compiled[*index].info),
            // A chain without an id, which was reported already, may be the one that is meant.
            None if self.compiled.iter().any(|chain| chain.info.id.0 > UNKNOWN_ID - UNKNOWN_MAX) => {
                problems.hold_back();
                None
            }
            None => {
                let names = self.by_name.keys().map(String::as_str);
                let problem =
                    unknown_name_problem("chain", name, names, "chains stand in the main file as `[chain.X]`");
                self.lost.report_unknown("chain", name.value, problem, problems);
                None
            }
        }
    }

    /// Returns whether transactions of the chain with this name are observed before a block includes them. Also true
    /// for a chain that is not configured, which has been reported.
    pub(super) fn hears_pending(&self, name: &str) -> bool {
        self.by_name.get(name).is_none_or(|index| self.compiled[*index].pending)
    }

    pub(super) fn chain_infos(&self) -> impl Iterator<Item = &Arc<ChainInfo>> {
        self.compiled.iter().map(|chain| &chain.info)
    }

    /// Returns the number of seconds after which a block of each chain counts as late: four slots, and at least a
    /// minute. A chain that is not measured by the wall clock has no such limit.
    pub(super) fn lateness_thresholds(&self) -> HashMap<ChainId, u64> {
        let by_wall = self.compiled.iter().filter(|chain| chain.clock == ChainClock::Wall);
        by_wall.map(|chain| (chain.info.id, (chain.slot * LATE_SLOTS).max(LATE_MIN).as_secs())).collect()
    }

    /// Joins each chain with its subjects, which are given by chain id.
    pub(super) fn into_books(self, mut subjects: HashMap<ChainId, Subjects>) -> Vec<ChainBook> {
        let books = self.compiled.into_iter().map(|chain| {
            let mut subjects = subjects.remove(&chain.info.id).unwrap_or_else(|| Subjects::new(chain.info.id));
            if chain.traces {
                subjects.look_inside();
            }
            chain.libraries.iter().for_each(|(address, library)| subjects.insert_library(*address, *library));
            if let Some(every) = chain.state {
                subjects.look_at_state(every);
            }
            ChainBook {
                info: chain.info,
                endpoints: chain.endpoints,
                slot: chain.slot,
                clock: chain.clock,
                finality: chain.finality,
                verify: chain.verify,
                traces: chain.traces,
                pending: chain.pending,
                genesis: chain.genesis,
                subjects: Arc::new(subjects),
            }
        });
        books.collect()
    }
}

impl Chain {
    fn compile(text: &ChainText<'_>, unknown: u64, problems: &mut Problems) -> Self {
        let known = KNOWN_CHAINS.iter().find(|known| known.name == text.name.value);
        let id = compile_chain_id(text, known, problems).unwrap_or(unknown);
        let explorer = text.explorer.as_ref().and_then(|at| compile_explorer_url(at, problems));
        let explorer = explorer.or_else(|| Some(known.filter(|known| known.id == id)?.explorer.into()));
        let info = ChainInfo { name: text.name.value.into(), id: ChainId(id), explorer };
        let slot = match &text.slot {
            Some(slot) if slot.value.is_zero() => {
                problems.push(slot.problem("`slot` must be longer than nothing"));
                SLOT
            }
            Some(slot) => slot.value,
            None => known.map_or(SLOT, |known| Duration::from_secs_f64(known.slot_seconds)),
        };
        let wall = text.wall.unwrap_or(id != DEVELOPMENT_ID);
        let endpoints = compile_endpoints(&text.name, &text.endpoints, problems);
        let multisend = text.multisend.iter().map(|item| (item, Library::MultiSend));
        let migrations = text.migrations.iter().map(|item| (item, Library::Migration));
        let libraries = multisend.chain(migrations);
        let libraries =
            libraries.filter_map(|(item, library)| Some((parse_address(item, problems)?, library))).collect();
        Self {
            info: Arc::new(info),
            endpoints,
            slot,
            clock: if wall { ChainClock::Wall } else { ChainClock::Chain },
            finality: compile_finality(text.finality.as_ref(), known),
            verify: text.verify.unwrap_or(true),
            traces: text.traces.unwrap_or(true),
            pending: text.pending.unwrap_or(false),
            genesis: compile_genesis(text, known, problems),
            state: match &text.state {
                Some(StateText::Off) => None,
                Some(StateText::Every(Some(every))) => NonZeroU64::new(every.value.unsigned_abs()),
                Some(StateText::Every(None)) | None => Some(STATE_EVERY),
            },
            libraries,
        }
    }
}

/// The chain's id, where it is known.
fn compile_chain_id(text: &ChainText<'_>, known: Option<&KnownChain>, problems: &mut Problems) -> Option<u64> {
    let written = text.id.as_ref().and_then(|id| u64::try_from(id.value).ok());
    match (written, known) {
        (Some(id), Some(known)) if id != known.id => {
            let spot = text.id.as_ref().map_or(&text.name.spot, |id| &id.spot);
            let message = format!("`{}` has chain id {}, not {id}", known.name, known.id);
            problems.push(spot.problem(message).with_hint("give a chain of your own another name"));
            Some(known.id)
        }
        (Some(id), _) => Some(id),
        (None, Some(known)) => Some(known.id),
        (None, None) => {
            let names = KNOWN_CHAINS.iter().map(|known| known.name);
            let hint = nearest_name(&text.name, names.clone()).map_or_else(
                || format!("write `id = …`; only {} bring theirs", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`? Other chains need their `id`"),
            );
            // A written id that is invalid was reported already.
            if text.id.is_none() {
                problems.push(text.name.problem(format!("`id` of chain `{}` is missing", *text.name)).with_hint(hint));
            }
            None
        }
    }
}

/// Returns the finality rule of the file, else the tags where they are known to work. An undescribed chain is not
/// assumed to have tags, since a tag that never advances would be reported as an outage.
fn compile_finality(text: Option<&FinalityText>, known: Option<&KnownChain>) -> FinalityRule {
    match text {
        Some(FinalityText::Tags) => FinalityRule::Tags,
        Some(FinalityText::Nothing) => FinalityRule::Never,
        Some(FinalityText::Depth { safe, finalized }) => {
            FinalityRule::Depth { safe: safe.value.unsigned_abs(), finalized: finalized.value.unsigned_abs() }
        }
        None if known.is_some() => KNOWN_FINALITY,
        None => FinalityRule::Never,
    }
}

fn compile_genesis(text: &ChainText<'_>, known: Option<&KnownChain>, problems: &mut Problems) -> Option<B256> {
    let known_genesis = known.and_then(|known| known.genesis);
    let Some(at) = &text.genesis else { return known_genesis };
    let Some(written) = at.strip_prefix("0x").and_then(|hex| hex.parse::<B256>().ok()) else {
        problems.push(at.problem("`genesis` is the hash of block 0: `0x` and 64 hexadecimal digits"));
        return known_genesis;
    };
    if let (Some(expected), Some(known)) = (known_genesis, known)
        && expected != written
    {
        let problem = at.problem(format!("`{}` begins with block {expected}", known.name));
        problems.push(problem.with_hint("give a chain of your own another name"));
    }
    Some(written)
}

/// Returns a problem that `name` is unknown, with the nearest known name.
pub(super) fn unknown_name_problem<'n>(
    what: &str,
    name: &At<&str>,
    names: impl Iterator<Item = &'n str>,
    otherwise: &str,
) -> Problem {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let hint = match nearest_name(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if (1..=8).contains(&names.len()) => format!("known are `{}`", names.join("`, `")),
        None => otherwise.to_owned(),
    };
    name.problem(format!("unknown {what} `{}`", **name)).with_hint(hint)
}

fn compile_explorer_url(at: &At<&str>, problems: &mut Problems) -> Option<Arc<str>> {
    match Url::parse(at) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Some(at.trim().trim_end_matches('/').into())
        }
        _ => {
            problems.push(
                at.problem(format!("`{}` is not an explorer's address", **at))
                    .with_hint("such as \"https://etherscan.io\""),
            );
            None
        }
    }
}
