//! Accounts that an EntryPoint drives (ERC-4337): the published EntryPoints where they stand on every chain, accounts behind proxies, and
//! operations that their owner signed.
#![allow(unreachable_pub, clippy::too_many_arguments, reason = "sol! writes this code")]

use super::accounts::{DEPLOYER, OWNER_A, RELAYER};
use super::anvil::{Anvil, Tx};
use super::contracts::deploy;
use super::treasury::ether;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use serde_json::json;

sol! {
    #[derive(Default)]
    struct UserOperation {
        address sender; uint256 nonce; bytes initCode; bytes callData;
        uint256 callGasLimit; uint256 verificationGasLimit; uint256 preVerificationGas;
        uint256 maxFeePerGas; uint256 maxPriorityFeePerGas; bytes paymasterAndData; bytes signature;
    }
    #[derive(Default)]
    struct PackedUserOperation {
        address sender; uint256 nonce; bytes initCode; bytes callData; bytes32 accountGasLimits;
        uint256 preVerificationGas; bytes32 gasFees; bytes paymasterAndData; bytes signature;
    }
    interface IEntryPoint06 {
        function handleOps(UserOperation[] ops, address beneficiary);
        function getUserOpHash(UserOperation op) returns (bytes32);
    }
    interface IEntryPoint07 {
        function handleOps(PackedUserOperation[] ops, address beneficiary);
        function getUserOpHash(PackedUserOperation op) returns (bytes32);
        function depositTo(address account) payable;
    }
    interface IAccount {
        function initialize(address owner);
        function execute(address dest, uint256 value, bytes func);
    }
}

/// The published EntryPoints, and where each stands on every chain.
pub(crate) const ENTRY_POINTS: [(&str, Address); 3] = [
    ("0.6", address!("5FF137D4b0FDCD49DcA30c7CF57E578a026d2789")),
    ("0.7", address!("0000000071727De22E5E9d8BAf0edAc6f37da032")),
    ("0.8", address!("4337084D9E255Ff0702461CF8895CE9E3b5Ff108")),
];

const GAS: u64 = 300_000;
/// In wei.
pub(crate) const GWEI: u64 = 1_000_000_000;
/// Wei that operations offer for a unit of gas, unless they say otherwise.
const FEE: u64 = 3 * GWEI;
/// Gas that an operation has counted beside what it uses.
const COUNTED: u64 = 50_000;

/// An EntryPoint where it stands on every chain, and an account behind a proxy that the owner signs for.
pub(crate) struct Desk {
    version: &'static str,
    pub(crate) entry: Address,
    pub(crate) account: Address,
    nonce: u64,
    /// Wei that operations offer for a unit of gas.
    pub(crate) fee: u64,
    /// Gas that operations have counted beside what they use.
    pub(crate) counted: u64,
}

impl Desk {
    pub(crate) async fn open(anvil: &Anvil, (version, entry): (&'static str, Address)) -> Self {
        let from = DEPLOYER.address;
        let made = deploy(anvil, from, &format!("EntryPoint-{version}"), []).await;
        let code = anvil.code(made).await;
        anvil.rpc("anvil_setCode", json!([entry, code])).await;
        let simple = deploy(anvil, from, &format!("SimpleAccount-{version}"), entry.abi_encode()).await;
        let initialize = Bytes::from(IAccount::initializeCall { owner: OWNER_A.address }.abi_encode());
        let account = deploy(anvil, from, "ERC1967Proxy", (simple, initialize).abi_encode_params()).await;
        anvil.succeed(&Tx::pay(from, account, ether(9))).await;
        Self { version, entry, account, nonce: 0, fee: FEE, counted: COUNTED }
    }

    /// A bundle of one operation that asks the account to pay.
    pub(crate) async fn pays(&mut self, anvil: &Anvil, to: Address) -> Vec<u8> {
        let call = IAccount::executeCall { dest: to, value: ether(1), func: Bytes::new() }.abi_encode();
        self.does(anvil, call).await
    }

    /// A bundle of one operation with this calldata for the account.
    pub(crate) async fn does(&mut self, anvil: &Anvil, call: Vec<u8>) -> Vec<u8> {
        let nonce = self.nonce;
        self.nonce += 1;
        match self.version {
            "0.6" => {
                let mut op = UserOperation {
                    sender: self.account,
                    nonce: U256::from(nonce),
                    callData: call.into(),
                    callGasLimit: U256::from(GAS),
                    verificationGasLimit: U256::from(GAS),
                    preVerificationGas: U256::from(self.counted),
                    maxFeePerGas: U256::from(self.fee),
                    maxPriorityFeePerGas: U256::from(self.fee),
                    ..UserOperation::default()
                };
                let hash = IEntryPoint06::getUserOpHashCall { op: op.clone() }.abi_encode();
                op.signature = self.signed(anvil, hash).await;
                IEntryPoint06::handleOpsCall { ops: vec![op], beneficiary: RELAYER.address }.abi_encode()
            }
            _ => {
                let mut op = priced(packed(self.account, nonce, call), self.fee);
                op.preVerificationGas = U256::from(self.counted);
                let hash = IEntryPoint07::getUserOpHashCall { op: op.clone() }.abi_encode();
                op.signature = self.signed(anvil, hash).await;
                IEntryPoint07::handleOpsCall { ops: vec![op], beneficiary: RELAYER.address }.abi_encode()
            }
        }
    }

    /// What the owner signs of the operation whose hash the EntryPoint tells when it is asked like this.
    async fn signed(&self, anvil: &Anvil, ask: Vec<u8>) -> Bytes {
        let hash = B256::from_slice(&anvil.call(self.entry, ask).await);
        // From 0.8 on the hash is one of EIP-712 itself.
        let prefix = b"\x19Ethereum Signed Message:\n32".as_slice();
        let hash = if self.version == "0.8" { hash } else { keccak256([prefix, hash.as_slice()].concat()) };
        OWNER_A.sign(hash).to_vec().into()
    }
}

/// An operation as EntryPoints take it from 0.7 on, not signed yet, at three gwei for a unit of gas.
pub(crate) fn packed(sender: Address, nonce: u64, call: Vec<u8>) -> PackedUserOperation {
    let op = PackedUserOperation {
        sender,
        nonce: U256::from(nonce),
        callData: call.into(),
        accountGasLimits: pair(GAS, GAS),
        preVerificationGas: U256::from(COUNTED),
        ..PackedUserOperation::default()
    };
    priced(op, FEE)
}

/// The same for so many wei for a unit of gas, all of it for whoever brings the operation.
pub(crate) fn priced(op: PackedUserOperation, fee: u64) -> PackedUserOperation {
    PackedUserOperation { gasFees: pair(fee, fee), ..op }
}

fn pair(high: u64, low: u64) -> B256 {
    B256::from(U256::from(high) << 128 | U256::from(low))
}
