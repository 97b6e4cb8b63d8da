//! Checks on where a destination may point: never in plain text over the network, and never through a third party's
//! name into a private network.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use url::{Host, Url};

/// Flaw of a URL, described without repeating the URL.
pub(super) struct Flaw {
    /// Text that follows the name of the key in the message, such as `is not a web address`.
    pub(super) what: &'static str,
    /// Suggested replacement.
    pub(super) hint: &'static str,
}

/// Checks whether messages may be posted to a URL: it must be encrypted unless it stays on this machine, and must not
/// lead into the private network.
pub(super) fn check_url(text: &str, allow_http: bool, allow_private: bool) -> Result<(), Flaw> {
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

/// Resolves host names and drops addresses to which a page must not be posted. The check of the configuration is not
/// enough: the owner of a name can change its addresses at any time.
pub(super) struct Resolver {
    private: bool,
}

impl Resolver {
    /// Returns a resolver that passes private addresses only if `private`.
    pub(super) fn new(private: bool) -> Self {
        Self { private }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let addresses: Vec<SocketAddr> = found.filter(|found| private || may_be(host, found.ip())).collect();
            if addresses.is_empty() {
                return Err("the name leads into a private network; `allow_private = true` permits that".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Returns whether `host` may resolve to `ip` where private addresses are not allowed.
fn may_be(host: &str, ip: IpAddr) -> bool {
    !is_private(ip) || (is_localhost(host) && ip.is_loopback())
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Returns whether an address is not that of a public machine: RFC 6890's special-purpose registries and their later
/// additions.
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
    fn a_name_that_turns_out_to_be_private_is_not_followed() {
        let ip = |text: &str| text.parse().unwrap();
        assert!(may_be("hooks.example.com", ip("93.184.215.14")));
        assert!(!may_be("hooks.example.com", ip("127.0.0.1")));
        assert!(!may_be("hooks.example.com", ip("10.1.2.3")));
        assert!(!may_be("hooks.example.com", ip("::ffff:169.254.169.254")));
        assert!(may_be("localhost", ip("127.0.0.1")) && may_be("hooks.localhost.", ip("::1")));
        assert!(!may_be("localhost", ip("10.1.2.3")));
    }

    #[tokio::test]
    async fn the_resolver_drops_private_addresses() {
        let resolve = |private, host: &str| Resolver::new(private).resolve(host.parse().unwrap());
        assert!(resolve(false, "localhost").await.is_ok());
        // A numeric address is resolved without a name server.
        let error = resolve(false, "10.1.2.3").await.err().unwrap().to_string();
        assert!(error.contains("private network"), "{error}");
        assert!(resolve(true, "10.1.2.3").await.is_ok());
    }
}
