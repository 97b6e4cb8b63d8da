//! HTTP client for configured URLs: which requests are refused, which are retried, and which secrets are removed from
//! errors.
//!
//! Comes in: the `url` of a table, request bodies, and queries. Goes out: HTTP requests, and for each of them the next
//! action. Never here: a followed redirect, a private address that the configuration does not allow, an unlimited wait,
//! or the URL in an error.

mod address;
mod redact;
mod success;

pub use success::Success;
pub(crate) use success::{ANY_2XX, Answer};

use crate::model::text::escape_unprintable;
use crate::runtime::install_tls;
use crate::settings::{Problems, Secret, Table};
use address::{Resolver, check_url};
use anyhow::anyhow;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

/// Longest time to connect to the other machine, within the attempt's own timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause that a destination may ask for: a destination that asks for a year must not silence a pager.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Maximum number of bytes read from a response.
const ANSWER_BYTES_MAX: usize = 2_048;
/// Maximum number of characters quoted from a response.
const QUOTE_CHARS_MAX: usize = 200;
/// Shortest segment of a URL's path that may be a secret; `/v2` is too short.
const SEGMENT_CHARS_MIN: usize = 4;
/// Shortest value in a URL's query, user or password that may be a secret.
const VALUE_CHARS_MIN: usize = 3;
/// Longest time that a destination may keep sending after it accepted the message.
const FAREWELL: Duration = Duration::from_secs(1);

/// Answer of a destination that accepted a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Status of the response, such as `202 Accepted`; for logs.
    pub detail: String,
}

/// Failure to deliver a message, by the action it requires.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The service asked for a pause: nothing is sent to it until the pause is over.
    #[error("asked to wait {0:?}")]
    Wait(Duration),
    /// Transient failure: back off and keep the message.
    #[error("{0:#}")]
    Retry(anyhow::Error),
    /// Permanent rejection: a person must correct the settings.
    #[error("refused: {0}")]
    Refused(String),
}

/// Request that carries a message.
pub(crate) struct Letter {
    headers: HeaderMap,
    content_type: &'static str,
    body: Vec<u8>,
    below: Vec<&'static str>,
}

impl Letter {
    /// Creates a request to the endpoint's own URL, without extra headers.
    pub(crate) fn new(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { headers: HeaderMap::new(), content_type, body, below: Vec::new() }
    }

    /// Sets the headers of the request.
    pub(crate) fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    /// Appends these segments to the path of the URL.
    pub(crate) fn with_path_segments(self, segments: &[&'static str]) -> Self {
        Self { below: segments.to_vec(), ..self }
    }
}

/// Answer to a GET request.
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Failure of a GET request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    /// The requested object does not exist.
    #[error("answered 404")]
    Absent,
    /// The response exceeds its size limit.
    #[error("the answer is longer than any honest one")]
    TooLong,
    /// Answered with a status other than the expected one.
    #[error("{said}")]
    Answered {
        /// Status of the response.
        status: StatusCode,
        /// Headers of the response.
        headers: Box<HeaderMap>,
        /// Status and quoted body, for people.
        said: String,
    },
    /// The request failed in the same way as a POST request can fail.
    #[error(transparent)]
    Not(#[from] SendError),
}

/// Permitted form of a `url` setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlIs {
    /// URL that carries a token and is therefore never written down.
    Secret,
    /// Accepts a secret or a plain string.
    SecretOrPlain,
    /// URL with a default and without a secret.
    Plain(&'static str),
}

/// Destination to which messages are posted.
pub(crate) struct Endpoint {
    url: Secret,
    timeout: Duration,
    private: bool,
    hidden: Vec<Secret>,
    client: OnceLock<Client>,
}

impl Endpoint {
    /// Reads `url`, `allow_http` and `allow_private`.
    pub(crate) fn from_table(
        table: &mut Table<'_>,
        url_is: UrlIs,
        timeout: Duration,
        problems: &mut Problems,
    ) -> Option<Self> {
        let allow_http = table.bool("allow_http", problems).is_some_and(|flag| *flag);
        let private = table.bool("allow_private", problems).is_some_and(|flag| *flag);
        let value = table.value("url");
        let (url, spot) = match (value, url_is) {
            (None, UrlIs::Plain(default)) => (Secret::new("the default", default), None),
            (None, _) => {
                problems.push(table.missing_key_problem("url"));
                return None;
            }
            (Some(value), UrlIs::Secret) => (Secret::from_value(value, problems)?, Some(value.spot())),
            (Some(value), UrlIs::SecretOrPlain) if value.as_table().is_some() => {
                (Secret::from_value(value, problems)?, Some(value.spot()))
            }
            (Some(value), _) => (Secret::new("the watchlist", *value.string(problems)?), Some(value.spot())),
        };
        if let (Some(text), Some(spot)) = (url.expose(), spot)
            && let Err(flaw) = check_url(text, allow_http, private)
        {
            problems.push(spot.problem(format!("`url` {}", flaw.what)).with_hint(flaw.hint).without_snippet());
            return None;
        }
        Some(Self::new(url, timeout, private))
    }

