//! Memory of a subject's past, beside the limits of its rules: its payees, its callers, and the contracts and functions
//! that it used. Two findings about payments come from it: a test payment followed by a drain, and a sweep of all
//! assets to one new address.
//!
//! Memory is part of the windows: it is committed with its block, and a reorg removes it. It holds no addresses that
//! the configuration names, since those are known, and at most [`MET_MAX`] entries of each sort for each watch.

use super::baseline::{CODES, with_code};
use super::builtin::{DefaultFinding, SWEEP, TEST_THEN_DRAIN, finding_with_reason};
use super::history::MET_MAX;
use super::noise::{as_address, as_amount, lasting_window_name, mentioned_addresses};
use super::rule::WatchRules;
use super::rule_result::Windows;
use crate::model::activity::Note;
use crate::model::span;
use crate::model::{Activity, ActivityKind, Decoding, Fate, Severity, Stage, Verdict, Voucher};
use alloy_primitives::{Address, U256};
use std::sync::{Arc, LazyLock};

/// Payees that a rule vouched for. An address that looks like one of them is meant to attract their payments.
static PAID: LazyLock<Arc<str>> = LazyLock::new(|| lasting_window_name("paid"));
/// Payees, whatever the verdict on the payment was.
static PAYEES: LazyLock<Arc<str>> = LazyLock::new(|| lasting_window_name("payee"));
/// Callers of the subject.
static CALLERS: LazyLock<Arc<str>> = LazyLock::new(|| lasting_window_name("caller"));
/// Selectors that were called on the subject, or that it called.
static FUNCTIONS: LazyLock<Arc<str>> = LazyLock::new(|| lasting_window_name("function"));
/// Contracts that the subject called.
static CONTRACTS: LazyLock<Arc<str>> = LazyLock::new(|| lasting_window_name("contract"));

/// Time in seconds within which a payment after a test payment counts as a drain: 24 hours, the longest distance
/// observed between the two.
pub(crate) const TEST_WINDOW: u64 = 86_400;
/// Least ratio of a drain to the test payment before it. A ratio below an order of magnitude is usual for payments in
/// parts.
const TEST_RATIO: u64 = 10;
/// Time in seconds within which different assets that leave for one new address count as a sweep: an hour.
const SWEEP_WINDOW: u64 = 3_600;
/// Number of different assets that make a sweep.
const SWEEP_ASSETS: usize = 3;
/// Age of memory in seconds below which first meetings are not reported, because nearly everything is met for the first
/// time: seven days.
const NEWS_AFTER: u64 = 7 * 86_400;

/// Value that leaves the subject.
struct Payment {
    /// Zero for ether.
    asset: Address,
    to: Address,
    amount: U256,
}

/// Returns whether the subject is remembered to have called `contract`.
pub(crate) fn has_called(contract: Address, rules: &WatchRules, windows: &Windows<'_>) -> bool {
    windows.has_entry(rules.address, &CONTRACTS, as_amount(&contract))
}

/// Payees of the subject that a rule vouched for.
pub(crate) fn vouched_payees(rules: &WatchRules, windows: &Windows<'_>) -> impl Iterator<Item = Address> {
    windows.amounts(rules.address, &PAID).map(as_address)
}

/// Returns the default finding that memory supports against a payment to an address that the configuration does not
/// name.
pub(crate) fn payment_risk_finding(
    activity: &Activity,
    rules: &WatchRules,
    windows: &Windows<'_>,
) -> Option<DefaultFinding> {
    if matches!(activity.fate, Fate::Reverted | Fate::Unconfirmed) {
        return None;
    }
    let payment = payment_to_unnamed(activity, rules)?;
    let on = |name| !rules.builtins_off.contains(name);
    if on(TEST_THEN_DRAIN)
        && let Some((when, first)) = windows.entries_within(rules.address, &test_key(&payment), TEST_WINDOW).next()
        && payment.amount >= first.saturating_mul(U256::from(TEST_RATIO))
    {
        let why = format!(
            "{} before, a payment no larger than a tenth of this was the first ever to {}: a test, and then the rest",
            span::format_duration(windows.now.saturating_sub(when)),
            payment.to
        );
        return Some(finding_with_reason(TEST_THEN_DRAIN, Severity::Critical, why));
    }
    let mut assets: Vec<U256> =
        windows.entries_within(rules.address, &sweep_key(&payment), SWEEP_WINDOW).map(|(_, asset)| asset).collect();
    assets.push(as_amount(&payment.asset));
    assets.sort_unstable();
    assets.dedup();
    (on(SWEEP) && assets.len() >= SWEEP_ASSETS).then(|| {
        let why = format!(
            "{} different assets left for {} within an hour, and it was never paid before",
            assets.len(),
            payment.to
        );
        finding_with_reason(SWEEP, Severity::Critical, why)
    })
}

/// Returns the novelties of an activity, one sentence each; empty while memory is young or full.
pub(crate) fn describe_novelty(activity: &Activity, rules: &WatchRules, windows: &Windows<'_>) -> Vec<String> {
    let mut news = Vec::new();
    let mut tell = |key: &Arc<str>, amount: U256, what: String| {
        let Some(began) = windows.history.first_entry_time(rules.address, key) else { return };
        let age = windows.now.saturating_sub(began);
        let full = windows.len(rules.address, key) >= MET_MAX;
        if age >= NEWS_AFTER && !full && !windows.has_entry(rules.address, key, amount) {
            news.push(format!("first time in {} that {what}", span::format_duration(age)));
        }
    };
    if activity.kind == ActivityKind::Call && !rules.familiar.is_named(&activity.from) {
        tell(&CALLERS, as_amount(&activity.from), format!("{} calls", activity.from));
    }
    if let Some(payment) = payment_to_unnamed(activity, rules) {
        tell(&PAYEES, as_amount(&payment.to), format!("{} is paid", payment.to));
    }
    if let Some(selector) = selector_entry(activity) {
        tell(&FUNCTIONS, selector, format!("{} is used", activity.deed.signature));
    }
    news
}

