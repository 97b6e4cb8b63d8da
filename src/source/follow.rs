//! The follower: which blocks are on our chain, which to fetch next, and which to retract.
//!
//! Comes in: heads (hints) and fetched blocks. Goes out: wants (blocks to fetch) and [`Step`]s. Each step retracts
//! blocks newest first and appends blocks oldest first, each onto its parent. Never here: a socket, a clock, a skipped
//! block, or a block retracted because a number decreased.
//!
//! A gap of up to [`GAP_WALK_MAX`] blocks is walked back from the head over parent hashes until it joins the window of
//! emitted blocks; a larger gap is filled forward by number until the head is near. In both cases a block is appended
//! only when its parent hash is the hash of the block before it. If the walk joins below our tip, the blocks above that
//! point are retracted.

mod terms;

pub use terms::{Conflict, Linked, Relation, Step, Want, Window};

use crate::model::{BlockRef, Link};
use alloy_primitives::B256;
use alloy_primitives::map::{B256HashMap, B256HashSet};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Number of blocks remembered for finding the fork point of a reorg, about seven hours of mainnet. After a restart the
/// store must return at least 1,024 of them.
pub const WINDOW_MAX: usize = 2_048;
/// Largest gap that is walked by hash, one header at a time; a larger one is filled forward by number, several at a time.
pub const GAP_WALK_MAX: u64 = 64;
/// Maximum number of blocks that one step of a reorg appends; the rest of the new branch follows one by one.
pub const REORG_APPEND_MAX: usize = 64;
/// Number of blocks fetched ahead of the next one.
pub const PREFETCH_MAX: usize = 8;
/// Size in bytes at which a step onto another branch is passed on before the whole known branch is included.
pub const STEP_BYTES_MAX: usize = 8 << 20;
/// Number of headers remembered from hints and walks: twice the longest possible walk.
const KNOWN_MAX: usize = 2 * (WINDOW_MAX + GAP_WALK_MAX as usize);
/// Fetched blocks that may wait for their turn.
const BODIES_MAX: usize = REORG_APPEND_MAX + 2 * PREFETCH_MAX;
/// Number of consecutive times that a node must report an older head before this counts as a rollback.
const ROLLBACK_SIGHTINGS: u32 = 3;

/// See the module documentation. `B` is the type of a fetched block.
#[derive(Debug)]
pub struct Follower<B> {
    first: u64,
    links: VecDeque<Link>,
    /// Destination of the follower: the newest head that is not ours yet.
    target: Option<Link>,
    /// Block that replaced our tip while a gap was filled: the walk starts here instead of at the target.
    detour: Option<Link>,
    known: KnownBlock,
    bodies: B256HashMap<B>,
    numbered: BTreeMap<u64, B>,
    heads_seen: u64,
    doubt: Option<Doubt>,
    rollback_after: Option<Duration>,
    lag: Option<MissingParent>,
    /// Blocks up to this one are not retracted without a person's permission.
    finalized: Option<BlockRef>,
    /// Block whose branch may retract final blocks, with a person's permission.
    allowed: Option<B256>,
    conflict: Option<Conflict>,
}

/// Report by a head that our tip is not on its chain.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    tip: Option<B256>,
    /// Number of heads seen at that time; the report is accepted when one more head confirms it.
    heads_seen: u64,
}

/// State while the node reports blocks below our tip.
#[derive(Clone, Copy, Debug)]
struct MissingParent {
    since: Duration,
    sightings: u32,
    keep: usize,
}

/// Headers by hash; the oldest are dropped first.
#[derive(Debug, Default)]
struct KnownBlock {
    links: B256HashMap<Link>,
    order: VecDeque<B256>,
}

/// Path from our blocks to the target.
enum WalkPlan {
    /// Nothing to do.
    Idle,
    /// A header on the path is missing.
    Walk(B256),
    /// The target is too far to walk: blocks are fetched by number, from this one on.
    Fill(u64),
    /// The path is known: the number of our links that stay, and the blocks that follow them, oldest first.
    Joined { keep: usize, branch: Vec<Link> },
    /// The path would retract blocks that must stay.
    Barred(Conflict),
    /// Numbers and parents contradict each other.
    Nonsense,
}

