//! Visibility of a chain: health issues that the source reports, and those that only a comparison of block times with
//! the local clock shows.
//!
//! Every health issue becomes an incident on the path `self`, created by [`escalate::open_outage`]. A complete outage ends
//! when the source is at the head again and all missed blocks are committed, so that the final message can list them.

use super::App;
use super::pace::PaceMeter;
use super::supervisor::TaskName;
use crate::decode::StateSight;
use crate::escalate;
use crate::model::incident::{ChangeSet, Incident};
use crate::model::span::format_duration;
use crate::model::{BlindnessKind, HealthIssue, IncidentScope, Severity, WatchId};
use crate::pipeline::{Took, Traced};
use crate::runtime::{Stop, monotonic_now};
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

/// Interval at which the clock is checked.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// Time for which this process waits for an outage reported by an earlier process to recur, before it counts as over.
const EARLIER_MAX: SignedDuration = SignedDuration::from_millis(escalate::RETURNS_WITHIN_MS.cast_signed());
/// Minimum time between the newest judged block and the start for which the downtime is reported. A shorter one is a
/// restart.
const DOWN_MIN: Duration = Duration::from_secs(5 * 60);
/// The same in slots, for chains so slow that few blocks come in that time.
const DOWN_SLOTS: u32 = 10;

/// Number of consecutive untraced steps, or steps with unread state, that page no one: a single broken connection is
/// only recorded.
const MISSED_QUIETLY: u32 = 2;

/// Current reasons why a chain cannot be seen.
pub(super) struct Visibility<'a> {
    session: &'a App,
    chain: &'a ChainBook,
    nudge: &'a Notify,
    stop: &'a Stop,
    patience: GracePeriods,
    phase: Phase,
    /// Outages that last right now, as known to this process.
    standing: BTreeMap<(BlindnessKind, Option<Arc<str>>), Severity>,
    /// Outages that an earlier process reported and this process has not yet seen.
    earlier: Vec<(BlindnessKind, Option<String>)>,
    /// Highest severity of the issues that hide the whole chain, until everything is seen again.
    dark: Option<Severity>,
    /// Time of the newest block that was judged.
    newest: Option<Timestamp>,
    /// Time when the newest block was judged, or when observation began.
    moved_at: Timestamp,
    opened_at: Timestamp,
    /// True if a block was traced since the start.
    has_traces: bool,
    /// Time spent in each stage of a block's processing.
    pace: PaceMeter,
    /// Steps in a row that were not traced, and that left state unread.
    untraced: MissedHeads,
    unread_for: MissedHeads,
    /// Watches whose state could be read once, and cannot now.
    unread: BTreeMap<WatchId, StateSight>,
}

/// Limits on the distance of the newest block from the local clock.
#[derive(Clone, Copy, Debug)]
struct GracePeriods {
    /// Two slots without a block, and half a slot for propagation: one missed slot is normal.
    warn: SignedDuration,
    /// Four slots.
    page: SignedDuration,
    /// Maximum time by which the newest block may lie ahead.
    ahead: SignedDuration,
    /// Maximum time for which the program may have been down.
    down: SignedDuration,
}

/// Number of consecutive steps that could not be examined.
#[derive(Clone, Copy, Debug, Default)]
struct MissedHeads(u32);

impl MissedHeads {
    /// Counts one more step and returns the severity.
    fn once_more(&mut self) -> Severity {
        self.0 = self.0.saturating_add(1);
        if self.0 > MISSED_QUIETLY { Severity::High } else { Severity::Warning }
    }
}

impl GracePeriods {
    /// Returns the limits for a slot time. Chains with short slots get some seconds as a minimum, because a provider
    /// that switches nodes is not an outage.
    fn for_slot(slot: Duration) -> Self {
        let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self {
            warn: signed(slot * 2 + slot / 2).max(SignedDuration::from_secs(10)),
            page: signed(slot * 4).max(SignedDuration::from_secs(20)),
            // Correct block times are never ahead of real time. A clock that is behind by this much reports missing
            // blocks too late by the same time.
            ahead: signed(slot).max(SignedDuration::from_secs(12)),
            down: signed((slot * DOWN_SLOTS).max(DOWN_MIN)),
        }
    }

    /// Returns the severity of a newest block of this age; `None` while the age is within bounds.
    fn stale_severity(&self, age: SignedDuration) -> Option<Severity> {
        let warns = (age > self.warn).then_some(Severity::Warning);
        if age > self.page { Some(Severity::High) } else { warns }
    }
}

