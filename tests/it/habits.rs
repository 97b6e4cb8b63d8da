//! Noise that hides nothing, and what is unusual only by what happened before: from a watchlist's text and a node's JSON to the verdict.

use crate::support::accounts::{GRANTEE, KEEPER, PAYER, STRANGER};
use crate::support::examples::check_examples;
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, Bytes, U256, address};
use alloy_sol_types::SolCall;
use proptest::prelude::*;
use watchfire::model::Verdict;
use watchfire::model::incident::Body;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
const DESK: Address = address!("De5c000000000000000000000000000000000001");
/// Nobody the configuration names.
const NEW: Address = address!("b0B0000000000000000000000000000000001234");

/// The same ends and another middle.
fn twin(of: Address) -> Address {
    let mut twin = of;
    twin[9] ^= 0xff;
    twin
}

/// A set, a token and one watch.
fn court(label: &str, address: Address, kind: &str, more: &str) -> Court {
    Court::new(&format!(
        "[set]\npayees = [\"{}\"]\n[token.COIN]\nchain = \"demo\"\naddress = \"{COIN}\"\ndecimals = 2\n\
         [[watch]]\nlabel = \"{label}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\n\
         purpose = \"A test\"\npath = \"duty\"\n{more}\n",
        GRANTEE.address
    ))
}

/// An account that may pay anybody ether and tokens.
fn payer(more: &str) -> Court {
    let rules = "[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\n\
        [[watch.normal]]\nname = \"tokens\"\nact = \"transfer(address to, uint256 amount)\"\n";
    court("Payer", PAYER.address, "eoa", &format!("{more}\n{rules}"))
}

fn ether(to: Address, wei: u64) -> Tx {
    Tx::call(PAYER.address, to, []).value(wei)
}

fn tokens(token: Address, to: Address, amount: u64) -> Tx {
    Tx::call(PAYER.address, token, transfer(to, amount)).log(moved(token, PAYER.address, to, amount))
}

/// What the last of these blocks is told as, each `apart` seconds after the one before.
fn last(court: &mut Court, apart: u64, blocks: &[Tx]) -> String {
    let mut told = Vec::new();
    for tx in blocks {
        told = court.stands(std::slice::from_ref(tx));
        court.time += apart;
    }
    told.swap_remove(0)
}

#[test]
fn the_examples_of_the_documentation_compile_and_pass_their_own_tests() {
    check_examples("behavior.md", 7);
}

// === Noise ===

#[test]
fn a_drain_among_five_thousand_lines_of_noise_pages_once_and_nothing_is_dropped() {
    let court = court("Safe", SAFE, "safe", "");
    let noise = |token: Address, amount: u64| {
        (0..1_250).fold(Tx::call(STRANGER.address, FAKE, []), |tx, _| tx.log(moved(token, SAFE, EVIL, amount)))
    };
    let drain = noise(OTHER_TOKEN, 1_000_000).log(moved(COIN, SAFE, EVIL, 1));
    let txs = [noise(COIN, 0), drain, noise(OTHER_TOKEN, 5), noise(COIN, 0)];
    let (block, receipts) = wire(1, FRIDAY, &txs);
    let block = watchfire::wire::parse_block(&block, &receipts).unwrap();
    let judged = court.examine(&block);
    let plan = court.plan(&judged);

    let pages: Vec<_> = plan.deliveries.iter().filter(|delivery| matches!(delivery.body, Body::Page(_))).collect();
    assert_eq!(pages.len(), 1, "the path pages at `info`, and noise does not page there either");
    assert_eq!((pages[0].severity.as_str(), pages[0].destination.as_str()), ("critical", "screen"));
    let Body::Page(page) = &pages[0].body else { unreachable!() };
    assert!(page.evidence.iter().all(|evidence| evidence.rule == "builtin/outflow"), "{page:#?}");
    assert_eq!(plan.findings.len(), 5_001);
    let quiet = plan.findings.iter().filter(|finding| finding.severity.as_str() == "info").count();
    assert_eq!(quiet, 5_000);

    // A page holds a handful of samples and a finding one reason, however much there is.
    let noise = plan.incidents.iter().find(|incident| incident.origin.noise().is_some()).unwrap();
    assert_eq!((noise.findings, noise.told.len(), noise.paging), (5_000, 0, false));
    assert!(serde_json::to_string(noise).unwrap().len() < 32_768);
    assert!(plan.findings.iter().all(|finding| finding.reasons.len() <= 2));
    // Of the drain it is remembered whom it paid; of the noise nothing, so that it takes no room there.
    let remembered = judged.deltas.iter().filter(|delta| watchfire::model::state::Fact::of_rule(&delta.rule).is_none());
    assert!(remembered.count() <= 3, "{:?}", judged.deltas);
}

