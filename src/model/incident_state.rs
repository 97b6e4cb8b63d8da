//! State machine of an incident: the states with the data that only exists in them, and the transitions between them.

use serde::{Deserialize, Serialize};

/// Name of a state, as pages, lines and the store's column show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not acknowledged yet.
    Open,
    /// Acknowledged by a responder.
    Acknowledged,
    /// Closed as handled.
    Resolved,
    /// Closed as a false alarm, or because a reorg undid all of it.
    FalseAlarm,
}

impl State {
    /// Returns its name as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::FalseAlarm => "false-alarm",
        }
    }

    /// Returns true if findings still join the incident.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::Acknowledged)
    }
}

/// State of an incident in its lifecycle. All times are wall-clock milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum IncidentState {
    /// Not acknowledged yet.
    Open {
        /// Time at which the next step of the path is due; absent while nobody is paged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_escalation: Option<u64>,
    },
    /// Acknowledged by a responder: the escalation pauses. The acknowledgement covers the acts that pages have shown
    /// ([`Coverage`](super::coverage::Coverage)).
    Acknowledged {
        /// Name of the responder.
        by: String,
        /// Time at which the acknowledgement expires.
        expires: u64,
    },
    /// Closed.
    Closed {
        /// Verdict on the incident.
        resolution: Resolution,
        /// Cause of the closing.
        cause: CloseCause,
        /// Time of the closing.
        at: u64,
        /// Name of the responder who had acknowledged it before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acknowledged_by: Option<String>,
    },
}

/// Verdict on a closed incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// Handled, or over.
    Resolved,
    /// A false alarm, or undone by a reorg.
    FalseAlarm,
}

/// Cause of a closing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseCause {
    /// A responder with this name closed it.
    Responder(String),
    /// The incident closed by itself, for this reason, such as `reorg`.
    Itself(String),
}

/// Change of state, as a transition returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncidentEvent {
    /// The next step of the path is due at another time, or never.
    Scheduled,
    /// A responder acknowledged it.
    Acknowledged,
    /// The acknowledgement by this responder expired.
    Expired {
        /// Name of the responder.
        by: String,
    },
    /// The incident closed.
    Closed,
    /// The incident opened again, or its acknowledgement no longer counts.
    Reopened,
    /// The incident continues as it was before it closed by itself.
    Resumed,
}

/// Reason that a response changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Already acknowledged by another responder; the escalation is paused.
    #[error("already acknowledged by {0}")]
    Acknowledged(String),
    /// Already closed.
    #[error("already closed as {}", .0.as_str())]
    Closed(State),
}

impl Default for IncidentState {
    fn default() -> Self {
        Self::Open { next_escalation: None }
    }
}

/// Data of the state.
impl IncidentState {
    /// Returns the name of the state.
    #[must_use]
    pub const fn kind(&self) -> State {
        match self {
            Self::Open { .. } => State::Open,
            Self::Acknowledged { .. } => State::Acknowledged,
            Self::Closed { resolution: Resolution::Resolved, .. } => State::Resolved,
            Self::Closed { resolution: Resolution::FalseAlarm, .. } => State::FalseAlarm,
        }
    }

    /// Returns true if the incident is open and not acknowledged.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Returns true while a responder's acknowledgement counts.
    #[must_use]
    pub const fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Acknowledged { .. })
    }

    /// Returns true if findings still join the incident.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.kind().is_live()
    }

    /// Returns the time at which the next step of the path is due, in wall-clock milliseconds.
    #[must_use]
    pub const fn next_escalation(&self) -> Option<u64> {
        match self {
            Self::Open { next_escalation } => *next_escalation,
            Self::Acknowledged { .. } | Self::Closed { .. } => None,
        }
    }

    /// Returns the time at which the acknowledgement expires, in wall-clock milliseconds.
    #[must_use]
    pub const fn acknowledgement_expires(&self) -> Option<u64> {
        match self {
            Self::Acknowledged { expires, .. } => Some(*expires),
            Self::Open { .. } | Self::Closed { .. } => None,
        }
    }

    /// Returns the name of the responder who acknowledged it, if it is acknowledged or was when it closed.
    #[must_use]
    pub fn acknowledged_by(&self) -> Option<&str> {
        match self {
            Self::Open { .. } => None,
            Self::Acknowledged { by, .. } => Some(by),
            Self::Closed { acknowledged_by, .. } => acknowledged_by.as_deref(),
        }
    }

    /// Returns the name of the responder who closed it; absent if it is live, or closed by itself.
    #[must_use]
    pub fn closed_by(&self) -> Option<&str> {
        match self {
            Self::Closed { cause: CloseCause::Responder(name), .. } => Some(name),
            _ => None,
        }
    }

    /// Returns the reason why it closed by itself; absent if it is live, or a responder closed it.
    #[must_use]
    pub fn close_reason(&self) -> Option<&str> {
        match self {
            Self::Closed { cause: CloseCause::Itself(reason), .. } => Some(reason),
            _ => None,
        }
    }

    /// Returns the time at which it closed, in wall-clock milliseconds.
    #[must_use]
    pub const fn closed_at(&self) -> Option<u64> {
        match self {
            Self::Closed { at, .. } => Some(*at),
            Self::Open { .. } | Self::Acknowledged { .. } => None,
        }
    }
}

