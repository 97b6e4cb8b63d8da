//! What a watcher is for. Most of these succeed on chain, which is the point: the signatures are good, the intent is not.

use alloy_primitives::{B256, Bytes, U256, hex};
use alloy_sol_types::SolCall;

use super::{SIGNERS, Step, Treasury, ether};
use crate::support::abi::{IBox, IDrain, IMiniMe, INoise, IPayModule, IPlaceholder, ISafe, IToken};
use crate::support::accounts::{
    DEPUTY, GRANTEE, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C, RELAYER, STRANGER, SUPPLIER,
};
use crate::support::anvil::{Anvil, Tx};
use crate::support::safe::SafeTx;
use crate::support::tokens::{approve, transfer, transfer_from};

const DAY_S: u64 = 86_400;

impl Treasury {
    /// Every step of this file by name, in an order in which each still works; the theft of the grants Safe is last.
    pub(crate) async fn attacks(&self, anvil: &Anvil) -> Vec<Step> {
        let mut steps = vec![
            ("transfer_above_limit", vec![self.transfer_above_limit(anvil).await]),
            ("many_small_transfers", self.many_small_transfers(anvil, 12).await),
            ("unknown_recipient", vec![self.unknown_recipient(anvil).await]),
            ("unlimited_approval", vec![self.unlimited_approval(anvil).await]),
            ("unknown_caller", vec![self.unknown_caller(anvil).await]),
            ("unknown_caller_refused", vec![self.unknown_caller_refused(anvil).await]),
            ("unknown_selector", vec![self.unknown_selector(anvil).await]),
            ("four_failed_attempts", self.four_failed_attempts(anvil).await),
            ("failure_inside_a_safe", vec![self.failure_inside_a_safe(anvil).await]),
            ("batch_of_five_with_one_bad_leaf", vec![self.batch_of_five_with_one_bad_leaf(anvil).await]),
            ("module_enabled", vec![self.module_enabled(anvil).await]),
            ("module_sends_to_a_stranger", vec![self.module_sends_to_a_stranger(anvil).await]),
            ("refund_to_a_stranger", vec![self.refund_to_a_stranger(anvil).await]),
            ("owner_swap_inside_a_nested_batch", vec![self.owner_swap_inside_a_nested_batch(anvil).await]),
            ("coin_minted", vec![self.coin_minted(anvil).await]),
            ("hostile_logs", self.hostile_logs(anvil).await),
            ("fake_safe_says_success", vec![self.fake_safe_says_success(anvil).await]),
        ];
        let (id, submitted) = self.change_controller_submitted(anvil).await;
        steps.push(("change_controller_submitted", vec![submitted]));
        steps.push(("change_controller_confirmed", vec![self.change_controller_confirmed(anvil, id).await]));
        steps.push(("controller_mints", vec![self.controller_mints(anvil).await]));
        steps.push(("controller_takes_from_a_holder", vec![self.controller_takes_from_a_holder(anvil).await]));
        steps.push(("payment_at_night", vec![self.payment_at_night(anvil).await]));
        steps.push(("delegatecall_to_unknown_code", vec![self.delegatecall_to_unknown_code(anvil).await]));
        steps.push(("stolen_safe_swept", vec![self.stolen_safe_swept(anvil).await]));
        steps
    }

    // === Money ===

    /// A grant of 400,000 coins to the right grantee.
    pub(crate) async fn transfer_above_limit(&self, anvil: &Anvil) -> B256 {
        let data = transfer(GRANTEE.address, self.coin.units(400_000));
        self.signed(anvil, &self.grants, &SafeTx::call(self.coin.address, data)).await
    }

    /// `n` grants of 9,000 coins one after the other, each below any single limit.
    pub(crate) async fn many_small_transfers(&self, anvil: &Anvil, n: usize) -> Vec<B256> {
        let data = transfer(GRANTEE.address, self.coin.units(9_000));
        let tx = SafeTx::call(self.coin.address, data);
        let mut hashes = Vec::new();
        for _ in 0..n {
            hashes.push(self.signed(anvil, &self.grants, &tx).await);
        }
        hashes
    }

    /// 1,000 coins to somebody nobody listed.
    pub(crate) async fn unknown_recipient(&self, anvil: &Anvil) -> B256 {
        let data = transfer(STRANGER.address, self.coin.units(1_000));
        self.signed(anvil, &self.grants, &SafeTx::call(self.coin.address, data)).await
    }

    /// The known supplier may suddenly draw everything.
    pub(crate) async fn unlimited_approval(&self, anvil: &Anvil) -> B256 {
        let tx = SafeTx::call(self.coin.address, approve(SUPPLIER.address, U256::MAX));
        self.signed(anvil, &self.grants, &tx).await
    }

