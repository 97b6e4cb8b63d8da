use super::*;
use crate::source::follow::{Want, Window};
use alloy_primitives::U256;

const SLOT: Duration = Duration::from_secs(12);

/// Several endpoints over one follower; blocks are links, and every request for a block succeeds.
struct Hall {
    council: Quorum,
    follower: Follower<Link>,
    made: Vec<Link>,
    now: Duration,
}

impl Hall {
    /// Creates a test with `n_voices` endpoints at block `n` of a chain.
    fn new(n_voices: usize, n: u64) -> Self {
        let follower = Follower::new(Window { first: 0, links: Vec::new() }, None);
        let council = Quorum::new(n_voices, SLOT * 3);
        let mut hall = Self { council, follower, made: Vec::new(), now: Duration::ZERO };
        let mut parent = B256::ZERO;
        for number in 0..=n {
            parent = hall.make(number, parent).at.hash;
        }
        let head = hall.made[n as usize];
        hall.say(0, head);
        assert_eq!(hall.tip(), head);
        hall
    }

    fn make(&mut self, number: u64, parent: B256) -> Link {
        let hash = B256::from(U256::from(self.made.len() as u64 + 1));
        let link = Link { at: BlockRef { number, hash }, parent, time: 0 };
        self.made.push(link);
        link
    }

    /// A chain of `n` new blocks on top of block `on`.
    fn branch(&mut self, on: Link, n: u64) -> Link {
        (0..n).fold(on, |on, _| self.make(on.at.number + 1, on.at.hash))
    }

    fn tip(&self) -> Link {
        self.follower.tip().expect("a block")
    }

    fn find(&self, hash: B256) -> Link {
        *self.made.iter().find(|link| link.at.hash == hash).expect("nobody asks for what was not made")
    }

    fn say(&mut self, voice: EndpointId, head: Link) {
        self.now += Duration::from_secs(1);
        self.council.record_head(voice, head, &mut self.follower, self.now);
        loop {
            while let Some(step) = self.follower.next_step() {
                self.council.take_back(&step.retract);
            }
            let walks = self.council.missing_headers(&self.follower).into_iter().map(|(_, hash)| Want::Header(hash));
            let wants: Vec<Want> =
                self.follower.wanted_fetches().into_iter().chain(walks).filter(|w| *w != Want::Latest).collect();
            if wants.is_empty() {
                break;
            }
            for want in wants {
                match want {
                    Want::Header(hash) => self.follower.add_header(self.find(hash)),
                    Want::Block(hash) => self.follower.add_block(self.find(hash)),
                    Want::Latest | Want::Numbered(_) => unreachable!("no gap is that wide"),
                }
            }
        }
        self.council.review_endpoints(&self.follower, self.now);
    }

    fn dissenters(&self) -> Vec<EndpointId> {
        self.council.dissenting_endpoints().map(|dissent| dissent.voice).collect()
    }
}

#[test]
fn whoever_names_a_block_on_top_of_ours_first_is_followed() {
    let mut hall = Hall::new(2, 5);
    let next = hall.branch(hall.tip(), 1);
    hall.say(1, next);
    assert_eq!(hall.tip(), next);
    let next = hall.branch(next, 3);
    hall.say(1, next);
    hall.say(1, next);
    assert_eq!(hall.tip(), next, "a few blocks ahead of the lead as well");
}

#[test]
fn one_voice_that_does_not_lead_takes_no_block_back() {
    let mut hall = Hall::new(2, 5);
    let ours = hall.tip();
    hall.say(0, ours);
    let theirs = hall.branch(hall.made[3], 4);
    for _ in 0..20 {
        hall.say(1, theirs);
        hall.say(0, ours);
    }
    assert_eq!(hall.tip(), ours);
    assert_eq!(hall.dissenters(), [1]);
    let dissent = hall.council.dissenting_endpoints().next().expect("it dissents");
    assert_eq!((dissent.ours, dissent.theirs), (Some(hall.made[4].at), theirs.at));
}

#[test]
fn the_lead_is_followed_into_a_fork_when_it_says_so_twice_and_nobody_else_knows_better() {
    let mut hall = Hall::new(2, 5);
    let ours = hall.tip();
    hall.say(1, hall.made[3]);
    let theirs = hall.branch(hall.made[3], 3);
    hall.say(0, theirs);
    assert_eq!(hall.tip(), ours, "once is not enough");
    hall.say(0, theirs);
    assert_eq!(hall.tip(), theirs);
    hall.say(1, theirs);
    assert!(hall.dissenters().is_empty());
}

