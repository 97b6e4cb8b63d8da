//! An account with code (ERC-4337): operations through EntryPoint 0.7, paid for by the account itself, and an allowance that somebody uses.

use super::abi::{IModular, IRelay};
use super::life::{Life, Town, bytes};
use crate::support::abi::IToken;
use crate::support::accounts::{DEPLOYER, GRANTEE, OWNER_A, RELAYER, STRANGER, SUPPLIER};
use crate::support::operations::{ENTRY_POINTS, IEntryPoint07, packed};
use crate::support::tokens::Token;
use crate::support::treasury::ether;
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::json;

pub(super) struct Account {
    pub(super) address: Address,
    dollar: Token,
    /// Of the next operation.
    nonce: u64,
}

/// EntryPoint 0.7.
const ENTRY_POINT: Address = ENTRY_POINTS[1].1;

impl Account {
    pub(super) async fn open(life: &mut Life, town: &Town) -> Self {
        let made = life.makes("EntryPoint-0.7", []).await;
        let code = life.anvil.code(made).await;
        life.anvil.rpc("anvil_setCode", json!([ENTRY_POINT, code])).await;
        let address = life.makes("ModularAccount", OWNER_A.address.abi_encode()).await;
        let dollar = town.dollar;
        life.sends(&Tx::pay(DEPLOYER.address, address, ether(50))).await;
        dollar.mint(&life.anvil, DEPLOYER.address, address, dollar.units(100_000)).await;
        let allow = bytes(&IToken::approveCall { spender: SUPPLIER.address, amount: dollar.units(1_000) });
        let allowed = IModular::executeCall { dest: dollar.address, value: U256::ZERO, func: allow };
        life.does(OWNER_A, address, allowed).await;
        Self { address, dollar, nonce: 0 }
    }

    pub(super) async fn day(&mut self, life: &mut Life) {
        let (payee, dollar) = (GRANTEE.address, self.dollar);
        let pay = IModular::executeCall { dest: payee, value: ether(1), func: Bytes::new() };
        self.operates(life, pay).await;
        let send = bytes(&IToken::transferCall { to: payee, amount: dollar.units(200) });
        let sends = IModular::executeCall { dest: dollar.address, value: U256::ZERO, func: send.clone() };
        self.operates(life, sends).await;
        let both = IModular::executeBatchCall {
            dest: vec![payee, dollar.address],
            value: vec![ether(1), U256::ZERO],
            func: vec![Bytes::new(), send],
        };
        self.operates(life, both).await;
        let take = IToken::transferFromCall { from: self.address, to: SUPPLIER.address, amount: dollar.units(100) };
        life.does(SUPPLIER, dollar.address, take).await;
        life.sends(&Tx::pay(DEPLOYER.address, self.address, ether(2))).await;
        let refund = IToken::mintCall { to: self.address, amount: dollar.units(5) };
        life.does(DEPLOYER, dollar.address, refund).await;
    }

    /// An operation that the owner signed.
    async fn operates(&mut self, life: &mut Life, call: impl SolCall) -> B256 {
        let mut op = packed(self.address, self.nonce, call.abi_encode());
        self.nonce += 1;
        let ask = IEntryPoint07::getUserOpHashCall { op: op.clone() }.abi_encode();
        let hash = B256::from_slice(&life.anvil.call(ENTRY_POINT, ask).await);
        let prefix = b"\x19Ethereum Signed Message:\n32".as_slice();
        op.signature = OWNER_A.sign(keccak256([prefix, hash.as_slice()].concat())).to_vec().into();
        let bundle = IEntryPoint07::handleOpsCall { ops: vec![op], beneficiary: RELAYER.address };
        life.does(RELAYER, ENTRY_POINT, bundle).await
    }

    /// Somebody has the key, installs a module, and sends through that.
    pub(super) async fn theft(&mut self, life: &mut Life, town: &Town) -> Vec<B256> {
        let installed = self.operates(life, IModular::installModuleCall { module: town.relay }).await;
        let send = IModular::executeFromModuleCall { dest: STRANGER.address, value: ether(3), func: Bytes::new() };
        let pass = IRelay::passCall { to: self.address, value: U256::ZERO, data: bytes(&send) };
        let sent = life.does(STRANGER, town.relay, pass).await;
        vec![installed, sent]
    }
}
