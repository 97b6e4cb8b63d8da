//! Lists of owners and modules as a hostile contract or node tells them: endless, cyclic, cut, with more in a word than belongs there.
//! Nothing that comes of them is a panic or a question without end, and whatever is no honest list is found or told as unread.

use crate::support::accounts::{OWNER_A, OWNER_B, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue;
use futures::future::BoxFuture;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use watchfire::classify::History;
use watchfire::decode::StateSight;
use watchfire::model::read::{Answer, READS_MAX, Read, STATE_READS_MAX};
use watchfire::model::{BlockRef, Verdict};
use watchfire::pipeline::{Reader, examine_block};
use watchfire::wire;

/// Where a Safe's lists begin and end (OwnerManager.sol, `SENTINEL_OWNERS`).
const SENTINEL: Address = Address::with_last_byte(1);
/// Members of a list that are looked at.
const MEMBERS_MAX: usize = 128;
/// `getOwners()`
const GET_OWNERS: [u8; 4] = [0xa0, 0xe6, 0x7e, 0x2b];

static COURT: LazyLock<Court> = LazyLock::new(|| {
    Court::new(&[watched("Safe", SAFE, "safe", ""), watched("Multisig", MULTISIG, "multisig", "")].concat())
});

/// A node, or a contract, that tells what it likes of owners, and everything else as it always was.
struct Liar {
    /// Who stands behind whom in the Safe's list of owners; behind anybody else stands nobody.
    links: HashMap<Address, B256>,
    /// The same by the slots in which they stand.
    slots: HashMap<B256, B256>,
    /// What `getOwners()` of both returns; nothing where the view refuses.
    listed: Option<Bytes>,
    asked: AtomicUsize,
}

impl Liar {
    fn new(links: HashMap<Address, B256>, listed: Option<Bytes>) -> Self {
        let slots = links.iter().map(|(member, next)| (place(*member, 2), *next)).collect();
        Self { links, slots, listed, asked: AtomicUsize::new(0) }
    }

    /// Both have the same owners, and say so.
    fn honest(owners: &[Address]) -> Self {
        let ring = [&[SENTINEL], owners, &[SENTINEL]].concat();
        let links = ring.windows(2).map(|pair| (pair[0], pair[1].into_word())).collect();
        Self::new(links, Some(owners.to_vec().abi_encode().into()))
    }

    fn answer(&self, read: &Read) -> Answer {
        let word = |word: B256| Answer::Data(word.into());
        match read {
            Read::Before { .. } | Read::Uses { .. } | Read::UsedOf { .. } => Answer::Unavailable,
            Read::Grants { .. } | Read::Traces | Read::Trace(_) => Answer::Unavailable,
            Read::Storage { of: SAFE, slot } if *slot == place(SENTINEL, 1) => word(SENTINEL.into_word()),
            Read::Storage { of: SAFE, slot } => word(self.slots.get(slot).copied().unwrap_or_default()),
            Read::Storage { .. } | Read::Balance(_) | Read::Nonce(_) => word(B256::ZERO),
            Read::Code(_) => Answer::Data(Bytes::from_static(&[0xfe])),
            Read::Call { data, .. } if data[..] == GET_OWNERS => {
                self.listed.clone().map_or(Answer::Reverted, Answer::Data)
            }
            Read::Call { .. } => Answer::Reverted,
        }
    }

    /// Who is in the Safe's list, if it is one: it comes back to where it began.
    fn ring(&self) -> Option<BTreeSet<Address>> {
        let (mut members, mut at) = (BTreeSet::new(), SENTINEL);
        loop {
            let next = self.links.get(&at).map_or(Address::ZERO, |next| Address::from_word(*next));
            if next == SENTINEL || next.is_zero() && at == SENTINEL {
                return Some(members);
            }
            if next.is_zero() || members.len() == MEMBERS_MAX || !members.insert(next) {
                return None;
            }
            at = next;
        }
    }
}

/// Where a Safe keeps who stands behind `member`: in the mapping at `slot`.
fn place(member: Address, slot: u8) -> B256 {
    keccak256((member, U256::from(slot)).abi_encode())
}

impl Reader for Liar {
    fn read<'a>(&'a self, _: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        self.asked.fetch_add(reads.len(), Ordering::SeqCst);
        Box::pin(std::future::ready(reads.iter().map(|read| self.answer(read)).collect()))
    }
}

/// What is found of a watch, and whether its state counts as read.
struct Seen {
    findings: Vec<String>,
    lost: bool,
}

