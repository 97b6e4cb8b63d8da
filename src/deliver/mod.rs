//! From the outbox to people: each message to the destination it names, again and again until it is there.
//!
//! Comes in: messages that were committed before. Goes out: requests to pagers, chats and webhooks, a page on a terminal,
//! and back to the outbox what became of each. Never here: a decision who is told of what, or when; a message that was not
//! committed first; a secret, or a URL that carries one, in a log, an error or a message.
//!
//! Delivery is at least once. Every retry of a message carries the same key, so that a receiver can drop the second copy.
//!
//! A new kind of destination is one file beside these and one line in [`DESTINATIONS`].

mod brief;
mod direct;
mod escape;
mod event;
mod flight;
mod health;
mod pagerduty;
mod rooms;
#[cfg(test)]
mod samples;
mod slack;
mod terminal;
mod webhook;
mod worker;

pub use crate::post::{Receipt, SendError, Success};
pub use direct::send_directly;
pub use health::{Condition, Health};
pub use terminal::{TERMINAL, Terminal, render_page, render_page_in, screen_columns};
pub use worker::{Listener, SENT_KEPT_MS, Worker};

use crate::model::incident::{Body, DeliveryKind};
use crate::model::path::Feed;
use crate::model::{DeliveryKey, Severity};
use crate::settings::{Problems, Table};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Every kind of destination, in the order in which documentation shows them.
pub static DESTINATIONS: &[&dyn DestinationKind] =
    &[&pagerduty::PagerDutyKind, &slack::SlackKind, &webhook::WebhookKind, &terminal::TerminalKind];

/// How long one attempt may take unless a destination says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest `timeout` a destination may name; leases are measured by it.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// A page older than this is news no more: it becomes a dead letter.
pub const PAGE_GIVE_UP: Duration = Duration::from_secs(24 * 3_600);
/// A line of the feed waits longer, since its reader may be down over a weekend.
pub const FEED_GIVE_UP: Duration = Duration::from_secs(7 * 24 * 3_600);

/// One attempt at a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The message's identity: the same for every attempt.
    pub key: DeliveryKey,
    /// What it is for.
    pub kind: DeliveryKind,
    /// From 1.
    pub attempt: u32,
    /// When this attempt is made, milliseconds of the wall clock, by which a receiver holds it against its own.
    pub now_ms: u64,
    /// Loudest finding it tells of.
    pub severity: Severity,
    /// What it says.
    pub body: Body,
}

/// Somewhere messages go.
pub trait Destination: Send + Sync {
    /// Sends one message. It ends within the destination's timeout and a little more.
    ///
    /// # Errors
    ///
    /// [`SendError`] says what to do next. No error holds a secret.
    fn send<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, SendError>>;

    /// Returns how many messages of one lane the destination takes in one request.
    fn together(&self) -> usize {
        1
    }

    /// Sends several messages of one lane in one request, in order: all of them are taken or none. Asked for only where
    /// [`Destination::together`] says more than one, and never with more than that.
    ///
    /// # Errors
    ///
    /// As [`Destination::send`].
    fn send_together<'a>(&'a self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let refused = SendError::Refused(format!("takes one message at a time, not {}", messages.len()));
        Box::pin(futures::future::ready(Err(refused)))
    }

    /// The shortest time between two messages that the destination bears.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }
}

/// A kind of destination: what a configuration calls it, and how its table reads.
pub trait DestinationKind: Sync {
    /// What stands behind `kind =`.
    fn name(&self) -> &'static str;

    /// A table that parses; documentation and test input at once.
    fn example(&self) -> &'static str;

    /// Returns the answer by which the service says that it took a message: nothing else counts as delivered.
    fn success(&self) -> Success;

    /// Whether it can take a feed of verdicts, rather than pages alone.
    fn takes_feed(&self) -> bool {
        false
    }