#[test]
fn a_token_that_nobody_knows_is_noise_until_the_subject_has_used_it() {
    let mut payer = payer("[[watch.normal]]\nname = \"approvals\"\nact = \"approve(address to, uint256 amount)\"\n");
    let stray = || Tx::call(STRANGER.address, FAKE, []).log(moved(OTHER_TOKEN, PAYER.address, EVIL, 9));
    assert_eq!(payer.told(&[stray()]), ["Payer move transfer: info builtin/poisoning"]);
    let approve = crate::support::abi::IToken::approveCall { spender: NEW, amount: U256::from(9) }.abi_encode();
    let told = payer.stands(&[Tx::call(PAYER.address, OTHER_TOKEN, approve)]);
    assert_eq!(told, ["Payer act approve: normal by approvals"]);
    assert_eq!(payer.told(&[stray()]), ["Payer move transfer: high builtin/outflow"]);
    payer.falls();
    assert_eq!(payer.told(&[stray()]), ["Payer move transfer: info builtin/poisoning"]);
}

#[test]
fn dust_from_a_look_alike_is_noise_and_from_anybody_else_is_inbound() {
    let payer = payer("");
    let from = |who: Address| Tx::call(who, COIN, transfer(PAYER.address, 1)).log(moved(COIN, who, PAYER.address, 1));
    assert_eq!(payer.told(&[from(twin(GRANTEE.address))]), ["Payer move transfer: info builtin/poisoning"]);
    assert_eq!(payer.told(&[from(GRANTEE.address)]), ["Payer move transfer: normal by builtin/inbound"]);
    assert_eq!(payer.told(&[from(STRANGER.address)]), ["Payer move transfer: normal by builtin/inbound"]);
    let wei = |who: Address| Tx::call(who, PAYER.address, []).value(1);
    assert_eq!(payer.told(&[wei(twin(GRANTEE.address))]), ["Payer call ether: info builtin/poisoning"]);
    assert_eq!(payer.told(&[wei(STRANGER.address)]), ["Payer call ether: normal by builtin/inbound"]);
}

