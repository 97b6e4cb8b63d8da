use super::*;
use alloy_primitives::U256;
use proptest::prelude::*;

impl Linked for Link {
    fn link(&self) -> Link {
        *self
    }
}

fn hash(n: u64) -> B256 {
    B256::from(U256::from(n))
}

/// A chain with all its forks, one of them canonical, as one node sees it.
struct Tree {
    blocks: B256HashMap<Link>,
    canonical: Vec<Link>,
    n_made: u64,
    /// True if orphans can still be fetched by hash.
    remembers_orphans: bool,
}

impl Tree {
    fn new() -> Self {
        let mut tree =
            Self { blocks: B256HashMap::default(), canonical: Vec::new(), n_made: 0, remembers_orphans: true };
        tree.extend(1);
        tree
    }

    fn extend(&mut self, n: usize) {
        for _ in 0..n {
            self.n_made += 1;
            let hash = hash(self.n_made);
            let parent = self.canonical.last().map_or(B256::ZERO, |link| link.at.hash);
            let link = Link { at: BlockRef { number: self.canonical.len() as u64, hash }, parent, time: 0 };
            self.canonical.push(link);
            self.blocks.insert(hash, link);
        }
    }

    fn reorg(&mut self, depth: usize, n: usize) {
        let keep = self.canonical.len().saturating_sub(depth).max(1);
        self.canonical.truncate(keep);
        self.extend(n.max(1));
    }

    fn head(&self) -> Link {
        *self.canonical.last().expect("there is a genesis")
    }

    fn by_hash(&self, hash: B256) -> Option<Link> {
        let link = *self.blocks.get(&hash)?;
        let canonical = self.canonical.get(link.at.number as usize) == Some(&link);
        (canonical || self.remembers_orphans).then_some(link)
    }
}

/// Contents of a store if every step were committed.
struct Store {
    first: u64,
    links: Vec<Link>,
    n_steps: usize,
}

impl Store {
    fn commit(&mut self, step: Step<Link>) {
        assert!(!step.retract.is_empty() || !step.append.is_empty(), "an empty step");
        for gone in step.retract {
            assert_eq!(self.links.pop().map(|link| link.at), Some(gone), "taken back newest first");
        }
        for link in step.append {
            match self.links.last() {
                Some(tip) => assert_eq!((link.parent, link.at.number), (tip.at.hash, tip.at.number + 1), "a hole"),
                None => assert_eq!(link.at.number, self.first, "the first block is the one asked for"),
            }
            self.links.push(link);
        }
        self.n_steps += 1;
    }

    fn window(&self) -> Window {
        let from = self.links.len().saturating_sub(1_024);
        Window { first: self.first, links: self.links[from..].to_vec() }
    }
}

/// A follower, the node it follows and the store it fills.
struct World {
    tree: Tree,
    store: Store,
    follower: Follower<Link>,
    now: Duration,
}

impl World {
    fn new(first: u64) -> Self {
        let store = Store { first, links: Vec::new(), n_steps: 0 };
        let follower = Follower::new(store.window(), None);
        Self { tree: Tree::new(), store, follower, now: Duration::ZERO }
    }

    fn restart(&mut self) {
        self.follower = Follower::new(self.store.window(), self.follower.rollback_after);
    }

