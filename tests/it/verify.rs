//! Verification against an oracle: what another library encoded, hashed and signed is proven, and whatever is changed in it is
//! refused.

mod oracle;

use alloy_primitives::{B256, Bytes, keccak256};
use oracle::{FORKS, Fork, Made, block};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use watchfire::source::verify::{Flaw, Gap, Raw, Root, Wanted, verify_block, verify_senders, wants_raw};
use watchfire::tape;
use watchfire::wire;
use watchfire::wire::Sealed;

fn sealed(made: &Made) -> Sealed {
    wire::parse_sealed_block(&made.block.to_string(), &made.receipts.to_string()).expect("a block")
}

/// The verdict on a block and all its senders.
fn judged(made: &Made) -> Result<Vec<Gap>, String> {
    let sealed = wire::parse_sealed_block(&made.block.to_string(), &made.receipts.to_string())
        .map_err(|error| error.to_string())?;
    whole(&sealed).map_err(|flaw| flaw.to_string())
}

fn whole(sealed: &Sealed) -> Result<Vec<Gap>, Flaw> {
    Ok([verify_block(sealed, &Raw::default())?, verify_senders(sealed, 0..sealed.block.txs.len() as u32)?].concat())
}

fn forks() -> impl Strategy<Value = Fork> {
    prop::sample::select(&FORKS[..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_oracle_made_is_proven(seed: u64, fork in forks(), n_txs in 0usize..12) {
        prop_assert_eq!(judged(&block(seed, fork, n_txs)), Ok(vec![]));
    }

    #[test]
    fn a_change_of_any_one_field_is_refused(seed: u64, fork in forks(), pick: prop::sample::Index) {
        let made = block(seed, fork, 4);
        let fields = covered(&made);
        let (part, path) = &fields[pick.index(fields.len())];
        let mut changed = made.clone();
        let field = changed.part(part).pointer_mut(path).expect("it is there");
        *field = other(field);
        let verdict = judged(&changed);
        // In a header that is newer than we are, whatever breaks its hash may be a matter of what is unknown; no more than that.
        let may_be_a_gap = fork == Fork::Next && *part == "block" && path.matches('/').count() == 1;
        let caught = verdict.is_err() || may_be_a_gap && matches!(&verdict, Ok(gaps) if !gaps.is_empty());
        prop_assert!(caught, "{part} {path}: {verdict:?}");
    }
}

impl Made {
    fn part(&mut self, part: &str) -> &mut Value {
        if part == "block" { &mut self.block } else { &mut self.receipts }
    }
}

/// Every field of a block that follows from its hash, as paths into its JSON. What is passed over here is what no hash covers, and
/// what nobody reads.
fn covered(made: &Made) -> Vec<(&'static str, String)> {
    let nobody_reads = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_log = path.contains("/logs/");
        // Places are settled by the roots, so that it is passed over how a node numbers them.
        ["size", "totalDifficulty", "blockNumber", "effectiveGasPrice", "gasUsed", "transactionIndex", "logIndex"]
            .contains(&name)
            && path.matches('/').count() > 1
            || ["/size", "/totalDifficulty"].contains(&path)
            || (is_log && ["blockHash", "removed"].contains(&name))
    };
    let mut fields = Vec::new();
    let walked = [("block", &made.block), ("receipts", &made.receipts)];
    for (part, value) in walked {
        walk(value, "", &mut |path| {
            if !nobody_reads(path) {
                fields.push((part, path.to_owned()));
            }
        });
    }
    fields.retain(|(part, path)| {
        if *part != "block" {
            return true;
        }
        let Some(index) = path.strip_prefix("/transactions/").and_then(|rest| rest.split('/').next()) else {
            return true;
        };
        let tx = &made.block["transactions"][index.parse::<usize>().expect("an index")];
        let kind = tx["type"].as_str().expect("a type");
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_own = path.matches('/').count() == 3;
        // What was paid in the end; the parity in another spelling; the chain, which v carries; where the block is named again.
        !(is_own && name == "gasPrice" && !matches!(kind, "0x0" | "0x1")
            || is_own && name == "v" && tx.get("yParity").is_some()
            || is_own && name == "chainId" && kind == "0x0"
            || is_own && name == "blockHash")
    });
    fields
}

fn walk(value: &Value, path: &str, leaf: &mut impl FnMut(&str)) {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{path}/{index}"), leaf));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, field)| walk(field, &format!("{path}/{name}"), leaf)),
        Value::String(_) => leaf(path),
        _ => {}
    }
}