    fn new(url: Secret, timeout: Duration, private: bool) -> Self {
        Self { url, timeout, private, hidden: Vec::new(), client: OnceLock::new() }
    }

    /// Removes `secret` from every message and error of this endpoint.
    pub(crate) fn with_secret_redacted(mut self, secret: &Secret) -> Self {
        self.hidden.push(secret.clone());
        self
    }

    /// Posts `letter`. The request succeeded only if `success` accepts the response; redirects are never followed.
    /// `now_ms` is wall-clock milliseconds.
    ///
    /// # Errors
    ///
    /// Network failures, statuses 408, 425, 429 and 5xx, and unexpected responses are retried after the pause that
    /// `Retry-After` asks for. Every other failure is a refusal.
    pub(crate) async fn post(&self, letter: Letter, success: &Success, now_ms: u64) -> Result<Receipt, SendError> {
        let Letter { headers, content_type, body, below } = letter;
        let url = self.url_below(&below)?;
        let client = self.http_client().map_err(SendError::Retry)?;
        let request =
            client.post(url).timeout(self.timeout).headers(headers).header(CONTENT_TYPE, content_type).body(body);
        let response = request.send().await.map_err(|error| SendError::Retry(self.transport_error(error)))?;
        let status = response.status();
        let pause = retry_after(response.headers(), now_ms);
        let patience = if status.is_success() && !success.reads_body { FAREWELL } else { self.timeout };
        let quote = quote_body(response, patience).await;
        if !status.is_success() {
            return Err(self.status_error(status, pause, &quote));
        }
        match (success.judge)(status, &quote) {
            Answer::Taken => Ok(Receipt { detail: status.to_string() }),
            Answer::NotTaken => {
                Err(SendError::Retry(anyhow!(self.describe_unexpected_status(status, &quote, success))))
            }
            Answer::Refused => Err(SendError::Refused(self.describe_unexpected_status(status, &quote, success))),
        }
    }

    /// Describes a response with a success status that does not mean success for this service.
    fn describe_unexpected_status(&self, status: StatusCode, quote: &str, success: &Success) -> String {
        let said = escape_unprintable(self.redact_secrets(quote).trim(), QUOTE_CHARS_MAX);
        let said = if said.is_empty() { "an empty body".to_owned() } else { said };
        format!("answered {} and did not take it, which is {}: {said}", status.as_u16(), success.is)
    }

