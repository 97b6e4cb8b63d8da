//! Events that the driver passes on: steps, confirmations, promotions, outages, and its phase.

use super::{StopRequested, Sync};
use crate::model::{BlindnessKind, BlockRef, Finality, HealthIssue};
use crate::source::health_issues::{IssueChange, IssueKey};
use crate::source::intake::Held;
use crate::source::quorum::EndpointId;
use crate::source::watch::HINTS_MAX;
use crate::source::{Event, Fetched, Phase, SourceError, Step, Told};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use tracing::debug;

impl Sync {
    /// Passes on all complete steps, and waits if the pipeline is slower.
    pub(super) async fn emit_complete_steps(&mut self) -> Result<(), StopRequested> {
        let (metrics, chain, events) = (&self.meter.metrics, &self.meter.chain, &self.wires.events);
        metrics.record_queue_depth(chain, "hints", self.wires.hints.len(), HINTS_MAX);
        metrics.record_queue_depth(chain, "advances", events.max_capacity() - events.capacity(), events.max_capacity());
        let mut moved = false;
        loop {
            let before = self.follower.tip();
            self.wires.behind.store(self.follower.blocks_behind(), Ordering::Relaxed);
            let Some(step) = self.follower.next_step() else { break };
            self.learn_pace(before, &step);
            if !step.retract.is_empty() {
                self.council.take_back(&step.retract);
                // Sent before the step, so that it is known when the step is committed.
                self.tell_contested().await?;
            }
            if let Some(ahead) = &self.ahead {
                step.append.iter().for_each(|fetched| ahead.request_traces(&fetched.block));
            }
            self.hand_over(step).await?;
            moved = true;
        }
        if moved {
            self.council.review_endpoints(&self.follower, self.started.elapsed());
        }
        for (at, sources) in self.council.new_confirmations(&self.follower) {
            self.send_unheld(Ok(Event::Confirmed { at, sources })).await?;
        }
        while let Some((voice, abilities)) = self.probes.take_result() {
            let (metrics, chain) = (&self.meter.metrics, &self.meter.chain);
            for (ability, can) in abilities.iter() {
                metrics.endpoint_ability(chain, &self.pool.name(voice), ability.name(), can.is_yes());
            }
            self.send_unheld(Ok(Event::Probed { endpoint: self.pool.name(voice), abilities })).await?;
        }
        while let Some((level, at)) = self.marks.next_promotion(&self.follower) {
            if level == Finality::Finalized {
                self.follower.finalize_up_to(at);
                self.council.finalize_up_to(at.number);
            }
            self.send_unheld(Ok(Event::Promoted { level, at })).await?;
        }
        self.tell_contested().await
    }

    /// Passes on a step once there is room for its blocks among those that wait for the pipelines of all chains.
    /// Results of pending fetches are handled meanwhile, so that no parsed data waits outside of that room.
    async fn hand_over(&mut self, step: Step) -> Result<(), StopRequested> {
        let queue = self.queue.clone();
        let room = queue.hold(step.append.iter().map(Fetched::size).sum());
        tokio::pin!(room);
        let held = loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(StopRequested),
                held = &mut room => break held,
                Some(done) = self.work.join_next() => self.record_task_result(done)?,
            }
        };
        self.send(Ok(Event::Step(Box::new(step))), Some(held)).await
    }

    /// Reports which retracted blocks endpoints still hold, if that has changed.
    async fn tell_contested(&mut self) -> Result<(), StopRequested> {
        let Some(contested) = self.council.contested_if_changed(&self.follower) else { return Ok(()) };
        let named = |(block, by): (BlockRef, BTreeSet<EndpointId>)| {
            (block, by.into_iter().map(|voice| self.pool.name(voice)).collect())
        };
        self.send_unheld(Ok(Event::Contested(contested.into_iter().map(named).collect()))).await
    }

    pub(super) async fn send_unheld(&self, what: Result<Event, SourceError>) -> Result<(), StopRequested> {
        self.send(what, None).await
    }

    async fn send(&self, what: Result<Event, SourceError>, held: Option<Held>) -> Result<(), StopRequested> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(StopRequested),
            sent = self.wires.events.send(Told { what, held }) => sent.map_err(|_| StopRequested),
        }
    }

    pub(super) fn make_event(&self, news: IssueChange) -> Event {
        let name = |voice: Option<EndpointId>| voice.map(|voice| self.pool.name(voice));
        match news {
            IssueChange::Troubled(IssueKey { kind, voice, severity, since, why, evidence, ways, .. }) => {
                Event::Troubled(HealthIssue { kind, endpoint: name(voice), severity, since, why, evidence, ways })
            }
            IssueChange::Cleared { kind, voice, since } => {
                Event::Cleared { kind, endpoint: name(voice), since, until: self.clock.now() }
            }
        }
    }

    pub(super) async fn enter_phase(&mut self, phase: Phase) -> Result<(), StopRequested> {
        if self.phase == phase {
            return Ok(());
        }
        debug!("phase changed from {} to {}", self.phase.name(), phase.name());
        self.phase = phase;
        self.meter.metrics.record_phase(&self.meter.chain, phase.name());
        self.send_unheld(Ok(Event::Phase(phase))).await
    }

    pub(super) fn current_phase(&self) -> Phase {
        let told = |kinds: &[BlindnessKind]| kinds.iter().any(|kind| self.troubles.is_told(*kind));
        let strangers = [BlindnessKind::WrongChain, BlindnessKind::WrongGenesis];
        if self.follower.conflict().is_some() {
            Phase::Quarantine
        } else if told(&[BlindnessKind::Unreachable, BlindnessKind::NoBlock])
            || (told(&strangers) && (0..self.pool.len()).all(|voice| self.ears.is_failing(voice)))
        {
            Phase::Degraded
        } else if self.follower.at_a_fork() {
            Phase::Reconcile
        } else if self.follower.is_filling() {
            Phase::Backfill
        } else if self.follower.blocks_behind() > 1 || (!self.follower.at_head() && self.phase != Phase::Live) {
            Phase::CatchUp
        } else if self.ears.any_heard() {
            Phase::Live
        } else {
            self.phase
        }
    }
}