#[test]
fn a_lead_that_is_alone_among_three_is_not_followed_and_loses_the_lead() {
    let mut hall = Hall::new(3, 5);
    let ours = hall.tip();
    hall.say(1, ours);
    hall.say(2, ours);
    let theirs = hall.branch(hall.made[3], 4);
    for _ in 0..5 {
        hall.say(0, theirs);
    }
    assert_eq!(hall.tip(), ours);
    let elected = |hall: &Hall, fit: [bool; 3]| hall.council.elect_leader(&hall.follower, hall.now, |voice| fit[voice]);
    assert_eq!(elected(&hall, [true; 3]), 1);
    assert_eq!(elected(&hall, [true, false, true]), 2);
    assert_eq!(elected(&hall, [true, false, false]), 0, "nobody who could lead instead");
    hall.council.follow_lead(1);
    assert_eq!(elected(&hall, [true, false, false]), 0, "better one who is contradicted than one who is away");
    assert_eq!(elected(&hall, [false; 3]), 1, "and of those who are away one whom nobody contradicts");
    assert_eq!(elected(&hall, [true; 3]), 1, "whoever leads goes on");
    let next = hall.branch(ours, 1);
    hall.say(1, next);
    assert_eq!(hall.tip(), next);
    assert_eq!(hall.dissenters(), [0]);
}

#[test]
fn most_of_three_are_followed_against_the_lead() {
    let mut hall = Hall::new(3, 5);
    let ours = hall.tip();
    hall.say(0, ours);
    let theirs = hall.branch(hall.made[3], 4);
    for voice in [1, 2, 1, 2] {
        hall.say(voice, theirs);
    }
    assert_eq!(hall.tip(), theirs);
    hall.say(0, ours);
    assert_eq!(hall.tip(), theirs);
}

#[test]
fn a_voice_that_lags_neither_supports_nor_dissents() {
    let mut hall = Hall::new(3, 9);
    let ours = hall.tip();
    hall.say(1, hall.made[2]);
    hall.say(2, hall.made[2]);
    assert_eq!(hall.council.endpoint_lags(hall.now), [Some(0), Some(7), Some(7)]);
    let theirs = hall.branch(hall.made[6], 4);
    hall.say(0, theirs);
    hall.say(0, theirs);
    assert_eq!(hall.tip(), theirs, "the two are behind the fork, and say nothing about it");
    hall.say(1, ours);
    assert_eq!(hall.dissenters(), [1]);
}

#[test]
fn a_voice_that_dissented_is_not_followed_ahead_of_the_others_for_a_while() {
    let mut hall = Hall::new(2, 5);
    let ours = hall.tip();
    hall.say(0, ours);
    let theirs = hall.branch(hall.made[4], 1);
    hall.say(1, theirs);
    hall.say(1, ours);
    let next = hall.branch(ours, 1);
    hall.say(1, next);
    assert_eq!(hall.tip(), ours);
    hall.now += PROBATION;
    hall.say(1, next);
    assert_eq!(hall.tip(), next);
}

#[test]
fn a_block_is_confirmed_when_a_second_voice_names_it_or_one_on_top_of_it() {
    let mut hall = Hall::new(3, 5);
    hall.say(0, hall.made[5]);
    assert_eq!(hall.council.new_confirmations(&hall.follower), []);
    hall.say(1, hall.made[3]);
    assert_eq!(hall.council.new_confirmations(&hall.follower), [(hall.made[3].at, 2)]);
    hall.say(2, hall.made[4]);
    assert_eq!(hall.council.new_confirmations(&hall.follower), [(hall.made[4].at, 2), (hall.made[3].at, 3)]);
    assert_eq!(hall.council.new_confirmations(&hall.follower), [], "each is told once");
    let beyond = hall.branch(hall.made[5], 1);
    hall.council.distrust_endpoint(1, hall.now);
    hall.say(1, beyond);
    let news = hall.council.new_confirmations(&hall.follower);
    assert_eq!(news, [(hall.made[5].at, 2), (hall.made[4].at, 3)], "it builds on our tip");
}

#[test]
fn a_lead_that_fell_silent_keeps_nobody_from_following_the_rest() {
    let mut hall = Hall::new(2, 5);
    let theirs = hall.branch(hall.made[3], 4);
    hall.council.mark_unreachable(0);
    // On the first pass the path of the head is not known yet.
    for _ in 0..3 {
        hall.say(1, theirs);
    }
    assert_eq!(hall.tip(), theirs);
}

