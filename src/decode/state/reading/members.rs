//! Members of a set: the owners of a wallet, the modules of a Safe, the holders of a role.

use super::{Reader, Told, call_read};
use crate::contracts::HAS_ROLE;
use crate::decode::state::Look;
use crate::model::Item;
use crate::model::read::{self, Answer, ROLE_GRANTED, Read};
use crate::model::state::Reading;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::collections::BTreeSet;

/// Maximum number of members of a set that are read: more owners than any Safe can check within a block. A longer list
/// counts as one that could not be read to its end.
const MEMBERS_MAX: usize = 128;
/// Maximum number of role holders of one contract that are read: a few for each of a dozen roles. A longer list counts
/// as one that could not be read to its end.
const HOLDERS_MAX: usize = 128;
/// Address at the beginning and at the end of a Safe's linked lists. Source: OwnerManager.sol, ModuleManager.sol,
/// `SENTINEL_OWNERS`.
const SENTINEL: Address = Address::with_last_byte(1);

impl Reader<'_, '_, '_> {
    /// Returns a list of addresses from a view.
    pub(super) fn read_address_list(&mut self, of: Address, data: &[u8]) -> Result<BTreeSet<Address>, Told> {
        match self.questions.ask_state(call_read(of, data)) {
            None => Err(Told::Waits),
            Some(Answer::Data(data)) if data.is_empty() => Err(Told::Nothing),
            Some(Answer::Data(data)) => decode_address_set(data).ok_or(Told::Dark),
            Some(Answer::Reverted) => Err(Told::Nothing),
            Some(_) => Err(Told::Dark),
        }
    }

    /// Follows a linked list through the storage. All known members are looked up at once. While no member is known,
    /// the contract's own view provides addresses to look up first; it is trusted no further.
    pub(super) fn read_linked_list(&mut self, item: Item, slot: u8, hint: &[u8]) -> Result<BTreeSet<Address>, Told> {
        let mut guesses: BTreeSet<Address> = self.look.known.set_members(self.look.address, item.name()).collect();
        if self.look.known.last_value(self.look.address, item).is_none() {
            match self.read_address_list(self.look.address, hint) {
                Ok(listed) => guesses = listed,
                Err(Told::Waits) => return Err(Told::Waits),
                // Without a hint the list is followed step by step, within the limit of rounds.
                Err(Told::Dark | Told::Nothing | Told::Is(_)) => {}
            }
        }
        let mut waits = false;
        for guess in guesses.iter().take(MEMBERS_MAX) {
            waits |= matches!(self.next(*guess, slot), Told::Waits);
        }
        let mut members = BTreeSet::new();
        let mut at = SENTINEL;
        for _ in 0..=MEMBERS_MAX {
            match self.next(at, slot) {
                Told::Is(word) => {
                    let next = Address::from_word(word);
                    // A Safe that is not set up yet has no list at all.
                    let ends = next == SENTINEL || next.is_zero() && at == SENTINEL;
                    if ends {
                        return if waits { Err(Told::Waits) } else { Ok(members) };
                    }
                    if next.is_zero() || !members.insert(next) {
                        break;
                    }
                    at = next;
                }
                told => return Err(told),
            }
        }
        // Members beyond this point are not in the result. The report says that there may be more.
        self.took.is_endless = true;
        if self.took.went == Reading::Whole {
            self.took.went = Reading::Dark;
        }
        Ok(members)
    }

    fn next(&mut self, member: Address, slot: u8) -> Told {
        let place = keccak256([member.into_word().as_slice(), B256::with_last_byte(slot).as_slice()].concat());
        self.read_word(Read::Storage { of: self.look.address, slot: place })
    }

    /// Reads the holders of a role. The contract answers for any given address, and lists none. The addresses queried
    /// are the earlier holders, those that the registry lists, those that the block's own logs name, and, when the
    /// inventory is taken, those that the logs of all the blocks before name.
    pub(super) fn read_role_members(&mut self, item: Item) {
        let (look, own) = (self.look, self.look.address);
        if look.subject.abi.function_by_selector(HAS_ROLE).is_none() {
            return;
        }
        let expected = look.subjects.expected_of(&own);
        let listed = expected.and_then(|expected| expected.roles.as_ref());
        let mut asked: BTreeSet<(B256, Address)> = look.known.role_members(own).collect();
        asked.extend(listed.into_iter().flatten());
        asked.extend(granted_roles(look));
        let mut is_whole = look.known.last_value(own, item).is_some();
        // Searching all logs is expensive where it fails: it is tried once, and again on the schedule where a registry
        // lists the holders.
        let is_first = matches!(look.known.last_reading(own), None | Some(Reading::Due));
        let is_turn =
            is_first || listed.is_some() && look.subjects.due_at_block(look.block.at.number).any(|turn| turn == own);
        if !is_whole && look.whole && !is_turn {
            if listed.is_some() {
                self.has_strangers(item);
            }
        } else if !is_whole && look.whole {
            let since = expected.map_or(0, |expected| expected.roles_since);
            match self.questions.ask_state(Read::Grants { by: own, since }) {
                None => return self.record_unread(item, Told::Waits),
                Some(Answer::Data(holders)) => {
                    is_whole = true;
                    asked.extend(read::parse_role_members(holders));
                }
                // Without a registry there is nothing to compare the holders with, and changes from now on are seen as
                // they happen.
                Some(_) if listed.is_none() => {}
                Some(_) => self.has_strangers(item),
            }
        }
        if asked.len() > HOLDERS_MAX {
            self.has_strangers(item);
        }
        let mut n_held = 0u64;
        for (role, who) in asked.into_iter().take(HOLDERS_MAX) {
            let data = [&HAS_ROLE, role.as_slice(), who.into_word().as_slice()].concat();
            let held = Item::role_membership(role, who);
            match self.read_word(call_read(own, &data)) {
                Told::Is(word) => {
                    let holds = !word.is_zero();
                    n_held += u64::from(holds);
                    // Accounts that never held the role need no record.
                    if holds || look.known.last_value(own, held).is_some() {
                        self.took.values.push((held, B256::with_last_byte(u8::from(holds))));
                    }
                }
                told => self.record_unread(held, told),
            }
        }
        if is_whole {
            self.took.values.push((item, B256::from(U256::from(n_held))));
        }
    }

    /// Records that the other members of the set are unknown.
    pub(super) fn has_strangers(&mut self, item: Item) {
        self.took.is_endless = true;
        self.record_unread(item, Told::Dark);
    }

    /// Records the members of the set, those who left it, and their number.
    pub(super) fn put_members(&mut self, item: Item, members: Result<BTreeSet<Address>, Told>) {
        let members = match members {
            Ok(members) => members,
            Err(told) => {
                // A list that existed before and is now missing counts as unreadable; where it never existed, the set
                // is empty.
                let was = self.look.known.last_value(self.look.address, item).is_some();
                let told = if was && matches!(told, Told::Nothing) { Told::Dark } else { told };
                let before: Vec<Address> = self.look.known.set_members(self.look.address, item.name()).collect();
                self.took.dark.extend(before.into_iter().map(|member| item.for_address(member)));
                return self.record_unread(item, told);
            }
        };
        let count = B256::from(U256::from(members.len()));
        // Members found when the set is first read did not join it now.
        self.took.values.push((item, count));
        let gone = self.look.known.set_members(self.look.address, item.name()).filter(|known| !members.contains(known));
        let gone: Vec<Address> = gone.collect();
        self.took.values.extend(members.iter().map(|member| (item.for_address(*member), B256::with_last_byte(1))));
        self.took.values.extend(gone.into_iter().map(|member| (item.for_address(member), B256::ZERO)));
    }
}

