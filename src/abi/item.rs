//! Contents of an ABI: functions, events, and the types of their parameters.

use std::sync::Arc;

use alloy_primitives::{B256, keccak256};

use crate::model::arg_path::{ArgPath, Step};

/// Maximum nesting of arrays and tuples; deeper types do not occur, and without the limit an ABI file could exhaust the
/// stack.
pub(super) const TYPE_DEPTH_MAX: usize = 12;
/// Maximum number of words of one static value: `T[k]` can claim any number.
pub(super) const HEAD_WORDS_MAX: u64 = 1 << 16;
/// An event has at most four topics (`LOG4`).
const TOPICS_MAX: usize = 4;

/// A function, addressed by its selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// Name of the function.
    pub name: Arc<str>,
    /// Canonical signature, such as `transfer(address,uint256)`.
    pub signature: Arc<str>,
    /// The first four bytes of the signature's keccak-256.
    pub selector: [u8; 4],
    /// Parameters of the function.
    pub inputs: Arc<[Param]>,
    /// Return values, for reading state; empty where a signature does not list them.
    pub outputs: Arc<[Param]>,
    /// True if the function may change state: not `view`, `pure` or (before solc 0.5) `constant`.
    pub mutates: bool,
    /// True if the function accepts ether.
    pub payable: bool,
}

/// An event, addressed by its first topic and the number of topics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// Name of the event.
    pub name: Arc<str>,
    /// Canonical signature, such as `Transfer(address,address,uint256)`; `indexed` is not part of it.
    pub signature: Arc<str>,
    /// The signature's keccak-256; absent for an anonymous event, whose topics are all arguments.
    pub topic0: Option<B256>,
    /// True if logs of the event lack that topic.
    pub anonymous: bool,
    /// Parameters of the event, including indexed ones.
    pub inputs: Arc<[Param]>,
}

/// A parameter of a function or event, or a field of a tuple.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Param {
    /// Name of the parameter; empty when it has none.
    pub name: Arc<str>,
    /// Canonical type as text.
    pub ty: Arc<str>,
    /// Parsed type.
    pub kind: Kind,
    /// True if the value is stored in a topic; only for parameters of events.
    pub indexed: bool,
}

/// A type of the contract ABI (Solidity documentation, "Contract ABI Specification").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `address`.
    Address,
    /// `bool`.
    Bool,
    /// `uint<bits>`, 8 to 256 in steps of 8.
    Uint(u16),
    /// `int<bits>`, 8 to 256 in steps of 8.
    Int(u16),
    /// `bytes<len>`, 1 to 32.
    FixedBytes(u8),
    /// `function`: an address and a selector in 24 bytes.
    Function,
    /// `bytes`.
    Bytes,
    /// `string`.
    String,
    /// `T[]`.
    Array(Arc<Kind>),
    /// `T[k]`.
    FixedArray(Arc<Kind>, u32),
    /// `(T1,T2,...)`.
    Tuple(Arc<[Param]>),
}

/// Reason why an ABI file or a signature cannot be read, and the place of the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct AbiError {
    /// Location of the error: `entry 3 (function transfer), input 2`, `line 4 column 1`, or a part of the signature.
    pub at: String,
    /// Description of the error at that place.
    pub why: String,
}

impl AbiError {
    pub(super) fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into() }
    }
}

impl Function {
    pub(super) fn new(name: &str, inputs: Vec<Param>, outputs: Vec<Param>, mutates: bool, payable: bool) -> Self {
        let signature = canonical_signature(name, &inputs);
        let hash = keccak256(signature.as_bytes());
        let selector = [hash[0], hash[1], hash[2], hash[3]];
        Self {
            name: name.into(),
            signature: signature.into(),
            selector,
            inputs: inputs.into(),
            outputs: outputs.into(),
            mutates,
            payable,
        }
    }

    /// Returns the type that a path leads to, if it can lead to any: used to check the argument names in a rule.
    ///
    /// `[3]` is valid in every `T[]`, and in a `T[k]` with more than three elements.
    pub fn kind_at(&self, path: &ArgPath) -> Option<&Kind> {
        kind_at(&self.inputs, path)
    }
}

impl Event {
    pub(super) fn new(name: &str, inputs: Vec<Param>, anonymous: bool) -> Result<Self, AbiError> {
        let signature = canonical_signature(name, &inputs);
        let n_topics = inputs.iter().filter(|input| input.indexed).count() + usize::from(!anonymous);
        if n_topics > TOPICS_MAX {
            return Err(AbiError::new(signature, "more indexed parameters than a log has topics"));
        }
        let topic0 = (!anonymous).then(|| keccak256(signature.as_bytes()));
        Ok(Self { name: name.into(), signature: signature.into(), topic0, anonymous, inputs: inputs.into() })
    }

    /// Returns the number of topics of its logs, its own hash included.
    pub fn n_topics(&self) -> usize {
        self.inputs.iter().filter(|input| input.indexed).count() + usize::from(!self.anonymous)
    }

    /// Returns the type that a path leads to, like [`Function::kind_at`].
    pub fn kind_at(&self, path: &ArgPath) -> Option<&Kind> {
        kind_at(&self.inputs, path)
    }
}

impl Param {
    /// A parameter of this name and type.
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.into(), ty: kind.to_string().into(), kind, indexed: false }
    }
}

impl Kind {
    /// Returns true if a value of this type is encoded behind an offset: `bytes`, `string`, `T[]`, and types that
    /// contain one of them.
    pub fn is_dynamic(&self) -> bool {
        match self {
            Self::Bytes | Self::String | Self::Array(_) => true,
            Self::FixedArray(element, _) => element.is_dynamic(),
            Self::Tuple(fields) => fields.iter().any(|field| field.kind.is_dynamic()),
            _ => false,
        }
    }