impl<B: Linked> Follower<B> {
    /// Creates a follower that continues at the end of `window`. `rollback_after` is the time for which a node must
    /// report an older block of ours as its head before the follower goes back to it. With `None` it never goes back.
    /// That is right for every chain that cannot be rewound by hand, because there a lower head is a lagging node.
    #[must_use]
    pub fn new(window: Window, rollback_after: Option<Duration>) -> Self {
        let Window { first, links } = window;
        let mut links = VecDeque::from(links);
        // A window with a hole is usable only above the hole.
        let hole = links.iter().zip(links.iter().skip(1)).rposition(|(a, b)| b.parent != a.at.hash);
        links.drain(..hole.map_or(0, |below| below + 1));
        Self {
            first,
            links,
            target: None,
            detour: None,
            known: KnownBlock::default(),
            bodies: B256HashMap::default(),
            numbered: BTreeMap::new(),
            heads_seen: 0,
            doubt: None,
            rollback_after,
            lag: None,
            finalized: None,
            allowed: None,
            conflict: None,
        }
    }

    /// Returns the newest emitted block.
    #[must_use]
    pub fn tip(&self) -> Option<Link> {
        self.links.back().copied()
    }

    /// Returns whether the last head is reached.
    #[must_use]
    pub fn at_head(&self) -> bool {
        self.target.is_none() && self.detour.is_none()
    }

    /// Returns the number of blocks between the newest block emitted and the head being approached.
    #[must_use]
    pub fn blocks_behind(&self) -> u64 {
        self.target.map_or(0, |target| (target.at.number + 1).saturating_sub(self.next_number()))
    }

    /// Returns whether blocks are about to be retracted because the newest head does not build on our tip.
    #[must_use]
    pub fn at_a_fork(&self) -> bool {
        self.detour.is_some() || self.doubt.is_some()
    }

    /// Returns whether the distance to the head is too long to walk.
    #[must_use]
    pub fn is_filling(&self) -> bool {
        matches!(self.current_plan(), WalkPlan::Fill(_))
    }

    /// The block of ours at this height, if it is remembered.
    #[must_use]
    pub fn numbered_ours(&self, number: u64) -> Option<BlockRef> {
        let place = number.checked_sub(self.links.front()?.at.number)?;
        self.links.get(usize::try_from(place).ok()?).map(|link| link.at)
    }

    /// Marks the blocks up to `at` as final. They are not retracted unless a person [allows](Self::allow_reorg) it.
    pub fn finalize_up_to(&mut self, at: BlockRef) {
        if self.finalized.is_none_or(|finalized| finalized.number < at.number) {
            self.finalized = Some(at);
        }
    }

    /// Records a person's permission for a branch with this block to undo final blocks. It is valid until that has
    /// happened.
    pub fn allow_reorg(&mut self, branch: B256) {
        self.allowed = Some(branch);
        self.conflict = None;
    }

    /// Returns the conflict that blocks progress until a person decides.
    #[must_use]
    pub fn conflict(&self) -> Option<Conflict> {
        self.conflict
    }

    /// Returns the relation of a head to the emitted blocks, as far as the known headers show it.
    #[must_use]
    pub fn relation_to(&self, head: Link) -> Relation {
        if self.link_index(head.at).is_some() {
            return Relation::Ours;
        }
        match self.plan_path(head) {
            WalkPlan::Joined { keep, .. } => match self.links.get(keep) {
                Some(first) => Relation::Forks(first.at),
                None => Relation::Extends,
            },
            WalkPlan::Barred(Conflict::Finalized { finalized, .. }) => Relation::Forks(finalized),
            WalkPlan::Walk(hash) => Relation::Unknown(hash),
            WalkPlan::Fill(_) => Relation::Far,
            WalkPlan::Idle | WalkPlan::Nonsense | WalkPlan::Barred(Conflict::Forgotten { .. }) => Relation::Nowhere,
        }
    }

