//! Limits on the work that one transaction may cause, and the reasons for which its bytes stay opaque.

use alloy_primitives::{B256, hex};

/// Maximum number of values that one transaction may decode to, over all its nested calls.
pub const NODES_MAX: u32 = 4096;
/// Maximum nesting of calls that are decoded in one transaction.
pub const DEPTH_MAX: u32 = 16;
/// Maximum number of bytes read in one transaction: every input passed to a decoder, and every payload in it, counted
/// once for each offset that points to it. A transaction carries at most 1.6 MB of zeros (16.7 million gas at 10 gas a
/// byte, EIP-7825 and EIP-7623), and each envelope adds its contents once more.
pub const BYTES_MAX: usize = 4 << 20;

/// Remaining budget of one transaction.
///
/// All decodes of a transaction, nested ones included, share one budget, so that depth cannot multiply width. An
/// exhausted budget is a result about the input ([`Opaque::TooManyNodes`] and similar), not an error of the program: no
/// honest transaction recorded so far comes near the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    nodes: u32,
    depth: u32,
    bytes: usize,
    reached: bool,
}

/// Reason why bytes could not be decoded as arguments. Its `Display` is one plain sentence for a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Opaque {
    /// The calldata has one to three bytes.
    #[error("The calldata is too short to name a function ({} bytes).", .0)]
    NoSelector(u8),
    /// No known ABI has a function of this selector.
    #[error("No known function has the selector 0x{}.", hex::encode(.0))]
    UnknownSelector([u8; 4]),
    /// No known ABI has an event of this topic.
    #[error("No known event has the topic {0:#x}.")]
    UnknownEvent(B256),
    /// The number of topics in the log differs from the event's layout.
    #[error("The log has {found} topics where the event has {expected}.")]
    TopicCount {
        /// Topics of the event, its own hash included.
        expected: usize,
        /// Topics of the log.
        found: usize,
    },
    /// An offset or a length points beyond the input, where a contract would revert or read zeros.
    #[error("The data points beyond its own end, at byte {at}.")]
    OutOfBounds {
        /// Position of the offset or length, in bytes after the selector or in the log's data.
        at: u32,
    },
    /// Calls are nested deeper than [`DEPTH_MAX`].
    #[error("Calls are nested deeper than the decoder follows.")]
    TooDeep,
    /// More values than [`NODES_MAX`].
    #[error("The data expands to more values than the decoder takes on for one transaction.")]
    TooManyNodes,
    /// More bytes than [`BYTES_MAX`].
    #[error("The data expands to more bytes than the decoder takes on for one transaction.")]
    TooManyBytes,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(NODES_MAX, DEPTH_MAX, BYTES_MAX)
    }
}

impl Budget {
    /// Creates a budget of `nodes` values, `depth` nested calls and `bytes` bytes.
    pub fn new(nodes: u32, depth: u32, bytes: usize) -> Self {
        Self { nodes, depth, bytes, reached: false }
    }

    /// Returns the number of values that may still be decoded.
    pub fn nodes_left(&self) -> u32 {
        self.nodes
    }

    /// Returns whether anything was refused since the previous call, and resets the flag. If true, part of the input
    /// stayed unread.
    pub fn was_reached(&mut self) -> bool {
        std::mem::take(&mut self.reached)
    }

    /// Opens a nested call. It must be closed with [`Budget::leave_call`] on every return path.
    ///
    /// # Errors
    /// [`Opaque::TooDeep`] when the depth is spent; nothing has to be closed then.
    pub fn enter_call(&mut self) -> Result<(), Opaque> {
        self.depth = self.require_remaining(self.depth.checked_sub(1), Opaque::TooDeep)?;
        Ok(())
    }

    /// Closes a nested call. The values and bytes it consumed stay spent.
    pub fn leave_call(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    /// Spends `nodes` values, before memory is reserved for them.
    ///
    /// # Errors
    /// [`Opaque::TooManyNodes`], leaving what is left as it was.
    pub fn take_nodes(&mut self, nodes: usize) -> Result<(), Opaque> {
        let left = u32::try_from(nodes).ok().and_then(|nodes| self.nodes.checked_sub(nodes));
        self.nodes = self.require_remaining(left, Opaque::TooManyNodes)?;
        Ok(())
    }

    /// Spends `bytes` bytes.
    ///
    /// # Errors
    /// [`Opaque::TooManyBytes`], leaving what is left as it was.
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), Opaque> {
        self.bytes = self.require_remaining(self.bytes.checked_sub(bytes), Opaque::TooManyBytes)?;
        Ok(())
    }

    fn require_remaining<T>(&mut self, left: Option<T>, otherwise: Opaque) -> Result<T, Opaque> {
        self.reached |= left.is_none();
        left.ok_or(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_comes_back_and_width_does_not() {
        let mut budget = Budget::new(2, 1, 10);
        assert_eq!(budget.enter_call(), Ok(()));
        assert_eq!(budget.enter_call(), Err(Opaque::TooDeep));
        assert_eq!(budget.take_nodes(2), Ok(()));
        budget.leave_call();
        assert_eq!(budget.enter_call(), Ok(()));
        assert_eq!(budget.take_nodes(1), Err(Opaque::TooManyNodes));
        assert_eq!(budget.take_nodes(usize::MAX), Err(Opaque::TooManyNodes));
        assert_eq!((budget.take_bytes(11), budget.take_bytes(10)), (Err(Opaque::TooManyBytes), Ok(())));
    }

    #[test]
    fn a_refusal_is_remembered_until_it_is_asked_for() {
        let mut budget = Budget::new(1, 1, 1);
        assert!(budget.take_nodes(1).is_ok() && budget.take_bytes(1).is_ok() && !budget.was_reached());
        assert!(budget.take_nodes(1).is_err() && budget.was_reached() && !budget.was_reached());
    }

    #[test]
    fn a_reason_is_one_sentence() {
        let all = [
            Opaque::NoSelector(3),
            Opaque::UnknownSelector([0xa9, 5, 0x9c, 0xbb]),
            Opaque::UnknownEvent(B256::ZERO),
            Opaque::TopicCount { expected: 3, found: 4 },
            Opaque::OutOfBounds { at: 32 },
            Opaque::TooDeep,
            Opaque::TooManyNodes,
            Opaque::TooManyBytes,
        ];
        for reason in all {
            let told = reason.to_string();
            assert!(told.ends_with('.') && told.matches('.').count() == 1 && !told.contains('\n'), "{told}");
        }
        assert_eq!(
            Opaque::UnknownSelector([0xa9, 5, 0x9c, 0xbb]).to_string(),
            "No known function has the selector 0xa9059cbb."
        );
    }
}
