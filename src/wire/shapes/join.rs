//! Converts the node's format to the judged model: a block joined with its receipts, each field accepted or rejected.

use super::{
    AccessWire, AuthorizationWire, BlockWire, LogWire, Noted, ReceiptWire, ReceiptsWire, TxWire, WithdrawalWire,
};
use crate::model::block::{Authorization, Block, BlockRef, Link, Log, Status, Tip, Tx};
use crate::model::fees::{self, Charged, Extra};
use crate::wire::seal::{Access, Header, ReceiptSeal, TxSeal, Withdrawal};
use crate::wire::{ParseError, hex};
use alloy_primitives::{B256, U256};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

impl BlockWire {
    /// The block, once its receipts are there.
    pub(in crate::wire) fn into_block(
        self,
        ReceiptsWire(receipts): ReceiptsWire,
        lapses: &mut Lapses,
    ) -> Result<Block, ParseError> {
        let block = self.0.fields;
        if block.transactions.len() != receipts.len() {
            return Err(ParseError::Count { n_txs: block.transactions.len(), n_receipts: receipts.len() });
        }
        let around = Around {
            block: block.hash,
            base_fee: block.base_fee_per_gas,
            // Source: OP Stack specification, Jovian, execution engine: version 1, and 17 bytes in total.
            since_jovian: block.extra_data.as_ref().is_some_and(|extra| extra.len() == 17 && extra[0] == 1),
            anew: begins_anew(&receipts),
        };
        let mut sofar = Sofar { next_log: 0, gas: Some(0), lapses };
        let txs = (block.transactions.into_iter().zip(receipts).enumerate())
            .map(|(index, (tx, receipt))| tx.into_tx(receipt, index, &around, &mut sofar))
            .collect::<Result<_, _>>()?;
        let at = BlockRef { number: block.number, hash: block.hash };
        let withdrawals: Vec<WithdrawalWire> = raw(block.withdrawals.as_deref()).unwrap_or_default();
        let gwei = U256::from(1_000_000_000u64);
        let withdrawals = withdrawals.iter().map(|one| (one.address, U256::from(one.amount) * gwei)).collect();
        Ok(Block { at, parent: block.parent_hash, time: block.timestamp, txs, withdrawals })
    }

    /// Returns the block as far as it is known without its receipts.
    pub(in crate::wire) fn without_receipts(&self) -> Result<Block, ParseError> {
        let (fields, mut lapses) = (&self.0.fields, Lapses::Settled(None));
        let alone = |(index, tx): (usize, &TxWire)| {
            let tx = tx.clone().into_tx_without_receipt(index, &mut lapses)?;
            Ok(Tx { index: u32::try_from(index).unwrap_or(u32::MAX), ..tx })
        };
        let txs = fields.transactions.iter().enumerate().map(alone).collect::<Result<_, _>>()?;
        let Link { at, parent, time } = self.0.link();
        Ok(Block { at, parent, time, txs, withdrawals: Vec::new() })
    }

    /// Returns the hash that the node reports for it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.0.fields.hash
    }

    /// Returns the block number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.fields.number
    }

    /// Returns a copy, because the computation of a fee depends on the fields.
    pub(in crate::wire) fn header(&self) -> Header {
        self.0.header()
    }

    /// Hashes of its transactions, in order.
    pub fn tx_hashes(&self) -> impl Iterator<Item = B256> {
        self.0.fields.transactions.iter().map(|tx| tx.hash)
    }

    pub(in crate::wire) fn tx_seals(&self) -> Vec<TxSeal> {
        self.0.fields.transactions.iter().map(TxWire::tx_seal).collect()
    }

    /// Returns the withdrawals; `None` where there are none, and where they cannot be parsed.
    pub(in crate::wire) fn withdrawals(&self) -> Option<Vec<Withdrawal>> {
        let list: Vec<WithdrawalWire> = raw(self.0.fields.withdrawals.as_deref())?;
        Some(list.into_iter().map(Into::into).collect())
    }
}

impl<T> Noted<T> {
    pub(in crate::wire) fn link(&self) -> Link {
        let fields = &self.fields;
        let at = BlockRef { number: fields.number, hash: fields.hash };
        Link { at, parent: fields.parent_hash, time: fields.timestamp }
    }

