//! Whether a chain can be seen: what the source reports, and what only block times against our clock can tell.
//!
//! Every trouble becomes an incident on the path `self`, by way of [`escalate::blind`]. One during which nothing is seen is over
//! when the source is at the head again and everything that was missed has been committed, so that its end can tell what that
//! was.

use super::Session;
use super::pace::Pace;
use super::supervisor::TaskName;
use crate::decode::StateSight;
use crate::escalate;
use crate::model::incident::{Incident, Plan};
use crate::model::span::lasting;
use crate::model::{BlindnessKind, Severity, Trouble, WatchId};
use crate::pipeline::{Took, Traced};
use crate::runtime::{Stop, instant};
use crate::source::Phase;
use crate::store::Filter;
use crate::watchlist::{ChainBook, ChainClock, EndpointSettings};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// How often the clock is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// So long after an earlier process told of something, this one waits to hear of it again before it counts as over.
const EARLIER_MAX: SignedDuration = SignedDuration::from_millis(escalate::RETURNS_WITHIN_MS.cast_signed());
/// A start so long after the newest block that was judged tells that we did not run. Less is a restart.
const DOWN_MIN: Duration = Duration::from_secs(5 * 60);
/// The same in slots, for chains so slow that few blocks come in that time.
const DOWN_SLOTS: u32 = 10;

/// Steps in a row that were not traced, or left state unread, before anybody is woken for it: a connection that breaks once is
/// written down and no more.
const MISSED_QUIETLY: u32 = 2;

/// The reasons for which a chain cannot be seen, as they come and go.
pub(super) struct Lookout<'a> {
    session: &'a Session,
    chain: &'a ChainBook,
    nudge: &'a Notify,
    stop: &'a Stop,
    patience: Patiences,
    phase: Phase,
    /// What stands right now, as this process knows it.
    standing: BTreeMap<(BlindnessKind, Option<Arc<str>>), Severity>,
    /// What an earlier process told and this one has not heard of.
    earlier: Vec<(BlindnessKind, Option<String>)>,
    /// The loudest that lasts of what hides the whole chain, until everything is seen again.
    dark: Option<Severity>,
    /// Time of the newest block that was judged.
    newest: Option<Timestamp>,
    /// When that was, or when we began to look.
    moved_at: Timestamp,
    opened_at: Timestamp,
    /// Whether a block was looked into since.
    has_traces: bool,
    /// Where the time of blocks goes.
    pace: Pace,
    /// Steps in a row that were not traced, and that left state unread.
    untraced: Missed,
    unread_for: Missed,
    /// Watches whose state could be read once, and cannot now.
    unread: BTreeMap<WatchId, StateSight>,
}

/// How long the newest block may lie back, by our clock.
#[derive(Clone, Copy, Debug)]
struct Patiences {
    /// Two slots without a block, and half a slot for the way of a block to us: one that is missed is ordinary.
    warn: SignedDuration,
    /// Four slots.
    page: SignedDuration,
    /// How far it may lie ahead.
    ahead: SignedDuration,
    /// How long we may have been away.
    down: SignedDuration,
}

/// Steps in a row that could not be looked into.
#[derive(Clone, Copy, Debug, Default)]
struct Missed(u32);

impl Missed {
    /// One step more: how loud that is.
    fn once_more(&mut self) -> Severity {
        self.0 = self.0.saturating_add(1);
        if self.0 > MISSED_QUIETLY { Severity::High } else { Severity::Warning }
    }
}

impl Patiences {
    /// A chain of fast slots is given some seconds all the same: what a provider takes to change a node is no outage.
    fn of(slot: Duration) -> Self {
        let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self {
            warn: signed(slot * 2 + slot / 2).max(SignedDuration::from_secs(10)),
            page: signed(slot * 4).max(SignedDuration::from_secs(20)),
            // Honest block times are never ahead; a clock that is so far behind tells of silence as much too late.
            ahead: signed(slot).max(SignedDuration::from_secs(12)),
            down: signed((slot * DOWN_SLOTS).max(DOWN_MIN)),
        }
    }

    /// How loud it is that the newest block is so old.
    fn stale(&self, age: SignedDuration) -> Option<Severity> {
        let warns = (age > self.warn).then_some(Severity::Warning);
        if age > self.page { Some(Severity::High) } else { warns }
    }
}