impl<'a> Visibility<'a> {
    /// Starts watching, with the outages that the store has recorded.
    pub(super) async fn open(
        session: &'a App,
        chain: &'a ChainBook,
        nudge: &'a Notify,
        stop: &'a Stop,
    ) -> anyhow::Result<Self> {
        let now = session.clock.now();
        let window = session.store.recent_blocks(chain.info.id).await.context("failed to read the last blocks")?;
        let mut lookout = Self {
            session,
            chain,
            nudge,
            stop,
            patience: GracePeriods::for_slot(chain.slot),
            phase: Phase::Boot,
            standing: BTreeMap::new(),
            earlier: Vec::new(),
            dark: None,
            newest: window.last().and_then(|tip| timestamp_from_seconds(tip.time)),
            moved_at: now,
            opened_at: now,
            pace: PaceMeter::default(),
            has_traces: false,
            untraced: MissedHeads::default(),
            unread_for: MissedHeads::default(),
            unread: BTreeMap::new(),
        };
        let filter = Filter { scope: Some(IncidentScope::Chain(chain.info.id)), ..Filter::live_only() };
        let live = session.store.list_incidents(filter).await.context("failed to read whether we were blind")?;
        for incident in live.iter().filter(|incident| escalate::is_dark(incident)) {
            match incident.origin.outage() {
                // The task that reads the service handles these.
                Some(blindness) if BlindnessKind::OF_SERVICES.contains(&blindness.kind) => {}
                Some(blindness) if !blindness.kind.is_total() => {
                    lookout.earlier.push((blindness.kind, blindness.endpoint.clone()));
                }
                _ => lookout.dark = lookout.dark.max(Some(incident.severity)),
            }
        }
        lookout.update_summary();
        Ok(lookout)
    }

    /// Reports the time in which no process of ours ran, if it was long. It is over already, so it pages no one;
    /// findings from that time do.
    pub(super) async fn report_downtime(&mut self) -> anyhow::Result<()> {
        let Some(newest) = self.newest.filter(|_| self.by_wall()) else { return Ok(()) };
        let away = self.opened_at.duration_since(newest);
        if away <= self.patience.down {
            return Ok(());
        }
        let why = format!("Watchfire did not run, or not here, for {}", format_duration(away.as_secs().unsigned_abs()));
        let trouble = self.of_chain(BlindnessKind::NotRunning, Severity::Warning, newest, why);
        self.dark = self.dark.max(Some(trouble.severity));
        self.open_outage(trouble, None).await
    }

    /// Records that a block with this time was committed just now.
    pub(super) async fn record_block(&mut self, time: u64) -> anyhow::Result<()> {
        let (signs, chain) = (&self.session.signs, &self.chain.info.name);
        signs.record_block(chain);
        self.moved_at = self.session.clock.now();
        self.newest = timestamp_from_seconds(time).or(self.newest);
        let ahead = self.newest.map_or(SignedDuration::ZERO, |newest| -self.block_age(newest));
        if self.by_wall() {
            signs.metrics.clock_skew(chain, Duration::try_from(ahead).unwrap_or_default());
        }
        if self.by_wall() && ahead > self.patience.ahead {
            let said = format_duration(ahead.as_secs().unsigned_abs());
            let why = format!("the newest block is {said} ahead of our clock, which tells of silence as much too late");
            let trouble = self.of_chain(BlindnessKind::ClockSkew, Severity::Warning, self.moved_at, why);
            self.record_issue(trouble).await
        } else {
            self.clear_issue(BlindnessKind::ClockSkew, None, self.moved_at).await
        }
    }

    /// Records a new phase of the source.
    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Checks whether blocks still come and whether everything is seen again. Must be called only when no event of the
    /// source is pending.
    pub(super) async fn check_visibility(&mut self) -> anyhow::Result<()> {
        let now = self.session.clock.now();
        let stale = self.watch_head().await?;
        let hidden = self.standing.keys().any(|(kind, _)| kind.is_total());
        if self.phase != Phase::Live || hidden || stale {
            return Ok(());
        }
        self.session.keeper.release_chain(self.chain.info.id);
        if self.dark.take().is_some() {
            info!("outage of {} is over", self.chain.info.name);
            let info = self.chain.info.clone();
            self.write_outage_changes("failed to write down that the chain is seen again", move |known, now_ms| {
                escalate::complete_catch_up(Some(&info), now, known, now_ms)
            })
            .await?;
            self.update_summary();
        }
        if now.duration_since(self.opened_at) > EARLIER_MAX {
            for (kind, endpoint) in std::mem::take(&mut self.earlier) {
                self.lift_outage(kind, endpoint.map(Into::into), now).await?;
            }
        }
        Ok(())
    }

