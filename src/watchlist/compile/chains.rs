//! `[chain.X]`: ids, explorers and endpoints.

use super::address::parse_address;
use crate::decode::{Library, Subjects};
use crate::model::ChainId;
use crate::model::watch::ChainInfo;
use crate::settings::{At, Problem, Problems, Secret, SourceFile, Value, nearest};
use crate::watchlist::book::{ChainBook, ChainClock, EndpointSettings, EndpointUrl};
use crate::watchlist::file::ChainText;
use std::collections::HashMap;
use std::sync::Arc;
use url::Url;

/// What is known of a public chain by its name.
struct KnownChain {
    name: &'static str,
    id: u64,
    explorer: &'static str,
    slot_seconds: f64,
}

/// Ids as in ethereum-lists/chains; slots as the chains' own documentation says.
const KNOWN_CHAINS: [KnownChain; 9] = [
    known("mainnet", 1, "https://etherscan.io", 12.0),
    known("sepolia", 11_155_111, "https://sepolia.etherscan.io", 12.0),
    known("hoodi", 560_048, "https://hoodi.etherscan.io", 12.0),
    known("optimism", 10, "https://optimistic.etherscan.io", 2.0),
    known("base", 8453, "https://basescan.org", 2.0),
    known("arbitrum", 42_161, "https://arbiscan.io", 0.25),
    known("polygon", 137, "https://polygonscan.com", 2.0),
    known("gnosis", 100, "https://gnosisscan.io", 5.0),
    known("linea", 59_144, "https://lineascan.build", 2.0),
];

const fn known(name: &'static str, id: u64, explorer: &'static str, slot_seconds: f64) -> KnownChain {
    KnownChain { name, id, explorer, slot_seconds }
}

/// Development chains by convention (Hardhat's and anvil's default): their blocks come when somebody wants one.
const DEVELOPMENT_ID: u64 = 31_337;
/// Seconds between blocks where neither the file nor the table above says: Ethereum's.
const SLOT_SECONDS: f64 = 12.0;
/// A path segment of a URL from this length on, of letters and digits alone, is an API key rather than a word.
const KEY_LIKE_CHARS: usize = 20;

/// All configured chains.
pub(super) struct Chains {
    compiled: Vec<Chain>,
    by_name: HashMap<String, usize>,
}

/// One chain before its subjects are known.
pub(super) struct Chain {
    pub(super) info: Arc<ChainInfo>,
    /// Absent where a problem was told.
    endpoint: Option<EndpointSettings>,
    libraries: Vec<(alloy_primitives::Address, Library)>,
}