impl<'a> Lookout<'a> {
    /// Looks out from now on, as blind as the store says we were.
    pub(super) async fn open(
        session: &'a Session,
        chain: &'a ChainBook,
        nudge: &'a Notify,
        stop: &'a Stop,
    ) -> anyhow::Result<Self> {
        let now = session.clock.now();
        let window = session.store.window(chain.info.id).await.context("failed to read the last blocks")?;
        let mut lookout = Self {
            session,
            chain,
            nudge,
            stop,
            patience: Patiences::of(chain.slot),
            phase: Phase::Boot,
            standing: BTreeMap::new(),
            earlier: Vec::new(),
            dark: None,
            newest: window.last().and_then(|tip| second(tip.time)),
            moved_at: now,
            opened_at: now,
            pace: Pace::default(),
            has_traces: false,
            untraced: Missed::default(),
            unread_for: Missed::default(),
            unread: BTreeMap::new(),
        };
        let filter = Filter { chain: Some(chain.info.id), ..Filter::live() };
        let live = session.store.incidents(filter).await.context("failed to read whether we were blind")?;
        for incident in live.iter().filter(|incident| escalate::is_dark(incident)) {
            match &incident.blindness {
                // Whoever asks the service knows.
                Some(blindness) if BlindnessKind::OF_SERVICES.contains(&blindness.kind) => {}
                Some(blindness) if !blindness.kind.is_total() => {
                    lookout.earlier.push((blindness.kind, blindness.endpoint.clone()));
                }
                _ => lookout.dark = lookout.dark.max(Some(incident.severity)),
            }
        }
        lookout.count();
        Ok(lookout)
    }

    /// Tells of the time in which no process of ours looked, if it was long. It is over already, so it wakes nobody; what was
    /// found in it does.
    pub(super) async fn woke(&mut self) -> anyhow::Result<()> {
        let Some(newest) = self.newest.filter(|_| self.by_wall()) else { return Ok(()) };
        let away = self.opened_at.duration_since(newest);
        if away <= self.patience.down {
            return Ok(());
        }
        let why = format!("Watchfire did not run, or not here, for {}", lasting(away.as_secs().unsigned_abs()));
        let trouble = self.of_chain(BlindnessKind::NotRunning, Severity::Warning, newest, why);
        self.dark = self.dark.max(Some(trouble.severity));
        self.tell(trouble, None).await
    }

    /// A block of this time was committed just now.
    pub(super) async fn block(&mut self, time: u64) -> anyhow::Result<()> {
        let (signs, chain) = (&self.session.signs, &self.chain.info.name);
        signs.block(chain);
        self.moved_at = self.session.clock.now();
        self.newest = second(time).or(self.newest);
        let ahead = self.newest.map_or(SignedDuration::ZERO, |newest| -self.age(newest));
        if self.by_wall() {
            signs.metrics.clock_skew(chain, Duration::try_from(ahead).unwrap_or_default());
        }
        if self.by_wall() && ahead > self.patience.ahead {
            let said = lasting(ahead.as_secs().unsigned_abs());
            let why = format!("the newest block is {said} ahead of our clock, which tells of silence as much too late");
            let trouble = self.of_chain(BlindnessKind::ClockSkew, Severity::Warning, self.moved_at, why);
            self.troubled(trouble).await
        } else {
            self.cleared(BlindnessKind::ClockSkew, None, self.moved_at).await
        }
    }

    /// The source stands elsewhere.
    pub(super) fn phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Looks at the clock: whether blocks still come, and whether all is seen again. Nothing that the source said must wait to be
    /// heard meanwhile.
    pub(super) async fn look(&mut self) -> anyhow::Result<()> {
        let now = self.session.clock.now();
        let stale = self.watch_head().await?;
        let hidden = self.standing.keys().any(|(kind, _)| kind.is_total());
        if self.phase != Phase::Live || hidden || stale {
            return Ok(());
        }
        self.session.keeper.release(self.chain.info.id);
        if self.dark.take().is_some() {
            info!("sighted again on {}", self.chain.info.name);
            let info = self.chain.info.clone();
            self.write("failed to write down that the chain is seen again", move |known, now_ms| {
                escalate::sighted(Some(&info), now, known, now_ms)
            })
            .await?;
            self.count();
        }
        if now.duration_since(self.opened_at) > EARLIER_MAX {
            for (kind, endpoint) in std::mem::take(&mut self.earlier) {
                self.lift(kind, endpoint.map(Into::into), now).await?;
            }
        }
        Ok(())
    }

    /// Looks at the clock while a block is being judged, which takes long where endpoints went down meanwhile. That all is seen again
    /// is not said before what the source has to say was heard.
    pub(super) async fn look_meanwhile(&mut self) -> anyhow::Result<()> {
        self.watch_head().await.map(|_| ())
    }