#[test]
fn paying_a_look_alike_is_critical_whatever_a_loose_rule_lets_through() {
    let fake = twin(GRANTEE.address);
    let mut payer = payer("");
    assert_eq!(payer.told(&[ether(GRANTEE.address, 5)]), ["Payer act ether: normal by ether"]);
    assert_eq!(payer.told(&[ether(fake, 5)]), ["Payer act ether: critical builtin/look-alike"]);
    assert_eq!(
        payer.told(&[tokens(COIN, fake, 5)]),
        ["Payer act transfer: critical builtin/look-alike", "Payer move transfer: (critical builtin/look-alike)"]
    );
    // The same by an allowance that was given long ago; and the log that only claims it, which is noise.
    let stray = |amount| Tx::call(STRANGER.address, FAKE, []).log(moved(COIN, PAYER.address, fake, amount));
    assert_eq!(payer.told(&[stray(5)]), ["Payer move transfer: critical builtin/look-alike"]);
    assert_eq!(payer.told(&[stray(0)]), ["Payer move transfer: info builtin/poisoning"]);
    // What did not happen is an attempt.
    assert_eq!(payer.told(&[ether(fake, 5).reverted()]), ["Payer act ether: normal by ether"]);
    let judged = payer.judge(&[ether(fake, 5)]);
    let Verdict::Abnormal(abnormal) = &judged[0].verdict else { panic!("a finding") };
    assert_eq!(
        abnormal.reasons[0],
        format!(
            "{fake} looks like {} (@payees) and is not: their first three and last four digits are the same",
            GRANTEE.address
        )
    );
    // A payee whom a rule let through is imitated like one that has a name, until a reorg takes the payment back.
    assert_eq!(payer.told(&[ether(twin(NEW), 5)]), ["Payer act ether: normal by ether"]);
    payer.stands(&[ether(NEW, 5)]);
    assert_eq!(payer.told(&[ether(twin(NEW), 5)]), ["Payer act ether: critical builtin/look-alike"]);
    assert_eq!(payer.told(&[ether(NEW, 5)]), ["Payer act ether: normal by ether"]);
    payer.falls();
    assert_eq!(payer.told(&[ether(twin(NEW), 5)]), ["Payer act ether: normal by ether"]);
}

#[test]
fn a_rule_that_names_the_look_alike_vouches_for_it() {
    let fake = twin(GRANTEE.address);
    let exact = format!("[[watch.normal]]\nname = \"exact\"\nact = \"ether\"\nto = [\"{fake}\"]\n");
    assert_eq!(payer(&exact).told(&[ether(fake, 5)]), ["Payer act ether: normal by exact"]);
    let off = "builtins = { off = [\"builtin/look-alike\"] }";
    assert_eq!(payer(off).told(&[ether(fake, 5)]), ["Payer act ether: normal by ether"]);
}

// === A test, and then the rest ===

#[test]
fn ten_times_as_much_within_a_day_of_the_first_payment_to_somebody_new_is_a_drain() {
    let run = |apart: u64, payments: &[Tx]| last(&mut payer(""), apart, payments);
    let normal = "Payer act ether: normal by ether";
    let drain = "Payer act ether: critical builtin/test-then-drain";
    assert_eq!(run(HOUR, &[ether(NEW, 10), ether(NEW, 100)]), drain);
    assert_eq!(run(HOUR, &[ether(NEW, 10), ether(NEW, 99)]), normal, "not ten times as much");
    assert_eq!(run(DAY, &[ether(NEW, 10), ether(NEW, 100)]), normal, "a day later");
    assert_eq!(run(HOUR, &[ether(NEW, 10), ether(NEW, 20), ether(NEW, 100)]), drain);
    assert_eq!(run(HOUR, &[ether(GRANTEE.address, 10), ether(GRANTEE.address, 1_000)]), normal, "they are known");
    assert_eq!(run(HOUR, &[ether(NEW, 10).reverted(), ether(NEW, 100)]), normal, "the first one did not happen");
    // Paid before the day of the test: not new.
    assert_eq!(run(20 * HOUR, &[ether(NEW, 10), ether(NEW, 11), ether(NEW, 110)]), normal);
    let tokens_after = run(HOUR, &[tokens(COIN, NEW, 10), tokens(COIN, NEW, 100)]);
    assert_eq!(tokens_after, "Payer act transfer: critical builtin/test-then-drain");
}

#[test]
fn a_drain_that_no_rule_vouches_for_says_so_among_its_reasons() {
    let mut safe = court("Payer", PAYER.address, "eoa", "");
    safe.stands(&[ether(NEW, 1)]);
    safe.time += HOUR;
    let judged = safe.judge(&[ether(NEW, 50)]);
    let Verdict::Abnormal(abnormal) = &judged[0].verdict else { panic!("a finding") };
    assert_eq!((&*abnormal.rule, abnormal.severity.as_str()), ("builtin/test-then-drain", "critical"));
    assert!(abnormal.reasons[0].starts_with("1 h before, a payment no larger than a tenth of this was the first ever"));
}