    /// The ordinary grant, but at 03:00 UTC of the next night.
    pub(crate) async fn payment_at_night(&self, anvil: &Anvil) -> B256 {
        let next_midnight = (anvil.now().await / DAY_S + 1) * DAY_S;
        anvil.set_next_timestamp(next_midnight + 3 * 3_600).await;
        self.grants_pays_coins(anvil).await
    }

    /// Four payments as always, and one to the stranger between them.
    pub(crate) async fn batch_of_five_with_one_bad_leaf(&self, anvil: &Anvil) -> B256 {
        let payees = [GRANTEE, SUPPLIER, STRANGER, GRANTEE, SUPPLIER];
        let leaf = |(n, payee): (u64, _)| (self.coin.address, transfer(payee, self.coin.units(1_000 + n)));
        let leaves = (0_u64..).zip(payees.map(|payee| payee.address)).map(leaf);
        let batch: Vec<SafeTx> = leaves.map(|(to, data)| SafeTx::call(to, data)).collect();
        self.signed(anvil, &self.grants, &self.grants.batch(&batch)).await
    }

    /// An ordinary payment whose execution refunds the stranger: a tenth of a coin for each unit of gas, where ether
    /// would be limited by the sender's own gas price.
    pub(crate) async fn refund_to_a_stranger(&self, anvil: &Anvil) -> B256 {
        let tx = SafeTx {
            base_gas: 50_000,
            gas_price: 100_000_000_000_000_000,
            gas_token: self.coin.address,
            refund_receiver: STRANGER.address,
            ..SafeTx::pay(GRANTEE.address, ether(1))
        };
        self.signed(anvil, &self.ops, &tx).await
    }

    // === Control ===

    /// The grants Safe runs unknown code as itself, which overwrites slot 0: from now on the Safe is the drain.
    pub(crate) async fn delegatecall_to_unknown_code(&self, anvil: &Anvil) -> B256 {
        let tx = SafeTx::delegate(self.slot_thief, transfer(self.drain, U256::ZERO));
        self.signed(anvil, &self.grants, &tx).await
    }

    /// After `delegatecall_to_unknown_code`: the stranger takes all ether, without a log or a signature.
    pub(crate) async fn stolen_safe_swept(&self, anvil: &Anvil) -> B256 {
        let data = IDrain::sweepCall { to: STRANGER.address }.abi_encode();
        anvil.succeed(&Tx::call(STRANGER.address, self.grants.address, data)).await.transaction_hash
    }

    /// Council executes vault, vault executes MultiSend, and in that batch owner C becomes the stranger.
    pub(crate) async fn owner_swap_inside_a_nested_batch(&self, anvil: &Anvil) -> B256 {
        let swap = ISafe::swapOwnerCall {
            prevOwner: self.council.address,
            oldOwner: OWNER_C.address,
            newOwner: STRANGER.address,
        };
        let batch = self.vault.batch(&[
            SafeTx::call(self.coin.address, transfer(GRANTEE.address, self.coin.units(100))),
            SafeTx::call(self.vault.address, swap.abi_encode()),
        ]);
        self.through_the_council(anvil, &batch).await
    }

    /// The operations Safe enables a module that nobody announced.
    pub(crate) async fn module_enabled(&self, anvil: &Anvil) -> B256 {
        self.ops.enable_module(anvil, self.module, &[OWNER_A, OWNER_B]).await.transaction_hash
    }

    /// The known module sends the grants Safe's coins to the stranger.
    pub(crate) async fn module_sends_to_a_stranger(&self, anvil: &Anvil) -> B256 {
        let call = IPayModule::runCall {
            safe: self.grants.address,
            to: self.coin.address,
            value: U256::ZERO,
            data: transfer(STRANGER.address, self.coin.units(3_000)),
            operation: 0,
        };
        anvil.succeed(&Tx::call(KEEPER.address, self.module, call.abi_encode())).await.transaction_hash
    }

    /// A multisig owner proposes that the stranger control the MiniMe token: (id, submission).
    pub(crate) async fn change_controller_submitted(&self, anvil: &Anvil) -> (U256, B256) {
        let call = IPlaceholder::changeControllerCall { newController: STRANGER.address };
        let data: Bytes = call.abi_encode().into();
        self.multisig.submit(anvil, OWNER_A, self.placeholder, U256::ZERO, data).await
    }

    /// The second owner confirms, which executes.
    pub(crate) async fn change_controller_confirmed(&self, anvil: &Anvil, id: U256) -> B256 {
        self.multisig.confirm(anvil, OWNER_B, id).await.transaction_hash
    }

