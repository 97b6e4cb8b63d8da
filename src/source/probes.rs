//! Times at which each endpoint is probed, and the abilities that it had before and has lost.

use super::capabilities::{Capabilities, Capability};
use super::quorum::EndpointId;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Pause before an endpoint is probed again after a failed probe.
const AGAIN: Duration = Duration::from_secs(60);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct ProbeStates {
    every: Option<Duration>,
    /// Capability that is not used, so that its loss is not reported.
    idle: Option<Capability>,
    tried: Vec<ProbeState>,
}

#[derive(Debug)]
struct ProbeState {
    busy: bool,
    next: Instant,
    now: Option<Box<Capabilities>>,
    /// Capabilities that it ever had.
    had: Vec<Capability>,
    seen_at: Option<Timestamp>,
    untold: bool,
}

/// Capabilities that an endpoint has lost.
#[derive(Debug)]
pub(super) struct LostCapability {
    pub(super) since: Timestamp,
    pub(super) why: String,
    /// True if other endpoints have all of these abilities.
    pub(super) elsewhere: bool,
}

impl ProbeStates {
    pub(super) fn new(n: usize, every: Option<Duration>, now: Instant) -> Self {
        let tried = || ProbeState { busy: false, next: now, now: None, had: Vec::new(), seen_at: None, untold: false };
        Self { every, idle: None, tried: (0..n).map(|_| tried()).collect() }
    }

    /// Sets the capability `idle`, which is not used.
    pub(super) fn with_idle_capability(self, idle: Option<Capability>) -> Self {
        Self { idle, ..self }
    }

    /// Returns an endpoint to probe now, and marks it as being probed.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<EndpointId> {
        self.every?;
        let voice = self.tried.iter().position(|tried| !tried.busy && tried.next <= now)?;
        self.tried[voice].busy = true;
        Some(voice)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.every?;
        self.tried.iter().filter(|tried| !tried.busy).map(|tried| tried.next).min()
    }

    /// Records the result of a probe, if there is one. An endpoint that does not answer is away and has lost no
    /// ability.
    pub(super) fn record_result(
        &mut self,
        voice: EndpointId,
        found: Option<Box<Capabilities>>,
        now: Instant,
        wall: Timestamp,
    ) {
        let Some(tried) = self.tried.get_mut(voice) else { return };
        tried.busy = false;
        tried.next = now + if found.is_some() { self.every.unwrap_or(AGAIN) } else { AGAIN };
        let Some(found) = found else { return };
        let found = match &tried.now {
            Some(before) => Box::new(found.with_unknown_from(before)),
            None => found,
        };
        for ability in
            Capability::ALL.into_iter().filter(|ability| found.has_capability(*ability) && self.idle != Some(*ability))
        {
            if !tried.had.contains(&ability) {
                tried.had.push(ability);
            }
        }
        if tried.had.iter().all(|ability| found.has_capability(*ability)) {
            tried.seen_at = Some(wall);
        }
        (tried.now, tried.untold) = (Some(found), true);
    }

    /// Takes a probe result that was not passed on yet.
    pub(super) fn take_result(&mut self) -> Option<(EndpointId, Box<Capabilities>)> {
        let voice = self.tried.iter().position(|tried| tried.untold)?;
        self.tried[voice].untold = false;
        Some((voice, self.tried[voice].now.clone()?))
    }

    /// Returns the abilities that an endpoint once had and lacks now.
    pub(super) fn lost_capabilities(&self, voice: EndpointId) -> Option<LostCapability> {
        let tried = self.tried.get(voice)?;
        let now = tried.now.as_ref()?;
        let lost: Vec<Capability> = tried.had.iter().copied().filter(|ability| !now.has_capability(*ability)).collect();
        if lost.is_empty() {
            return None;
        }
        let others = || self.tried.iter().enumerate().filter(|(other, _)| *other != voice);
        let has = |ability: &Capability| {
            others().any(|(_, other)| other.now.as_ref().is_some_and(|abilities| abilities.has_capability(*ability)))
        };
        let elsewhere = lost.iter().all(has);
        let why = |ability: &Capability| match now.capability_status(*ability).unavailable_reason() {
            Some(why) => format!("{} ({why})", ability.name()),
            None => ability.name().to_owned(),
        };
        let why = lost.iter().map(why).collect::<Vec<_>>().join(", ");
        Some(LostCapability {
            since: tried.seen_at.unwrap_or_default(),
            why: format!("it can no longer do this: {why}"),
            elsewhere,
        })
    }
}
