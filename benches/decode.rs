//! What a matched call costs to decode, beside alloy's dynamic decoder as the baseline.
//!
//! Three inputs: a token transfer, a Safe that sends ten of them in a batch, and calldata made to expand without end. The
//! last has no baseline: alloy would allocate hundreds of megabytes for it.

use std::{hint::black_box, sync::Arc};

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, Bytes, U256};
use criterion::{Criterion, criterion_group, criterion_main};
use watchfire::{
    abi::{Abi, Budget, Function, bundled, multisend},
    model::value::Value,
};

criterion_group!(benches, transfer, safe_batch, bombs);
criterion_main!(benches);

fn transfer(c: &mut Criterion) {
    let mut group = c.benchmark_group("transfer");
    let calldata = transfer_call(1);
    let erc20 = bundled::erc20();
    group.bench_function("watchfire", |b| b.iter(|| decode(erc20, black_box(&calldata), &mut Budget::default())));

    let alloy = alloy_params("(address,uint256)");
    group.bench_function("alloy", |b| b.iter(|| alloy.abi_decode_params(black_box(&calldata[4..]))));
    group.finish();
}

fn safe_batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("safe_multisend_10_transfers");
    let calldata = safe_call();
    let (safe, batch, erc20) = (bundled::safe(), bundled::multisend(), bundled::erc20());
    group.bench_function("watchfire", |b| {
        b.iter(|| {
            let mut budget = Budget::default();
            let exec = decode(safe, black_box(&calldata), &mut budget)?;
            let send = decode(batch, exec[2].value.as_bytes()?, &mut budget)?;
            let (items, _) = multisend::decode_multisend(send[0].value.as_bytes()?, &mut budget).ok()?;
            Some(items.iter().filter_map(|item| decode(erc20, &item.data, &mut budget)).count())
        });
    });

    let exec = alloy_params("(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)");
    let (send, transfer) = (alloy_params("(bytes)"), alloy_params("(address,uint256)"));
    group.bench_function("alloy", |b| {
        b.iter(|| {
            let exec = exec.abi_decode_params(black_box(&calldata[4..])).ok()?;
            let send = send.abi_decode_params(&exec.as_tuple()?[2].as_bytes()?[4..]).ok()?;
            // alloy has no reader for the packed list; ours stands in, so that only the decoders differ.
            let list = Bytes::copy_from_slice(send.as_tuple()?[0].as_bytes()?);
            let (items, _) = multisend::decode_multisend(&list, &mut Budget::default()).ok()?;
            let leaves: Vec<DynSolValue> =
                items.iter().filter_map(|item| transfer.abi_decode_params(&item.data[4..]).ok()).collect();
            Some(leaves.len())
        });
    });
    group.finish();
}

fn bombs(c: &mut Criterion) {
    let mut group = c.benchmark_group("bomb");
    // Offsets that all lead to the same place: 29 kB for 450 x 450 payloads, 125 kB for 1,950 payloads of 62 kB.
    for (name, signature, data) in [
        ("bytes[][] 29 kB", "f(bytes[][])", aliased(2, 450, 64)),
        ("bytes[] 125 kB", "f(bytes[])", aliased(1, 1950, 62_500)),
    ] {
        let function = parse(signature);
        let data = Bytes::from(data);
        group.bench_function(name, |b| b.iter(|| function.decode_arguments(black_box(&data), &mut Budget::default())));
    }
    group.finish();
}

/// What a watcher does with calldata: find the function, decode the rest.
fn decode(abi: &Abi, calldata: &Bytes, budget: &mut Budget) -> Option<Vec<watchfire::model::value::Arg>> {
    let function: &Arc<Function> = abi.function_by_selector(calldata.get(..4)?.try_into().ok()?)?;
    Some(function.decode_arguments(&calldata.slice(4..), budget).ok()?.args)
}

fn transfer_call(n: u64) -> Bytes {
    let to = Address::left_padding_from(&n.to_be_bytes());
    let call = parse("transfer(address,uint256)").encode_calldata(&[Value::Address(to), Value::Uint(U256::from(n))]);
    call.expect("the values are of these types").into()
}

fn safe_call() -> Bytes {
    let transfers: Vec<Bytes> = (1..=10).map(transfer_call).collect();
    let list = multisend::encode_multisend(
        transfers.iter().map(|data| (0, Address::repeat_byte(0x74), U256::ZERO, &data[..])),
    );
    let batch = parse("multiSend(bytes)").encode_calldata(&[Value::Bytes(list.into())]).expect("one payload");
    let zero = || Value::Uint(U256::ZERO);
    let nobody = || Value::Address(Address::ZERO);
    let signatures = Value::Bytes([B256::repeat_byte(1); 4].concat().into());
    let exec = bundled::safe().functions_named("execTransaction")[0].encode_calldata(&[
        Value::Address(Address::repeat_byte(0x38)),
        zero(),
        Value::Bytes(batch.into()),
        Value::Uint(U256::from(1)),
        zero(),
        zero(),
        zero(),
        nobody(),
        nobody(),
        signatures,
    ]);
    exec.expect("the values are of these types").into()
}

/// `depth` arrays of `width` offsets, all of which lead to the same array behind, and at last to one payload.
fn aliased(depth: usize, width: usize, payload: usize) -> Vec<u8> {
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

fn parse(signature: &str) -> Function {
    Function::parse(signature).expect("a signature of ours")
}

fn alloy_params(types: &str) -> DynSolType {
    DynSolType::parse(types).expect("types of ours")
}
