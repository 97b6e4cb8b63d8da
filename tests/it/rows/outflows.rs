//! Tokens that leave by an allowance, listed or not, and tokens that only say so: what is believed is the balance of whoever uses the
//! token, and nothing that a stranger's contract says makes anybody wake up.

use super::{CaseChain, Row, Seen, book, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, PAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::kit::Version;
use crate::support::safe::{SafeTx, Signer};
use crate::support::tokens::{Token, approve, transfer, transfer_from};
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, sol};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Mutex;
use watchfire::classify::History;
use watchfire::model::BlockRef;
use watchfire::model::Severity::{Critical, High, Info, Warning};
use watchfire::model::read::{Answer, HOLDING_READS_MAX, Read};
use watchfire::pipeline::{Reader, examine_block};
use watchfire::source::Pool;

pub(super) const ROWS: &[&Row] = &[&T9, &T9_PART, &T9_PAST, &T9_SWARM, &T9_LIAR, &T9_FORGED, &T9_OWN, &T9_DENIED];

sol! {
    interface ILiar {
        function say(uint256 held, uint256 allowance_);
        function move(address from, address to, uint256 value, uint256 held);
        function repeat(address from, address to, uint256 value, uint256 held, uint256 times);
        function allow(address owner, address spender, uint256 value);
        function spawn(uint256 n, address from, address to);
    }

    interface IPortraits {
        function mint(address to, uint256 id);
        function setApprovalForAll(address operator, bool approved);
        function safeTransferFrom(address from, address to, uint256 tokenId);
    }
}

/// Allowances for whomever, and calls of a token that says whatever it is told.
const LOOSE: &str = "[[watch.normal]]\nname = \"allowances\"\nact = \"approve(address to, uint256 amount)\"\n\
    [[watch.normal]]\nname = \"operators\"\nact = \"setApprovalForAll(address operator, bool approved)\"\n\
    [[watch.normal]]\nname = \"play\"\nact = \"move(address from, address to, uint256 value, uint256 held)\"\n";
/// Every movement, with a severity that a stranger's token must not get.
const MOVES: &str = "[[watch.normal]]\nname = \"moves\"\nmove = \"out\"\nargs = { to = \"0x00000000000000000000000000000000000000DE\" }\nseverity = \"critical\"\n";

fn listed(token: &Token) -> String {
    format!("[token.COIN]\nchain = \"demo\"\naddress = \"{}\"\ndecimals = 18\n", token.address)
}

fn payer(rules: &str) -> String {
    watch("eoa", PAYER.address, rules)
}

/// A chain on which the payer holds a hundred coins.
async fn purse() -> (CaseChain, Token) {
    let stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, PAYER.address, coin.units(100)).await;
    (stage, coin)
}

/// The payer lets the stranger take all, and the stranger takes so many.
async fn drain(stage: &CaseChain, coin: &Token, n: u64) {
    let taken = transfer_from(PAYER.address, STRANGER.address, coin.units(n));
    stage.send(STRANGER.address, coin.address, taken).await;
}

async fn allow(stage: &CaseChain, coin: &Token) {
    stage.send(PAYER.address, coin.address, approve(STRANGER.address, coin.units(1_000))).await;
}

const T9: Row = Row {
    id: "T9",
    finds: "most of a token that nobody lists leaves by an allowance that a rule vouched for",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "the allowance alone",
};