/// The same, but for its last digit.
fn other(field: &Value) -> Value {
    let text = field.as_str().expect("a string");
    let (rest, last) = text.split_at(text.len() - 1);
    json!(match last {
        "x" => "0x01".to_owned(),
        "0" => format!("{rest}1"),
        _ => format!("{rest}0"),
    })
}

#[test]
fn blocks_of_every_length_that_a_trie_treats_differently_are_proven() {
    for n_txs in [0, 1, 2, 15, 16, 17, 127, 128, 129, 130, 257] {
        let made = sealed(&block(n_txs as u64, Fork::Prague, n_txs));
        assert_eq!(verify_block(&made, &Raw::default()), Ok(vec![]), "{n_txs} transactions");
    }
}

/// A block whose third transaction has at least two logs, and which has every type.
fn rich() -> Made {
    (0..)
        .map(|seed| block(seed, Fork::Prague, 12))
        .find(|made| {
            let types: std::collections::BTreeSet<_> = made.block["transactions"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|tx| tx["type"].to_string())
                .collect();
            types.len() == 5 && made.receipts[2]["logs"].as_array().expect("a list").len() >= 2
        })
        .expect("one of them is")
}

/// Why a block is refused after this was done to it.
fn refused(spoil: impl FnOnce(&mut Made)) -> Flaw {
    let mut made = rich();
    spoil(&mut made);
    whole(&sealed(&made)).expect_err("it was spoilt")
}

/// Numbers the logs through, as a careful liar would.
fn renumber(made: &mut Made) {
    let logs = made.receipts.as_array_mut().expect("a list").iter_mut();
    let logs = logs.flat_map(|receipt| receipt["logs"].as_array_mut().expect("a list"));
    for (index, log) in logs.enumerate() {
        log["logIndex"] = json!(format!("{index:#x}"));
    }
}

fn is_root(flaw: &Flaw, of: Root) -> bool {
    matches!(flaw, Flaw::Root { root, .. } if *root == of)
}

#[test]
fn a_log_that_is_left_out_added_or_moved_is_refused() {
    let logs = |made: &mut Made| made.receipts[2]["logs"].as_array_mut().expect("a list").clone();
    let dropped = refused(|made| {
        let mut logs = logs(made);
        logs.remove(0);
        made.receipts[2]["logs"] = logs.into();
        renumber(made);
    });
    assert!(is_root(&dropped, Root::Receipts), "{dropped}");
    let twice = refused(|made| {
        let mut logs = logs(made);
        logs.push(logs[0].clone());
        made.receipts[2]["logs"] = logs.into();
        renumber(made);
    });
    assert!(is_root(&twice, Root::Receipts), "{twice}");
    let moved = refused(|made| {
        let mut logs = logs(made);
        logs.reverse();
        made.receipts[2]["logs"] = logs.into();
        renumber(made);
    });
    assert!(is_root(&moved, Root::Receipts), "{moved}");
    let none = refused(|made| {
        for receipt in made.receipts.as_array_mut().expect("a list") {
            receipt["logs"] = json!([]);
            receipt["logsBloom"] = json!(format!("0x{}", "0".repeat(512)));
        }
        made.block["logsBloom"] = json!(format!("0x{}", "0".repeat(512)));
    });
    assert!(matches!(none, Flaw::Header { .. }), "{none}");
}

