//! One subject's state as the node tells it after the block.

mod terms;

use super::lines::{HAS_ROLE, How, LINES, Line};
use super::{Look, sums};
use crate::decode::Questions;
use crate::model::Item;
use crate::model::read::{self, Answer, ROLE_GRANTED, Read};
use crate::model::state::{NAME_EXPIRY, RELEASED_EARLY, Reading};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::collections::BTreeSet;

/// Members of a set that are read: more owners than any Safe can check within a block. A longer list counts as one that could not be
/// read to its end.
const MEMBERS_MAX: usize = 128;
/// Holders of roles that are asked about, of one contract: a few for each of a dozen roles. More count as a list that could not be
/// read to its end.
const HOLDERS_MAX: usize = 128;
/// Where a Safe's linked lists begin and end. Source: OwnerManager.sol, ModuleManager.sol, `SENTINEL_OWNERS`.
const SENTINEL: Address = Address::with_last_byte(1);
/// Beginning of the code of an account that is delegated. Source: EIP-7702.
const DELEGATED: [u8; 3] = [0xef, 0x01, 0x00];
/// Items that name code which runs in the subject's place, the first that is set counts.
pub(in crate::decode) const IMPLEMENTATIONS: &[&str] =
    &["implementation", "zos-implementation", "uups-implementation", "beacon-implementation", "singleton"];

/// What was read.
#[derive(Debug)]
pub(super) struct Took {
    /// Items and their values, each once. Of a set every member that is in it or was.
    pub(super) values: Vec<(Item, B256)>,
    /// Items that were to be read and could not be.
    pub(super) dark: Vec<Item>,
    pub(super) went: Reading,
    /// Whether a list goes on for ever, breaks off, or is longer than any that could be used: nobody knows who else is in it.
    pub(super) is_endless: bool,
}

/// What one question gave.
#[derive(Clone, Copy)]
enum Told {
    Is(B256),
    /// There is nothing of the kind: the contract has no such function.
    Nothing,
    /// The node cannot say.
    Dark,
    /// It was asked just now, or there was no room to ask.
    Waits,
}

/// Whether a change of the item is only kept, such as the number of members of a set.
pub(super) fn is_silent(item: Item) -> bool {
    // Until when a name is registered, and what was released too early, is weighed by what it is, not by how it came.
    matches!(item.name(), NAME_EXPIRY | RELEASED_EARLY)
        || matches!(item.name(), "owner" | "module" | "role") && item.of.is_none()
}

/// Reads what the table says, as far as it was answered.
pub(super) fn take(look: &Look<'_>, questions: &mut Questions<'_>) -> Took {
    let mut reader = Reader {
        look,
        questions,
        took: Took { values: vec![], dark: vec![], went: Reading::Whole, is_endless: false },
    };
    for line in LINES.iter().filter(|line| line.kinds.contains(&look.subject.kind)) {
        let turn = look.whole || !line.slow || reader.has_new_base(line);
        if turn {
            reader.read(line);
        }
    }
    reader.took
}

struct Reader<'a, 'q, 'b> {
    look: &'a Look<'a>,
    questions: &'q mut Questions<'b>,
    took: Took,
}

