//! State of one subject after the block, as the node returns it.

mod fit;
mod members;
mod terms;

use super::{Look, sums};
use crate::contracts::{HAS_ROLE, ReadMethod, StateLine};
use crate::decode::Questions;
use crate::model::Item;
use crate::model::read::{Answer, Read};
use crate::model::state::{BARE, DECIMALS, KIND, NAME_EXPIRY, RELEASED_EARLY, Reading};
use alloy_primitives::{Address, B256, Bytes, keccak256};

/// First bytes of the code of a delegated account. Source: EIP-7702.
const DELEGATED: [u8; 3] = [0xef, 0x01, 0x00];
/// Items that name code which runs in the subject's place, the first that is set counts.
pub(in crate::decode) const IMPLEMENTATIONS: &[&str] =
    &["implementation", "zos-implementation", "uups-implementation", "beacon-implementation", "singleton"];

/// Values that were read.
#[derive(Debug)]
pub(super) struct Took {
    /// Items and their values, each once. For a set, every current or former member.
    pub(super) values: Vec<(Item, B256)>,
    /// Items that should have been read and could not be.
    pub(super) dark: Vec<Item>,
    pub(super) went: Reading,
    /// True if a list is endless, breaks off, or is longer than any usable list, so that its other members are unknown.
    pub(super) is_endless: bool,
}

/// Result of one question.
#[derive(Clone, Copy)]
enum Told {
    Is(B256),
    /// The contract has no such function.
    Nothing,
    /// The node could not answer.
    Dark,
    /// Waiting: the question was asked just now, or there was no room to ask it.
    Waits,
}

/// Returns whether a change of the item is only recorded, such as the number of members of a set.
pub(super) fn is_silent(item: Item) -> bool {
    // The expiry of a name and an early release are judged by their value, not by their change.
    matches!(item.name(), NAME_EXPIRY | RELEASED_EARLY | DECIMALS | KIND)
        || matches!(item.name(), "owner" | "module" | "role") && item.of.is_none()
}

/// Reads the items of the table, as far as they were answered.
pub(super) fn read_state(look: &Look<'_>, questions: &mut Questions<'_>) -> Took {
    let mut reader = Reader {
        look,
        questions,
        took: Took { values: vec![], dark: vec![], went: Reading::Whole, is_endless: false },
    };
    // Items that were missing at the first read are read again with every read of the watch.
    let missing = look.known.last_value(look.address, Item::of_table(KIND)) == Some(BARE);
    for line in look.subject.contract().state_lines() {
        let again = missing && matches!(line.item, "code" | KIND);
        let turn = look.whole || !line.slow || again || reader.has_new_base(line);
        if turn {
            reader.read_line(line);
        }
    }
    // A contract created meanwhile is reported on the schedule, together with all its other items.
    let values = &mut reader.took.values;
    let is_of_code = |item: &Item| matches!(item.name(), "code" | KIND) && item.of.is_none();
    if missing && !look.whole && values.iter().any(|(item, word)| item.name() == "code" && !word.is_zero()) {
        values.retain(|(item, _)| !is_of_code(item));
    }
    reader.took
}

struct Reader<'a, 'q, 'b> {
    look: &'a Look<'a>,
    questions: &'q mut Questions<'b>,
    took: Took,
}