    /// Records the newest block of a node. `now` is a monotonic time from an arbitrary start.
    pub fn record_head(&mut self, head: Link, now: Duration) {
        self.heads_seen += 1;
        if self.conflict.is_some() && self.detour.take().is_some() {
            // The blocks fetched by number may belong to a chain that their node has left since.
            self.numbered.clear();
        }
        let keep = self.link_index(head.at).map(|place| place + 1);
        if keep == Some(self.links.len()) {
            self.lag = None;
            self.clear_doubt();
        } else if keep.is_some() || head.at.number < self.oldest_number() {
            // The head is one of our blocks, or older than the first: the node lags, or the chain was rewound by hand.
            self.clear_doubt();
            if self.links.is_empty() {
                return;
            }
            let lag = self.lag.get_or_insert(MissingParent { since: now, sightings: 0, keep: 0 });
            lag.sightings += 1;
            lag.keep = keep.unwrap_or(0);
            let ripe = self.rollback_after.is_some_and(|after| now.saturating_sub(lag.since) >= after);
            if !ripe {
                lag.sightings = lag.sightings.min(ROLLBACK_SIGHTINGS - 1);
            }
        } else {
            self.lag = None;
            self.known.insert(head);
            if self.relation_to(head) == Relation::Extends {
                // A head on top of our tip confirms it, so two contradictions with this head in between are not
                // consecutive.
                self.doubt = None;
            }
            if !self.target.is_some_and(|target| self.known.descends_from(target, head.at)) {
                self.target = Some(head);
            }
        }
    }

    /// Rejects and forgets everything that contradicts our tip.
    pub fn keep_branch(&mut self) {
        if self.at_a_fork() {
            (self.target, self.detour, self.doubt) = (None, None, None);
            self.numbered.clear();
        }
    }

    /// Returns the approximate size in bytes of the blocks that wait for others.
    pub fn size(&self) -> usize {
        self.bodies.values().chain(self.numbered.values()).map(Linked::size).sum()
    }

    /// A header that was wanted.
    pub fn add_header(&mut self, header: Link) {
        self.known.insert(header);
    }

    /// A block that was wanted by hash.
    pub fn add_block(&mut self, body: B) {
        let link = body.link();
        self.known.insert(link);
        self.bodies.insert(link.at.hash, body);
        if self.bodies.len() > BODIES_MAX {
            let wanted: B256HashSet = match self.current_plan() {
                WalkPlan::Joined { branch, .. } => {
                    branch.iter().take(REORG_APPEND_MAX).map(|link| link.at.hash).collect()
                }
                _ => B256HashSet::default(),
            };
            self.bodies.retain(|hash, _| wanted.contains(hash));
        }
    }

    /// A block that was wanted by number.
    pub fn add_numbered_block(&mut self, body: B) {
        let number = body.link().at.number;
        let next = self.next_number();
        if (next..next.saturating_add(PREFETCH_MAX as u64)).contains(&number) {
            self.numbered.insert(number, body);
        }
    }

    /// Records that the node does not have the wanted block: the target left its chain, or the node is behind. A new
    /// head is needed.
    pub fn mark_unavailable(&mut self, want: Want) {
        if self.wanted_fetches().contains(&want) {
            self.target = None;
            self.detour = None;
        }
    }

    /// Returns the items to fetch now, most urgent first, including those already being fetched.
    #[must_use]
    pub fn wanted_fetches(&self) -> Vec<Want> {
        match self.current_plan() {
            WalkPlan::Idle | WalkPlan::Nonsense => Vec::new(),
            WalkPlan::Walk(hash) => vec![Want::Header(hash)],
            WalkPlan::Fill(next) => (next..next.saturating_add(PREFETCH_MAX as u64))
                .filter(|number| !self.numbered.contains_key(number))
                .map(Want::Numbered)
                .collect(),
            WalkPlan::Joined { keep, branch } => {
                if keep < self.links.len() && !self.is_doubt_confirmed() {
                    return vec![Want::Latest];
                }
                let ahead = if keep < self.links.len() { REORG_APPEND_MAX } else { PREFETCH_MAX };
                let missing = branch.iter().take(ahead).filter(|link| !self.bodies.contains_key(&link.at.hash));
                missing.take(PREFETCH_MAX).map(|link| Want::Block(link.at.hash)).collect()
            }
            // While a person's decision is pending, heads are polled at the ordinary interval.
            WalkPlan::Barred(_) if self.conflict.is_some() => Vec::new(),
            WalkPlan::Barred(_) => vec![Want::Latest],
        }
    }

