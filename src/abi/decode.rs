//! Decodes bytes to arguments.
//!
//! The decoder reads like the EVM: a word beyond the end is zero, bits outside a value's width are masked, an offset
//! may point anywhere inside the input. In parallel, a cursor follows the position at which a canonical encoding would
//! have each value; [`Flaws`] record where the input differs. A decode without flaws therefore encodes back to the same
//! bytes, and no second pass is needed.
//!
//! Memory is reserved only for values that are already charged to the [`Budget`], and for no more elements than the
//! input can hold.

use alloy_primitives::{Address, B256, Bytes, I256, U256};

use super::{
    budget::{Budget, Opaque},
    flaws::Flaws,
    item::{Event, Function, Kind, Param},
};
use crate::model::value::{Arg, Span, Value};

/// Maximum claimed length up to which a payload is cut at the end of the input when it claims more than the input
/// holds. Copying 16 MiB costs 538 million gas for memory (3 gas a word and its square over 512, yellow paper appendix
/// H), so no transaction executes more.
pub(super) const LENIENT_PAYLOAD_MAX: usize = 16 << 20;
const WORD: usize = 32;

/// Decoded arguments of a call or a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The arguments in the order of the ABI.
    pub args: Vec<Arg>,
    /// Differences between the encoding and the canonical one.
    pub flaws: Flaws,
    /// End of the canonical encoding of the arguments, in bytes of the input.
    pub end: usize,
}

impl Function {
    /// The arguments of a call, from its calldata without the selector.
    ///
    /// # Errors
    /// [`Opaque`] when an offset or a length leads beyond the end, or the budget is spent.
    pub fn decode_arguments(&self, args: &Bytes, budget: &mut Budget) -> Result<Decoded, Opaque> {
        decode_all(&self.inputs, args, budget)
    }

    /// Decodes the return data of a call, for reading state: as [`Function::decode_arguments`], by [`Function::outputs`].
    ///
    /// # Errors
    /// As [`Function::decode_arguments`].
    pub fn decode_output(&self, returned: &Bytes, budget: &mut Budget) -> Result<Decoded, Opaque> {
        decode_all(&self.outputs, returned, budget)
    }
}

impl Event {
    /// The arguments of a log, from its topics (its own hash included) and its data.
    ///
    /// # Errors
    /// [`Opaque`] when the topics are not this event's, an offset or a length leads beyond the end, or the budget is spent.
    pub fn decode_log(&self, topics: &[B256], data: &Bytes, budget: &mut Budget) -> Result<Decoded, Opaque> {
        let expected = self.n_topics();
        if topics.len() != expected {
            return Err(Opaque::TopicCount { expected, found: topics.len() });
        }
        let mut topics = topics.iter();
        if let Some(topic0) = self.topic0
            && let Some(found) = topics.next().filter(|found| **found != topic0)
        {
            return Err(Opaque::UnknownEvent(*found));
        }
        let mut reader = Reader::new(data, budget)?;
        reader.budget.take_nodes(self.inputs.len())?;

        // Topics are read first, so that the arguments in the data can then be inserted between them in the order of
        // the ABI.
        let mut args = Vec::with_capacity(self.inputs.len());
        for (input, topic) in self.inputs.iter().filter(|input| input.indexed).zip(topics) {
            let value =
                if input.kind.fits_a_topic() { reader.decode_word(&input.kind, topic) } else { Value::Hash(*topic) };
            args.push(decoded_argument(input, value, None));
        }
        let mut places = self.inputs.iter().enumerate().filter(|(_, input)| !input.indexed);
        let kinds = self.inputs.iter().filter(|input| !input.indexed).map(|input| &input.kind);
        let end = reader.read_sequence(0, kinds, |_, value, span| {
            if let Some((place, input)) = places.next() {
                args.insert(place, decoded_argument(input, value, Some(span)));
            }
        })?;
        Ok(Decoded { args, flaws: reader.into_flaws(end), end })
    }
}

fn decode_all(params: &[Param], data: &Bytes, budget: &mut Budget) -> Result<Decoded, Opaque> {
    let mut reader = Reader::new(data, budget)?;
    reader.budget.take_nodes(params.len())?;
    let mut args = Vec::with_capacity(params.len());
    let kinds = params.iter().map(|param| &param.kind);
    let end =
        reader.read_sequence(0, kinds, |i, value, span| args.push(decoded_argument(&params[i], value, Some(span))))?;
    Ok(Decoded { args, flaws: reader.into_flaws(end), end })
}

fn decoded_argument(param: &Param, value: Value, span: Option<Span>) -> Arg {
    Arg { name: param.name.clone(), ty: param.ty.clone(), value, span }
}

struct Reader<'a> {
    data: &'a Bytes,
    budget: &'a mut Budget,
    flaws: Flaws,
}

impl<'a> Reader<'a> {
    fn new(data: &'a Bytes, budget: &'a mut Budget) -> Result<Self, Opaque> {
        budget.take_bytes(data.len())?;
        Ok(Self { data, budget, flaws: Flaws::NONE })
    }

