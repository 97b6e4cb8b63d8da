//! ERC-8021: attribution of a transaction to applications and wallets, appended to its calldata.
//!
//! The suffix is `data | schema 1 | marker 16`, read from its end. In schema 0 the data is `codes | length 1`. Schema 1
//! puts the contract that knows the codes before that, as `address 20 | chain id | length 1`. In schema 2 the data is a
//! CBOR map, `map | length 2`. Source: the draft of ERC-8021 (ethereum/ERCs pull request 1209) and the reference
//! encoder (`ox` 0.11, `erc8021/Attribution.ts`).
//!
//! Contracts that follow their ABI never read these bytes. Therefore all bytes after the calldata must form such a
//! suffix exactly: any byte in front of it would be unexplained.

use std::collections::BTreeSet;

/// The last bytes of every such suffix.
const MARKER: [u8; 16] =
    [0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21, 0x80, 0x21];
/// Length of a registry's address in bytes.
const ADDRESS: usize = 20;
/// Maximum length of a chain id in bytes: a word.
const CHAIN_ID_MAX: usize = 32;
/// Maximum nesting of maps and lists in a map of schema 2; honest maps have three levels.
const DEPTH_MAX: usize = 8;

/// The codes that `suffix` names, if all of it is a well-formed attribution; `None` otherwise. Codes are printable ASCII.
#[must_use]
pub fn attributed_codes(suffix: &[u8]) -> Option<Vec<String>> {
    let (schema, data) = suffix.strip_suffix(&MARKER)?.split_last()?;
    match schema {
        0 => {
            let (before, codes) = listed_codes(data)?;
            before.is_empty().then_some(codes)
        }
        1 => {
            let (before, codes) = listed_codes(data)?;
            let (length, before) = before.split_last()?;
            let length = usize::from(*length);
            let chain_id = before.get(ADDRESS..)?;
            let is_number = (1..=CHAIN_ID_MAX).contains(&length) && chain_id.first().is_some_and(|byte| *byte != 0);
            (is_number && chain_id.len() == length).then_some(codes)
        }
        2 => {
            let (data, length) = data.split_last_chunk::<2>()?;
            (data.len() == usize::from(u16::from_be_bytes(*length))).then_some(())?;
            codes_of_map(data)
        }
        _ => None,
    }
}

/// Reads `codes | length 1` from the end, and returns the codes together with the bytes before them.
fn listed_codes(data: &[u8]) -> Option<(&[u8], Vec<String>)> {
    let (length, rest) = data.split_last()?;
    let (before, codes) = rest.split_at_checked(rest.len().checked_sub(usize::from(*length))?)?;
    let codes = codes.split(|byte| *byte == b',').map(parse_code).collect::<Option<Vec<_>>>()?;
    Some((before, codes))
}

fn parse_code(bytes: &[u8]) -> Option<String> {
    let printable = !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_graphic());
    if printable { String::from_utf8(bytes.to_vec()).ok() } else { None }
}

/// Returns the codes of a map of schema 2: the application's (`a`), the wallet's (`w`) and those of services (`s`). The
/// map may also hold registries (`r`) and metadata (`m`).
fn codes_of_map(data: &[u8]) -> Option<Vec<String>> {
    let mut cbor = Cbor(data);
    let (MAP, entries) = cbor.read_header()? else { return None };
    let (mut codes, mut keys) = (Vec::new(), BTreeSet::new());
    for _ in 0..entries {
        let key = cbor.read_text()?;
        // Duplicate keys are rejected, because readers differ in which of the two they use.
        keys.insert(key).then_some(())?;
        match key {
            b"a" | b"w" => codes.push(parse_code(cbor.read_text()?)?),
            b"s" => {
                let (LIST, items) = cbor.read_header()? else { return None };
                for _ in 0..items {
                    codes.push(parse_code(cbor.read_text()?)?);
                }
            }
            b"r" | b"m" => cbor.skip_item(DEPTH_MAX)?,
            _ => return None,
        }
    }
    (cbor.0.is_empty() && !codes.is_empty()).then_some(codes)
}

