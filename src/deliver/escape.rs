//! Text from the chain, made harmless for whoever shows it.
//!
//! Token names, calldata strings and ENS names are written by attackers. Every destination first takes its text through
//! [`line()`], which leaves nothing that moves a cursor, turns the reading direction or hides; then through its own escape,
//! so that nothing calls people up or poses as our own markup.

use crate::model::text::printable;

/// Words that call up a whole room in one chat or another.
const CALLS: [&str; 5] = ["@channel", "@here", "@everyone", "@group", "@room"];

/// One harmless line of at most `chars_max` characters; what was hidden is spelled out.
pub(super) fn line(text: &str, chars_max: usize) -> String {
    printable(text, chars_max)
}

/// For Slack's `mrkdwn` and its plain fallback text: the three characters that make markup there, and calls to a room.
///
/// Escaping `<` disarms `<!channel>`, `<@U123>` and disguised links.
pub(super) fn slack(text: &str) -> String {
    without_calls(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Sets a space behind the `@` of words that call up a whole room.
pub(super) fn without_calls(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len() + 4);
    for (at, c) in text.char_indices() {
        out.push(c);
        // ASCII lower case keeps every byte in its place.
        if c == '@' && CALLS.iter().any(|call| lower[at..].starts_with(call)) {
            out.push(' ');
        }
    }
    out
}

/// Cuts after `chars_max` characters and marks the cut.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_calls_are_disarmed_for_slack() {
        assert_eq!(slack("<!channel> & <@U024BE7LH>"), "&lt;!channel&gt; &amp; &lt;@U024BE7LH&gt;");
        assert_eq!(slack("<https://evil.example|etherscan.io>"), "&lt;https://evil.example|etherscan.io&gt;");
        assert_eq!(slack("@Channel, @HERE and @grantees"), "@ Channel, @ HERE and @grantees");
        assert_eq!(slack("é@everyone"), "é@ everyone");
    }

    #[test]
    fn a_cut_is_marked_and_never_splits_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