impl Reader<'_, '_, '_> {
    fn read_line(&mut self, line: &StateLine) {
        let item = Item::of_table(line.item);
        let own = self.look.address;
        match line.how {
            ReadMethod::Slot(slot) => self.read_item(item, Read::Storage { of: own, slot }),
            ReadMethod::View(view) => self.read_item(item, call_read(own, &view)),
            ReadMethod::KnownView(view) => {
                if self.look.subject.abi.function_by_selector(view).is_some_and(|function| function.inputs.is_empty()) {
                    self.read_item(item, call_read(own, &view));
                }
            }
            ReadMethod::List(view) => {
                let members = self.read_address_list(own, &view);
                self.put_members(item, members);
            }
            ReadMethod::Linked { slot, hint } => {
                let members = self.read_linked_list(item, slot, hint);
                self.put_members(item, members);
            }
            ReadMethod::Holders => self.read_role_members(item),
            ReadMethod::Code => match self.read_code(own) {
                Ok(code) => self.took.values.push((item, code_hash(&code))),
                Err(told) => self.record_unread(item, told),
            },
            ReadMethod::Account => self.read_account_code(item),
            ReadMethod::Nonce => self.read_item(item, Read::Nonce(own)),
            ReadMethod::Ether => self.read_item(item, Read::Balance(own)),
            ReadMethod::Tokens => {
                for token in sums::tokens_due(self.look) {
                    self.read_item(item.for_address(token), call_read(token, &balance_of(own)));
                }
            }
            ReadMethod::Behind { item: base, view } => {
                if let Some(at) = self.address_value(base) {
                    self.read_item(item, call_read(at, &view));
                }
            }
            ReadMethod::CodeBehind => {
                let Some(at) = IMPLEMENTATIONS.iter().find_map(|name| self.address_value(name)) else { return };
                match self.read_code(at) {
                    Ok(code) => self.took.values.push((item, code_hash(&code))),
                    Err(told) => self.record_unread(item, told),
                }
            }
            ReadMethod::OpenRole(role) => {
                let anybody = [&HAS_ROLE, role.as_slice(), B256::ZERO.as_slice()].concat();
                self.read_item(item, call_read(own, &anybody));
            }
            ReadMethod::Decimals => self.read_decimals(),
            ReadMethod::Fits => self.check_kind(item),
            ReadMethod::Expiry => self.read_expiry(item),
            ReadMethod::Schedule => self.read_vesting_schedule(item),
            ReadMethod::Delegates { of } => {
                for member in self.unwatched_members(of) {
                    self.read_account_code(item.for_address(member));
                }
            }
        }
    }

    /// Returns the members of a set that was read, except those that are watched themselves.
    fn unwatched_members(&self, name: &str) -> Vec<Address> {
        let read = self.took.values.iter().filter(|(item, is)| item.name() == name && !is.is_zero());
        read.filter_map(|(item, _)| item.of).filter(|of| self.look.subjects.get(of).is_none()).collect()
    }

    /// Returns whether the item that the line depends on has changed, so that the line is read out of turn.
    fn has_new_base(&self, line: &StateLine) -> bool {
        let base: &[&str] = match &line.how {
            ReadMethod::Behind { item, .. } => &[*item],
            ReadMethod::CodeBehind => IMPLEMENTATIONS,
            ReadMethod::Delegates { of } => {
                let seen = |member: &Address| {
                    self.look.known.last_value(self.look.address, Item::of_table(line.item).for_address(*member))
                };
                let signed = |member: &Address| self.look.delegations.iter().any(|one| one.authority == *member);
                return self.unwatched_members(of).iter().any(|member| seen(member).is_none() || signed(member));
            }
            _ => return false,
        };
        let (known, own) = (self.look.known, self.look.address);
        let mut read = self.took.values.iter().filter(|(item, _)| base.contains(&item.name()));
        read.any(|(item, value)| known.last_value(own, *item).is_some_and(|before| before != *value))
    }

    /// An address that was read, where there is one.
    fn address_value(&self, name: &str) -> Option<Address> {
        let (_, word) = self.took.values.iter().find(|(item, _)| item.name() == name)?;
        Some(Address::from_word(*word)).filter(|address| !address.is_zero())
    }

    fn read_item(&mut self, item: Item, read: Read) {
        match self.read_word(read) {
            // Two lines may read the same item from the places where different contracts keep it: the first that exists
            // counts.
            Told::Is(_) if self.took.values.iter().any(|(known, _)| *known == item) => {}
            Told::Is(value) => self.took.values.push((item, value)),
            told => self.record_unread(item, told),
        }
    }

    fn record_unread(&mut self, item: Item, told: Told) {
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

    fn read_word(&mut self, read: Read) -> Told {
        match self.questions.ask_state(read) {
            None => Told::Waits,
            Some(Answer::Data(data)) => {
                data.first_chunk::<32>().map_or(Told::Nothing, |word| Told::Is(B256::from(word)))
            }
            Some(Answer::Reverted) => Told::Nothing,
            Some(Answer::Unavailable | Answer::Traces(_)) => Told::Dark,
        }
    }

    fn read_code(&mut self, of: Address) -> Result<Bytes, Told> {
        match self.questions.ask_state(Read::Code(of)) {
            None => Err(Told::Waits),
            Some(Answer::Data(code)) => Ok(code.clone()),
            Some(_) => Err(Told::Dark),
        }
    }

    /// For an account with delegated code, the value is the delegation's target. Other code there is treated like a
    /// contract's code, and recorded only for the subject itself.
    fn read_account_code(&mut self, item: Item) {
        match self.read_code(item.of.unwrap_or(self.look.address)) {
            Ok(code) => {
                let to = code.strip_prefix(&DELEGATED).filter(|to| to.len() == 20).map(Address::from_slice);
                self.took.values.push((item, to.unwrap_or_default().into_word()));
                if item.of.is_some() {
                    return;
                }
                let other = if to.is_some() { B256::ZERO } else { code_hash(&code) };
                self.took.values.push((Item::of_table("code"), other));
            }
            Err(told) => self.record_unread(item, told),
        }
    }
}

fn call_read(to: Address, data: &[u8]) -> Read {
    Read::Call { to, data: Bytes::copy_from_slice(data) }
}

/// `balanceOf(address)`
fn balance_of(who: Address) -> Vec<u8> {
    [&[0x70, 0xa0, 0x82, 0x31], who.into_word().as_slice()].concat()
}

/// Zero where there is no code.
fn code_hash(code: &Bytes) -> B256 {
    if code.is_empty() { B256::ZERO } else { keccak256(code) }
}
