//! Receipts and withdrawals in the encoding that their roots cover. Source: the Yellow Paper, 4.3.1, EIP-658 and
//! EIP-2718; EIP-4895.

use super::rlp;
use crate::model::{Log, Status, Tx};
use crate::wire::seal::{ReceiptSeal, Withdrawal};
use alloy_primitives::Bloom;
use alloy_rlp::Encodable;
use std::borrow::Cow;

/// Receipt with all fields of its encoding.
pub(super) struct Receipt<'a> {
    pub(super) tx: &'a Tx,
    seal: &'a ReceiptSeal,
    pub(super) bloom: Cow<'a, Bloom>,
}

impl<'a> Receipt<'a> {
    pub(super) fn new(tx: &'a Tx, seal: &'a ReceiptSeal) -> Self {
        let bloom = seal.bloom.as_deref().map_or_else(|| Cow::Owned(logs_bloom(&tx.logs)), Cow::Borrowed);
        Self { tx, seal, bloom }
    }

    /// Returns the encoding that all known types use. The error names a missing field.
    pub(super) fn encode(&self) -> Result<Vec<u8>, &'static str> {
        if self.seal.kind.is_some_and(|kind| kind != self.tx.kind) {
            return Err("its receipt is of another type");
        }
        let kind = u8::try_from(self.tx.kind).ok().filter(|kind| *kind < 0x80);
        let kind = kind.ok_or("its type is above 0x7f, which EIP-2718 leaves free")?;
        let n_bytes: usize = self.tx.logs.iter().map(|log| log.data.len() + 192).sum();
        let mut out = Vec::with_capacity(n_bytes + 320);
        if kind != 0 {
            out.push(kind);
        }
        rlp::try_list(&mut out, |out| self.encode_fields(out))?;
        Ok(out)
    }

    /// The items of the encoded list.
    pub(super) fn encode_fields(&self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        match (self.tx.status, self.seal.root) {
            (Status::Success, _) => true.encode(out),
            (Status::Reverted, _) => false.encode(out),
            (Status::Unknown, Some(root)) => root.encode(out),
            (Status::Unknown, None) => return Err("its receipt has neither a status nor a root"),
        }
        self.seal.cumulative_gas.ok_or("its receipt has no cumulativeGasUsed")?.encode(out);
        self.bloom.encode(out);
        rlp::encode_list(out, |out| self.tx.logs.iter().for_each(|log| log_item(log, out)));
        Ok(())
    }
}

/// Encodes a withdrawal.
pub(super) fn encode_withdrawal(of: &Withdrawal) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    rlp::encode_list(&mut out, |out| {
        of.index.encode(out);
        of.validator.encode(out);
        of.address.encode(out);
        of.amount.encode(out);
    });
    out
}

fn log_item(log: &Log, out: &mut Vec<u8>) {
    rlp::encode_list(out, |out| {
        log.address.encode(out);
        rlp::encode_list(out, |out| log.topics.iter().for_each(|topic| topic.encode(out)));
        log.data.encode(out);
    });
}

/// The bloom of these logs.
pub(super) fn logs_bloom(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    logs.iter().for_each(|log| bloom.accrue_raw_log(log.address, &log.topics));
    bloom
}
