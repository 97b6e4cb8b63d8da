//! What holds for every type and every input of the decoder, with alloy's decoder as the oracle.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Bytes, U256};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRng, TestRunner},
};
use watchfire::{
    abi::{Abi, Budget, Decoded, Event, Flaws, Function, Kind, Opaque, Param, bundled, encode_values, multisend},
    model::value::Value,
};

use crate::{
    abi_case::{Entropy, Types, damage, params, value},
    counting::peak,
};

/// Damaged inputs of one type and value.
const DAMAGES: u32 = 24;
/// Bytes a decoded value costs at most: a field of a tuple with its name, type and span.
const BYTES_PER_NODE: usize = 96;

/// Runs `property` on as many cases, the same in every run.
#[track_caller]
fn for_all(cases: u32, entropy_max: usize, property: impl Fn(&[u8]) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    runner.run(&vec(any::<u8>(), 0..entropy_max), |bytes| property(&bytes)).unwrap_or_else(|e| panic!("{e}"));
}

fn function(inputs: &[Param]) -> Function {
    let types: Vec<&str> = inputs.iter().map(|input| &*input.ty).collect();
    Function::parse(&format!("f({})", types.join(","))).unwrap_or_else(|e| panic!("{e}"))
}

fn values(decoded: &Decoded) -> Vec<Value> {
    decoded.args.iter().map(|arg| arg.value.clone()).collect()
}

