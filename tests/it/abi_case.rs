//! Types, values and damage out of entropy, shared by the property tests and the fuzz target.
//!
//! Both hand in bytes; the same bytes always give the same case, so that a failing one can be kept and shrunk.

use alloy_primitives::{Address, B256, I256, U256};
use watchfire::{
    abi::{Kind, Param},
    model::value::{Arg, Value},
};

/// Types nested in one another; alloy as the oracle needs time in a power of it.
const DEPTH_MAX: u8 = 3;

/// A source of choices. Zeros when it has run out, which every generator below takes for its simplest choice.
pub(crate) struct Entropy<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Entropy<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == 0
    }

    /// What has not been used up.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.as_slice()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    /// A number below `bound`, which is at most 65536.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = usize::from(self.byte()) << 8 | usize::from(self.byte());
        wide % bound.max(1)
    }

    /// A word that is often small, often nearly full, and seldom random.
    fn word(&mut self) -> U256 {
        match self.byte() % 4 {
            0 => U256::from(self.byte()),
            1 => U256::MAX - U256::from(self.byte()),
            2 => U256::from(1) << self.byte(),
            _ => U256::from_be_bytes::<32>(std::array::from_fn(|_| self.byte())),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte() % 70);
        (0..len).map(|_| self.byte()).collect()
    }
}

/// What the oracle can follow: `Sane` leaves out types of no size, which Solidity forbids and alloy does not bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    Sane,
    Any,
}

/// The parameters of a function.
pub(crate) fn params(entropy: &mut Entropy<'_>, types: Types) -> Vec<Param> {
    let n = entropy.byte() % 5;
    (0..n).map(|i| Param::new(&format!("a{i}"), kind(entropy, types, DEPTH_MAX))).collect()
}

fn kind(entropy: &mut Entropy<'_>, types: Types, depth: u8) -> Kind {
    let choice = entropy.byte() % if depth == 0 { 8 } else { 14 };
    let least = u32::from(types == Types::Sane);
    match choice {
        0 => Kind::Uint(8 * (u16::from(entropy.byte() % 32) + 1)),
        1 => Kind::Int(8 * (u16::from(entropy.byte() % 32) + 1)),
        2 => Kind::Address,
        3 => Kind::Bool,
        4 => Kind::FixedBytes(entropy.byte() % 32 + 1),
        5 => Kind::Function,
        6 => Kind::Bytes,
        7 => Kind::String,
        8..=10 => Kind::Array(kind(entropy, types, depth - 1).into()),
        11 => {
            let len = u32::from(entropy.byte() % 4).max(least);
            Kind::FixedArray(kind(entropy, types, depth - 1).into(), len)
        }
        _ => {
            let n = u32::from(entropy.byte() % 4).max(least);
            let fields = (0..n).map(|i| Param::new(&format!("f{i}"), kind(entropy, types, depth - 1)));
            Kind::Tuple(fields.collect::<Vec<_>>().into())
        }
    }
}

/// A value of type `kind`.
pub(crate) fn value(entropy: &mut Entropy<'_>, kind: &Kind) -> Value {
    match kind {
        Kind::Uint(bits) => Value::Uint(entropy.word() >> (256 - usize::from(*bits))),
        // An arithmetic shift leaves a number of the width, sign included.
        Kind::Int(bits) => Value::Int(I256::from_raw(entropy.word()).asr(256 - usize::from(*bits))),
        Kind::Address => Value::Address(Address::from_word(entropy.word().into())),
        Kind::Bool => Value::Bool(entropy.byte() % 2 == 1),
        Kind::FixedBytes(len) => fixed(entropy, *len),
        Kind::Function => fixed(entropy, 24),
        Kind::Bytes => Value::Bytes(entropy.bytes().into()),
        // Letters, since alloy's strings are UTF-8.
        Kind::String => Value::String(entropy.bytes().iter().map(|b| b'a' + b % 26).collect::<Vec<_>>().into()),
        Kind::Array(element) => {
            let len = entropy.byte() % 4;
            Value::Array((0..len).map(|_| value(entropy, element)).collect())
        }
        Kind::FixedArray(element, len) => Value::Array((0..*len).map(|_| value(entropy, element)).collect()),
        Kind::Tuple(fields) => Value::Tuple(
            fields
                .iter()
                .map(|f| Arg { name: f.name.clone(), ty: f.ty.clone(), value: value(entropy, &f.kind), span: None })
                .collect(),
        ),
    }
}

fn fixed(entropy: &mut Entropy<'_>, len: u8) -> Value {
    let word: B256 = entropy.word().into();
    Value::FixedBytes(B256::right_padding_from(&word[..usize::from(len)]), len)
}

/// Damages an encoding in one of the ways attackers and bad encoders do.
pub(crate) fn damage(entropy: &mut Entropy<'_>, data: &mut Vec<u8>) {
    let n_words = data.len() / 32;
    let at = entropy.below(n_words.max(1)) * 32;
    match entropy.byte() % 10 {
        // The end is cut off.
        0 => data.truncate(entropy.below(data.len() + 1)),
        // Something follows.
        1 => data.extend((0..entropy.byte() % 40).map(|i| if i % 3 == 0 { entropy.byte() } else { 0 })),
        // A bit flips.
        2 if !data.is_empty() => {
            let i = entropy.below(data.len());
            data[i] ^= 1 << (entropy.byte() % 8);
        }
        // A word becomes another one of the input: aliased offsets, lengths for offsets.
        3 | 4 if n_words > 0 => {
            let from = entropy.below(n_words) * 32;
            data.copy_within(from..from + 32, at);
        }
        // A word points somewhere inside.
        5 | 6 if n_words > 0 => {
            let target = entropy.below(data.len() + 64);
            let target = if entropy.byte().is_multiple_of(4) { target } else { target & !31 };
            data[at..at + 32].copy_from_slice(&U256::from(target).to_be_bytes::<32>());
        }
        // A word becomes anything.
        7 if n_words > 0 => data[at..at + 32].copy_from_slice(&entropy.word().to_be_bytes::<32>()),
        // A word moves by a step.
        8 if n_words > 0 => {
            let step = [1, 31, 32, 64][usize::from(entropy.byte() % 4)];
            data[at + 31] = if entropy.byte().is_multiple_of(2) {
                data[at + 31].wrapping_add(step)
            } else {
                data[at + 31].wrapping_sub(step)
            };
        }
        // Dirt in the bytes in front.
        9 if n_words > 0 => data[at + usize::from(entropy.byte() % 32)] |= 1 << (entropy.byte() % 8),
        _ => {}
    }
}
