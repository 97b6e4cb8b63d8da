//! What happens on an ordinary day. Every step succeeds but the last, in which the keeper stumbles once.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;

use super::{SIGNERS, Step, Treasury, ether};
use crate::support::abi::{IBox, ISafe};
use crate::support::accounts::{GRANTEE, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C, PAYER, RELAYER, SUPPLIER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::safe::{Safe, SafeTx, Signer, module_payment, multi_send_calldata};
use crate::support::tokens::{approve, transfer};

/// Coins of one ordinary grant.
pub(crate) const GRANT_COINS: u64 = 25_000;

impl Treasury {
    /// Every step of this file in order, by name.
    pub(crate) async fn normal_day(&self, anvil: &Anvil) -> Vec<Step> {
        vec![
            ("ops_pays_ether", vec![self.ops_pays_ether(anvil).await]),
            ("grants_pays_ether", vec![self.grants_pays_ether(anvil).await]),
            ("ops_pays_old_coins", vec![self.ops_pays_old_coins(anvil).await]),
            ("grants_pays_coins", vec![self.grants_pays_coins(anvil).await]),
            ("grants_pays_in_a_batch", vec![self.grants_pays_in_a_batch(anvil).await]),
            ("grants_approves_a_bounded_sum", vec![self.grants_approves_a_bounded_sum(anvil).await]),
            ("ops_pays_with_an_approved_hash", self.ops_pays_with_an_approved_hash(anvil).await),
            ("vault_pays_through_the_council", vec![self.vault_pays_through_the_council(anvil).await]),
            ("vault_pays_with_a_contract_signature", vec![self.vault_pays_with_a_contract_signature(anvil).await]),
            ("grants_pays_by_a_relayer", vec![self.grants_pays_by_a_relayer(anvil).await]),
            ("two_safes_pay_in_one_relayed_batch", vec![self.two_safes_pay_in_one_relayed_batch(anvil).await]),
            ("module_pays_ether", vec![self.module_pays_ether(anvil).await]),
            ("module_pays_coins", vec![self.module_pays_coins(anvil).await]),
            ("supplier_deposits_ether", vec![self.supplier_deposits_ether(anvil).await]),
            ("multisig_pays_ether", self.multisig_pays_ether(anvil).await),
            ("multisig_pays_old_coins", self.multisig_pays_old_coins(anvil).await),
            ("petty_cash_pays_ether", vec![self.petty_cash_pays_ether(anvil).await]),
            ("payer_pays_ether", vec![self.payer_pays_ether(anvil).await]),
            ("payer_pays_coins", vec![self.payer_pays_coins(anvil).await]),
            ("holder_moves_minime", vec![self.holder_moves_minime(anvil).await]),
            ("keeper_stores", vec![self.keeper_stores(anvil).await]),
            ("keeper_fails_once", vec![self.keeper_fails_once(anvil).await]),
        ]
    }

    /// Safe 1.3.0: 2 ether to the grantee.
    pub(crate) async fn ops_pays_ether(&self, anvil: &Anvil) -> B256 {
        self.signed(anvil, &self.ops, &SafeTx::pay(GRANTEE.address, ether(2))).await
    }

    /// Safe 1.4.1: 1 ether to the supplier.
    pub(crate) async fn grants_pays_ether(&self, anvil: &Anvil) -> B256 {
        self.signed(anvil, &self.grants, &SafeTx::pay(SUPPLIER.address, ether(1))).await
    }

    /// Safe 1.3.0: 12,000 old coins (which return nothing) to the supplier.
    pub(crate) async fn ops_pays_old_coins(&self, anvil: &Anvil) -> B256 {
        let data = transfer(SUPPLIER.address, self.old_coin.units(12_000));
        self.signed(anvil, &self.ops, &SafeTx::call(self.old_coin.address, data)).await
    }

    /// Safe 1.4.1: 25,000 coins to the grantee.
    pub(crate) async fn grants_pays_coins(&self, anvil: &Anvil) -> B256 {
        self.signed(anvil, &self.grants, &self.grant()).await
    }

    /// Safe 1.4.1 through MultiSend: coins to the grantee and the supplier, ether to the supplier.
    pub(crate) async fn grants_pays_in_a_batch(&self, anvil: &Anvil) -> B256 {
        let batch = self.grants.batch(&[
            SafeTx::call(self.coin.address, transfer(GRANTEE.address, self.coin.units(10_000))),
            SafeTx::call(self.coin.address, transfer(SUPPLIER.address, self.coin.units(4_000))),
            SafeTx::pay(SUPPLIER.address, ether(1)),
        ]);
        self.signed(anvil, &self.grants, &batch).await
    }

    /// Safe 1.4.1: the supplier may draw 10,000 coins.
    pub(crate) async fn grants_approves_a_bounded_sum(&self, anvil: &Anvil) -> B256 {
        let data = approve(SUPPLIER.address, self.coin.units(10_000));
        self.signed(anvil, &self.grants, &SafeTx::call(self.coin.address, data)).await
    }

    /// Owner C approves the hash on chain, owner A signs and sends: [approval, execution].
    pub(crate) async fn ops_pays_with_an_approved_hash(&self, anvil: &Anvil) -> Vec<B256> {
        let tx = SafeTx::pay(SUPPLIER.address, ether(3));
        let hash = self.ops.hash(&tx, self.ops.nonce(anvil).await);
        let approve = ISafe::approveHashCall { hashToApprove: hash };
        let approval = anvil.succeed(&Tx::call(OWNER_C.address, self.ops.address, approve.abi_encode())).await;
        let signers = [Signer::Key(OWNER_A), Signer::Approved(OWNER_C.address)];
        let execution = self.ops.exec(anvil, OWNER_A, &tx, &signers).await;
        vec![approval.transaction_hash, execution.transaction_hash]
    }

    /// The council Safe sends the vault's execution itself, which is its agreement; owner C signed.
    pub(crate) async fn vault_pays_through_the_council(&self, anvil: &Anvil) -> B256 {
        self.through_the_council(anvil, &SafeTx::pay(GRANTEE.address, ether(4))).await
    }

    /// The relayer sends the vault's execution; the council agrees by a contract signature of its own owners.
    pub(crate) async fn vault_pays_with_a_contract_signature(&self, anvil: &Anvil) -> B256 {
        let keys = [OWNER_A, OWNER_B];
        let signers = [Signer::Contract(&self.council, &keys), Signer::Key(OWNER_C)];
        let tx = SafeTx::pay(SUPPLIER.address, ether(1));
        self.vault.exec(anvil, RELAYER, &tx, &signers).await.transaction_hash
    }

    /// An ordinary grant that a third party sends.
    pub(crate) async fn grants_pays_by_a_relayer(&self, anvil: &Anvil) -> B256 {
        self.grants.exec(anvil, RELAYER, &self.grant(), &SIGNERS).await.transaction_hash
    }

    /// The relayer calls MultiSendCallOnly directly; inside are executions of two Safes.
    pub(crate) async fn two_safes_pay_in_one_relayed_batch(&self, anvil: &Anvil) -> B256 {
        let payment = SafeTx::pay(GRANTEE.address, ether(1));
        let mut executions = Vec::new();
        for (safe, tx) in [(&self.grants, &self.grant()), (&self.ops, &payment)] {
            let nonce = safe.nonce(anvil).await;
            executions.push(SafeTx::call(safe.address, safe.exec_calldata(tx, nonce, &SIGNERS)));
        }
        let batcher = self.grants.kit.multi_send_call_only;
        let tx = Tx::call(RELAYER.address, batcher, multi_send_calldata(&executions));
        anvil.succeed(&tx).await.transaction_hash
    }

    /// The keeper lets the module pay 1 ether from the grants Safe.
    pub(crate) async fn module_pays_ether(&self, anvil: &Anvil) -> B256 {
        let data = module_payment(self.grants.address, Address::ZERO, SUPPLIER.address, ether(1));
        anvil.succeed(&Tx::call(KEEPER.address, self.module, data)).await.transaction_hash
    }

    /// The keeper lets the module pay 500 coins from the grants Safe.
    pub(crate) async fn module_pays_coins(&self, anvil: &Anvil) -> B256 {
        let data = module_payment(self.grants.address, self.coin.address, GRANTEE.address, self.coin.units(500));
        anvil.succeed(&Tx::call(KEEPER.address, self.module, data)).await.transaction_hash
    }

    /// 7 ether come in.
    pub(crate) async fn supplier_deposits_ether(&self, anvil: &Anvil) -> B256 {
        anvil.succeed(&Tx::pay(SUPPLIER.address, self.ops.address, ether(7))).await.transaction_hash
    }

    /// Legacy multisig, 6 ether to the grantee: [submission, confirmation].
    pub(crate) async fn multisig_pays_ether(&self, anvil: &Anvil) -> Vec<B256> {
        let (id, submitted) = self.multisig.submit(anvil, OWNER_A, GRANTEE.address, ether(6), Bytes::new()).await;
        vec![submitted, self.multisig.confirm(anvil, OWNER_B, id).await.transaction_hash]
    }

    /// Legacy multisig, 20,000 old coins to the supplier: [submission, confirmation].
    pub(crate) async fn multisig_pays_old_coins(&self, anvil: &Anvil) -> Vec<B256> {
        let data = transfer(SUPPLIER.address, self.old_coin.units(20_000));
        let (id, submitted) = self.multisig.submit(anvil, OWNER_A, self.old_coin.address, U256::ZERO, data).await;
        vec![submitted, self.multisig.confirm(anvil, OWNER_B, id).await.transaction_hash]
    }

    /// Under the daily limit the submission executes at once: 1 ether to the supplier.
    pub(crate) async fn petty_cash_pays_ether(&self, anvil: &Anvil) -> B256 {
        self.petty_cash.submit(anvil, OWNER_A, SUPPLIER.address, ether(1), Bytes::new()).await.1
    }

    /// A watched account, 1 ether to the supplier.
    pub(crate) async fn payer_pays_ether(&self, anvil: &Anvil) -> B256 {
        anvil.succeed(&Tx::pay(PAYER.address, SUPPLIER.address, ether(1))).await.transaction_hash
    }

    /// A watched account, 200 coins to the supplier.
    pub(crate) async fn payer_pays_coins(&self, anvil: &Anvil) -> B256 {
        let data = transfer(SUPPLIER.address, self.coin.units(200));
        anvil.succeed(&Tx::call(PAYER.address, self.coin.address, data)).await.transaction_hash
    }

    /// A MiniMe holder sends 100 tokens to the payer; nothing that concerns the controller.
    pub(crate) async fn holder_moves_minime(&self, anvil: &Anvil) -> B256 {
        let data = transfer(PAYER.address, self.minime.units(100));
        anvil.succeed(&Tx::call(HOLDER.address, self.minime.address, data)).await.transaction_hash
    }

    /// The expected caller writes 7 into the Box.
    pub(crate) async fn keeper_stores(&self, anvil: &Anvil) -> B256 {
        let data = IBox::storeCall { value: U256::from(7) }.abi_encode();
        anvil.succeed(&Tx::call(KEEPER.address, self.watched_box, data)).await.transaction_hash
    }

    /// The expected caller writes zero, which the Box refuses: mined with status 0.
    pub(crate) async fn keeper_fails_once(&self, anvil: &Anvil) -> B256 {
        let data = IBox::storeCall { value: U256::ZERO }.abi_encode();
        let receipt = anvil.transact(&Tx::call(KEEPER.address, self.watched_box, data)).await;
        assert!(!receipt.succeeded(), "the Box takes no zero");
        receipt.transaction_hash
    }

    /// 25,000 coins to the grantee.
    pub(super) fn grant(&self) -> SafeTx {
        SafeTx::call(self.coin.address, transfer(GRANTEE.address, self.coin.units(GRANT_COINS)))
    }

    /// Owners A and B sign, owner A sends.
    pub(super) async fn signed(&self, anvil: &Anvil, safe: &Safe, tx: &SafeTx) -> B256 {
        safe.exec(anvil, OWNER_A, tx, &SIGNERS).await.transaction_hash
    }

    /// The council executes the vault's execution of `tx`.
    pub(super) async fn through_the_council(&self, anvil: &Anvil, tx: &SafeTx) -> B256 {
        let signers = [Signer::Approved(self.council.address), Signer::Key(OWNER_C)];
        let inner = self.vault.exec_calldata(tx, self.vault.nonce(anvil).await, &signers);
        self.signed(anvil, &self.council, &SafeTx::call(self.vault.address, inner)).await
    }
}