#[test]
fn three_assets_for_one_new_address_within_an_hour_are_a_sweep() {
    let third = |apart: u64, to: Address| {
        let payments = [tokens(COIN, to, 5), tokens(OTHER_TOKEN, to, 5), ether(to, 5)];
        last(&mut payer(""), apart, &payments)
    };
    assert_eq!(third(60, NEW), "Payer act ether: critical builtin/sweep");
    assert_eq!(third(HOUR, NEW), "Payer act ether: normal by ether");
    assert_eq!(third(60, GRANTEE.address), "Payer act ether: normal by ether");
}

// === Conditions that look back ===

/// The desk, where everything is normal but what `rule` raises.
fn desk(rule: &str) -> Court {
    let calm = "[[watch.normal]]\nname = \"calm\"\ncall = \"pay(uint256)\"\n[[watch.normal]]\nname = \"look\"\ncall = \"look(uint256)\"\n";
    court("Desk", DESK, "contract", &format!("[[watch.abnormal]]\nname = \"raised\"\n{rule}\n{calm}"))
}

fn call(function: &str, by: Address, argument: u64) -> Tx {
    let selector = alloy_primitives::keccak256(format!("{function}(uint256)"));
    let data: Bytes = [&selector[..4], &U256::from(argument).to_be_bytes::<32>()].concat().into();
    Tx::call(by, DESK, data)
}

const RAISED: &str = "Desk call pay: high raised";
const CALM: &str = "Desk call pay: normal by calm";

#[test]
fn a_caller_an_argument_and_a_function_are_new_once() {
    let (keeper, stranger) = (KEEPER.address, STRANGER.address);
    let run = |what: &str, txs: &[Tx]| last(&mut desk(&format!("call = \"*\"\nfirst_seen = \"{what}\"")), 60, txs);
    assert_eq!(run("from", &[call("pay", keeper, 1)]), RAISED);
    assert_eq!(run("from", &[call("pay", keeper, 1), call("pay", keeper, 2)]), CALM);
    assert_eq!(run("from", &[call("pay", keeper, 1), call("pay", stranger, 1)]), RAISED);
    assert_eq!(run("from", &[call("pay", keeper, 1).reverted(), call("pay", keeper, 1)]), RAISED);
    assert_eq!(run("function", &[call("look", keeper, 1), call("pay", keeper, 1)]), RAISED);
    assert_eq!(run("function", &[call("pay", stranger, 1), call("pay", keeper, 1)]), CALM);
    let argument = |txs: &[Tx]| last(&mut desk("call = \"pay(uint256 id)\"\nfirst_seen = \"args.id\""), 60, txs);
    assert_eq!(argument(&[call("pay", keeper, 7), call("pay", keeper, 8)]), RAISED);
    assert_eq!(argument(&[call("pay", keeper, 7), call("pay", stranger, 7)]), CALM);
    // Both within one block: the second is no news.
    let told = desk("call = \"*\"\nfirst_seen = \"from\"").told(&[call("pay", keeper, 1), call("pay", keeper, 2)]);
    assert_eq!(told, [RAISED, CALM]);
}

#[test]
fn a_memory_that_strangers_fill_is_bounded_and_makes_the_rule_louder() {
    let mut desk = desk("call = \"*\"\nfirst_seen = \"from\"");
    let caller = |n: u16| Address::left_padding_from(&[0xca, 0x11, (n >> 8) as u8, n as u8]);
    let crowd: Vec<Tx> = (0..4_200).map(|n| call("pay", caller(n), 1)).collect();
    let before = desk.time;
    assert!(desk.stands(&crowd).iter().all(|line| line == RAISED));
    desk.time += 12;
    assert_eq!(desk.told(&[call("pay", caller(0), 1)]), [CALM], "those who found room are remembered");
    for _ in 0..2 {
        assert_eq!(desk.stands(&[call("pay", caller(4_199), 1)]), [RAISED], "whoever found none is new each time");
    }
    let (block, receipts) = wire(9, before, &crowd);
    let judged = desk.examine(&watchfire::wire::parse_block(&block, &receipts).unwrap());
    assert_eq!(judged.deltas.len(), 0, "a full memory takes nothing more");
}

