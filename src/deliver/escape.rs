//! Sanitizes text from the chain for display.
//!
//! Token names, calldata strings and ENS names are written by attackers. Every destination first passes its text
//! through [`sanitize_line()`], which removes all characters that move a cursor, change the reading direction or hide text, and
//! then through its own escaping, so that no text mentions people or imitates our own markup.

use crate::model::text::escape_unprintable;
use serde_json::Value as Json;

/// Words that notify a whole room in one of the chats.
const CALLS: [&str; 5] = ["@channel", "@here", "@everyone", "@group", "@room"];

/// Returns the text as a single harmless line of at most `chars_max` characters; hidden characters are spelled out.
pub(super) fn sanitize_line(text: &str, chars_max: usize) -> String {
    escape_unprintable(text, chars_max)
}

/// Escapes text for Slack's `mrkdwn` and its plain fallback text: the three markup characters, and words that notify a
/// room.
///
/// Escaping `<` disarms `<!channel>`, `<@U123>` and disguised links.
pub(super) fn escape_slack(text: &str) -> String {
    without_calls(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Inserts a space after the `@` of words that notify a whole room.
pub(super) fn without_calls(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len() + 4);
    for (at, c) in text.char_indices() {
        out.push(c);
        // Lower-casing ASCII keeps every byte offset.
        if c == '@' && CALLS.iter().any(|call| lower[at..].starts_with(call)) {
            out.push(' ');
        }
    }
    out
}

/// Sanitizes text for messages that another program may pass on to people, such as a bridge from a webhook to a chat.
/// The result moves no cursor, hides nothing, mentions no one, opens no tag and contains no link in any of the usual
/// markups.
pub(super) fn neutralize_text(text: &str) -> String {
    let text = escape_unprintable(text, usize::MAX);
    if !text.contains(['@', '<', ':', '(']) {
        return text;
    }
    let text = without_calls(&text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next().unwrap_or(' ');
        match c {
            // This may be an HTML tag, or a mention or a link of Slack or Discord. Comparisons of numbers are kept.
            '<' if !next.is_whitespace() && !next.is_ascii_digit() && next != '=' => out.push('‹'),
            '@' if !before.is_alphanumeric() && (next.is_alphanumeric() || next == '_') => out.push_str("@ "),
            '(' if before == ']' => out.push_str(" ("),
            c => out.push(c),
        }
        before = c;
    }
    without_links(&out)
}

/// Writes the `://` of web addresses as `[:]//`, as incident responders do, so that no program turns it into a link.
pub(super) fn without_links(text: &str) -> String {
    text.replace("://", "[:]//")
}

/// Makes every string of a document [`neutralize_text`], including field names. Addresses from the configuration, under `href`
/// and `runbook`, are kept where they are plain.
pub(super) fn inert_all(json: &mut Json) {
    neutralize_json(json, false);
}

fn neutralize_json(json: &mut Json, is_address: bool) {
    match json {
        Json::String(text) if is_address && is_plain_address(text) => {}
        Json::String(text) => *text = neutralize_text(text),
        Json::Array(items) => items.iter_mut().for_each(|item| neutralize_json(item, is_address)),
        Json::Object(fields) => {
            for (name, mut value) in std::mem::take(fields) {
                neutralize_json(&mut value, ["href", "runbook"].contains(&name.as_str()));
                fields.insert(neutralize_text(&name), value);
            }
        }
        _ => {}
    }
}

/// Returns whether `href` is a plain web address, without other meaning in any markup.
pub(super) fn is_plain_address(href: &str) -> bool {
    href.len() <= 1_000
        && url::Url::parse(href).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        && href.chars().all(|c| c.is_ascii_graphic() && !"<>|\"'`\\".contains(c))
}

/// Cuts after `chars_max` characters and marks the cut.
pub(super) fn truncate_text(text: &str, chars_max: usize) -> String {
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
        assert_eq!(escape_slack("<!channel> & <@U024BE7LH>"), "&lt;!channel&gt; &amp; &lt;@U024BE7LH&gt;");
        assert_eq!(escape_slack("<https://evil.example|etherscan.io>"), "&lt;https://evil.example|etherscan.io&gt;");
        assert_eq!(escape_slack("@Channel, @HERE and @grantees"), "@ Channel, @ HERE and @grantees");
        assert_eq!(escape_slack("é@everyone"), "é@ everyone");
    }

    #[test]
    fn nothing_inert_mentions_links_or_opens_a_tag() {
        for (hostile, shown) in [
            ("<!channel> <@U024BE7LH> <#C1>", "‹!channel> ‹@ U024BE7LH> ‹#C1>"),
            ("@everyone, @Here and @team_1", "@ everyone, @ Here and @ team_1"),
            ("[etherscan.io](https://evil.example)", "[etherscan.io] (https[:]//evil.example)"),
            ("<https://evil.example|etherscan>", "‹https[:]//evil.example|etherscan>"),
            ("</pre><script>", "‹/pre>‹script>"),
            ("a\u{202e}b\u{1b}[2J", r"a\u{202e}b\u{1b}[2J"),
            ("1 < 2, x <= 3, ops@vault", "1 < 2, x <= 3, ops@vault"),
        ] {
            assert_eq!(neutralize_text(hostile), shown);
            assert_eq!(neutralize_text(shown), shown, "once is enough");
        }
    }

    #[test]
    fn a_document_is_inert_but_for_the_addresses_of_the_configuration() {
        let mut document = serde_json::json!({
            "@here": "<!here>", "href": "https://etherscan.io/tx/0x00", "runbook": ["https://a.example/|<!channel>"], "n": 1,
        });
        inert_all(&mut document);
        let expected = serde_json::json!({
            "@ here": "‹!here>", "href": "https://etherscan.io/tx/0x00", "runbook": ["https[:]//a.example/|‹!channel>"], "n": 1,
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_cut_is_marked_and_never_splits_a_character() {
        assert_eq!(truncate_text("abc", 3), "abc");
        assert_eq!(truncate_text("äöüß", 3), "äö…");
    }
}
