//! Posting to an address that somebody wrote down: what is refused, what is tried again, and what nobody gets to see.

use super::escape::line;
use super::{Common, Receipt, SendError};
use crate::runtime::install_tls;
use crate::settings::{Problems, Secret, Table};
use anyhow::anyhow;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::{Host, Url};

/// How long it may take to reach the other machine, within the attempt's own timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause that a destination may ask for: one that says a year must not silence a pager.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Most bytes read of an answer.
const ANSWER_BYTES_MAX: usize = 2_048;
/// Most characters quoted of an answer.
const QUOTE_CHARS_MAX: usize = 200;
/// How long a destination that took the message may go on talking.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a `url` may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UrlIs {
    /// It carries a token, so it is never written down.
    Secret,
    /// Either way.
    SecretOrPlain,
    /// It has a default and no secret.
    Plain(&'static str),
}

/// Where messages are posted.
pub(super) struct Endpoint {
    url: Secret,
    timeout: Duration,
    private: bool,
    hidden: Vec<Secret>,
    client: OnceLock<Client>,
}

impl Endpoint {
    /// Reads `url`, `allow_http` and `allow_private`.
    pub(super) fn parse(
        table: &mut Table<'_>,
        url_is: UrlIs,
        common: &Common,
        problems: &mut Problems,
    ) -> Option<Self> {
        let allow_http = table.bool("allow_http", problems).is_some_and(|flag| *flag);
        let private = table.bool("allow_private", problems).is_some_and(|flag| *flag);
        let value = table.value("url");
        let (url, spot) = match (value, url_is) {
            (None, UrlIs::Plain(default)) => (Secret::new("the default", default), None),
            (None, _) => {
                problems.push(table.missing("url"));
                return None;
            }
            (Some(value), UrlIs::Secret) => (Secret::parse(value, problems)?, Some(value.spot())),
            (Some(value), UrlIs::SecretOrPlain) if value.as_table().is_some() => {
                (Secret::parse(value, problems)?, Some(value.spot()))
            }
            (Some(value), _) => (Secret::new("the watchlist", *value.string(problems)?), Some(value.spot())),
        };
        if let (Some(text), Some(spot)) = (url.expose(), spot)
            && let Err(flaw) = check_url(text, allow_http, private)
        {
            problems.push(spot.problem(format!("`url` {}", flaw.what)).hint(flaw.hint).conceal());
            return None;
        }
        Some(Self::new(url, common.timeout, private))
    }

    fn new(url: Secret, timeout: Duration, private: bool) -> Self {
        Self { url, timeout, private, hidden: Vec::new(), client: OnceLock::new() }
    }

    /// Blots `secret` out of whatever this endpoint ever reports.
    pub(super) fn hide(mut self, secret: &Secret) -> Self {
        self.hidden.push(secret.clone());
        self
    }

    /// Posts `body`. Any 2xx is a success; redirects are never followed. `now_ms` is wall-clock milliseconds.
    ///
    /// # Errors
    ///
    /// Trouble on the way, 408, 425, 429 and 5xx are worth another try, after the pause that `Retry-After` asks for.
    /// Everything else is refused.
    pub(super) async fn post(
        &self,
        headers: HeaderMap,
        content_type: &'static str,
        body: Vec<u8>,
        now_ms: u64,
    ) -> Result<Receipt, SendError> {
        let url = self.url.expose().ok_or_else(|| unread(&self.url))?;
        let client = self.client().map_err(SendError::Retry)?;
        let request =
            client.post(url).timeout(self.timeout).headers(headers).header(CONTENT_TYPE, content_type).body(body);
        let response = request.send().await.map_err(|error| SendError::Retry(self.unreachable(error)))?;
        let status = response.status();
        if status.is_success() {
            let _ = tokio::time::timeout(FAREWELL, quote(response)).await;
            return Ok(Receipt { detail: status.to_string() });
        }
        let pause = pause(response.headers(), now_ms);
        let quote = tokio::time::timeout(self.timeout, quote(response)).await.unwrap_or_default();
        Err(self.refusal(status, pause, &quote))
    }