    /// After the change of controller: a million tokens for the stranger.
    pub(crate) async fn controller_mints(&self, anvil: &Anvil) -> B256 {
        let call = IMiniMe::generateTokensCall { owner: STRANGER.address, amount: self.minime.units(1_000_000) };
        anvil.succeed(&Tx::call(STRANGER.address, self.minime.address, call.abi_encode())).await.transaction_hash
    }

    /// After the change of controller: a holder's tokens move without any allowance.
    pub(crate) async fn controller_takes_from_a_holder(&self, anvil: &Anvil) -> B256 {
        let data = transfer_from(HOLDER.address, STRANGER.address, self.minime.units(5_000));
        anvil.succeed(&Tx::call(STRANGER.address, self.minime.address, data)).await.transaction_hash
    }

    /// The operations Safe, which owns the coin, makes a million new ones for the stranger.
    pub(crate) async fn coin_minted(&self, anvil: &Anvil) -> B256 {
        let call = IToken::mintCall { to: STRANGER.address, amount: self.coin.units(1_000_000) };
        self.signed(anvil, &self.ops, &SafeTx::call(self.coin.address, call.abi_encode())).await
    }

    // === The Box ===

    /// A known function by somebody who may, but whom no rule expects.
    pub(crate) async fn unknown_caller(&self, anvil: &Anvil) -> B256 {
        let data = IBox::storeCall { value: U256::from(9) }.abi_encode();
        anvil.succeed(&Tx::call(DEPUTY.address, self.watched_box, data)).await.transaction_hash
    }

    /// A known function by somebody who may not: mined with status 0.
    pub(crate) async fn unknown_caller_refused(&self, anvil: &Anvil) -> B256 {
        let data = IBox::storeCall { value: U256::from(9) }.abi_encode();
        let receipt = anvil.transact(&Tx::call(STRANGER.address, self.watched_box, data)).await;
        assert!(!receipt.succeeded(), "the stranger may not write");
        receipt.transaction_hash
    }

    /// A selector that is in no ABI; the Box's fallback takes it.
    pub(crate) async fn unknown_selector(&self, anvil: &Anvil) -> B256 {
        let data = hex!("deadbeef0000000000000000000000000000000000000000000000000000000000000001");
        anvil.succeed(&Tx::call(STRANGER.address, self.watched_box, data)).await.transaction_hash
    }

    /// The expected caller fails four times within a minute.
    pub(crate) async fn four_failed_attempts(&self, anvil: &Anvil) -> Vec<B256> {
        let mut hashes = Vec::new();
        for _ in 0..4 {
            hashes.push(self.keeper_fails_once(anvil).await);
        }
        hashes
    }

    // === Things that look different from what they are ===

    /// The operations Safe pays more coins than it has. With a safeTxGas the Safe swallows the revert: status 1 and
    /// `ExecutionFailure`.
    pub(crate) async fn failure_inside_a_safe(&self, anvil: &Anvil) -> B256 {
        let data = transfer(GRANTEE.address, self.coin.units(1_000_000_000));
        let tx = SafeTx::call(self.coin.address, data).with_safe_tx_gas(100_000);
        self.signed(anvil, &self.ops, &tx).await
    }

    /// A log without topics, one that forges a transfer of the grants Safe, and a name full of control characters.
    pub(crate) async fn hostile_logs(&self, anvil: &Anvil) -> Vec<B256> {
        let forged = INoise::forgeTransferCall {
            from: self.grants.address,
            to: STRANGER.address,
            value: self.coin.units(9_999_999),
        };
        let name = "\u{1b}[2J<script>\u{202e}@everyone\r\n\0".as_bytes();
        let calls = [
            INoise::zeroTopicsCall { data: vec![0xab; 96].into() }.abi_encode(),
            forged.abi_encode(),
            INoise::namedCall { name: [name, &[0xff, 0xfe]].concat().into() }.abi_encode(),
            INoise::fourTopicsCall {
                a: B256::right_padding_from(&IToken::transferCall::SELECTOR),
                b: self.grants.address.into_word(),
                c: STRANGER.address.into_word(),
                d: B256::ZERO,
                data: Bytes::new(),
            }
            .abi_encode(),
        ];
        let mut hashes = Vec::new();
        for call in calls {
            hashes.push(anvil.succeed(&Tx::call(STRANGER.address, self.noise, call)).await.transaction_hash);
        }
        hashes
    }

    /// A contract that is no Safe takes an execution that drains, and logs that it went well; nothing moves.
    pub(crate) async fn fake_safe_says_success(&self, anvil: &Anvil) -> B256 {
        let tx = SafeTx::call(self.coin.address, transfer(STRANGER.address, self.coin.units(10_000_000)));
        let data = self.grants.exec_calldata(&tx, 0, &SIGNERS);
        anvil.succeed(&Tx::call(RELAYER.address, self.fake_safe, data)).await.transaction_hash
    }
}
