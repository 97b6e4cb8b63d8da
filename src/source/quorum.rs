//! Selection of the endpoint whose heads are followed.
//!
//! Comes in: heads, each with the endpoint that reported it. Goes out: the head that the follower should follow. One
//! endpoint is the leader. The other endpoints are followed while they agree with the leader: the first endpoint that
//! reports a block on top of ours is followed. An endpoint that reports a block in place of ours is not followed unless
//! the majority reports it too; it is recorded as dissenting until it agrees again. Never here: a socket, a clock, or a
//! block retracted because of a single endpoint among several.

use super::follow::{Follower, Linked, Relation};
use crate::model::{BlockRef, Link};
use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::time::Duration;

/// Time during which an endpoint that dissented is not followed ahead of the others, once it agrees again.
const PROBATION: Duration = Duration::from_secs(300);

/// Index of an endpoint in the pool.
pub(super) type EndpointId = usize;

/// See the module documentation. Times are monotonic durations from an arbitrary start.
#[derive(Debug)]
pub(super) struct Quorum {
    voices: Vec<EndpointView>,
    lead: EndpointId,
    /// Age up to which a head is considered fresh.
    fresh: Duration,
    /// Newest block confirmed by so many sources, for each number of sources from two on.
    told: Vec<Option<BlockRef>>,
    /// Retracted blocks, with the endpoints that may still have them on their chain.
    contested: Vec<(BlockRef, BTreeSet<EndpointId>)>,
    /// Contested blocks as last reported.
    contested_told: Vec<(BlockRef, BTreeSet<EndpointId>)>,
}

/// Number of contested blocks that are remembered, the newest ones: twice the blocks of an Ethereum epoch, after which
/// a branch is final.
const CONTESTED_MAX: usize = 64;

/// View of one endpoint.
#[derive(Clone, Debug, Default)]
struct EndpointView {
    said: Option<(Link, Duration)>,
    /// Time since which the endpoint has reported blocks in place of ours, and the first of our blocks that it does not
    /// have.
    dissents: Option<(Duration, BlockRef)>,
    /// Time since which the endpoint has reported heads that no endpoint can connect to our chain, and the last of
    /// these heads.
    lost: Option<(Duration, BlockRef)>,
    probation_until: Duration,
    /// Newest block of ours that the endpoint confirmed.
    vouched: Option<BlockRef>,
}

/// Endpoint that reports blocks in place of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disagreement {
    pub(super) voice: EndpointId,
    pub(super) since: Duration,
    /// First block of ours that is not on the endpoint's chain; `None` if no endpoint can connect its head to our
    /// chain.
    pub(super) ours: Option<BlockRef>,
    /// Head of the endpoint.
    pub(super) theirs: BlockRef,
}

impl Quorum {
    /// Creates a quorum of `n_voices` endpoints, of which the first is the leader. A head counts for the duration
    /// `fresh`.
    pub(super) fn new(n_voices: usize, fresh: Duration) -> Self {
        let voices = vec![EndpointView::default(); n_voices];
        let told = vec![None; n_voices.saturating_sub(1)];
        Self { told, voices, lead: 0, fresh, contested: Vec::new(), contested_told: Vec::new() }
    }

    /// Restores the blocks that were contested when an earlier process ended. Any endpoint may still have them on its
    /// chain until it reports another branch.
    pub(super) fn remember_contested(&mut self, blocks: &[BlockRef]) {
        if self.voices.len() > 1 {
            let everybody: BTreeSet<EndpointId> = (0..self.voices.len()).collect();
            self.contested = blocks.iter().map(|block| (*block, everybody.clone())).collect();
            self.contested_told.clone_from(&self.contested);
        }
    }