#[test]
fn transactions_that_are_left_out_or_change_places_are_refused() {
    let reindex = |made: &mut Made| {
        for part in [&mut made.block["transactions"], &mut made.receipts] {
            for (index, one) in part.as_array_mut().expect("a list").iter_mut().enumerate() {
                one["transactionIndex"] = json!(format!("{index:#x}"));
            }
        }
        renumber(made);
    };
    let swapped = refused(|made| {
        made.block["transactions"].as_array_mut().expect("a list").swap(3, 4);
        made.receipts.as_array_mut().expect("a list").swap(3, 4);
        reindex(made);
    });
    assert!(is_root(&swapped, Root::Transactions), "{swapped}");
    let dropped = refused(|made| {
        made.block["transactions"].as_array_mut().expect("a list").remove(5);
        made.receipts.as_array_mut().expect("a list").remove(5);
        reindex(made);
    });
    assert!(is_root(&dropped, Root::Transactions), "{dropped}");
    let receipts = refused(|made| {
        let other = made.receipts[0]["cumulativeGasUsed"].clone();
        made.receipts[1]["cumulativeGasUsed"] = other;
    });
    assert!(is_root(&receipts, Root::Receipts), "{receipts}");
}

#[test]
fn a_flaw_says_what_it_is_and_nothing_of_the_nodes() {
    let value = refused(|made| made.block["transactions"][1]["value"] = json!("0x7"));
    assert!(value.to_string().starts_with("transaction 1 hashes to 0x"), "{value}");
    let from = refused(|made| made.block["transactions"][1]["from"] = json!(format!("0x{}", "11".repeat(20))));
    assert!(
        matches!(from, Flaw::Sender { index: 1, .. }) || matches!(from, Flaw::Malformed { index: 1, .. }),
        "{from}"
    );
    let root = refused(|made| {
        made.block.as_object_mut().expect("an object").remove("stateRoot");
    });
    assert_eq!(root.to_string(), "its header has no stateRoot that can be read");
    let garbled = refused(|made| made.block["miner"] = json!({ "<script>": ["x"] }));
    assert_eq!(garbled.to_string(), "its header has no miner that can be read");
    let withdrawn = refused(|made| made.block["withdrawals"] = json!([]));
    assert!(is_root(&withdrawn, Root::Withdrawals), "{withdrawn}");
    let bloom = refused(|made| made.receipts[2]["logsBloom"] = json!(format!("0x{}", "f".repeat(512))));
    assert_eq!(bloom, Flaw::Bloom);
}

#[test]
fn an_authorization_on_a_type_that_cannot_carry_one_is_refused() {
    let made = rich();
    let txs = made.block["transactions"].as_array().expect("a list");
    let index = txs.iter().position(|tx| tx["type"] == "0x2").expect("one of each type");
    let list = txs.iter().find_map(|tx| tx.get("authorizationList")).expect("one of each type").clone();
    let flaw = refused(|made| made.block["transactions"][index]["authorizationList"] = list);
    assert_eq!(flaw.to_string(), format!("transaction {index}: it has authorizations, which its type cannot carry"));
}

#[test]
fn a_contract_that_nobody_created_is_refused() {
    let made = rich();
    let index = made.block["transactions"].as_array().expect("a list").iter().position(|tx| !tx["to"].is_null());
    let index = index.expect("most are calls");
    let flaw = refused(|made| made.receipts[index]["contractAddress"] = json!(format!("0x{}", "22".repeat(20))));
    assert!(matches!(flaw, Flaw::Malformed { .. }), "{flaw}");
}

#[test]
fn a_node_that_leaves_out_what_follows_from_the_rest_is_believed() {
    let mut made = rich();
    for receipt in made.receipts.as_array_mut().expect("a list") {
        receipt.as_object_mut().expect("an object").remove("logsBloom");
        receipt.as_object_mut().expect("an object").remove("type");
    }
    for tx in made.block["transactions"].as_array_mut().expect("a list") {
        if tx.get("yParity").is_some() {
            tx["v"] = tx["yParity"].clone();
            tx.as_object_mut().expect("an object").remove("yParity");
        }
    }
    made.block.as_object_mut().expect("an object").remove("withdrawals");
    assert_eq!(judged(&made), Ok(vec![]));
}

