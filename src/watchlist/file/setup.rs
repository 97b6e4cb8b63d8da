//! The main file: chains, destinations, paths, and the location of the other files.

use super::{ChainText, ConsoleText, HeartbeatText, Lost, report_missing_key};
use crate::model::Severity;
use crate::settings::{At, Problems, Spot, Table};
use std::time::Duration;

/// Sections that only the main file holds.
pub(in crate::watchlist) const SECTIONS: [&str; 6] =
    ["chain", "destination", "path", "console", "heartbeat", "safe-service"];

/// Sections that only the main file holds.
pub(in crate::watchlist) struct SetupText<'a> {
    pub store: Option<At<&'a str>>,
    pub watchlists: Vec<At<&'a str>>,
    pub chains: Vec<ChainText<'a>>,
    pub destinations: Vec<DestinationText<'a>>,
    pub paths: Vec<PathText<'a>>,
    pub console: Option<ConsoleText<'a>>,
    pub heartbeats: Vec<HeartbeatText<'a>>,
    pub services: Vec<ServiceText<'a>>,
    /// Names in sections that could not be parsed.
    pub lost: Lost<'a>,
}

/// A `[safe-service.X]`, read later by the module of the service.
pub(in crate::watchlist) struct ServiceText<'a> {
    pub name: At<&'a str>,
    pub table: Table<'a>,
}

/// A `[destination.X]`, read later by the module of its kind.
pub(in crate::watchlist) struct DestinationText<'a> {
    pub name: At<&'a str>,
    pub table: Table<'a>,
}

/// `[path.X]`.
pub(in crate::watchlist) struct PathText<'a> {
    pub name: At<&'a str>,
    pub page_at: Option<Severity>,
    pub notify: Vec<At<&'a str>>,
    pub ack_expires: Option<At<Duration>>,
    pub steps: Vec<StepText<'a>>,
}

/// A step of a path.
pub(in crate::watchlist) struct StepText<'a> {
    pub to: Vec<At<&'a str>>,
    pub ack_within: Option<At<Duration>>,
}

impl<'a> SetupText<'a> {
    pub(in crate::watchlist) fn from_table(table: &mut Table<'a>, problems: &mut Problems) -> Self {
        let store = table.string("store", problems);
        let watchlists = table.one_or_more("watchlists", problems).unwrap_or_default();
        let mut lost = Lost::default();
        let mut named = |key: &'static str, problems: &mut Problems| {
            let mut tables = Vec::new();
            let Some(section) = table.value(key) else { return tables };
            let Some(entries) = section.table(problems).map(Table::into_entries) else {
                lost.record_section(key);
                return tables;
            };
            for (name, value) in entries {
                let text = name.value;
                match value.table(problems) {
                    Some(table) => tables.push((name, table)),
                    None => lost.name(text),
                }
            }
            tables
        };
        let chains = named("chain", problems);
        let destinations = named("destination", problems);
        let paths = named("path", problems);
        let heartbeats = named("heartbeat", problems);
        let services = named("safe-service", problems);
        let console = table.table("console", problems).map(|table| ConsoleText::from_table(table, problems));
        Self {
            store,
            watchlists,
            chains: chains.into_iter().map(|(name, table)| ChainText::from_table(name, table, problems)).collect(),
            destinations: destinations.into_iter().map(|(name, table)| DestinationText { name, table }).collect(),
            paths: paths.into_iter().map(|(name, table)| PathText::from_table(name, table, problems)).collect(),
            console,
            heartbeats: heartbeats.into_iter().map(|(name, table)| HeartbeatText { name, table }).collect(),
            services: services.into_iter().map(|(name, table)| ServiceText { name, table }).collect(),
            lost,
        }
    }
}

impl<'a> PathText<'a> {
    fn from_table(name: At<&'a str>, mut table: Table<'a>, problems: &mut Problems) -> Self {
        let page_at = table.severity("page_at", problems).map(|at| at.value);
        let notify = table.one_or_more("notify", problems).unwrap_or_default();
        let ack_expires = table.duration("ack_expires", problems);
        let written = table.value("steps");
        let tables = written.map(|value| value.tables(problems)).unwrap_or_default();
        if tables.is_empty() && written.is_none_or(|value| value.as_items().is_some()) {
            let hint = "write `steps = [ { to = [\"pager\"], ack_within = \"5m\" } ]`";
            let spot = written.map_or_else(|| name.spot.clone(), |value| value.spot());
            problems
                .push(spot.problem(format!("path `{}` has no steps, so it would page nobody", *name)).with_hint(hint));
        }
        let steps = tables.into_iter().map(|step| StepText::from_table(step, problems)).collect();
        table.report_unknown_keys(problems);
        Self { name, page_at, notify, ack_expires, steps }
    }
}

impl<'a> StepText<'a> {
    fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let spot: Spot = table.spot();
        let written = table.value("to");
        let to = written.and_then(|value| value.one_or_more(problems));
        match (&to, &written) {
            (None, None) => report_missing_key(&spot, "to", problems),
            (Some(to), Some(value)) if to.is_empty() && value.as_items().is_some_and(|items| items.is_empty()) => {
                problems.push(value.spot().problem("a step that tells nobody"));
            }
            _ => {}
        }
        let ack_within = table.require_key("ack_within", problems, Table::duration);
        table.report_unknown_keys(problems);
        Self { to: to.unwrap_or_default(), ack_within }
    }
}
