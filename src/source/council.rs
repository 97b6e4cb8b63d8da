//! Which of several endpoints is listened to.
//!
//! In come heads, each with the voice that named it; out goes which of them the follower should go for. One voice leads. The
//! others are heard where they are of one mind with it: whoever names a block on top of ours first is followed. A voice that names
//! a block instead of ours is not, unless most say so; it is on record as dissenting until it agrees again. What never happens
//! here: a socket, a clock, or a block taken back because of one voice among several.

use super::follow::{Follower, Linked, Relation};
use crate::model::{BlockRef, Link};
use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a voice that dissented is not followed ahead of the others, once it agrees again.
const PROBATION: Duration = Duration::from_secs(300);

/// An endpoint, by its place in the pool.
pub(super) type Voice = usize;

/// See the module's head. Times only grow, from any beginning.
#[derive(Debug)]
pub(super) struct Council {
    voices: Vec<Speaker>,
    lead: Voice,
    /// How long a head stays worth hearing.
    fresh: Duration,
    /// For each number of sources from two on: the newest block that so many call theirs.
    told: Vec<Option<BlockRef>>,
    /// Blocks that were taken back, with the voices that may still stand by them.
    contested: Vec<(BlockRef, BTreeSet<Voice>)>,
    /// What was told last of the contested blocks.
    contested_told: Vec<(BlockRef, BTreeSet<Voice>)>,
}

/// Contested blocks that are remembered, the newest ones: twice what an epoch of Ethereum holds, after which a branch is final.
const CONTESTED_MAX: usize = 64;

/// What is known of one voice.
#[derive(Clone, Debug, Default)]
struct Speaker {
    said: Option<(Link, Duration)>,
    /// Since when it names blocks instead of ours.
    dissents: Option<(Duration, BlockRef)>,
    /// Since when it names heads that nobody can lead back to a block of ours, and the last of them.
    lost: Option<(Duration, BlockRef)>,
    probation_until: Duration,
    /// The newest block of ours that it called its own.
    vouched: Option<BlockRef>,
}

/// A voice that has been naming blocks instead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dissent {
    pub(super) voice: Voice,
    pub(super) since: Duration,
    /// The first block of ours that is not on its chain; `None` where nobody can show the way from its head to ours.
    pub(super) ours: Option<BlockRef>,
    /// Its head.
    pub(super) theirs: BlockRef,
}

impl Council {
    /// So many voices, of which the first leads. A head is worth hearing for `fresh`.
    pub(super) fn new(n_voices: usize, fresh: Duration) -> Self {
        let voices = vec![Speaker::default(); n_voices];
        let told = vec![None; n_voices.saturating_sub(1)];
        Self { told, voices, lead: 0, fresh, contested: Vec::new(), contested_told: Vec::new() }
    }

    /// Blocks that were contested when an earlier process ended: any voice may stand by them until it says otherwise.
    pub(super) fn remember_contested(&mut self, blocks: &[BlockRef]) {
        if self.voices.len() > 1 {
            let everybody: BTreeSet<Voice> = (0..self.voices.len()).collect();
            self.contested = blocks.iter().map(|block| (*block, everybody.clone())).collect();
            self.contested_told.clone_from(&self.contested);
        }
    }

    /// Blocks of ours were taken back: whoever called them its own stands by them until it names another branch.
    pub(super) fn take_back(&mut self, blocks: &[BlockRef]) {
        if self.voices.len() == 1 {
            return;
        }
        for block in blocks {
            let vouches = |speaker: &Speaker| speaker.vouched.is_some_and(|vouched| vouched.number >= block.number);
            let by = self.voices.iter().enumerate().filter(|(_, speaker)| vouches(speaker)).map(|(voice, _)| voice);
            let by = by.collect();
            self.contested.retain(|(known, _)| known != block);
            self.contested.push((*block, by));
        }
        let over = self.contested.len().saturating_sub(CONTESTED_MAX);
        self.contested.drain(..over);
    }

