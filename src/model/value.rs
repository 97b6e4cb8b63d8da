//! Typed argument values, as decoded from calldata, topics and log data.
//!
//! Input: arguments decoded by `abi`. Output: values that rules compare, pages show and records store. No code here
//! reads bytes; payloads are slices of the input, never copies.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use alloy_primitives::{Address, B256, Bytes, I256, U256};
use serde_json::json;

use super::text::escape_unprintable;

/// Maximum number of characters in the `Display` of one [`Value`], its cut mark included.
pub const DISPLAY_CHARS_MAX: usize = 512;
/// Maximum number of bytes of one payload or text in [`Value::to_json`]; the rest is reported as a count.
pub const JSON_BYTES_MAX: usize = 4096;
/// Maximum number of bytes of one payload in `Display`: a selector and most of a first argument.
const DISPLAY_BYTES_MAX: usize = 32;
/// Maximum number of characters of one text in `Display`.
const DISPLAY_TEXT_MAX: usize = 80;
/// Maximum number of elements of one array in `Display`.
const DISPLAY_ELEMENTS_MAX: usize = 8;

/// A decoded value. Its type is in [`Arg::ty`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// `address`.
    Address(Address),
    /// `uint8` to `uint256`, with the bits outside its width masked.
    Uint(U256),
    /// `int8` to `int256`, sign-extended from its width.
    Int(I256),
    /// `bool`: true for every non-zero word, as the EVM branches.
    Bool(bool),
    /// `bytes1` to `bytes32` and `function` (24 bytes): left-aligned, zero after its length, which is in bytes.
    FixedBytes(B256, u8),
    /// `bytes`: a slice of the input, shorter than its claimed length where the input ended before it.
    Bytes(Bytes),
    /// `string`, raw: the chain does not promise UTF-8.
    String(Bytes),
    /// `T[]` and `T[k]`.
    Array(Vec<Value>),
    /// `(T1,T2,...)`, its fields in order.
    Tuple(Vec<Arg>),
    /// An indexed argument of dynamic or composite type: its topic is the keccak-256 of the value, and the value is not in
    /// the log (Solidity ABI specification, "Encoding of Indexed Event Parameters").
    Hash(B256),
}

/// A named, typed value: an argument of a call or an event, or a field of a tuple.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arg {
    /// Name in the ABI; empty when it has none.
    pub name: Arc<str>,
    /// Canonical type, such as `uint256` or `(address,uint256)[]`.
    pub ty: Arc<str>,
    /// Decoded value.
    pub value: Value,
    /// Position of the value's own bytes; absent for a topic.
    pub span: Option<Span>,
}

/// Position of a value in the input, in bytes: calldata without its selector, or the data of a log.
///
/// The span of a static value is its words. The span of `bytes` and `string` is the payload only, without length and
/// padding. The span of any other dynamic value reaches from its length word, or from its head, to its furthest byte. A
/// span of short calldata may reach beyond the end of the calldata, where the EVM reads zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// Returns the span from `start` up to, not including, `end`; positions beyond 4 GiB are clamped.
    pub fn from_bounds(start: usize, end: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        Self { start, len: end.saturating_sub(start) }
    }

    /// Returns the position of the first byte after the span.
    pub fn end(self) -> u32 {
        self.start.saturating_add(self.len)
    }
}

impl Value {
    /// Returns the address, if the value is one.
    pub fn as_address(&self) -> Option<Address> {
        if let Self::Address(address) = self { Some(*address) } else { None }
    }

    /// Returns the unsigned number, if the value is one.
    pub fn as_uint(&self) -> Option<U256> {
        if let Self::Uint(number) = self { Some(*number) } else { None }
    }

    /// Returns the boolean, if the value is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// Returns the payload, if the value is `bytes`.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// Returns the elements, if the value is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// Returns the fields, if the value is a tuple.
    pub fn as_tuple(&self) -> Option<&[Arg]> {
        if let Self::Tuple(fields) = self { Some(fields) } else { None }
    }

