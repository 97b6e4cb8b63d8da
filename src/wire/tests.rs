use super::*;
use crate::model::Status;
use crate::wire::seal::{UNKNOWN_MAX, UNKNOWN_NAME_MAX, Unknown};
use alloy_primitives::U256;
use serde_json::{Value, json};

const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
const SENDER: &str = "0x00000000000000000000000000000000000000aa";
const TARGET: &str = "0x00000000000000000000000000000000000000bb";

fn word(n: u64) -> String {
    format!("{n:#066x}")
}

fn tx(index: u64) -> Value {
    json!({
        "hash": word(0x100 + index), "transactionIndex": format!("{index:#x}"), "type": "0x2", "from": SENDER, "to": TARGET,
        "value": "0xde0b6b3a7640000", "input": "0xa9059cbb", "nonce": "0x7", "accessList": [], "v": "0x1",
    })
}

fn log(index: u64) -> Value {
    json!({
        "address": TARGET, "topics": [word(1), word(2)], "data": "0x00ff", "logIndex": format!("{index:#x}"),
        "blockHash": HASH, "removed": false,
    })
}

fn receipt(index: u64, logs: &[u64]) -> Value {
    json!({
        "transactionHash": word(0x100 + index), "transactionIndex": format!("{index:#x}"), "blockHash": HASH, "status": "0x1",
        "contractAddress": null, "logs": logs.iter().map(|n| log(*n)).collect::<Vec<_>>(), "logsBloom": "0x00",
    })
}

/// A block of two transactions with three logs, which a test can modify.
struct Answers {
    block: Value,
    receipts: Value,
}

fn good() -> Answers {
    Answers {
        block: json!({
            "number": "0x10", "hash": HASH, "parentHash": word(9), "timestamp": "0x5", "transactions": [tx(0), tx(1)],
            "withdrawals": [], "extraData": "0x", "size": "0x1",
        }),
        receipts: json!([receipt(0, &[0, 1]), receipt(1, &[2])]),
    }
}

fn parsed(spoil: impl FnOnce(&mut Answers)) -> Result<Block, ParseError> {
    let mut answers = good();
    spoil(&mut answers);
    parse_block(&answers.block.to_string(), &answers.receipts.to_string())
}

fn refusal(spoil: impl FnOnce(&mut Answers)) -> String {
    parsed(spoil).expect_err("it was spoilt").to_string()
}

