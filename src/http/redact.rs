//! Removes secrets from a server's response, in every encoding that a server may use.
//!
//! A server that repeats its input may write it percent-encoded, escaped for JSON or HTML, in hexadecimal or base64,
//! and may combine any two of these. The text is therefore decoded layer by layer. Every part that contains a secret in
//! any layer is removed from the original text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::ops::Range;

/// Number of layers of escapes that are decoded: a proxy that logs an error of a server that logs a request makes
/// three.
const LAYERS_MAX: usize = 3;
/// Shortest base64 text that is searched for: shorter ones occur in any text.
const BASE64_MIN: usize = 4;

/// Decoded byte, and its position in the text.
#[derive(Clone, Debug)]
struct Unit {
    byte: u8,
    at: Range<usize>,
}

/// Returns `text` with every occurrence of `secrets` replaced by `***`, in any case and any supported encoding.
pub(super) fn redact_text(text: &str, secrets: &[String]) -> String {
    let needles: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| secret_encodings(secret)).collect();
    let mut units: Vec<Unit> = text.bytes().enumerate().map(|(at, byte)| Unit { byte, at: at..at + 1 }).collect();
    let mut blots: Vec<Range<usize>> = Vec::new();
    for layer in 0..=LAYERS_MAX {
        needles.iter().for_each(|needle| find_occurrences(&units, needle, &mut blots));
        if layer < LAYERS_MAX {
            let inner = decode_escapes(&units);
            if inner.len() == units.len() {
                break;
            }
            units = inner;
        }
    }
    blots.sort_unstable_by_key(|blot| (blot.start, blot.end));
    let (mut out, mut next) = (String::with_capacity(text.len()), 0);
    for blot in blots {
        if blot.start >= next {
            out.push_str(text.get(next..blot.start).unwrap_or_default());
            out.push_str("***");
        }
        next = next.max(blot.end);
    }
    out.push_str(text.get(next..).unwrap_or_default());
    out
}

/// Returns the forms to search for: the secret itself, its hexadecimal form, and its base64 form at each alignment.
fn secret_encodings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut needles = vec![bytes.to_vec()];
    // A secret may contain an apparent escape, which is decoded like the others.
    let mut units: Vec<Unit> = bytes.iter().map(|byte| Unit { byte: *byte, at: 0..0 }).collect();
    for _ in 0..LAYERS_MAX {
        let inner = decode_escapes(&units);
        if inner.len() == units.len() {
            break;
        }
        needles.push(inner.iter().map(|unit| unit.byte).collect());
        units = inner;
    }
    if bytes.len() >= 2 {
        needles.push(const_hex::encode(bytes).into_bytes());
    }
    for before in 0..3 {
        let padded = [vec![0; before], bytes.to_vec()].concat();
        // The first and the last character may contain bits of the bytes next to the secret.
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            if let Some(piece) = encoded.get(first..last).filter(|piece| piece.len() >= BASE64_MIN) {
                needles.push(piece.as_bytes().to_vec());
            }
        }
    }
    needles
}

fn find_occurrences(units: &[Unit], needle: &[u8], blots: &mut Vec<Range<usize>>) {
    let same = |unit: &Unit, byte: &u8| unit.byte.eq_ignore_ascii_case(byte) || (unit.byte == b'+' && *byte == b' ');
    for window in units.windows(needle.len()) {
        if window.iter().zip(needle).all(|(unit, byte)| same(unit, byte))
            && let [first, .., last] | [first @ last] = window
        {
            blots.push(first.at.start..last.at.end);
        }
    }
}

/// Decodes one layer of escapes.
fn decode_escapes(units: &[Unit]) -> Vec<Unit> {
    let mut out = Vec::with_capacity(units.len());
    let mut at = 0;
    while let Some(unit) = units.get(at) {
        let (bytes, used) = parse_escape(&units[at..]).unwrap_or((vec![unit.byte], 1));
        let span = unit.at.start..units[at + used - 1].at.end;
        out.extend(bytes.into_iter().map(|byte| Unit { byte, at: span.clone() }));
        at += used;
    }
    out
}

