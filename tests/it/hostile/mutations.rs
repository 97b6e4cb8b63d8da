//! A block of honest transactions, damaged at random: whatever comes out keeps the promises that verdicts make.

use crate::support::abi::{IMiniMe, IMultiSigWallet};
use crate::support::accounts::{GRANTEE, OWNER_A, OWNER_B, PAYER, RELAYER, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::LazyLock;
use watchfire::classify::builtin::BUILTINS;
use watchfire::model::{Judged, JudgedBlock, Role, Verdict, Voucher};
use watchfire::wire;

/// A Safe, a multisig, a MiniMe token and an account, with rules for what the honest block does.
static COURT: LazyLock<Court> = LazyLock::new(|| {
    let watch = |label: &str, address: Address, kind: &str, rules: &str| {
        format!(
            "[[watch]]\nlabel = \"{label}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\npurpose = \"x\"\npath = \"duty\"\n{rules}\n"
        )
    };
    let rule = |name: &str, what: &str| format!("[[watch.normal]]\nname = \"{name}\"\n{what}\n");
    let grantee = GRANTEE.address;
    let pay = rule("pay", &format!("act = \"ether\"\nto = [\"{grantee}\"]\nvalue = {{ max = \"1 ether\" }}"));
    let coins = rule("coins", "act = \"transfer(address to, uint256 amount)\"\nargs = { amount = { max = \"1000\" } }");
    let list = [
        watch("Safe", SAFE, "safe", &(pay.clone() + &coins)),
        watch("Multisig", MULTISIG, "multisig", &pay),
        watch("MiniMe", MINIME, "minime", &rule("transfers", "call = \"transfer\"")),
        watch("Payer", PAYER.address, "eoa", &(pay.clone() + &coins)),
    ];
    let asked = |selector: [u8; 4]| [&selector[..], &U256::from(3).to_be_bytes::<32>()[..]].concat();
    let payload = (GRANTEE.address, U256::from(1), Bytes::new(), true).abi_encode_params();
    Court::new(&list.concat())
        .safe_at(SAFE, 9, 2)
        .knows(MULTISIG, asked([0x9a, 0xce, 0x38, 0xc2]), payload)
        .knows(MULTISIG, asked([0xb5, 0xdc, 0x40, 0xc3]), vec![OWNER_A.address, OWNER_B.address].abi_encode())
        .knows(MINIME, IMiniMe::controllerCall {}.abi_encode(), MULTISIG.abi_encode())
});

fn honest() -> Vec<Tx> {
    let owners = [OWNER_A, OWNER_B];
    let id = U256::from(3);
    let (one, one_hash) = Order::call(MINIME, transfer(GRANTEE.address, 10)).signed(SAFE, 6, &owners);
    let batch = [(0, MINIME, 0, transfer(GRANTEE.address, 7)), (0, GRANTEE.address, 5, Bytes::new())];
    let (two, two_hash) = Order::batch(&batch).signed(SAFE, 7, &owners);
    let (relayed, relayed_hash) = Order::pay(GRANTEE.address, 2).signed(SAFE, 8, &owners);
    let submit = IMultiSigWallet::submitTransactionCall {
        destination: GRANTEE.address,
        value: U256::from(1),
        data: Bytes::new(),
    };
    vec![
        Tx::call(RELAYER.address, SAFE, one).log(moved(MINIME, SAFE, GRANTEE.address, 10)).log(success(SAFE, one_hash)),
        Tx::call(RELAYER.address, SAFE, two).log(moved(MINIME, SAFE, GRANTEE.address, 7)).log(success(SAFE, two_hash)),
        Tx::call(RELAYER.address, CALL_ONLY_1_4_1, multi_send(&[(0, SAFE, 0, relayed)]))
            .log(success(SAFE, relayed_hash)),
        Tx::call(OWNER_A.address, MULTISIG, submit.abi_encode())
            .log(event(MULTISIG, &IMultiSigWallet::Submission { transactionId: id }))
            .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: OWNER_A.address, transactionId: id })),
        Tx::call(OWNER_B.address, MULTISIG, IMultiSigWallet::confirmTransactionCall { transactionId: id }.abi_encode())
            .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: OWNER_B.address, transactionId: id }))
            .log(event(MULTISIG, &IMultiSigWallet::Execution { transactionId: id })),
        Tx::call(PAYER.address, MINIME, transfer(GRANTEE.address, 3)).log(moved(
            MINIME,
            PAYER.address,
            GRANTEE.address,
            3,
        )),
        Tx::call(PAYER.address, GRANTEE.address, []).value(1),
        Tx::call(STRANGER.address, SAFE, []).value(9),
    ]
}