#[test]
fn what_was_long_unused_is_raised_once_it_was_watched_for_as_long() {
    let run = |apart: u64, txs: &[Tx]| last(&mut desk("call = \"pay(uint256)\"\ndormant = \"90d\""), apart, txs);
    let pay = || call("pay", KEEPER.address, 1);
    let look = || call("look", KEEPER.address, 1);
    assert_eq!(run(91 * DAY, &[pay()]), CALM, "watching has only begun");
    assert_eq!(run(91 * DAY, &[look(), pay()]), RAISED, "another function is no use of this one");
    assert_eq!(run(91 * DAY, &[pay(), pay()]), RAISED);
    assert_eq!(run(89 * DAY, &[pay(), pay()]), CALM);
    assert_eq!(run(46 * DAY, &[pay(), pay(), pay()]), CALM);
    assert_eq!(run(46 * DAY, &[pay(), pay().reverted(), pay()]), RAISED, "what failed was no use");
}

#[test]
fn failures_are_counted_and_shared_by_transaction() {
    let pay = || call("pay", KEEPER.address, 1);
    let failed = || pay().reverted();
    let run =
        |rule: &str, apart: u64, txs: &[Tx]| last(&mut desk(&format!("call = \"*\"\nfailed = {rule}")), apart, txs);
    let three = "{ count = 3, per = \"1h\" }";
    assert_eq!(run(three, 60, &[failed(), failed(), failed()]), "Desk call pay: high raised");
    assert_eq!(run(three, 60, &[failed(), failed()]), CALM, "a rule vouches for an attempt");
    assert_eq!(run(three, HOUR, &[failed(), failed(), failed()]), CALM);
    assert_eq!(run(three, 60, &[failed(), failed(), failed(), pay()]), CALM, "what works is not raised");
    let half = "{ count = 2, share = \"50%\", per = \"1h\" }";
    assert_eq!(run(half, 60, &[pay(), pay(), failed(), failed()]), RAISED);
    assert_eq!(run(half, 60, &[pay(), pay(), pay(), failed(), failed()]), CALM);
    // One transaction that calls five times has failed once.
    let items = (0..5).map(|n| (0, DESK, 0, call("pay", KEEPER.address, n).input)).collect::<Vec<_>>();
    let many = Tx::call(KEEPER.address, CALL_ONLY_1_4_1, multi_send(&items)).reverted();
    assert!(!run(three, 60, &[many]).contains("raised"));
}

/// The payer, who may allow whom `rule` lets, with code of one byte at two addresses.
fn spender(rule: &str) -> Court {
    let rules =
        format!("[[watch.normal]]\nname = \"allow\"\nact = \"approve(address spender, uint256 amount)\"\n{rule}");
    payer(&rules).stands_at(NEW, [1]).stands_at(EVIL, [2]).stands_at(COIN, [3])
}

fn allow(to: Address) -> Tx {
    let data = crate::support::abi::IToken::approveCall { spender: to, amount: U256::from(5) }.abi_encode();
    Tx::call(PAYER.address, COIN, data)
}

const ALLOWED: &str = "Payer act approve: normal by allow";
const REFUSED: &str = "Payer act approve: high builtin/unvouched";

