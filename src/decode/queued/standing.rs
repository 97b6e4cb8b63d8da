//! State of a Safe, as needed to tell the form of its next executable transaction.
//!
//! Nonce, threshold and owners are read from the Safe's storage, which follows from the block's hash where a node
//! proves it. The answers of the Safe's own views would depend on one node and on the code that the Safe runs by then.
//! Two things are still read from views: which of the two domains its owners sign under, and the addresses to look for
//! first among the owners. The latter are only used as guesses.
//!
//! Source: SafeStorage.sol and the order of its bases, the same from 1.0.0 to 1.5.0; OwnerManager.sol.

use super::call_read;
use crate::decode::safe;
use crate::model::ChainId;
use crate::model::proposals::{OWNERS_MAX, SafeState};
use crate::model::read::{Answer, Answers, Read};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::collections::HashSet;

/// `getOwners()`
const GET_OWNERS: [u8; 4] = [0xa0, 0xe6, 0x7e, 0x2b];
/// Slots of single words, and of mappings.
const OWNERS: u8 = 2;
const THRESHOLD: u8 = 4;
const NONCE: u8 = 5;
const APPROVED_HASHES: u8 = 8;
/// Marks the beginning and the end of the list of owners.
const SENTINEL: Address = Address::with_last_byte(1);
/// Maximum number of owners looked up at once.
const GUESSES_MAX: usize = 256;

/// Knowledge about the state of a Safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// The complete state.
    Known(SafeState),
    /// The values that must be read first.
    Asks(Vec<Read>),
    /// The node could not answer, or the contract is not a known kind of Safe.
    Dark,
}