    /// Whether the newest blocks could be looked into. Where none ever could, that was said at the start and is no trouble.
    pub(super) async fn traced(&mut self, traced: &Traced) -> anyhow::Result<()> {
        let now = self.session.clock.now();
        match traced {
            Traced::Seen => {
                self.has_traces = true;
                self.untraced = Missed::default();
                self.cleared(BlindnessKind::AbilityLost, None, now).await
            }
            Traced::Missing(_) if !self.has_traces => Ok(()),
            Traced::Missing(why) | Traced::False(why) => {
                let missed = self.untraced.once_more();
                let severity = if matches!(traced, Traced::False(_)) { Severity::High } else { missed };
                let why = format!("what runs inside transactions is not seen: {why}");
                self.troubled(self.of_chain(BlindnessKind::AbilityLost, severity, now, why)).await
            }
        }
    }

    /// How the state of some watches could be read lately. It is one trouble while any of them cannot.
    pub(super) async fn read(&mut self, sights: &[(WatchId, StateSight)]) -> anyhow::Result<()> {
        for (watch, sight) in sights {
            match sight {
                StateSight::Read => self.unread.remove(watch),
                StateSight::Lost | StateSight::Unlisted => self.unread.insert(*watch, *sight),
            };
        }
        let (now, kind) = (self.session.clock.now(), BlindnessKind::StateUnread);
        let Some((first, sight)) = self.unread.first_key_value() else {
            self.unread_for = Missed::default();
            return if sights.is_empty() { Ok(()) } else { self.cleared(kind, None, now).await };
        };
        let severity = self.unread_for.once_more();
        let label = self.session.book.watch(*first).map_or("a watch", |watch| &*watch.label);
        let more = match self.unread.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let why = match sight {
            StateSight::Unlisted => format!("no endpoint lists to its end who has a say in {label}{more}"),
            _ => format!("no endpoint reads the state of {label}{more}: what changes silently is not seen"),
        };
        self.troubled(self.of_chain(kind, severity, now, why)).await
    }

    /// Something stands in the way, or has grown louder.
    pub(super) async fn troubled(&mut self, trouble: Trouble) -> anyhow::Result<()> {
        let key = (trouble.kind, trouble.endpoint.clone());
        let louder = self.standing.get(&key).is_none_or(|known| trouble.severity > *known);
        if !louder && trouble.evidence.is_none() {
            return Ok(());
        }
        let through = trouble.endpoint.as_ref().map_or(String::new(), |endpoint| format!(" through {endpoint}"));
        warn!(
            kind = trouble.kind.name(),
            "blind on {}{through}: {}: {}", self.chain.info.name, trouble.kind, trouble.why
        );
        self.standing.insert(key, trouble.severity);
        self.session.signs.troubled(&self.chain.info.name, trouble.kind, trouble.severity, &trouble.why);
        self.earlier.retain(|(kind, of)| *kind != trouble.kind || of.as_deref() != trouble.endpoint.as_deref());
        if trouble.kind.is_total() {
            self.dark = self.dark.max(Some(trouble.severity));
        }
        self.count();
        let evidence = match &trouble.evidence {
            Some(evidence) => self.session.keep_evidence(&self.chain.info.name, &trouble, evidence).await,
            None => None,
        };
        self.tell(trouble, evidence).await
    }

    /// What stood in the way is gone.
    pub(super) async fn cleared(
        &mut self,
        kind: BlindnessKind,
        endpoint: Option<Arc<str>>,
        until: Timestamp,
    ) -> anyhow::Result<()> {
        if self.standing.remove(&(kind, endpoint.clone())).is_none() {
            return Ok(());
        }
        if self.standing.keys().all(|(other, _)| *other != kind) {
            self.session.signs.cleared(&self.chain.info.name, kind);
        }
        self.count();
        self.lift(kind, endpoint, until).await
    }

    /// A step was committed after `waited` for the source; `behind` blocks are left.
    pub(super) fn pace(&mut self, waited: Duration, took: Took, behind: u64) {
        // Waiting for the next block of a chain that is at its head is nobody's fault.
        let waited = if self.pace.behind() > 0 { waited } else { Duration::ZERO };
        self.pace.step(waited + took.reading, took.judging, took.committing, behind, instant());
    }

    /// Age of a block of this time, by whichever of the machine's clocks is nearer to it: one that was set wrong makes no block old.
    fn age(&self, newest: Timestamp) -> SignedDuration {
        let clock = &self.session.clock;
        let ages = [clock.now(), clock.wall()].map(|now| now.duration_since(newest));
        if ages[0].abs() <= ages[1].abs() { ages[0] } else { ages[1] }
    }

