//! Token's answers about a subject's holding, read when one of the token's logs claims a transfer or an approval.
//!
//! Anyone can deploy a contract that logs transfers of any address, and that returns any balance. A log is therefore
//! weighed by two facts: whether the subject ever used the token by an act of its own ([`Tie`]), which no stranger can
//! cause, and the token's answers about the subject's holding before and after the block ([`Said`]).

use alloy_primitives::U256;

/// Facts about one log of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Relation of the subject to the token.
    pub tie: Tie,
    /// True if all older transactions were searched for one in which the subject used the token.
    pub searched: bool,
    /// Token's answer about the holding.
    pub said: Said,
    /// True if this is the block's first log about this token and this subject. For a stranger's token, one log
    /// represents all of them.
    pub first: bool,
}

/// Relation of a subject to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// The subject is not known to have sent, approved or obtained the token by an act of its own.
    Stranger,
    /// The subject sent, approved or obtained it by an act of its own before.
    Used,
    /// The subject acts in the same transaction as the log.
    Acts,
}

/// Token's answer about a holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// `balanceOf` before and after the block, in the smallest unit; for a batch, of the id with the largest decrease.
    Balance {
        /// At the parent block.
        before: U256,
        /// At the block.
        after: U256,
        /// True if the two differ by exactly the amount in the block's logs, to the last unit.
        agrees: bool,
        /// True if everything that the log is about was read. For a batch, only some ids are read.
        whole: bool,
    },
    /// Amount that the spender may take after the block, in the smallest unit; the largest possible number for an
    /// operator.
    Allowance(U256),
    /// The node did not return it.
    Unread,
    /// Not read, since this many tokens of the block came before it.
    BeyondBound(usize),
    /// Not read: the log is explained by an act of the subject, or the question is still open.
    Unasked,
}

impl Holding {
    /// Returns true if the balance decreased.
    #[must_use]
    pub fn has_decreased(&self) -> bool {
        matches!(self.said, Said::Balance { before, after, .. } if after < before)
    }

    /// Returns true if more than half of the balance is gone.
    #[must_use]
    pub fn is_mostly_gone(&self) -> bool {
        matches!(self.said, Said::Balance { before, after, .. } if after < before && before - after > before / U256::from(2))
    }

    /// Returns true if the balance is unchanged although the logs report a transfer. A partial reading contradicts
    /// nothing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.said, Said::Balance { before, after, agrees: false, whole: true } if before == after)
    }
}