#[test]
fn an_unknown_field_of_the_header_is_ignored_where_the_hash_verifies_without_it() {
    let mut made = rich();
    made.block["l1BlockNumber"] = json!("0x1");
    made.block["nested"] = json!({ "deeply": [1, { "new": null }] });
    assert_eq!(judged(&made), Ok(vec![]));
}

#[test]
fn a_header_that_is_newer_than_we_are_is_a_gap_with_its_fields_named_and_bounded() {
    let mut made = rich();
    made.block["hash"] = json!(B256::repeat_byte(7));
    for list in [&mut made.block["transactions"], &mut made.receipts] {
        list.as_array_mut().expect("a list").iter_mut().for_each(|one| one["blockHash"] = json!(B256::repeat_byte(7)));
    }
    assert!(matches!(whole(&sealed(&made)), Err(Flaw::Header { .. })));
    made.block["shinyRoot"] = json!(B256::repeat_byte(8));
    made.block["\u{1b}[31m<b>"] = json!("x".repeat(100_000));
    let gap = Gap::Header(vec!["shinyRoot".to_owned(), "??31m?b?".to_owned()]);
    assert_eq!(whole(&sealed(&made)), Ok(vec![gap]));
    for n in 0..100_000 {
        made.block[format!("noise{n}{}", "é".repeat(60))] = json!(n);
    }
    let Ok(gaps) = whole(&sealed(&made)) else { panic!("still no flaw") };
    assert!(gaps[0].to_string().len() < 500, "{}", gaps[0]);
    // Its roots hold nevertheless.
    made.receipts[2]["cumulativeGasUsed"] = json!("0x1");
    assert!(is_root(&whole(&sealed(&made)).expect_err("a root is wrong"), Root::Receipts));
}

/// A block in which one transaction is of a type that does not exist, with its own bytes. Its receipt is encoded as all others, or
/// with one more field.
fn strange(longer_receipt: bool) -> (Made, Raw) {
    let mut made = rich();
    let index = 3;
    let kind = 0x7e;
    let tx = &mut made.block["transactions"][index];
    let input: Bytes = serde_json::from_value(tx["input"].clone()).expect("bytes");
    let to: alloy_primitives::Address = alloy_primitives::Address::repeat_byte(0x33);
    let mut body = Vec::new();
    for item in [&[0xaa; 32][..], to.as_slice(), &[5], &input] {
        alloy_rlp::Encodable::encode(item, &mut body);
    }
    let raw_tx = enveloped(kind, &body);
    let hash = keccak256(&raw_tx);
    *tx = json!({ "type": "0x7e", "hash": hash, "from": tx["from"], "to": to, "value": "0x5", "input": input, "sourceHash": {} });
    let mut raw_receipt = made.raw_receipts[index].to_vec();
    if raw_receipt[0] < 0x80 {
        raw_receipt.remove(0);
    }
    let mut fields = &raw_receipt[..];
    alloy_rlp::Header::decode(&mut fields).expect("a list");
    let mut fields = fields.to_vec();
    if longer_receipt {
        fields.extend_from_slice(&[0x84, 1, 2, 3, 4]);
    }
    made.receipts[index]["type"] = json!("0x7e");
    made.receipts[index]["transactionHash"] = json!(hash);
    made.raw_txs[index] = raw_tx;
    made.raw_receipts[index] = enveloped(kind, &fields);
    reseal(&mut made);
    let raw =
        Raw { txs: [(index as u32, made.raw_txs[index].clone())].into(), receipts: Some(made.raw_receipts.clone()) };
    (made, raw)
}