    pub(in crate::wire) fn header(&self) -> Header {
        let fields = &self.fields;
        Header {
            uncles_hash: fields.uncles_hash,
            miner: fields.miner,
            state_root: fields.state_root,
            transactions_root: fields.transactions_root,
            receipts_root: fields.receipts_root,
            logs_bloom: fields.logs_bloom.clone(),
            difficulty: fields.difficulty,
            gas_limit: fields.gas_limit,
            gas_used: fields.gas_used,
            extra_data: fields.extra_data.clone(),
            mix_hash: fields.mix_hash,
            nonce: fields.nonce,
            base_fee: fields.base_fee_per_gas,
            withdrawals_root: fields.withdrawals_root,
            blob_gas_used: fields.blob_gas_used,
            excess_blob_gas: fields.excess_blob_gas,
            parent_beacon_root: fields.parent_beacon_block_root,
            requests_hash: fields.requests_hash,
            unknown: self.unknown.clone(),
        }
    }
}

impl ReceiptWire {
    /// Returns the gas it used: the difference to the previous receipt, because the receipts root covers that;
    /// otherwise the node's value.
    fn gas_used(&self, before: Option<u64>) -> Option<u64> {
        let difference = self.cumulative_gas_used.zip(before).and_then(|(after, before)| after.checked_sub(before));
        difference.filter(|used| *used > 0).or(self.gas_used)
    }
}

impl ReceiptsWire {
    pub(in crate::wire) fn of_one(receipt: ReceiptWire) -> Self {
        Self(vec![receipt])
    }

    /// Appends the receipts of `more`.
    pub fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// Sorts the receipts into the order of these transactions: some nodes return them in another order.
    pub(in crate::wire) fn reorder_by_transactions(&mut self, txs: impl Iterator<Item = B256>) {
        let places: HashMap<B256, usize> = txs.zip(0..).collect();
        self.0.sort_by_key(|receipt| places.get(&receipt.transaction_hash).copied().unwrap_or(usize::MAX));
    }

    /// Returns the seals of the receipts, and moves the blooms out of them.
    pub(in crate::wire) fn take_seals(&mut self) -> Vec<ReceiptSeal> {
        let seal = |receipt: &mut ReceiptWire| ReceiptSeal {
            kind: receipt.kind,
            root: receipt.root,
            cumulative_gas: receipt.cumulative_gas_used,
            bloom: receipt.logs_bloom.take(),
        };
        self.0.iter_mut().map(seal).collect()
    }
}

/// Properties that all transactions of a block share.
struct Around {
    block: B256,
    base_fee: Option<u128>,
    since_jovian: bool,
    /// True if logs are numbered from 0 in each transaction instead of throughout the block.
    anew: bool,
}

/// Running totals up to a transaction.
struct Sofar<'a> {
    next_log: u64,
    /// Gas used by the block so far, as covered by its receipts root.
    gas: Option<u64>,
    lapses: &'a mut Lapses,
}

/// Omissions and deviations of a node that the block's hash can settle: the first of them, or the rule that none is
/// forgiven.
pub(in crate::wire) enum Lapses {
    /// No proof follows: every lapse is an error.
    Strict,
    /// The block is verified against its hash, and must be proven in full where there is a lapse.
    Settled(Option<ParseError>),
}

impl Lapses {
    fn note(&mut self, lapse: ParseError) -> Result<(), ParseError> {
        match self {
            Self::Strict => Err(lapse),
            Self::Settled(first) => {
                first.get_or_insert(lapse);
                Ok(())
            }
        }
    }
}

/// Returns true if every receipt numbers its logs from 0, which is visible only if two receipts have logs.
fn begins_anew(receipts: &[ReceiptWire]) -> bool {
    let mut firsts = receipts.iter().filter_map(|receipt| receipt.logs.first()).map(|log| log.log_index);
    firsts.next() == Some(Some(0)) && firsts.next() == Some(Some(0)) && firsts.all(|first| first == Some(0))
}