    /// Records that our blocks were retracted. The endpoints that confirmed them count as holding them until they
    /// report another branch.
    pub(super) fn take_back(&mut self, blocks: &[BlockRef]) {
        if self.voices.len() == 1 {
            return;
        }
        for block in blocks {
            let vouches =
                |speaker: &EndpointView| speaker.vouched.is_some_and(|vouched| vouched.number >= block.number);
            let by = self.voices.iter().enumerate().filter(|(_, speaker)| vouches(speaker)).map(|(voice, _)| voice);
            let by = by.collect();
            self.contested.retain(|(known, _)| known != block);
            self.contested.push((*block, by));
        }
        let over = self.contested.len().saturating_sub(CONTESTED_MAX);
        self.contested.drain(..over);
    }

    /// Drops contested blocks up to this number: they are final on our branch, and no endpoint can change that.
    pub(super) fn finalize_up_to(&mut self, number: u64) {
        self.contested.retain(|(block, _)| block.number > number);
    }

    /// Returns the retracted blocks, each with the endpoints that still hold it; `None` if this has not changed since
    /// the last report.
    pub(super) fn contested_if_changed<B: Linked>(
        &mut self,
        follower: &Follower<B>,
    ) -> Option<Vec<(BlockRef, BTreeSet<EndpointId>)>> {
        for (block, by) in &mut self.contested {
            for (voice, speaker) in self.voices.iter().enumerate() {
                // An endpoint that is not reachable, or whose head cannot be placed, keeps its last known position.
                let Some((head, _)) = speaker.said else { continue };
                match follower.relation_to(head) {
                    Relation::Ours | Relation::Extends => _ = by.remove(&voice),
                    Relation::Forks(ours) if ours.number <= block.number => _ = by.insert(voice),
                    Relation::Forks(_) => _ = by.remove(&voice),
                    Relation::Unknown(_) | Relation::Far | Relation::Nowhere => {}
                }
            }
        }
        let stands = |block: &BlockRef| follower.numbered_ours(block.number) == Some(*block);
        self.contested.retain(|(block, by)| !by.is_empty() && !stands(block));
        if self.contested == self.contested_told {
            return None;
        }
        self.contested_told.clone_from(&self.contested);
        Some(self.contested.clone())
    }

    pub(super) fn lead_endpoint(&self) -> EndpointId {
        self.lead
    }

    /// Makes another endpoint the leader.
    pub(super) fn follow_lead(&mut self, voice: EndpointId) {
        if voice < self.voices.len() {
            self.lead = voice;
        }
    }

    /// Records the newest block of an endpoint, and passes it to the follower where it should be followed.
    pub(super) fn record_head<B: Linked>(
        &mut self,
        voice: EndpointId,
        head: Link,
        follower: &mut Follower<B>,
        now: Duration,
    ) {
        let Some(speaker) = self.voices.get_mut(voice) else { return };
        speaker.said = Some((head, now));
        if self.voices.len() == 1 {
            follower.record_head(head, now);
            return;
        }
        follower.add_header(head);
        self.update_position(voice, follower, now);
        let in_minority = self.is_outvoted(voice, follower, now);
        if voice == self.lead {
            if in_minority {
                follower.keep_branch();
            } else {
                follower.record_head(head, now);
            }
            return;
        }
        let speaker = &self.voices[voice];
        let heard = match follower.relation_to(head) {
            // These heads cannot be followed. A lower head of an endpoint that is not the leader means only that this
            // endpoint is behind.
            Relation::Ours | Relation::Nowhere | Relation::Unknown(_) => false,
            Relation::Extends => now >= speaker.probation_until,
            Relation::Forks(_) => !in_minority && self.most_dissent_with(voice, follower, now),
            Relation::Far => self.lead_is_mute(now),
        };
        if heard {
            follower.record_head(head, now);
        }
    }

    /// Records that an endpoint is not reachable: its last head no longer counts.
    pub(super) fn mark_unreachable(&mut self, voice: EndpointId) {
        if let Some(speaker) = self.voices.get_mut(voice) {
            (speaker.said, speaker.dissents, speaker.lost) = (None, None, None);
        }
    }