#[test]
fn code_is_known_by_its_hash_and_what_cannot_be_read_is_refused() {
    let one = alloy_primitives::keccak256([1]);
    let court = spender(&format!("code = {{ in = [\"{one}\"], of = \"args.spender\" }}"));
    assert_eq!(court.told(&[allow(NEW)]), [ALLOWED]);
    assert_eq!(court.told(&[allow(EVIL)]), [REFUSED]);
    assert_eq!(court.told(&[allow(STRANGER.address)]), [REFUSED], "the node does not say");
    let account = spender("code = { in = [\"none\"], of = \"args.spender\" }").stands_at(STRANGER.address, []);
    assert_eq!(account.told(&[allow(STRANGER.address)]), [ALLOWED]);
    assert_eq!(account.told(&[allow(NEW)]), [REFUSED]);
    // Without `of`, the other side is meant: of an act its target.
    let target = spender(&format!("code = \"{}\"", alloy_primitives::keccak256([3])));
    assert_eq!(target.told(&[allow(EVIL)]), [ALLOWED]);
}

#[test]
fn age_counts_from_the_first_dealing_with_the_same_code() {
    let rule = "age = { min = \"30d\", of = \"args.spender\" }";
    let after = |apart: u64, blocks: &[Tx]| last(&mut spender(rule), apart, blocks);
    assert_eq!(after(30 * DAY, &[allow(NEW)]), REFUSED);
    assert_eq!(after(30 * DAY, &[allow(NEW), allow(NEW)]), ALLOWED);
    assert_eq!(after(29 * DAY, &[allow(NEW), allow(NEW)]), REFUSED);
    assert_eq!(after(30 * DAY, &[allow(NEW), allow(EVIL)]), REFUSED, "another address");
    assert_eq!(after(30 * DAY, &[ether(NEW, 5), allow(NEW)]), ALLOWED, "it was paid before");
    // Whoever only sends something to the account does not grow older by it.
    let dust = Tx::call(NEW, PAYER.address, []).value(1);
    assert_eq!(after(30 * DAY, &[dust, allow(NEW)]), REFUSED);
    // Other code at the same address is another contract.
    let mut changed = spender(rule);
    changed.stands(&[allow(NEW)]);
    changed.time += 30 * DAY;
    let changed = changed.stands_at(NEW, [9]);
    assert_eq!(changed.told(&[allow(NEW)]), [REFUSED]);
    // An abnormal rule raises what is young, and what cannot be read is as young as can be.
    let young = "[[watch.abnormal]]\nname = \"young\"\nact = \"approve(address spender, uint256 amount)\"\n\
        age = { max = \"30d\", of = \"args.spender\" }\n[[watch.normal]]\nname = \"allow\"\nact = \"approve(address spender, uint256 amount)\"\n";
    let court = || payer(young).stands_at(NEW, [1]);
    assert_eq!(last(&mut court(), 30 * DAY, &[allow(NEW)]), "Payer act approve: high young");
    assert_eq!(last(&mut court(), 30 * DAY, &[allow(NEW), allow(NEW)]), ALLOWED);
    assert_eq!(last(&mut court(), 30 * DAY, &[allow(EVIL), allow(EVIL)]), "Payer act approve: high young");
}

#[test]
fn a_limit_counts_each_function_of_each_address_by_itself() {
    let limit = "limit = { count = 2, per = \"1h\" }";
    let rules = format!(
        "[[watch.normal]]\nname = \"pay\"\ncall = \"pay(uint256)\"\n{limit}\n[[watch.normal]]\nname = \"look\"\ncall = \"look(uint256)\"\n{limit}\n"
    );
    let run = |txs: &[Tx]| last(&mut court("Desk", DESK, "contract", &rules), 60, txs);
    let (pay, look) = (|| call("pay", KEEPER.address, 1), || call("look", KEEPER.address, 1));
    assert_eq!(run(&[pay(), look(), look(), pay()]), "Desk call pay: normal by pay");
    assert_eq!(run(&[pay(), pay(), look(), pay()]), "Desk call pay: high builtin/unvouched");
}