#[test]
fn a_block_and_its_receipts_become_one() {
    let block = parsed(|_| ()).expect("a good block");
    assert_eq!((block.at.number, block.at.hash.to_string().as_str(), block.time), (16, HASH, 5));
    assert_eq!(block.parent.to_string(), word(9));
    let [first, second] = block.txs.as_slice() else { panic!("two transactions") };
    assert_eq!(first.value, U256::from(10u64.pow(18)));
    assert_eq!((first.index, second.index, first.nonce, first.kind), (0, 1, 7, 2));
    assert_eq!(first.input.as_ref(), [0xa9, 0x05, 0x9c, 0xbb]);
    assert_eq!(first.logs.iter().map(|log| log.ordinal).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(second.logs.iter().map(|log| log.ordinal).collect::<Vec<_>>(), [0], "counted within its transaction");
    assert_eq!(second.logs[0].topics.len(), 2);
}

#[test]
fn an_unknown_transaction_type_and_unknown_fields_do_not_blind_us() {
    let block = parsed(|it| {
        it.block["transactions"][0]["type"] = json!("0x7e");
        it.block["transactions"][0]["sourceHash"] = json!({ "deeply": [{ "new": null }] });
        it.block["blockAccessListHash"] = json!(HASH);
        it.receipts[0]["depositNonce"] = json!("0x1");
    });
    assert_eq!(block.expect("still a block").txs[0].kind, 0x7e);
}

/// Returns the names of the header's unknown fields, each with its encoding in the header, if there is one.
fn unknown(spoil: impl FnOnce(&mut Answers)) -> Vec<(String, Option<String>)> {
    let mut answers = good();
    spoil(&mut answers);
    let sealed = parse_sealed_block(&answers.block.to_string(), &answers.receipts.to_string()).expect("still a block");
    let shown = |Unknown { name, value }: Unknown| (name, value.map(|value| value.to_string()));
    sealed.header.unknown.into_iter().map(shown).collect()
}

#[test]
fn unknown_fields_of_a_header_are_kept_in_their_order_as_they_would_be_encoded() {
    assert_eq!(unknown(|_| ()), []);
    let fields = [
        ("number", json!("0x1f0"), Some("0x01f0")),
        ("zero", json!("0x0"), Some("0x")),
        ("padded", json!("0x00ff"), Some("0x00ff")),
        ("plain", json!(7), Some("0x07")),
        ("word", json!(HASH), Some(HASH)),
        ("long", json!("0x".to_owned() + &"1".repeat(66)), None),
        ("absent", json!(null), None),
        ("list", json!([{ "x": [1] }, "0x"]), None),
    ];
    let found = unknown(|it| fields.iter().for_each(|(name, value, _)| it.block[format!("new{name}")] = value.clone()));
    let expected = fields.map(|(name, _, value)| (format!("new{name}"), value.map(str::to_owned)));
    assert_eq!(found, expected);
}

#[test]
fn names_of_unknown_fields_are_few_short_and_printable() {
    let found = unknown(|it| {
        for n in 0..100 {
            it.block[format!("{n}\u{1b}\"é{}", "x".repeat(1_000))] = json!(null);
        }
    });
    assert_eq!(found.len(), UNKNOWN_MAX);
    assert_eq!(found[0].0, format!("0???{}", "x".repeat(UNKNOWN_NAME_MAX - 4)));
}

#[test]
fn what_only_the_hashes_cover_may_be_missing_or_garbled_and_is_then_absent() {
    let answers = good();
    let sealed = parse_sealed_block(&answers.block.to_string(), &answers.receipts.to_string()).expect("a block");
    assert_eq!((sealed.header.state_root, sealed.header.extra_data), (None, Some(Bytes::new())));
    assert_eq!(
        (sealed.txs[0].gas, sealed.txs[0].v, sealed.txs[0].access_list.as_deref()),
        (None, Some(1), Some(&[][..]))
    );
    assert_eq!((sealed.receipts[0].cumulative_gas, sealed.receipts[0].bloom.as_deref()), (None, None));
    assert_eq!(sealed.withdrawals, Some(vec![]));
    assert_eq!(Ok(sealed.block), parsed(|_| ()));
}

#[test]
fn what_a_transaction_may_lack_may_be_missing() {
    let block = parsed(|it| {
        let tx = it.block["transactions"][0].as_object_mut().expect("an object");
        for field in ["to", "type", "nonce", "value", "transactionIndex"] {
            tx.remove(field);
        }
        it.receipts[0].as_object_mut().expect("an object").remove("contractAddress");
        it.receipts[0].as_object_mut().expect("an object").remove("transactionIndex");
    });
    let block = block.expect("still a block");
    assert_eq!((block.txs[0].to, block.txs[0].value, block.txs[0].kind), (None, U256::ZERO, 0));
}

#[test]
fn calldata_is_read_from_either_name_and_never_guessed() {
    let rename = |it: &mut Answers| {
        let tx = it.block["transactions"][0].as_object_mut().expect("an object");
        let input = tx.remove("input").expect("it was there");
        tx.insert("data".to_owned(), input);
    };
    assert_eq!(parsed(rename).expect("still a block").txs[0].input.len(), 4);
    let both = parsed(|it| it.block["transactions"][0]["data"] = json!("0xa9059cbb"));
    assert_eq!(both.expect("still a block").txs[0].input.len(), 4);
    let neither = refusal(|it| drop(it.block["transactions"][0].as_object_mut().expect("an object").remove("input")));
    assert_eq!(neither, "transaction 0: it has no input");
}

#[test]
fn receipts_that_are_missing_or_of_others_are_told() {
    assert_eq!(refusal(|it| it.receipts = json!([])), "2 transactions came with 0 receipts");
    assert_eq!(
        refusal(|it| it.receipts[1]["transactionHash"] = json!(word(7))),
        "transaction 1: its receipt is of another transaction"
    );
    assert_eq!(
        refusal(|it| it.receipts[1]["blockHash"] = json!(word(7))),
        "transaction 1: its receipt is of another block"
    );
    assert_eq!(
        refusal(|it| it.receipts[1]["transactionIndex"] = json!("0x0")),
        "transaction 1: its receipt has another index"
    );
    assert_eq!(
        refusal(|it| it.block["transactions"][1]["transactionIndex"] = json!("0x5")),
        "transaction 1: its index is not its place in the block"
    );
    let swapped = refusal(|it| it.receipts.as_array_mut().expect("a list").swap(0, 1));
    assert_eq!(swapped, "transaction 0: its receipt is of another transaction");
}

#[test]
fn a_log_that_is_left_out_or_taken_back_is_told() {
    let dropped = refusal(|it| drop(it.receipts[0]["logs"].as_array_mut().expect("a list").remove(1)));
    assert_eq!(dropped, "log 2 stands where log 1 should be: logs are missing or out of order");
    let first = refusal(|it| drop(it.receipts[0]["logs"].as_array_mut().expect("a list").remove(0)));
    assert_eq!(first, "log 1 stands where log 0 should be: logs are missing or out of order");
    assert_eq!(refusal(|it| it.receipts[1]["logs"][0]["removed"] = json!(true)), "log 2 is marked as removed");
    let five = refusal(|it| it.receipts[0]["logs"][0]["topics"] = json!(vec![word(1); 5]));
    assert!(five.contains("more than four topics"), "{five}");
}

#[test]
fn the_outcome_is_read_from_the_status_and_from_nothing_else() {
    let status = |status: Value| parsed(|it| it.receipts[0]["status"] = status).map(|block| block.txs[0].status);
    assert_eq!(status(json!("0x1")), Ok(Status::Success));
    assert_eq!(status(json!("0x0")), Ok(Status::Reverted));
    assert_eq!(status(json!(null)), Ok(Status::Unknown));
    assert!(status(json!("0x2")).is_err());
    let before_byzantium = parsed(|it| {
        let receipt = it.receipts[0].as_object_mut().expect("an object");
        receipt.remove("status");
        receipt.insert("root".to_owned(), json!(HASH));
    });
    assert_eq!(before_byzantium.expect("still a block").txs[0].status, Status::Unknown);
}

#[test]
fn authorizations_of_a_type_4_transaction_are_kept() {
    let block = parsed(|it| {
        it.block["transactions"][0]["authorizationList"] = json!([
            { "chainId": "0x1", "address": TARGET, "nonce": "0x2", "yParity": "0x1", "r": "0x7d2e", "s": word(5) },
            { "chainId": "0x0", "address": SENDER, "nonce": "0x0", "v": "0x1b", "r": "0x1", "s": "0x2" },
        ]);
    });
    let authorizations = &block.expect("still a block").txs[0].authorizations;
    assert_eq!(authorizations.len(), 2);
    assert_eq!((authorizations[0].y_parity, authorizations[1].y_parity), (true, false));
    assert_eq!(authorizations[0].r, U256::from(0x7d2e));
}

#[test]
fn quantities_are_read_whatever_their_length_and_refused_beyond_256_bits() {
    let value =
        |text: &str| parsed(|it| it.block["transactions"][0]["value"] = json!(text)).map(|block| block.txs[0].value);
    assert_eq!(value("0x"), Ok(U256::ZERO));
    assert_eq!(value("0x0"), Ok(U256::ZERO));
    assert_eq!(value("0x00000000000000000000ff"), Ok(U256::from(255)));
    assert_eq!(value("0x10000000000000000"), Ok(U256::from(1) << 64));
    assert_eq!(value(&format!("0x{}", "f".repeat(64))), Ok(U256::MAX));
    assert_eq!(value(&format!("0x{}{}", "0".repeat(99), "f".repeat(64))), Ok(U256::MAX));
    for hostile in
        ["0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "10", "0xg", "-0x1", "", "0xé"]
    {
        assert!(value(hostile).is_err(), "{hostile}");
    }
    assert!(value(&format!("0x{}", "9".repeat(100_000))).is_err());
    assert!(parsed(|it| it.block["number"] = json!("0x10000000000000000")).is_err());
}

#[test]
fn any_field_may_be_nonsense_and_nothing_panics() {
    let nonsense = [
        json!(null),
        json!(7),
        json!(-1.5),
        json!("0x"),
        json!("0x1"),
        json!("0xzz"),
        json!([]),
        json!({}),
        json!([[]]),
        json!("é"),
    ];
    let fields = |object: &Value| object.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let it = good();
    for value in &nonsense {
        for field in fields(&it.block) {
            let _ = parsed(|it| it.block[&field] = value.clone());
        }
        for field in fields(&it.block["transactions"][0]) {
            let _ = parsed(|it| it.block["transactions"][0][&field] = value.clone());
        }
        for field in fields(&it.receipts[0]) {
            let _ = parsed(|it| it.receipts[0][&field] = value.clone());
        }
        for field in fields(&it.receipts[0]["logs"][0]) {
            let _ = parsed(|it| it.receipts[0]["logs"][0][&field] = value.clone());
        }
        let _ = (parsed(|it| it.block = value.clone()), parsed(|it| it.receipts = value.clone()));
        let covered = "gas gasPrice maxFeePerGas maxPriorityFeePerGas maxFeePerBlobGas blobVersionedHashes chainId v yParity r s \
                       stateRoot logsBloom difficulty baseFeePerGas cumulativeGasUsed root";
        for field in covered.split_whitespace() {
            let mut it = good();
            for object in [&mut it.block, &mut it.receipts[0]] {
                object[field] = value.clone();
            }
            it.block["transactions"][0][field] = value.clone();
            // None of these fields is judged, so none of them makes a block unreadable.
            let sealed = parse_sealed_block(&it.block.to_string(), &it.receipts.to_string());
            assert!(sealed.is_ok(), "{field}: {value}");
        }
    }
    assert!(parse_block("nullnull", "[]").is_err());
    assert!(parse_block("", "").is_err());
}

#[test]
fn an_error_does_not_repeat_what_a_stranger_wrote_at_length() {
    let long = refusal(|it| it.block["hash"] = json!("<script>".repeat(10_000)));
    assert!(!long.contains("script") && long.len() < 300, "{long}");
    let odd = refusal(|it| it.receipts[0]["logs"] = json!("é".repeat(10_000)));
    assert!(odd.len() < 300, "{odd}");
}

#[test]
fn a_header_is_read_from_a_block_with_or_without_its_transactions() {
    let it = good();
    let link = parse_header(&it.block.to_string()).expect("a header");
    assert_eq!(link, parsed(|_| ()).expect("a block").link());
    let pending = json!({ "number": null, "hash": null, "parentHash": word(1), "timestamp": "0x1" });
    assert!(parse_header(&pending.to_string()).is_err());
}

#[test]
fn transaction_hashes_are_read_from_either_shape() {
    let mut it = good();
    let whole = tx_hashes(&it.block.to_string()).expect("hashes");
    it.block["transactions"] = json!([word(0x100), word(0x101)]);
    assert_eq!(tx_hashes(&it.block.to_string()), Ok(whole));
    assert!(parse_block(&it.block.to_string(), &it.receipts.to_string()).is_err(), "hashes alone are no block");
}

#[test]
fn a_list_of_calls_that_grows_when_it_is_parsed_is_not_read_to_its_end() {
    // Two bytes each, which take sixteen or more when parsed.
    let many = "0,".repeat(CALLS_MAX + 1);
    let many = many.trim_end_matches(',');
    let address = alloy_primitives::Address::ZERO;
    for text in [
        format!("[{many}]"),
        format!(
            "[{{\"result\":{{\"type\":\"CALL\",\"from\":\"{address}\",\"to\":\"{address}\",\"calls\":[{many}]}}}}]"
        ),
    ] {
        let trees = call_trees(&text).expect_err("too many").to_string();
        assert!(!trees.contains("more calls") || text.starts_with("[{"), "{trees}");
        assert!(flat_traces(&text, B256::ZERO).is_err());
    }
    let inner = format!(
        "[{{\"result\":{{\"type\":\"CALL\",\"from\":\"{address}\",\"to\":\"{address}\",\"calls\":[{many}]}}}}]"
    );
    assert!(call_trees(&inner).expect_err("too many").to_string().contains("more calls than are followed"));
    let flat = format!("[{many}]");
    assert!(flat_traces(&flat, B256::ZERO).expect_err("too many").to_string().contains("more calls than are followed"));
}