/// Returns the entries to remember of an activity that ran: windows, each with its entry.
pub(crate) fn first_seen_entries(
    activity: &Activity,
    verdict: &Verdict,
    rules: &WatchRules,
    windows: &Windows<'_>,
) -> Vec<(Arc<str>, U256)> {
    if activity.fate != Fate::Executed || activity.stage != Stage::Included {
        return Vec::new();
    }
    let by_rule = matches!(verdict, Verdict::Normal { by: Voucher::Rule(_) });
    let noise = matches!(verdict, Verdict::Abnormal(abnormal) if abnormal.is_noise());
    let free = matches!(verdict, Verdict::Normal { by: Voucher::Builtin(_) });
    // Dust and view calls are not worth room in memory.
    if noise || free {
        return Vec::new();
    }
    let mut lessons = Vec::new();
    let mut meet = |key: &Arc<str>, amount: U256| {
        let known = windows.has_entry(rules.address, key, amount) || windows.len(rules.address, key) >= MET_MAX;
        if !known && !lessons.contains(&(Arc::clone(key), amount)) {
            lessons.push((Arc::clone(key), amount));
        }
        !known
    };
    let stranger =
        |address: &Address| !rules.familiar.is_named(address) && *address != rules.address && !address.is_zero();
    if activity.kind == ActivityKind::Call && stranger(&activity.from) {
        meet(&CALLERS, as_amount(&activity.from));
    }
    if let Some(selector) = selector_entry(activity) {
        meet(&FUNCTIONS, selector);
    }
    if activity.kind == ActivityKind::Act {
        if let (Some(to), Some(_)) = (activity.to, activity.deed.selector) {
            meet(&CONTRACTS, as_amount(&to));
        }
        for note in &activity.notes {
            if let Note::Code { of, hash } = note {
                meet(&CODES, with_code(*of, *hash));
            }
        }
        if by_rule {
            for address in mentioned_addresses(activity).iter().filter(|address| stranger(address)) {
                meet(&PAID, as_amount(address));
            }
        }
    }
    let Some(payment) = payment_to_unnamed(activity, rules) else { return lessons };
    if by_rule {
        meet(&PAID, as_amount(&payment.to));
    }
    let first = meet(&PAYEES, as_amount(&payment.to));
    let sweep = sweep_key(&payment);
    if first {
        lessons.push((test_key(&payment), payment.amount));
    }
    // An address that was first paid within the hour is still a new one.
    let asset = as_amount(&payment.asset);
    let left: Vec<U256> = windows.entries_within(rules.address, &sweep, SWEEP_WINDOW).map(|(_, asset)| asset).collect();
    if (first || !left.is_empty()) && !left.contains(&asset) {
        lessons.push((sweep, asset));
    }
    lessons
}

/// Returns the payment, if ether or tokens leave the subject for an address that the configuration does not name.
fn payment_to_unnamed(activity: &Activity, rules: &WatchRules) -> Option<Payment> {
    let args = &activity.deed.args;
    let address = |at: usize| args.get(at).and_then(|arg| arg.value.as_address());
    let uint = |at: usize| args.get(at).and_then(|arg| arg.value.as_uint());
    let payment = match (activity.kind, &*activity.deed.signature) {
        (ActivityKind::Act, _) if !activity.value.is_zero() || activity.deed.decoding == Decoding::Ether => {
            Payment { asset: Address::ZERO, to: activity.to?, amount: activity.value }
        }
        (ActivityKind::Act, "transfer(address,uint256)") => {
            Payment { asset: activity.to?, to: address(0)?, amount: uint(1)? }
        }
        (ActivityKind::Act, "transferFrom(address,address,uint256)") if address(0) == Some(rules.address) => {
            Payment { asset: activity.to?, to: address(1)?, amount: uint(2)? }
        }
        (ActivityKind::Move, "transfer") if activity.from == rules.address => {
            let asset = address(0).filter(|token| rules.known_tokens.contains(token))?;
            Payment { asset, to: activity.to?, amount: uint(3)? }
        }
        _ => return None,
    };
    let stranger = !rules.familiar.is_named(&payment.to) && payment.to != rules.address && !payment.to.is_zero();
    (stranger && !payment.amount.is_zero()).then_some(payment)
}

fn selector_entry(activity: &Activity) -> Option<U256> {
    let called = matches!(activity.kind, ActivityKind::Act | ActivityKind::Call);
    activity.deed.selector.filter(|_| called).map(|selector| U256::from(u32::from_be_bytes(selector)))
}

/// Returns the name of the window of the first payment of an asset to a payee. It is pruned with the limits' windows.
fn test_key(payment: &Payment) -> Arc<str> {
    format!("builtin/test:{:x}:{:x}", payment.asset, payment.to).into()
}

/// Returns the name of the window of the assets that a new payee received. It is pruned with the limits' windows.
fn sweep_key(payment: &Payment) -> Arc<str> {
    format!("builtin/sweep:{:x}", payment.to).into()
}