#[test]
fn a_finding_says_what_is_new_once_memory_is_a_week_old() {
    let mut desk = court(
        "Desk",
        DESK,
        "contract",
        "[[watch.normal]]\nname = \"pay\"\ncall = \"pay(uint256)\"\nargs = { \"#0\" = { max = 5 } }\n",
    );
    let reasons = |desk: &Court, by: Address| {
        let judged = desk.judge(&[call("pay", by, 9)]);
        let Verdict::Abnormal(abnormal) = &judged[0].verdict else { panic!("a finding") };
        assert_eq!(abnormal.near, abnormal.reasons.len());
        abnormal.reasons[1..].to_vec()
    };
    desk.stands(&[call("pay", KEEPER.address, 1)]);
    desk.time += 6 * DAY;
    assert_eq!(reasons(&desk, STRANGER.address), Vec::<String>::new());
    desk.time += 2 * DAY;
    assert_eq!(reasons(&desk, STRANGER.address), [format!("first time in 8 d that {} calls", STRANGER.address)]);
    assert_eq!(reasons(&desk, KEEPER.address), Vec::<String>::new());
}

// === What does not come ===

fn awaited(due: &str) -> Court {
    payer(&format!("[[watch.absent]]\nname = \"payroll\"\nact = \"ether\"\nto = \"@payees\"\n{due}\n"))
}

/// Lines of an empty block so many seconds after the last.
fn quiet(court: &mut Court, after: u64) -> Vec<String> {
    court.time += after;
    court.stands(&[])
}

const MISSING: [&str; 1] = ["Payer act payroll: high payroll"];
const NOTHING: [&str; 0] = [];

#[test]
fn what_does_not_come_is_found_once_for_each_due_time_and_goes_on_when_it_comes() {
    let mut payer = awaited("every = \"7d\"\ngrace = \"6h\"");
    assert_eq!(quiet(&mut payer, 0), NOTHING, "waiting begins with the first block");
    assert_eq!(quiet(&mut payer, 7 * DAY + 6 * HOUR), NOTHING);
    assert_eq!(quiet(&mut payer, 1), MISSING);
    assert_eq!(quiet(&mut payer, 1), NOTHING, "said once");
    // Another payee is not the payroll.
    payer.time += DAY;
    assert_eq!(payer.stands(&[ether(NEW, 5)]), ["Payer act ether: normal by ether"]);
    assert_eq!(quiet(&mut payer, 6 * DAY), MISSING, "the next due time");
    payer.stands(&[ether(GRANTEE.address, 5)]);
    assert_eq!(quiet(&mut payer, 7 * DAY + 6 * HOUR), NOTHING, "from when it came");
    assert_eq!(quiet(&mut payer, 1), MISSING);
    // Two due times pass between two blocks: the later one is told, with their number.
    payer.time += 15 * DAY;
    let judged = payer.judge(&[]);
    let Verdict::Abnormal(abnormal) = &judged[0].verdict else { panic!("a finding") };
    assert_eq!(abnormal.reasons.last().unwrap(), "payroll: 2 due times passed without it");
}

#[test]
fn what_is_due_by_the_clock_is_found_when_its_grace_is_over() {
    // Begins on Friday at 11:00 in Zurich.
    let mut payer = awaited("by = \"Fri 18:00 Europe/Zurich\"\ngrace = \"1h\"");
    assert_eq!(quiet(&mut payer, 0), NOTHING);
    assert_eq!(quiet(&mut payer, 8 * HOUR), NOTHING, "18:00 and the grace");
    assert_eq!(quiet(&mut payer, 1), MISSING);
    // It comes on Saturday: that is last week's, and the next is due all the same.
    payer.time += 12 * HOUR;
    payer.stands(&[ether(GRANTEE.address, 5)]);
    assert_eq!(quiet(&mut payer, 7 * DAY), MISSING);
    payer.stands(&[ether(GRANTEE.address, 5)]);
    payer.stands(&[ether(GRANTEE.address, 5)]);
    assert_eq!(quiet(&mut payer, 7 * DAY), NOTHING);
}

