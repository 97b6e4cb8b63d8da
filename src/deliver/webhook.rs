//! Any program that accepts HTTP requests: CloudEvents, signed according to Standard Webhooks.
//!
//! The receiver drops duplicates by `webhook-id`, which is also the event's `id`: the delivery key, which is the same
//! for all attempts. The signature covers id, time and body, so none of them can be replaced. Source:
//! <https://github.com/standard-webhooks/standard-webhooks>.

use super::event::encode_cloud_event;
use super::{Common, Destination, DestinationKind, Outgoing, Receipt, SendError};
use crate::http::{ANY_2XX, Endpoint, Letter, Success, UrlIs, unfetched_secret_error};
use crate::settings::{Problems, Secret, Table};
use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

/// Maximum number of secrets of one destination: the current one, and those being rotated in and out.
const SECRETS_MAX: usize = 4;
/// Maximum number of events in one batch: beyond a hundred, the cost of a request is that of its bytes.
const BATCH_MAX: usize = 100;
/// Maximum size of a batch in bytes: the default limit of receivers (nginx: `client_max_body_size 1m`).
const BATCH_BYTES_MAX: usize = 1 << 20;

/// `kind = "webhook"`.
pub(super) struct WebhookKind;

struct Webhook {
    endpoint: Endpoint,
    /// Secrets that sign the requests. Empty only when the configuration says `unsigned = true`.
    secrets: Vec<Secret>,
    /// True if it takes several lines of the feed in one request.
    batch: bool,
}

impl DestinationKind for WebhookKind {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn example(&self) -> &'static str {
        r#"[destination.treasury-feed]
kind   = "webhook"
url    = "https://hooks.example.com/watchfire"
secret = { env = "WATCHFIRE_FEED_SECRET" }    # whsec_..., as the receiver shows it
feed   = "findings"                           # or "verdicts"; without it, pages alone
batch  = true                                 # lines of the feed come as application/cloudevents-batch+json

[destination.internal]
kind          = "webhook"
url           = { file = "/run/secrets/internal-hook-url" }
secrets       = [{ env = "HOOK_SECRET_NEW" }, { env = "HOOK_SECRET_OLD" }]
allow_private = true
timeout       = "5s"
give_up_after = "2d"
"#
    }

    fn success(&self) -> Success {
        ANY_2XX
    }

    fn takes_feed(&self) -> bool {
        true
    }

    fn parse(&self, table: &mut Table<'_>, common: &Common, problems: &mut Problems) -> Option<Box<dyn Destination>> {
        let endpoint = Endpoint::from_table(table, UrlIs::SecretOrPlain, common.timeout, problems);
        let secrets = parse_secrets(table, problems);
        let batch = table.bool("batch", problems).is_some_and(|flag| *flag);
        let (mut endpoint, secrets) = (endpoint?, secrets?);
        for form in secrets.iter().flat_map(secret_forms) {
            endpoint = endpoint.with_secret_redacted(&form);
        }
        Some(Box::new(Webhook { endpoint, secrets, batch }))
    }
}

fn parse_secrets(table: &mut Table<'_>, problems: &mut Problems) -> Option<Vec<Secret>> {
    let unsigned = table.bool("unsigned", problems).is_some_and(|flag| *flag);
    let (one, several) = (table.value("secret"), table.value("secrets"));
    let values = match (one, several) {
        (Some(one), None) => vec![one],
        (None, Some(several)) => match several.as_items() {
            Some(items) if (1..=SECRETS_MAX).contains(&items.len()) => items,
            _ => {
                let message = format!("`secrets` is a list of one to {SECRETS_MAX} secrets");
                problems.push(several.spot().problem(message).without_snippet());
                return None;
            }
        },
        (None, None) if unsigned => return Some(Vec::new()),
        (None, None) => {
            let hint = "a receiver that checks no signature can be told by `unsigned = true`";
            problems.push(table.missing_key_problem("secret").with_hint(hint));
            return None;
        }
        (Some(one), Some(_)) => {
            problems.push(one.spot().problem("write `secret` or `secrets`, not both").without_snippet());
            return None;
        }
    };
    let mut secrets = Vec::new();
    for value in &values {
        let Some(secret) = Secret::from_value(*value, problems) else { continue };
        match secret.expose().map(decode_key).transpose() {
            Ok(_) => secrets.push(secret),
            Err(why) => problems.push(value.spot().problem(format!("the secret in {} {why}", secret.source()))),
        }
    }
    (secrets.len() == values.len()).then_some(secrets)
}

impl Destination for Webhook {
    fn send<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let body = encode_cloud_event(message)?;
            let headers = self.signed_headers(message.key.as_str(), message.now_ms, &body)?;
            let letter = Letter::new("application/cloudevents+json", body).with_headers(headers);
            self.endpoint.post(letter, &ANY_2XX, message.now_ms).await
        })
    }

    fn batch_limit(&self) -> usize {
        if self.batch { BATCH_MAX } else { 1 }
    }

    fn send_together<'a>(&'a self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let body = encode_batch(messages)?;
            let now_ms = messages.first().map_or(0, |first| first.now_ms);
            let headers = self.signed_headers(&batch_id(messages), now_ms, &body)?;
            let letter = Letter::new("application/cloudevents-batch+json", body).with_headers(headers);
            self.endpoint.post(letter, &ANY_2XX, now_ms).await
        })
    }
}

