//! MultiSend's packed list: `operation u8 | to 20 | value 32 | length 32 | data`, repeated for each item.
//!
//! The list is read as the contract reads it (`multiSend` of MultiSend.sol 1.1.1 to 1.5.0, which all have the same
//! loop). The loop has two peculiarities. An item begins only where more than 32 bytes are left, so up to 32 bytes at
//! the end are never executed. The contract also does not check that the last item is complete: missing bytes are read
//! from the memory after the list, which holds zeros.

use alloy_primitives::{Address, Bytes, U256};

use super::{
    budget::{Budget, Opaque},
    decode::{LENIENT_PAYLOAD_MAX, out_of_bounds},
    flaws::Flaws,
};
use crate::model::value::Span;

/// Length of an item before its data, in bytes.
pub const HEADER: usize = 1 + 20 + 32 + 32;
/// Number of bytes at the end that begin no item: the contract's loop counts from 32 and stops at the list's length.
const NEVER_STARTED: usize = 32;

/// A call of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// 0 is a call, 1 a delegatecall (which MultiSendCallOnly rejects). Any other value makes the whole batch revert.
    pub operation: u8,
    /// Address called. Zero means the executing Safe itself from 1.5.0 on, and the zero address before.
    pub to: Address,
    /// Ether sent, in wei. A delegatecall ignores it.
    pub value: U256,
    /// Calldata: a slice of the list, cut at the end of the list.
    pub data: Bytes,
    /// Position of the item in the list, including its header.
    pub span: Span,
}

/// Returns the calls in `list`, the argument of `multiSend(bytes)`, in execution order.
///
/// There are no flaws exactly when [`encode_multisend`] produces the same list and a MultiSend knows every operation.
///
/// # Errors
/// [`Opaque`] when an item claims more data than any block can pay for, or the budget is spent: a value for each item.
pub fn decode_multisend(list: &Bytes, budget: &mut Budget) -> Result<(Vec<Item>, Flaws), Opaque> {
    budget.take_bytes(list.len())?;
    let mut items = Vec::new();
    let mut flaws = Flaws::NONE;
    let mut at = 0;
    while at + NEVER_STARTED < list.len() {
        budget.take_nodes(1)?;
        let operation = list[at];
        let to = Address::from(read::<20>(list, at + 1));
        let value = U256::from_be_bytes(read::<32>(list, at + 21));
        let claimed = U256::from_be_bytes(read::<32>(list, at + 53));
        let claimed = usize::try_from(claimed).ok().filter(|len| *len <= LENIENT_PAYLOAD_MAX);
        let start = at + HEADER;
        let end = start + claimed.ok_or_else(|| out_of_bounds(at + 53))?;

        if end > list.len() {
            flaws |= Flaws::SHORT;
        }
        if operation > 1 {
            flaws |= Flaws::MALFORMED_ITEM;
        }
        let there = start.min(list.len())..end.min(list.len());
        let data = if there.is_empty() { Bytes::new() } else { list.slice(there) };
        items.push(Item { operation, to, value, data, span: Span::from_bounds(at, end) });
        at = end;
    }
    if at < list.len() {
        flaws |= Flaws::TRAILING;
    }
    Ok((items, flaws))
}

/// Packs these calls into a list, each with an operation, a target, a value and calldata: the inverse of [`decode_multisend`].
pub fn encode_multisend<'a>(calls: impl IntoIterator<Item = (u8, Address, U256, &'a [u8])>) -> Vec<u8> {
    let mut list = Vec::new();
    for (operation, to, value, data) in calls {
        list.push(operation);
        list.extend(to);
        list.extend(value.to_be_bytes::<32>());
        list.extend(U256::from(data.len()).to_be_bytes::<32>());
        list.extend(data);
    }
    list
}

/// Returns `N` bytes at `at`, with zeros after the end of the list.
fn read<const N: usize>(list: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    let there = list.get(at..).unwrap_or_default();
    let n = there.len().min(N);
    bytes[..n].copy_from_slice(&there[..n]);
    bytes
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    const TOKEN: Address = address!("744d70FDBE2Ba4CF95131626614a1763DF805B9E");

    fn list(data: [&[u8]; 2]) -> Vec<u8> {
        encode_multisend([(0, TOKEN, U256::from(5), data[0]), (1, Address::ZERO, U256::ZERO, data[1])])
    }

    fn read_list(list: Vec<u8>) -> (Vec<Item>, Flaws) {
        decode_multisend(&list.into(), &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_whole_list_is_read_without_flaws() {
        let (items, flaws) = read_list(list([&[1, 2, 3], &[]]));
        assert!(flaws.is_empty(), "{flaws}");
        assert_eq!(
            (items[0].operation, items[0].to, items[0].value, &items[0].data[..]),
            (0, TOKEN, U256::from(5), &[1u8, 2, 3][..])
        );
        assert_eq!((items[1].operation, items[1].to, items[1].data.len()), (1, Address::ZERO, 0));
        assert_eq!((items[0].span, items[1].span), (Span { start: 0, len: 88 }, Span { start: 88, len: 85 }));
        assert_eq!(read_list(Vec::new()), (Vec::new(), Flaws::NONE));
    }

    #[test]
    fn data_is_a_slice_of_the_list() {
        let list: Bytes = list([&[7; 40], &[8]]).into();
        let (items, _) = decode_multisend(&list, &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(items[0].data.as_ptr(), list[HEADER..].as_ptr());
    }

    #[test]
    fn up_to_32_bytes_at_the_end_are_never_run() {
        for extra in [1, 32] {
            let mut padded = list([&[1], &[2]]);
            padded.extend(vec![0; extra]);
            let (items, flaws) = read_list(padded);
            assert_eq!((items.len(), flaws), (2, Flaws::TRAILING), "{extra}");
        }
    }

    #[test]
    fn a_last_item_that_is_cut_off_still_runs_with_zeros() {
        let mut cut = list([&[1], &[2]]);
        cut.truncate(HEADER + 1 + 33);
        let (items, flaws) = read_list(cut);
        assert_eq!((items.len(), flaws), (2, Flaws::SHORT));
        assert_eq!((items[1].operation, items[1].data.len()), (1, 0));

        let mut short = list([&[1], &[9; 10]]);
        short.truncate(short.len() - 4);
        let (items, flaws) = read_list(short);
        assert_eq!((&items[1].data[..], flaws), (&[9u8; 6][..], Flaws::SHORT));
    }

    #[test]
    fn an_unknown_operation_is_told() {
        let (items, flaws) = read_list(encode_multisend([(2, TOKEN, U256::ZERO, &[][..])]));
        assert_eq!((items[0].operation, flaws), (2, Flaws::MALFORMED_ITEM));
    }

    #[test]
    fn a_claim_no_block_can_pay_for_stays_opaque() {
        let mut huge = list([&[], &[]]);
        huge[53..85].fill(0xff);
        assert_eq!(decode_multisend(&huge.into(), &mut Budget::default()), Err(Opaque::OutOfBounds { at: 53 }));
    }

    #[test]
    fn every_item_is_paid_for() {
        let many: Bytes = encode_multisend((0..5).map(|_| (0, TOKEN, U256::ZERO, &[][..]))).into();
        assert_eq!(decode_multisend(&many, &mut Budget::new(4, 1, 10_000)), Err(Opaque::TooManyNodes));
        assert_eq!(decode_multisend(&many, &mut Budget::new(5, 1, 100)), Err(Opaque::TooManyBytes));
    }
}
