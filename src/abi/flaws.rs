//! Deviations from the canonical encoding, which an honest encoder would not write.

use std::{fmt, ops::BitOrAssign};

/// Differences between an encoding and the canonical one.
///
/// Empty exactly when the decoded values encode back to the same bytes. A contract may have executed a flawed encoding
/// (the EVM reads zeros after the end, and older compilers check nothing), so the values are those that the contract
/// read; the unusual encoding is a signal of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flaws(u16);

/// All flaws with their texts for a page, in the order of their bits.
const ALL: [(Flaws, &str); 9] = [
    (Flaws::SHORT, "data ends early, the rest reads as zeros"),
    (Flaws::SHORT_PADDING, "the last padding is missing"),
    (Flaws::DIRTY_VALUE, "bits set outside a value's width"),
    (Flaws::BOOL, "a bool that is neither 0 nor 1"),
    (Flaws::DIRTY_PADDING, "bytes set in the padding"),
    (Flaws::OVERLAP, "an offset points back into data already read"),
    (Flaws::GAP, "an offset skips data"),
    (Flaws::TRAILING, "bytes left over at the end"),
    (Flaws::MALFORMED_ITEM, "a batch item that no MultiSend executes"),
];

impl Flaws {
    /// No flaws: the encoding is canonical.
    pub const NONE: Self = Self(0);
    /// The input ends before a value does. The EVM reads zeros there; contracts compiled by solc 0.4 execute such
    /// input, newer ones revert.
    ///
    /// A payload is cut at the end of the input and not extended by zeros: a further decode of the payload again reads
    /// zeros there.
    pub const SHORT: Self = Self(1);
    /// All values are complete, but the zeros that fill up the last word are missing; some encoders omit them.
    pub const SHORT_PADDING: Self = Self(1 << 1);
    /// An address, number or fixed byte string with bits outside its width; they are masked. Newer compilers revert.
    pub const DIRTY_VALUE: Self = Self(1 << 2);
    /// A `bool` word above 1; it counts as true.
    pub const BOOL: Self = Self(1 << 3);
    /// Non-zero bytes between the end of a payload and the end of its last word.
    pub const DIRTY_PADDING: Self = Self(1 << 4);
    /// An offset below the canonical one: it points into the head, or at data that another value already uses
    /// (aliasing).
    pub const OVERLAP: Self = Self(1 << 5);
    /// An offset above the canonical one, which skips bytes that no value uses.
    pub const GAP: Self = Self(1 << 6);
    /// Bytes behind the last value, such as an attribution suffix (ERC-8021).
    pub const TRAILING: Self = Self(1 << 7);
    /// A packed batch with an operation that is neither call nor delegatecall (see [`super::multisend`]).
    pub const MALFORMED_ITEM: Self = Self(1 << 8);

    /// Returns true if the encoding is canonical.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Checks whether every flaw of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns a short description of each flaw, for a page.
    pub fn descriptions(self) -> impl Iterator<Item = &'static str> {
        ALL.into_iter().filter(move |(flaw, _)| self.contains(*flaw)).map(|(_, text)| text)
    }
}

impl BitOrAssign for Flaws {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Writes the texts, separated by semicolons; `none` for a canonical encoding.
impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (i, text) in self.descriptions().enumerate() {
            f.write_str(if i == 0 { "" } else { "; " })?;
            f.write_str(text)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flaws({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws_add_up_and_are_told_in_order() {
        let mut flaws = Flaws::NONE;
        assert_eq!(flaws.to_string(), "none");
        flaws |= Flaws::TRAILING;
        flaws |= Flaws::BOOL;
        assert!(!flaws.is_empty() && flaws.contains(Flaws::BOOL) && !flaws.contains(Flaws::SHORT));
        assert_eq!(flaws.to_string(), "a bool that is neither 0 nor 1; bytes left over at the end");
    }

    #[test]
    fn every_flaw_has_a_bit_and_a_text_of_its_own() {
        let mut seen = Flaws::NONE;
        for (flaw, text) in ALL {
            assert!(flaw.0.is_power_of_two() && !seen.contains(flaw) && !text.is_empty());
            seen |= flaw;
        }
    }
}