    /// Returns the next step, if all its blocks are available; it counts as done once it is returned. Call this until
    /// it returns `None`, and only then call [`Follower::wanted_fetches`].
    pub fn next_step(&mut self) -> Option<Step<B>> {
        if let Some(keep) = self.lag.filter(|lag| lag.sightings >= ROLLBACK_SIGHTINGS).map(|lag| lag.keep) {
            self.lag = None;
            return self.retract_to(keep);
        }
        match self.current_plan() {
            WalkPlan::Fill(next) => self.append_numbered_block(next),
            WalkPlan::Joined { keep, branch } if keep == self.links.len() => {
                let body = branch.first().and_then(|next| self.bodies.remove(&next.at.hash))?;
                Some(self.replace_tip(keep, vec![body]))
            }
            WalkPlan::Joined { keep, branch } => {
                if !self.is_doubt_confirmed() {
                    self.begin_doubt();
                    return None;
                }
                let next = &branch[..branch.len().min(REORG_APPEND_MAX)];
                let there: Vec<&B> = next.iter().map_while(|link| self.bodies.get(&link.at.hash)).collect();
                let is_full = !there.is_empty() && there.iter().map(|body| body.size()).sum::<usize>() > STEP_BYTES_MAX;
                let n = there.len();
                if n < next.len() && !is_full {
                    return None;
                }
                let append = next[..n].iter().filter_map(|link| self.bodies.remove(&link.at.hash)).collect();
                Some(self.replace_tip(keep, append))
            }
            WalkPlan::Barred(conflict) if self.is_doubt_confirmed() => {
                self.conflict = Some(conflict);
                None
            }
            WalkPlan::Barred(_) => {
                self.begin_doubt();
                None
            }
            WalkPlan::Nonsense => {
                (self.target, self.detour) = (None, None);
                None
            }
            WalkPlan::Idle | WalkPlan::Walk(_) => None,
        }
    }

    fn current_plan(&self) -> WalkPlan {
        self.detour.or(self.target).map_or(WalkPlan::Idle, |from| self.plan_path(from))
    }

    /// The way from our blocks to `from`.
    fn plan_path(&self, from: Link) -> WalkPlan {
        let next = self.next_number();
        if from.at.number < self.first {
            return WalkPlan::Idle;
        }
        if from.at.number.saturating_sub(next) >= GAP_WALK_MAX {
            return WalkPlan::Fill(next);
        }
        let mut branch = VecDeque::from([from]);
        let mut at = from;
        loop {
            let joint = at.at.number.checked_sub(1).map(|number| BlockRef { number, hash: at.parent });
            if let Some(place) = joint.and_then(|joint| self.link_index(joint)) {
                return self.plan_branch(place + 1, branch.into());
            }
            if at.at.number <= self.oldest_number() {
                return match self.links.front() {
                    Some(front) if front.at.number > self.first => {
                        WalkPlan::Barred(Conflict::Forgotten { head: from.at, oldest: front.at })
                    }
                    _ => self.plan_branch(0, branch.into()),
                };
            }
            let Some(parent) = self.known.get(at.parent) else { return WalkPlan::Walk(at.parent) };
            if parent.at.number.checked_add(1) != Some(at.at.number) {
                return WalkPlan::Nonsense;
            }
            branch.push_front(parent);
            at = parent;
        }
    }

    /// Returns the plan for a known path, which may still be barred.
    fn plan_branch(&self, keep: usize, branch: Vec<Link>) -> WalkPlan {
        let final_ours =
            self.finalized.filter(|finalized| self.link_index(*finalized).is_some_and(|place| place >= keep));
        match (final_ours, branch.last()) {
            (Some(finalized), Some(head)) if !branch.iter().any(|link| Some(link.at.hash) == self.allowed) => {
                WalkPlan::Barred(Conflict::Finalized { head: head.at, finalized })
            }
            _ => WalkPlan::Joined { keep, branch },
        }
    }

    /// Appends the block numbered `next`, or, if our tip is not on its chain, starts to follow that chain.
    fn append_numbered_block(&mut self, next: u64) -> Option<Step<B>> {
        let body = self.numbered.remove(&next)?;
        let link = body.link();
        if self.tip().is_none_or(|tip| link.parent == tip.at.hash) {
            return Some(self.replace_tip(self.links.len(), vec![body]));
        }
        // The chain that continues beyond our tip does not contain our tip. With so many blocks on top this is not a
        // temporary state of the node, so it needs no confirmation.
        self.numbered.clear();
        self.add_block(body);
        self.detour = Some(link);
        self.doubt = Some(Doubt { tip: self.tip().map(|tip| tip.at.hash), heads_seen: 0 });
        None
    }

