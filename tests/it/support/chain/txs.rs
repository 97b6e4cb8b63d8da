//! Signed transactions of every type, out of thin air. Who sends, with which nonce and which of two variants decide all there
//! is to a transaction, so that a fork can hold the same one again, another one in its place, or none.

use crate::support::accounts::{ALL, Account};
use alloy_consensus::{
    EthereumTxEnvelope, SignableTransaction, Transaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

pub(crate) type Envelope = EthereumTxEnvelope<TxEip4844>;

/// The chain that all of them are made for.
pub(crate) const CHAIN_ID: u64 = 1;
/// Accounts that send, the first of those with a known key.
pub(crate) const SENDERS: usize = 8;
/// Different transactions that one account could send with one nonce.
pub(crate) const VARIANTS: u64 = 2;

/// The type that nobody knows yet.
pub(crate) const UNKNOWN_TYPE: u8 = 0x7e;

/// A transaction, and what a node would say of it, apart from where it was included.
#[derive(Clone, Debug)]
pub(crate) struct SignedTx {
    pub(crate) from: Address,
    pub(crate) tx: Envelope,
    pub(crate) kind: u8,
    pub(crate) hash: B256,
    /// What goes into the trie.
    pub(crate) raw: Bytes,
    pub(crate) json: Value,
}

impl SignedTx {
    /// The same deed as a transaction of a type that nobody knows: what is in its bytes is anybody's guess, and a node says of it
    /// only what it says of any.
    pub(crate) fn of_unknown_type(&self) -> Self {
        let mut items = Vec::new();
        self.hash.encode(&mut items);
        match self.tx.to() {
            Some(to) => to.encode(&mut items),
            None => items.push(EMPTY_STRING_CODE),
        }
        self.tx.value().encode(&mut items);
        self.tx.input().encode(&mut items);
        let mut raw = vec![UNKNOWN_TYPE];
        alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut raw);
        raw.append(&mut items);
        let raw = Bytes::from(raw);
        let mut json = self.json.clone();
        let fields = json.as_object_mut().expect("a transaction is an object");
        let common = ["nonce", "gas", "to", "value", "input"];
        fields.retain(|field, _| common.contains(&field.as_str()));
        fields.insert("type".to_owned(), format!("{UNKNOWN_TYPE:#x}").into());
        fields.insert("hash".to_owned(), serde_json::json!(keccak256(&raw)));
        fields.insert("sourceHash".to_owned(), serde_json::json!(self.hash));
        Self { kind: UNKNOWN_TYPE, hash: keccak256(&raw), raw, json, ..self.clone() }
    }
}

/// The transaction of this sender with this nonce; there are [`VARIANTS`] of each. Signed once in a process.
pub(crate) fn signed(sender: usize, nonce: u64, variant: u64) -> Arc<SignedTx> {
    type Cache = Mutex<HashMap<(usize, u64, u64), Arc<SignedTx>>>;
    static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);
    let mut cache = CACHE.lock().expect("signing does not panic");
    let made = cache.entry((sender, nonce, variant)).or_insert_with(|| Arc::new(make(sender, nonce, variant)));
    made.clone()
}

fn make(sender: usize, nonce: u64, variant: u64) -> SignedTx {
    let account = &ALL[sender];
    let seed = keccak256([&(sender as u64).to_be_bytes()[..], &nonce.to_be_bytes(), &variant.to_be_bytes()].concat());
    let pick = |at: usize, of: usize| usize::from(seed[at]) % of;
    let (value, to) = (U256::from(seed[1]) << pick(0, 60), party(pick(2, 12)));
    // From nothing at all to calldata longer than a word.
    let input = Bytes::copy_from_slice(&seed.repeat(3)[..pick(3, 97)]);
    let (max_fee_per_gas, max_priority_fee_per_gas, gas_limit) = (40_000_000_000, 1_000_000_000, 300_000);
    let items = |n: usize| -> AccessList {
        let item = |n: usize| AccessListItem { address: party(n), storage_keys: vec![seed; n] };
        AccessList((0..n).map(item).collect())
    };
    let access_list = items(pick(4, 3));
    let kind = if pick(5, 8) == 0 { TxKind::Create } else { TxKind::Call(to) };
    let chain_id = CHAIN_ID;
    let tx: Envelope = match (nonce + variant + sender as u64) % 6 {
        // From before EIP-155: its signature names no chain.
        0 => {
            let gas_price = max_fee_per_gas;
            sign(account, TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to: kind, value, input })
        }
        1 => {
            let (chain_id, gas_price) = (Some(chain_id), max_fee_per_gas);
            sign(account, TxLegacy { chain_id, nonce, gas_price, gas_limit, to: kind, value, input })
        }
        2 => {
            let gas_price = max_fee_per_gas;
            sign(account, TxEip2930 { chain_id, nonce, gas_price, gas_limit, to: kind, value, input, access_list })
        }
        3 => sign(
            account,
            TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: kind,
                value,
                access_list,
                input,
            },
        ),
        4 => {
            // The first byte is the version of KZG commitments, EIP-4844.
            let blob = |n: u8| B256::new(std::array::from_fn(|at| if at == 0 { 1 } else { seed[at] ^ n }));
            let blob_versioned_hashes = (0..=pick(6, 3) as u8).map(blob).collect();
            sign(
                account,
                TxEip4844 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list,
                    blob_versioned_hashes,
                    max_fee_per_blob_gas: 1_000,
                    input,
                },
            )
        }
        _ => {
            let authorities = [&ALL[(sender + 1) % SENDERS], &ALL[(sender + 2) % SENDERS]];
            let authorization_list = authorities.iter().take(1 + pick(6, 2)).enumerate().map(|(n, authority)| {
                // Chain 0 stands for any chain, address 0 takes a delegation back.
                let address = if seed[7] & 1 == 0 { Address::ZERO } else { party(n) };
                let chain_id = U256::from(chain_id * (seed[8] & 1) as u64);
                let authorization = Authorization { chain_id, address, nonce };
                let signature = signature(authority, authorization.signature_hash());
                authorization.into_signed(signature)
            });
            let authorization_list = authorization_list.collect();
            sign(
                account,
                TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list,
                    authorization_list,
                    input,
                },
            )
        }
    };
    let json = serde_json::to_value(&tx).expect("a transaction is JSON");
    let (kind, hash, raw) = (tx.tx_type() as u8, *tx.tx_hash(), tx.encoded_2718().into());
    SignedTx { from: account.address, tx, kind, hash, raw, json }
}

/// One of the contracts that everybody calls.
pub(crate) fn party(n: usize) -> Address {
    Address::left_padding_from(&[0xc0, n as u8])
}

fn sign<T: SignableTransaction<Signature>>(account: &Account, tx: T) -> Envelope
where
    Envelope: From<alloy_consensus::Signed<T>>,
{
    let signature = signature(account, tx.signature_hash());
    tx.into_signed(signature).into()
}

fn signature(account: &Account, hash: B256) -> Signature {
    Signature::from_raw_array(&account.sign(hash)).expect("r, s and v")
}