impl TxWire {
    fn into_tx(
        self,
        receipt: ReceiptWire,
        index: usize,
        around: &Around,
        sofar: &mut Sofar<'_>,
    ) -> Result<Tx, ParseError> {
        let wrong = |what| ParseError::Tx { index, what };
        let place = u32::try_from(index).map_err(|_| wrong("a block cannot have so many"))?;
        if self.transaction_index.is_some_and(|found| found != u64::from(place)) {
            sofar.lapses.note(wrong("its index is not its place in the block"))?;
        }
        if receipt.transaction_hash != self.hash {
            return Err(wrong("its receipt is of another transaction"));
        }
        if receipt.transaction_index.is_some_and(|found| found != u64::from(place)) {
            sofar.lapses.note(wrong("its receipt has another index"))?;
        }
        match receipt.block_hash {
            Some(block) if block == around.block => {}
            Some(_) => return Err(wrong("its receipt is of another block")),
            None => sofar.lapses.note(wrong("its receipt does not say of which block it is"))?,
        }
        let status = match receipt.status {
            Some(1) => Status::Success,
            Some(0) => Status::Reverted,
            None => Status::Unknown,
            Some(_) => return Err(wrong("its receipt has a status that is neither 0 nor 1")),
        };
        let gas_used = receipt.gas_used(sofar.gas);
        sofar.gas = receipt.cumulative_gas_used;
        let fee = fees::transaction_fee(&self.fee_inputs(&receipt, gas_used, around));
        let tip = self.priority_fee(around.base_fee, gas_used);
        // No contract can be created at the zero address: some nodes write it for none.
        let created = receipt.contract_address.filter(|created| !created.is_zero());
        let logs = receipt
            .logs
            .into_iter()
            .zip(0..)
            .map(|(log, ordinal)| log.into_numbered_log(ordinal, index, around, sofar));
        let logs = logs.collect::<Result<_, _>>()?;
        let fee = Some(fee);
        Ok(Tx { index: place, status, created, logs, fee, tip, ..self.into_tx_without_receipt(index, sofar.lapses)? })
    }

    /// Returns the inputs from which its fee is computed.
    fn fee_inputs(&self, receipt: &ReceiptWire, gas_used: Option<u64>, around: &Around) -> Charged {
        let kind = self.tx_type();
        // Since EIP-155 the signature of a legacy transaction contains the chain id.
        let by_signature = || self.v.and_then(|v| u64::try_from(v.checked_sub(35)? / 2).ok());
        let blobs = || raw(self.blob_versioned_hashes.as_deref()).map_or(0, |hex::Words(hashes)| hashes.len());
        Charged {
            chain: if kind == 0 { by_signature() } else { self.chain_id },
            kind,
            gas_limit: self.gas,
            gas_used,
            gas_price: self.gas_price,
            max_fee: self.max_fee_per_gas,
            base_fee: around.base_fee,
            effective_price: receipt.effective_gas_price,
            blobs: if kind == 3 { blobs() } else { 0 },
            max_blob_fee: self.max_fee_per_blob_gas,
            blob_price: receipt.blob_gas_price,
            n_bytes: self.input.as_ref().or(self.data.as_ref()).map_or(0, |input| input.len()),
            // Type 0x71 is zkSync's, where a paymaster may have paid.
            paid_otherwise: self.fee_currency.is_some_and(|token| !token.is_zero()) || kind == 0x71,
            extra: Extra {
                l1_fee: receipt.l1_fee,
                operator_scalar: receipt.operator_fee_scalar,
                operator_constant: receipt.operator_fee_constant,
                token_ratio: receipt.token_ratio,
            },
            since_jovian: around.since_jovian,
        }
    }

    /// Old nodes leave out the type of legacy transactions, and a few nodes leave it out of all.
    fn tx_type(&self) -> u64 {
        self.kind.unwrap_or(match self {
            Self { authorization_list: Some(_), .. } => 4,
            Self { blob_versioned_hashes: Some(_), .. } => 3,
            Self { max_fee_per_gas: Some(_), .. } => 2,
            _ => 0,
        })
    }

    /// Computes the priority fee from the signed fields, not from the price in the receipt, which no hash covers.
    /// Source: EIP-1559.
    fn priority_fee(&self, base_fee: Option<u128>, gas_used: Option<u64>) -> Option<Tip> {
        let (base_fee, gas_used) = (base_fee?, gas_used?);
        let per_gas = match (self.max_fee_per_gas, self.max_priority_fee_per_gas) {
            (Some(most), Some(tip)) => tip.min(most.saturating_sub(base_fee)),
            _ => self.gas_price?.saturating_sub(base_fee),
        };
        let paid = U256::from(per_gas).saturating_mul(U256::from(gas_used));
        Some(Tip { per_gas, paid, gas_used, base_fee })
    }