const T9_PART: Row = Row {
    id: "T9-part",
    finds: "a part of it leaves by that allowance",
    by: "builtin/outflow",
    severity: High,
    incidents: 1,
    beside: "the allowance alone",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_subject_approved_leaves_by_the_allowance() {
    for traces in [true, false] {
        let (mut stage, coin) = purse().await;
        if !traces {
            stage.without_traces();
        }
        stage.begin().await;
        allow(&stage, &coin).await;
        for list in [String::new(), listed(&coin)] {
            stage.is_quiet(&T9, &(list + &payer(LOOSE))).await;
        }
        drain(&stage, &coin, 40).await;
        for list in [String::new(), listed(&coin)] {
            stage.finds(&T9_PART, &(list + &payer(LOOSE))).await;
        }
        drain(&stage, &coin, 50).await;
        for list in [String::new(), listed(&coin)] {
            let seen = stage.finds(&T9, &(list + &payer(LOOSE))).await;
            assert_eq!(reasons(&seen, "outflow").len(), 2, "{:#?}", seen.findings);
        }
    }
}

const T9_PAST: Row = Row {
    id: "T9-past",
    finds: "a token that nobody lists leaves by an allowance that was given before anybody watched",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "a transfer of nothing out of the same token",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_subject_approved_long_ago_leaves_by_the_allowance() {
    let (mut stage, coin) = purse().await;
    allow(&stage, &coin).await;
    for traces in [true, false] {
        if !traces {
            stage.without_traces();
        }
        stage.begin().await;
        drain(&stage, &coin, 0).await;
        let seen = stage.seen(&payer("")).await;
        assert_eq!(seen.incidents, [Info], "noise: {:#?}", seen.lines);
        stage.begin().await;
        drain(&stage, &coin, if traces { 60 } else { 39 }).await;
        stage.finds(&T9_PAST, &payer("")).await;
        // Who obtained it by its own act is told apart from whom it was sent to as well.
        coin.mint(&stage.anvil, DEPLOYER.address, PAYER.address, coin.units(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_safe_approved_leaves_by_the_allowance_with_or_without_ids() {
    let (mut stage, safe) = CaseChain::with_safe(Version::V1_4_1, &[OWNER_A.address], 1).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, safe.address, coin.units(100)).await;
    let portraits = deploy(&stage.anvil, KEEPER.address, "Portraits", []).await;
    let mint = IPortraits::mintCall { to: safe.address, id: U256::from(7) }.abi_encode();
    stage.send(KEEPER.address, portraits, mint).await;
    let everything = IPortraits::setApprovalForAllCall { operator: STRANGER.address, approved: true }.abi_encode();
    for (token, data) in [(coin.address, approve(STRANGER.address, coin.units(100)).to_vec()), (portraits, everything)]
    {
        safe.exec(&stage.anvil, OWNER_A, &SafeTx::call(token, data), &[Signer::Key(OWNER_A)]).await;
    }
    let rules = watch("safe", safe.address, "registry = { threshold = 1 }\n");
    let id = U256::from(7);
    let takes = [
        (coin.address, transfer_from(safe.address, STRANGER.address, coin.units(99)).to_vec()),
        (
            portraits,
            IPortraits::safeTransferFromCall { from: safe.address, to: STRANGER.address, tokenId: id }.abi_encode(),
        ),
    ];
    for (token, data) in takes {
        stage.when(STRANGER.address, token, data).await;
        let seen = stage.seen(&rules).await;
        assert_eq!(seen.findings.len(), 1, "{:#?}", seen.lines);
        assert!(seen.findings[0].ends_with("critical builtin/outflow"), "{:#?}", seen.findings);
    }
}

const T9_LIAR: Row = Row {
    id: "T9-liar",
    finds: "a token that the subject never used says that the balance fell, however often it says so",
    by: "builtin/poisoning",
    severity: Warning,
    incidents: 2,
    beside: "its logs without a word about the balance, which are noise",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_subject_never_used_is_at_most_a_warning() {
    let (mut stage, _) = purse().await;
    let liar = deploy(&stage.anvil, STRANGER.address, "Liar", []).await;
    stage
        .send(STRANGER.address, liar, ILiar::sayCall { held: U256::from(900), allowance_: U256::MAX }.abi_encode())
        .await;
    let (from, to, value, times) = (PAYER.address, STRANGER.address, U256::from(5), U256::from(40));
    let claim = ILiar::repeatCall { from, to, value, held: U256::from(100), times };
    stage.when(STRANGER.address, liar, claim.abi_encode()).await;
    // Whoever asks for a louder word about what moves has not asked for it of a stranger's token.
    for rules in ["", MOVES] {
        let seen = stage.finds(&T9_LIAR, &payer(rules)).await;
        let warnings = seen.findings.iter().filter(|line| line.ends_with("warning builtin/poisoning")).count();
        assert_eq!((warnings, seen.findings.len()), (1, 40), "one says it for all: {:#?}", seen.findings);
    }
    let allow = ILiar::allowCall { owner: from, spender: to, value: U256::MAX };
    stage.when(STRANGER.address, liar, allow.abi_encode()).await;
    assert_eq!(stage.seen(&payer("")).await.incidents, [Warning]);
}

const T9_FORGED: Row = Row {
    id: "T9-forged",
    finds: "a contract that is no token logs that something left",
    by: "builtin/poisoning",
    severity: Info,
    incidents: 1,
    beside: "what the subject sends itself, by a rule",
};

#[tokio::test(flavor = "multi_thread")]
async fn what_no_balance_bears_out_is_noise() {
    let (mut stage, coin) = purse().await;
    let noise = deploy(&stage.anvil, STRANGER.address, "Noise", []).await;
    let liar = deploy(&stage.anvil, STRANGER.address, "Liar", []).await;
    let (from, to, value) = (PAYER.address, STRANGER.address, U256::from(5));
    let forged = crate::support::abi::INoise::forgeTransferCall { from, to, value }.abi_encode();
    stage.when(STRANGER.address, noise, forged).await.finds(&T9_FORGED, &payer("")).await;
    let claimed = ILiar::moveCall { from, to, value, held: U256::ZERO }.abi_encode();
    stage.when(STRANGER.address, liar, claimed).await.finds(&T9_FORGED, &payer("")).await;
    let allow = ILiar::allowCall { owner: from, spender: to, value: U256::MAX };
    stage.when(STRANGER.address, liar, allow.abi_encode()).await.finds(&T9_FORGED, &payer("")).await;
    let rule = "[[watch.normal]]\nname = \"pays\"\nact = \"transfer(address to, uint256 amount)\"\n";
    stage.when(PAYER.address, coin.address, transfer(GRANTEE.address, coin.units(90))).await;
    stage.is_quiet(&T9_FORGED, &payer(rule)).await;
}

const T9_OWN: Row = Row {
    id: "T9-own",
    finds: "in the subject's own transaction, which a rule vouches for, a token that nobody lists leaves",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "a call of the same function that moves nothing of the subject's",
};

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_in_the_subject_s_own_transaction_is_never_noise() {
    for traces in [true, false] {
        let (mut stage, _) = purse().await;
        if !traces {
            stage.without_traces();
        }
        let liar = deploy(&stage.anvil, STRANGER.address, "Liar", []).await;
        let say = ILiar::sayCall { held: U256::from(900), allowance_: U256::ZERO };
        stage.send(STRANGER.address, liar, say.abi_encode()).await;
        let claim = |from: Address, held: u64| {
            ILiar::moveCall { from, to: STRANGER.address, value: U256::from(5), held: U256::from(held) }.abi_encode()
        };
        stage.when(PAYER.address, liar, claim(PAYER.address, 1)).await.finds(&T9_OWN, &payer(LOOSE)).await;
        stage.when(PAYER.address, liar, claim(GRANTEE.address, 1)).await.is_quiet(&T9_OWN, &payer(LOOSE)).await;
        // What is denied is told all the same.
        stage.when(PAYER.address, liar, claim(PAYER.address, 1)).await;
        assert_eq!(stage.seen(&payer(LOOSE)).await.incidents, [Warning]);
    }
}

const T9_DENIED: Row = Row {
    id: "T9-denied",
    finds: "a listed token logs that it arrived, and the balance did not change",
    by: "builtin/poisoning",
    severity: Warning,
    incidents: 1,
    beside: "a token that arrives",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_arrives_by_its_word_alone_is_told() {
    let (mut stage, _) = purse().await;
    let liar = Token { address: deploy(&stage.anvil, STRANGER.address, "Liar", []).await, decimals: 18 };
    let say = ILiar::sayCall { held: U256::from(900), allowance_: U256::ZERO };
    stage.send(STRANGER.address, liar.address, say.abi_encode()).await;
    let comes = |held: u64| {
        let (from, to, value) = (STRANGER.address, PAYER.address, U256::from(5));
        ILiar::moveCall { from, to, value, held: U256::from(held) }.abi_encode()
    };
    let with = format!("{}{}", listed(&liar), payer(""));
    stage.begin().await;
    stage.anvil.mine(2).await;
    stage.send(STRANGER.address, liar.address, comes(905)).await;
    stage.is_quiet(&T9_DENIED, &with).await;
    stage.send(STRANGER.address, liar.address, comes(905)).await;
    stage.finds(&T9_DENIED, &with).await;
    // Of a token that nobody lists, it is noise.
    let seen = stage.seen(&payer("")).await;
    assert_eq!(seen.incidents, [Info], "{:#?}", seen.lines);
}

/// Reasons of the findings by a built-in.
fn reasons(seen: &Seen, by: &str) -> Vec<String> {
    let abnormal = seen.judged.iter().filter_map(|judged| match &judged.verdict {
        watchfire::model::Verdict::Abnormal(abnormal) if abnormal.rule.ends_with(by) => Some(abnormal),
        _ => None,
    });
    abnormal.filter_map(|abnormal| abnormal.reasons.first().cloned()).collect()
}

/// The node, and what it was asked.
struct Counting<'a> {
    pool: &'a Pool,
    asked: Mutex<Vec<Read>>,
}

impl Reader for Counting<'_> {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        self.asked.lock().expect("nobody panicked").extend(reads.iter().cloned());
        self.pool.answer_reads(at, reads).boxed()
    }
}

const T9_SWARM: Row = Row {
    id: "T9-swarm",
    finds: "a token that nobody lists leaves by an allowance of long ago, beside a hundred made-up tokens that say that they left",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 2,
    beside: "a transfer of nothing out of the same token",
};

/// A hundred made-up tokens say in one block that they left the payer, and `taken` of the coin does.
async fn swarm(stage: &mut CaseChain, coin: &Token, taken: U256) {
    let swarm = deploy(&stage.anvil, STRANGER.address, "Swarm", []).await;
    stage.begin().await;
    let spawn = ILiar::spawnCall { n: U256::from(100), from: PAYER.address, to: STRANGER.address }.abi_encode();
    let drain = transfer_from(PAYER.address, STRANGER.address, taken).to_vec();
    stage.anvil.set_automine(false).await;
    // So many creations take more gas than a call is given otherwise.
    stage.anvil.send(&Tx { gas: 15_000_000, ..Tx::call(STRANGER.address, swarm, spawn) }).await;
    stage.anvil.send(&Tx::call(STRANGER.address, coin.address, drain)).await;
    stage.anvil.mine(1).await;
    stage.anvil.set_automine(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_of_tokens_hides_none_that_the_subject_used_long_ago() {
    let (mut stage, coin) = purse().await;
    allow(&stage, &coin).await;
    stage.without_traces();
    stage.begin().await;
    drain(&stage, &coin, 0).await;
    assert_eq!(stage.seen(&payer("")).await.incidents, [Info]);
    // Where the token stands among the others is not for anybody to choose, and differs from block to block.
    for _ in 0..3 {
        swarm(&mut stage, &coin, coin.units(30)).await;
        let seen = stage.seen(&payer("")).await;
        let by = |line: &&String| line.ends_with("builtin/outflow");
        assert_eq!(seen.findings.iter().filter(by).count(), 1, "{:#?}", &seen.findings[..5]);
    }
    swarm(&mut stage, &coin, coin.units(9)).await;
    stage.finds(&T9_SWARM, &payer("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_of_tokens_costs_a_bounded_number_of_questions_and_hides_no_drain() {
    let (mut stage, coin) = purse().await;
    let swarm = deploy(&stage.anvil, STRANGER.address, "Swarm", []).await;
    stage.begin().await;
    allow(&stage, &coin).await;
    let allowed = stage.newest().await;
    let spawn = ILiar::spawnCall { n: U256::from(100), from: PAYER.address, to: STRANGER.address }.abi_encode();
    let drain = transfer_from(PAYER.address, STRANGER.address, coin.units(90)).to_vec();
    stage.anvil.set_automine(false).await;
    // So many creations take more gas than a call is given otherwise.
    stage.anvil.send(&Tx { gas: 15_000_000, ..Tx::call(STRANGER.address, swarm, spawn) }).await;
    stage.anvil.send(&Tx::call(STRANGER.address, coin.address, drain)).await;
    stage.anvil.mine(1).await;
    stage.anvil.set_automine(true).await;
    let swarmed = stage.newest().await;
    for list in [String::new(), listed(&coin)] {
        let book = book(&(list + &payer(LOOSE)), false);
        let mut history = History::default();
        let chain = &book.chains[0];
        let before = examine_block(&allowed.block, chain, &book, &history, stage.reader()).await.judged;
        before.deltas.iter().for_each(|delta| history.add(allowed.block.at.hash, before.time, delta));
        let reader = Counting { pool: stage.reader(), asked: Mutex::default() };
        let judged = examine_block(&swarmed.block, chain, &book, &history, &reader).await.judged;
        let asked = reader.asked.into_inner().expect("nobody panicked");
        let before = asked.iter().filter(|read| matches!(read, Read::Before { .. })).count();
        assert!(before <= 64 && asked.len() <= HOLDING_READS_MAX, "{before} of {}", asked.len());
        let by = |severity, rule: &str| {
            let found = judged.judged.iter().filter(|judged| {
                let watchfire::model::Verdict::Abnormal(abnormal) = &judged.verdict else { return false };
                abnormal.severity == severity && *abnormal.rule == *rule
            });
            found.count()
        };
        assert_eq!(judged.judged.len(), 101, "{} logs", swarmed.block.txs.iter().flat_map(|tx| &tx.logs).count());
        assert_eq!(by(Critical, "builtin/outflow"), 1, "the token that is used comes first");
        assert_eq!(by(Warning, "builtin/poisoning"), 1, "that some were not asked about is told once");
        assert_eq!(by(Info, "builtin/poisoning"), 99, "noise");
    }
}