    /// Checks the clock while a block is judged, which takes long if endpoints fail meanwhile. Recovery is not reported
    /// before all pending events of the source are processed.
    pub(super) async fn look_meanwhile(&mut self) -> anyhow::Result<()> {
        self.watch_head().await.map(|_| ())
    }

    /// Records whether the newest blocks could be traced. If no block ever could, that was reported at the start and is
    /// no health issue.
    pub(super) async fn record_tracing(&mut self, traced: &Traced) -> anyhow::Result<()> {
        let now = self.session.clock.now();
        match traced {
            Traced::Seen => {
                self.has_traces = true;
                self.untraced = MissedHeads::default();
                self.clear_issue(BlindnessKind::AbilityLost, None, now).await
            }
            Traced::Missing(_) if !self.has_traces => Ok(()),
            Traced::Missing(why) | Traced::False(why) => {
                let missed = self.untraced.once_more();
                let severity = if matches!(traced, Traced::False(_)) { Severity::High } else { missed };
                let why = format!("what runs inside transactions is not seen: {why}");
                self.record_issue(self.of_chain(BlindnessKind::AbilityLost, severity, now, why)).await
            }
        }
    }

    /// Records whether the state of some watches could be read lately. Watches whose state cannot be read share one
    /// health issue.
    pub(super) async fn record_state_reads(&mut self, sights: &[(WatchId, StateSight)]) -> anyhow::Result<()> {
        for (watch, sight) in sights {
            match sight {
                StateSight::Read => self.unread.remove(watch),
                StateSight::Lost | StateSight::Unlisted => self.unread.insert(*watch, *sight),
            };
        }
        let (now, kind) = (self.session.clock.now(), BlindnessKind::StateUnread);
        let Some((first, sight)) = self.unread.first_key_value() else {
            self.unread_for = MissedHeads::default();
            return if sights.is_empty() { Ok(()) } else { self.clear_issue(kind, None, now).await };
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
        self.record_issue(self.of_chain(kind, severity, now, why)).await
    }

    /// Reports a new health issue, or a higher severity of a known one.
    pub(super) async fn record_issue(&mut self, trouble: HealthIssue) -> anyhow::Result<()> {
        let key = (trouble.kind, trouble.endpoint.clone());
        let louder = self.standing.get(&key).is_none_or(|known| trouble.severity > *known);
        if !louder && trouble.evidence.is_none() {
            return Ok(());
        }
        let through = trouble.endpoint.as_ref().map_or(String::new(), |endpoint| format!(" through {endpoint}"));
        warn!(
            kind = trouble.kind.name(),
            "outage of {}{through}: {}: {}", self.chain.info.name, trouble.kind, trouble.why
        );
        self.standing.insert(key, trouble.severity);
        self.session.signs.record_issue(&self.chain.info.name, trouble.kind, trouble.severity, &trouble.why);
        self.earlier.retain(|(kind, of)| *kind != trouble.kind || of.as_deref() != trouble.endpoint.as_deref());
        if trouble.kind.is_total() {
            self.dark = self.dark.max(Some(trouble.severity));
        }
        self.update_summary();
        let evidence = match &trouble.evidence {
            Some(evidence) => self.session.keep_evidence(&self.chain.info.name, &trouble, evidence).await,
            None => None,
        };
        self.open_outage(trouble, evidence).await
    }

    /// Ends an outage whose cause is gone.
    pub(super) async fn clear_issue(
        &mut self,
        kind: BlindnessKind,
        endpoint: Option<Arc<str>>,
        until: Timestamp,
    ) -> anyhow::Result<()> {
        if self.standing.remove(&(kind, endpoint.clone())).is_none() {
            return Ok(());
        }
        if self.standing.keys().all(|(other, _)| *other != kind) {
            self.session.signs.clear_issue(&self.chain.info.name, kind);
        }
        self.update_summary();
        self.lift_outage(kind, endpoint, until).await
    }

    /// Records that a step was committed after `waited` for the source; `behind` blocks are left.
    pub(super) fn record_pace(&mut self, waited: Duration, took: Took, behind: u64) {
        // At the head of a chain, waiting for the next block is not a delay.
        let waited = if self.pace.behind() > 0 { waited } else { Duration::ZERO };
        self.pace.record_step(waited + took.reading, took.judging, took.committing, behind, monotonic_now());
    }

    /// Returns the age of a block of this time, by the clock of the machine that is nearer to it: a clock that was set
    /// wrong does not make a block old.
    fn block_age(&self, newest: Timestamp) -> SignedDuration {
        let clock = &self.session.clock;
        let ages = [clock.now(), clock.wall_time()].map(|now| now.duration_since(newest));
        if ages[0].abs() <= ages[1].abs() { ages[0] } else { ages[1] }
    }

    /// Checks whether the newest block is as recent as the local clock requires. Returns true if it is not.
    async fn watch_head(&mut self) -> anyhow::Result<bool> {
        self.session.signs.checks.renew(&TaskName::Chain(self.chain.info.name.clone()).check());
        let now = self.session.clock.now();
        if self.only_strangers() {
            // No block can come, and the reason was reported already.
            return Ok(true);
        }
        if !self.by_wall() {
            return Ok(false);
        }
        // During a catch-up the blocks are old; only the absence of new ones counts.
        let newest = self.newest.unwrap_or(self.opened_at);
        // A clock that was set back makes every block look new. The time since the last block does not depend on it.
        let silent = now.duration_since(self.moved_at);
        let (age, since) = match self.phase {
            Phase::Live if self.block_age(newest) >= silent => (self.block_age(newest), newest),
            Phase::Live => (silent, self.moved_at),
            _ if self.block_age(newest) <= silent => (self.block_age(newest), newest),
            _ => (silent, self.moved_at),
        };
        let Some(severity) = self.patience.stale_severity(age) else {
            self.clear_issue(BlindnessKind::StaleHead, None, now).await?;
            return Ok(false);
        };
        let said = format_duration(age.as_secs().unsigned_abs());
        let moves = self.patience.stale_severity(now.duration_since(self.moved_at)).is_none();
        let why = if moves && self.newest.is_some() && self.pace.behind() > 0 {
            let behind = self.pace.behind();
            format!("the newest judged block is {said} old and {behind} more wait to be judged: {}", self.pace)
        } else if moves && self.newest.is_some() {
            format!("the newest block is {said} old though blocks come: the node is behind, or our clock ahead")
        } else {
            format!("no new block for {said}")
        };
        self.record_issue(self.of_chain(BlindnessKind::StaleHead, severity, since, why)).await?;
        Ok(true)
    }

    async fn open_outage(&self, trouble: HealthIssue, evidence: Option<String>) -> anyhow::Result<()> {
        let (roster, info) = (self.session.book.roster.clone(), self.chain.info.clone());
        self.write_outage_changes("failed to write down that the chain is not seen", move |known, now_ms| {
            escalate::open_outage(&trouble, Some(&info), evidence.as_deref(), known, &roster, now_ms)
        })
        .await
    }

    async fn lift_outage(
        &self,
        kind: BlindnessKind,
        endpoint: Option<Arc<str>>,
        until: Timestamp,
    ) -> anyhow::Result<()> {
        let info = self.chain.info.clone();
        self.write_outage_changes("failed to write down what is over", move |known, now_ms| {
            escalate::lift_outage(kind, endpoint.as_deref(), Some(&info), until, known, now_ms)
        })
        .await
    }

    async fn write_outage_changes<F>(&self, what: &'static str, engine: F) -> anyhow::Result<()>
    where
        F: Fn(&[Incident], u64) -> ChangeSet + Clone + Send + 'static,
    {
        self.session.write_outage_changes(self.chain.info.id, (self.nudge, self.stop), what, engine).await
    }

    /// Updates the summary: the exit code is "could not tell" if the run ends during an outage.
    fn update_summary(&self) {
        let loudest = self.standing.values().copied().max().max(self.dark);
        self.session.tally.set_outage(IncidentScope::Chain(self.chain.info.id), loudest >= Some(Severity::High));
    }

    /// Returns whether every endpoint serves another chain.
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

    fn of_chain(&self, kind: BlindnessKind, severity: Severity, since: Timestamp, why: String) -> HealthIssue {
        HealthIssue { kind, endpoint: None, severity, since, why, evidence: None, ways: Vec::new() }
    }
}

/// Converts Unix seconds to a time. Returns `None` for one outside the calendar, which only a hostile header holds.
fn timestamp_from_seconds(time: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(slot: Duration, age: i64) -> Option<Severity> {
        GracePeriods::for_slot(slot).stale_severity(SignedDuration::from_secs(age))
    }

    #[test]
    fn one_missed_slot_is_ordinary_two_warn_and_four_page() {
        let slot = Duration::from_secs(12);
        // After one missed slot, the next block comes two slots after the last one, plus some seconds.
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