/// One piece of damage; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Damage {
    Flip { tx: usize, at: usize, bit: u8 },
    Word { tx: usize, at: usize, word: B256 },
    Cut { tx: usize, len: usize },
    Grow { tx: usize, more: Vec<u8> },
    Status { tx: usize },
    Value { tx: usize, value: u64 },
    Party { tx: usize, who: usize, sender: bool },
    Nest { tx: usize, how: usize },
    LogFlip { tx: usize, log: usize, at: usize, bit: u8 },
    LogTopics { tx: usize, log: usize, n: usize },
    LogGone { tx: usize, log: usize },
    LogTwice { tx: usize, log: usize, into: usize },
    LogParty { tx: usize, log: usize, who: usize },
    Twice { tx: usize },
    Swap { one: usize, other: usize },
}

fn damage() -> impl Strategy<Value = Damage> {
    let n = || any::<usize>();
    prop_oneof![
        (n(), n(), 0..8u8).prop_map(|(tx, at, bit)| Damage::Flip { tx, at, bit }),
        (n(), n(), any::<[u8; 32]>().prop_map(B256::from)).prop_map(|(tx, at, word)| Damage::Word { tx, at, word }),
        (n(), n()).prop_map(|(tx, len)| Damage::Cut { tx, len }),
        (n(), proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(tx, more)| Damage::Grow { tx, more }),
        n().prop_map(|tx| Damage::Status { tx }),
        (n(), any::<u64>()).prop_map(|(tx, value)| Damage::Value { tx, value }),
        (n(), n(), any::<bool>()).prop_map(|(tx, who, sender)| Damage::Party { tx, who, sender }),
        (n(), n()).prop_map(|(tx, how)| Damage::Nest { tx, how }),
        (n(), n(), n(), 0..8u8).prop_map(|(tx, log, at, bit)| Damage::LogFlip { tx, log, at, bit }),
        (n(), n(), 0..5usize).prop_map(|(tx, log, n)| Damage::LogTopics { tx, log, n }),
        (n(), n()).prop_map(|(tx, log)| Damage::LogGone { tx, log }),
        (n(), n(), n()).prop_map(|(tx, log, into)| Damage::LogTwice { tx, log, into }),
        (n(), n(), n()).prop_map(|(tx, log, who)| Damage::LogParty { tx, log, who }),
        n().prop_map(|tx| Damage::Twice { tx }),
        (n(), n()).prop_map(|(one, other)| Damage::Swap { one, other }),
    ]
}

const SOMEBODY: [Address; 8] =
    [SAFE, MULTISIG, MINIME, PAYER.address, FAKE, CALL_ONLY_1_4_1, MULTI_SEND_1_5_0, Address::ZERO];

fn hurt(txs: &mut Vec<Tx>, damage: &Damage) {
    let len = txs.len();
    let at = |n: &usize| n % len;
    let log = |tx: &Tx, n: &usize| (!tx.logs.is_empty()).then(|| n % tx.logs.len());
    match damage {
        Damage::Flip { tx, at: place, bit } => {
            let tx = &mut txs[at(tx)];
            let mut input = tx.input.to_vec();
            if !input.is_empty() {
                let place = place % input.len();
                input[place] ^= 1 << bit;
            }
            tx.input = input.into();
        }
        Damage::Word { tx, at: place, word } => {
            let tx = &mut txs[at(tx)];
            let mut input = tx.input.to_vec();
            if input.len() >= 36 {
                let place = 4 + 32 * (place % ((input.len() - 4) / 32));
                input[place..place + 32].copy_from_slice(word.as_slice());
            }
            tx.input = input.into();
        }
        Damage::Cut { tx, len } => {
            let tx = &mut txs[at(tx)];
            let keep = len % (tx.input.len() + 1);
            tx.input = tx.input.slice(..keep);
        }
        Damage::Grow { tx, more } => {
            let tx = &mut txs[at(tx)];
            tx.input = [&tx.input[..], more].concat().into();
        }
        Damage::Status { tx } => {
            let tx = &mut txs[at(tx)];
            tx.holds = !tx.holds;
            if !tx.holds {
                tx.logs.clear();
            }
        }
        Damage::Value { tx, value } => txs[at(tx)].value = U256::from(*value),
        Damage::Party { tx, who, sender } => {
            let tx = &mut txs[at(tx)];
            let who = SOMEBODY[who % SOMEBODY.len()];
            if *sender { tx.from = who } else { tx.to = Some(who).filter(|who| !who.is_zero()) }
        }
        Damage::Nest { tx, how } => {
            let tx = &mut txs[at(tx)];
            let to = tx.to.unwrap_or(FAKE);
            let inner = tx.input.clone();
            (tx.to, tx.input) = match how % 4 {
                0 => (Some(FAKE), Order::call(to, inner).calldata([])),
                1 => (Some(SAFE), Order::delegate(to, inner).calldata([1; 65])),
                2 => (Some(CALL_ONLY_1_4_1), multi_send(&[(0, to, 1, inner.clone()), (0, to, 0, inner)])),
                _ => (Some(SAFE), Order::batch(&[(1, to, 0, inner)]).calldata([0; 130])),
            };
        }
        Damage::LogFlip { tx, log: n, at: place, bit } => {
            let tx = &mut txs[at(tx)];
            let Some(n) = log(tx, n) else { return };
            let log = &mut tx.logs[n];
            let mut data = log.data.to_vec();
            if data.is_empty() || place % 2 == 0 {
                if let Some(topic) = log.topics.first_mut() {
                    topic[place % 32] ^= 1 << bit;
                }
            } else {
                let place = place % data.len();
                data[place] ^= 1 << bit;
                log.data = data.into();
            }
        }
        Damage::LogTopics { tx, log: at_log, n } => {
            let tx = &mut txs[at(tx)];
            let Some(at_log) = log(tx, at_log) else { return };
            tx.logs[at_log].topics.resize(*n, word(SAFE));
        }
        Damage::LogGone { tx, log: n } => {
            let tx = &mut txs[at(tx)];
            let Some(n) = log(tx, n) else { return };
            tx.logs.remove(n);
        }
        Damage::LogTwice { tx, log: n, into } => {
            let Some(n) = log(&txs[at(tx)], n) else { return };
            let log = txs[at(tx)].logs[n].clone();
            let into = at(into);
            if txs[into].holds {
                txs[into].logs.push(log);
            }
        }
        Damage::LogParty { tx, log: n, who } => {
            let tx = &mut txs[at(tx)];
            let Some(n) = log(tx, n) else { return };
            let who = SOMEBODY[who % SOMEBODY.len()];
            if who.is_zero() { tx.logs[n].address = OTHER_TOKEN } else { tx.logs[n].address = who }
        }
        Damage::Twice { tx } => {
            if len < 16 {
                let tx = txs[at(tx)].clone();
                txs.push(tx);
            }
        }
        Damage::Swap { one, other } => txs.swap(at(one), at(other)),
    }
}