    fn replace_tip(&mut self, keep: usize, append: Vec<B>) -> Step<B> {
        let retract = self.links.drain(keep..).rev().map(|link| link.at).collect();
        self.links.extend(append.iter().map(Linked::link));
        let surplus = self.links.len().saturating_sub(WINDOW_MAX);
        self.links.drain(..surplus);
        if self
            .finalized
            .is_some_and(|finalized| self.numbered_ours(finalized.number).is_some_and(|at| at != finalized))
        {
            // Only a person's permission leads here, and it is now used up.
            (self.finalized, self.allowed) = (None, None);
        }
        (self.doubt, self.lag, self.conflict) = (None, None, None);
        let next = self.next_number();
        self.numbered.retain(|number, _| *number >= next);
        for way in [&mut self.target, &mut self.detour] {
            if way.is_some_and(|link| self.links.back().is_some_and(|tip| tip.at == link.at)) {
                *way = None;
            }
        }
        Step { retract, append }
    }

    fn retract_to(&mut self, keep: usize) -> Option<Step<B>> {
        let tip = self.tip()?;
        if let Some(front) = self.links.front().filter(|front| keep == 0 && front.at.number > self.first) {
            self.conflict = Some(Conflict::Forgotten { head: tip.at, oldest: front.at });
            return None;
        }
        if let Some(finalized) = self.finalized.filter(|at| self.link_index(*at).is_some_and(|place| place >= keep)) {
            let head = keep.checked_sub(1).and_then(|place| self.links.get(place)).map_or(finalized, |link| link.at);
            self.conflict = Some(Conflict::Finalized { head, finalized });
            return None;
        }
        (self.target, self.detour) = (None, None);
        Some(self.replace_tip(keep, Vec::new()))
    }

    /// Clears contradicting reports, because a head agrees with our chain.
    fn clear_doubt(&mut self) {
        self.conflict = None;
        if self.doubt.take().is_some() {
            (self.target, self.detour) = (None, None);
        }
    }

    fn begin_doubt(&mut self) {
        let tip = self.tip().map(|tip| tip.at.hash);
        if self.doubt.is_none_or(|doubt| doubt.tip != tip) {
            self.doubt = Some(Doubt { tip, heads_seen: self.heads_seen });
        }
    }

    fn is_doubt_confirmed(&self) -> bool {
        let tip = self.tip().map(|tip| tip.at.hash);
        self.doubt.is_some_and(|doubt| doubt.tip == tip && self.heads_seen > doubt.heads_seen)
    }

    fn next_number(&self) -> u64 {
        self.tip().map_or(self.first, |tip| tip.at.number.saturating_add(1))
    }

    fn oldest_number(&self) -> u64 {
        self.links.front().map_or(self.first, |front| front.at.number)
    }

    /// Index of a block among our links.
    fn link_index(&self, at: BlockRef) -> Option<usize> {
        let place = usize::try_from(at.number.checked_sub(self.links.front()?.at.number)?).ok()?;
        (self.links.get(place)?.at == at).then_some(place)
    }
}

impl KnownBlock {
    fn insert(&mut self, link: Link) {
        if self.links.insert(link.at.hash, link).is_none() {
            self.order.push_back(link.at.hash);
        }
        while self.order.len() > KNOWN_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.links.remove(&oldest);
            }
        }
    }

    fn get(&self, hash: B256) -> Option<Link> {
        self.links.get(&hash).copied()
    }

    /// Returns whether `from` is `ancestor` or is known to build on it.
    fn descends_from(&self, from: Link, ancestor: BlockRef) -> bool {
        let mut at = from;
        while at.at.number > ancestor.number {
            match self.get(at.parent) {
                Some(parent) if parent.at.number < at.at.number => at = parent,
                _ => return at.parent == ancestor.hash,
            }
        }
        at.at == ancestor
    }
}

#[cfg(test)]
mod tests;