/// Looks at both after a block that pays both: the first time honestly, then as the liar tells. Gives what is made of the watch then.
fn look(liar: &Liar, label: &str) -> Seen {
    let owners = [OWNER_A.address, OWNER_B.address];
    let mut history = History::default();
    let mut last = None;
    for (number, reader) in [(1, &Liar::honest(&owners)), (2, liar)] {
        let pay = |to| Tx::call(STRANGER.address, to, []).value(1);
        let (block, receipts) = wire(number, FRIDAY + 12 * number, &[pay(SAFE), pay(MULTISIG)]);
        let block = wire::parse_block(&block, &receipts).expect("a block");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let chain = &COURT.book.chains[0];
        let examined = runtime.block_on(examine_block(&block, chain, &COURT.book, &history, reader));
        for delta in &examined.judged.deltas {
            history.add(block.at.hash, block.time, delta);
        }
        last = Some(examined);
    }
    let examined = last.expect("two blocks");
    assert!(liar.asked.load(Ordering::SeqCst) <= READS_MAX + STATE_READS_MAX, "questions have an end");
    let is = |watch: usize| &*COURT.book.watches[watch].label == label;
    let found = examined.judged.judged.iter().filter(|judged| is(judged.activity.watch.index()));
    Seen {
        // The balances of both are zero to this node, whatever is paid.
        findings: found
            .filter(|judged| matches!(&judged.verdict, Verdict::Abnormal(_)) && &*judged.activity.deed.name == "owner")
            .map(|judged| format!("{}", judged.activity.position))
            .collect(),
        lost: examined.sights.iter().any(|(watch, sight)| is(watch.index()) && *sight != StateSight::Read),
    }
}

/// Few enough to meet often: the owners, a stranger, both ends of the list, and some with more in the word than an address.
fn member() -> impl Strategy<Value = B256> {
    let known = [OWNER_A.address, OWNER_B.address, STRANGER.address, SENTINEL, SENTINEL, Address::ZERO];
    let clean = proptest::sample::select(known.map(|address| address.into_word()).to_vec());
    (clean, proptest::option::weighted(0.1, any::<u8>())).prop_map(|(mut word, dirt)| {
        word[3] = dirt.unwrap_or_default();
        word
    })
}

fn links() -> impl Strategy<Value = HashMap<Address, B256>> {
    let from = [OWNER_A.address, OWNER_B.address, STRANGER.address, SENTINEL];
    proptest::collection::vec(member(), from.len()).prop_map(move |to| from.into_iter().zip(to).collect())
}

/// Bytes that look like a list, and bytes that do not.
fn listed() -> impl Strategy<Value = Option<Bytes>> {
    let number = prop_oneof![Just(32u64), 0..300u64, any::<u64>()];
    let length = prop_oneof![0..5u64, 100..300u64, any::<u64>()];
    let words = proptest::collection::vec(member(), 0..6);
    let made = (number, length, words, 0..40usize).prop_map(|(at, len, words, cut)| {
        let head = [at, len].map(|n| B256::from(U256::from(n)));
        let mut bytes: Vec<u8> = head.iter().chain(&words).flat_map(|word| word.0).collect();
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(20)));
        Some(Bytes::from(bytes))
    });
    prop_oneof![4 => made, 1 => Just(None), 1 => Just(Some(Bytes::new()))]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_safe_whose_list_is_no_list_is_told_and_one_that_changed_is_found(links in links(), listed in listed()) {
        let liar = Liar::new(links, listed);
        let seen = look(&liar, "Safe");
        match liar.ring() {
            Some(owners) => {
                let before = BTreeSet::from([OWNER_A.address, OWNER_B.address]);
                let changed = owners.symmetric_difference(&before).count();
                prop_assert_eq!(seen.findings.len(), changed, "{:?} {:?}", owners, seen.findings);
                prop_assert!(!seen.lost, "the view is a hint and no more");
            }
            None => prop_assert!(seen.lost),
        }
    }

    #[test]
    fn a_multisig_whose_list_is_no_list_is_told_and_one_that_changed_is_found(listed in listed()) {
        let honest = listed.as_ref().and_then(|data| Vec::<Address>::abi_decode_validate(data).ok());
        let seen = look(&Liar::new(HashMap::new(), listed), "Multisig");
        if let Some(owners) = honest {
            let owners: BTreeSet<Address> = owners.into_iter().collect();
            let before = BTreeSet::from([OWNER_A.address, OWNER_B.address]);
            let changed = owners.symmetric_difference(&before).count();
            prop_assert!(seen.lost || seen.findings.len() == changed, "{:?} {:?}", owners, seen.findings);
        } else {
            prop_assert!(seen.lost || !seen.findings.is_empty());
        }
    }
}

#[test]
fn a_list_in_which_the_owners_turn_in_a_circle_is_told() {
    let mut links = Liar::honest(&[OWNER_A.address, OWNER_B.address]).links;
    links.insert(OWNER_B.address, OWNER_A.address.into_word());
    let seen = look(&Liar::new(links, None), "Safe");
    assert!(seen.lost && seen.findings.is_empty(), "{:?}", seen.findings);
}

#[test]
fn a_list_of_thousands_is_told_and_asked_about_within_bounds() {
    let many: Vec<Address> = (0..5_000).map(|n| Address::from_word(U256::from(0xf000 + n).into())).collect();
    let liar = Liar::honest(&many);
    assert!(look(&liar, "Safe").lost);
    let seen = look(&Liar::honest(&many), "Multisig");
    assert!(seen.lost && seen.findings.is_empty(), "{:?}", seen.findings);
}