impl Reader<'_, '_, '_> {
    fn read(&mut self, line: &Line) {
        let item = Item::of_table(line.item);
        let own = self.look.address;
        match line.how {
            How::Slot(slot) => self.put(item, Read::Storage { of: own, slot }),
            How::View(view) => self.put(item, call(own, &view)),
            How::KnownView(view) => {
                if self.look.subject.abi.function(view).is_some_and(|function| function.inputs.is_empty()) {
                    self.put(item, call(own, &view));
                }
            }
            How::List(view) => {
                let members = self.list(own, &view);
                self.put_members(item, members);
            }
            How::Linked { slot, hint } => {
                let members = self.linked(item, slot, hint);
                self.put_members(item, members);
            }
            How::Holders => self.holders(item),
            How::Code => match self.code(own) {
                Ok(code) => self.took.values.push((item, digest(&code))),
                Err(told) => self.fail(item, told),
            },
            How::Account => self.account(item),
            How::Nonce => self.put(item, Read::Nonce(own)),
            How::Ether => self.put(item, Read::Balance(own)),
            How::Tokens => {
                for token in sums::tokens(self.look) {
                    self.put(item.about(token), call(token, &balance_of(own)));
                }
            }
            How::Behind { item: base, view } => {
                if let Some(at) = self.address(base) {
                    self.put(item, call(at, &view));
                }
            }
            How::CodeBehind => {
                let Some(at) = IMPLEMENTATIONS.iter().find_map(|name| self.address(name)) else { return };
                match self.code(at) {
                    Ok(code) => self.took.values.push((item, digest(&code))),
                    Err(told) => self.fail(item, told),
                }
            }
            How::OpenRole(role) => {
                let anybody = [&HAS_ROLE, role.as_slice(), B256::ZERO.as_slice()].concat();
                self.put(item, call(own, &anybody));
            }
            How::Expiry => self.expiry(item),
            How::Schedule => self.schedule(item),
            How::Delegates { of } => {
                for member in self.members(of) {
                    self.account(item.about(member));
                }
            }
        }
    }

    /// Those of a set that was read who are not watched themselves.
    fn members(&self, name: &str) -> Vec<Address> {
        let read = self.took.values.iter().filter(|(item, is)| item.name() == name && !is.is_zero());
        read.filter_map(|(item, _)| item.of).filter(|of| self.look.subjects.get(of).is_none()).collect()
    }

    /// Whether what the line lies behind is another than it was, so that the line is read out of turn.
    fn has_new_base(&self, line: &Line) -> bool {
        let base: &[&str] = match &line.how {
            How::Behind { item, .. } => &[*item],
            How::CodeBehind => IMPLEMENTATIONS,
            How::Delegates { of } => {
                let seen = |member: &Address| {
                    self.look.known.value(self.look.address, Item::of_table(line.item).about(*member))
                };
                return self.members(of).iter().any(|member| seen(member).is_none());
            }
            _ => return false,
        };
        let (known, own) = (self.look.known, self.look.address);
        let mut read = self.took.values.iter().filter(|(item, _)| base.contains(&item.name()));
        read.any(|(item, value)| known.value(own, *item).is_some_and(|before| before != *value))
    }

    /// An address that was read, where there is one.
    fn address(&self, name: &str) -> Option<Address> {
        let (_, word) = self.took.values.iter().find(|(item, _)| item.name() == name)?;
        Some(Address::from_word(*word)).filter(|address| !address.is_zero())
    }

    fn put(&mut self, item: Item, read: Read) {
        match self.word(read) {
            // Two lines may read the same item, each from where some contracts keep it: the first that is there counts.
            Told::Is(_) if self.took.values.iter().any(|(known, _)| *known == item) => {}
            Told::Is(value) => self.took.values.push((item, value)),
            told => self.fail(item, told),
        }
    }

    fn fail(&mut self, item: Item, told: Told) {
        match told {
            Told::Is(_) | Told::Nothing => return,
            Told::Dark => {
                if self.took.went == Reading::Whole {
                    self.took.went = Reading::Dark;
                }
            }
            Told::Waits => self.took.went = Reading::Due,
        }
        self.took.dark.push(item);
    }

    fn word(&mut self, read: Read) -> Told {
        match self.questions.ask_state(read) {
            None => Told::Waits,
            Some(Answer::Data(data)) => {
                data.first_chunk::<32>().map_or(Told::Nothing, |word| Told::Is(B256::from(word)))
            }
            Some(Answer::Reverted) => Told::Nothing,
            Some(Answer::Unavailable | Answer::Traces(_)) => Told::Dark,
        }
    }

    fn code(&mut self, of: Address) -> Result<Bytes, Told> {
        match self.questions.ask_state(Read::Code(of)) {
            None => Err(Told::Waits),
            Some(Answer::Data(code)) => Ok(code.clone()),
            Some(_) => Err(Told::Dark),
        }
    }

    /// An account's code is what it is delegated to; any other code there is code like a contract's, and of the subject alone is kept.
    fn account(&mut self, item: Item) {
        match self.code(item.of.unwrap_or(self.look.address)) {
            Ok(code) => {
                let to = code.strip_prefix(&DELEGATED).filter(|to| to.len() == 20).map(Address::from_slice);
                self.took.values.push((item, to.unwrap_or_default().into_word()));
                if item.of.is_some() {
                    return;
                }
                let other = if to.is_some() { B256::ZERO } else { digest(&code) };
                self.took.values.push((Item::of_table("code"), other));
            }
            Err(told) => self.fail(item, told),
        }
    }

    /// A list of addresses that a view gives.
    fn list(&mut self, of: Address, data: &[u8]) -> Result<BTreeSet<Address>, Told> {
        match self.questions.ask_state(call(of, data)) {
            None => Err(Told::Waits),
            Some(Answer::Data(data)) if data.is_empty() => Err(Told::Nothing),
            Some(Answer::Data(data)) => addresses(data).ok_or(Told::Dark),
            Some(Answer::Reverted) => Err(Told::Nothing),
            Some(_) => Err(Told::Dark),
        }
    }

    /// Follows a linked list through the storage. Whoever was in it is asked about at once; where to look first, while nobody is
    /// known, the contract's own view says, and is not believed beyond that.
    fn linked(&mut self, item: Item, slot: u8, hint: &[u8]) -> Result<BTreeSet<Address>, Told> {
        let mut guesses: BTreeSet<Address> = self.look.known.members(self.look.address, item.name()).collect();
        if self.look.known.value(self.look.address, item).is_none() {
            match self.list(self.look.address, hint) {
                Ok(listed) => guesses = listed,
                Err(Told::Waits) => return Err(Told::Waits),
                // Without a hint the list is followed step by step, as far as there are rounds for it.
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
        // Whoever is not reached is not in it, as far as can be seen, and that there may be more is told.
        self.took.is_endless = true;
        if self.took.went == Reading::Whole {
            self.took.went = Reading::Dark;
        }
        Ok(members)
    }

    fn next(&mut self, member: Address, slot: u8) -> Told {
        let place = keccak256([member.into_word().as_slice(), B256::with_last_byte(slot).as_slice()].concat());
        self.word(Read::Storage { of: self.look.address, slot: place })
    }

    /// Who holds a role. The contract says it of anybody, and names nobody: whoever held one before is asked about, whom the
    /// registry lists, whom the block's own logs name, and, when the inventory is taken, whom the logs of all the blocks before do.
    fn holders(&mut self, item: Item) {
        let (look, own) = (self.look, self.look.address);
        if look.subject.abi.function(HAS_ROLE).is_none() {
            return;
        }
        let expected = look.subjects.expected_of(&own);
        let listed = expected.and_then(|expected| expected.roles.as_ref());
        let mut asked: BTreeSet<(B256, Address)> = look.known.holders(own).collect();
        asked.extend(listed.into_iter().flatten());
        asked.extend(granted(look));
        let mut is_whole = look.known.value(own, item).is_some();
        // To search all logs is dear where it fails: it is tried once, and again on the beat where there is something to hold it against.
        let is_first = matches!(look.known.reading(own), None | Some(Reading::Due));
        let is_turn = is_first || listed.is_some() && look.subjects.beat(look.block.at.number).any(|turn| turn == own);
        if !is_whole && look.whole && !is_turn {
            if listed.is_some() {
                self.has_strangers(item);
            }
        } else if !is_whole && look.whole {
            let since = expected.map_or(0, |expected| expected.roles_since);
            match self.questions.ask_state(Read::Grants { by: own, since }) {
                None => return self.fail(item, Told::Waits),
                Some(Answer::Data(holders)) => {
                    is_whole = true;
                    asked.extend(read::holders(holders));
                }
                // Without a registry there is nothing to hold them against, and what changes from now on is seen as it happens.
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
            let held = Item::held(role, who);
            match self.word(call(own, &data)) {
                Told::Is(word) => {
                    let holds = !word.is_zero();
                    n_held += u64::from(holds);
                    // Of those who never held it there is nothing to remember.
                    if holds || look.known.value(own, held).is_some() {
                        self.took.values.push((held, B256::with_last_byte(u8::from(holds))));
                    }
                }
                told => self.fail(held, told),
            }
        }
        if is_whole {
            self.took.values.push((item, B256::from(U256::from(n_held))));
        }
    }

    /// Nobody knows who else is in it.
    fn has_strangers(&mut self, item: Item) {
        self.took.is_endless = true;
        self.fail(item, Told::Dark);
    }

    /// Those in the set, those who left it, and how many there are.
    fn put_members(&mut self, item: Item, members: Result<BTreeSet<Address>, Told>) {
        let members = match members {
            Ok(members) => members,
            Err(told) => {
                // A list that was there once and is no more cannot be read; where there never was one, there is none.
                let was = self.look.known.value(self.look.address, item).is_some();
                let told = if was && matches!(told, Told::Nothing) { Told::Dark } else { told };
                let before: Vec<Address> = self.look.known.members(self.look.address, item.name()).collect();
                self.took.dark.extend(before.into_iter().map(|member| item.about(member)));
                return self.fail(item, told);
            }
        };
        let count = B256::from(U256::from(members.len()));
        // Those who are there when the set is first read have not joined it.
        self.took.values.push((item, count));
        let gone = self.look.known.members(self.look.address, item.name()).filter(|known| !members.contains(known));
        let gone: Vec<Address> = gone.collect();
        self.took.values.extend(members.iter().map(|member| (item.about(*member), B256::with_last_byte(1))));
        self.took.values.extend(gone.into_iter().map(|member| (item.about(member), B256::ZERO)));
    }
}

/// Who is given a role by a log of the block itself.
fn granted(look: &Look<'_>) -> Vec<(B256, Address)> {
    let logs = look.block.txs.iter().flat_map(|tx| &tx.logs).filter(|log| log.address == look.address);
    let given = logs.filter_map(|log| match log.topics[..] {
        [ROLE_GRANTED, role, who, ..] => Some((role, Address::from_word(who))),
        _ => None,
    });
    given.collect()
}

fn call(to: Address, data: &[u8]) -> Read {
    Read::Call { to, data: Bytes::copy_from_slice(data) }
}

/// `balanceOf(address)`
fn balance_of(who: Address) -> Vec<u8> {
    [&[0x70, 0xa0, 0x82, 0x31], who.into_word().as_slice()].concat()
}

/// Zero where there is no code.
fn digest(code: &Bytes) -> B256 {
    if code.is_empty() { B256::ZERO } else { keccak256(code) }
}

/// The first argument that is returned, if it is a list of addresses as an encoder writes one: whole, nothing beside the address in a
/// word, nobody twice, and no more of them than are looked at.
fn addresses(data: &Bytes) -> Option<BTreeSet<Address>> {
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
                let members = addresses(&data.into());
                prop_assert!(members.is_none_or(|members| members.len() <= MEMBERS_MAX));
            }
        }

        #[test]
        fn an_honest_list_is_read_and_a_damaged_one_is_not(n in 1..MEMBERS_MAX, at in any::<usize>(), bit in 0..8u8) {
            let honest = list(n);
            let data = honest.abi_encode();
            prop_assert_eq!(addresses(&data.clone().into()), Some(honest.iter().copied().collect()));
            prop_assert_eq!(addresses(&data[..data.len() - 1].to_vec().into()), None, "cut");
            let mut dirty = data;
            dirty[64 + at % n * 32 + at % 12] |= 1 << bit;
            prop_assert_eq!(addresses(&dirty.into()), None, "more than an address in a word");
            let twice = [honest.clone(), vec![honest[at % n]]].concat();
            prop_assert_eq!(addresses(&twice.abi_encode().into()), None, "somebody twice");
        }
    }

    #[test]
    fn a_list_longer_than_is_looked_at_is_none() {
        assert_eq!(addresses(&list(MEMBERS_MAX).abi_encode().into()).map(|members| members.len()), Some(MEMBERS_MAX));
        assert_eq!(addresses(&list(MEMBERS_MAX + 1).abi_encode().into()), None);
    }
}