fn enveloped(kind: u8, fields: &[u8]) -> Bytes {
    let mut out = vec![kind];
    alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut out);
    out.extend_from_slice(fields);
    out.into()
}

/// Makes the header one of the raw bytes.
fn reseal(made: &mut Made) {
    let roots = [("transactionsRoot", &made.raw_txs), ("receiptsRoot", &made.raw_receipts)];
    for (name, bytes) in roots {
        made.block[name] = json!(alloy_trie::root::ordered_trie_root_encoded(bytes));
    }
    let header: alloy_consensus::Header = serde_json::from_value(made.block.clone()).expect("a header");
    let hash = json!(header.hash_slow());
    for list in [&mut made.block["transactions"], &mut made.receipts] {
        list.as_array_mut().expect("a list").iter_mut().for_each(|one| one["blockHash"] = hash.clone());
    }
    made.block["hash"] = hash;
}

#[test]
fn an_unknown_transaction_type_is_a_gap_until_its_own_bytes_are_at_hand() {
    let (made, raw) = strange(false);
    let sealed = sealed(&made);
    let gap = vec![Gap::Transactions { kind: 0x7e, n: 1 }];
    assert_eq!(verify_block(&sealed, &Raw::default()), Ok(gap.clone()), "its receipt is encoded like all others");
    let wanted = Wanted { txs: vec![(3, sealed.block.txs[3].hash)], receipts: false };
    assert_eq!(wants_raw(&sealed, &gap), Some(wanted));
    let only_txs = Raw { receipts: None, ..raw };
    assert_eq!(verify_block(&sealed, &only_txs), Ok(vec![]));
    assert_eq!(wants_raw(&sealed, &[]), None);
    let sender = Gap::Sender { index: 3, kind: 0x7e };
    assert_eq!(verify_senders(&sealed, [3]), Ok(vec![sender]), "nobody knows who signed it");
}

#[test]
fn an_unknown_receipt_is_a_gap_until_its_own_bytes_are_at_hand() {
    let (made, raw) = strange(true);
    let sealed = sealed(&made);
    let only_txs = Raw { receipts: None, ..raw.clone() };
    let gap = vec![Gap::Receipts { kind: 0x7e, n: 1 }];
    assert_eq!(verify_block(&sealed, &only_txs), Ok(gap.clone()));
    assert_eq!(wants_raw(&sealed, &gap), Some(Wanted { txs: vec![], receipts: true }));
    assert_eq!(verify_block(&sealed, &raw), Ok(vec![]));
    let fewer = Raw { receipts: Some(raw.receipts.expect("given")[1..].to_vec()), ..only_txs };
    assert_eq!(verify_block(&sealed, &fewer), Ok(gap), "a list of another length is no answer");
}

#[test]
fn a_known_transaction_that_poses_as_one_of_an_unknown_type_is_found_out() {
    let mut made = rich();
    let index = made.block["transactions"].as_array().expect("a list").iter().position(|tx| tx["type"] == "0x2");
    let index = index.expect("one of each type");
    made.receipts[index]["type"] = json!("0x7e");
    let flaw = whole(&sealed(&made)).expect_err("only one of the two can be");
    assert_eq!(flaw.to_string(), format!("transaction {index}: its receipt is of another type"));
    made.block["transactions"][index]["type"] = json!("0x7e");
    made.block["transactions"][index]["value"] = json!("0xffffff");
    let sealed = sealed(&made);
    let proof = verify_block(&sealed, &Raw::default()).expect("nobody knows that type");
    assert!(wants_raw(&sealed, &proof).is_some_and(|wanted| wanted.txs.len() == 1 && wanted.receipts), "{proof:?}");
    let raw = Raw { txs: [(index as u32, made.raw_txs[index].clone())].into(), receipts: None };
    let flaw = verify_block(&sealed, &raw).expect_err("its own bytes give it away");
    assert_eq!(flaw.to_string(), format!("transaction {index}: its bytes are not of its type"));
}