    /// Whether blocks are as new as our clock says they should be. Says whether they are not.
    async fn watch_head(&mut self) -> anyhow::Result<bool> {
        self.session.signs.checks.renew(&TaskName::Chain(self.chain.info.name.clone()).check());
        let now = self.session.clock.now();
        if self.only_strangers() {
            // No block can come, and it was told why.
            return Ok(true);
        }
        if !self.by_wall() {
            return Ok(false);
        }
        // While we catch up, old blocks are what has to come; that none comes is what counts then.
        let newest = self.newest.unwrap_or(self.opened_at);
        // A clock that was set back makes every block new; the time that passes without one does not depend on it.
        let silent = now.duration_since(self.moved_at);
        let (age, since) = match self.phase {
            Phase::Live if self.age(newest) >= silent => (self.age(newest), newest),
            Phase::Live => (silent, self.moved_at),
            _ if self.age(newest) <= silent => (self.age(newest), newest),
            _ => (silent, self.moved_at),
        };
        let Some(severity) = self.patience.stale(age) else {
            self.cleared(BlindnessKind::StaleHead, None, now).await?;
            return Ok(false);
        };
        let said = lasting(age.as_secs().unsigned_abs());
        let moves = self.patience.stale(now.duration_since(self.moved_at)).is_none();
        let why = if moves && self.newest.is_some() && self.pace.behind() > 0 {
            let behind = self.pace.behind();
            format!("the newest judged block is {said} old and {behind} more wait to be judged: {}", self.pace)
        } else if moves && self.newest.is_some() {
            format!("the newest block is {said} old though blocks come: the node is behind, or our clock ahead")
        } else {
            format!("no new block for {said}")
        };
        self.troubled(self.of_chain(BlindnessKind::StaleHead, severity, since, why)).await?;
        Ok(true)
    }

    async fn tell(&self, trouble: Trouble, evidence: Option<String>) -> anyhow::Result<()> {
        let (roster, info) = (self.session.book.roster.clone(), self.chain.info.clone());
        self.write("failed to write down that the chain is not seen", move |known, now_ms| {
            escalate::blind(&trouble, Some(&info), evidence.as_deref(), known, &roster, now_ms)
        })
        .await
    }

    async fn lift(&self, kind: BlindnessKind, endpoint: Option<Arc<str>>, until: Timestamp) -> anyhow::Result<()> {
        let info = self.chain.info.clone();
        self.write("failed to write down what is over", move |known, now_ms| {
            escalate::lifted(kind, endpoint.as_deref(), Some(&info), until, known, now_ms)
        })
        .await
    }

    async fn write<F>(&self, what: &'static str, engine: F) -> anyhow::Result<()>
    where
        F: Fn(&[Incident], u64) -> Plan + Clone + Send + 'static,
    {
        self.session.sight(self.chain.info.id, (self.nudge, self.stop), what, engine).await
    }

    /// Tells the tally, whose exit code is "could not tell" when we end blind.
    fn count(&self) {
        let loudest = self.standing.values().copied().max().max(self.dark);
        self.session.tally.blind(self.chain.info.id, loudest >= Some(Severity::High));
    }

    /// Whether every endpoint serves another chain.
    fn only_strangers(&self) -> bool {
        let strange = |endpoint: &EndpointSettings| {
            let kinds = [BlindnessKind::WrongChain, BlindnessKind::WrongGenesis];
            kinds.into_iter().any(|kind| self.standing.contains_key(&(kind, Some(endpoint.name.clone()))))
        };
        self.chain.endpoints.iter().all(strange)
    }

    fn by_wall(&self) -> bool {
        self.chain.clock == ChainClock::Wall
    }

    fn of_chain(&self, kind: BlindnessKind, severity: Severity, since: Timestamp, why: String) -> Trouble {
        Trouble { kind, endpoint: None, severity, since, why, evidence: None, ways: Vec::new() }
    }
}

/// Unix seconds as a time; absent for one that no calendar has, which only a hostile header holds.
fn second(time: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(slot: Duration, age: i64) -> Option<Severity> {
        Patiences::of(slot).stale(SignedDuration::from_secs(age))
    }

    #[test]
    fn one_missed_slot_is_ordinary_two_warn_and_four_page() {
        let slot = Duration::from_secs(12);
        // The next block of a missed slot comes two slots after the last, and takes some seconds.
        assert_eq!([24, 28].map(|age| said(slot, age)), [None, None]);
        assert_eq!([31, 47].map(|age| said(slot, age)), [Some(Severity::Warning); 2]);
        assert_eq!(said(slot, 49), Some(Severity::High));
    }

    #[test]
    fn fast_slots_are_given_some_seconds() {
        let slot = Duration::from_secs(2);
        assert_eq!([5, 10].map(|age| said(slot, age)), [None, None]);
        assert_eq!(said(slot, 11), Some(Severity::Warning));
        assert_eq!(said(slot, 21), Some(Severity::High));
        assert_eq!(said(Duration::from_millis(250), 9), None);
    }
}
