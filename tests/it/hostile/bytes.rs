//! Bytes that no honest encoder writes: each is a finding, costs little memory, and stops nobody.
//!
//! The rules here vouch for everything, so that whatever is found was found in spite of them.

use crate::counting::peak;
use crate::support::abi::IMultiSigWallet;
use crate::support::accounts::{GRANTEE, OWNER_A, OWNER_B, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::abi::Function;
use watchfire::model::value::Value;
use watchfire::model::{Decoding, Judged, Role, Verdict};
use watchfire::wire;

/// What judging one block may hold at most beyond the text it came in.
const HELD_MAX: usize = 8 << 20;

pub(super) const BOX: Address = alloy_primitives::address!("B0b0000000000000000000000000000000000006");

const BOX_ABI: &str = r#"[
  {"type":"function","name":"set","inputs":[{"name":"who","type":"address"},{"name":"on","type":"bool"},{"name":"level","type":"uint8"}],"outputs":[],"stateMutability":"payable"},
  {"type":"function","name":"many","inputs":[{"name":"all","type":"bytes[]"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"deep","inputs":[{"name":"all","type":"bytes[][]"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"keep","inputs":[{"name":"data","type":"bytes"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"named","inputs":[{"name":"name","type":"string"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"burn","inputs":[{"name":"amount","type":"uint256"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"collate_propagate_storage","inputs":[{"name":"data","type":"bytes16"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"event","name":"Named","inputs":[{"name":"name","type":"string"}]},
  {"type":"event","name":"Set","inputs":[{"name":"who","type":"address","indexed":true},{"name":"level","type":"uint8"}]}
]"#;

/// Everything is normal, if it can be read.
pub(super) fn lenient() -> Court {
    let watch = |label: &str, address: Address, kind: &str, more: &str| {
        let rules = "[[watch.normal]]\nname = \"calls\"\ncall = \"*\"\nvalue = { max = \"1000000 ether\" }\n\
             [[watch.normal]]\nname = \"acts\"\nact = \"*\"\noperation = [\"call\", \"delegatecall\"]\nvalue = { max = \"1000000 ether\" }\n\
             [[watch.normal]]\nname = \"events\"\nevent = \"*\"\n[[watch.normal]]\nname = \"moves\"\nmove = \"*\"\n";
        watched(label, address, kind, &format!("{more}\n{rules}"))
    };
    let list = [
        watch("Safe", SAFE, "safe", ""),
        watch("Multisig", MULTISIG, "multisig", ""),
        watch("Token", TOKEN, "erc20", ""),
        watch("Box", BOX, "contract", "abi = \"box.json\""),
    ];
    Court::with(&list.concat(), &[("box.json", BOX_ABI)]).safe_at(SAFE, 7, 2)
}

/// What judging `txs` gave, whole way, with no more memory than is due.
#[track_caller]
pub(super) fn judged(court: &Court, txs: &[Tx]) -> Vec<Judged> {
    let (block, receipts) = wire(1, court.time, txs);
    let size = block.len() + receipts.len();
    // Whatever is set up once is not the block's.
    court.examine(&wire::parse_block(&wire(1, court.time, &[]).0, "[]").unwrap());
    let (judged, held) = peak(|| {
        let block = wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}"));
        let judged = court.examine(&block);
        let plan = court.plan(&judged);
        let lines: usize = plan.lines.iter().map(|line| serde_json::to_string(line).unwrap().len()).sum();
        assert!(lines > 0 || judged.judged.is_empty());
        judged.judged
    });
    assert!(held <= size + HELD_MAX, "{held} bytes were held for {size} bytes of text");
    judged
}

#[track_caller]
fn told(court: &Court, txs: &[Tx]) -> Vec<String> {
    let judged = judged(court, txs);
    for one in &judged {
        let unread = !matches!(one.activity.deed.decoding, Decoding::Clean | Decoding::Ether);
        assert!(!unread || matches!(one.verdict, Verdict::Abnormal(_)), "{} went by", court.line(one));
    }
    judged.iter().map(|one| court.line(one)).collect()
}

/// One call of the stranger's to the Box.
#[track_caller]
fn boxed(input: impl Into<Bytes>) -> Vec<String> {
    told(&lenient(), &[Tx::call(STRANGER.address, BOX, input)])
}

const UNDECODABLE: &str = "high builtin/undecodable";

fn function(signature: &str) -> Function {
    Function::parse(signature).unwrap()
}

fn set() -> Vec<u8> {
    let values = [Value::Address(GRANTEE.address), Value::Bool(true), Value::Uint(U256::from(7))];
    function("set(address,bool,uint8)").encode_calldata(&values).unwrap()
}

/// Offsets that all lead to the same place: thousands of values out of a few kilobytes.
fn bomb(selector: [u8; 4], depth: usize, width: usize, payload: usize) -> Bytes {
    let word = |n: usize| U256::from(n).to_be_bytes::<32>();
    let mut data = selector.to_vec();
    data.extend(word(32));
    for _ in 0..depth {
        data.extend(word(width));
        (0..width).for_each(|_| data.extend(word(width * 32)));
    }
    data.extend(word(payload));
    data.extend(vec![0xff; payload]);
    data.into()
}

fn bombs() -> [Bytes; 2] {
    [bomb(function("deep(bytes[][])").selector, 2, 450, 64), bomb(function("many(bytes[])").selector, 1, 1_950, 62_500)]
}

/// The owners of the Safe sign `order`, and it runs.
fn executed(order: &Order) -> Tx {
    let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    Tx::call(STRANGER.address, SAFE, data).log(success(SAFE, hash))
}

#[test]
fn an_honest_call_is_normal_here() {
    assert_eq!(boxed(set()), ["Box call set: normal by calls"]);
}

#[test]
fn every_cut_of_a_call_is_a_finding() {
    let whole = set();
    for len in 1..whole.len() {
        let name =
            if len < 4 { format!("0x{}", alloy_primitives::hex::encode(&whole[..len])) } else { "set".to_owned() };
        assert_eq!(boxed(whole[..len].to_vec()), [format!("Box call {name}: {UNDECODABLE}")], "{len} bytes");
    }
}

#[test]
fn bits_outside_a_value_are_a_finding() {
    for (at, byte, what) in
        [(4, 1, "dirty address"), (4 + 63, 2, "bool of 2"), (4 + 32, 1, "dirty bool"), (4 + 94, 1, "uint8 of 0x107")]
    {
        let mut call = set();
        call[at] = byte;
        assert_eq!(boxed(call), [format!("Box call set: {UNDECODABLE}")], "{what}");
    }
    for extra in [1, 32, 70_000] {
        let call = [set(), vec![0; extra]].concat();
        assert_eq!(boxed(call), [format!("Box call set: {UNDECODABLE}")], "{extra} bytes behind the end");
    }
}

#[test]
fn offsets_that_lead_anywhere_but_to_their_place_are_a_finding() {
    let keep = function("keep(bytes)");
    let honest = keep.encode_calldata(&[Value::Bytes(vec![7; 40].into())]).unwrap();
    assert_eq!(boxed(honest.clone()), ["Box call keep: normal by calls"]);
    for offset in [0u64, 1, 31, 33, 64, 96, 1 << 20, u64::MAX] {
        let mut call = honest.clone();
        call[4..36].copy_from_slice(&U256::from(offset).to_be_bytes::<32>());
        assert_eq!(boxed(call), [format!("Box call keep: {UNDECODABLE}")], "offset {offset}");
    }
    for len in [U256::from(39), U256::from(73), U256::from(1u64 << 40), U256::MAX] {
        let mut call = honest.clone();
        call[36..68].copy_from_slice(&len.to_be_bytes::<32>());
        assert_eq!(boxed(call), [format!("Box call keep: {UNDECODABLE}")], "length {len}");
    }
}

#[test]
fn bombs_are_findings_wherever_they_are_wrapped() {
    for bomb in bombs() {
        let direct = boxed(bomb.clone());
        assert!(direct[0].ends_with("builtin/budget") || direct[0].ends_with("builtin/undecodable"), "{direct:?}");

        let safe = told(&lenient(), &[executed(&Order::call(BOX, bomb.clone()))]);
        assert!(safe.iter().any(|line| line.starts_with("Safe act") && !line.contains("normal")), "{safe:?}");
        let batch = told(&lenient(), &[executed(&Order::batch(&vec![(0, BOX, 0, bomb.clone()); 8]))]);
        assert!(batch.iter().any(|line| line.starts_with("Safe act") && !line.contains("normal")), "{batch:?}");

        let submit = IMultiSigWallet::submitTransactionCall { destination: BOX, value: U256::ZERO, data: bomb };
        let id = U256::from(1);
        let tx = Tx::call(STRANGER.address, MULTISIG, submit.abi_encode())
            .log(event(MULTISIG, &IMultiSigWallet::Submission { transactionId: id }));
        let multisig = told(&lenient(), &[tx]);
        assert!(
            multisig.iter().any(|line| line.starts_with("Multisig act") && !line.contains("normal")),
            "{multisig:?}"
        );
    }
}

#[test]
fn megabytes_to_a_watched_contract_are_read_within_bounds() {
    let keep = function("keep(bytes)");
    let huge = keep.encode_calldata(&[Value::Bytes(vec![0xab; 3 << 20].into())]).unwrap();
    let lines = boxed(huge);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("builtin/budget"), "{lines:?}");
    assert_eq!(boxed(vec![0xee; 3 << 20]), [format!("Box call 0xeeeeeeee: {UNDECODABLE}")]);
}

#[test]
fn a_safe_that_executes_itself_a_thousand_times_over_is_followed_to_the_budget() {
    let mut order = Order::pay(GRANTEE.address, 1);
    for _ in 0..1_000 {
        order = Order::call(SAFE, order.calldata([]));
    }
    let lines = told(&lenient(), &[executed(&order)]);
    assert!(lines.len() < 64, "{}", lines.len());
    assert!(lines.iter().any(|line| line.starts_with("Safe call execTransaction: critical")), "{lines:?}");
}

#[test]
fn a_batch_is_read_as_the_contract_reads_it() {
    let pay = |n: usize| vec![(0, GRANTEE.address, 1, Bytes::new()); n];
    let lines = told(&lenient(), &[executed(&Order::batch(&pay(500)))]);
    assert_eq!(lines.iter().filter(|line| *line == "Safe act ether: normal by acts").count(), 500);
    assert_eq!(lines[0], "Safe call execTransaction: normal by builtin/envelope");

    let lines = told(&lenient(), &[executed(&Order::batch(&pay(5_000)))]);
    assert!(lines.iter().any(|line| line.ends_with("critical builtin/budget")), "{lines:?}");

    // The last item's data ends before it should: it runs with zeros.
    let mut list = watchfire::abi::multisend::encode_multisend([(0, BOX, U256::ZERO, &set()[..])]);
    list.truncate(list.len() - 10);
    let short = crate::support::abi::IMultiSend::multiSendCall { transactions: list.into() }.abi_encode();
    let lines = told(&lenient(), &[executed(&Order::delegate(MULTI_SEND_1_4_1, short))]);
    assert!(lines.iter().any(|line| line.ends_with("critical builtin/undecodable")), "{lines:?}");

    // A batch inside a batch, and foreign code inside it.
    let inner = multi_send(&[(1, EVIL, 0, Bytes::new()), (0, GRANTEE.address, 1, Bytes::new())]);
    let strict = Court::new(&format!(
        "[[watch]]\nlabel = \"Safe\"\nchain = \"demo\"\naddress = \"{SAFE}\"\nkind = \"safe\"\npurpose = \"x\"\npath = \"duty\"\n"
    ));
    let lines = told(&strict, &[executed(&Order::batch(&[(1, MULTI_SEND_1_4_1, 0, inner)]))]);
    assert!(lines.contains(&"Safe act ether: critical builtin/delegatecall".to_owned()), "{lines:?}");
    assert!(lines.contains(&"Safe act ether: high builtin/unvouched".to_owned()), "{lines:?}");
}

#[test]
fn an_operation_that_no_safe_knows_is_a_finding() {
    for (at, byte) in [(31, 2), (30, 1), (0, 0x80)] {
        let (mut data, hash) = {
            let (data, hash) = Order::pay(GRANTEE.address, 1).signed(SAFE, 6, &[OWNER_A, OWNER_B]);
            (data.to_vec(), hash)
        };
        data[4 + 3 * 32 + at] = byte;
        let lines = told(&lenient(), &[Tx::call(STRANGER.address, SAFE, data).log(success(SAFE, hash))]);
        assert!(!lines[0].contains("normal"), "{lines:?}");
    }
}

#[test]
fn signature_lists_of_any_bytes_are_survived() {
    let order = Order::pay(GRANTEE.address, 1);
    let hash = order.hash(SAFE, 6);
    let garbage: Vec<u8> = (0..10_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for signatures in [vec![0; 10_000], vec![0xff; 10_000], vec![1; 10_000], garbage, vec![0; 64], vec![27; 65 * 3]] {
        let tx = Tx::call(STRANGER.address, SAFE, order.calldata(signatures)).log(success(SAFE, hash));
        let judged = judged(&lenient(), &[tx]);
        let signers = judged[0].activity.signers.clone().unwrap_or_default();
        assert!(signers.len() <= 2, "as many as the threshold at most: {signers:?}");
    }
}

#[test]
fn logs_of_any_shape_are_findings_where_they_concern_somebody() {
    let anonymous = |address| Log { address, topics: vec![], data: vec![1; 40].into() };
    let four = |address| Log { address, topics: vec![B256::repeat_byte(7); 4], data: vec![1].into() };
    let short = raw(BOX, "Set(address,uint8)", &[word(EVIL)], []);
    let dirty = raw(BOX, "Set(address,uint8)", &[B256::repeat_byte(0xff)], U256::from(0x1ff).abi_encode());
    let other_layout = raw(BOX, "Set(address,uint8)", &[word(EVIL), number(7)], []);
    let claims_more = raw(BOX, "Named(string)", &[], (U256::from(32), U256::MAX).abi_encode());
    for log in [anonymous(BOX), four(BOX), short, dirty, other_layout, claims_more, anonymous(TOKEN), four(SAFE)] {
        let lines = told(&lenient(), &[Tx::call(STRANGER.address, FAKE, []).log(log.clone())]);
        assert_eq!(lines.len(), 1, "{log:?}");
        assert!(lines[0].ends_with("builtin/undecodable"), "{lines:?}");
    }
    for log in [anonymous(OTHER_TOKEN), four(OTHER_TOKEN)] {
        assert!(told(&lenient(), &[Tx::call(STRANGER.address, FAKE, []).log(log)]).is_empty());
    }
}

#[test]
fn a_token_s_log_that_cannot_be_read_is_no_effect_of_a_normal_call() {
    // The parties agree with the call, the amount hangs over its end.
    let mut log = moved(TOKEN, STRANGER.address, EVIL, 5);
    log.data = [&log.data[..], &[1]].concat().into();
    let lines = told(&lenient(), &[Tx::call(STRANGER.address, TOKEN, transfer(EVIL, 5)).log(log)]);
    assert_eq!(lines, ["Token call transfer: normal by calls", "Token event Transfer: high builtin/undecodable"]);
}

#[test]
fn functions_of_one_selector_are_both_shown_and_neither_believed() {
    let selector = function("burn(uint256)").selector;
    assert_eq!(selector, function("collate_propagate_storage(bytes16)").selector);
    let both = [&selector[..], &[0; 32]].concat();
    let judged = judged(&lenient(), &[Tx::call(STRANGER.address, BOX, both)]);
    let Verdict::Abnormal(abnormal) = &judged[0].verdict else { panic!("{:?}", judged[0]) };
    assert!(abnormal.reasons[0].contains("burn(uint256)") && abnormal.reasons[0].contains("collate_propagate_storage"));
    // One of them alone encodes to this.
    let one = [&selector[..], &U256::from(5).to_be_bytes::<32>()].concat();
    assert_eq!(boxed(one), ["Box call burn: normal by calls"]);
}

#[test]
fn thousands_of_logs_that_nothing_explains_are_judged_in_the_order_of_their_text() {
    // A thousand calls in one batch, a thousand logs that agree with none of them.
    let items = vec![(0, BOX, 0, Bytes::from(set())); 900];
    let mut tx = executed(&Order::batch(&items));
    for n in 0..900 {
        tx = tx.log(raw(BOX, "Set(address,uint8)", &[number(n + 1_000)], U256::from(3).abi_encode()));
    }
    let judged = judged(&lenient(), &[tx]);
    let strays = judged.iter().filter(|one| &*one.activity.deed.name == "Set" && one.activity.role == Role::Leaf);
    assert_eq!(strays.count(), 900);
}