/// Major types of CBOR (RFC 8949, section 3.1).
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// Remaining bytes of a CBOR item; definite lengths only, as in the deterministic encoding (RFC 8949, section 4.2.1).
struct Cbor<'a>(&'a [u8]);

impl<'a> Cbor<'a> {
    /// Major type and argument of the next item.
    fn read_header(&mut self) -> Option<(u8, u64)> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        let argument = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            size @ 24..=27 => {
                let bytes = self.take_bytes(1 << (size - 24))?;
                bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            _ => return None,
        };
        Some((first >> 5, argument))
    }

    fn take_bytes(&mut self, bytes: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn read_text(&mut self) -> Option<&'a [u8]> {
        let (TEXT, length) = self.read_header()? else { return None };
        self.take_bytes(length)
    }

    /// Skips one item and its contents. Each item takes at least one byte, so the length of the input bounds the work.
    fn skip_item(&mut self, depth: usize) -> Option<()> {
        let (major, argument) = self.read_header()?;
        match major {
            0 | 1 | SIMPLE => Some(()),
            2 | TEXT => self.take_bytes(argument).map(drop),
            TAG => self.skip_item(depth.checked_sub(1)?),
            _ => {
                let depth = depth.checked_sub(1)?;
                let items = if major == MAP { argument.checked_mul(2)? } else { argument };
                (0..items).try_for_each(|_| self.skip_item(depth))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use proptest::prelude::*;

    fn codes(text: &str) -> Option<Vec<String>> {
        attributed_codes(&hex::decode(text).expect("hexadecimal"))
    }

    /// Suffixes as written by the reference encoder.
    const KNOWN: [(&str, &[&str]); 4] = [
        ("62617365617070070080218021802180218021802180218021", &["baseapp"]),
        ("626173656170702c6d6f7270686f0e0080218021802180218021802180218021", &["baseapp", "morpho"]),
        (
            "cccccccccccccccccccccccccccccccccccccccc210502626173656170702C6D6F7270686F0E0180218021802180218021802180218021",
            &["baseapp", "morpho"],
        ),
        ("a161616762617365617070000b0280218021802180218021802180218021", &["baseapp"]),
    ];

    #[test]
    fn every_schema_is_read_as_the_reference_writes_it() {
        for (suffix, expected) in KNOWN {
            assert_eq!(
                codes(suffix).as_deref(),
                Some(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
            );
        }
        let marker = hex::encode(MARKER);
        // Wallet, two services, a registry and metadata.
        let map = "a5616163646170617763616263617382636f6e656374776f6172a16161a261636330783161616430783030616da1617801";
        let suffix = format!("{map}{:04x}02{marker}", map.len() / 2);
        assert_eq!(codes(&suffix), Some(["dap", "abc", "one", "two"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn whatever_stands_in_front_of_it_or_lies_about_its_length_is_refused() {
        for (suffix, _) in KNOWN {
            assert_eq!(codes(&format!("00{suffix}")), None, "a byte more in front");
            assert_eq!(codes(&suffix[2..]), None, "a byte less in front");
            assert_eq!(codes(&format!("{suffix}00")), None, "a byte behind the marker");
        }
        let marker = hex::encode(MARKER);
        for data in [
            "",
            "00",
            "0000",
            "610200",
            "2c0100",
            "612c0200",
            "0a0100",
            "610103",
            "61ff00",
            "a0000102",
            "a161610000030002",
        ] {
            assert_eq!(codes(&format!("{data}{marker}")), None, "{data}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_panic_and_a_change_of_length_is_seen(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            schema in 0..3_u8,
        ) {
            let suffix = [&bytes[..], &[schema], &MARKER].concat();
            if attributed_codes(&suffix).is_some() {
                prop_assert!(attributed_codes(&[&[0], &suffix[..]].concat()).is_none());
            }
        }
    }
}
