//! Any type, any bytes: a decode ends in values or a reason, and is free of flaws exactly when it encodes back.
//!
//! The first bytes of the input choose the types, as in the property tests; the rest is either an honest encoding that is
//! damaged step by step, or taken as calldata as it is.
#![no_main]

use alloy_primitives::Bytes;
use libfuzzer_sys::fuzz_target;
use watchfire::{
    abi::{Budget, Function, encode},
    model::value::Value,
};

#[allow(dead_code, reason = "the oracle of the property tests follows fewer types")]
#[path = "../../../it/abi_case.rs"]
mod abi_case;

use abi_case::{Entropy, Types, damage, params, value};

fuzz_target!(|input: &[u8]| {
    let mut entropy = Entropy::new(input);
    let honest = entropy.byte() % 2 == 0;
    let inputs = params(&mut entropy, Types::Any);
    let types: Vec<&str> = inputs.iter().map(|input| &*input.ty).collect();
    let function = Function::parse(&format!("f({})", types.join(","))).expect("a type of the generator");
    if !honest {
        return judge(&function, entropy.rest().to_vec());
    }
    let values: Vec<Value> = inputs.iter().map(|input| value(&mut entropy, &input.kind)).collect();
    let mut data = encode(&inputs, &values).expect("a value of the generator");
    judge(&function, data.clone());
    while !entropy.is_empty() {
        damage(&mut entropy, &mut data);
        judge(&function, data.clone());
    }
});

fn judge(function: &Function, data: Vec<u8>) {
    let bytes = Bytes::from(data);
    let Ok(decoded) = function.decode(&bytes, &mut Budget::default()) else { return };
    // What a page and a record make of it.
    for arg in &decoded.args {
        assert!(arg.to_string().chars().count() < 1024);
    }
    let values: Vec<Value> = decoded.args.into_iter().map(|arg| arg.value).collect();
    let again = encode(&function.inputs, &values).expect("decoded values fit their types");
    assert_eq!(decoded.flaws.is_empty(), again == *bytes, "{}: {}", function.signature, decoded.flaws);
}
