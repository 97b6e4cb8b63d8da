//! When each endpoint is tried out anew, and what it could do before and cannot do now.

use super::abilities::{Abilities, Ability};
use super::council::Voice;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Pause before an endpoint that could not be tried out is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Probes {
    every: Option<Duration>,
    /// An ability that nobody makes use of, so that its loss is none.
    idle: Option<Ability>,
    tried: Vec<Tried>,
}

#[derive(Debug)]
struct Tried {
    busy: bool,
    next: Instant,
    now: Option<Box<Abilities>>,
    /// Abilities that it ever had.
    had: Vec<Ability>,
    seen_at: Option<Timestamp>,
    untold: bool,
}

/// Abilities that an endpoint has no more.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) since: Timestamp,
    pub(super) why: String,
    /// Whether other endpoints have them all.
    pub(super) elsewhere: bool,
}

impl Probes {
    pub(super) fn new(n: usize, every: Option<Duration>, now: Instant) -> Self {
        let tried = || Tried { busy: false, next: now, now: None, had: Vec::new(), seen_at: None, untold: false };
        Self { every, idle: None, tried: (0..n).map(|_| tried()).collect() }
    }

    /// The same, where `idle` is of no use to anybody.
    pub(super) fn without(self, idle: Option<Ability>) -> Self {
        Self { idle, ..self }
    }

    /// An endpoint to be tried out now; it counts as being tried.
    pub(super) fn due(&mut self, now: Instant) -> Option<Voice> {
        self.every?;
        let voice = self.tried.iter().position(|tried| !tried.busy && tried.next <= now)?;
        self.tried[voice].busy = true;
        Some(voice)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.every?;
        self.tried.iter().filter(|tried| !tried.busy).map(|tried| tried.next).min()
    }

    /// What was found out, if anything was: an endpoint that does not answer has lost nothing, it is away.
    pub(super) fn done(&mut self, voice: Voice, found: Option<Box<Abilities>>, now: Instant, wall: Timestamp) {
        let Some(tried) = self.tried.get_mut(voice) else { return };
        tried.busy = false;
        tried.next = now + if found.is_some() { self.every.unwrap_or(AGAIN) } else { AGAIN };
        let Some(found) = found else { return };
        let found = match &tried.now {
            Some(before) => Box::new(found.after(before)),
            None => found,
        };
        for ability in Ability::ALL.into_iter().filter(|ability| found.has(*ability) && self.idle != Some(*ability)) {
            if !tried.had.contains(&ability) {
                tried.had.push(ability);
            }
        }
        if tried.had.iter().all(|ability| found.has(*ability)) {
            tried.seen_at = Some(wall);
        }
        (tried.now, tried.untold) = (Some(found), true);
    }

    /// What was found out and not passed on yet.
    pub(super) fn news(&mut self) -> Option<(Voice, Box<Abilities>)> {
        let voice = self.tried.iter().position(|tried| tried.untold)?;
        self.tried[voice].untold = false;
        Some((voice, self.tried[voice].now.clone()?))
    }

    /// What an endpoint could do once and cannot do now.
    pub(super) fn lost(&self, voice: Voice) -> Option<Lost> {
        let tried = self.tried.get(voice)?;
        let now = tried.now.as_ref()?;
        let lost: Vec<Ability> = tried.had.iter().copied().filter(|ability| !now.has(*ability)).collect();
        if lost.is_empty() {
            return None;
        }
        let others = || self.tried.iter().enumerate().filter(|(other, _)| *other != voice);
        let has = |ability: &Ability| {
            others().any(|(_, other)| other.now.as_ref().is_some_and(|abilities| abilities.has(*ability)))
        };
        let elsewhere = lost.iter().all(has);
        let why = |ability: &Ability| match now.of(*ability).why() {
            Some(why) => format!("{} ({why})", ability.name()),
            None => ability.name().to_owned(),
        };
        let why = lost.iter().map(why).collect::<Vec<_>>().join(", ");
        Some(Lost {
            since: tried.seen_at.unwrap_or_default(),
            why: format!("it can no longer do this: {why}"),
            elsewhere,
        })
    }
}
