//! Hex as nodes write it: fixed words, byte strings and quantities, decoded straight from the JSON text.
//!
//! A node may deviate from the format, so each function reports the expected form and never panics. Messages never
//! repeat the text, which may be megabytes long.

use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A fixed number of bytes, written as `0x` and exactly two digits a byte.
struct Word<const N: usize>([u8; N]);

/// 32 bytes.
pub(super) fn hash<'de, D: Deserializer<'de>>(from: D) -> Result<B256, D::Error> {
    Word::deserialize(from).map(|Word(bytes)| B256::new(bytes))
}

/// 20 bytes.
pub(super) fn deserialize_address<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
    Word::deserialize(from).map(|Word(bytes)| Address::new(bytes))
}

/// 20 bytes; `null`, `0x` or an empty string for none.
pub(super) fn maybe_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Address>, D::Error> {
    struct Maybe;
    impl<'de> Visitor<'de> for Maybe {
        type Value = Option<Address>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address of 20 bytes in hex, or null")
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            if matches!(text, "" | "0x") { Ok(None) } else { word(text).map(|bytes| Some(Address::new(bytes))) }
        }
    }
    from.deserialize_any(Maybe)
}

/// Any number of bytes.
pub(super) fn deserialize_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    struct Data;
    impl<'de> Visitor<'de> for Data {
        type Value = Bytes;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes in hex")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
            parse_hex_data(text).ok_or_else(|| E::custom("expected bytes in hex"))
        }
    }
    from.deserialize_str(Data)
}

/// Reads bytes like [`deserialize_bytes`], for a field that may be absent, or null.
pub(super) fn some_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
    struct Data(Bytes);
    impl<'de> Deserialize<'de> for Data {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            deserialize_bytes(from).map(Self)
        }
    }
    Option::<Data>::deserialize(from).map(|data| data.map(|Data(bytes)| bytes))
}

/// A number below 2^64.
pub(super) fn deserialize_u64<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let wide = deserialize_quantity(from)?;
    u64::try_from(wide).map_err(|_| D::Error::custom("the number does not fit in 64 bits"))
}

/// A number below 2^64; `null` for none.
pub(super) fn maybe_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(wide) = from.deserialize_any(Quantity { or_null: true })? else { return Ok(None) };
    u64::try_from(wide).map(Some).map_err(|_| D::Error::custom("the number does not fit in 64 bits"))
}

/// A number below 2^256; `null` for none.
pub(super) fn maybe_quantity<'de, D: Deserializer<'de>>(from: D) -> Result<Option<U256>, D::Error> {
    from.deserialize_any(Quantity { or_null: true })
}

/// A number below 2^256.
pub(super) fn deserialize_quantity<'de, D: Deserializer<'de>>(from: D) -> Result<U256, D::Error> {
    // With `or_null` off the visitor never returns `None`, so the zero is never used.
    Ok(from.deserialize_any(Quantity { or_null: false })?.unwrap_or_default())
}

/// Returns the bytes of a `0x` string; `None` when it is not one. Also used outside of JSON, for the results of calls.
pub(super) fn parse_hex_data(text: &str) -> Option<Bytes> {
    let digits = strip_hex_prefix(text)?;
    const_hex::decode(digits).ok().map(Bytes::from)
}

/// Types that [`deserialize_lenient`] can read.
pub(super) trait Readable: Sized {
    /// Reads the text of a JSON string.
    fn read(text: &str) -> Option<Self>;

    /// Reads a plain number, because some development nodes write quantities this way.
    fn from_number(_: u64) -> Option<Self> {
        None
    }
}

/// Reads a field that is used only for hashes: a value that cannot be parsed is treated as absent.
pub(super) fn deserialize_lenient<'de, T: Readable, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    from.deserialize_any(Lenient(PhantomData))
}

struct Lenient<T>(PhantomData<T>);

