//! Delivers messages from the outbox to people: each message to its destination, with retries until it arrives.
//!
//! Comes in: messages that were committed before. Goes out: requests to pagers, chats and webhooks, a page on a
//! terminal, and the result of each attempt, which is recorded in the outbox. Never here: a decision about recipients
//! or times; a message that was not committed first; a secret, or a URL that carries one, in a log, an error or a
//! message.
//!
//! Delivery is at least once. Every retry of a message carries the same key, so that a receiver can drop the second copy.
//!
//! A new kind of destination is one file beside these and one line in [`DESTINATIONS`].

mod direct;
mod escape;
mod event;
mod health;
mod in_flight;
mod layout;
mod pagerduty;
#[cfg(test)]
mod samples;
mod slack;
mod slots;
mod terminal;
mod webhook;
mod worker;

pub use crate::http::{Receipt, SendError, Success};
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

/// All kinds of destinations, in the order used in the documentation.
pub static DESTINATIONS: &[&dyn DestinationKind] =
    &[&pagerduty::PagerDutyKind, &slack::SlackKind, &webhook::WebhookKind, &terminal::TerminalKind];

/// Time limit of one attempt, unless a destination sets another.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum `timeout` that a destination may set; leases are derived from it.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Age at which a page becomes a dead letter, because it is no longer news.
pub const PAGE_GIVE_UP: Duration = Duration::from_secs(24 * 3_600);
/// Age at which a feed line becomes a dead letter. It is longer than for a page, since the feed's reader may be down
/// over a weekend.
pub const FEED_GIVE_UP: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Attempt to send a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Identity of the message: the same for every attempt.
    pub key: DeliveryKey,
    /// Purpose of the message.
    pub kind: DeliveryKind,
    /// Number of the attempt, starting at 1.
    pub attempt: u32,
    /// Time of this attempt, in milliseconds of the wall clock, for a receiver to compare with its own clock.
    pub now_ms: u64,
    /// Highest severity among the findings in the message.
    pub severity: Severity,
    /// Content of the message.
    pub body: Body,
}

/// A destination for messages.
pub trait Destination: Send + Sync {
    /// Sends one message. The call ends shortly after the destination's timeout at the latest.
    ///
    /// # Errors
    ///
    /// [`SendError`] determines the next step. No error contains a secret.
    fn send<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, SendError>>;

    /// Returns how many messages of one lane the destination takes in one request.
    fn batch_limit(&self) -> usize {
        1
    }

    /// Sends several messages of one lane in one request, in order: either all of them are accepted or none. Called
    /// only where [`Destination::batch_limit`] returns more than one, and never with more than that.
    ///
    /// # Errors
    ///
    /// Like [`Destination::send`].
    fn send_together<'a>(&'a self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let refused = SendError::Refused(format!("takes one message at a time, not {}", messages.len()));
        Box::pin(futures::future::ready(Err(refused)))
    }

    /// Returns the minimum time between two messages that the destination tolerates.
    fn min_interval(&self) -> Duration {
        Duration::ZERO
    }
}

/// A kind of destination: its name in a configuration, and the format of its table.
pub trait DestinationKind: Sync {
    /// Returns the name of the kind, as written behind `kind =`.
    fn name(&self) -> &'static str;

    /// Returns a valid table, used in the documentation and as test input.
    fn example(&self) -> &'static str;

    /// Returns the response by which the service accepts a message: no other response counts as delivered.
    fn success(&self) -> Success;

    /// Returns whether the kind can take a feed of verdicts, rather than pages alone.
    fn takes_feed(&self) -> bool {
        false
    }

    /// Reads the keys that are specific to this kind; the keys of [`Common`] were read already.
    fn parse(&self, table: &mut Table<'_>, common: &Common, problems: &mut Problems) -> Option<Box<dyn Destination>>;
}

/// Settings that every destination's table may contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Name by which paths refer to it.
    pub name: String,
    /// Time limit of one attempt.
    pub timeout: Duration,
}

/// A destination with its name and its common settings.
#[derive(Clone)]
pub struct Target {
    /// Name by which paths refer to it.
    pub name: String,
    /// Name of the destination's kind.
    pub kind: &'static str,
    /// Feed that it receives besides pages.
    pub feed: Option<Feed>,
    /// Time limit of one attempt.
    pub timeout: Duration,
    /// Age at which a message to it becomes a dead letter; absent for the defaults [`PAGE_GIVE_UP`] and
    /// [`FEED_GIVE_UP`].
    pub give_up_after: Option<Duration>,
    /// Destination that sends the messages.
    pub destination: Arc<dyn Destination>,
}

/// All destinations of a configuration, by name.
pub type Targets = BTreeMap<String, Target>;

/// Reads a complete `[destination.<name>]` table: every problem in it is reported, including unknown keys.
pub fn parse_destination(name: &str, mut table: Table<'_>, problems: &mut Problems) -> Option<Target> {
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
    let Some(kind) = table.require_key("kind", problems, |table, key, problems| table.choice(key, &kinds, problems))
    else {
        // Without the kind, the valid keys are not known.
        return None;
    };
    if let Some(feed) = feed.as_ref().filter(|_| !kind.takes_feed()) {
        let problem = feed.problem(format!("a `{}` destination takes pages and no feed", kind.name()));
        problems.push(problem.with_hint("send the feed to a `webhook` destination"));
    }
    let common = Common { name: name.to_owned(), timeout: timeout.unwrap_or(TIMEOUT) };
    let destination = kind.parse(&mut table, &common, problems);
    table.report_unknown_keys(problems);
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
        let all = document.root_table().table("destination", &mut problems).expect("a destination");
        let entries = all.into_entries();
        let targets = entries
            .iter()
            .map(|(name, value)| parse_destination(name, value.table(&mut problems).expect("a table"), &mut problems))
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
        assert_eq!(problems.to_lines(), expected);
    }
}