    fn refusal(&self, status: StatusCode, pause: Option<Duration>, quote: &str) -> SendError {
        let said = line(self.blot(quote).trim(), QUOTE_CHARS_MAX);
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

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_timeout() && !error.is_connect() {
            return anyhow!("no answer within {:?}", self.timeout);
        }
        // The error without its URL may still quote it in a cause.
        anyhow!(line(&self.blot(&format!("{:#}", anyhow::Error::new(error.without_url()))), 2 * QUOTE_CHARS_MAX))
    }

    /// `text` without the secrets, the URL, and what stands behind the URL's host, whole and in parts: a server may repeat
    /// a token with its slashes escaped.
    fn blot(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in self.hidden.iter().chain([&self.url]).filter_map(Secret::expose) {
            out = out.replace(secret, "***");
        }
        let Some(url) = self.url.expose().and_then(|url| Url::parse(url).ok()) else { return out };
        let whole = [url.path(), url.query().unwrap_or("")];
        // The shortest are no secrets, and blotting out `/` would blot out everything.
        for part in whole.into_iter().filter(|part| part.len() > 3) {
            out = out.replace(part, "***");
        }
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let segments = url.path_segments().into_iter().flatten().map(str::to_owned);
        for part in segments.chain(values).filter(|part| part.len() >= 8) {
            out = out.replace(&part, "***");
        }
        out
    }

    /// Built on first use: reading the system's roots takes a while, and a `check` never posts.
    fn client(&self) -> anyhow::Result<&Client> {
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
            .dns_resolver(Arc::new(Resolver { private: self.private }))
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

/// The problem with a secret that was named but not fetched: the configuration was only checked.
pub(super) fn unread(secret: &Secret) -> SendError {
    SendError::Refused(format!("the secret in {} was not read", secret.source()))
}

/// What is wrong with a URL, without repeating it.
struct Flaw {
    what: &'static str,
    hint: &'static str,
}

/// Whether we may post there: encrypted unless it stays on this machine, and not into the private network.
fn check_url(text: &str, allow_http: bool, allow_private: bool) -> Result<(), Flaw> {
    let unfit = Flaw { what: "is not a web address", hint: "write one such as \"https://example.com/hook\"" };
    let Ok(url) = Url::parse(text) else { return Err(unfit) };
    let Some(host) = url.host() else { return Err(unfit) };
    let (loopback, private) = match host {
        Host::Domain(name) => (is_localhost(name), false),
        Host::Ipv4(ip) => (ip.is_loopback(), is_private(ip.into())),
        Host::Ipv6(ip) => (ip.is_loopback(), is_private(ip.into())),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback || allow_http => {}
        "http" => {
            return Err(Flaw {
                what: "is plain http to another machine",
                hint: "use https, or set `allow_http = true` if the way there is safe",
            });
        }
        _ => return Err(unfit),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Flaw { what: "holds a user name or a password", hint: "use a signature or a token in a secret" });
    }
    if private && !loopback && !allow_private {
        return Err(Flaw {
            what: "leads into a private network",
            hint: "set `allow_private = true` if that is what you want",
        });
    }
    Ok(())
}

/// Looks names up and drops the addresses a page must not be posted to: whoever owns a name decides where it points, also
/// after the configuration was checked.
struct Resolver {
    private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let local = is_localhost(host);
            let allowed = |ip: IpAddr| private || !is_private(ip) || (local && ip.is_loopback());
            let addresses: Vec<SocketAddr> = found.filter(|address| allowed(address.ip())).collect();
            if addresses.is_empty() {
                return Err("the name leads into a private network; `allow_private = true` permits that".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether an address is not a public machine's: RFC 6890's special-purpose registries and their later additions.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT, RFC 6598
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)) // benchmarks, RFC 2544
        }
        IpAddr::V6(ip) => {
            let s = ip.segments();
            // Mapped, 6to4 and NAT64 addresses carry an IPv4 address inside.
            let inner = |high: u16, low: u16| {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                is_private(Ipv4Addr::new(a, b, c, d).into())
            };
            match s {
                [0, 0, 0, 0, 0, 0xffff | 0, high, low] => high == 0 && low <= 1 || inner(high, low),
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
                [0x2002, high, low, ..] => inner(high, low),
                [0x2001, 0xdb8, ..] | [0x64, 0xff9b, 1, ..] => true,
                _ => ip.is_multicast() || s[0] & 0xfe00 == 0xfc00 || s[0] & 0xffc0 == 0xfe80,
            }
        }
    }
}

