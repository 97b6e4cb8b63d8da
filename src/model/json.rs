//! JSON with hidden and control characters escaped: the same values, written so that a terminal or an editor shows
//! every character.
//!
//! Values from the chain must stay exact in records, so they cannot be replaced by the human form `\u{..}`. JSON has
//! its own escape for every character, and every JSON parser restores the character.

use super::text::is_treacherous;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::io::{self, Write};

/// Returns `value` as one line of JSON. Characters that move a cursor, change the reading direction or are invisible
/// are escaped as `\u` and four hex digits.
///
/// ```
/// use watchfire::model::json::to_json_line;
/// let told = to_json_line(&"a\u{202e}b\u{9b}").unwrap();
/// assert_eq!(told, r#""a\u202eb\u009b""#);
/// assert_eq!(serde_json::from_str::<String>(&told).unwrap(), "a\u{202e}b\u{9b}");
/// ```
///
/// # Errors
/// When `value` cannot be written as JSON, such as a map whose keys are no strings.
pub fn to_json_line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut out = Vec::with_capacity(1024);
    value.serialize(&mut Serializer::with_formatter(&mut out, Careful(CompactFormatter)))?;
    // Only whole characters are read and written.
    String::from_utf8(out).map_err(<serde_json::Error as serde::ser::Error>::custom)
}

struct Careful(CompactFormatter);

impl Formatter for Careful {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_treacherous(*c)) {
            self.0.write_string_fragment(writer, &rest[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_acts_is_escaped_and_comes_back_as_it_was() {
        let value = json!({ "name\u{200b}": ["\0\n\u{1b}[2J\u{7f}\u{9b}", "\u{e0041}\u{feff}", "Grüße, 世界! \"✓\""] });
        let line = to_json_line(&value).unwrap();
        assert!(!line.chars().any(is_treacherous), "{line:?}");
        assert!(line.contains("Grüße, 世界!") && line.contains(r"\udb40\udc41"), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }
}