/// Returns the escape at the start of `units`: the bytes it encodes, and its length in units.
fn parse_escape(units: &[Unit]) -> Option<(Vec<u8>, usize)> {
    let byte = |at: usize| units.get(at).map(|unit| unit.byte);
    let hex = |range: Range<usize>| {
        let digits: Option<String> = range.map(|at| byte(at).map(char::from)).collect();
        digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(&digits, 16).ok())
    };
    let letter = |code: u32| char::from_u32(code).map(|c| c.to_string().into_bytes());
    match byte(0)? {
        b'%' => Some((vec![u8::try_from(hex(1..3)?).ok()?], 3)),
        b'\\' => match byte(1)? {
            b'u' => Some((letter(hex(2..6)?)?, 6)),
            b'x' => Some((vec![u8::try_from(hex(2..4)?).ok()?], 4)),
            b'n' => Some((vec![b'\n'], 2)),
            b't' => Some((vec![b'\t'], 2)),
            b'r' => Some((vec![b'\r'], 2)),
            other => Some((vec![other], 2)),
        },
        b'&' => {
            let end = (1..10).find(|at| byte(*at) == Some(b';'))?;
            let name: String = (1..end).filter_map(|at| byte(at).map(char::from)).collect();
            let bytes = match name.to_ascii_lowercase().as_str() {
                "amp" => vec![b'&'],
                "lt" => vec![b'<'],
                "gt" => vec![b'>'],
                "quot" => vec![b'"'],
                "apos" => vec![b'\''],
                "sol" => vec![b'/'],
                number => {
                    let digits = number.strip_prefix('#')?;
                    let code = match digits.strip_prefix('x') {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => digits.parse().ok()?,
                    };
                    letter(code)?
                }
            };
            Some((bytes, end + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    fn percent(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    fn json(text: &str) -> String {
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
    }

    fn html(text: &str) -> String {
        text.chars().map(|c| format!("&#{};", u32::from(c))).collect()
    }

    /// Returns the forms in which a server may repeat `text`.
    fn echoes(text: &str) -> Vec<String> {
        let url: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        vec![
            text.to_owned(),
            url,
            percent(text),
            percent(text).to_lowercase(),
            percent(&percent(text)),
            json(text),
            serde_json::to_string(text).expect("text")[1..].trim_end().to_owned(),
            text.replace('/', "\\/"),
            html(text),
            html(&percent(text)),
            text.replace('&', "&amp;").replace('<', "&lt;"),
            const_hex::encode(text),
            const_hex::encode_upper(text),
            STANDARD.encode(text),
            URL_SAFE.encode(text),
        ]
    }

    proptest! {
        #[test]
        fn no_echo_of_a_secret_is_left(secret in "[a-zA-Z0-9/+=?&<>\"@#% ._~-]{3,40}", before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
            for echo in echoes(&secret) {
                let shown = redact_text(&format!("{before} {echo} {after}"), std::slice::from_ref(&secret));
                prop_assert!(shown.contains("***"), "{echo}: {shown}");
                if echo.len() >= 8 && !before.contains(&echo) && !after.contains(&echo) {
                    prop_assert!(!shown.contains(&echo), "{echo}: {shown}");
                }
            }
            for before in ["", "u", "user:"] {
                let pair = STANDARD.encode(format!("{before}{secret}:x"));
                if secret.len() >= 6 {
                    prop_assert!(redact_text(&pair, std::slice::from_ref(&secret)).contains("***"), "{pair}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_was() {
        let said = "no %20 field \\u0041 of &amp; é % \\ & at 100%";
        assert_eq!(redact_text(said, &["s3cr3t".to_owned()]), said);
        assert_eq!(redact_text("p%40ss and p@ss, é", &["p@ss".to_owned()]), "*** and ***, é");
        assert_eq!(redact_text("nothing", &[String::new()]), "nothing");
    }
}