    /// Records that no endpoint has the blocks between this endpoint's head and our chain. The head does not count
    /// until the endpoint reports another, and the endpoint is listed as dissenting until one of its heads can be
    /// placed.
    pub(super) fn discard_head(&mut self, voice: EndpointId, now: Duration) {
        let Some(speaker) = self.voices.get_mut(voice) else { return };
        let Some((head, _)) = speaker.said.take() else { return };
        let since = speaker.dissents.take().or(speaker.lost).map_or(now, |(since, _)| since);
        speaker.lost = Some((since, head.at));
    }

    /// Records that the endpoint reported a block that no endpoint has. For a while it is not followed ahead of the
    /// others.
    pub(super) fn distrust_endpoint(&mut self, voice: EndpointId, now: Duration) {
        if let Some(speaker) = self.voices.get_mut(voice) {
            speaker.probation_until = now.saturating_add(PROBATION);
        }
    }

    /// Returns an endpoint that named this block as its newest.
    pub(super) fn endpoint_with_head(&self, hash: B256) -> Option<EndpointId> {
        let names = |speaker: &EndpointView| speaker.said.is_some_and(|(said, _)| said.at.hash == hash);
        let lead_first = std::iter::once(self.lead).chain(0..self.voices.len());
        lead_first.into_iter().find(|voice| self.voices.get(*voice).is_some_and(names))
    }

    /// Updates the position of all endpoints after the follower moved or learned a header.
    pub(super) fn review_endpoints<B: Linked>(&mut self, follower: &Follower<B>, now: Duration) {
        if self.voices.len() > 1 {
            for voice in 0..self.voices.len() {
                self.update_position(voice, follower, now);
            }
        }
    }

    /// Returns the headers that are missing to place an endpoint's head, each with the endpoint that should have it.
    pub(super) fn missing_headers<B: Linked>(&self, follower: &Follower<B>) -> Vec<(EndpointId, B256)> {
        let unknown = |(voice, speaker): (EndpointId, &EndpointView)| match follower.relation_to(speaker.said?.0) {
            Relation::Unknown(hash) => Some((voice, hash)),
            _ => None,
        };
        if self.voices.len() == 1 {
            return Vec::new();
        }
        self.voices.iter().enumerate().filter_map(unknown).collect()
    }

