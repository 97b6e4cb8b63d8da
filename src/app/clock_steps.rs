//! Steps of the wall clock: detected and reported. Deadlines do not follow them; see [`crate::runtime::Moment`].

use super::App;
use crate::escalate;
use crate::model::span::format_duration;
use crate::model::{BlindnessKind, HealthIssue, IncidentScope, Severity};
use crate::runtime;
use crate::store::StoreError;
use jiff::SignedDuration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// Minimum difference between wall clock and steady time that counts as a step: a disciplined clock is adjusted by
/// milliseconds.
const STEP_MIN: SignedDuration = SignedDuration::from_secs(2);

/// Offset of the wall clock from steady time, as last reported; absent before the first check.
#[derive(Debug, Default)]
pub(super) struct ClockSteps(Option<SignedDuration>);

impl App {
    /// Compares the clocks, and reports when the wall clock was moved against steady time, or agrees again.
    pub(super) async fn watch_clock(&self, steps: &mut ClockSteps, nudge: &Notify) -> Result<(), StoreError> {
        let now = self.clock.now();
        let apart = self.clock.wall_time().duration_since(now);
        let before = steps.0;
        if before.is_some_and(|before| (apart - before).abs() < STEP_MIN) {
            return Ok(());
        }
        let now_ms = runtime::steady_millis(&*self.clock);
        let plan = if apart.abs() < STEP_MIN {
            // At the first check, a step reported by an earlier process is over, since its deadlines were moved to this
            // clock.
            let engine =
                move |known: &[_]| escalate::lift_outage(BlindnessKind::ClockStepped, None, None, now, known, now_ms);
            self.store.commit_visibility(IncidentScope::Program, now_ms, engine).await?
        } else {
            let moved = apart - before.unwrap_or_default();
            let way = if moved.is_negative() { "back" } else { "forward" };
            let why = format!(
                "the wall clock of this machine was set {way} by {}; deadlines do not follow it, and times are told as before until a restart",
                format_duration(moved.as_secs().unsigned_abs())
            );
            warn!("clock stepped: {why}");
            let (kind, severity) = (BlindnessKind::ClockStepped, Severity::Warning);
            let trouble =
                HealthIssue { kind, endpoint: None, severity, since: now, why, evidence: None, ways: Vec::new() };
            let roster = self.book.roster.clone();
            let engine = move |known: &[_]| escalate::open_outage(&trouble, None, None, known, &roster, now_ms);
            self.store.commit_visibility(IncidentScope::Program, now_ms, engine).await?
        };
        if before.is_some() && apart.abs() < STEP_MIN {
            info!("wall clock agrees with the monotonic clock again");
        }
        steps.0 = Some(apart);
        self.report_change_set(&plan);
        nudge.notify_one();
        Ok(())
    }
}
