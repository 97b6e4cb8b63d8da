//! What a token says of a subject when one of its logs claims that something moved or was allowed.
//!
//! Anybody can deploy a contract that logs transfers of anybody, and that answers every question about a balance as it likes. A log
//! therefore counts by two things: whether the subject ever used the token by an act of its own ([`Tie`]), which no stranger can
//! bring about, and what the token answers about the subject's holding before and after the block ([`Said`]).

use alloy_primitives::U256;

/// The facts beside one log of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Whether the subject uses the token.
    pub tie: Tie,
    /// Whether all older transactions were searched for one in which the subject used the token.
    pub searched: bool,
    /// What the token says of the holding.
    pub said: Said,
    /// Whether this is the first log of the block about this token and this subject. Of a stranger's token one log stands for all.
    pub first: bool,
}

/// Whether a subject uses a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// The subject never sent, approved or obtained it by an act of its own, as far as is known.
    Stranger,
    /// The subject sent, approved or obtained it by an act of its own before.
    Used,
    /// The subject acts in the very transaction of the log.
    Acts,
}

/// What a token says of a holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// `balanceOf` before and after the block, in the smallest unit; of a batch the id that lost the largest part.
    Balance {
        /// At the parent block.
        before: U256,
        /// At the block.
        after: U256,
        /// Whether the two differ by what the logs of the block say, to the last unit.
        agrees: bool,
        /// Whether all was asked that the log is about: of a batch some ids are.
        whole: bool,
    },
    /// What the spender may take after the block, in the smallest unit; as much as can be for an operator.
    Allowance(U256),
    /// The node could not say.
    Unread,
    /// Nobody was asked, since this many tokens of the block were ahead of it.
    BeyondBound(usize),
    /// Nobody was asked: the log is explained by an act of the subject, or the question is still open.
    Unasked,
}

impl Holding {
    /// Whether the balance fell.
    #[must_use]
    pub fn fell(&self) -> bool {
        matches!(self.said, Said::Balance { before, after, .. } if after < before)
    }

    /// Whether more than half of the balance is gone.
    #[must_use]
    pub fn is_mostly_gone(&self) -> bool {
        matches!(self.said, Said::Balance { before, after, .. } if after < before && before - after > before / U256::from(2))
    }

    /// Whether the balance stands still, though the logs say that it moved. What was asked in part denies nothing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.said, Said::Balance { before, after, agrees: false, whole: true } if before == after)
    }
}
