//! `endpoint = …` of a chain: URLs and names of its nodes.

use crate::settings::{At, Problems, Secret, Value};
use crate::source::pool::ENDPOINTS_MAX;
use crate::source::{BadEndpoint, parse_endpoint_url};
use crate::watchlist::book::{EndpointSettings, EndpointUrl};
use crate::watchlist::file::EndpointText;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use url::Url;

/// Longest name of an endpoint, in bytes: it stands in every log line and as a label of metrics.
const NAME_BYTES_MAX: usize = 32;
/// Length from which a path segment of a URL, of letters and digits alone, counts as an API key instead of a word.
const KEY_LIKE_CHARS: usize = 20;

/// Hint on where a URL with a key belongs.
const KEEP: &str = "write `{ env = \"NAME\" }` and keep the URL in the environment";

/// Returns the endpoints of `chain`; those with a problem are reported and left out.
pub(super) fn compile_endpoints(
    chain: &str,
    texts: &[EndpointText<'_>],
    problems: &mut Problems,
) -> Vec<EndpointSettings> {
    if let Some(over) = texts.get(ENDPOINTS_MAX) {
        let message = format!("a chain has at most {ENDPOINTS_MAX} endpoints, and here are {}", texts.len());
        problems.push(over.spot.problem(message));
    }
    let mut compiled: Vec<EndpointSettings> = Vec::new();
    let mut named: HashMap<&str, &At<&str>> = HashMap::new();
    for text in texts.iter().take(ENDPOINTS_MAX) {
        let name = name(chain, text, texts.len() == 1, problems);
        if let Some(at) = &text.name
            && let Some(first) = named.insert(at.value, at)
        {
            let problem = at.problem(format!("endpoint `{}` of {chain} is named twice", at.value));
            problems.push(problem.with_related_spot(first.spot.clone(), "first here"));
        }
        let url = text.url.and_then(|value| compile_endpoint_url(value, problems));
        let (Some(name), Some(url)) = (name, url) else { continue };
        if let Some(same) = compiled.iter().find(|other| is_same_endpoint(&other.url, &url)) {
            let problem = text.spot.problem(format!("endpoint `{name}` is where `{}` is", same.name));
            problems.push(
                problem.with_hint("two names of one node agree about everything, so neither could confirm the other"),
            );
        }
        let requests_per_second = text.requests_per_second.as_ref().and_then(|at| u32::try_from(at.value).ok());
        let requests_per_second = requests_per_second.and_then(NonZeroU32::new);
        compiled.push(EndpointSettings { name, url, requests_per_second });
    }
    compiled
}

/// Returns the name of an endpoint: its own, or that of its chain if it is the only one.
fn name(chain: &str, text: &EndpointText<'_>, alone: bool, problems: &mut Problems) -> Option<Arc<str>> {
    let Some(at) = &text.name else {
        if alone {
            return Some(chain.into());
        }
        let problem = text.spot.problem("one endpoint of several needs a `name`");
        problems.push(
            problem
                .with_hint("write `{ name = \"own\", url = … }`; logs, metrics and pages call it so")
                .without_snippet(),
        );
        return None;
    };
    let plain = at.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !plain || at.is_empty() || at.len() > NAME_BYTES_MAX {
        let problem = at.problem("this is not a name of an endpoint");
        let hint = format!(
            "write 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`; it is shown, so no key may be in it"
        );
        problems.push(problem.with_hint(hint).without_snippet());
        return None;
    }
    Some(at.value.into())
}

fn compile_endpoint_url(value: Value<'_>, problems: &mut Problems) -> Option<EndpointUrl> {
    if value.as_table().is_some() {
        let secret = Secret::from_value(value, problems)?;
        // The URL is not repeated in the message; the place where it is stored may be.
        if let Some(Err(why)) = secret.expose().map(parse_endpoint_url) {
            let (what, hint) = describe_bad_endpoint(why, secret.expose().unwrap_or_default());
            let problem = value.spot().problem(format!("{} holds no address of an endpoint: {what}", secret.source()));
            problems.push(problem.with_hint(hint));
            return None;
        }
        return Some(EndpointUrl::Secret(secret));
    }
    let text = value.string(problems)?;
    // The text is not repeated in the message: it may contain a key.
    let (what, hint) = match parse_endpoint_url(&text) {
        Ok(url) if carries_key(&url) => {
            ("this URL seems to carry a key, and a key must not stand in the file", KEEP.to_owned())
        }
        Ok(_) => return Some(EndpointUrl::Plain(text.value.to_owned())),
        Err(why) => describe_bad_endpoint(why, &text),
    };
    problems.push(text.problem(what).with_hint(hint).without_snippet());
    None
}

/// Returns the fault of an endpoint's address, and what to write instead.
fn describe_bad_endpoint(why: BadEndpoint, text: &str) -> (&'static str, String) {
    let schemes = "an endpoint begins with ws://, wss://, http://, https:// or ipc://";
    let bare =
        !text.contains("://") && (text.contains(':') || text.contains('.')) && !text.contains(char::is_whitespace);
    match why {
        _ if bare && !text.starts_with('/') => {
            ("the address of an endpoint has no scheme", "write `ws://`, or `https://`, in front of it".to_owned())
        }
        BadEndpoint::NotAUrl => ("this is not a URL", format!("{schemes}; {KEEP}")),
        BadEndpoint::Scheme => (schemes, KEEP.to_owned()),
        BadEndpoint::Socket => (
            "a socket of a node is named by its absolute path",
            "write `ipc:///run/geth/geth.ipc`, or the path alone where it ends in `.ipc`".to_owned(),
        ),
    }
}

fn is_same_endpoint(one: &EndpointUrl, other: &EndpointUrl) -> bool {
    match (one.expose(), other.expose()) {
        (Some(one), Some(other)) => parse_endpoint_url(one).is_ok_and(|one| parse_endpoint_url(other) == Ok(one)),
        // URLs that were not fetched are the same if they are stored in the same place.
        _ => {
            matches!((one, other), (EndpointUrl::Secret(one), EndpointUrl::Secret(other)) if one.source() == other.source())
        }
    }
}

fn carries_key(url: &Url) -> bool {
    if url.scheme() == "ipc" {
        return false;
    }
    let key_like = |part: &str| {
        part.len() >= KEY_LIKE_CHARS && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.path_segments().is_some_and(|mut segments| segments.any(key_like))
}
