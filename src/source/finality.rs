//! Finality of blocks: by the chain's own tags, or by depth.

use super::follow::{Follower, Linked};
use crate::model::{BlockRef, Finality, Link};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Rule by which the blocks of a chain become permanent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinalityRule {
    /// By the tags `safe` and `finalized`, as Ethereum and its rollups do.
    #[default]
    Tags,
    /// By the number of blocks on top of it.
    Depth {
        /// Blocks on top of a safe block.
        safe: u64,
        /// Blocks on top of a final one.
        finalized: u64,
    },
    /// No block ever becomes final: development chains.
    Never,
}

/// Number of slots without a new final block until this is reported: four epochs of Ethereum, of which two are
/// ordinary.
const STALLED_SLOTS: u32 = 128;
/// Shortest interval between two requests for a tag, for chains with several blocks a second.
const ASK_EVERY_LEAST: Duration = Duration::from_secs(2);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct FinalityMarks {
    rule: FinalityRule,
    safe: FinalityMark,
    finalized: FinalityMark,
}

#[derive(Debug, Default)]
struct FinalityMark {
    asking: bool,
    next: Option<Instant>,
    /// Block last reported for the tag.
    said: Option<Link>,
    /// Block last passed on.
    told: Option<BlockRef>,
    /// Time at which the tag last moved.
    moved: Option<(Instant, Timestamp)>,
}

impl FinalityMarks {
    /// Creates the state. `finalized` is the newest final block that an earlier process reported.
    pub(super) fn new(rule: FinalityRule, finalized: Option<BlockRef>) -> Self {
        Self {
            rule,
            safe: FinalityMark::default(),
            finalized: FinalityMark { told: finalized, ..FinalityMark::default() },
        }
    }

    /// Returns the tags to request now, and marks them as requested.
    pub(super) fn due_tags(&mut self, now: Instant, slot: Duration) -> Vec<(Finality, &'static str)> {
        if self.rule != FinalityRule::Tags {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (level, tag) in [(Finality::Safe, "safe"), (Finality::Finalized, "finalized")] {
            let mark = self.mark_for(level);
            if !mark.asking && mark.next.is_none_or(|next| next <= now) {
                (mark.asking, mark.next) = (true, Some(now + slot.max(ASK_EVERY_LEAST)));
                due.push((level, tag));
            }
        }
        due
    }

    /// Returns the time at which a tag must be requested again.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.rule != FinalityRule::Tags {
            return None;
        }
        [&self.safe, &self.finalized].into_iter().filter(|mark| !mark.asking).filter_map(|mark| mark.next).min()
    }

    /// Records an endpoint's answer for a tag; `None` if the endpoint has no such tag or did not answer.
    pub(super) fn record_tag(&mut self, level: Finality, link: Option<Link>, now: Instant, wall: Timestamp) {
        let mark = self.mark_for(level);
        mark.asking = false;
        let Some(link) = link else { return };
        if mark.said.is_none_or(|said| said.at.number < link.at.number) {
            (mark.said, mark.moved) = (Some(link), Some((now, wall)));
        }
    }

    /// Returns the next block of ours whose finality has increased since the last report, the lower finality first.
    pub(super) fn next_promotion<B: Linked>(&mut self, follower: &Follower<B>) -> Option<(Finality, BlockRef)> {
        let tip = follower.tip()?.at.number;
        [Finality::Safe, Finality::Finalized].into_iter().find_map(|level| {
            let rule = self.rule;
            let mark = self.mark_for(level);
            let at = match rule {
                // During a catch-up a tag may be ahead of our chain. It counts only if we have its block.
                FinalityRule::Tags => {
                    let said = mark.said?;
                    match follower.numbered_ours(said.at.number) {
                        Some(ours) if ours == said.at => ours,
                        _ => return None,
                    }
                }
                FinalityRule::Depth { safe, finalized } => {
                    let depth = if level == Finality::Safe { safe } else { finalized };
                    follower.numbered_ours(tip.checked_sub(depth)?)?
                }
                FinalityRule::Never => return None,
            };
            if mark.told.is_some_and(|told| told.number >= at.number) {
                return None;
            }
            mark.told = Some(at);
            Some((level, at))
        })
    }

    /// Returns the time since which no block became final, if that is too long ago.
    pub(super) fn stalled_since(&self, now: Instant, slot: Duration) -> Option<(Instant, Timestamp, String)> {
        let ((moved, since), said) = (self.finalized.moved?, self.finalized.said?);
        let patience = (slot * STALLED_SLOTS).max(Duration::from_secs(60));
        let stalled = self.rule == FinalityRule::Tags && now.saturating_duration_since(moved) > patience;
        stalled.then(|| (moved, since, format!("the newest final block is still {}", said.at)))
    }

    fn mark_for(&mut self, level: Finality) -> &mut FinalityMark {
        if level == Finality::Finalized { &mut self.finalized } else { &mut self.safe }
    }
}