    /// The flaws, once everything up to `end` has been read.
    fn into_flaws(mut self, end: usize) -> Flaws {
        if self.data.len() > end {
            self.flaws |= Flaws::TRAILING;
        }
        self.flaws
    }

    /// Reads adjacent values: their heads start at `base`, their tails follow the heads. Passes each value to `put` and
    /// returns the end of the last one. The caller has charged the values to the budget.
    ///
    /// `base` lies within the data or at most a word after it, so that sums of positions and sizes cannot overflow.
    fn read_sequence<'k>(
        &mut self,
        base: usize,
        kinds: impl Iterator<Item = &'k Kind> + Clone,
        mut put: impl FnMut(usize, Value, Span),
    ) -> Result<usize, Opaque> {
        let heads = kinds.clone().map(Kind::head_size).fold(0, usize::saturating_add);
        let mut head = base;
        // A canonical encoder puts the next tail here.
        let mut tail = base.saturating_add(heads);
        for (i, kind) in kinds.enumerate() {
            if kind.is_dynamic() {
                let at = self.follow_offset(base, head)?;
                if at != tail {
                    self.flaws |= if at < tail { Flaws::OVERLAP } else { Flaws::GAP };
                }
                let (value, span, end) = self.read_dynamic_value(kind, at)?;
                put(i, value, span);
                tail = tail.max(end);
                head = head.saturating_add(WORD);
            } else {
                let start = head;
                let value = self.read_static_value(kind, &mut head)?;
                put(i, value, Span::from_bounds(start, head));
            }
        }
        Ok(tail)
    }

    /// Reads a value in place and moves `at` to its end.
    fn read_static_value(&mut self, kind: &Kind, at: &mut usize) -> Result<Value, Opaque> {
        match kind {
            Kind::Tuple(fields) => {
                self.budget.take_nodes(fields.len())?;
                let mut values = Vec::with_capacity(fields.len());
                for field in fields.iter() {
                    let start = *at;
                    let value = self.read_static_value(&field.kind, at)?;
                    values.push(decoded_argument(field, value, Some(Span::from_bounds(start, *at))));
                }
                Ok(Value::Tuple(values))
            }
            Kind::FixedArray(element, len) => {
                let len = *len as usize;
                self.budget.take_nodes(len)?;
                let mut values = Vec::with_capacity(len);
                for _ in 0..len {
                    values.push(self.read_static_value(element, at)?);
                }
                Ok(Value::Array(values))
            }
            _ => {
                let word = self.word_at(*at);
                *at = at.saturating_add(WORD);
                Ok(self.decode_word(kind, &word))
            }
        }
    }

    /// Reads a value at `at`, the target of an offset. Returns the value, its span, and the end of its encoding.
    fn read_dynamic_value(&mut self, kind: &Kind, at: usize) -> Result<(Value, Span, usize), Opaque> {
        match kind {
            Kind::Bytes => self.read_byte_payload(at).map(|(bytes, span, end)| (Value::Bytes(bytes), span, end)),
            Kind::String => self.read_byte_payload(at).map(|(bytes, span, end)| (Value::String(bytes), span, end)),
            Kind::Array(element) => {
                let len = self.array_len(element, at)?;
                let (value, end) = self.read_elements(element, len, at + WORD)?;
                Ok((value, Span::from_bounds(at, end), end))
            }
            Kind::FixedArray(element, len) => {
                let (value, end) = self.read_elements(element, *len as usize, at)?;
                Ok((value, Span::from_bounds(at, end), end))
            }
            Kind::Tuple(fields) => {
                self.budget.take_nodes(fields.len())?;
                let mut values = Vec::with_capacity(fields.len());
                let kinds = fields.iter().map(|field| &field.kind);
                let end = self.read_sequence(at, kinds, |i, value, span| {
                    values.push(decoded_argument(&fields[i], value, Some(span)));
                })?;
                Ok((Value::Tuple(values), Span::from_bounds(at, end), end))
            }
            // Only dynamic kinds reach this branch; a static value is read in place.
            _ => {
                let mut end = at;
                let value = self.read_static_value(kind, &mut end)?;
                Ok((value, Span::from_bounds(at, end), end))
            }
        }
    }

    /// Reads `len` adjacent elements from `base`, and returns them with the end of the last one.
    fn read_elements(&mut self, element: &Kind, len: usize, base: usize) -> Result<(Value, usize), Opaque> {
        self.budget.take_nodes(len)?;
        let mut values = Vec::with_capacity(len);
        let kinds = std::iter::repeat_n(element, len);
        let end = self.read_sequence(base, kinds, |_, value, _| values.push(value))?;
        Ok((Value::Array(values), end))
    }

    /// `bytes` or `string` at `at`: a length, the payload, and zeros up to a whole word.
    fn read_byte_payload(&mut self, at: usize) -> Result<(Bytes, Span, usize), Opaque> {
        let claimed = self.position_at(at).filter(|len| *len <= LENIENT_PAYLOAD_MAX).ok_or(out_of_bounds(at))?;
        let start = at + WORD;
        let end = start + claimed;
        let padded = start + claimed.next_multiple_of(WORD);
        let there = self.data.len();
        if there < end {
            self.flaws |= Flaws::SHORT;
        } else if there < padded {
            self.flaws |= Flaws::SHORT_PADDING;
        }
        if self.data.get(end..padded.min(there)).is_some_and(|padding| padding.iter().any(|byte| *byte != 0)) {
            self.flaws |= Flaws::DIRTY_PADDING;
        }
        let bytes = match (start.min(there), end.min(there)) {
            // An empty slice would keep the whole input in memory.
            (start, end) if start == end => Bytes::new(),
            (start, end) => self.data.slice(start..end),
        };
        self.budget.take_bytes(bytes.len())?;
        Ok((bytes, Span::from_bounds(start, end), padded))
    }

    /// The number of elements at `at`, if the data has room for that many.
    fn array_len(&mut self, element: &Kind, at: usize) -> Result<usize, Opaque> {
        let room = self.data.len().saturating_sub(at + WORD);
        let len = self.position_at(at).ok_or(out_of_bounds(at))?;
        // Elements of size zero, such as `uint256[0]`, take no room; the budget limits their number.
        match len.checked_mul(element.head_size()) {
            Some(size) if size <= room => Ok(len),
            _ => Err(out_of_bounds(at)),
        }
    }

    /// Follows the offset in the word at `head`; offsets are relative to `base`.
    fn follow_offset(&mut self, base: usize, head: usize) -> Result<usize, Opaque> {
        let target = self.position_at(head).and_then(|offset| base.checked_add(offset));
        target.filter(|target| *target <= self.data.len()).ok_or(out_of_bounds(head))
    }

    /// Returns the word at `at` as a position, or `None` when the number is far too large for one.
    fn position_at(&mut self, at: usize) -> Option<usize> {
        let word = self.word_at(at);
        let (high, low) = word.split_last_chunk::<4>()?;
        is_zero(high).then(|| u32::from_be_bytes(*low) as usize)
    }

    /// Returns the word at `at`, with zeros after the end of the data.
    fn word_at(&mut self, at: usize) -> B256 {
        if let Some(word) = self.data.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) {
            return B256::new(*word);
        }
        self.flaws |= Flaws::SHORT;
        B256::right_padding_from(self.data.get(at..).unwrap_or_default())
    }

    /// A value of one word, from calldata or a topic.
    fn decode_word(&mut self, kind: &Kind, word: &B256) -> Value {
        match kind {
            Kind::Address => {
                self.expect_zero(&word[..12], Flaws::DIRTY_VALUE);
                Value::Address(Address::from_word(*word))
            }
            Kind::Bool => {
                let truth = !word.is_zero();
                self.expect_zero(&word[..31], Flaws::BOOL);
                self.expect_zero(&[word[31] & !1], Flaws::BOOL);
                Value::Bool(truth)
            }
            Kind::Uint(bits) => {
                let unused = unused_bytes(*bits);
                self.expect_zero(&word[..unused], Flaws::DIRTY_VALUE);
                Value::Uint(sign_extend(word, unused, 0))
            }
            Kind::Int(bits) => {
                let unused = unused_bytes(*bits);
                let sign = if word[unused] & 0x80 == 0 { 0 } else { 0xff };
                if word[..unused].iter().any(|byte| *byte != sign) {
                    self.flaws |= Flaws::DIRTY_VALUE;
                }
                Value::Int(I256::from_raw(sign_extend(word, unused, sign)))
            }
            Kind::FixedBytes(len) => self.left_bytes(word, *len),
            // The other kinds never fit in one word, and this function is not called for them.
            Kind::Function | Kind::Bytes | Kind::String | Kind::Array(_) | Kind::FixedArray(..) | Kind::Tuple(_) => {
                self.left_bytes(word, 24)
            }
        }
    }

    fn left_bytes(&mut self, word: &B256, len: u8) -> Value {
        let (kept, rest) = word.split_at(usize::from(len).min(WORD));
        self.expect_zero(rest, Flaws::DIRTY_VALUE);
        Value::FixedBytes(B256::right_padding_from(kept), len)
    }

    fn expect_zero(&mut self, bytes: &[u8], flaw: Flaws) {
        if !is_zero(bytes) {
            self.flaws |= flaw;
        }
    }
}

pub(super) fn out_of_bounds(at: usize) -> Opaque {
    Opaque::OutOfBounds { at: Span::from_bounds(at, at).start }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Returns the number of unused bytes of a word in front of a number of `bits`, at most all but one.
fn unused_bytes(bits: u16) -> usize {
    (WORD - 1).min(WORD.saturating_sub(usize::from(bits) / 8))
}

/// Returns `word` as a number, with its first `unused` bytes replaced by `sign`.
fn sign_extend(word: &B256, unused: usize, sign: u8) -> U256 {
    let mut bytes = word.0;
    bytes[..unused].fill(sign);
    U256::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests;