    /// Blocks up to this number are final on our branch, and nobody's word changes that.
    pub(super) fn finalize(&mut self, number: u64) {
        self.contested.retain(|(block, _)| block.number > number);
    }

    /// Blocks that were taken back, each with the voices that still stand by it; nothing where that is as it was told.
    pub(super) fn contested<B: Linked>(&mut self, follower: &Follower<B>) -> Option<Vec<(BlockRef, BTreeSet<Voice>)>> {
        for (block, by) in &mut self.contested {
            for (voice, speaker) in self.voices.iter().enumerate() {
                // Whoever is not heard, or names what cannot be placed, stands where it stood.
                let Some((head, _)) = speaker.said else { continue };
                match follower.relation(head) {
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

    pub(super) fn lead(&self) -> Voice {
        self.lead
    }

    /// Another voice leads from now on.
    pub(super) fn follow_lead(&mut self, voice: Voice) {
        if voice < self.voices.len() {
            self.lead = voice;
        }
    }

    /// A voice names its newest block. The follower hears of it where it should.
    pub(super) fn said<B: Linked>(&mut self, voice: Voice, head: Link, follower: &mut Follower<B>, now: Duration) {
        let Some(speaker) = self.voices.get_mut(voice) else { return };
        speaker.said = Some((head, now));
        if self.voices.len() == 1 {
            follower.head(head, now);
            return;
        }
        follower.header(head);
        self.place(voice, follower, now);
        let in_minority = self.outvoted(voice, follower, now);
        if voice == self.lead {
            if in_minority {
                follower.stand();
            } else {
                follower.head(head, now);
            }
            return;
        }
        let speaker = &self.voices[voice];
        let heard = match follower.relation(head) {
            // Nothing to go for, and a lower head of a voice that does not lead means only that it is behind.
            Relation::Ours | Relation::Nowhere | Relation::Unknown(_) => false,
            Relation::Extends => now >= speaker.probation_until,
            Relation::Forks(_) => !in_minority && self.most_dissent_with(voice, follower, now),
            Relation::Far => self.lead_is_mute(now),
        };
        if heard {
            follower.head(head, now);
        }
    }

    /// A voice cannot be heard: what it said last counts no longer.
    pub(super) fn mute(&mut self, voice: Voice) {
        if let Some(speaker) = self.voices.get_mut(voice) {
            (speaker.said, speaker.dissents, speaker.lost) = (None, None, None);
        }
    }

    /// A voice named a head, and nobody has what lies between that and our chain. It counts for nothing until it names another, and
    /// is on record until one of them can be placed.
    pub(super) fn lose(&mut self, voice: Voice, now: Duration) {
        let Some(speaker) = self.voices.get_mut(voice) else { return };
        let Some((head, _)) = speaker.said.take() else { return };
        let since = speaker.dissents.take().or(speaker.lost).map_or(now, |(since, _)| since);
        speaker.lost = Some((since, head.at));
    }

    /// A voice named what nobody has: it is not followed ahead of the others for a while.
    pub(super) fn distrust(&mut self, voice: Voice, now: Duration) {
        if let Some(speaker) = self.voices.get_mut(voice) {
            speaker.probation_until = now.saturating_add(PROBATION);
        }
    }

    /// Who named this block as its newest.
    pub(super) fn named(&self, hash: B256) -> Option<Voice> {
        let names = |speaker: &Speaker| speaker.said.is_some_and(|(said, _)| said.at.hash == hash);
        let lead_first = std::iter::once(self.lead).chain(0..self.voices.len());
        lead_first.into_iter().find(|voice| self.voices.get(*voice).is_some_and(names))
    }

    /// Looks at all voices again after the follower moved, or learned a header.
    pub(super) fn review<B: Linked>(&mut self, follower: &Follower<B>, now: Duration) {
        if self.voices.len() > 1 {
            for voice in 0..self.voices.len() {
                self.place(voice, follower, now);
            }
        }
    }

    /// Headers that are missing to tell how a voice stands to us, each with the voice that should know it.
    pub(super) fn wants<B: Linked>(&self, follower: &Follower<B>) -> Vec<(Voice, B256)> {
        let unknown = |(voice, speaker): (Voice, &Speaker)| match follower.relation(speaker.said?.0) {
            Relation::Unknown(hash) => Some((voice, hash)),
            _ => None,
        };
        if self.voices.len() == 1 {
            return Vec::new();
        }
        self.voices.iter().enumerate().filter_map(unknown).collect()
    }

    /// Voices that name blocks instead of ours, or blocks that cannot be placed.
    pub(super) fn dissents(&self) -> impl Iterator<Item = Dissent> + '_ {
        self.voices.iter().enumerate().filter_map(|(voice, speaker)| {
            if let Some((since, theirs)) = speaker.lost {
                return Some(Dissent { voice, since, ours: None, theirs });
            }
            let ((since, ours), (said, _)) = (speaker.dissents?, speaker.said?);
            Some(Dissent { voice, since, ours: Some(ours), theirs: said.at })
        })
    }

    /// Who should lead. Whoever is `fit` comes before whoever is not, then whoever has not most of the others against him; a lead
    /// stays until another is better, so that no two of them can take turns.
    pub(super) fn elect<B: Linked>(&self, follower: &Follower<B>, now: Duration, fit: impl Fn(Voice) -> bool) -> Voice {
        let worth = |voice: Voice| (fit(voice), !self.outvoted(voice, follower, now));
        let best = (0..self.voices.len()).map(worth).max();
        let first = (0..self.voices.len()).find(|voice| Some(worth(*voice)) == best);
        if best == Some(worth(self.lead)) { self.lead } else { first.unwrap_or(self.lead) }
    }

    /// How far each voice is behind the best, in blocks; absent for one that has said nothing lately.
    pub(super) fn lags(&self, now: Duration) -> Vec<Option<u64>> {
        let said = |speaker: &Speaker| {
            let (head, at) = speaker.said?;
            (now.saturating_sub(at) <= self.fresh).then_some(head.at.number)
        };
        let best = self.voices.iter().filter_map(said).max().unwrap_or(0);
        self.voices.iter().map(|speaker| Some(best - said(speaker)?)).collect()
    }

    /// Blocks that more voices call theirs than was told before, with the number of voices; fewest voices first.
    pub(super) fn confirmed<B: Linked>(&mut self, follower: &Follower<B>) -> Vec<(BlockRef, u32)> {
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

    /// Writes down how a voice stands to us.
    fn place<B: Linked>(&mut self, voice: Voice, follower: &Follower<B>, now: Duration) {
        let Some(speaker) = self.voices.get_mut(voice) else { return };
        let Some((head, _)) = speaker.said else { return };
        match follower.relation(head) {
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

    /// Whether more of the fresh voices stand by the block of ours that `voice` would undo than are against it.
    fn outvoted<B: Linked>(&self, voice: Voice, follower: &Follower<B>, now: Duration) -> bool {
        let Some((_, fork)) = self.voices.get(voice).and_then(|speaker| speaker.dissents) else { return false };
        let (with_us, against) = self.count(fork, follower, now);
        with_us > against
    }

    /// Whether more of the fresh voices are against our block at the fork than stand by it, or nobody stands by it and the voice
    /// that leads is not heard.
    fn most_dissent_with<B: Linked>(&self, voice: Voice, follower: &Follower<B>, now: Duration) -> bool {
        let Some((_, fork)) = self.voices.get(voice).and_then(|speaker| speaker.dissents) else { return false };
        let (with_us, against) = self.count(fork, follower, now);
        against > with_us && (against > 1 || self.lead_is_mute(now))
    }

    /// Fresh voices that stand by our block at `fork`, and fresh voices that would undo it.
    fn count<B: Linked>(&self, fork: BlockRef, follower: &Follower<B>, now: Duration) -> (usize, usize) {
        let (mut with_us, mut against) = (0, 0);
        for speaker in &self.voices {
            let Some((head, _)) = speaker.said.filter(|(_, at)| now.saturating_sub(*at) <= self.fresh) else {
                continue;
            };
            match follower.relation(head) {
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