impl<'de, T: Readable> Visitor<'de> for Lenient<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        Ok(T::read(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        Ok(T::from_number(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

macro_rules! readable_numbers {
    ($($number:ty),*) => {$(
        impl Readable for $number {
            fn read(text: &str) -> Option<Self> {
                parse_quantity_digits(strip_hex_prefix(text)?)?.try_into().ok()
            }

            fn from_number(number: u64) -> Option<Self> {
                Some(number.into())
            }
        }
    )*};
}

readable_numbers!(u64, u128);

impl Readable for U256 {
    fn read(text: &str) -> Option<Self> {
        parse_quantity_digits(strip_hex_prefix(text)?)
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self::from(number))
    }
}

impl Readable for B256 {
    fn read(text: &str) -> Option<Self> {
        fixed(text).map(Self::new)
    }
}

impl Readable for Address {
    fn read(text: &str) -> Option<Self> {
        fixed(text).map(Self::new)
    }
}

impl Readable for Bytes {
    fn read(text: &str) -> Option<Self> {
        parse_hex_data(text)
    }
}

impl Readable for Box<Bloom> {
    fn read(text: &str) -> Option<Self> {
        fixed(text).map(|bytes| Self::new(Bloom::new(bytes)))
    }
}

/// A word or a number, as its bytes in RLP. An even number of digits is taken as those bytes, so that a number of a
/// fixed width keeps its zeros; an odd number of digits can only be a number.
pub(super) struct Scalar(pub(super) Bytes);

impl Readable for Scalar {
    fn read(text: &str) -> Option<Self> {
        let digits = strip_hex_prefix(text).filter(|digits| digits.len() <= 64)?;
        if digits.len() % 2 == 0 {
            parse_hex_data(text).map(Self)
        } else {
            parse_quantity_digits(digits).and_then(Self::from_quantity)
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        Self::from_quantity(U256::from(number))
    }
}

impl Scalar {
    fn from_quantity(number: U256) -> Option<Self> {
        Some(Self(number.to_be_bytes_trimmed_vec().into()))
    }
}

/// A list of words.
#[derive(Debug, Default)]
pub(super) struct Words(pub(super) Vec<B256>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let words: Vec<Word<32>> = Deserialize::deserialize(from)?;
        Ok(Self(words.into_iter().map(|Word(word)| B256::new(word)).collect()))
    }
}

struct Quantity {
    or_null: bool,
}

impl<'de> Visitor<'de> for Quantity {
    type Value = Option<U256>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity in hex of at most 256 bits")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        if self.or_null { Ok(None) } else { Err(E::custom("expected a quantity in hex, found null")) }
    }

    // The format requires strings, but some development nodes write plain numbers with the same meaning.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(U256::from(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let digits = strip_hex_prefix(text).ok_or_else(|| E::custom("a quantity begins with 0x"))?;
        parse_quantity_digits(digits)
            .map(Some)
            .ok_or_else(|| E::custom("expected a quantity in hex of at most 256 bits"))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Word<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fixed<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Fixed<N> {
            type Value = Word<N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes in hex")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Word<N>, E> {
                word(text).map(Word)
            }
        }
        from.deserialize_str(Fixed)
    }
}

/// Topics of a log: at most four words.
pub(super) fn deserialize_topics<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<B256>, D::Error> {
    struct Topics;
    impl<'de> Visitor<'de> for Topics {
        type Value = Vec<B256>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("at most four topics")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<B256>, A::Error> {
            let mut topics = Vec::new();
            while let Some(Word(topic)) = seq.next_element()? {
                if topics.len() == 4 {
                    return Err(A::Error::custom("a log has more than four topics"));
                }
                topics.push(B256::new(topic));
            }
            Ok(topics)
        }
    }
    from.deserialize_seq(Topics)
}

fn word<const N: usize, E: Error>(text: &str) -> Result<[u8; N], E> {
    fixed(text).ok_or_else(|| E::custom(format_args!("expected {N} bytes in hex")))
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let digits = strip_hex_prefix(text).filter(|digits| digits.len() == 2 * N)?;
    const_hex::decode_to_slice(digits, &mut out).ok()?;
    Some(out)
}

/// Returns the part after `0x`, or after `0X`, which a few nodes write.
fn strip_hex_prefix(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

/// Reads the digits of a quantity, of any length; `0x` alone means zero, as some nodes write it.
fn parse_quantity_digits(digits: &str) -> Option<U256> {
    let digits = digits.trim_start_matches('0').as_bytes();
    if digits.len() <= 16 {
        let mut number = 0u64;
        for digit in digits {
            number = number << 4 | u64::from(char::from(*digit).to_digit(16)?);
        }
        return Some(U256::from(number));
    }
    let mut padded = [b'0'; 64];
    padded.get_mut(64usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    let mut bytes = [0; 32];
    const_hex::decode_to_slice(padded, &mut bytes).ok()?;
    Some(U256::from_be_bytes(bytes))
}
