//! Fields of a block's header, with unknown fields recorded.
//!
//! The derived deserializer skips unknown fields. [`Noting`] sits between it and the JSON and records their names,
//! because a header whose hash does not match may only be newer than this program.

use super::hex;
use super::shapes::{BlockFields, Noted};
use crate::wire::seal::{UNKNOWN_MAX, UNKNOWN_NAME_MAX, Unknown};
use alloy_primitives::Bytes;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, UnitDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Known names: those of [`BlockFields`], and those that no hash covers.
const KNOWN: [&str; 29] = [
    "number",
    "hash",
    "parentHash",
    "timestamp",
    "transactions",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "gasLimit",
    "gasUsed",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawals",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
    // Part of the block, but not of its header.
    "uncles",
    "size",
    "totalDifficulty",
    // The miner's older name, and the proof-of-work fields of a former client.
    "author",
    "sealFields",
];

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Noted<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Block<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Block<T> {
            type Value = Noted<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a block")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Noted<T>, A::Error> {
                let mut unknown = Vec::new();
                let noting = Noting { map, noted: &mut unknown, pending: None };
                let fields = BlockFields::deserialize(MapAccessDeserializer::new(noting))?;
                Ok(Noted { fields, unknown })
            }
        }
        from.deserialize_map(Block(PhantomData))
    }
}

/// Passes on every field, and records the names of those that are not in [`KNOWN`].
struct Noting<'a, M> {
    map: M,
    noted: &'a mut Vec<Unknown>,
    /// Name of the unknown field whose value comes next.
    pending: Option<String>,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Noting<'_, M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, M::Error> {
        let Some(Key(name)) = self.map.next_key()? else { return Ok(None) };
        if !KNOWN.contains(&&*name) && self.noted.len() < UNKNOWN_MAX {
            self.pending = Some(printable_field_name(&name));
        }
        match name {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(name.into_deserializer()),
        }
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, M::Error> {
        let Some(name) = self.pending.take() else { return self.map.next_value_seed(seed) };
        let Scalar(value) = self.map.next_value()?;
        self.noted.push(Unknown { name, value });
        // The derived deserializer ignores the value, whatever it is.
        seed.deserialize(UnitDeserializer::new())
    }
}

/// A key, borrowed from the JSON unless it contains escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Name<'de>(PhantomData<&'de ()>);
        impl<'de> Visitor<'de> for Name<'de> {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        from.deserialize_str(Name(PhantomData))
    }
}

/// Value as bytes of an encoded header; `None` if it cannot be encoded there.
struct Scalar(Option<Bytes>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        hex::deserialize_lenient(from).map(|scalar: Option<hex::Scalar>| Self(scalar.map(|hex::Scalar(bytes)| bytes)))
    }
}

fn printable_field_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '?' };
    name.chars().take(UNKNOWN_NAME_MAX).map(plain).collect()
}
