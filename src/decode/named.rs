//! Addresses in calldata that cannot be decoded: accounts that a call may concern.

use super::frames::Frame;
use crate::model::activity::Note;
use crate::model::{Decoding, Operation};
use alloy_primitives::Address;

/// Maximum number of words examined in one call; words of calls inside it count again. Ordinary calldata has a few
/// dozen. Beyond the limit, the call is assumed to name a watched address.
const WORDS_MAX: usize = 4_096;
/// Maximum number of addresses kept for one call. Ordinary calldata has a handful. Beyond the limit, the call is
/// assumed to name a watched address.
const NAMES_MAX: usize = 64;
/// Maximum nesting depth of calls examined inside calldata.
const DEPTH_MAX: usize = 4;
/// Leading bytes of an address, of which at least one is not zero: an amount is seldom that large, and a key for an
/// address with eight leading zero bytes is infeasible to find.
const SIGNIFICANT: usize = 8;

/// The note on a call that only a trace shows and that no ABI reads.
pub(super) fn named_addresses_note(frame: &Frame) -> Option<Note> {
    let opaque = matches!(frame.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_));
    (frame.inner && opaque && frame.operation == Operation::Call).then(|| Note::Names(addresses_in_input(&frame.input)))
}

/// Returns the addresses in the arguments, each once; `None` where there are more than the limit.
fn addresses_in_input(input: &[u8]) -> Option<Box<[Address]>> {
    let mut search = Search { found: Vec::new(), n_words: 0 };
    search.look_at(input, 0)?;
    search.found.sort_unstable();
    search.found.dedup();
    (search.found.len() <= NAMES_MAX).then(|| search.found.into())
}

struct Search {
    found: Vec<Address>,
    n_words: usize,
}

impl Search {
    /// Examines a selector and its words, and the calls in those words that follow their length.
    fn look_at(&mut self, call: &[u8], depth: usize) -> Option<()> {
        let arguments = call.get(4..).unwrap_or_default();
        for (nth, word) in arguments.chunks_exact(32).enumerate() {
            self.n_words += 1;
            if self.n_words > WORDS_MAX {
                return None;
            }
            self.found.extend(address_from_word(word));
            let behind = &arguments[(nth + 1) * 32..];
            if let Some(inside) =
                length_from_word(word).filter(|length| length % 32 == 4).and_then(|length| behind.get(..length))
            {
                (depth < DEPTH_MAX).then_some(())?;
                self.look_at(inside, depth + 1)?;
            }
        }
        Some(())
    }
}

/// Returns the word as an address, if it looks like one.
fn address_from_word(word: &[u8]) -> Option<Address> {
    let (zeros, bytes) = word.split_at(12);
    let is_small = bytes[..SIGNIFICANT].iter().all(|byte| *byte == 0);
    // The largest number of some size stands for "all of it".
    let is_most = bytes.iter().skip_while(|byte| **byte == 0).all(|byte| *byte == 0xff);
    (zeros.iter().all(|byte| *byte == 0) && !is_small && !is_most).then(|| Address::from_slice(bytes))
}

/// Returns the word as a number, if calldata can be that long.
fn length_from_word(word: &[u8]) -> Option<usize> {
    let (zeros, number) = word.split_at(24);
    let number = number.first_chunk::<8>().map(|number| u64::from_be_bytes(*number))?;
    zeros.iter().all(|byte| *byte == 0).then(|| usize::try_from(number).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, address};
    use alloy_sol_types::SolValue;

    const WHO: Address = address!("e1E1e1E1e1e1e1E1e1E1e1E1E1e1e1E1e1E1E10A");

    fn call(arguments: Vec<u8>) -> Vec<u8> {
        [vec![1, 2, 3, 4], arguments].concat()
    }

    #[test]
    fn an_address_is_found_in_a_word_in_a_list_and_in_a_call_inside() {
        let amount = U256::from(10).pow(U256::from(24));
        for input in [
            call((WHO, amount).abi_encode()),
            call((amount, vec![WHO, WHO]).abi_encode_params()),
            call((amount, call((amount, WHO).abi_encode())).abi_encode_params()),
            call(vec![call((WHO, amount).abi_encode()), call(vec![])].abi_encode()),
        ] {
            assert_eq!(addresses_in_input(&input).as_deref(), Some(&[WHO][..]), "{input:02x?}");
        }
    }

    #[test]
    fn no_amount_flag_or_largest_number_is_an_address() {
        let largest = |bits: usize| (U256::ONE << bits) - U256::ONE;
        let numbers = [U256::ZERO, U256::ONE, U256::from(u64::MAX), largest(96), largest(128), largest(160), U256::MAX];
        assert_eq!(addresses_in_input(&call(numbers.abi_encode())).as_deref(), Some(&[][..]));
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_not_looked_through() {
        assert_eq!(addresses_in_input(&call(vec![0; (WORDS_MAX + 1) * 32])), None);
        let many: Vec<Address> = (0..=NAMES_MAX).map(|nth| Address::repeat_byte(0x11).create(nth as u64)).collect();
        assert_eq!(addresses_in_input(&call(many.abi_encode())), None);
        let deep = (0..=DEPTH_MAX).fold(call(vec![]), |inner, _| call((inner,).abi_encode_params()));
        assert_eq!(addresses_in_input(&deep), None);
    }
}