/// Returns the roles that logs of the block itself grant, each with its new holder.
fn granted_roles(look: &Look<'_>) -> Vec<(B256, Address)> {
    let logs = look.block.txs.iter().flat_map(|tx| &tx.logs).filter(|log| log.address == look.address);
    let given = logs.filter_map(|log| match log.topics[..] {
        [ROLE_GRANTED, role, who, ..] => Some((role, Address::from_word(who))),
        _ => None,
    });
    given.collect()
}

/// Decodes the first returned argument as a list of addresses, if it is encoded as an encoder would: complete, with
/// clean address words, without duplicates, and within the limit of members.
fn decode_address_set(data: &Bytes) -> Option<BTreeSet<Address>> {
    let number = |at: usize| {
        let word = data.get(at..at.checked_add(32)?)?;
        usize::try_from(U256::from_be_slice(word)).ok()
    };
    let at = number(0)?;
    let len = number(at).filter(|len| *len <= MEMBERS_MAX)?;
    let list = data.get(at.checked_add(32)?..)?.get(..len * 32)?;
    let member = |word: &[u8]| word[..12].iter().all(|byte| *byte == 0).then(|| Address::from_slice(&word[12..]));
    let members: BTreeSet<Address> = list.chunks_exact(32).map(member).collect::<Option<_>>()?;
    (members.len() == len).then_some(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_sol_types::SolValue as _;
    use proptest::prelude::*;

    fn list(n: usize) -> Vec<Address> {
        (0..n).map(|n| Address::from_word(U256::from(n + 2).into())).collect()
    }

    proptest! {
        #[test]
        fn whatever_a_view_returns_is_a_list_that_is_looked_at_or_none(
            data in proptest::collection::vec(any::<u8>(), 0..512),
            at in any::<u64>(),
            len in any::<u64>(),
        ) {
            let placed = [B256::from(U256::from(at % 96)).as_slice(), B256::from(U256::from(len)).as_slice(), &data].concat();
            for data in [data, placed] {
                let members = decode_address_set(&data.into());
                prop_assert!(members.is_none_or(|members| members.len() <= MEMBERS_MAX));
            }
        }

        #[test]
        fn an_honest_list_is_read_and_a_damaged_one_is_not(n in 1..MEMBERS_MAX, at in any::<usize>(), bit in 0..8u8) {
            let honest = list(n);
            let data = honest.abi_encode();
            prop_assert_eq!(decode_address_set(&data.clone().into()), Some(honest.iter().copied().collect()));
            prop_assert_eq!(decode_address_set(&data[..data.len() - 1].to_vec().into()), None, "cut");
            let mut dirty = data;
            dirty[64 + at % n * 32 + at % 12] |= 1 << bit;
            prop_assert_eq!(decode_address_set(&dirty.into()), None, "more than an address in a word");
            let twice = [honest.clone(), vec![honest[at % n]]].concat();
            prop_assert_eq!(decode_address_set(&twice.abi_encode().into()), None, "somebody twice");
        }
    }

    #[test]
    fn a_list_longer_than_is_looked_at_is_none() {
        assert_eq!(
            decode_address_set(&list(MEMBERS_MAX).abi_encode().into()).map(|members| members.len()),
            Some(MEMBERS_MAX)
        );
        assert_eq!(decode_address_set(&list(MEMBERS_MAX + 1).abi_encode().into()), None);
    }
}
