//! An ordinary day leaves the logs and balances that an ordinary day leaves.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent};

use crate::support::abi::{IBox, IMultiSigWallet, IPayModule, ISafe, IToken};
use crate::support::accounts::{GRANTEE, OWNER_C, PAYER, SUPPLIER};
use crate::support::anvil::{Anvil, Receipt};
use crate::support::treasury::{READY_TIME, Treasury, ether};

/// Logs that a step must leave: who logs, and topic 0.
type Expected = Vec<(Address, B256)>;

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_normal_day_succeeds_and_logs_what_it_did() {
    let anvil = Anvil::start().await;
    let treasury = Treasury::deploy(&anvil).await;
    assert_eq!(anvil.now().await, READY_TIME);
    let steps = treasury.normal_day(&anvil).await;
    assert_eq!(steps.len(), 22);
    for (name, hashes) in steps {
        let mut receipts: Vec<Receipt> = Vec::new();
        for hash in hashes {
            receipts.push(anvil.receipt(hash).await);
        }
        for receipt in &receipts {
            assert_eq!(receipt.succeeded(), name != "keeper_fails_once", "{name}");
        }
        for (emitter, topic) in expected(&treasury, name) {
            let seen = receipts.iter().any(|receipt| receipt.log(emitter, topic).is_some());
            assert!(seen, "{name}: no log {topic} of {emitter} in {receipts:#?}");
        }
        let failed = receipts.iter().flat_map(|receipt| &receipt.logs).any(|log| {
            let failures = [ISafe::ExecutionFailure::SIGNATURE_HASH, IMultiSigWallet::ExecutionFailure::SIGNATURE_HASH];
            log.topics.first().is_some_and(|topic| failures.contains(topic))
        });
        assert!(!failed, "{name}: an inner call failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payees_of_a_normal_day_have_what_the_steps_say() {
    let anvil = Anvil::start().await;
    let treasury = Treasury::deploy(&anvil).await;
    let grantee = anvil.balance(GRANTEE.address).await;
    treasury.normal_day(&anvil).await;
    // Operations 2, vault 4, the relayed batch 1, the multisig 6.
    assert_eq!(anvil.balance(GRANTEE.address).await - grantee, ether(13));
    // Three grants, 10,000 in the batch, 500 by the module.
    let coins = treasury.coin.balance(&anvil, GRANTEE.address).await;
    assert_eq!(coins, treasury.coin.units(3 * 25_000 + 10_000 + 500));
    let old_coins = treasury.old_coin.balance(&anvil, SUPPLIER.address).await;
    assert_eq!(old_coins, treasury.old_coin.units(12_000 + 20_000));
    assert_eq!(treasury.minime.balance(&anvil, PAYER.address).await, treasury.minime.units(1_100));
    let allowance = treasury.coin.allowance(&anvil, treasury.grants.address, SUPPLIER.address).await;
    assert_eq!(allowance, treasury.coin.units(10_000));
    let value = anvil.call(treasury.watched_box, IBox::valueCall {}.abi_encode()).await;
    assert_eq!(U256::from_be_slice(&value), U256::from(7));
    let vault_owners = treasury.vault.owners(&anvil).await;
    assert_eq!(vault_owners, [treasury.council.address, OWNER_C.address]);
}

fn expected(treasury: &Treasury, name: &str) -> Expected {
    let success = ISafe::ExecutionSuccess::SIGNATURE_HASH;
    let by_module = ISafe::ExecutionFromModuleSuccess::SIGNATURE_HASH;
    let moved = IToken::Transfer::SIGNATURE_HASH;
    let submitted = IMultiSigWallet::Submission::SIGNATURE_HASH;
    let executed = IMultiSigWallet::Execution::SIGNATURE_HASH;
    let Treasury { ops, grants, council, vault, multisig, petty_cash, coin, old_coin, minime, .. } = treasury;
    match name {
        "ops_pays_ether" => vec![(ops.address, success)],
        "grants_pays_ether" => vec![(grants.address, success)],
        "ops_pays_old_coins" => vec![(ops.address, success), (old_coin.address, moved)],
        "grants_pays_coins" | "grants_pays_in_a_batch" | "grants_pays_by_a_relayer" => {
            vec![(grants.address, success), (coin.address, moved)]
        }
        "grants_approves_a_bounded_sum" => {
            vec![(grants.address, success), (coin.address, IToken::Approval::SIGNATURE_HASH)]
        }
        "ops_pays_with_an_approved_hash" => {
            vec![(ops.address, ISafe::ApproveHash::SIGNATURE_HASH), (ops.address, success)]
        }
        "vault_pays_through_the_council" => vec![(vault.address, success), (council.address, success)],
        "vault_pays_with_a_contract_signature" => vec![(vault.address, success)],
        "two_safes_pay_in_one_relayed_batch" => {
            vec![(grants.address, success), (ops.address, success), (coin.address, moved)]
        }
        "module_pays_ether" => {
            vec![(grants.address, by_module), (treasury.module, IPayModule::Paid::SIGNATURE_HASH)]
        }
        "module_pays_coins" => vec![(grants.address, by_module), (coin.address, moved)],
        "multisig_pays_ether" => vec![(multisig.address, submitted), (multisig.address, executed)],
        "multisig_pays_old_coins" => vec![(multisig.address, executed), (old_coin.address, moved)],
        "petty_cash_pays_ether" => vec![(petty_cash.address, submitted), (petty_cash.address, executed)],
        "payer_pays_coins" => vec![(coin.address, moved)],
        "holder_moves_minime" => vec![(minime.address, moved)],
        "keeper_stores" => vec![(treasury.watched_box, IBox::Stored::SIGNATURE_HASH)],
        // SafeReceived(address,uint256) is not asked for: what matters is that ether arrived, which balances show.
        "supplier_deposits_ether" | "payer_pays_ether" | "keeper_fails_once" => vec![],
        other => panic!("{other} expects nothing: say what it must log"),
    }
}