impl Chains {
    pub(super) fn compile(main: &Arc<SourceFile>, texts: &[ChainText<'_>], problems: &mut Problems) -> Self {
        let mut chains = Self { compiled: Vec::new(), by_name: HashMap::new() };
        let mut by_id: HashMap<ChainId, At<&str>> = HashMap::new();
        if texts.is_empty() {
            let hint = "write `[chain.mainnet]` with an `endpoint`";
            problems.push(main.spot(0..0).problem("no chain is configured").hint(hint));
        }
        for text in texts {
            let chain = Chain::compile(text, problems);
            if let Some(first) = by_id.insert(chain.info.id, text.name.clone()) {
                let problem = text.name.problem(format!("chain id {} is configured twice", chain.info.id));
                problems.push(problem.also(first.spot, "first here"));
            }
            chains.by_name.insert(text.name.value.to_owned(), chains.compiled.len());
            chains.compiled.push(chain);
        }
        chains
    }

    /// The chain with this name; that there is none is a problem.
    pub(super) fn find(&self, name: &At<&str>, problems: &mut Problems) -> Option<&Arc<ChainInfo>> {
        match self.by_name.get(name.value) {
            Some(index) => Some(&self.compiled[*index].info),
            None => {
                let names = self.by_name.keys().map(String::as_str);
                problems.push(unknown("chain", name, names, "chains stand in the main file as `[chain.X]`"));
                None
            }
        }
    }

    pub(super) fn infos(&self) -> impl Iterator<Item = &Arc<ChainInfo>> {
        self.compiled.iter().map(|chain| &chain.info)
    }

    /// Joins each chain with its subjects, which are given by chain id.
    pub(super) fn into_books(self, mut subjects: HashMap<ChainId, Subjects>) -> Vec<ChainBook> {
        let books = self.compiled.into_iter().filter_map(|chain| {
            let mut subjects = subjects.remove(&chain.info.id).unwrap_or_else(|| Subjects::new(chain.info.id));
            chain.libraries.iter().for_each(|(address, library)| subjects.library(*address, *library));
            // Without an endpoint there was a problem, and the book is not handed over.
            Some(ChainBook { info: chain.info, endpoint: chain.endpoint?, subjects: Arc::new(subjects) })
        });
        books.collect()
    }
}

impl Chain {
    fn compile(text: &ChainText<'_>, problems: &mut Problems) -> Self {
        let known = KNOWN_CHAINS.iter().find(|known| known.name == text.name.value);
        let written = text.id.as_ref().and_then(|id| u64::try_from(id.value).ok());
        let id = match (written, known) {
            (Some(id), Some(known)) if id != known.id => {
                let spot = text.id.as_ref().map_or(&text.name.spot, |id| &id.spot);
                let message = format!("`{}` has chain id {}, not {id}", known.name, known.id);
                problems.push(spot.problem(message).hint("give a chain of your own another name"));
                known.id
            }
            (Some(id), _) => id,
            (None, Some(known)) => known.id,
            (None, None) => {
                let names = KNOWN_CHAINS.iter().map(|known| known.name);
                let hint = nearest(&text.name, names.clone()).map_or_else(
                    || format!("write `id = …`; only {} bring theirs", names.collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean `{near}`? Other chains need their `id`"),
                );
                // An id that was written and is wrong has been told.
                if text.id.is_none() {
                    problems.push(text.name.problem(format!("`id` of chain `{}` is missing", *text.name)).hint(hint));
                }
                0
            }
        };
        let explorer = text.explorer.as_ref().and_then(|at| explorer(at, problems));
        let explorer = explorer.or_else(|| Some(known.filter(|known| known.id == id)?.explorer.into()));
        let info = ChainInfo { name: text.name.value.into(), id: ChainId(id), explorer };
        let slot_seconds = match &text.slot {
            Some(slot) if slot.value.is_zero() => {
                problems.push(slot.problem("`slot` must be longer than nothing"));
                SLOT_SECONDS
            }
            Some(slot) => slot.value.as_secs_f64(),
            None => known.map_or(SLOT_SECONDS, |known| known.slot_seconds),
        };
        let wall = text.wall.unwrap_or(id != DEVELOPMENT_ID);
        let url = text.endpoint.and_then(|value| endpoint(value, problems));
        let endpoint = url.map(|url| EndpointSettings {
            name: text.name.value.into(),
            url,
            slot_seconds,
            clock: if wall { ChainClock::Wall } else { ChainClock::Chain },
        });
        let multisend = text.multisend.iter().map(|item| (item, Library::MultiSend));
        let migrations = text.migrations.iter().map(|item| (item, Library::Migration));
        let libraries = multisend.chain(migrations);
        let libraries =
            libraries.filter_map(|(item, library)| Some((parse_address(item, problems)?, library))).collect();
        Self { info: Arc::new(info), endpoint, libraries }
    }
}

/// That `name` is nothing known, with the nearest that is.
pub(super) fn unknown<'n>(
    what: &str,
    name: &At<&str>,
    names: impl Iterator<Item = &'n str>,
    otherwise: &str,
) -> Problem {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if (1..=8).contains(&names.len()) => format!("known are `{}`", names.join("`, `")),
        None => otherwise.to_owned(),
    };
    name.problem(format!("unknown {what} `{}`", **name)).hint(hint)
}

fn explorer(at: &At<&str>, problems: &mut Problems) -> Option<Arc<str>> {
    match Url::parse(at) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Some(at.trim().trim_end_matches('/').into())
        }
        _ => {
            problems.push(
                at.problem(format!("`{}` is not an explorer's address", **at)).hint("such as \"https://etherscan.io\""),
            );
            None
        }
    }
}

fn endpoint(value: Value<'_>, problems: &mut Problems) -> Option<EndpointUrl> {
    if value.as_table().is_some() {
        return Secret::parse(value, problems).map(EndpointUrl::Secret);
    }
    let text = value.string(problems)?;
    let flaw = match Url::parse(&text) {
        Ok(url) if !matches!(url.scheme(), "ws" | "wss" | "http" | "https") => {
            "an endpoint begins with ws://, wss://, http:// or https://"
        }
        Ok(url) if carries_key(&url) => "this URL seems to carry a key, and a key must not stand in the file",
        Ok(_) => return Some(EndpointUrl::Plain(text.value.to_owned())),
        // What it says is not repeated: a key may be in it.
        Err(_) => "this is not a URL",
    };
    problems.push(text.problem(flaw).hint("write `endpoint = { env = \"NAME\" }` and keep the URL in the environment"));
    None
}

fn carries_key(url: &Url) -> bool {
    let key_like = |part: &str| {
        part.len() >= KEY_LIKE_CHARS && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.path_segments().is_some_and(|mut segments| segments.any(key_like))
}