#[test]
fn a_voice_whose_heads_nobody_can_place_is_on_record_since_the_first_of_them() {
    let mut hall = Hall::new(2, 5);
    let ours = hall.tip();
    hall.say(0, ours);
    let (began, mut theirs) = (hall.now + Duration::from_secs(1), B256::ZERO);
    for n in 0..3 {
        let parent = B256::repeat_byte(0xee - n);
        let head = hall.make(6 + u64::from(n), parent);
        hall.now += Duration::from_secs(1);
        hall.council.record_head(1, head, &mut hall.follower, hall.now);
        assert_eq!(hall.council.missing_headers(&hall.follower), [(1, parent)]);
        hall.council.discard_head(1, hall.now);
        assert_eq!(hall.council.missing_headers(&hall.follower), [], "not asked for again before it names another");
        theirs = head.at.hash;
    }
    let dissent = hall.council.dissenting_endpoints().next().expect("it is on record");
    assert_eq!((dissent.voice, dissent.since, dissent.ours, dissent.theirs.hash), (1, began, None, theirs));
    hall.say(1, ours);
    assert!(hall.dissenters().is_empty());
}

impl Hall {
    /// Returns the endpoints that stand by each retracted block, if they have changed.
    fn contested(&mut self) -> Option<Vec<(u64, Vec<EndpointId>)>> {
        let contested = self.council.contested_if_changed(&self.follower)?;
        Some(contested.into_iter().map(|(block, by)| (block.number, by.into_iter().collect())).collect())
    }
}

#[test]
fn a_block_that_was_taken_back_is_contested_until_no_voice_stands_by_it() {
    let mut hall = Hall::new(3, 5);
    let (fork, old) = (hall.made[4], hall.tip());
    hall.say(1, old);
    hall.say(2, old);
    assert_eq!(hall.contested(), None, "nothing was taken back");
    // Two of three turn to another branch.
    let new = hall.branch(fork, 2);
    hall.say(0, new);
    hall.say(1, new);
    hall.say(0, new);
    assert_eq!(hall.tip(), new);
    assert_eq!(hall.contested(), Some(vec![(5, vec![2])]));
    assert_eq!(hall.contested(), None, "told once");
    // The endpoint is unreachable but keeps its branch, and later continues on it.
    hall.council.mark_unreachable(2);
    assert_eq!(hall.contested(), None);
    let own = hall.branch(old, 3);
    hall.say(2, own);
    assert_eq!(hall.contested(), None);
    hall.say(2, new);
    assert_eq!(hall.contested(), Some(vec![]));
}

#[test]
fn what_is_final_or_comes_back_is_contested_no_longer() {
    let turned = || {
        let mut hall = Hall::new(3, 5);
        let (fork, old) = (hall.made[4], hall.tip());
        hall.say(1, old);
        hall.say(2, old);
        let new = hall.branch(fork, 2);
        for voice in [0, 1, 0] {
            hall.say(voice, new);
        }
        assert_eq!(hall.contested(), Some(vec![(5, vec![2])]));
        (hall, old)
    };
    let (mut hall, _) = turned();
    hall.council.finalize_up_to(4);
    assert_eq!(hall.contested(), None, "the fork itself is final, and neither branch");
    hall.council.finalize_up_to(5);
    assert_eq!(hall.contested(), Some(vec![]));
    let (mut hall, old) = turned();
    let longer = hall.branch(old, 4);
    for voice in [0, 1, 0] {
        hall.say(voice, longer);
    }
    assert_eq!(hall.tip(), longer);
    let contested = hall.contested().expect("news");
    assert!(contested.iter().all(|(number, by)| *number >= 5 && !by.contains(&0)), "{contested:?}");
    assert!(!contested.contains(&(5, vec![2])), "block 5 of the old branch is ours again: {contested:?}");
}

#[test]
fn what_was_contested_before_a_restart_is_until_every_voice_has_spoken() {
    let mut hall = Hall::new(3, 5);
    let gone = BlockRef { number: 4, hash: B256::repeat_byte(9) };
    hall.council.remember_contested(&[gone]);
    assert_eq!(hall.contested(), Some(vec![(4, vec![1, 2])]), "the one that leads has spoken");
    let tip = hall.tip();
    hall.say(1, tip);
    assert_eq!(hall.contested(), Some(vec![(4, vec![2])]));
    hall.say(2, tip);
    assert_eq!(hall.contested(), Some(vec![]));
    let mut alone = Hall::new(1, 5);
    alone.council.remember_contested(&[gone]);
    assert_eq!(alone.contested(), None);
}