#[test]
fn a_reorg_takes_back_what_came_and_what_was_missed() {
    let mut payer = awaited("every = \"7d\"");
    quiet(&mut payer, 0);
    payer.time += 6 * DAY;
    payer.stands(&[ether(GRANTEE.address, 5)]);
    payer.falls();
    assert_eq!(quiet(&mut payer, DAY + 1), MISSING);
    payer.falls();
    payer.time -= DAY;
    payer.stands(&[ether(GRANTEE.address, 5)]);
    assert_eq!(quiet(&mut payer, DAY), NOTHING);
}

// === Reorgs ===

/// One block of a made-up life: who does what, so many seconds after the last.
#[derive(Clone, Debug)]
struct Scene {
    after: u64,
    txs: Vec<Tx>,
}

fn scene() -> impl Strategy<Value = Scene> {
    let addresses = [GRANTEE.address, twin(GRANTEE.address), NEW, twin(NEW), EVIL];
    let to = proptest::sample::select(addresses.to_vec());
    let deed = (to, prop_oneof![Just(1u64), Just(10), Just(500)], 0..4usize, any::<bool>());
    let tx = deed.prop_map(|(to, amount, what, reverted)| {
        let tx = match what {
            0 => ether(to, amount),
            1 => tokens(COIN, to, amount),
            2 => tokens(OTHER_TOKEN, to, amount),
            _ => Tx::call(STRANGER.address, FAKE, []).log(moved(OTHER_TOKEN, PAYER.address, to, amount)),
        };
        if reverted { tx.reverted() } else { tx }
    });
    let after = prop_oneof![Just(12u64), Just(HOUR), Just(DAY), Just(8 * DAY)];
    (after, proptest::collection::vec(tx, 0..4)).prop_map(|(after, txs)| Scene { after, txs })
}

/// A payer with every condition that looks back, and one that expects something.
fn retentive() -> Court {
    payer(
        "[[watch.abnormal]]\nname = \"new\"\nact = \"transfer(address to, uint256 amount)\"\nfirst_seen = [\"args.to\"]\n\
         [[watch.abnormal]]\nname = \"woken\"\nact = \"ether\"\ndormant = \"2d\"\n\
         [[watch.abnormal]]\nname = \"failing\"\nact = \"*\"\nfailed = { count = 2, share = \"50%\", per = \"1d\" }\n\
         [[watch.normal]]\nname = \"slowly\"\nact = \"ether\"\nto = \"@payees\"\npause = \"1h\"\n\
         limit = { sum = \"value\", max = \"600 wei\", per = \"7d\" }\n\
         [[watch.absent]]\nname = \"payroll\"\nact = \"ether\"\nto = \"@payees\"\nevery = \"3d\"\ngrace = \"1h\"\n",
    )
}

fn play(court: &mut Court, scenes: &[Scene]) -> Vec<Vec<String>> {
    let told = scenes.iter().map(|scene| {
        court.time += scene.after;
        court.stands(&scene.txs)
    });
    told.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever stood for a while and fell leaves nothing behind: the blocks that stand are judged as if it had never been.
    #[test]
    fn what_a_reorg_takes_away_leaves_nothing_behind(
        before in proptest::collection::vec(scene(), 0..5),
        fallen in proptest::collection::vec(scene(), 1..4),
        after in proptest::collection::vec(scene(), 1..5),
    ) {
        let (mut through, mut straight) = (retentive(), retentive());
        prop_assert_eq!(play(&mut through, &before), play(&mut straight, &before));
        let at = through.time;
        play(&mut through, &fallen);
        fallen.iter().for_each(|_| through.falls());
        through.time = at;
        prop_assert_eq!(play(&mut through, &after), play(&mut straight, &after));
    }
}
