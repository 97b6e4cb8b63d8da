//! Whether a chain can be seen. Not to see is an incident like any other: told once, along the paths of the chain's watches, and
//! closed when sight returns.

use super::Session;
use crate::escalate;
use crate::model::record::BlindnessLine;
use crate::model::{BlindnessKind, Severity};
use crate::runtime;
use crate::store::Filter;
use crate::watchlist::{ChainBook, ChainClock};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// Slots without a new block before the head counts as stale: two missed slots are ordinary, four are not.
const STALE_SLOTS: u32 = 4;
/// Labels listed of the watches that a blindness hides; the rest is counted.
const BLINDS_MAX: usize = 20;

/// A blindness that was told by an earlier process and is not over: what it saw is gone with it, so the next block ends it.
const EARLIER: &str = "earlier";

/// The reasons for which a chain cannot be seen, as they come and go.
pub(super) struct Lookout<'a> {
    session: &'a Session,
    chain: &'a ChainBook,
    nudge: &'a Notify,
    /// Kinds of blindness that hold right now.
    causes: BTreeSet<&'static str>,
    since: Option<Timestamp>,
    /// When the newest block was made, or when we began to look, whichever is later.
    fresh_at: Timestamp,
}

impl<'a> Lookout<'a> {
    /// Looks out from now on, as blind as the store says we were.
    pub(super) async fn open(session: &'a Session, chain: &'a ChainBook, nudge: &'a Notify) -> anyhow::Result<Self> {
        let fresh_at = session.clock.now();
        let mut lookout = Self { session, chain, nudge, causes: BTreeSet::new(), since: None, fresh_at };
        let filter = Filter { chain: Some(chain.info.id), ..Filter::live() };
        let live = session.store.incidents(filter).await.context("read whether we were blind")?;
        let blind = live.iter().filter(|incident| incident.rules.iter().any(|rule| rule == escalate::BLINDNESS));
        if let Some(since_ms) = blind.map(|incident| incident.opened_at).min() {
            lookout.causes.insert(EARLIER);
            lookout.since = i64::try_from(since_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            session.tally.blind(chain.info.id, true);
        }
        Ok(lookout)
    }

    /// How long to wait before [`Lookout::watch_head`] has something to say; for ever on a chain whose clock is not ours.
    pub(super) fn pause(&self) -> Option<Duration> {
        (self.chain.clock == ChainClock::Wall).then(|| self.chain.slot.max(Duration::from_secs(1)))
    }

    /// A block was committed just now.
    pub(super) async fn block(&mut self) -> anyhow::Result<()> {
        self.fresh_at = self.session.clock.now();
        self.session.signs.block(&self.chain.info.name);
        self.clear(EARLIER).await?;
        self.clear("stale-head").await
    }

    /// Whether blocks still come, by our own clock.
    pub(super) async fn watch_head(&mut self) -> anyhow::Result<()> {
        let age = self.session.clock.now().duration_since(self.fresh_at);
        let patience = SignedDuration::try_from(self.chain.slot * STALE_SLOTS).unwrap_or(SignedDuration::MAX);
        if age > patience.max(SignedDuration::from_secs(10)) {
            let why = format!("no new block for {} seconds", age.as_secs());
            return self.blind("stale-head", &why, self.fresh_at).await;
        }
        Ok(())
    }

    /// Something stands in the way, since `since`.
    pub(super) async fn blind(&mut self, kind: &'static str, why: &str, since: Timestamp) -> anyhow::Result<()> {
        if let Some(known) = BlindnessKind::ALL.into_iter().find(|known| known.name() == kind) {
            self.session.signs.troubled(&self.chain.info.name, known, Severity::High, why);
        }
        if !self.causes.insert(kind) || self.causes.len() > 1 {
            return Ok(());
        }
        warn!("blind on {}: {why}", self.chain.info.name);
        self.since = Some(since);
        self.session.tally.blind(self.chain.info.id, true);
        let line = BlindnessLine { why: Some(why.to_owned()), ..self.line(kind, since, None) };
        let (roster, info) = (self.session.book.roster.clone(), self.chain.info.clone());
        let now = runtime::millis(&*self.session.clock);
        let engine = move |live: &[_]| escalate::blind(&line, &info, live, &roster, now);
        let plan = self.session.store.change(now, engine).await.context("write down that we are blind")?;
        self.session.told(&plan);
        self.nudge.notify_one();
        Ok(())
    }

    /// What stood in the way is gone; sight is back when nothing else does.
    pub(super) async fn clear(&mut self, kind: &'static str) -> anyhow::Result<()> {
        if let Some(known) = BlindnessKind::ALL.into_iter().find(|known| known.name() == kind) {
            self.session.signs.cleared(&self.chain.info.name, known);
        }
        if !self.causes.remove(kind) || !self.causes.is_empty() {
            return Ok(());
        }
        info!("sighted again on {}", self.chain.info.name);
        self.session.tally.blind(self.chain.info.id, false);
        let until = self.session.clock.now();
        let since = self.since.take().unwrap_or(until);
        let line = self.line(kind, since, Some(until));
        let info = self.chain.info.clone();
        let now = runtime::millis(&*self.session.clock);
        let engine = move |live: &[_]| escalate::sighted(&line, &info, live, now);
        let plan = self.session.store.change(now, engine).await.context("write down that we see again")?;
        self.session.told(&plan);
        self.nudge.notify_one();
        Ok(())
    }

    /// The watches of this chain by their labels, as many as a person reads.
    fn blinds(&self) -> Vec<String> {
        let mut labels: Vec<String> = self.labels().take(BLINDS_MAX).map(str::to_owned).collect();
        let more = self.labels().skip(BLINDS_MAX).count();
        if more > 0 {
            labels.push(format!("and {more} more"));
        }
        labels
    }

    fn labels(&self) -> impl Iterator<Item = &str> {
        let watches = self.session.book.roster.watches.iter();
        watches.filter(|watch| watch.chain.id == self.chain.info.id).map(|watch| &*watch.label)
    }

    fn line(&self, kind: &str, since: Timestamp, until: Option<Timestamp>) -> BlindnessLine {
        BlindnessLine {
            kind: kind.to_owned(),
            why: None,
            chain: self.chain.info.name.to_string(),
            endpoint: self.chain.endpoints.first().map(|endpoint| endpoint.name.to_string()),
            since: since.to_string(),
            until: until.map(|until| until.to_string()),
            blocks: None,
            blinds: self.blinds(),
        }
    }
}
