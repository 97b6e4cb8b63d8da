//! Makes text from the chain safe to show.
//!
//! Input: bytes that an untrusted party put into calldata, a log or a token's name. Output: one line that a terminal, a
//! page or a chat message shows as it is. Characters that move a cursor, change the reading direction or are invisible
//! never pass.

use std::fmt::{Display, Write as _};

/// Returns a count with its noun: `1 rule`, `2 rules`.
#[must_use]
pub fn format_count<N: Copy + Display + PartialEq + From<u8>>(n: N, one: &str, many: &str) -> String {
    let word = if n == N::from(1) { one } else { many };
    format!("{n} {word}")
}

/// Returns `text` on one line: control characters and invisible characters are written as `\u{..}`, bytes that are not
/// UTF-8 as `\x..`. The result has at most `chars_max` characters, the last of them `…` when the text was cut off.
///
/// An escape is never cut in half. Letters of every script stay as they are.
///
/// ```
/// use watchfire::model::text::escape_unprintable;
/// assert_eq!(escape_unprintable("grant\n\u{1b}[2J", 80), r"grant\u{a}\u{1b}[2J");
/// assert_eq!(escape_unprintable(b"a\xff", 80), r"a\xff");
/// assert_eq!(escape_unprintable("Freitag", 4), "Fre…");
/// ```
pub fn escape_unprintable(text: impl AsRef<[u8]>, chars_max: usize) -> String {
    let mut line = Line::new(chars_max);
    for chunk in text.as_ref().utf8_chunks() {
        for c in chunk.valid().chars() {
            if !line.push_char(c) {
                return line.text;
            }
        }
        for byte in chunk.invalid() {
            if !line.push_escape(format_args!("\\x{byte:02x}")) {
                return line.text;
            }
        }
    }
    line.text
}

/// Returns true if a terminal would act on `c`, or if `c` is invisible to a reader: controls, line and paragraph
/// separators, marks that change the reading direction, and all characters of zero width.
///
/// The ranges are Unicode's categories Cc, Zl, Zp and Cf, and the letters without a visible glyph.
pub fn is_treacherous(c: char) -> bool {
    matches!(c,
        '\u{00}'..='\u{1f}' | '\u{7f}'..='\u{9f}'          // controls, escape among them
        | '\u{ad}' | '\u{34f}' | '\u{61c}'                  // soft hyphen, grapheme joiner, Arabic letter mark
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' // fillers without a glyph
        | '\u{180b}'..='\u{180f}'                           // Mongolian selectors
        | '\u{200b}'..='\u{200f}'                           // zero width, left-to-right and right-to-left marks
        | '\u{2028}'..='\u{202e}'                           // separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}'                           // joiners, invisible operators, isolates
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'                           // interlinear annotation
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' // tags and variation selectors
    )
}

/// A line under construction with a limited remaining length.
struct Line {
    text: String,
    left: usize,
    /// Start of the last letter or escape, which is removed when the line is cut.
    last: usize,
}

impl Line {
    fn new(chars_max: usize) -> Self {
        Self { text: String::new(), left: chars_max, last: 0 }
    }

    /// Appends one character, escaped if necessary. Returns false when the line was full; it then ends in `…`.
    fn push_char(&mut self, c: char) -> bool {
        if is_treacherous(c) {
            return self.push_escape(format_args!("\\u{{{:x}}}", u32::from(c)));
        }
        if self.left == 0 {
            return self.end_with_ellipsis();
        }
        self.last = self.text.len();
        self.left -= 1;
        self.text.push(c);
        true
    }

    fn push_escape(&mut self, escape: std::fmt::Arguments<'_>) -> bool {
        let before = self.text.len();
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(escape);
        // Escapes are ASCII, so bytes and characters are equal in number.
        let written = self.text.len() - before;
        if written > self.left {
            self.text.truncate(before);
            return self.end_with_ellipsis();
        }
        self.last = before;
        self.left -= written;
        true
    }

    /// Ends the line with `…`, which replaces its last letter or escape when there is no room left.
    fn end_with_ellipsis(&mut self) -> bool {
        if self.left == 0 {
            if self.text.is_empty() {
                return false;
            }
            self.text.truncate(self.last);
        }
        self.text.push('…');
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_of_any_script_stays() {
        assert_eq!(escape_unprintable("Grüße, 世界! ΣNT ✓", 80), "Grüße, 世界! ΣNT ✓");
    }

    #[test]
    fn what_a_terminal_obeys_or_an_eye_misses_is_spelled_out() {
        for c in
            ['\0', '\n', '\r', '\u{1b}', '\u{7f}', '\u{9b}', '\u{200b}', '\u{200d}', '\u{202e}', '\u{2066}', '\u{2069}']
        {
            assert_eq!(escape_unprintable(format!("a{c}b"), 80), format!("a\\u{{{:x}}}b", u32::from(c)), "{c:?}");
        }
        assert_eq!(escape_unprintable("\u{202a}\u{feff}\u{e0041}", 80), r"\u{202a}\u{feff}\u{e0041}");
    }

    #[test]
    fn bytes_that_are_no_text_are_spelled_out() {
        assert_eq!(escape_unprintable(b"ok\xc3\x28\xf0\x9f", 80), r"ok\xc3(\xf0\x9f");
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark_and_never_inside_an_escape() {
        assert_eq!(escape_unprintable("abcdef", 6), "abcdef");
        assert_eq!(escape_unprintable("abcdefg", 6), "abcde…");
        assert_eq!(escape_unprintable("ab\u{202e}cd", 6), "ab…");
        assert_eq!(escape_unprintable("\u{202e}x", 8), "…");
        assert_eq!(escape_unprintable(b"ab\xff\xff", 6), r"ab…");
        assert_eq!(escape_unprintable("anything", 0), "");
        for max in 0..40 {
            let shown = escape_unprintable("a\u{1b}bc\u{202e}\u{202e}déf\u{200b}", max);
            assert!(shown.chars().count() <= max, "{max}: {shown}");
        }
    }
}