    /// Returns the value as JSON for records: addresses in EIP-55, bytes and hashes as lower-case hex, integers as
    /// decimal strings, tuples as objects when every field has a unique name and as arrays otherwise.
    ///
    /// A payload or text above [`JSON_BYTES_MAX`] is cut, with a mark, so that a record stays of the order of the input
    /// even where many values share one payload. Text that is not UTF-8 is written as by [`escape_unprintable`].
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Address(address) => json!(address.to_checksum(None)),
            Self::Uint(number) => json!(number.to_string()),
            Self::Int(number) => json!(number.to_string()),
            Self::Bool(truth) => json!(truth),
            Self::FixedBytes(word, len) => json!(hex_cut(fixed_bytes(word, *len), 32)),
            Self::Bytes(bytes) => json!(hex_cut(bytes, JSON_BYTES_MAX)),
            Self::String(bytes) => json!(text_cut(bytes)),
            Self::Array(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Tuple(fields) => args_to_json(fields),
            Self::Hash(hash) => json!(format!("{hash:#x}")),
        }
    }
}

/// Returns arguments as JSON: an object by name when every argument has a unique name, an array otherwise. See
/// [`Value::to_json`].
pub fn args_to_json(args: &[Arg]) -> serde_json::Value {
    let distinct = args.iter().enumerate().all(|(i, arg)| {
        // Functions have few arguments, so a set would cost more than it saves. A wide tuple is written as an array.
        !arg.name.is_empty() && i < 64 && args[..i].iter().all(|earlier| earlier.name != arg.name)
    });
    if distinct {
        let fields = args.iter().map(|arg| (arg.name.to_string(), arg.value.to_json()));
        serde_json::Value::Object(fields.collect())
    } else {
        args.iter().map(|arg| arg.value.to_json()).collect()
    }
}

/// Formats the value on one line that is safe for a terminal, with at most [`DISPLAY_CHARS_MAX`] characters.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Short { text: String::new(), left: DISPLAY_CHARS_MAX };
        // A full line stops the traversal with an error, so that a value of thousands of nodes stays cheap to show.
        if write_value(&mut line, self).is_err() {
            line.text.push('…');
        }
        f.write_str(&line.text)
    }
}

/// `name: value`, or the value alone where there is no name.
impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            write!(f, "{}: ", escape_unprintable(&*self.name, DISPLAY_TEXT_MAX))?;
        }
        self.value.fmt(f)
    }
}

fn write_value(out: &mut Short, value: &Value) -> fmt::Result {
    match value {
        Value::Address(address) => out.write_str(&address.to_checksum(None)),
        Value::Uint(number) => write!(out, "{number}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::FixedBytes(word, len) => out.write_str(&hex_cut(fixed_bytes(word, *len), 32)),
        Value::Bytes(bytes) => out.write_str(&hex_cut(bytes, DISPLAY_BYTES_MAX)),
        Value::String(bytes) => write!(out, "\"{}\"", escape_unprintable(bytes, DISPLAY_TEXT_MAX)),
        Value::Array(elements) => {
            out.write_char('[')?;
            for (i, element) in elements.iter().take(DISPLAY_ELEMENTS_MAX).enumerate() {
                out.write_str(if i == 0 { "" } else { ", " })?;
                write_value(out, element)?;
            }
            if let Some(hidden @ 1..) = elements.len().checked_sub(DISPLAY_ELEMENTS_MAX) {
                write!(out, ", …{hidden} more")?;
            }
            out.write_char(']')
        }
        Value::Tuple(fields) => {
            out.write_char('(')?;
            for (i, field) in fields.iter().enumerate() {
                out.write_str(if i == 0 { "" } else { ", " })?;
                if !field.name.is_empty() {
                    write!(out, "{}: ", escape_unprintable(&*field.name, DISPLAY_TEXT_MAX))?;
                }
                write_value(out, &field.value)?;
            }
            out.write_char(')')
        }
        Value::Hash(hash) => write!(out, "keccak {hash:#x}"),
    }
}

/// A line that rejects text beyond its remaining length.
struct Short {
    text: String,
    left: usize,
}

impl fmt::Write for Short {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for c in s.chars() {
            // The last character is reserved for the cut mark.
            if self.left == 1 {
                return Err(fmt::Error);
            }
            self.left -= 1;
            self.text.push(c);
        }
        Ok(())
    }
}

