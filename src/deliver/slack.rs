//! Slack, by an incoming webhook.
//!
//! Anyone who has the webhook's URL can post, so the URL is a secret. A webhook's response does not identify the posted
//! message, so updates and retractions are separate messages. Text from the chain goes into `plain_text` blocks, where
//! nothing is markup. Source: <https://docs.slack.dev/reference/block-kit/blocks>.

use super::escape::{escape_slack, truncate_text, without_calls};
use super::layout::Layout;
use super::{Common, Destination, DestinationKind, Outgoing, Receipt, SendError};
use crate::http::{Answer, Endpoint, Letter, Success, UrlIs};
use crate::model::incident::{Body, DeliveryKind};
use crate::model::page::Page;
use crate::settings::{Problems, Table};
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Maximum number of characters of a header block.
const HEADER_CHARS_MAX: usize = 150;
/// Maximum number of characters of a section block. Slack rejects messages of more than about 13,000 characters in all,
/// so each block stays below Slack's limit of 3,000.
const SECTION_CHARS_MAX: usize = 1_400;
/// Maximum number of characters of the text shown in notifications and read by screen readers.
const TEXT_CHARS_MAX: usize = 600;
/// Shortest time between two messages to a channel, for which Slack accepts one message a second.
const PACE: Duration = Duration::from_secs(1);

/// Errors for which a retry is useless. Slack documents them with their own statuses; they are also searched for in the
/// body.
const HOPELESS: [&str; 9] = [
    "invalid_payload",
    "invalid_token",
    "user_not_found",
    "action_prohibited",
    "channel_not_found",
    "channel_is_archived",
    "no_service",
    "no_team",
    "no_text",
];
const SUCCESS: Success = Success {
    is: "200 with the body `ok`",
    source: "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    reads_body: true,
    judge: |status, body| match body.trim() {
        "ok" => Answer::taken_if(status.as_u16() == 200),
        said if HOPELESS.iter().any(|error| said.contains(error)) => Answer::Refused,
        _ => Answer::NotTaken,
    },
};

/// `kind = "slack"`.
pub(super) struct SlackKind;

struct Slack {
    endpoint: Endpoint,
}

impl DestinationKind for SlackKind {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn example(&self) -> &'static str {
        r#"[destination.treasury-room]
kind = "slack"
url  = { env = "SLACK_WEBHOOK_URL" }    # of an incoming webhook; it is a secret
"#
    }

    fn success(&self) -> Success {
        SUCCESS
    }

    fn parse(&self, table: &mut Table<'_>, common: &Common, problems: &mut Problems) -> Option<Box<dyn Destination>> {
        Some(Box::new(Slack { endpoint: Endpoint::from_table(table, UrlIs::Secret, common.timeout, problems)? }))
    }
}

impl Destination for Slack {
    fn send<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let Body::Page(page) = &message.body else {
                return Err(SendError::Refused("Slack takes pages and no feed".to_owned()));
            };
            let body = serde_json::to_vec(&slack_message(message.kind, page));
            let body = body.map_err(|error| SendError::Refused(error.to_string()))?;
            self.endpoint.post(Letter::new("application/json", body), &SUCCESS, message.now_ms).await
        })
    }

    fn min_interval(&self) -> Duration {
        PACE
    }
}

fn slack_message(kind: DeliveryKind, page: &Page) -> Json {
    let brief = Layout::new(Some(kind), page);
    let mark = brief.mark.as_ref().map(|mark| format!("{mark} ")).unwrap_or_default();
    let mut blocks = vec![
        json!({ "type": "header", "text": plain_text(&format!("{mark}{} · {}", brief.banner, brief.label), HEADER_CHARS_MAX) }),
        json!({ "type": "section", "text": plain_text(&brief.headline, SECTION_CHARS_MAX) }),
    ];
    for section in &brief.sections {
        let text = format!("{}\n{}", section.name, section.lines.join("\n"));
        blocks.push(json!({ "type": "section", "text": plain_text(&text, SECTION_CHARS_MAX) }));
    }
    let links: Vec<String> = brief
        .links
        .iter()
        .map(|(text, href)| format!("<{}|{}>", escape_slack(href), escape_slack(text).replace('|', "¦")))
        .collect();
    if !links.is_empty() {
        // The one block with markup; its links were checked to be plain web addresses.
        let text = links.iter().scan(0, |used, link| {
            *used += link.chars().count() + 3;
            (*used <= SECTION_CHARS_MAX * 2).then_some(link.as_str())
        });
        let text = text.collect::<Vec<_>>().join(" · ");
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } }));
    }
    json!({
        "text": escape_slack(&truncate_text(&brief.title(), TEXT_CHARS_MAX)),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

fn plain_text(text: &str, chars_max: usize) -> Json {
    json!({ "type": "plain_text", "text": truncate_text(&without_calls(text), chars_max), "emoji": false })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{hostile_page, oversized_page, sample_page};
    use super::*;

    #[test]
    fn a_page_is_a_message_of_plain_text_blocks() {
        let message = slack_message(DeliveryKind::Trigger, &sample_page());
        assert_eq!(message["text"], "CRITICAL Treasury Safe: Treasury Safe sends 60,000 SNT to Grantee: docs");
        assert_eq!(message["unfurl_links"], false);
        let texts: Vec<&str> =
            message["blocks"].as_array().expect("blocks").iter().filter_map(|b| b["text"]["text"].as_str()).collect();
        assert_eq!(texts[0], "CRITICAL · Treasury Safe");
        assert_eq!(texts[1], "Treasury Safe sends 60,000 SNT to Grantee: docs");
        assert!(texts[2].starts_with("WHY\nfriday-grants: amount 60,000 SNT is above 50,000 SNT\npayroll:"));
        let names: Vec<&str> = texts[2..].iter().filter_map(|text| text.lines().next()).collect();
        assert_eq!(names[..6], ["WHY", "WHO", "WHERE", "PURPOSE", "RUNBOOK", "NEXT STEP"]);
        assert!(
            texts[8].starts_with("<https://runbooks.example/stolen-funds|Runbook> · <https://etherscan.io/tx/0x7e")
        );
    }

    #[test]
    fn nothing_an_attacker_wrote_calls_people_or_becomes_markup() {
        for page in [hostile_page(), oversized_page()] {
            let message = slack_message(DeliveryKind::Trigger, &page);
            let text = message["text"].as_str().expect("a text");
            assert!(!text.contains(['<', '>']) && !text.contains("@everyone"), "{text}");
            for block in message["blocks"].as_array().expect("blocks") {
                let text = block["text"]["text"].as_str().expect("a text");
                assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
                assert!(!text.contains("@everyone") && !text.contains("@here"), "{text}");
                assert!(!text.chars().any(|c| c != '\n' && crate::model::text::is_treacherous(c)), "{text:?}");
                match block["text"]["type"].as_str() {
                    Some("plain_text") => assert_eq!(block["text"]["emoji"], false),
                    // The runbook is not an address and two of three links are not plain, so one link is left.
                    Some("mrkdwn") => assert_eq!(text.matches('<').count(), text.matches("<https://").count()),
                    other => panic!("{other:?}"),
                }
            }
            assert!(message.to_string().chars().count() < 13_000, "{}", message.to_string().len());
        }
    }
}
