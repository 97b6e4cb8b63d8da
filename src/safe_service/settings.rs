//! The `[safe-service.X]` table.

use crate::http::{Endpoint, UrlIs};
use crate::settings::{At, Problems, Secret, Table};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A valid table, used in the documentation and as test input.
pub const EXAMPLE: &str = r#"[safe-service.safe]
chain              = "mainnet"
url                = "https://api.safe.global/tx-service/eth"
key                = { env = "SAFE_API_KEY" }
requests_per_month = 50_000
hot                = "1m"
cold               = "15m"
"#;

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Requests per month that the hosted service allows without a key, and with a key of its free plan.
const MONTH_WITHOUT_KEY: u32 = 5_000;
const MONTH_WITH_KEY: u32 = 50_000;
/// The same limits for a second.
const SECOND_WITHOUT_KEY: u32 = 2;
const SECOND_WITH_KEY: u32 = 5;
/// Maximum number of requests a month that a configuration may allow.
const MONTH_MAX: i64 = 1_000_000_000;
/// Maximum number of requests a second that a configuration may allow.
const SECOND_MAX: i64 = 1_000;
/// Default time between two looks at an active queue, and at a quiet one.
const HOT: Duration = Duration::from_secs(60);
const COLD: Duration = Duration::from_secs(15 * 60);
/// Maximum time between two looks: with one look a day, a morning's transaction is found only after its execution.
const PERIOD_MAX: Duration = Duration::from_secs(86_400);
/// Time for which the service may fail before the failure is reported.
const PATIENCE: Duration = Duration::from_secs(120);
/// Age of a confirmation beyond which its use is unusual: 30 days.
const STALE_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// A service that keeps the queues of one chain's Safes.
#[derive(Clone)]
pub struct Service {
    /// Name in logs, metrics and pages.
    pub name: Arc<str>,
    /// Maximum number of requests per month.
    pub requests_per_month: u32,
    /// Maximum number of requests per second.
    pub requests_per_second: u32,
    /// Time between two looks at a queue with recent activity.
    pub hot: Duration,
    /// Time between two looks at any other.
    pub cold: Duration,
    /// Time for which it may fail, give invalid responses or stay behind before this is reported.
    pub patience: Duration,
    /// Time that confirmations may wait to be used. Later use is unusual.
    pub stale_after: Duration,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) key: Option<Secret>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads a complete `[safe-service.<name>]` table, and the name of the chain of its Safes: every problem in it is
/// reported, including unknown keys.
pub fn parse_service<'a>(
    name: &At<&'a str>,
    mut table: Table<'a>,
    problems: &mut Problems,
) -> Option<(At<&'a str>, Service)> {
    let chain = table.require_key("chain", problems, Table::string);
    let key = table.secret("key", problems);
    let month = table.int_in("requests_per_month", 1..=MONTH_MAX, problems);
    let second = table.int_in("requests_per_second", 1..=SECOND_MAX, problems);
    let hot = read_period(&mut table, "hot", HOT, problems);
    let cold = read_period(&mut table, "cold", COLD.max(hot), problems);
    if cold < hot {
        let spot = table.key_spot("cold").unwrap_or_else(|| table.spot());
        problems.push(spot.problem("`cold` is the longer of the two: what is quiet is looked at less often"));
    }
    let patience = read_period(&mut table, "patience", PATIENCE, problems);
    let stale_after = table.duration("stale_after", problems).map_or(STALE_AFTER, |at| at.value);
    let endpoint = Endpoint::from_table(&mut table, UrlIs::SecretOrPlain, TIMEOUT, problems);
    let (keyed, hides) = (key.is_some(), key.clone());
    table.report_unknown_keys(problems);
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !plain || name.is_empty() || name.len() > NAME_BYTES_MAX {
        let hint = format!("write 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`");
        problems.push(name.problem("this is not a name of a service").with_hint(hint));
    }
    let count = |at: Option<At<i64>>, with: u32, without: u32| {
        at.and_then(|at| u32::try_from(at.value).ok()).unwrap_or(if keyed { with } else { without })
    };
    let endpoint = match hides {
        Some(key) => endpoint?.with_secret_redacted(&key),
        None => endpoint?,
    };
    let service = Service {
        name: name.value.into(),
        requests_per_month: count(month, MONTH_WITH_KEY, MONTH_WITHOUT_KEY),
        requests_per_second: count(second, SECOND_WITH_KEY, SECOND_WITHOUT_KEY),
        hot,
        cold,
        patience,
        stale_after,
        endpoint: Arc::new(endpoint),
        key,
    };
    Some((chain?, service))
}

/// Maximum length of a service's name in bytes: the name is a label of metrics.
const NAME_BYTES_MAX: usize = 32;

fn read_period(table: &mut Table<'_>, key: &str, otherwise: Duration, problems: &mut Problems) -> Duration {
    let Some(at) = table.duration(key, problems) else { return otherwise };
    if at.value.is_zero() || at.value > PERIOD_MAX {
        problems.push(at.problem(format!("`{key}` must be longer than nothing, and at most a day")));
        return otherwise;
    }
    at.value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Secrets, SourceFile};

    fn read(text: &str) -> (Option<Service>, Problems) {
        let file = SourceFile::new("watchfire.toml", text);
        let mut problems = Problems::new();
        let document = Document::parse(&file, Secrets::NamesOnly, &mut problems);
        let all = document.root_table().table("safe-service", &mut problems).expect("a service");
        let entries = all.into_entries();
        let (name, value) = &entries[0];
        let service = parse_service(name, value.table(&mut problems).expect("a table"), &mut problems);
        (service.map(|(_, service)| service), problems)
    }

    #[test]
    fn the_example_parses_and_what_it_leaves_out_has_its_default() {
        let (service, problems) = read(EXAMPLE);
        assert!(problems.is_empty(), "{}", problems.render(false));
        let service = service.expect("a service");
        assert_eq!((service.requests_per_month, service.requests_per_second), (50_000, 5));
        assert_eq!((service.hot, service.cold, service.patience), (HOT, COLD, PATIENCE));
        let (service, _) = read("[safe-service.own]\nchain = \"mainnet\"\nurl = \"http://127.0.0.1:8000\"\n");
        assert_eq!(service.map(|service| service.requests_per_month), Some(MONTH_WITHOUT_KEY));
    }

    #[test]
    fn every_problem_of_a_service_is_told_at_once() {
        let (_, problems) = read(
            "[safe-service.own]\nurl = \"http://safe.example\"\nkey = \"planted\"\nhot = \"1h\"\ncold = \"1m\"\nrequests_per_mont = 5\n\
             requests_per_second = 0\npatience = \"0s\"\n",
        );
        let expected = [
            "watchfire.toml:1:1: `chain` is missing",
            "watchfire.toml:2:7: `url` is plain http to another machine",
            "watchfire.toml:3:7: `key` is a secret and must not stand in the file",
            "watchfire.toml:5:1: `cold` is the longer of the two: what is quiet is looked at less often",
            "watchfire.toml:6:1: unknown key `requests_per_mont`",
            "watchfire.toml:7:23: `requests_per_second` must be from 1 to 1000",
            "watchfire.toml:8:12: `patience` must be longer than nothing, and at most a day",
        ];
        assert_eq!(problems.to_lines(), expected);
        assert!(problems.render(false).contains("did you mean `requests_per_month`?"));
    }
}