/// Returns the state of `safe`, as far as `answers` contain it; called again with the answers to its questions.
#[must_use]
pub fn resolve_safe_state(chain: ChainId, safe: Address, answers: &Answers) -> QueueState {
    let mut asks = Vec::new();
    let mut ask = |read: Read| {
        let answer = answers.get(&read);
        if answer.is_none() {
            asks.push(read);
        }
        answer
    };
    let nonce = ask(slot_read(safe, NONCE));
    let threshold = ask(slot_read(safe, THRESHOLD));
    let domain = ask(call_read(safe, &safe::DOMAIN_SEPARATOR));
    let first = ask(owner_link_read(safe, SENTINEL));
    let hints = ask(call_read(safe, &GET_OWNERS));
    if !asks.is_empty() {
        return QueueState::Asks(asks);
    }
    let number = |answer: Option<&Answer>| answer.and_then(Answer::as_number);
    let domain = domain.and_then(Answer::first_word).filter(|domain| safe::domains(chain.0, safe).contains(domain));
    let threshold = number(threshold).and_then(|threshold| u32::try_from(threshold).ok()).filter(|n| *n > 0);
    let (Some(nonce), Some(threshold), Some(domain)) = (number(nonce), threshold, domain) else {
        return QueueState::Dark;
    };
    let guesses = match hints {
        Some(Answer::Data(data)) => decode_addresses(data).unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut once = HashSet::new();
    let unseen = guesses.iter().map(|guess| owner_link_read(safe, *guess)).filter(|read| !answers.contains_key(read));
    let unseen: Vec<Read> = unseen.filter(|read| once.insert(read.clone())).take(GUESSES_MAX).collect();
    if !unseen.is_empty() {
        return QueueState::Asks(unseen);
    }
    match follow_owner_list(safe, first, answers) {
        Ok(owners) => QueueState::Known(SafeState { nonce, threshold, owners, domain }),
        Err(standing) => standing,
    }
}

/// Returns the owners from the first to the last, following the links between them.
fn follow_owner_list(safe: Address, first: Option<&Answer>, answers: &Answers) -> Result<Vec<Address>, QueueState> {
    let mut owners: Vec<Address> = Vec::new();
    let mut next = first;
    while owners.len() <= OWNERS_MAX {
        // The storage of a contract that is not a Safe need not hold an address.
        let word = next.and_then(Answer::first_word).filter(|word| word[..12].iter().all(|byte| *byte == 0));
        let owner = word.map(Address::from_word).filter(|owner| !owner.is_zero()).ok_or(QueueState::Dark)?;
        if owner == SENTINEL {
            return Ok(owners);
        }
        if owners.contains(&owner) {
            break;
        }
        owners.push(owner);
        let read = owner_link_read(safe, owner);
        next = Some(answers.get(&read).ok_or_else(|| QueueState::Asks(vec![read]))?);
    }
    Err(QueueState::Dark)
}

/// Returns the read of the approval of `hash` by `owner`: non-zero if the owner approved.
pub(super) fn approval_read(safe: Address, owner: Address, hash: B256) -> Read {
    Read::Storage {
        of: safe,
        slot: mapping_slot(hash, mapping_slot(owner.into_word(), B256::with_last_byte(APPROVED_HASHES))),
    }
}

fn slot_read(safe: Address, slot: u8) -> Read {
    Read::Storage { of: safe, slot: B256::with_last_byte(slot) }
}

/// Returns the read of the owner that follows `owner`.
fn owner_link_read(safe: Address, owner: Address) -> Read {
    Read::Storage { of: safe, slot: mapping_slot(owner.into_word(), B256::with_last_byte(OWNERS)) }
}

/// Returns the slot of `key` in the mapping at `slot`.
fn mapping_slot(key: B256, slot: B256) -> B256 {
    keccak256([key, slot].concat())
}

/// Decodes a returned `address[]`.
fn decode_addresses(data: &Bytes) -> Option<Vec<Address>> {
    let len = usize::try_from(U256::from_be_slice(data.get(32..64)?)).ok().filter(|len| *len <= OWNERS_MAX)?;
    let words = data.get(64..64 + len * 32)?;
    Some(words.chunks_exact(32).map(|word| Address::from_slice(&word[12..])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: Address = Address::repeat_byte(0x5a);
    const CHAIN: ChainId = ChainId(1);

    /// A Safe's storage and the answers of its views.
    struct Told {
        owners: Vec<Address>,
        listed: Bytes,
        domain: B256,
    }

    fn listed(owners: &[Address]) -> Bytes {
        let head = [U256::from(32), U256::from(owners.len())].map(|n| n.to_be_bytes::<32>()).concat();
        [head, owners.iter().flat_map(|owner| owner.into_word().0).collect()].concat().into()
    }

    fn owners(n: u8) -> Vec<Address> {
        (0..n).map(|n| Address::repeat_byte(n + 2)).collect()
    }

    fn told(owners: &[Address]) -> Told {
        Told { owners: owners.into(), listed: listed(owners), domain: safe::domains(1, SAFE)[0] }
    }

    impl Told {
        fn answer(&self, read: &Read) -> Answer {
            let number = |n: u64| Answer::Data(U256::from(n).to_be_bytes_vec().into());
            let chain = || [SENTINEL].iter().chain(&self.owners).chain([&SENTINEL]).copied().collect::<Vec<_>>();
            match read {
                Read::Call { data, .. } if data[..] == GET_OWNERS => Answer::Data(self.listed.clone()),
                Read::Call { .. } => Answer::Data(self.domain.0.into()),
                read if *read == slot_read(SAFE, NONCE) => number(7),
                read if *read == slot_read(SAFE, THRESHOLD) => number(2),
                read => {
                    let next =
                        chain().windows(2).find(|pair| *read == owner_link_read(SAFE, pair[0])).map(|pair| pair[1]);
                    Answer::Data(next.unwrap_or_default().into_word().0.into())
                }
            }
        }

        /// Returns the state, and the number of rounds needed to find it.
        fn standing(&self) -> (QueueState, usize) {
            let mut answers = Answers::new();
            for round in 0..100 {
                match resolve_safe_state(CHAIN, SAFE, &answers) {
                    QueueState::Asks(reads) => {
                        assert!(!reads.is_empty());
                        answers.extend(reads.into_iter().map(|read| (read.clone(), self.answer(&read))));
                    }
                    standing => return (standing, round),
                }
            }
            panic!("asks without an end")
        }
    }

    #[test]
    fn a_safe_stands_where_its_storage_says() {
        for n in [1, 3, 40] {
            let told = told(&owners(n));
            let known = SafeState { nonce: U256::from(7), threshold: 2, owners: owners(n), domain: told.domain };
            assert_eq!(told.standing(), (QueueState::Known(known), 2));
        }
    }

    #[test]
    fn whom_it_lists_as_owners_is_a_hint_and_no_more() {
        let stranger = Address::repeat_byte(0xee);
        for (listed, rounds) in [
            (listed(&[stranger]), 5),
            (listed(&[]), 4),
            (Bytes::from_static(&[7]), 4),
            (listed(&vec![stranger; 300]), 5),
        ] {
            let told = Told { listed, ..told(&owners(3)) };
            let (standing, round) = told.standing();
            assert!(matches!(standing, QueueState::Known(state) if state.owners == owners(3)));
            assert_eq!(round, rounds);
        }
    }

    #[test]
    fn what_is_no_safe_stands_nowhere() {
        let circle = Told { owners: [owners(3), owners(1)].concat(), ..told(&[]) };
        assert_eq!(circle.standing().0, QueueState::Dark, "a list without an end");
        assert_eq!(Told { domain: safe::domains(5, SAFE)[0], ..told(&owners(2)) }.standing().0, QueueState::Dark);
        let reverts: Answers = match resolve_safe_state(CHAIN, SAFE, &Answers::new()) {
            QueueState::Asks(reads) => reads.into_iter().map(|read| (read, Answer::Unavailable)).collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(resolve_safe_state(CHAIN, SAFE, &reverts), QueueState::Dark);
        let zeros = reverts.into_keys().map(|read| (read, Answer::Data(vec![0; 32].into()))).collect();
        assert_eq!(resolve_safe_state(CHAIN, SAFE, &zeros), QueueState::Dark, "an account without code");
        let mut odd: Answers = Answers::new();
        while let QueueState::Asks(reads) = resolve_safe_state(CHAIN, SAFE, &odd) {
            let told = told(&owners(2));
            odd.extend(reads.into_iter().map(|read| (read.clone(), told.answer(&read))));
        }
        odd.insert(owner_link_read(SAFE, SENTINEL), Answer::Data(vec![0xff; 32].into()));
        assert_eq!(resolve_safe_state(CHAIN, SAFE, &odd), QueueState::Dark, "no address");
    }
}