fn fixed_bytes(word: &B256, len: u8) -> &[u8] {
    &word[..usize::from(len).min(32)]
}

fn hex_cut(bytes: &[u8], bytes_max: usize) -> String {
    if bytes.len() <= bytes_max {
        return const_hex::encode_prefixed(bytes);
    }
    format!("{}… ({} bytes)", const_hex::encode_prefixed(&bytes[..bytes_max]), bytes.len())
}

fn text_cut(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= JSON_BYTES_MAX => text.to_owned(),
        Ok(text) => format!("{}… ({} bytes)", &text[..text.floor_char_boundary(JSON_BYTES_MAX)], text.len()),
        Err(_) => escape_unprintable(bytes, JSON_BYTES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    fn arg(name: &str, value: Value) -> Arg {
        Arg { name: name.into(), ty: "".into(), value, span: None }
    }

    fn order() -> Value {
        Value::Tuple(vec![
            arg("to", Value::Address(address!("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))),
            arg("amount", Value::Uint(U256::from(60_000u64))),
        ])
    }

    #[test]
    fn json_keeps_every_digit_and_the_checksum() {
        assert_eq!(order().to_json(), json!({"to": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "amount": "60000"}));
        assert_eq!(Value::Uint(U256::MAX).to_json(), json!(U256::MAX.to_string()));
        assert_eq!(Value::Int(I256::MINUS_ONE).to_json(), json!("-1"));
        assert_eq!(Value::FixedBytes(B256::repeat_byte(0xab), 4).to_json(), json!("0xabababab"));
        assert_eq!(Value::Hash(B256::repeat_byte(0xCD)).to_json(), json!(format!("0x{}", "cd".repeat(32))));
        assert_eq!(Value::Bool(true).to_json(), json!(true));
    }

    #[test]
    fn fields_without_distinct_names_become_an_array() {
        let twice = Value::Tuple(vec![arg("a", Value::Bool(true)), arg("a", Value::Bool(false))]);
        assert_eq!(twice.to_json(), json!([true, false]));
        assert_eq!(Value::Tuple(vec![arg("", Value::Bool(true))]).to_json(), json!([true]));
        assert_eq!(args_to_json(&[]), json!({}));
    }

    #[test]
    fn a_large_payload_is_cut_and_counted() {
        let json = Value::Bytes(vec![0x11; JSON_BYTES_MAX + 1].into()).to_json();
        let shown = json.as_str().unwrap_or_default();
        assert!(shown.starts_with("0x1111") && shown.ends_with("… (4097 bytes)"), "{shown}");
        assert!(
            Value::String("é".repeat(5000).into_bytes().into())
                .to_json()
                .as_str()
                .is_some_and(|s| s.ends_with("… (10000 bytes)"))
        );
        assert_eq!(Value::String("grant".into()).to_json(), json!("grant"));
        assert_eq!(Value::String(vec![b'a', 0xff].into()).to_json(), json!(r"a\xff"));
    }

    #[test]
    fn display_is_one_short_line() {
        assert_eq!(order().to_string(), "(to: 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed, amount: 60000)");
        assert_eq!(arg("memo", Value::String("hi\u{202e}\n".into())).to_string(), r#"memo: "hi\u{202e}\u{a}""#);
        assert_eq!(Value::Array(vec![Value::Bool(true); 10]).to_string().matches("true").count(), 8);
        assert!(Value::Array(vec![Value::Bool(true); 10]).to_string().ends_with(", …2 more]"));
        assert_eq!(Value::Bytes(vec![0xaa; 40].into()).to_string(), format!("0x{}… (40 bytes)", "aa".repeat(32)));
        let deep = (0..6).fold(Value::Uint(U256::MAX), |inner, _| Value::Array(vec![inner; 8]));
        assert_eq!(deep.to_string().chars().count(), DISPLAY_CHARS_MAX);
    }

    #[test]
    fn a_span_beyond_the_address_space_is_brought_back() {
        assert_eq!(Span::from_bounds(4, 36), Span { start: 4, len: 32 });
        assert_eq!(Span::from_bounds(usize::MAX, usize::MAX).end(), u32::MAX);
    }
}