/// Transitions. Each returns the change, or `None` where the state does not allow it and stays as it is.
impl IncidentState {
    /// Sets the time at which the next step of the path is due, in wall-clock milliseconds. Only an open incident
    /// escalates.
    pub fn schedule(&mut self, next: Option<u64>) -> Option<IncidentEvent> {
        let Self::Open { next_escalation } = self else { return None };
        *next_escalation = next;
        Some(IncidentEvent::Scheduled)
    }

    /// Moves the next page of a live incident to `until`, whether an escalation or an expiry would cause it.
    pub fn postpone(&mut self, until: u64) -> Option<IncidentEvent> {
        match self {
            Self::Open { next_escalation } => *next_escalation = Some(until),
            Self::Acknowledged { expires, .. } => *expires = until,
            Self::Closed { .. } => return None,
        }
        Some(IncidentEvent::Scheduled)
    }

    /// Records the acknowledgement of a responder, which lasts until `expires`, in wall-clock milliseconds.
    ///
    /// # Errors
    /// [`ResponseError`] when another responder has acknowledged it, or it is closed.
    pub fn acknowledge(&mut self, by: String, expires: u64) -> Result<IncidentEvent, ResponseError> {
        match self {
            Self::Open { .. } => {
                *self = Self::Acknowledged { by, expires };
                Ok(IncidentEvent::Acknowledged)
            }
            Self::Acknowledged { by, .. } => Err(ResponseError::Acknowledged(by.clone())),
            Self::Closed { .. } => Err(ResponseError::Closed(self.kind())),
        }
    }

    /// Ends an acknowledgement that has expired.
    pub fn expire(&mut self) -> Option<IncidentEvent> {
        let Self::Acknowledged { by, .. } = self else { return None };
        let by = std::mem::take(by);
        *self = Self::default();
        Some(IncidentEvent::Expired { by })
    }

    /// Closes a live incident at `at`, in wall-clock milliseconds.
    ///
    /// # Errors
    /// [`ResponseError::Closed`] when it is closed already.
    pub fn close(
        &mut self,
        resolution: Resolution,
        cause: CloseCause,
        at: u64,
    ) -> Result<IncidentEvent, ResponseError> {
        if !self.is_live() {
            return Err(ResponseError::Closed(self.kind()));
        }
        let acknowledged_by = self.acknowledged_by().map(str::to_owned);
        *self = Self::Closed { resolution, cause, at, acknowledged_by };
        Ok(IncidentEvent::Closed)
    }

    /// Opens the incident again, whatever its state was: nobody has acknowledged it, and no step is due yet.
    pub fn reopen(&mut self) -> IncidentEvent {
        *self = Self::default();
        IncidentEvent::Reopened
    }

    /// Continues an incident that closed by itself: acknowledged until `expires` if it was acknowledged, open otherwise.
    pub fn resume(&mut self, expires: u64) -> Option<IncidentEvent> {
        let Self::Closed { cause: CloseCause::Itself(_), acknowledged_by, .. } = self else { return None };
        *self = match acknowledged_by.take() {
            Some(by) => Self::Acknowledged { by, expires },
            None => Self::default(),
        };
        Some(IncidentEvent::Resumed)
    }

