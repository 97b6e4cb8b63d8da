//! The whole way: a real node, real wallets, the program as it is run, and what it answers.

use crate::support::anvil::Anvil;
use crate::support::treasury::Treasury;
use crate::support::watch::{Answers, Watch};

const SILENT: &str = "[destination.pager]\nkind = \"terminal\"\n";

/// A chain on which the treasury stands, and the program pointed at it.
struct WatchedTreasury {
    anvil: Anvil,
    treasury: Treasury,
    watch: Watch,
}

impl WatchedTreasury {
    async fn new() -> Self {
        let anvil = Anvil::start().await;
        let treasury = Treasury::deploy(&anvil).await;
        let watch = Watch::treasury(&anvil.ws_url(), SILENT);
        Self { anvil, treasury, watch }
    }

    /// Watches the blocks after `before` up to the newest, with nothing remembered.
    async fn seen_since(&self, before: u64) -> Answers {
        self.watch.forget();
        let until = self.anvil.block_number().await;
        let (from, until) = ((before + 1).to_string(), until.to_string());
        self.watch.run(&["run", "--from-block", &from, "--until-block", &until])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normal_day_gives_no_finding() {
    let stage = WatchedTreasury::new().await;
    let before = stage.anvil.block_number().await;
    let steps = stage.treasury.normal_day(&stage.anvil).await;
    let seen = stage.seen_since(before).await;
    assert_eq!(seen.findings(), Vec::<String>::new(), "{}", seen.stderr);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let abnormal = seen.of("verdict").filter(|line| line["verdict"] != "normal").count();
    assert_eq!(abnormal, 0);
    // Silence is earned: every step left activities, each vouched for by something named.
    for (name, txs) in steps {
        for tx in txs {
            let tx = tx.to_string();
            let told: Vec<_> = seen.of("verdict").filter(|line| line["tx"] == tx.as_str()).collect();
            assert!(!told.is_empty(), "{name} was not seen");
            assert!(told.iter().all(|line| !line["by"].as_str().unwrap_or("").is_empty()), "{name}");
        }
    }
}

/// Runs one attack and checks that it makes exactly one incident, of this severity, owned by this watch, for this reason.
macro_rules! attacks {
    ($($(#[$doc:meta])* $name:ident: $step:expr => $expected:expr, reason $reason:expr;)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let stage = WatchedTreasury::new().await;
            let before = stage.anvil.block_number().await;
            let step: fn(WatchedTreasury) -> std::pin::Pin<Box<dyn Future<Output = WatchedTreasury>>> = $step;
            let stage = step(stage).await;
            let seen = stage.seen_since(before).await;
            assert_eq!(seen.incidents().len(), 1, "{:#?}", seen.findings());
            let findings = seen.findings();
            let expected: &[&str] = &$expected;
            for wanted in expected {
                assert!(findings.iter().any(|found| found == wanted), "no `{wanted}` in {findings:#?}");
            }
            let reasons: Vec<String> = seen
                .of("verdict")
                .filter(|line| line["finding_id"].is_string())
                .flat_map(|line| line["reasons"].as_array().cloned().unwrap_or_default())
                .filter_map(|reason| reason.as_str().map(str::to_owned))
                .collect();
            assert!(reasons.iter().any(|reason| reason.contains($reason)), "no `{}` in {reasons:#?}", $reason);
            let incident = seen.of("incident").last().expect("an incident is told");
            let loudest = expected[0].split(' ').find(|word| ["info", "warning", "high", "critical"].contains(word));
            assert_eq!(incident["severity"].as_str(), loudest, "{incident:#}");
            assert!(expected[0].starts_with(incident["watch"].as_str().unwrap_or("?")), "{incident:#}");
            assert_eq!(seen.code, 1, "{}", seen.stderr);
        }
    )*};
}

macro_rules! step {
    (|$stage:ident| $body:expr) => {
        |$stage| {
            Box::pin(async move {
                let _ = $body.await;
                $stage
            })
        }
    };
}

attacks! {
    a_delegatecall_to_unknown_code: step!(|s| s.treasury.delegatecall_to_unknown_code(&s.anvil))
        => ["Grants Safe critical builtin/delegatecall transfer"], reason "no known library";
    an_owner_swap_inside_a_batch_inside_a_safe_owned_by_a_safe: step!(|s| s.treasury.owner_swap_inside_a_nested_batch(&s.anvil))
        => ["Vault Safe critical builtin/control swapOwner"], reason "an owner is replaced";
    a_transfer_above_the_limit: step!(|s| s.treasury.transfer_above_limit(&s.anvil))
        => ["Grants Safe high builtin/unvouched transfer"], reason "grants: amount 400,000 COIN is above 50,000 COIN";
    many_small_transfers_above_the_daily_sum: step!(|s| s.treasury.many_small_transfers(&s.anvil, 20))
        => ["Grants Safe high builtin/unvouched transfer"], reason "grants: limit 153,000 COIN in 1d is above 150,000 COIN";
    an_unknown_recipient: step!(|s| s.treasury.unknown_recipient(&s.anvil))
        => ["Grants Safe high builtin/unvouched transfer"], reason "is not in @payees";
    an_unlimited_approval: step!(|s| s.treasury.unlimited_approval(&s.anvil))
        => ["Grants Safe critical builtin/approval approve"], reason "the allowance is without limit";
    a_known_function_by_an_unknown_caller: step!(|s| s.treasury.unknown_caller(&s.anvil))
        => ["Box high builtin/unvouched store"], reason "keeper-writes: from 0xBcd4042DE499D14e55001CcbB24a551F3b954096 is not in @keeper";
    a_payment_outside_the_hours: step!(|s| s.treasury.payment_at_night(&s.anvil))
        => ["Grants Safe high builtin/unvouched transfer"], reason "grants: hours Tue 03:00 is outside";
    a_change_of_controller_found_at_submission: step!(|s| s.treasury.change_controller_submitted(&s.anvil))
        => ["Founders multisig critical builtin/control changeController"], reason "controller is replaced";
    an_unknown_selector: step!(|s| s.treasury.unknown_selector(&s.anvil))
        => ["Box high builtin/undecodable 0xdeadbeef"], reason "No known function has the selector 0xdeadbeef";
    four_failed_attempts: step!(|s| s.treasury.four_failed_attempts(&s.anvil))
        => ["Box high builtin/attempt store"], reason "as 4 did within ten minutes";
    a_stranger_s_refused_attempt: step!(|s| s.treasury.unknown_caller_refused(&s.anvil))
        => ["Box info builtin/attempt store"], reason "an attempt";
    a_call_that_reverts_inside_the_safe: step!(|s| s.treasury.failure_inside_a_safe(&s.anvil))
        => ["Operations Safe warning builtin/inner-failure execTransaction"], reason "an inner call failed";
    a_batch_of_five_with_one_bad_leaf: step!(|s| s.treasury.batch_of_five_with_one_bad_leaf(&s.anvil))
        => ["Grants Safe high builtin/unvouched transfer"], reason "is not in @payees";
    a_module_that_nobody_announced: step!(|s| s.treasury.module_enabled(&s.anvil))
        => ["Operations Safe critical builtin/control enableModule"], reason "a module is enabled";
    a_module_that_pays_a_stranger: step!(|s| s.treasury.module_sends_to_a_stranger(&s.anvil))
        => ["Grants Safe critical builtin/module transfer"], reason "module-coins: to";
    a_refund_to_a_stranger: step!(|s| s.treasury.refund_to_a_stranger(&s.anvil))
        => ["Operations Safe critical builtin/refund execTransaction"], reason "pays 0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";
    coins_minted_for_a_stranger: step!(|s| s.treasury.coin_minted(&s.anvil))
        => ["Operations Safe critical builtin/control mint"], reason "tokens are minted";
}

#[tokio::test(flavor = "multi_thread")]
async fn four_leaves_of_the_batch_are_normal_and_one_is_the_finding() {
    let stage = WatchedTreasury::new().await;
    let before = stage.anvil.block_number().await;
    stage.treasury.batch_of_five_with_one_bad_leaf(&stage.anvil).await;
    let seen = stage.seen_since(before).await;
    let leaves: Vec<_> = seen
        .of("verdict")
        .filter(|line| line["watch"] == "Grants Safe" && line["activity"] == "act")
        .map(|line| (line["position"].as_str().unwrap_or("?"), line["verdict"].as_str().unwrap_or("?")))
        .collect();
    let expected = [
        ("call.0.0", "normal"),
        ("call.0.1", "normal"),
        ("call.0.2", "abnormal"),
        ("call.0.3", "normal"),
        ("call.0.4", "normal"),
    ];
    assert_eq!(leaves, expected);
}
