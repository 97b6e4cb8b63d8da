//! Shape of the tables of watched state: the items that are read, the way to read each, and the functions and events
//! that account for a change.

use alloy_primitives::B256;

/// State items that belong together, and what explains their changes. A kind is a list of such groups, so that what
/// several kinds have in common is written once.
#[derive(Debug)]
pub struct StateGroup {
    /// Items in the order in which they are read. A line that depends on another item follows that item's line.
    pub lines: &'static [StateLine],
    /// Functions and events that account for a change of one of these items.
    pub causes: &'static [CauseRow],
}

/// Item that is read.
#[derive(Clone, Copy, Debug)]
pub struct StateLine {
    /// Name of the item, one of `model::state::ITEMS`.
    pub item: &'static str,
    /// Way in which it is read.
    pub how: ReadMethod,
    /// True if it is read on the slow beat alone: large answers, and values that no transaction with the subject
    /// changes.
    pub slow: bool,
}

/// Way in which a value is read.
#[derive(Clone, Copy, Debug)]
pub enum ReadMethod {
    /// A slot of its storage.
    Slot(B256),
    /// The first word returned by a view without arguments.
    View([u8; 4]),
    /// The same, if the subject's ABI has the view.
    KnownView([u8; 4]),
    /// A list of addresses returned by a view.
    List([u8; 4]),
    /// A linked list in a mapping of its storage, from the sentinel 0x1 back to it.
    Linked {
        /// Slot of the mapping.
        slot: u8,
        /// Calldata of the view that gives the members to look up first.
        hint: &'static [u8],
    },
    /// All holders of roles, where the subject's ABI has roles.
    Holders,
    /// The hash of its code.
    Code,
    /// The code of an account with a key: a delegation, or no code.
    Account,
    /// Number of transactions that an account sent.
    Nonce,
    /// Ether.
    Ether,
    /// Balance of each token that is counted.
    Tokens,
    /// Result of a view of the contract that another item names.
    Behind {
        /// Item that names the contract.
        item: &'static str,
        /// Selector of the view.
        view: [u8; 4],
    },
    /// The hash of the code of the first implementation that exists.
    CodeBehind,
    /// Result of `hasRole` of the role with this hash, for the address zero.
    OpenRole(B256),
    /// Expiry of a name's registration.
    Expiry,
    /// Amount released beyond a schedule.
    Schedule,
    /// The EIP-7702 delegations of each member of a set, except members that are watched themselves.
    Delegates {
        /// Item of the set.
        of: &'static str,
    },
    /// Decimals reported by each token whose unit a rule uses.
    Decimals,
    /// Match of the contract at the address with the watch's kind, by earlier reads.
    Fits,
}

/// Functions and events that account for a change of an item.
#[derive(Clone, Copy, Debug)]
pub struct CauseRow {
    /// Name of the item.
    pub item: &'static str,
    /// Change that they account for.
    pub does: ItemChange,
    /// Functions and events by name, and where each contains the value.
    pub by: &'static [(&'static str, StatedValue)],
}

/// Change of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemChange {
    /// Change to another value.
    Becomes,
    /// A member joins a set.
    Joins,
    /// A member leaves it.
    Leaves,
}

/// Way in which an activity states the value, or the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatedValue {
    /// The argument at this index.
    Arg(usize),
    /// A list of addresses at this index.
    Among(usize),
    /// The role at the first index, and the holder at the second.
    Holder,
    /// The caller.
    Caller,
    /// The zero address, implied by the name alone.
    Nobody,
    /// No value: any value is accounted for.
    Anything,
    /// No value, where the previous value was zero.
    Begins,
}

pub(super) const fn state_line(item: &'static str, how: ReadMethod) -> StateLine {
    StateLine { item, how, slow: false }
}

pub(super) const fn slow_line(item: &'static str, how: ReadMethod) -> StateLine {
    StateLine { item, how, slow: true }
}

pub(super) const fn storage_slot(n: u8) -> ReadMethod {
    let mut word = [0; 32];
    word[31] = n;
    ReadMethod::Slot(B256::new(word))
}

pub(super) const fn cause_row(
    item: &'static str,
    does: ItemChange,
    by: &'static [(&'static str, StatedValue)],
) -> CauseRow {
    CauseRow { item, does, by }
}