#[test]
fn raw_bytes_are_believed_no_more_than_anything_else() {
    let (made, raw) = strange(true);
    let whole = sealed(&made);
    let mut other = raw.clone();
    other.txs.insert(3, enveloped(0x7e, &[0x05]));
    assert_eq!(
        verify_block(&whole, &other),
        Ok(vec![Gap::Transactions { kind: 0x7e, n: 1 }]),
        "they hash to something else"
    );
    let mut other = raw.clone();
    other.receipts.as_mut().expect("given")[3] = enveloped(0x7e, &[0x05]);
    assert_eq!(verify_block(&whole, &other), Ok(vec![Gap::Receipts { kind: 0x7e, n: 1 }]), "they have another root");
    // The bytes are right, and the node's JSON says something else of them.
    let meaning = Gap::Meaning { index: 3, kind: 0x7e };
    for spoil in ["to", "value", "input"] {
        let mut made = made.clone();
        made.block["transactions"][3][spoil] = json!(format!("0x{}", "44".repeat(20)));
        assert_eq!(verify_block(&sealed(&made), &raw), Ok(vec![meaning.clone()]), "{spoil}");
    }
    let mut made = made;
    made.receipts[3]["status"] = other_status(&made.receipts[3]["status"]);
    assert_eq!(verify_block(&sealed(&made), &raw), Ok(vec![meaning]));
}

fn other_status(status: &Value) -> Value {
    json!(if status == "0x1" { "0x0" } else { "0x1" })
}

#[test]
fn signatures_of_nobody_and_high_ones_are_refused() {
    let made = rich();
    let order = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order: alloy_primitives::U256 = order.parse().expect("a number");
    let txs = made.block["transactions"].as_array().expect("a list");
    for (index, _) in txs.iter().enumerate().filter(|(_, tx)| tx["type"] != "0x0") {
        let mut sealed = sealed(&made);
        let seal = &mut sealed.txs[index];
        // The same signature in its other form, valid for the curve and void since EIP-2.
        (seal.s, seal.y_parity) = (seal.s.map(|s| order - s), seal.y_parity.map(|parity| 1 - parity));
        let flaw = verify_senders(&sealed, [index as u32]).expect_err("a high s");
        assert_eq!(flaw.to_string(), format!("transaction {index}: its signature has a high s"));
        sealed.txs[index].s = Some(alloy_primitives::U256::ZERO);
        let flaw = verify_senders(&sealed, [index as u32]).expect_err("nobody's");
        assert_eq!(flaw.to_string(), format!("transaction {index}: its signature is nobody's"));
    }
}

#[test]
fn nonsense_in_any_field_never_panics() {
    let nonsense = [
        json!(null),
        json!(7),
        json!(-1.5),
        json!("0x"),
        json!("0xzz"),
        json!([]),
        json!({}),
        json!([[]]),
        json!(true),
    ];
    let made = block(5, Fork::Next, 3);
    for (part, path) in covered(&made) {
        for value in &nonsense {
            let mut made = made.clone();
            *made.part(part).pointer_mut(&path).expect("it is there") = value.clone();
            if let Ok(sealed) = wire::parse_sealed_block(&made.block.to_string(), &made.receipts.to_string()) {
                let _ = verify_block(&sealed, &Raw::default());
            }
        }
    }
}

#[test]
fn the_recorded_demonstration_is_proven_block_by_block() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo/treasury.tape.gz");
    let tape = tape::Tape::load_file(&path).expect("the tape is there");
    let blocks: Vec<_> = tape.stretches.iter().flat_map(|stretch| &stretch.blocks).collect();
    assert!(blocks.len() > 10);
    for block in blocks {
        let raw = block.raw.as_ref().expect("a loaded tape keeps it");
        let sealed = wire::parse_sealed_block(raw.block.get(), raw.receipts.get()).expect("a block");
        assert_eq!(whole(&sealed), Ok(vec![]), "block {}", sealed.block.at);
    }
}
