//! Addresses that look alike: wallets show only the ends of an address, and people compare those.

use alloy_primitives::{Address, hex};

/// Returns the first three and the last four hex digits, regardless of case: the part of an address that people
/// compare.
#[must_use]
pub fn lookalike_key(address: &Address) -> u32 {
    let byte = |at: usize| u32::from(address[at]);
    byte(0) << 20 | (byte(1) >> 4) << 16 | byte(18) << 8 | byte(19)
}

/// Returns `address` in EIP-55, in full, with brackets around the digits at both ends that it shares with `known`:
/// `0x[709]fff…fff[79c8]`.
///
/// ```
/// use alloy_primitives::address;
/// use watchfire::model::likeness::mark_matching_digits;
/// let known = address!("7099797051812dC3A010C7D01b50e0d17dC779c8");
/// let twin = address!("709fffffffffffffffffffffffffffffffff79c8");
/// assert_eq!(mark_matching_digits(&twin, &known).to_lowercase(), "0x[709]fffffffffffffffffffffffffffffffff[79c8]");
/// ```
#[must_use]
pub fn mark_matching_digits(address: &Address, known: &Address) -> String {
    let (own, other) = (hex::encode(address), hex::encode(known));
    let front = own.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let back = own.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).count().min(own.len() - front);
    let shown = address.to_checksum(None);
    let digits = shown.trim_start_matches("0x");
    let (start, rest) = digits.split_at(front);
    let (middle, end) = rest.split_at(rest.len() - back);
    format!("0x[{start}]{middle}[{end}]")
}