    /// Sends a GET request to the URL with these segments appended to its path and this query, and reads at most
    /// `bytes_max` bytes of the body.
    ///
    /// # Errors
    ///
    /// [`GetError::Absent`] for 404, [`GetError::Answered`] for any other status that is not a success,
    /// [`GetError::TooLong`] for a body beyond the limit; for network failures as [`Endpoint::post`].
    pub(crate) async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        headers: HeaderMap,
        bytes_max: usize,
    ) -> Result<Got, GetError> {
        let mut url = self.url_below(segments)?;
        // Paths of REST services end in a slash; without it some services answer with a redirect.
        url.path_segments_mut().map_err(|()| SendError::Refused("not a web address".to_owned()))?.push("");
        url.query_pairs_mut().extend_pairs(query);
        let client = self.http_client().map_err(SendError::Retry)?;
        let request = client.get(url).timeout(self.timeout).headers(headers);
        let response = request.send().await.map_err(|error| SendError::Retry(self.transport_error(error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status == StatusCode::NOT_FOUND {
            return Err(GetError::Absent);
        }
        if !status.is_success() {
            let quote = quote_body(response, self.timeout).await;
            let said = self.status_error(status, None, &quote).to_string();
            return Err(GetError::Answered { status, headers: Box::new(headers), said });
        }
        let body = self.read_body(response, bytes_max).await?;
        Ok(Got { headers, body })
    }

    /// Returns the whole body. The request's timeout is the only limit on its speed.
    async fn read_body(&self, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, GetError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > bytes_max => return Err(GetError::TooLong),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => return Err(SendError::Retry(self.transport_error(error)).into()),
            }
        }
    }

    fn url_below(&self, segments: &[&str]) -> Result<Url, SendError> {
        let url = self.url.expose().ok_or_else(|| unfetched_secret_error(&self.url))?;
        let unfit = || SendError::Refused(format!("what {} holds is not a web address", self.url.source()));
        let mut url = Url::parse(url).map_err(|_| unfit())?;
        if !segments.is_empty() {
            url.path_segments_mut().map_err(|()| unfit())?.pop_if_empty().extend(segments);
        }
        Ok(url)
    }

    fn status_error(&self, status: StatusCode, pause: Option<Duration>, quote: &str) -> SendError {
        let said = escape_unprintable(self.redact_secrets(quote).trim(), QUOTE_CHARS_MAX);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let code = status.as_u16();
        let again = matches!(code, 408 | 425 | 429) || status.is_server_error();
        match pause {
            Some(pause) if again => SendError::Wait(pause.min(WAIT_MAX)),
            _ if again => SendError::Retry(anyhow!("answered {code}{said}")),
            _ if status.is_redirection() => SendError::Refused(format!(
                "answered {code}, a redirect, and redirects are not followed; write down where it leads"
            )),
            _ if code == 410 => SendError::Refused(format!("answered 410, gone for good{said}")),
            _ => SendError::Refused(format!("answered {code}{said}")),
        }
    }

    fn transport_error(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_timeout() && !error.is_connect() {
            return anyhow!("no answer within {:?}", self.timeout);
        }
        // The error without its URL may still quote the URL in one of its causes.
        anyhow!(escape_unprintable(
            self.redact_secrets(&format!("{:#}", anyhow::Error::new(error.without_url()))),
            2 * QUOTE_CHARS_MAX
        ))
    }

    /// Returns `text` without the secrets, the URL, and the part of the URL after the host. They are removed as a whole
    /// and in parts, in every supported encoding.
    fn redact_secrets(&self, text: &str) -> String {
        let mut secrets: Vec<String> =
            self.hidden.iter().chain([&self.url]).filter_map(Secret::expose).map(str::to_owned).collect();
        if let Some(url) = self.url.expose().and_then(|url| Url::parse(url).ok()) {
            // The shortest parts are not secrets, and removing `/` would remove nearly everything.
            let whole = [url.path(), url.query().unwrap_or("")].map(str::to_owned);
            secrets.extend(whole.into_iter().filter(|part| part.len() > 3));
            let values = url.query_pairs().map(|(_, value)| value.into_owned());
            let segments = url.path_segments().into_iter().flatten().map(str::to_owned);
            let login = [url.username(), url.password().unwrap_or("")].map(str::to_owned);
            secrets.extend(segments.filter(|part| part.len() >= SEGMENT_CHARS_MIN));
            secrets.extend(values.chain(login).filter(|part| part.len() >= VALUE_CHARS_MIN));
        }
        redact::redact_text(text, &secrets)
    }

    /// Returns the HTTP client, which is built on first use: loading the system's root certificates takes time, and
    /// `check` never posts.
    fn http_client(&self) -> anyhow::Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        install_tls();
        let client = Client::builder()
            .user_agent(concat!("watchfire/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(Resolver::new(self.private)))
            .build()
            .map_err(|error| anyhow!("build the HTTP client: {}", error.without_url()))?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.url.source())
    }
}

/// Returns the error for a secret that is named but not available, because the configuration was only checked or the
/// secret does not exist.
pub(crate) fn unfetched_secret_error(secret: &Secret) -> SendError {
    SendError::Refused(secret.why_absent())
}

/// Returns the pause in the `Retry-After` header, in seconds or as a date, without an upper limit. `now_ms` is
/// wall-clock milliseconds.
pub(crate) fn retry_after(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    let until = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Returns the beginning of the body, as much as arrives within `patience`.
async fn quote_body(mut response: Response, patience: Duration) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < ANSWER_BYTES_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - bytes.len())]);
        }
    };
    let _ = tokio::time::timeout(patience, read).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_endpoint_reports_holds_neither_its_url_nor_its_secrets() {
        let url = Secret::new("test", "https://hooks.example.com/services/T000/B000/hook-s3cret?token=tok3n");
        let endpoint =
            Endpoint::new(url, TEST_TIMEOUT, false).with_secret_redacted(&Secret::new("test", "planted-key"));
        let error = endpoint.status_error(
            StatusCode::BAD_REQUEST,
            None,
            "no https://hooks.example.com/services/T000/B000/hook-s3cret?token=tok3n, \
             nor /services/T000/B000/hook-s3cret, nor token=tok3n, nor planted-key, nor B000\\/hook-s3cret",
        );
        let shown = format!("{error} {error:?} {endpoint:?}");
        for secret in ["hook-s3cret", "tok3n", "planted-key"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(error.to_string(), "refused: answered 400: no ***, nor ***, nor ***, nor ***, nor ***\\/***");
    }

    #[test]
    fn each_answer_has_its_next_move() {
        let endpoint = Endpoint::new(Secret::new("test", "https://example.com/"), TEST_TIMEOUT, false);
        let answer = |code: u16, pause: Option<u64>| {
            let status = StatusCode::from_u16(code).expect("a status");
            match endpoint.status_error(status, pause.map(Duration::from_secs), "") {
                SendError::Wait(pause) => format!("wait {}", pause.as_secs()),
                SendError::Retry(_) => "retry".to_owned(),
                SendError::Refused(_) => "refused".to_owned(),
            }
        };
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(answer(code, None), "retry", "{code}");
            assert_eq!(answer(code, Some(7)), "wait 7", "{code}");
            assert_eq!(answer(code, Some(31_536_000)), "wait 900", "{code}");
        }
        for code in [301, 302, 307, 400, 401, 403, 404, 410, 413, 422] {
            assert_eq!(answer(code, Some(7)), "refused", "{code}");
        }
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header"));
            retry_after(&headers, 784_111_770_000).map(|pause| pause.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }

    #[test]
    fn segments_stand_behind_the_path_and_before_the_query() {
        let below = |url: &str, segments: &[&str]| {
            let endpoint = Endpoint::new(Secret::new("test", url), TEST_TIMEOUT, false);
            endpoint.url_below(segments).map(String::from).map_err(|error| error.to_string())
        };
        assert_eq!(below("https://hc.example/ping/id", &["fail"]).as_deref(), Ok("https://hc.example/ping/id/fail"));
        assert_eq!(below("https://hc.example/ping/?a=b", &["fail"]).as_deref(), Ok("https://hc.example/ping/fail?a=b"));
        assert_eq!(below("https://am.example", &["api", "v2"]).as_deref(), Ok("https://am.example/api/v2"));
        assert_eq!(below("https://am.example/x/", &[]).as_deref(), Ok("https://am.example/x/"));
        assert_eq!(below("no address", &[]).unwrap_err(), "refused: what test holds is not a web address");
    }

    const TEST_TIMEOUT: Duration = Duration::from_secs(1);
}