    /// Converts the transaction by itself, without a receipt.
    fn into_tx_without_receipt(self, index: usize, lapses: &mut Lapses) -> Result<Tx, ParseError> {
        let kind = self.tx_type();
        let input = self.input.or(self.data);
        if input.is_none() {
            let lapse = ParseError::Tx { index, what: "it has no input" };
            // Where the encoding of the type is unknown, no hash proves that the field was empty.
            if kind > 4 {
                return Err(lapse);
            }
            lapses.note(lapse)?;
        }
        Ok(Tx {
            hash: self.hash,
            index: 0,
            kind,
            from: self.from,
            to: self.to,
            value: self.value,
            input: input.unwrap_or_default(),
            nonce: self.nonce,
            authorizations: self.authorization_list.into_iter().flatten().map(Into::into).collect(),
            status: Status::Unknown,
            created: None,
            logs: Vec::new(),
            fee: None,
            tip: None,
            bid: self.max_fee_per_gas.or(self.gas_price),
        })
    }

    /// Returns the transaction with the fields its hash covers; `None` where a block already includes it.
    pub(in crate::wire) fn into_pending_tx(self) -> Result<Option<(Tx, TxSeal)>, ParseError> {
        if self.transaction_index.is_some() {
            return Ok(None);
        }
        let seal = self.tx_seal();
        self.into_tx_without_receipt(0, &mut Lapses::Strict).map(|tx| Some((tx, seal)))
    }

    fn tx_seal(&self) -> TxSeal {
        let access = |list: Vec<AccessWire>| list.into_iter().map(Into::into).collect();
        TxSeal {
            chain_id: self.chain_id,
            gas: self.gas,
            gas_price: self.gas_price,
            max_fee: self.max_fee_per_gas,
            max_priority_fee: self.max_priority_fee_per_gas,
            max_blob_fee: self.max_fee_per_blob_gas,
            // A missing or null list stands for an empty one; the hash shows whether it was empty.
            access_list: match self.access_list.as_deref() {
                Some(list) => raw(Some(list)).map(access),
                None => Some(Vec::new()),
            },
            blob_hashes: raw(self.blob_versioned_hashes.as_deref()).map(|hex::Words(hashes)| hashes),
            authorization_parities: self.authorization_list.iter().flatten().map(AuthorizationWire::y_parity).collect(),
            v: self.v,
            y_parity: self.y_parity,
            r: self.r,
            s: self.s,
        }
    }
}

impl AuthorizationWire {
    /// Returns the parity as signed: `v` of the first months is 27 or 28, which means 0 or 1.
    fn y_parity(&self) -> u64 {
        match (self.y_parity, self.v) {
            (Some(parity), _) => parity,
            (None, Some(v @ (27 | 28))) => v - 27,
            (None, v) => v.unwrap_or_default(),
        }
    }
}

impl LogWire {
    fn into_numbered_log(
        self,
        ordinal: u32,
        index: usize,
        around: &Around,
        sofar: &mut Sofar<'_>,
    ) -> Result<Log, ParseError> {
        let expected = if around.anew { u64::from(ordinal) } else { sofar.next_log };
        match self.log_index {
            Some(found) if found == expected => {}
            Some(found) => sofar.lapses.note(ParseError::LogIndex { expected, found })?,
            None => sofar.lapses.note(ParseError::Tx { index, what: "a log of it has no logIndex" })?,
        }
        if self.removed == Some(true) {
            return Err(ParseError::Removed(sofar.next_log));
        }
        if self.data.is_none() {
            sofar.lapses.note(ParseError::Tx { index, what: "a log of it has no data" })?;
        }
        sofar.next_log += 1;
        Ok(Log { address: self.address, topics: self.topics, data: self.data.unwrap_or_default(), ordinal })
    }
}

impl From<AuthorizationWire> for Authorization {
    fn from(wire: AuthorizationWire) -> Self {
        Self {
            chain_id: wire.chain_id,
            address: wire.address,
            nonce: wire.nonce,
            y_parity: matches!(wire.y_parity.or(wire.v), Some(1 | 28)),
            r: wire.r,
            s: wire.s,
        }
    }
}

impl From<AccessWire> for Access {
    fn from(wire: AccessWire) -> Self {
        let hex::Words(keys) = wire.storage_keys.unwrap_or_default();
        Self { address: wire.address, keys }
    }
}

impl From<WithdrawalWire> for Withdrawal {
    fn from(wire: WithdrawalWire) -> Self {
        Self { index: wire.index, validator: wire.validator_index, address: wire.address, amount: wire.amount }
    }
}

/// Parses the text; `None` if it is absent or cannot be read.
fn raw<'a, T: Deserialize<'a>>(text: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(text?.get()).ok()
}