    /// Moves every deadline by `by_ms`, after the clock of the machine was changed.
    pub fn shift_deadlines(&mut self, by_ms: i64) {
        match self {
            Self::Open { next_escalation: Some(at) } | Self::Acknowledged { expires: at, .. } => {
                *at = at.saturating_add_signed(by_ms);
            }
            Self::Open { next_escalation: None } | Self::Closed { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: IncidentState = IncidentState::Open { next_escalation: Some(5) };

    fn acknowledged(by: &str, expires: u64) -> IncidentState {
        IncidentState::Acknowledged { by: by.to_owned(), expires }
    }

    fn closed(resolution: Resolution, cause: CloseCause, acknowledged_by: Option<&str>) -> IncidentState {
        IncidentState::Closed { resolution, cause, at: 7, acknowledged_by: acknowledged_by.map(str::to_owned) }
    }

    fn by_bob() -> CloseCause {
        CloseCause::Responder("bob".to_owned())
    }

    fn by_reorg() -> CloseCause {
        CloseCause::Itself("reorg".to_owned())
    }

    /// Every state, each with the name of its row.
    fn states() -> Vec<(&'static str, IncidentState)> {
        vec![
            ("quiet", IncidentState::default()),
            ("open", OPEN),
            ("acknowledged", acknowledged("alice", 9)),
            ("resolved by bob", closed(Resolution::Resolved, by_bob(), Some("alice"))),
            ("reorged", closed(Resolution::FalseAlarm, by_reorg(), None)),
            ("reorged after alice", closed(Resolution::FalseAlarm, by_reorg(), Some("alice"))),
        ]
    }

    /// Applies the transition of this name, and returns its event, or the text of its error.
    fn apply(state: &mut IncidentState, transition: &str) -> Result<Option<IncidentEvent>, String> {
        let text = |error: ResponseError| error.to_string();
        Ok(match transition {
            "schedule" => state.schedule(Some(20)),
            "postpone" => state.postpone(30),
            "acknowledge" => Some(state.acknowledge("carol".to_owned(), 40).map_err(text)?),
            "expire" => state.expire(),
            "close" => Some(state.close(Resolution::Resolved, by_bob(), 7).map_err(text)?),
            "reopen" => Some(state.reopen()),
            "resume" => state.resume(50),
            other => panic!("no transition {other}"),
        })
    }

    #[test]
    fn each_transition_leads_from_each_state_where_the_table_says() {
        let at = |next| IncidentState::Open { next_escalation: Some(next) };
        let by_alice = || closed(Resolution::Resolved, by_bob(), Some("alice"));
        let by_nobody = || closed(Resolution::Resolved, by_bob(), None);
        let quiet = IncidentState::default;
        let expired = IncidentEvent::Expired { by: "alice".to_owned() };
        // For each transition, the new state for each of `states`, `None` where it stays as it is; and the event.
        let table: [(&str, [Option<IncidentState>; 6], IncidentEvent); 7] = [
            ("schedule", [Some(at(20)), Some(at(20)), None, None, None, None], IncidentEvent::Scheduled),
            (
                "postpone",
                [Some(at(30)), Some(at(30)), Some(acknowledged("alice", 30)), None, None, None],
                IncidentEvent::Scheduled,
            ),
            (
                "acknowledge",
                [Some(acknowledged("carol", 40)), Some(acknowledged("carol", 40)), None, None, None, None],
                IncidentEvent::Acknowledged,
            ),
            ("expire", [None, None, Some(quiet()), None, None, None], expired),
            (
                "close",
                [Some(by_nobody()), Some(by_nobody()), Some(by_alice()), None, None, None],
                IncidentEvent::Closed,
            ),
            ("reopen", std::array::from_fn(|_| Some(quiet())), IncidentEvent::Reopened),
            (
                "resume",
                [None, None, None, None, Some(quiet()), Some(acknowledged("alice", 50))],
                IncidentEvent::Resumed,
            ),
        ];
        for (transition, expected, event) in table {
            for ((name, state), expected) in states().into_iter().zip(expected) {
                let mut after = state.clone();
                let said = apply(&mut after, transition);
                assert_eq!(after, expected.clone().unwrap_or(state), "{transition} from {name}");
                assert_eq!(said.ok().flatten(), expected.map(|_| event.clone()), "{transition} from {name}");
            }
        }
    }

    #[test]
    fn a_response_that_changes_nothing_says_why() {
        let text = |(_, mut state): (&str, IncidentState), transition| apply(&mut state, transition).unwrap_err();
        let of = |place: usize| states().swap_remove(place);
        assert_eq!(text(of(2), "acknowledge"), "already acknowledged by alice");
        assert_eq!(text(of(3), "acknowledge"), "already closed as resolved");
        assert_eq!(text(of(4), "close"), "already closed as false-alarm");
    }

    #[test]
    fn a_state_has_one_name_and_is_read_as_it_was_written() {
        for (name, state) in states() {
            let written = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<IncidentState>(&written).unwrap(), state, "{name}");
            assert_eq!(serde_json::to_value(state.kind()).unwrap(), state.kind().as_str());
        }
    }

    #[test]
    fn deadlines_follow_a_change_of_the_clock() {
        let shifted = |(_, mut state): (&str, IncidentState)| {
            state.shift_deadlines(-4);
            (state.next_escalation(), state.acknowledgement_expires(), state.closed_at())
        };
        let all: Vec<_> = states().into_iter().map(shifted).collect();
        let closed = (None, None, Some(7));
        assert_eq!(all, [(None, None, None), (Some(1), None, None), (None, Some(5), None), closed, closed, closed]);
    }
}
