//! `[chain.X]` and its endpoints.

use crate::settings::{At, Problems, Spot, Table, Value};
use std::time::Duration;

/// `[chain.X]`.
pub(in crate::watchlist) struct ChainText<'a> {
    pub name: At<&'a str>,
    pub id: Option<At<i64>>,
    /// Empty if a problem was reported.
    pub endpoints: Vec<EndpointText<'a>>,
    pub explorer: Option<At<&'a str>>,
    pub slot: Option<At<Duration>>,
    /// Clock setting: `clock = "wall"` is true.
    pub wall: Option<bool>,
    pub finality: Option<FinalityText>,
    pub verify: Option<bool>,
    pub traces: Option<bool>,
    pub pending: Option<bool>,
    pub genesis: Option<At<&'a str>>,
    pub state: Option<StateText>,
    pub multisend: Vec<At<&'a str>>,
    pub migrations: Vec<At<&'a str>>,
}

/// An endpoint, however it is written.
pub(in crate::watchlist) struct EndpointText<'a> {
    pub spot: Spot,
    pub name: Option<At<&'a str>>,
    /// URL as a string, or the place where it is stored. Absent if a problem was reported.
    pub url: Option<Value<'a>>,
    pub requests_per_second: Option<At<i64>>,
}

/// `state = …`.
pub(in crate::watchlist) enum StateText {
    /// `false`: no state is read.
    Off,
    /// `true`, or `{ every = 50 }`: number of blocks between two reads of an untouched state.
    Every(Option<At<i64>>),
}

/// `finality = …`.
pub(in crate::watchlist) enum FinalityText {
    Tags,
    Nothing,
    /// Blocks below the head.
    Depth {
        safe: At<i64>,
        finalized: At<i64>,
    },
}

/// Maximum number of blocks below the head at which finality may be set; two weeks of the slowest chains.
const DEPTH_MAX: i64 = 100_000;
/// Maximum number of blocks between two reads of a state; a month of the fastest chains.
const EVERY_MAX: i64 = 10_000_000;
/// Maximum rate of requests a second; no node accepts more from one client.
const REQUESTS_MAX: i64 = 100_000;

impl<'a> ChainText<'a> {
    pub(super) fn from_table(name: At<&'a str>, mut table: Table<'a>, problems: &mut Problems) -> Self {
        let id = table.int_in("id", 1..=i64::MAX, problems);
        let endpoints = match table.value("endpoint") {
            Some(value) => EndpointText::read_all(value, problems),
            None => {
                let hint = "write `endpoint = { env = \"NAME\" }`, or a URL without credentials";
                problems.push(table.missing_key_problem("endpoint").with_hint(hint));
                Vec::new()
            }
        };
        let explorer = table.string("explorer", problems);
        let slot = table.duration("slot", problems);
        let wall = table.choice("clock", &[("wall", true), ("chain", false)], problems).map(|at| at.value);
        let finality = table.value("finality").and_then(|value| FinalityText::from_value(&value, problems));
        let verify = table.bool("verify", problems).map(|at| at.value);
        let traces = table.bool("traces", problems).map(|at| at.value);
        let pending = table.bool("pending", problems).map(|at| at.value);
        let genesis = table.string("genesis", problems);
        let state = table.value("state").and_then(|value| StateText::from_value(&value, problems));
        let multisend = table.one_or_more("multisend", problems).unwrap_or_default();
        let migrations = table.one_or_more("migrations", problems).unwrap_or_default();
        table.report_unknown_keys(problems);
        Self {
            name,
            id,
            endpoints,
            explorer,
            slot,
            wall,
            finality,
            verify,
            traces,
            pending,
            genesis,
            state,
            multisend,
            migrations,
        }
    }
}

impl<'a> EndpointText<'a> {
    /// Reads one endpoint, or a list.
    fn read_all(value: Value<'a>, problems: &mut Problems) -> Vec<Self> {
        let Some(items) = value.as_items() else { return vec![Self::from_value(value, problems)] };
        if items.is_empty() {
            problems.push(value.spot().problem("no endpoint is listed, so nothing of this chain could be seen"));
        }
        items.into_iter().map(|item| Self::from_value(item, problems)).collect()
    }

    fn from_value(value: Value<'a>, problems: &mut Problems) -> Self {
        let spot = value.spot();
        let plain = |url| Self { spot: spot.clone(), name: None, url, requests_per_second: None };
        let Some(mut table) = value.as_table() else { return plain(Some(value)) };
        if !["name", "url", "requests_per_second"].iter().any(|key| table.has_key(key)) {
            return plain(Some(value));
        }
        let name = table.string("name", problems);
        let url = table.value("url");
        if url.is_none() {
            let kept = ["env", "file"].into_iter().find(|key| table.value(key).is_some());
            let problem = match kept.and_then(|key| table.key_spot(key)) {
                Some(spot) => spot.problem("where the URL is kept is said in `url`"),
                None => table.missing_key_problem("url"),
            };
            problems.push(problem.with_hint("write `url = { env = \"NAME\" }`, or a URL without credentials"));
        }
        let requests_per_second = table.int_in("requests_per_second", 1..=REQUESTS_MAX, problems);
        table.report_unknown_keys(problems);
        Self { spot, name, url, requests_per_second }
    }
}

impl StateText {
    fn from_value(value: &Value<'_>, problems: &mut Problems) -> Option<Self> {
        let Some(mut table) = value.as_table() else {
            return value.bool(problems).map(|on| if on.value { Self::Every(None) } else { Self::Off });
        };
        let every =
            table.require_key("every", problems, |table, key, problems| table.int_in(key, 1..=EVERY_MAX, problems));
        table.report_unknown_keys(problems);
        Some(Self::Every(every))
    }
}

impl FinalityText {
    fn from_value(value: &Value<'_>, problems: &mut Problems) -> Option<Self> {
        let Some(mut table) = value.as_table() else {
            let words = [("tags", true), ("none", false)];
            return value.choice(&words, problems).map(|tags| if *tags { Self::Tags } else { Self::Nothing });
        };
        let depth = |table: &mut Table<'_>, key: &str, problems: &mut Problems| {
            table.require_key(key, problems, |table, key, problems| table.int_in(key, 1..=DEPTH_MAX, problems))
        };
        let safe = depth(&mut table, "safe", problems);
        let finalized = depth(&mut table, "finalized", problems);
        table.report_unknown_keys(problems);
        let (safe, finalized) = (safe?, finalized?);
        if safe.value > finalized.value {
            problems.push(finalized.problem("what is final is safe too, so `finalized` is at least as deep as `safe`"));
            return None;
        }
        Some(Self::Depth { safe, finalized })
    }
}