/// Our value as alloy's; none where alloy has no such value.
fn as_alloy(kind: &Kind, value: &Value) -> Option<DynSolValue> {
    let all =
        |element: &Kind, values: &[Value]| values.iter().map(|v| as_alloy(element, v)).collect::<Option<Vec<_>>>();
    Some(match (kind, value) {
        (_, Value::Address(address)) => DynSolValue::Address(*address),
        (Kind::Uint(bits), Value::Uint(number)) => DynSolValue::Uint(*number, (*bits).into()),
        (Kind::Int(bits), Value::Int(number)) => DynSolValue::Int(*number, (*bits).into()),
        (_, Value::Bool(truth)) => DynSolValue::Bool(*truth),
        (Kind::Function, Value::FixedBytes(word, _)) => DynSolValue::Function(word[..24].try_into().ok()?),
        (_, Value::FixedBytes(word, len)) => DynSolValue::FixedBytes(*word, (*len).into()),
        (_, Value::Bytes(bytes)) => DynSolValue::Bytes(bytes.to_vec()),
        (_, Value::String(bytes)) => DynSolValue::String(std::str::from_utf8(bytes).ok()?.to_owned()),
        (Kind::Array(element), Value::Array(values)) => DynSolValue::Array(all(element, values)?),
        (Kind::FixedArray(element, _), Value::Array(values)) => DynSolValue::FixedArray(all(element, values)?),
        (Kind::Tuple(params), Value::Tuple(fields)) => {
            let fields = params.iter().zip(fields).map(|(param, field)| as_alloy(&param.kind, &field.value));
            DynSolValue::Tuple(fields.collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    })
}

fn all_as_alloy(inputs: &[Param], values: &[Value]) -> Option<DynSolValue> {
    let values = inputs.iter().zip(values).map(|(input, value)| as_alloy(&input.kind, value));
    values.collect::<Option<Vec<_>>>().map(DynSolValue::Tuple)
}

/// What alloy reads, if it writes the same bytes again.
///
/// It keeps bits outside a number's width and writes them back, so those are looked for apart.
fn canonical(alloy: &DynSolType, data: &[u8]) -> Option<DynSolValue> {
    alloy.abi_decode_params(data).ok().filter(|values| within_width(values) && values.abi_encode_params() == data)
}

fn within_width(value: &DynSolValue) -> bool {
    match value {
        DynSolValue::Uint(number, bits) => number.bit_len() <= *bits,
        DynSolValue::Int(number, bits) => number.bits() as usize <= *bits,
        DynSolValue::FixedBytes(word, len) => word[*len..].iter().all(|byte| *byte == 0),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) | DynSolValue::Tuple(values) => {
            values.iter().all(within_width)
        }
        _ => true,
    }
}

/// Decodes within a bound on memory: what the budget has paid for, and nothing for the input itself.
fn decode(function: &Function, data: &Bytes) -> Result<Result<Decoded, Opaque>, TestCaseError> {
    let mut budget = Budget::default();
    let before = budget.nodes_left();
    let (decoded, held) = peak(|| function.decode_arguments(data, &mut budget));
    let spent = (before - budget.nodes_left()) as usize;
    // Sharing a buffer for the first time costs a few words of bookkeeping.
    prop_assert!(
        held <= BYTES_PER_NODE * spent + 256,
        "{held} bytes held for {spent} values of {}",
        function.signature
    );
    Ok(decoded)
}

#[test]
fn decoding_agrees_with_the_oracle_on_honest_and_damaged_encodings() {
    for_all(5_000, 900, |bytes| {
        let mut entropy = Entropy::new(bytes);
        let function = function(&params(&mut entropy, Types::Sane));
        let honest: Vec<Value> = function.inputs.iter().map(|input| value(&mut entropy, &input.kind)).collect();
        let data = encode_values(&function.inputs, &honest).unwrap_or_else(|e| panic!("{e}"));
        let alloy = DynSolType::Tuple(
            function.inputs.iter().map(|i| DynSolType::parse(&i.ty).unwrap_or_else(|e| panic!("{e}"))).collect(),
        );

        // Honest: both encoders agree, and what was put in comes out, without flaws.
        let honest_alloy = all_as_alloy(&function.inputs, &honest).unwrap_or_else(|| panic!("{}", function.signature));
        prop_assert_eq!(&honest_alloy.abi_encode_params(), &data);
        let decoded = decode(&function, &data.clone().into())?;
        prop_assert_eq!(decoded.as_ref().map(|d| d.flaws), Ok(Flaws::NONE));
        prop_assert_eq!(
            all_as_alloy(&function.inputs, &decoded.map(|d| values(&d)).unwrap_or_default()),
            Some(honest_alloy)
        );

        // Damaged: one wound after the other, judged after each.
        let mut damaged = data;
        for i in 0..DAMAGES {
            if i % 4 == 0 {
                damaged = encode_values(&function.inputs, &honest).unwrap_or_else(|e| panic!("{e}"));
            }
            damage(&mut entropy, &mut damaged);
            judge(&function, &alloy, &damaged.clone().into())?;
        }
        Ok(())
    });
}

/// The promises, on any input.
fn judge(function: &Function, alloy: &DynSolType, data: &Bytes) -> Result<(), TestCaseError> {
    let canonical = canonical(alloy, data);
    match decode(function, data)? {
        Ok(decoded) => {
            let values = values(&decoded);
            // Masked and cut values still fit their types.
            let again = encode_values(&function.inputs, &values).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(decoded.flaws.is_empty(), again == **data, "{}: {}", function.signature, decoded.flaws);
            match (canonical, all_as_alloy(&function.inputs, &values)) {
                (Some(theirs), ours) => {
                    prop_assert!(decoded.flaws.is_empty(), "{}: {}", function.signature, decoded.flaws);
                    prop_assert_eq!(ours, Some(theirs));
                }
                // Text that is not UTF-8 has no value of alloy's.
                (None, ours) => prop_assert!(!decoded.flaws.is_empty() || ours.is_none(), "{}", function.signature),
            }
        }
        Err(opaque) => prop_assert!(canonical.is_none(), "{}: {opaque}", function.signature),
    }
    Ok(())
}

#[test]
fn types_of_no_size_and_bytes_of_no_shape_end_in_values_or_a_reason() {
    for_all(20_000, 600, |bytes| {
        let mut entropy = Entropy::new(bytes);
        let function = function(&params(&mut entropy, Types::Any));
        let _ = decode(&function, &Bytes::copy_from_slice(entropy.rest()))?;
        let mut data = Vec::new();
        while !entropy.is_empty() {
            // Small words look like offsets and lengths.
            data.extend(U256::from(entropy.below(256)).to_be_bytes::<32>());
        }
        if let Ok(decoded) = decode(&function, &data.clone().into())? {
            let again =
                encode_values(&function.inputs, &values(&decoded)).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(decoded.flaws.is_empty(), again == data, "{}", function.signature);
        }
        Ok(())
    });
}

#[test]
fn a_list_without_flaws_packs_to_the_same_bytes() {
    for_all(20_000, 400, |bytes| {
        let mut entropy = Entropy::new(bytes);
        let n = entropy.byte() % 4;
        let calls: Vec<_> = (0..n)
            .map(|_| {
                let (to, data) = (value(&mut entropy, &Kind::Address), value(&mut entropy, &Kind::Bytes));
                let to = to.as_address().unwrap_or_default();
                (entropy.byte() % 2, to, U256::from(entropy.byte()), data.as_bytes().cloned().unwrap_or_default())
            })
            .collect();
        let mut list = multisend::encode_multisend(calls.iter().map(|(op, to, wei, data)| (*op, *to, *wei, &data[..])));
        for _ in 0..4 {
            let mut budget = Budget::default();
            let data = Bytes::from(list.clone());
            let (read, held) = peak(|| multisend::decode_multisend(&data, &mut budget));
            prop_assert!(held <= 4096, "{held}");
            if let Ok((items, flaws)) = read {
                let again =
                    multisend::encode_multisend(items.iter().map(|i| (i.operation, i.to, i.value, &i.data[..])));
                let known = items.iter().all(|item| item.operation < 2);
                prop_assert_eq!(flaws.is_empty(), again == list && known, "{}", flaws);
            }
            damage(&mut entropy, &mut list);
        }
        Ok(())
    });
}

#[test]
fn a_log_of_any_bytes_ends_in_values_or_a_reason() {
    let events: Vec<&Event> =
        bundled::bundled_abis().into_iter().flat_map(|(_, abi)| abi.all_events()).map(|e| &**e).collect();
    for_all(10_000, 300, |bytes| {
        let mut entropy = Entropy::new(bytes);
        let event = events[entropy.below(events.len())];
        let mut topics: Vec<_> = event.topic0.into_iter().collect();
        while topics.len() < event.n_topics() {
            topics.push(value(&mut entropy, &Kind::Uint(256)).as_uint().unwrap_or_default().into());
        }
        let mut data = Vec::new();
        while !entropy.is_empty() {
            data.extend(U256::from(entropy.below(300)).to_be_bytes::<32>());
        }
        damage(&mut entropy, &mut data);
        let _ = event.decode_log(&topics, &data.into(), &mut Budget::default());
        Ok(())
    });
}

/// `bytes[]` and its like: `depth` arrays of `width` offsets, all of which lead to the same array behind.
fn alias_bomb(depth: usize, width: usize, payload: usize) -> Vec<u8> {
    let word = |n: usize| U256::from(n).to_be_bytes::<32>();
    let mut data = word(32).to_vec();
    for _ in 0..depth {
        data.extend(word(width));
        (0..width).for_each(|_| data.extend(word(width * 32)));
    }
    data.extend(word(payload));
    data.extend(vec![0xff; payload]);
    data
}

#[test]
fn bombs_go_off_in_a_sandbox() {
    // 29 kB that expand to 655 MB, and 125 kB that expand to 122 MB, where every offset is followed and copied.
    let bombs = [
        ("f(bytes[][])", alias_bomb(2, 450, 64)),
        ("f(bytes[])", alias_bomb(1, 1950, 62_500)),
        ("f(string[][][][])", alias_bomb(4, 60, 64)),
        ("f((uint256,bytes)[][])", alias_bomb(2, 450, 64)),
        ("f(()[])", alias_bomb(0, 0, 0xffff)),
    ];
    for (signature, data) in bombs {
        let function = Function::parse(signature).unwrap_or_else(|e| panic!("{e}"));
        let data = Bytes::from(data);
        let (decoded, held) = peak(|| function.decode_arguments(&data, &mut Budget::default()));
        assert!(decoded.is_err(), "{signature}: {decoded:?}");
        assert!(held < 512 << 10, "{signature} of {} bytes held {held}", data.len());
    }
}

#[test]
fn showing_a_decoded_bomb_stays_of_its_order() {
    // Four thousand values that share one payload of a kilobyte: within a roomy budget, so that there is something to show.
    let data = Bytes::from(alias_bomb(1, 4000, 1024));
    let function = Function::parse("f(bytes[])").unwrap_or_else(|e| panic!("{e}"));
    let decoded =
        function.decode_arguments(&data, &mut Budget::new(5000, 1, 8 << 20)).unwrap_or_else(|e| panic!("{e}"));
    let (line, held) = peak(|| decoded.args[0].to_string());
    assert!(line.len() < 4096 && held < 16 << 10, "{held}");
}

#[test]
fn an_abi_file_of_any_bytes_is_read_or_refused() {
    let whole = include_str!("../../abis/multisig-wallet.json");
    for_all(2_000, 60, |bytes| {
        let mut entropy = Entropy::new(bytes);
        let mut text = whole.as_bytes().to_vec();
        for _ in 0..3 {
            damage(&mut entropy, &mut text);
        }
        let _ = Abi::from_json(&String::from_utf8_lossy(&text));
        let start = entropy.below(whole.len());
        let _ = Function::parse(&whole[start..]);
        let _ = Event::parse(&String::from_utf8_lossy(bytes));
        Ok(())
    });
}