fn judge(txs: &[Tx]) -> JudgedBlock {
    let (block, receipts) = wire(1, FRIDAY, txs);
    COURT.examine(&wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}")))
}

/// What every judged block promises.
fn promises(block: &JudgedBlock) {
    let judged = &block.judged;
    let is_normal = |at: usize| matches!(judged[at].verdict, Verdict::Normal { .. });
    let mut own = HashSet::new();
    for (at, one) in judged.iter().enumerate() {
        let line = COURT.line(one);
        match &one.verdict {
            Verdict::Normal { by } => {
                voucher_exists(one, by);
                match &one.activity.role {
                    Role::Envelope { carries } => assert!(carries.iter().all(|at| is_normal(*at)), "{line}"),
                    Role::Effect { of } if matches!(by, Voucher::EffectOf(_)) => assert!(is_normal(*of), "{line}"),
                    Role::Effect { .. } | Role::Leaf => {}
                }
            }
            Verdict::Abnormal(abnormal) => {
                assert!(!abnormal.reasons.is_empty(), "{line} says not why");
                match abnormal.repeats {
                    Some(of) => assert!(of != at && !is_normal(of), "{line}"),
                    None => {
                        let watch = &COURT.book.watches[one.activity.watch.index()];
                        own.extend(one.finding_id(block.chain, watch.address));
                    }
                }
            }
        }
    }
    let plan = COURT.plan(block);
    let found: HashSet<_> = plan.findings.into_iter().map(|finding| finding.id).collect();
    assert_eq!(own, found, "every abnormal verdict of its own is a finding, and nothing else is");
}

fn voucher_exists(one: &Judged, by: &Voucher) {
    let rules = &COURT.book.rules.watches[one.activity.watch.index()].rules;
    match by {
        Voucher::Rule(name) => assert!(rules.iter().any(|rule| rule.name == *name), "no rule is called {name}"),
        Voucher::Builtin(name) => assert!(BUILTINS.iter().any(|known| known.name == *name && known.vouches)),
        Voucher::Envelope => assert!(matches!(one.activity.role, Role::Envelope { .. })),
        Voucher::EffectOf(_) => assert!(matches!(one.activity.role, Role::Effect { .. })),
    }
}

#[test]
fn the_honest_block_is_normal_throughout() {
    let block = judge(&honest());
    let lines: Vec<String> = block.judged.iter().map(|one| COURT.line(one)).collect();
    assert_eq!(lines.len(), 30, "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("normal by")), "{lines:#?}");
    promises(&block);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_breaks_a_promise(all in proptest::collection::vec(damage(), 1..6)) {
        let mut txs = honest();
        for damage in &all {
            hurt(&mut txs, damage);
        }
        promises(&judge(&txs));
    }
}
