use crate::abi::encode_values;
use alloy_primitives::{address, b256, hex, keccak256};

use super::*;

const TO: Address = address!("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");

fn function(signature: &str) -> Function {
    Function::parse(signature).unwrap_or_else(|e| panic!("{e}"))
}

fn event(signature: &str) -> Event {
    Event::parse(signature).unwrap_or_else(|e| panic!("{e}"))
}

/// Returns calldata from text, one word a line: a number, or hex digits that fill the word from the left (`<`) or from
/// the right.
fn words(text: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for line in text.split_whitespace() {
        let mut word = [0; 32];
        if let Some(left) = line.strip_prefix('<') {
            let bytes = hex::decode(left).unwrap_or_else(|e| panic!("{line}: {e}"));
            word[..bytes.len()].copy_from_slice(&bytes);
        } else {
            word = U256::from_str_radix(line, 16).unwrap_or_else(|e| panic!("{line}: {e}")).to_be_bytes();
        }
        data.extend(word);
    }
    data
}

/// Returns `values | flaws`, or the reason why decoding failed.
fn told(signature: &str, data: impl Into<Bytes>) -> String {
    match function(signature).decode_arguments(&data.into(), &mut Budget::default()) {
        Ok(decoded) => {
            let values: Vec<String> = decoded.args.iter().map(ToString::to_string).collect();
            format!("{} | {}", values.join(", "), decoded.flaws)
        }
        Err(opaque) => opaque.to_string(),
    }
}