impl Webhook {
    fn signed_headers(&self, id: &str, now_ms: u64, body: &[u8]) -> Result<HeaderMap, SendError> {
        let seconds = now_ms / 1_000;
        let mut headers = HeaderMap::new();
        let mut insert = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).map_err(|error| SendError::Refused(error.to_string()))?;
            headers.insert(HeaderName::from_static(name), value);
            Ok::<(), SendError>(())
        };
        insert("webhook-id", id)?;
        insert("webhook-timestamp", &seconds.to_string())?;
        let mut signatures = Vec::new();
        for secret in &self.secrets {
            let key = decode_key(secret.expose().ok_or_else(|| unfetched_secret_error(secret))?)
                .map_err(|why| SendError::Refused(format!("the secret in {} {why}", secret.source())))?;
            signatures.push(sign_body(&key, id, seconds, body).map_err(SendError::Retry)?);
        }
        if !signatures.is_empty() {
            insert("webhook-signature", &signatures.join(" "))?;
        }
        Ok(headers)
    }
}

/// Encodes the events of several messages as one JSON array, according to the batch mode of CloudEvents 1.0.2 for JSON
/// (section 4).
fn encode_batch(messages: &[Outgoing]) -> Result<Vec<u8>, SendError> {
    let mut body = vec![b'['];
    for message in messages {
        if body.len() > 1 {
            body.push(b',');
        }
        body.append(&mut encode_cloud_event(message)?);
    }
    body.push(b']');
    if body.len() > BATCH_BYTES_MAX {
        return Err(SendError::Refused(format!(
            "a batch of {} bytes exceeds the limit of {BATCH_BYTES_MAX}",
            body.len()
        )));
    }
    Ok(body)
}

/// Returns the identity of a batch: the same for the same messages. A receiver recognizes a repeated event by the
/// event's own `id`, since a retry may form a different batch.
fn batch_id(messages: &[Outgoing]) -> String {
    let mut hash = Sha256::new();
    for message in messages {
        hash.update(message.key.as_str());
        hash.update([0]);
    }
    let digest = hash.finalize();
    format!("bat_{}", const_hex::encode(&digest[..16]))
}

/// Returns the key's bytes: the base64 after `whsec_`, or the text itself without that prefix.
fn decode_key(secret: &str) -> Result<Vec<u8>, &'static str> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => BASE64.decode(encoded).map_err(|_| "is not base64 behind `whsec_`"),
        None => Ok(secret.as_bytes().to_vec()),
    }
}

/// Returns the forms in which a receiver may quote a secret back to us: as written, without its prefix, and the key as
/// text.
fn secret_forms(secret: &Secret) -> Vec<Secret> {
    let written = secret.expose().unwrap_or_default();
    let key = decode_key(written).ok().and_then(|key| String::from_utf8(key).ok());
    let others = [written.strip_prefix("whsec_").map(str::to_owned), key];
    let others = others.into_iter().flatten().filter(|text| !text.is_empty());
    std::iter::once(secret.clone()).chain(others.map(|text| Secret::new(secret.source(), text))).collect()
}

/// Returns `v1,` followed by the base64 of HMAC-SHA256 over `id.seconds.body`.
fn sign_body(key: &[u8], id: &str, seconds: u64, body: &[u8]) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| anyhow!("sign the message: {error}"))?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{sample_message, sample_page};
    use super::*;
    use crate::model::incident::DeliveryKind;

    #[test]
    fn the_signature_is_that_of_the_public_vector() {
        let signer = decode_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let body = br#"{"test": 2432232314}"#;
        let signature = sign_body(&signer, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).expect("a signature");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(decode_key("a raw secret"), Ok(b"a raw secret".to_vec()));
        assert!(decode_key("whsec_not base64").is_err());
    }

    #[test]
    fn a_secret_is_blotted_out_in_whichever_form_a_receiver_quotes_it() {
        let shown = |secret: &str| -> Vec<String> {
            secret_forms(&Secret::new("test", secret))
                .iter()
                .filter_map(|form| form.expose().map(str::to_owned))
                .collect()
        };
        assert_eq!(
            shown("whsec_YSBwbGFudGVkIGtleQ=="),
            ["whsec_YSBwbGFudGVkIGtleQ==", "YSBwbGFudGVkIGtleQ==", "a planted key"]
        );
        assert_eq!(shown("whsec_/v8="), ["whsec_/v8=", "/v8="], "a key that is no text is quoted by nobody");
        assert_eq!(shown("a raw secret"), ["a raw secret", "a raw secret"]);
    }

    #[test]
    fn every_secret_in_rotation_signs_and_the_id_is_the_delivery_key() {
        let common = Common { name: "hook".to_owned(), timeout: super::super::TIMEOUT };
        let text =
            "url = \"https://example.com/\"\nsecrets = [{ env = \"CARGO_PKG_NAME\" }, { env = \"CARGO_PKG_VERSION\" }]";
        let file = crate::settings::SourceFile::new("watch.toml", text);
        let mut problems = Problems::new();
        let document = crate::settings::Document::parse(&file, crate::settings::Secrets::Resolve, &mut problems);
        let mut table = document.root_table();
        let endpoint =
            Endpoint::from_table(&mut table, UrlIs::SecretOrPlain, common.timeout, &mut problems).expect("an endpoint");
        let secrets = parse_secrets(&mut table, &mut problems).expect("secrets");
        let webhook = Webhook { endpoint, secrets, batch: false };
        let message = sample_message(DeliveryKind::Trigger, sample_page());
        let headers = webhook.signed_headers(message.key.as_str(), message.now_ms, b"body").expect("headers");
        assert_eq!(headers["webhook-id"], message.key.as_str());
        assert_eq!(headers["webhook-timestamp"], "1795168812");
        let sign =
            |secret: &str| sign_body(secret.as_bytes(), message.key.as_str(), 1_795_168_812, b"body").expect("signed");
        let expected = format!("{} {}", sign("watchfire"), sign(env!("CARGO_PKG_VERSION")));
        assert_eq!(headers["webhook-signature"], expected.as_str());
    }
}