    /// Reads what is particular to this kind; the keys of [`Common`] are read already.
    fn parse(&self, table: &mut Table<'_>, common: &Common, problems: &mut Problems) -> Option<Box<dyn Destination>>;
}

/// What every destination's table may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// What paths call it.
    pub name: String,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// A destination with its name and the settings that all of them share.
#[derive(Clone)]
pub struct Target {
    /// What paths call it.
    pub name: String,
    /// Which kind it is.
    pub kind: &'static str,
    /// What it hears besides pages.
    pub feed: Option<Feed>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// When a message to it becomes a dead letter; absent for [`PAGE_GIVE_UP`] and [`FEED_GIVE_UP`].
    pub give_up_after: Option<Duration>,
    /// Where it goes.
    pub destination: Arc<dyn Destination>,
}

/// All destinations of a configuration, by name.
pub type Targets = BTreeMap<String, Target>;

/// Reads one `[destination.<name>]` table, all of it: every problem in it is reported, unknown keys too.
pub fn parse(name: &str, mut table: Table<'_>, problems: &mut Problems) -> Option<Target> {
    let timeout = table.duration("timeout", problems).map(|timeout| {
        if timeout.is_zero() || timeout.value > TIMEOUT_MAX {
            problems.push(timeout.problem("`timeout` must be longer than nothing and at most 60s"));
        }
        timeout.value
    });
    let give_up_after = table.duration("give_up_after", problems).map(|horizon| {
        if horizon.value < Duration::from_secs(60) {
            problems.push(horizon.problem("`give_up_after` must be at least 1m"));
        }
        horizon.value
    });
    let feeds = [("findings", Feed::Findings), ("verdicts", Feed::Verdicts)];
    let feed = table.choice("feed", &feeds, problems);
    let kinds: Vec<_> = DESTINATIONS.iter().map(|kind| (kind.name(), *kind)).collect();
    let Some(kind) = table.require("kind", problems, |table, key, problems| table.choice(key, &kinds, problems)) else {
        // Without its kind nobody knows which of its keys are right.
        return None;
    };
    if let Some(feed) = feed.as_ref().filter(|_| !kind.takes_feed()) {
        let problem = feed.problem(format!("a `{}` destination takes pages and no feed", kind.name()));
        problems.push(problem.hint("send the feed to a `webhook` destination"));
    }
    let common = Common { name: name.to_owned(), timeout: timeout.unwrap_or(TIMEOUT) };
    let destination = kind.parse(&mut table, &common, problems);
    table.finish(problems);
    Some(Target {
        name: common.name,
        kind: kind.name(),
        feed: feed.map(|feed| feed.value),
        timeout: common.timeout,
        give_up_after,
        destination: destination?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Secrets, SourceFile};

    fn read(text: &str) -> (Vec<Option<Target>>, Problems) {
        let file = SourceFile::new("watch.toml", text);
        let mut problems = Problems::new();
        let document = Document::parse(&file, Secrets::NamesOnly, &mut problems);
        let all = document.table().table("destination", &mut problems).expect("a destination");
        let entries = all.entries();
        let targets = entries
            .iter()
            .map(|(name, value)| parse(name, value.table(&mut problems).expect("a table"), &mut problems))
            .collect();
        (targets, problems)
    }

    #[test]
    fn every_example_parses() {
        for kind in DESTINATIONS {
            let (targets, problems) = read(kind.example());
            assert!(problems.is_empty(), "{}:\n{}", kind.name(), problems.render(false));
            assert!(!targets.is_empty() && targets.iter().all(Option::is_some), "{}", kind.name());
        }
    }

    #[test]
    fn every_problem_of_a_destination_is_told_at_once() {
        let (_, problems) = read(
            "[destination.oncall]\nkind = \"pagerduty\"\nfeed = \"findings\"\ntimeout = \"5m\"\nrouting_key = \"abc\"\n\
             retires = 3\n[destination.room]\nkind = \"slak\"\n[destination.hook]\nkind = \"webhook\"\n\
             url = \"http://example.com/hook\"\n",
        );
        let expected = [
            "watch.toml:3:8: a `pagerduty` destination takes pages and no feed",
            "watch.toml:4:11: `timeout` must be longer than nothing and at most 60s",
            "watch.toml:5:15: `routing_key` is a secret and must not stand in the file",
            "watch.toml:6:1: unknown key `retires`",
            "watch.toml:8:8: `kind` cannot be \"slak\"",
            "watch.toml:9:1: `secret` is missing",
            "watch.toml:11:7: `url` is plain http to another machine",
        ];
        assert_eq!(problems.lines(), expected);
    }
}