/// `Retry-After`, in seconds or as a date.
fn pause(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    let until = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

async fn quote(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - bytes.len())]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(url: &str, allow_http: bool, allow_private: bool) -> Option<&'static str> {
        check_url(url, allow_http, allow_private).err().map(|flaw| flaw.what)
    }

    #[test]
    fn an_address_must_be_encrypted_and_public_unless_told_otherwise() {
        assert_eq!(flaw("https://example.com/hook", false, false), None);
        assert_eq!(flaw("http://127.0.0.1:8080/hook", false, false), None);
        assert_eq!(flaw("http://localhost/hook", false, false), None);
        assert_eq!(flaw("http://[::1]/hook", false, false), None);
        assert_eq!(flaw("http://example.com/hook", false, false), Some("is plain http to another machine"));
        assert_eq!(flaw("http://example.com/hook", true, false), None);
        for host in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
            "2130706433.",
            "[2002:a00:1::]",
            "[::]",
        ] {
            let url = format!("https://{host}/hook");
            if host == "2130706433." {
                // The URL parser reads a bare number as 127.0.0.1, so no spelling of an address slips through.
                assert_eq!(flaw(&url, false, false), None);
                continue;
            }
            assert_eq!(flaw(&url, false, false), Some("leads into a private network"), "{host}");
            assert_eq!(flaw(&url, false, true), None, "{host}");
        }
        assert_eq!(flaw("https://user:pass@example.com/", false, false), Some("holds a user name or a password"));
        assert_eq!(flaw("ftp://example.com/", false, false), Some("is not a web address"));
        assert_eq!(flaw("example.com", false, false), Some("is not a web address"));
    }

    #[test]
    fn what_an_endpoint_reports_holds_neither_its_url_nor_its_secrets() {
        let url = Secret::new("test", "https://hooks.example.com/services/T000/B000/XXXXsecret?token=tok3n");
        let endpoint = Endpoint::new(url, TEST_TIMEOUT, false).hide(&Secret::new("test", "planted-key"));
        let error = endpoint.refusal(
            StatusCode::BAD_REQUEST,
            None,
            "no https://hooks.example.com/services/T000/B000/XXXXsecret?token=tok3n, \
             nor /services/T000/B000/XXXXsecret, nor token=tok3n, nor planted-key, nor B000\\/XXXXsecret",
        );
        let shown = format!("{error} {error:?} {endpoint:?}");
        for secret in ["XXXXsecret", "tok3n", "planted-key"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(error.to_string(), "refused: answered 400: no ***, nor ***, nor ***, nor ***, nor B000\\/***");
    }

    #[test]
    fn each_answer_has_its_next_move() {
        let endpoint = Endpoint::new(Secret::new("test", "https://example.com/"), TEST_TIMEOUT, false);
        let answer = |code: u16, pause: Option<u64>| {
            let status = StatusCode::from_u16(code).expect("a status");
            match endpoint.refusal(status, pause.map(Duration::from_secs), "") {
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
            pause(&headers, 784_111_770_000).map(|pause| pause.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }

    const TEST_TIMEOUT: Duration = Duration::from_secs(1);
}
