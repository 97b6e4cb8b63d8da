//! Lenient parser for a service's JSON: unknown fields are ignored, null counts as absent, and one invalid item does
//! not hide the others.
//!
//! Source: the Safe Transaction Service's `/api/v1/safes/`, `/api/v2/…/multisig-transactions/`; numbers of 256 bits are
//! decimal strings, small ones are numbers or strings.

use crate::model::proposals::{Confirmation, Queued};
use crate::model::text::escape_unprintable;
use alloy_primitives::{Address, B256, Bytes, U256};
use jiff::Timestamp;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// Number of decimal digits of the largest number of 256 bits.
const DIGITS_MAX: usize = 78;
/// Maximum number of items read from one page: ten times as many as were requested.
const ITEMS_MAX: usize = 1_000;
/// Maximum number of characters of one complaint about an item.
const COMPLAINT_CHARS_MAX: usize = 120;

/// Response to `/api/v1/safes/{safe}/`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountJson {
    pub(super) address: Address,
    #[serde(deserialize_with = "deserialize_number")]
    pub(super) nonce: U256,
    #[serde(default)]
    pub(super) owners: Vec<Address>,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct PageJson<'a> {
    /// Address of the next page, which is never used.
    #[serde(default)]
    next: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) results: Items<'a>,
}

/// Items on a page.
#[derive(Debug)]
pub(super) struct Items<'a> {
    /// Items of the page, at most [`ITEMS_MAX`].
    pub(super) items: Vec<&'a RawValue>,
    /// Number of items after those.
    pub(super) beyond: usize,
}

/// A multisig transaction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemJson {
    safe: Address,
    to: Address,
    #[serde(default, deserialize_with = "deserialize_number")]
    value: U256,
    #[serde(default)]
    data: Option<Bytes>,
    #[serde(default, deserialize_with = "deserialize_number")]
    operation: U256,
    #[serde(default, deserialize_with = "deserialize_number")]
    safe_tx_gas: U256,
    #[serde(default, deserialize_with = "deserialize_number")]
    base_gas: U256,
    #[serde(default, deserialize_with = "deserialize_number")]
    gas_price: U256,
    #[serde(default)]
    gas_token: Option<Address>,
    #[serde(default)]
    refund_receiver: Option<Address>,
    #[serde(deserialize_with = "deserialize_number")]
    nonce: U256,
    safe_tx_hash: B256,
    #[serde(default)]
    proposer: Option<Address>,
    #[serde(default)]
    submission_date: Option<String>,
    #[serde(default)]
    confirmations: Option<Vec<ConfirmationJson>>,
}

#[derive(Debug, Deserialize)]
struct ConfirmationJson {
    owner: Address,
    #[serde(default)]
    signature: Option<Bytes>,
}

impl PageJson<'_> {
    /// Returns true if another page follows, according to the service.
    pub(super) fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ItemsVisitor)
    }
}

/// Keeps the first items and counts the others: a megabyte of `0,0,0` must not become eight megabytes of pointers.
struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Items { items: Vec::new(), beyond: 0 };
        while items.items.len() < ITEMS_MAX {
            let Some(item) = list.next_element()? else { return Ok(items) };
            items.items.push(item);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            items.beyond += 1;
        }
        Ok(items)
    }
}

/// Parses a transaction from a list or from its own address.
///
/// # Errors
/// What about it makes no sense, without repeating it whole.
pub(super) fn parse_proposal(json: &str) -> Result<Queued, String> {
    let item: ItemJson =
        serde_json::from_str(json).map_err(|why| escape_unprintable(why.to_string(), COMPLAINT_CHARS_MAX))?;
    let agreed =
        |json: ConfirmationJson| Confirmation { owner: json.owner, signature: json.signature.unwrap_or_default() };
    let second = |text: String| u64::try_from(text.parse::<Timestamp>().ok()?.as_second()).ok();
    Ok(Queued {
        safe: item.safe,
        to: item.to,
        value: item.value,
        data: item.data.unwrap_or_default(),
        operation: item.operation,
        safe_tx_gas: item.safe_tx_gas,
        base_gas: item.base_gas,
        gas_price: item.gas_price,
        gas_token: item.gas_token.unwrap_or_default(),
        refund_receiver: item.refund_receiver.unwrap_or_default(),
        nonce: item.nonce,
        claimed: item.safe_tx_hash,
        proposer: item.proposer,
        submitted: item.submission_date.and_then(second),
        confirmations: item.confirmations.unwrap_or_default().into_iter().map(agreed).collect(),
    })
}

