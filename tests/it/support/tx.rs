//! A transaction before it is sent and what it leaves behind.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::{Value, json};

/// Gas for calls. A fixed limit keeps the node from estimating, so that a transaction that reverts is mined too.
const GAS_CALL: u64 = 5_000_000;
/// Gas for deployments; the largest here needs 4.6 million.
const GAS_CREATE: u64 = 12_000_000;

/// Fee of a numbered transaction per unit of gas: ten gwei, ten times what the first block asks for.
const FEE: &str = "0x2540be400";

/// A transaction to be sent from any account the node has unlocked or impersonates.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    pub(crate) from: Address,
    /// `None` creates a contract.
    pub(crate) to: Option<Address>,
    /// Wei.
    pub(crate) value: U256,
    pub(crate) data: Bytes,
    pub(crate) gas: u64,
    /// With a nonce the fee is fixed too, so that the same words make the same transaction in whichever block.
    pub(crate) nonce: Option<u64>,
}

impl Tx {
    /// A call with `data` and no ether.
    pub(crate) fn call(from: Address, to: Address, data: impl Into<Bytes>) -> Self {
        Self { from, to: Some(to), value: U256::ZERO, data: data.into(), gas: GAS_CALL, nonce: None }
    }

    /// Ether and nothing else; `value` in wei.
    pub(crate) fn pay(from: Address, to: Address, value: U256) -> Self {
        Self { from, to: Some(to), value, data: Bytes::new(), gas: GAS_CALL, nonce: None }
    }

    /// A new contract from its init code, constructor arguments included.
    pub(crate) fn create(from: Address, init_code: impl Into<Bytes>) -> Self {
        Self { from, to: None, value: U256::ZERO, data: init_code.into(), gas: GAS_CREATE, nonce: None }
    }

    /// The same with ether, in wei.
    pub(crate) fn with_value(self, value: U256) -> Self {
        Self { value, ..self }
    }

    /// The same as the sender's transaction number `nonce`, at a fixed fee.
    pub(crate) fn numbered(self, nonce: u64) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// As `eth_sendTransaction` and `eth_call` take it.
    pub(crate) fn json(&self) -> Value {
        let mut tx = json!({
            "from": self.from,
            "value": self.value,
            "data": self.data,
            "gas": format!("{:#x}", self.gas),
        });
        if let Some(to) = self.to {
            tx["to"] = json!(to);
        }
        if let Some(nonce) = self.nonce {
            tx["nonce"] = json!(format!("{nonce:#x}"));
            tx["gasPrice"] = json!(FEE);
        }
        tx
    }
}

/// What a mined transaction left behind.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    status: U256,
    pub(crate) block_hash: B256,
    pub(crate) block_number: U256,
    pub(crate) contract_address: Option<Address>,
    pub(crate) gas_used: U256,
    pub(crate) logs: Vec<Log>,
}

impl Receipt {
    /// Status 1. A Safe that swallowed an inner revert succeeds too.
    pub(crate) fn succeeded(&self) -> bool {
        self.status == U256::ONE
    }

    /// The first log of `emitter` whose topic 0 is `topic`.
    pub(crate) fn log(&self, emitter: Address, topic: B256) -> Option<&Log> {
        self.logs.iter().find(|log| log.address == emitter && log.topics.first() == Some(&topic))
    }
}

/// One log of a receipt.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
}