    /// Returns the endpoints that report blocks in place of ours, or blocks that cannot be placed.
    pub(super) fn dissenting_endpoints(&self) -> impl Iterator<Item = Disagreement> + '_ {
        self.voices.iter().enumerate().filter_map(|(voice, speaker)| {
            if let Some((since, theirs)) = speaker.lost {
                return Some(Disagreement { voice, since, ours: None, theirs });
            }
            let ((since, ours), (said, _)) = (speaker.dissents?, speaker.said?);
            Some(Disagreement { voice, since, ours: Some(ours), theirs: said.at })
        })
    }

    /// Returns the endpoint that should lead. Endpoints that are `fit` rank first, then those that most of the others
    /// do not oppose. A lead stays until another endpoint is better, so that two endpoints cannot take turns.
    pub(super) fn elect_leader<B: Linked>(
        &self,
        follower: &Follower<B>,
        now: Duration,
        fit: impl Fn(EndpointId) -> bool,
    ) -> EndpointId {
        let worth = |voice: EndpointId| (fit(voice), !self.is_outvoted(voice, follower, now));
        let best = (0..self.voices.len()).map(worth).max();
        let first = (0..self.voices.len()).find(|voice| Some(worth(*voice)) == best);
        if best == Some(worth(self.lead)) { self.lead } else { first.unwrap_or(self.lead) }
    }

    /// Returns the lag of each endpoint behind the best one, in blocks; `None` for an endpoint without a recent head.
    pub(super) fn endpoint_lags(&self, now: Duration) -> Vec<Option<u64>> {
        let said = |speaker: &EndpointView| {
            let (head, at) = speaker.said?;
            (now.saturating_sub(at) <= self.fresh).then_some(head.at.number)
        };
        let best = self.voices.iter().filter_map(said).max().unwrap_or(0);
        self.voices.iter().map(|speaker| Some(best - said(speaker)?)).collect()
    }

    /// Returns the blocks that more endpoints confirm than were reported before, with the number of endpoints; lowest
    /// number first.
    pub(super) fn new_confirmations<B: Linked>(&mut self, follower: &Follower<B>) -> Vec<(BlockRef, u32)> {
        let ours = |at: &BlockRef| follower.numbered_ours(at.number) == Some(*at);
        let mut vouched: Vec<BlockRef> =
            self.voices.iter().filter_map(|speaker| speaker.vouched).filter(ours).collect();
        vouched.sort_by_key(|at| std::cmp::Reverse(at.number));
        let mut news = Vec::new();
        for (told, sources) in self.told.iter_mut().zip(2..) {
            let Some(at) = vouched.get(sources as usize - 1) else { break };
            let newer = told.is_none_or(|told| told.number < at.number || !ours(&told));
            if newer {
                *told = Some(*at);
                news.push((*at, sources));
            }
        }
        news
    }

    /// Records the position of an endpoint relative to our chain.
    fn update_position<B: Linked>(&mut self, voice: EndpointId, follower: &Follower<B>, now: Duration) {
        let Some(speaker) = self.voices.get_mut(voice) else { return };
        let Some((head, _)) = speaker.said else { return };
        match follower.relation_to(head) {
            Relation::Ours => {
                speaker.vouched = Some(head.at);
                (speaker.dissents, speaker.lost) = (None, None);
            }
            Relation::Extends => {
                speaker.vouched = follower.tip().map(|tip| tip.at);
                (speaker.dissents, speaker.lost) = (None, None);
            }
            Relation::Forks(ours) => {
                let since = speaker.dissents.or(speaker.lost.take()).map_or(now, |(since, _)| since);
                speaker.dissents = Some((since, ours));
                speaker.probation_until = now.saturating_add(PROBATION);
                speaker.vouched =
                    ours.number.checked_sub(1).and_then(|below| follower.numbered_ours(below)).or(speaker.vouched);
            }
            Relation::Unknown(_) | Relation::Far | Relation::Nowhere => {}
        }
    }

    /// Returns whether more of the fresh endpoints stand by our block that `voice` would undo than oppose it.
    fn is_outvoted<B: Linked>(&self, voice: EndpointId, follower: &Follower<B>, now: Duration) -> bool {
        let Some((_, fork)) = self.voices.get(voice).and_then(|speaker| speaker.dissents) else { return false };
        let (with_us, against) = self.count_votes(fork, follower, now);
        with_us > against
    }

    /// Returns whether more of the fresh endpoints oppose our block at the fork than stand by it, or no endpoint stands
    /// by it and the leading endpoint is silent.
    fn most_dissent_with<B: Linked>(&self, voice: EndpointId, follower: &Follower<B>, now: Duration) -> bool {
        let Some((_, fork)) = self.voices.get(voice).and_then(|speaker| speaker.dissents) else { return false };
        let (with_us, against) = self.count_votes(fork, follower, now);
        against > with_us && (against > 1 || self.lead_is_mute(now))
    }

    /// Counts the endpoints with a fresh head that have our block at `fork`, and those that would retract it.
    fn count_votes<B: Linked>(&self, fork: BlockRef, follower: &Follower<B>, now: Duration) -> (usize, usize) {
        let (mut with_us, mut against) = (0, 0);
        for speaker in &self.voices {
            let Some((head, _)) = speaker.said.filter(|(_, at)| now.saturating_sub(*at) <= self.fresh) else {
                continue;
            };
            match follower.relation_to(head) {
                Relation::Ours if head.at.number >= fork.number => with_us += 1,
                Relation::Extends => with_us += 1,
                Relation::Forks(theirs) if theirs.number <= fork.number => against += 1,
                _ => {}
            }
        }
        (with_us, against)
    }

    fn lead_is_mute(&self, now: Duration) -> bool {
        let said = self.voices.get(self.lead).and_then(|speaker| speaker.said);
        said.is_none_or(|(_, at)| now.saturating_sub(at) > self.fresh)
    }
}

#[cfg(test)]
mod tests;