#[test]
fn honest_calldata_has_names_types_spans_and_no_flaws() {
    let f = function("pay(address to, uint96 amount, bytes memo, (bool ok, string[] notes) extra)");
    let data = words(
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 7 80 c0
         3 <aabbcc
         1 40 1 20 2 <6869",
    );
    let decoded = f.decode_arguments(&data.into(), &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"));
    assert!(decoded.flaws.is_empty(), "{}", decoded.flaws);
    let told: Vec<String> = decoded.args.iter().map(|arg| format!("{} {arg}", arg.ty)).collect();
    assert_eq!(
        told,
        [
            "address to: 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "uint96 amount: 7",
            "bytes memo: 0xaabbcc",
            "(bool,string[]) extra: (ok: true, notes: [\"hi\"])",
        ]
    );
    let spans: Vec<_> = decoded.args.iter().map(|arg| arg.span.map(|s| (s.start, s.len))).collect();
    assert_eq!(spans, [Some((0, 32)), Some((32, 32)), Some((160, 3)), Some((192, 192))]);
}

#[test]
fn a_payload_is_a_slice_of_the_input() {
    let data: Bytes = words("20 3 <aabbcc").into();
    let decoded =
        function("f(bytes)").decode_arguments(&data, &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(decoded.args[0].value.as_bytes().map(|b| b.as_ptr()), Some(data[64..].as_ptr()));
}

#[test]
fn numbers_take_their_width() {
    let minus_two = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe";
    assert_eq!(told("f(int8,int256)", words(&format!("{minus_two} {minus_two}"))), "-2, -2 | none");
    assert_eq!(
        told("f(bytes4,function)", words("<a9059cbb <0102")),
        format!("0xa9059cbb, 0x0102{} | none", "00".repeat(22))
    );
}

#[test]
fn bits_outside_a_value_are_masked_and_told() {
    let dirty = "bits set outside a value's width";
    assert_eq!(told("f(uint8)", words("100")), format!("0 | {dirty}"));
    assert_eq!(told("f(int8)", words("80")), format!("-128 | {dirty}"));
    assert_eq!(told("f(address)", words("15aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")), format!("{TO} | {dirty}"));
    assert_eq!(told("f(bytes1)", words("<aabb")), format!("0xaa | {dirty}"));
    assert_eq!(told("f(bool)", words("2")), "true | a bool that is neither 0 nor 1");
    assert_eq!(told("f(bool)", words("<01")), "true | a bool that is neither 0 nor 1");
}

#[test]
fn short_calldata_reads_as_zeros() {
    let short = "data ends early, the rest reads as zeros";
    assert_eq!(
        told("f(uint256,address)", words("7")),
        format!("7, 0x0000000000000000000000000000000000000000 | {short}")
    );
    assert_eq!(told("f(uint16)", vec![0; 30]), format!("0 | {short}"));
    assert_eq!(told("f(uint256)", vec![1]), format!("{} | {short}", U256::from(1) << 248));
    // A payload that is cut in the middle, and one whose length is missing.
    assert_eq!(told("f(bytes)", words("20 28 <aabb")), format!("0xaabb{} | {short}", "00".repeat(30)));
    assert_eq!(told("f(bytes)", words("20")), format!("0x | {short}"));
    assert_eq!(told("f()", Vec::new()), " | none");
}

#[test]
fn what_stands_where_no_encoder_puts_it_is_told() {
    assert_eq!(told("f(uint256)", words("7 0")), "7 | bytes left over at the end");
    assert_eq!(told("f(bytes)", words("40 0 1 <aa")), "0xaa | an offset skips data");
    assert_eq!(told("f(bytes)", words("0")), "0x | an offset points back into data already read");
    assert_eq!(
        told("f(bytes,bytes)", words("40 40 1 <aa")),
        "0xaa, 0xaa | an offset points back into data already read"
    );
    // Only the first offset is wrong: the second value is where it would be without the first.
    assert_eq!(told("f(bytes,bytes)", words("0 40 0")), "0x, 0x | an offset points back into data already read");
    assert_eq!(told("f(bytes)", words("20 1 <aabb")), "0xaa | bytes set in the padding");
    let unpadded = [words("20 1"), vec![0xaa]].concat();
    assert_eq!(told("f(bytes)", unpadded), "0xaa | the last padding is missing");
}

#[test]
fn an_offset_or_length_beyond_the_end_is_opaque() {
    assert_eq!(told("f(bytes)", words("40")), "The data points beyond its own end, at byte 0.");
    assert_eq!(told("f(uint256[])", words("20 2 1")), "The data points beyond its own end, at byte 32.");
    let max = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    assert_eq!(told("f(bytes)", words(max)), "The data points beyond its own end, at byte 0.");
    assert_eq!(told("f(bytes)", words(&format!("20 {max}"))), "The data points beyond its own end, at byte 32.");
    assert_eq!(told("f(bytes[])", words(&format!("20 1 {max}"))), "The data points beyond its own end, at byte 64.");
    assert_eq!(told("f(bytes[])", words(&format!("20 {max}"))), "The data points beyond its own end, at byte 32.");
}

#[test]
fn a_payload_may_claim_what_a_block_can_pay_for() {
    assert_eq!(told("f(bytes)", words("20 1000000")), "0x | data ends early, the rest reads as zeros");
    assert_eq!(told("f(bytes)", words("20 1000001")), "The data points beyond its own end, at byte 32.");
}

#[test]
fn an_array_of_nothing_costs_what_it_claims() {
    assert_eq!(told("f(uint256[0][])", words("20 3")), "[[], [], []] | none");
    assert_eq!(told("f(()[])", words("20 2")), "[(), ()] | none");
    assert_eq!(told("f(()[])", words("20 ffffffff")), Opaque::TooManyNodes.to_string());
    assert_eq!(told("f(uint8[60000])", Vec::new()), Opaque::TooManyNodes.to_string());
}

#[test]
fn calldata_that_expands_without_end_reaches_the_budget() {
    // Thirty offsets to one array of thirty offsets, and so on: 30^3 values out of four kilobytes.
    let mut data = words("20");
    for _ in 0..3 {
        data.extend(words("1e"));
        data.extend((0..30).flat_map(|_| words("3c0")));
    }
    data.extend(words("0"));
    assert_eq!(told("f(uint256[][][][])", data), Opaque::TooManyNodes.to_string());

    // The same payload of a kilobyte, four thousand times.
    let mut data = words("20 fa0");
    data.extend((0..0xfa0).flat_map(|_| words("1f400")));
    data.extend(words("400"));
    data.extend([0xaa; 1024]);
    assert_eq!(told("f(bytes[])", data.clone()), Opaque::TooManyBytes.to_string());
    let mut roomy = Budget::new(5000, 1, 8 << 20);
    let decoded = function("f(bytes[])").decode_arguments(&data.into(), &mut roomy).unwrap_or_else(|e| panic!("{e}"));
    assert!(decoded.flaws.contains(Flaws::OVERLAP));
}

#[test]
fn a_budget_is_spent_over_several_decodes() {
    let f = function("f(uint256,uint256)");
    let mut budget = Budget::new(3, 1, 1000);
    assert!(f.decode_arguments(&words("1 2").into(), &mut budget).is_ok());
    assert_eq!(f.decode_arguments(&words("1 2").into(), &mut budget), Err(Opaque::TooManyNodes));
    assert_eq!(f.decode_arguments(&words("1 2").into(), &mut Budget::new(9, 1, 63)), Err(Opaque::TooManyBytes));
}

#[test]
fn a_log_is_read_from_topics_and_data_in_the_order_of_the_abi() {
    let e = event("Moved(uint256 amount, address indexed from, string memo, string indexed tag)");
    let topics = [e.topic0.unwrap_or_default(), TO.into_word(), keccak256("grant")];
    let decoded =
        e.decode_log(&topics, &words("7 40 2 <6869").into(), &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"));
    let told: Vec<String> = decoded.args.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "amount: 7".to_owned(),
            format!("from: {TO}"),
            "memo: \"hi\"".to_owned(),
            format!("tag: keccak {}", keccak256("grant")),
        ]
    );
    assert!(decoded.flaws.is_empty());
    let spans: Vec<bool> = decoded.args.iter().map(|arg| arg.span.is_some()).collect();
    assert_eq!(spans, [true, false, true, false], "topics have no place in the data");
}

#[test]
fn a_log_of_another_layout_is_refused() {
    let e = event("AddedOwner(address indexed owner)");
    let topic0 = e.topic0.unwrap_or_default();
    let decode = |topics: &[B256]| e.decode_log(topics, &Bytes::new(), &mut Budget::default()).map(|d| d.flaws);
    assert_eq!(decode(&[topic0]), Err(Opaque::TopicCount { expected: 2, found: 1 }));
    assert_eq!(decode(&[B256::ZERO, B256::ZERO]), Err(Opaque::UnknownEvent(B256::ZERO)));
    assert_eq!(decode(&[topic0, B256::repeat_byte(1)]), Ok(Flaws::DIRTY_VALUE));
}

#[test]
fn an_anonymous_log_has_only_arguments_for_topics() {
    let e = event("Note(bytes4 indexed sig, uint256 amount) anonymous");
    let sig = b256!("a9059cbb00000000000000000000000000000000000000000000000000000000");
    let decoded = e.decode_log(&[sig], &words("5").into(), &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(decoded.args.iter().map(ToString::to_string).collect::<Vec<_>>(), ["sig: 0xa9059cbb", "amount: 5"]);
}

#[test]
fn what_is_encoded_decodes_to_the_same() {
    let f = function("f(address,(uint8,bytes)[],string[2],int16[2][],bytes3)");
    let field = |value| Arg { name: "".into(), ty: "".into(), value, span: None };
    let item =
        |n: u8| Value::Tuple(vec![field(Value::Uint(U256::from(n))), field(Value::Bytes(vec![n; n.into()].into()))]);
    let int = |n: i64| Value::Int(I256::try_from(n).unwrap_or_default());
    let values = [
        Value::Address(TO),
        Value::Array(vec![item(3), item(40)]),
        Value::Array(vec![Value::String("a".into()), Value::String(vec![b'b'; 33].into())]),
        Value::Array(vec![Value::Array(vec![int(-1), int(32767)])]),
        Value::FixedBytes(B256::right_padding_from(&[1, 2, 3]), 3),
    ];
    let data = encode_values(&f.inputs, &values).unwrap_or_else(|e| panic!("{e}"));
    let decoded = f.decode_arguments(&data.clone().into(), &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"));
    assert!(decoded.flaws.is_empty(), "{}", decoded.flaws);
    let again: Vec<Value> = decoded.args.into_iter().map(|arg| arg.value).collect();
    assert_eq!(encode_values(&f.inputs, &again), Ok(data));
}

#[test]
fn what_does_not_fit_is_not_encoded() {
    let f = function("f(uint8 small, uint256[2] pair)");
    let pair = Value::Array(vec![Value::Uint(U256::ZERO), Value::Uint(U256::ZERO)]);
    let told =
        |small: Value, pair: Value| encode_values(&f.inputs, &[small, pair]).expect_err("does not fit").to_string();
    assert_eq!(told(Value::Uint(U256::from(256)), pair.clone()), "argument 0 (small): 256 is no uint8");
    assert_eq!(told(Value::Bool(true), pair), "argument 0 (small): true is no uint8");
    assert_eq!(told(Value::Uint(U256::ZERO), Value::Array(Vec::new())), "argument 1 (pair): [] is no uint256[2]");
    assert_eq!(
        encode_values(&f.inputs, &[]).expect_err("too few").to_string(),
        "arguments: 0 given where 2 are expected"
    );
}