    fn hint(&mut self, head: Link) {
        self.now += Duration::from_secs(1);
        self.follower.record_head(head, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(step) = self.follower.next_step() {
            self.store.commit(step);
        }
    }

    /// Answers one of the current wants, the `pick`-th.
    fn answer(&mut self, pick: usize) -> bool {
        let wants = self.follower.wanted_fetches();
        let Some(&want) = wants.get(pick % wants.len().max(1)) else { return false };
        match want {
            Want::Latest => self.hint(self.tree.head()),
            Want::Header(hash) => match self.tree.by_hash(hash) {
                Some(link) => self.follower.add_header(link),
                None => self.follower.mark_unavailable(want),
            },
            Want::Block(hash) => match self.tree.by_hash(hash) {
                Some(link) => self.follower.add_block(link),
                None => self.follower.mark_unavailable(want),
            },
            Want::Numbered(number) => match self.tree.canonical.get(number as usize) {
                Some(link) => self.follower.add_numbered_block(*link),
                None => self.follower.mark_unavailable(want),
            },
        }
        self.drain();
        true
    }

    /// Stops changing the node and runs the follower until it is done.
    fn settle(&mut self) {
        for _ in 0..4 {
            self.hint(self.tree.head());
            let n_answers = (0..20_000).take_while(|_| self.answer(0)).count();
            assert!(n_answers < 20_000, "the same is wanted again and again: {:?}", self.follower.wanted_fetches());
        }
    }

    fn expect_canonical(&self) {
        let canonical: Vec<_> =
            self.tree.canonical.iter().filter(|link| link.at.number >= self.store.first).copied().collect();
        assert_eq!(self.store.links, canonical);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Extend(usize),
    Reorg { depth: usize, n: usize },
    HintNewest,
    HintOlder(usize),
    HintAny(usize),
    Answer(usize),
    Restart,
    ForgetOrphans(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1usize..4).prop_map(Event::Extend),
        1 => (60usize..90).prop_map(Event::Extend),
        2 => (1usize..6, 1usize..7).prop_map(|(depth, n)| Event::Reorg { depth, n }),
        1 => (1usize..100, 1usize..100).prop_map(|(depth, n)| Event::Reorg { depth, n }),
        6 => Just(Event::HintNewest),
        2 => (1usize..5).prop_map(Event::HintOlder),
        2 => any::<usize>().prop_map(Event::HintAny),
        24 => any::<usize>().prop_map(Event::Answer),
        1 => Just(Event::Restart),
        1 => any::<bool>().prop_map(Event::ForgetOrphans),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_heads_reorgs_lags_and_restarts_ends_on_the_canonical_chain(
        first in 0u64..12,
        events in proptest::collection::vec(event(), 1..100),
    ) {
        let mut world = World::new(first);
        for event in events {
            match event {
                Event::Extend(n) => world.tree.extend(n),
                Event::Reorg { depth, n } => world.tree.reorg(depth, n),
                Event::HintNewest => world.hint(world.tree.head()),
                Event::HintOlder(by) => {
                    let at = world.tree.canonical.len().saturating_sub(1 + by);
                    world.hint(world.tree.canonical[at]);
                }
                Event::HintAny(pick) => {
                    let number = 1 + pick as u64 % world.tree.n_made;
                    world.hint(world.tree.blocks[&hash(number)]);
                }
                Event::Answer(pick) => {
                    world.answer(pick);
                }
                Event::Restart => world.restart(),
                Event::ForgetOrphans(forgets) => world.tree.remembers_orphans = !forgets,
            }
        }
        // The chain grows past every earlier block: below that, a lower head would be a lagging node.
        let highest = world.tree.blocks.values().map(|link| link.at.number).max().unwrap_or(0) as usize;
        world.tree.extend((highest + 1).saturating_sub(world.tree.canonical.len()) + 12);
        world.settle();
        world.expect_canonical();
    }
}

#[test]
fn a_plain_extension_is_one_step_for_each_block() {
    let mut world = World::new(1);
    world.tree.extend(5);
    world.settle();
    world.expect_canonical();
    assert_eq!(world.store.n_steps, 5);
}

#[test]
fn a_reorg_is_taken_back_and_replaced_in_one_step() {
    let mut world = World::new(1);
    world.tree.extend(10);
    world.settle();
    world.tree.reorg(4, 6);
    world.settle();
    world.expect_canonical();
    assert_eq!(world.store.n_steps, 10 + 1);
}

#[test]
fn a_sibling_of_the_tip_is_believed_only_when_the_node_says_it_twice() {
    let mut world = World::new(1);
    world.tree.extend(3);
    world.settle();
    world.tree.reorg(1, 1);
    world.hint(world.tree.head());
    assert_eq!(world.follower.wanted_fetches(), [Want::Latest]);
    let ours = world.store.links.last().copied().expect("three blocks");
    world.hint(ours);
    assert!(world.follower.wanted_fetches().is_empty(), "the node agrees with us again");
    world.hint(world.tree.head());
    assert_eq!(world.follower.wanted_fetches(), [Want::Latest]);
    world.settle();
    world.expect_canonical();
}

#[test]
fn a_lower_head_is_a_lagging_node_however_often_it_is_named() {
    let mut world = World::new(1);
    world.tree.extend(10);
    world.settle();
    for _ in 0..1_000 {
        world.hint(world.tree.canonical[7]);
        assert!(world.follower.wanted_fetches().is_empty());
    }
    world.expect_canonical();
}

#[test]
fn a_chain_that_may_be_rewound_by_hand_is_followed_back_once_the_lower_head_lasts() {
    let mut world = World::new(1);
    world.follower.rollback_after = Some(Duration::from_secs(3));
    world.tree.extend(10);
    world.settle();
    let newest = world.tree.head();
    world.tree.canonical.truncate(8);
    world.hint(world.tree.head());
    world.hint(newest);
    for _ in 0..3 {
        world.hint(world.tree.head());
        assert_eq!(world.store.links.len(), 10, "not yet");
    }
    world.hint(world.tree.head());
    world.expect_canonical();
}

#[test]
fn a_gap_too_wide_to_walk_is_filled_forward_and_nothing_is_skipped() {
    let mut world = World::new(1);
    world.tree.extend(3_000);
    world.settle();
    world.expect_canonical();
}

#[test]
fn a_tip_that_was_orphaned_while_we_were_away_for_long_is_taken_back() {
    let mut world = World::new(1);
    world.tree.extend(100);
    world.settle();
    world.tree.reorg(20, 2_500);
    world.tree.remembers_orphans = false;
    world.restart();
    world.settle();
    world.expect_canonical();
}

#[test]
fn a_reorg_below_the_first_block_of_interest_replaces_all_of_it() {
    let mut world = World::new(8);
    world.tree.extend(10);
    world.settle();
    world.tree.reorg(9, 20);
    world.settle();
    world.expect_canonical();
}

#[test]
fn a_chain_that_joins_nowhere_in_the_window_waits_for_a_person_and_changes_nothing() {
    let mut world = World::new(0);
    world.tree.extend(4_000);
    world.settle();
    let before = world.store.links.clone();
    let ours = world.tree.canonical.clone();
    world.tree.reorg(3_900, 3_950);
    let conflict = (0..200_000).find_map(|_| {
        if !world.answer(0) {
            world.hint(world.tree.head());
        }
        world.follower.conflict()
    });
    let oldest = before[before.len() - WINDOW_MAX].at;
    assert!(matches!(conflict, Some(Conflict::Forgotten { oldest: found, .. }) if found == oldest), "{conflict:?}");
    assert_eq!(world.follower.tip(), before.last().copied());
    world.tree.canonical = ours;
    world.hint(world.tree.head());
    assert_eq!(world.follower.conflict(), None, "the node is back on our chain");
    world.tree.extend(3);
    world.settle();
    world.expect_canonical();
}

#[test]
fn what_was_final_is_taken_back_only_when_a_person_allows_it() {
    let mut world = World::new(1);
    world.tree.extend(20);
    world.settle();
    let finalized = world.store.links[11].at;
    world.follower.finalize_up_to(finalized);
    world.tree.reorg(5, 7);
    world.settle();
    world.expect_canonical();
    world.tree.reorg(15, 20);
    let before = world.store.links.clone();
    world.settle();
    let head = world.tree.head().at;
    assert_eq!(world.follower.conflict(), Some(Conflict::Finalized { head, finalized }));
    assert_eq!(world.store.links, before, "nothing is undone");
    world.follower.allow_reorg(B256::repeat_byte(7));
    world.settle();
    assert_eq!(world.store.links, before, "another branch was allowed");
    world.follower.allow_reorg(world.tree.canonical[14].at.hash);
    world.settle();
    world.expect_canonical();
    assert_eq!(world.follower.conflict(), None);
}

#[test]
fn a_header_whose_number_contradicts_its_parent_is_not_followed() {
    let mut world = World::new(1);
    world.tree.extend(3);
    world.settle();
    let mut liar = world.tree.head();
    liar.at = BlockRef { number: 9, hash: B256::repeat_byte(9) };
    world.hint(Link { at: BlockRef { number: 11, hash: B256::repeat_byte(11) }, parent: liar.at.hash, time: 0 });
    world.follower.add_header(liar);
    world.drain();
    assert!(world.follower.at_head());
    world.tree.extend(1);
    world.settle();
    world.expect_canonical();
}

#[test]
fn a_window_with_a_hole_is_used_from_the_hole_on() {
    let mut world = World::new(1);
    world.tree.extend(10);
    world.settle();
    let mut window = world.store.window();
    window.links.remove(3);
    let follower = Follower::<Link>::new(window, None);
    assert_eq!(follower.links.len(), 6);
}