    /// Returns the number of bytes it takes in the head of the enclosing value: an offset, or all of a static value.
    pub(super) fn head_size(&self) -> usize {
        if self.is_dynamic() { 32 } else { self.static_size() }
    }

    fn static_size(&self) -> usize {
        match self {
            Self::FixedArray(element, len) => element.static_size().saturating_mul(*len as usize),
            Self::Tuple(fields) => fields.iter().map(|field| field.kind.static_size()).fold(0, usize::saturating_add),
            _ => 32,
        }
    }

    /// Returns true if an indexed parameter of this type is stored in its topic as a value, not as a hash.
    pub(super) fn fits_a_topic(&self) -> bool {
        !matches!(self, Self::Bytes | Self::String | Self::Array(_) | Self::FixedArray(..) | Self::Tuple(_))
    }

    /// Rejects a type that is too deep or too wide to be decoded within bounds.
    pub(super) fn check_bounds(&self) -> Result<(), &'static str> {
        if self.depth() > TYPE_DEPTH_MAX {
            return Err("the type is nested too deep");
        }
        if self.static_word_count() > HEAD_WORDS_MAX {
            return Err("the type is too large");
        }
        Ok(())
    }

    fn depth(&self) -> usize {
        match self {
            Self::Array(element) | Self::FixedArray(element, _) => 1 + element.depth(),
            Self::Tuple(fields) => 1 + fields.iter().map(|field| field.kind.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Returns the number of words of the largest fixed part, with dynamic elements counted as one.
    fn static_word_count(&self) -> u64 {
        match self {
            Self::FixedArray(element, len) => element.static_word_count().saturating_mul(u64::from(*len)),
            Self::Tuple(fields) => {
                fields.iter().map(|field| field.kind.static_word_count()).fold(0, u64::saturating_add)
            }
            Self::Array(element) => element.static_word_count().max(1),
            _ => 1,
        }
    }
}

/// Writes the canonical type, as in a signature.
impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address => f.write_str("address"),
            Self::Bool => f.write_str("bool"),
            Self::Uint(bits) => write!(f, "uint{bits}"),
            Self::Int(bits) => write!(f, "int{bits}"),
            Self::FixedBytes(len) => write!(f, "bytes{len}"),
            Self::Function => f.write_str("function"),
            Self::Bytes => f.write_str("bytes"),
            Self::String => f.write_str("string"),
            Self::Array(element) => write!(f, "{element}[]"),
            Self::FixedArray(element, len) => write!(f, "{element}[{len}]"),
            Self::Tuple(fields) => {
                f.write_str("(")?;
                for (i, field) in fields.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "," })?;
                    f.write_str(&field.ty)?;
                }
                f.write_str(")")
            }
        }
    }
}

fn canonical_signature(name: &str, inputs: &[Param]) -> String {
    let types: Vec<&str> = inputs.iter().map(|input| &*input.ty).collect();
    format!("{name}({})", types.join(","))
}

fn kind_at<'a>(inputs: &'a [Param], path: &ArgPath) -> Option<&'a Kind> {
    let mut fields = inputs;
    let mut kind: Option<&'a Kind> = None;
    for step in path.steps() {
        let next: &'a Kind = match step {
            Step::Name(name) => &fields.iter().find(|field| field.name == *name)?.kind,
            Step::Position(position) => &fields.get(*position)?.kind,
            Step::Index(_) | Step::Every => match (kind?, step) {
                (Kind::FixedArray(_, len), Step::Index(i)) if *i >= *len as usize => return None,
                (Kind::Array(element) | Kind::FixedArray(element, _), _) => element,
                _ => return None,
            },
        };
        fields = if let Kind::Tuple(fields) = next { fields } else { &[] };
        kind = Some(next);
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the type at `path` in `f(uint256 amount, (address to, bytes[] notes)[] items, uint8[2] pair)`.
    fn at(path: &str) -> Option<String> {
        let f = Function::parse("f(uint256 amount, (address to, bytes[] notes)[] items, uint8[2] pair)");
        let path = path.parse().unwrap_or_else(|e| panic!("{e}"));
        f.unwrap_or_else(|e| panic!("{e}")).kind_at(&path).map(ToString::to_string)
    }

    #[test]
    fn a_path_is_checked_against_the_types() {
        assert_eq!(at("amount").as_deref(), Some("uint256"));
        assert_eq!(at("#1").as_deref(), Some("(address,bytes[])[]"));
        assert_eq!(at("items[*].to").as_deref(), Some("address"));
        assert_eq!(at("items[7].notes[0]").as_deref(), Some("bytes"));
        assert_eq!(at("pair[1]").as_deref(), Some("uint8"));
        for nowhere in
            ["amuont", "#3", "amount.to", "amount[0]", "items.to", "items[0].#2", "pair[2]", "items[*].to[0]"]
        {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn what_holds_something_dynamic_is_dynamic() {
        let kind = |ty: &str| Function::parse(&format!("f({ty})")).map(|f| f.inputs[0].kind.clone());
        let sizes =
            ["uint8", "bytes", "uint8[]", "uint8[3]", "bytes[3]", "(uint8,bool)", "(uint8,string)", "(uint8[2],())[4]"];
        let told = sizes.map(|ty| kind(ty).map(|k| (k.is_dynamic(), k.head_size())));
        let expected =
            [(false, 32), (true, 32), (true, 32), (false, 96), (true, 32), (false, 64), (true, 32), (false, 256)];
        assert_eq!(told, expected.map(Ok));
    }

    #[test]
    fn a_signature_is_canonical() {
        let f = Function::parse("pay(uint a, (int b, byte c)[2][] d, function e)").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(&*f.signature, "pay(uint256,(int256,bytes1)[2][],function)");
    }
}
