//! Every attack does on chain what it claims, so that a watcher which says nothing has truly missed something.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};

use crate::support::abi::{IMiniMe, IPlaceholder, ISafe, IToken};
use crate::support::accounts::{GRANTEE, HOLDER, OWNER_C, STRANGER, SUPPLIER};
use crate::support::anvil::{Anvil, Receipt};
use crate::support::treasury::{READY_TIME, Treasury, ether};

async fn world() -> (Anvil, Treasury) {
    let anvil = Anvil::start().await;
    let treasury = Treasury::deploy(&anvil).await;
    (anvil, treasury)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_attacks_run_one_after_the_other_after_a_normal_day() {
    let (anvil, treasury) = world().await;
    treasury.normal_day(&anvil).await;
    let steps = treasury.attacks(&anvil).await;
    assert_eq!(steps.len(), 24);
    for (name, hashes) in steps {
        let fails = matches!(name, "unknown_caller_refused" | "four_failed_attempts");
        for hash in hashes {
            assert_eq!(anvil.receipt(hash).await.succeeded(), !fails, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegatecall_overwrites_slot_zero_without_a_log_of_it_and_the_safe_can_be_swept() {
    let (anvil, treasury) = world().await;
    let safe = treasury.grants.address;
    assert_eq!(anvil.storage(safe, U256::ZERO).await, treasury.grants.kit.singleton.into_word());
    let receipt = anvil.receipt(treasury.delegatecall_to_unknown_code(&anvil).await).await;
    assert_eq!(anvil.storage(safe, U256::ZERO).await, treasury.drain.into_word());
    let topics: Vec<_> = receipt.logs.iter().map(|log| log.topics[0]).collect();
    assert_eq!(topics, [ISafe::ExecutionSuccess::SIGNATURE_HASH], "an ordinary success is all that is logged");

    let swept = anvil.receipt(treasury.stolen_safe_swept(&anvil).await).await;
    assert!(swept.logs.is_empty());
    assert_eq!(anvil.balance(safe).await, U256::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_swap_deep_inside_changes_an_owner_of_the_vault() {
    let (anvil, treasury) = world().await;
    let receipt = anvil.receipt(treasury.owner_swap_inside_a_nested_batch(&anvil).await).await;
    let owners = treasury.vault.owners(&anvil).await;
    assert!(owners.contains(&STRANGER.address) && !owners.contains(&OWNER_C.address));
    for topic in [ISafe::AddedOwner::SIGNATURE_HASH, ISafe::RemovedOwner::SIGNATURE_HASH] {
        assert!(receipt.log(treasury.vault.address, topic).is_some());
    }
    assert!(receipt.log(treasury.council.address, ISafe::ExecutionSuccess::SIGNATURE_HASH).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_that_swallows_a_revert_logs_the_failure_under_status_one() {
    let (anvil, treasury) = world().await;
    let receipt = anvil.receipt(treasury.failure_inside_a_safe(&anvil).await).await;
    assert!(receipt.succeeded());
    assert!(receipt.log(treasury.ops.address, ISafe::ExecutionFailure::SIGNATURE_HASH).is_some());
    assert!(receipt.log(treasury.ops.address, ISafe::ExecutionSuccess::SIGNATURE_HASH).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_where_no_rule_expects_it() {
    let (anvil, treasury) = world().await;
    let coin = &treasury.coin;
    let moved = async |hash: B256| transfers(&anvil.receipt(hash).await, coin.address);

    let above = moved(treasury.transfer_above_limit(&anvil).await).await;
    assert_eq!(above, [(GRANTEE.address, coin.units(400_000))]);
    let unknown = moved(treasury.unknown_recipient(&anvil).await).await;
    assert_eq!(unknown, [(STRANGER.address, coin.units(1_000))]);
    for hash in treasury.many_small_transfers(&anvil, 3).await {
        assert_eq!(moved(hash).await, [(GRANTEE.address, coin.units(9_000))]);
    }
    let batch = moved(treasury.batch_of_five_with_one_bad_leaf(&anvil).await).await;
    let payees: Vec<Address> = batch.iter().map(|(payee, _)| *payee).collect();
    let [good, other, bad] = [GRANTEE.address, SUPPLIER.address, STRANGER.address];
    assert_eq!(payees, [good, other, bad, good, other]);

    treasury.unlimited_approval(&anvil).await;
    assert_eq!(coin.allowance(&anvil, treasury.grants.address, SUPPLIER.address).await, U256::MAX);
    let before = coin.balance(&anvil, STRANGER.address).await;
    treasury.refund_to_a_stranger(&anvil).await;
    assert!(coin.balance(&anvil, STRANGER.address).await > before + coin.units(5_000), "the refund is a payment");
    let supply = coin.total_supply(&anvil).await;
    treasury.coin_minted(&anvil).await;
    assert_eq!(coin.total_supply(&anvil).await, supply + coin.units(1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_at_night_is_the_same_payment_at_another_hour() {
    let (anvil, treasury) = world().await;
    let by_day = anvil.receipt(treasury.grants_pays_coins(&anvil).await).await;
    let by_night = anvil.receipt(treasury.payment_at_night(&anvil).await).await;
    // 2026-11-03 03:00:00 UTC, seventeen hours after the treasury stood ready.
    assert_eq!(anvil.now().await, READY_TIME + 17 * 3_600);
    let coin = treasury.coin.address;
    assert_eq!(transfers(&by_day, coin), transfers(&by_night, coin));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_changes_without_a_log_of_the_token_and_then_owns_everything() {
    let (anvil, treasury) = world().await;
    let token = &treasury.minime;
    let (id, submitted) = treasury.change_controller_submitted(&anvil).await;
    let proposal = anvil.receipt(submitted).await;
    assert!(proposal.logs.iter().all(|log| log.address == treasury.multisig.address), "only proposed so far");
    let controller = async || anvil.call(token.address, IMiniMe::controllerCall {}.abi_encode()).await;
    assert_eq!(controller().await.to_vec(), treasury.placeholder.abi_encode());

    let confirmed = anvil.receipt(treasury.change_controller_confirmed(&anvil, id).await).await;
    assert_eq!(controller().await.to_vec(), STRANGER.address.abi_encode());
    assert!(confirmed.logs.iter().all(|log| log.address != token.address), "the token itself is silent");
    let told = confirmed.log(treasury.placeholder, IPlaceholder::ControllerChanged::SIGNATURE_HASH);
    assert!(told.is_some());

    treasury.controller_mints(&anvil).await;
    let held = token.balance(&anvil, HOLDER.address).await;
    treasury.controller_takes_from_a_holder(&anvil).await;
    assert_eq!(token.balance(&anvil, HOLDER.address).await, held - token.units(5_000));
    assert_eq!(token.balance(&anvil, STRANGER.address).await, token.units(1_005_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_box_meets_callers_and_selectors_nobody_listed() {
    let (anvil, treasury) = world().await;
    assert!(anvil.receipt(treasury.unknown_caller(&anvil).await).await.succeeded());
    assert!(!anvil.receipt(treasury.unknown_caller_refused(&anvil).await).await.succeeded());
    assert!(anvil.receipt(treasury.unknown_selector(&anvil).await).await.logs.is_empty());
    let attempts = treasury.four_failed_attempts(&anvil).await;
    assert_eq!(attempts.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_contracts_lie_without_moving_anything() {
    let (anvil, treasury) = world().await;
    let mut receipts = Vec::new();
    for hash in treasury.hostile_logs(&anvil).await {
        receipts.push(anvil.receipt(hash).await);
    }
    let topics: Vec<usize> = receipts.iter().map(|receipt| receipt.logs[0].topics.len()).collect();
    assert_eq!(topics, [0, 3, 1, 4]);
    let forged = transfers(&receipts[1], treasury.noise);
    assert_eq!(forged[0].0, STRANGER.address);

    let fake = anvil.receipt(treasury.fake_safe_says_success(&anvil).await).await;
    assert!(fake.log(treasury.fake_safe, ISafe::ExecutionSuccess::SIGNATURE_HASH).is_some());
    assert_eq!(treasury.coin.balance(&anvil, STRANGER.address).await, U256::ZERO);
    assert_eq!(anvil.balance(treasury.grants.address).await, ether(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_act_without_any_signature() {
    let (anvil, treasury) = world().await;
    let enabled = anvil.receipt(treasury.module_enabled(&anvil).await).await;
    assert!(enabled.log(treasury.ops.address, ISafe::EnabledModule::SIGNATURE_HASH).is_some());
    let sent = anvil.receipt(treasury.module_sends_to_a_stranger(&anvil).await).await;
    let by_module = ISafe::ExecutionFromModuleSuccess::SIGNATURE_HASH;
    assert!(sent.log(treasury.grants.address, by_module).is_some());
    assert_eq!(transfers(&sent, treasury.coin.address)[0].0, STRANGER.address);
}

/// Recipients and amounts of every `Transfer` that `token` logged, in order.
fn transfers(receipt: &Receipt, token: Address) -> Vec<(Address, U256)> {
    let logs = receipt.logs.iter().filter(|log| log.address == token);
    logs.filter(|log| log.topics.first() == Some(&IToken::Transfer::SIGNATURE_HASH))
        .map(|log| (Address::from_word(log.topics[2]), U256::from_be_slice(&log.data)))
        .collect()
}
