//! `[destination.X]` and `[path.X]`: receivers of notifications, and their order.

use super::chains::unknown_name_problem;
use crate::deliver::{self, Targets};
use crate::model::Severity;
use crate::model::path::{Feed, Path, PathStep, SELF_PATH};
use crate::settings::{At, Problems, SourceFile};
use crate::watchlist::file::{DestinationText, Lost, PathText, SetupText};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Default number of seconds after which an acknowledgement expires: long enough to work, short enough for a reminder.
const ACK_EXPIRES: u64 = 30 * 60;
/// Number of seconds of a step whose length could not be parsed.
const ACK_WITHIN: u64 = 5 * 60;

/// Destinations, and the names of those that could not be read, so that each mistake is reported once.
pub(super) struct Destinations<'a> {
    pub(super) compiled: Targets,
    written: BTreeSet<String>,
    lost: &'a Lost<'a>,
}

/// Paths, with their names as shared by watches.
pub(super) struct Paths<'a> {
    pub(super) compiled: HashMap<String, Path>,
    names: HashMap<String, Arc<str>>,
    lost: &'a Lost<'a>,
}

pub(super) fn compile_destinations<'a>(
    texts: Vec<DestinationText<'_>>,
    lost: &'a Lost<'a>,
    problems: &mut Problems,
) -> Destinations<'a> {
    let mut destinations = Destinations { compiled: Targets::new(), written: BTreeSet::new(), lost };
    for text in texts {
        destinations.written.insert(text.name.value.to_owned());
        if let Some(target) = deliver::parse_destination(text.name.value, text.table, problems) {
            destinations.compiled.insert(text.name.value.to_owned(), target);
        }
    }
    destinations
}

/// Returns the destinations that receive the feed, ordered by name.
pub(super) fn feed_destinations(destinations: &Destinations<'_>) -> Vec<(String, Feed)> {
    destinations.compiled.iter().filter_map(|(name, target)| Some((name.clone(), target.feed?))).collect()
}

pub(super) fn compile_paths<'a>(
    main: &Arc<SourceFile>,
    setup: &SetupText<'_>,
    destinations: &Destinations<'a>,
    problems: &mut Problems,
) -> Paths<'a> {
    check_self(main, setup, destinations, problems);
    for text in &setup.paths {
        let mut names = text.steps.iter().flat_map(|step| &step.to).peekable();
        let is_terminal = |name: &At<&str>| {
            destinations.compiled.get(name.value).is_some_and(|target| target.kind == deliver::TERMINAL)
        };
        if names.peek().is_some() && names.all(is_terminal) {
            let note =
                format!("path `{}` pages a terminal alone: whoever does not look at it is not woken", *text.name);
            problems.push_note(text.name.problem(note).with_hint("add a destination that calls somebody up"));
        }
    }
    let compiled =
        setup.paths.iter().map(|text| (text.name.value.to_owned(), compile_path(text, destinations, problems)));
    let names = setup.paths.iter().map(|text| (text.name.value.to_owned(), text.name.value.into()));
    Paths { compiled: compiled.collect(), names: names.collect(), lost: destinations.lost }
}

impl Paths<'_> {
    /// Returns the name of a path, shared by all watches on it.
    pub(super) fn shared_name(&self, name: &str) -> Option<Arc<str>> {
        self.names.get(name).cloned()
    }

    /// Reports a watch whose path does not exist.
    pub(super) fn check_path(&self, name: &At<&str>, problems: &mut Problems) {
        if !self.compiled.contains_key(name.value) {
            let names = self.compiled.keys().map(String::as_str);
            let problem = unknown_name_problem("path", name, names, "paths stand in the main file as `[path.X]`");
            self.lost.report_unknown("path", name.value, problem, problems);
        }
    }
}

/// Requires a path for the program's own incidents. The program must never be in an outage without a receiver to page,
/// so there is no default.
fn check_self(main: &Arc<SourceFile>, setup: &SetupText<'_>, destinations: &Destinations<'_>, problems: &mut Problems) {
    let Some(text) = setup.paths.iter().find(|text| text.name.value == SELF_PATH) else {
        let to = destinations.written.first().map_or("pager", String::as_str);
        let hint = format!(
            "write `[path.self]` with `steps = [{{ to = [\"{to}\"], ack_within = \"5m\" }}]`: those who keep Watchfire \
             running, told when a chain cannot be seen or the disk is full"
        );
        let problem = main.spot_at(0..0).problem("there is no path `self`").with_hint(hint);
        return destinations.lost.report_unknown("path", SELF_PATH, problem, problems);
    };
    if text.page_at == Some(Severity::Critical) {
        let problem = text.name.problem("`page_at` of path `self` is above `high`, so no blindness would wake anybody");
        problems.push(problem.with_hint("leave `page_at` away, or write `page_at = \"high\"`"));
    }
}

fn compile_path(text: &PathText<'_>, destinations: &Destinations<'_>, problems: &mut Problems) -> Path {
    let mut known = |names: &[At<&str>]| {
        for name in names.iter().filter(|name| !destinations.written.contains(name.value)) {
            let names = destinations.written.iter().map(String::as_str);
            let otherwise = "destinations stand in the main file as `[destination.X]`";
            let problem = unknown_name_problem("destination", name, names, otherwise);
            destinations.lost.report_unknown("destination", name.value, problem, problems);
        }
        names.iter().map(|name| name.value.to_owned()).collect::<Vec<_>>()
    };
    let steps: Vec<_> = text.steps.iter().map(|step| (known(&step.to), &step.ack_within)).collect();
    let notify = known(&text.notify);
    let steps = steps.into_iter().map(|(to, ack_within)| {
        let seconds = match ack_within {
            Some(within) if within.value.as_secs() == 0 => {
                problems.push(within.problem("a step leaves at least a second to acknowledge"));
                ACK_WITHIN
            }
            Some(within) => within.value.as_secs(),
            None => ACK_WITHIN,
        };
        PathStep { to, ack_within: seconds }
    });
    let steps = steps.collect();
    let ack_expires = match &text.ack_expires {
        Some(expires) if expires.value.as_secs() == 0 => {
            problems.push(expires.problem("an acknowledgement holds at least a second"));
            ACK_EXPIRES
        }
        Some(expires) => expires.value.as_secs(),
        None => ACK_EXPIRES,
    };
    Path {
        name: text.name.value.to_owned(),
        steps,
        page_at: text.page_at.unwrap_or(Severity::High),
        notify,
        ack_expires,
    }
}