fn deserialize_number<'de, D: Deserializer<'de>>(from: D) -> Result<U256, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Small(u64),
        Text(String),
        Absent(()),
    }
    match Number::deserialize(from)? {
        Number::Small(number) => Ok(U256::from(number)),
        Number::Absent(()) => Ok(U256::ZERO),
        Number::Text(text)
            if text.len() <= DIGITS_MAX && text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() =>
        {
            U256::from_str_radix(&text, 10).map_err(serde::de::Error::custom)
        }
        Number::Text(_) => Err(serde::de::Error::custom("a number is not written in digits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn whole() -> serde_json::Value {
        json!({
            "safe": "0x18F7cfb430c77F19EFafDBB728D12b93a758CA8D", "to": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
            "value": "115792089237316195423570985008687907853269984665640564039457584007913129639935", "data": null, "operation": 0,
            "safeTxGas": 0, "baseGas": "1", "gasPrice": "2", "gasToken": null, "refundReceiver": null, "nonce": "7",
            "safeTxHash": "0x1111111111111111111111111111111111111111111111111111111111111111", "proposer": null,
            "submissionDate": "2026-11-20T10:00:00.123456Z", "dataDecoded": { "method": "lies" }, "confirmations": null, "isExecuted": false,
        })
    }

    #[test]
    fn an_item_is_read_whatever_is_null_in_it() {
        let item = parse_proposal(&whole().to_string()).expect("an item");
        assert_eq!((item.value, item.nonce, item.base_gas), (U256::MAX, U256::from(7), U256::ONE));
        assert_eq!((item.data, item.proposer, item.submitted), (Bytes::new(), None, Some(1_795_168_800)));
    }

    #[test]
    fn a_pit_of_brackets_is_no_pit_for_us_and_a_flood_of_items_is_counted() {
        let pit = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        let body = format!(r#"{{ "results": [{pit}], "dataDecoded": {pit}, "next": {pit} }}"#);
        let page: PageJson<'_> = serde_json::from_str(&body).expect("a page");
        assert!(page.has_next() && parse_proposal(page.results.items[0].get()).is_err());
        let mut decoded = whole().to_string();
        decoded = decoded.replace(r#"{"method":"lies"}"#, &pit);
        assert!(
            decoded.len() > pit.len() && parse_proposal(&decoded).is_ok(),
            "what the service decoded is passed over"
        );
        let flood = format!(r#"{{ "results": [{}0] }}"#, "0,".repeat(1 << 20));
        let page: PageJson<'_> = serde_json::from_str(&flood).expect("a page");
        assert_eq!((page.results.items.len(), page.results.beyond), (ITEMS_MAX, (1 << 20) + 1 - ITEMS_MAX));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (key, value) in [
            ("nonce", json!("-1")),
            ("nonce", json!("0x7")),
            ("nonce", json!("9".repeat(78))),
            ("to", json!("0x1234")),
            ("data", json!("0xabc")),
            ("safeTxHash", json!(null)),
            ("confirmations", json!("none")),
        ] {
            let mut item_json = whole();
            item_json[key] = value;
            assert!(parse_proposal(&item_json.to_string()).is_err(), "{key}");
        }
        assert!(parse_proposal("[]").is_err() && parse_proposal("{}").is_err());
    }
}
