//! Encodes arguments canonically: the inverse of [`super::decode`], and the definition of its flaws.

use alloy_primitives::{B256, U256};

use super::item::{AbiError, Function, Kind, Param};
use crate::model::value::Value;

/// Encodes `values` as the calldata after a selector, or as the data of a log.
///
/// # Errors
/// When the values are not of the parameters' types or widths; the place is the parameter.
pub fn encode_values(params: &[Param], values: &[Value]) -> Result<Vec<u8>, AbiError> {
    if params.len() != values.len() {
        return Err(AbiError::new("arguments", format!("{} given where {} are expected", values.len(), params.len())));
    }
    for (i, (param, value)) in params.iter().zip(values).enumerate() {
        if !is_value_of_kind(&param.kind, value) {
            return Err(AbiError::new(format!("argument {i} ({})", param.name), format!("{value} is no {}", param.ty)));
        }
    }
    let mut out = Vec::new();
    encode_sequence(params.iter().map(|param| &param.kind).zip(values), &mut out);
    Ok(out)
}

impl Function {
    /// The calldata of a call with these arguments, selector included.
    ///
    /// # Errors
    /// As [`encode_values`].
    pub fn encode_calldata(&self, values: &[Value]) -> Result<Vec<u8>, AbiError> {
        let mut calldata = self.selector.to_vec();
        calldata.extend(encode_values(&self.inputs, values)?);
        Ok(calldata)
    }
}

/// Writes the heads first, then the tails in the same order.
fn encode_sequence<'a>(items: impl Iterator<Item = (&'a Kind, &'a Value)> + Clone, out: &mut Vec<u8>) {
    let base = out.len();
    let heads: usize = items.clone().map(|(kind, _)| kind.head_size()).sum();
    let mut tails = Vec::new();
    for (kind, value) in items {
        if kind.is_dynamic() {
            out.extend(word(heads + tails.len()));
            encode_dynamic_value(kind, value, &mut tails);
        } else {
            encode_static_value(kind, value, out);
        }
    }
    debug_assert_eq!(out.len(), base + heads);
    out.extend(tails);
}

fn encode_dynamic_value(kind: &Kind, value: &Value, out: &mut Vec<u8>) {
    match (kind, value) {
        (_, Value::Bytes(bytes) | Value::String(bytes)) => {
            out.extend(word(bytes.len()));
            out.extend_from_slice(bytes);
            out.resize(out.len().next_multiple_of(32), 0);
        }
        (Kind::Array(element), Value::Array(elements)) => {
            out.extend(word(elements.len()));
            sequence_of(element, elements, out);
        }
        (Kind::FixedArray(element, _), Value::Array(elements)) => sequence_of(element, elements, out),
        (Kind::Tuple(params), Value::Tuple(fields)) => {
            let items = params.iter().map(|param| &param.kind).zip(fields.iter().map(|field| &field.value));
            let mut tuple = Vec::new();
            encode_sequence(items, &mut tuple);
            out.extend(tuple);
        }
        // Values that do not fit their kind were rejected before.
        _ => {}
    }
}

fn sequence_of(element: &Kind, elements: &[Value], out: &mut Vec<u8>) {
    let mut array = Vec::new();
    encode_sequence(elements.iter().map(|value| (element, value)), &mut array);
    out.extend(array);
}

fn encode_static_value(kind: &Kind, value: &Value, out: &mut Vec<u8>) {
    match (kind, value) {
        (Kind::Tuple(params), Value::Tuple(fields)) => {
            params.iter().zip(fields).for_each(|(param, field)| encode_static_value(&param.kind, &field.value, out));
        }
        (Kind::FixedArray(element, _), Value::Array(elements)) => {
            elements.iter().for_each(|value| encode_static_value(element, value, out));
        }
        (_, Value::Address(address)) => out.extend(address.into_word()),
        (_, Value::Bool(truth)) => out.extend(word(usize::from(*truth))),
        (_, Value::Uint(number)) => out.extend(number.to_be_bytes::<32>()),
        (_, Value::Int(number)) => out.extend(number.to_be_bytes::<32>()),
        (_, Value::FixedBytes(bytes, _)) => out.extend(bytes),
        // Values that do not fit their kind were rejected before.
        _ => {}
    }
}

/// Checks whether `value` is of type `kind` and within its width.
fn is_value_of_kind(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Address, Value::Address(_)) | (Kind::Bool, Value::Bool(_)) => true,
        (Kind::Bytes, Value::Bytes(_)) | (Kind::String, Value::String(_)) => true,
        (Kind::Uint(bits), Value::Uint(number)) => number.bit_len() <= usize::from(*bits),
        (Kind::Int(bits), Value::Int(number)) => number.bits() <= u32::from(*bits),
        (Kind::FixedBytes(_) | Kind::Function, Value::FixedBytes(bytes, len)) => {
            let expected = if let Kind::FixedBytes(len) = kind { *len } else { 24 };
            *len == expected && *bytes == B256::right_padding_from(&bytes[..usize::from(expected).min(32)])
        }
        (Kind::Array(element), Value::Array(values)) => values.iter().all(|value| is_value_of_kind(element, value)),
        (Kind::FixedArray(element, len), Value::Array(values)) => {
            values.len() == *len as usize && values.iter().all(|value| is_value_of_kind(element, value))
        }
        (Kind::Tuple(params), Value::Tuple(fields)) => {
            params.len() == fields.len()
                && params.iter().zip(fields).all(|(param, field)| is_value_of_kind(&param.kind, &field.value))
        }
        _ => false,
    }
}

fn word(number: usize) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}
