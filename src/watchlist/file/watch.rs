//! `[[watch]]`.

use super::absent::AbsentText;
use super::rule::{ListText, RuleText};
use super::test::TestText;
use super::{read_observe_mode, report_missing_key, require_text};
use crate::classify::rule::Polarity;
use crate::contracts::CONTRACTS;
use crate::model::pending::PendingVoice;
use crate::model::state::{ITEMS, OWNER_DELEGATE, Shape};
use crate::model::{Item, Kind};
use crate::settings::{At, Problems, Spot, Table, Value};
use std::time::Duration;

/// A watch as written.
pub(in crate::watchlist) struct WatchText<'a> {
    pub spot: Spot,
    pub label: Option<At<&'a str>>,
    pub chain: Option<At<&'a str>>,
    pub address: Option<At<&'a str>>,
    pub kind: Option<At<Kind>>,
    pub purpose: Option<At<&'a str>>,
    pub path: Option<At<&'a str>>,
    pub runbook: Option<At<&'a str>>,
    pub abi: Option<At<&'a str>>,
    pub registry: Option<RegistryText<'a>>,
    pub executors: Option<ListText<'a>>,
    pub refund_receivers: Option<ListText<'a>>,
    /// A name in ENS, and the contracts beside its registry whose logs about it count.
    pub node: Option<At<&'a str>>,
    pub contracts: Option<ListText<'a>>,
    pub judge_inbound: bool,
    /// `queue = false`: the Safe service of its chain is not queried for it.
    pub queue: Option<At<bool>>,
    /// `pending = "page"`: pending transactions wake people.
    pub pending: Option<At<PendingVoice>>,
    pub builtins_off: Vec<At<&'a str>>,
    pub observe: bool,
    pub rules: Vec<RuleText<'a>>,
    pub absent: Vec<AbsentText<'a>>,
    pub tests: Vec<TestText<'a>>,
}

/// `registry`: the expected state of a wallet on chain.
pub(in crate::watchlist) struct RegistryText<'a> {
    pub owners: Option<ListText<'a>>,
    pub threshold: Option<At<i64>>,
    pub modules: Option<ListText<'a>>,
    /// Addresses that may propose beside the owners.
    pub delegates: Option<ListText<'a>>,
    /// Items of the state that hold an address, each with that address, or `none`.
    pub values: Vec<(Item, At<&'a str>)>,
    pub delay: Option<At<Duration>>,
    /// True if anybody may execute what a timelock holds.
    pub open_executor: Option<At<bool>>,
    pub implementations: Option<ImplementationsText<'a>>,
    /// Roles by name or by hash, each with all its members.
    pub roles: Option<Vec<(At<&'a str>, ListText<'a>)>>,
    pub roles_since: Option<At<i64>>,
}

/// `implementations = ["0x…", { address = "0x…", abi = "abi/v2.json" }]`: code that a proxy may run.
pub(in crate::watchlist) struct ImplementationsText<'a> {
    /// Every address, with or without an ABI.
    pub all: ListText<'a>,
    /// Entries that name the ABI of their code.
    pub spoken: Vec<(At<&'a str>, At<&'a str>)>,
}

impl<'a> WatchText<'a> {
    pub(super) fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let spot = table.spot();
        let text = |table: &mut Table<'a>, key: &str, problems: &mut Problems| {
            let text = table.require_key(key, problems, Table::string);
            text.and_then(|text| require_text(text, problems))
        };
        let label = text(&mut table, "label", problems);
        let chain = text(&mut table, "chain", problems);
        let address = text(&mut table, "address", problems);
        let kinds: Vec<(&str, Kind)> = CONTRACTS.iter().map(|contract| (contract.word, contract.kind())).collect();
        let kind = table.require_key("kind", problems, |t, key, p| t.choice(key, &kinds, p));
        let purpose = text(&mut table, "purpose", problems);
        let path = match table.value("path") {
            Some(value) => value.string(problems),
            None => {
                let hint = "a path says who is told; there is no default, so that nobody is forgotten";
                problems.push(table.missing_key_problem("path").with_hint(hint));
                None
            }
        };
        let runbook = table.string("runbook", problems).and_then(|text| require_text(text, problems));
        let abi = table.string("abi", problems);
        let registry = table.table("registry", problems).map(|table| RegistryText::from_table(table, problems));
        let executors = read_list(&mut table, "executors", problems);
        let refund_receivers = read_list(&mut table, "refund_receivers", problems);
        let node = table.string("node", problems);
        let contracts = read_list(&mut table, "contracts", problems);
        let inbound = table.choice("inbound", &[("judge", true), ("accept", false)], problems);
        let queue = table.bool("queue", problems);
        let voices = [("quiet", PendingVoice::Quiet), ("page", PendingVoice::Page)];
        let pending = table.choice("pending", &voices, problems);
        let builtins_off = table.table("builtins", problems).map(|mut table| {
            let off = table.strings("off", problems);
            table.report_unknown_keys(problems);
            off.unwrap_or_default()
        });
        let observe = read_observe_mode(&mut table, problems);
        let absent = table.tables("absent", problems);
        let absent = absent.into_iter().map(|absent| AbsentText::from_table(absent, problems)).collect();
        let normal = table.tables("normal", problems).into_iter().map(|rule| (Polarity::Normal, rule));
        let abnormal = table.tables("abnormal", problems).into_iter().map(|rule| (Polarity::Abnormal, rule));
        let rules: Vec<_> = normal.chain(abnormal).collect();
        let mut rules: Vec<_> =
            rules.into_iter().map(|(polarity, rule)| RuleText::from_table(polarity, rule, problems)).collect();
        rules.sort_by_key(|rule| rule.spot.span.start);
        let tests = table.tables("test", problems);
        let tests = tests.into_iter().map(|test| TestText::read(test, problems)).collect();
        table.report_unknown_keys(problems);
        Self {
            spot,
            label,
            chain,
            address,
            kind,
            purpose,
            path,
            runbook,
            abi,
            registry,
            executors,
            refund_receivers,
            queue,
            pending,
            node,
            contracts,
            judge_inbound: inbound.is_some_and(|at| at.value),
            builtins_off: builtins_off.unwrap_or_default(),
            observe,
            rules,
            absent,
            tests,
        }
    }
}

impl<'a> RegistryText<'a> {
    fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let owners = read_list(&mut table, "owners", problems);
        let threshold = table.int_in("threshold", 1..=i64::from(u32::MAX), problems);
        let modules = read_list(&mut table, "modules", problems);
        let delegates = read_list(&mut table, "delegates", problems);
        let delay = table.duration("delay", problems);
        let open_executor = table.bool("open_executor", problems);
        let implementations =
            table.value("implementations").and_then(|value| ImplementationsText::from_value(&value, problems));
        let roles = table.table("roles", problems).map(|table| {
            let roles = table.into_entries().into_iter();
            roles.filter_map(|(role, list)| Some((role, ListText::from_value(&list, problems)?))).collect()
        });
        let roles_since = table.int_in("roles_since", 0..=i64::MAX, problems);
        if let (Some(owners), Some(threshold)) = (&owners, &threshold)
            && usize::try_from(threshold.value).is_ok_and(|threshold| threshold > owners.items.len())
            && owners.items.iter().all(|item| !item.starts_with('@'))
        {
            let message = format!("a threshold of {} cannot be met by {} owners", **threshold, owners.items.len());
            problems.push(threshold.problem(message));
        }
        let addresses = ITEMS
            .iter()
            .filter(|item| item.shape == Shape::Address && item.name != OWNER_DELEGATE)
            .filter_map(|item| Item::from_name(item.name));
        let value = |item: Item, table: &mut Table<'a>, problems: &mut Problems| {
            table.string(&item.registry_key(), problems).map(|at| (item, at))
        };
        let values = addresses.filter_map(|item| value(item, &mut table, problems)).collect();
        table.report_unknown_keys(problems);
        Self {
            owners,
            threshold,
            modules,
            delegates,
            values,
            delay,
            open_executor,
            implementations,
            roles,
            roles_since,
        }
    }
}

impl<'a> ImplementationsText<'a> {
    fn from_value(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let single = value.as_table().is_some() || value.as_str().is_some();
        let items = if single { Some(vec![*value]) } else { value.as_items() };
        let Some(items) = items else {
            let problem = value.spot().problem("`implementations` must be a list of addresses");
            problems.push(
                problem.with_hint("write `implementations = [\"0x…\", { address = \"0x…\", abi = \"abi/v2.json\" }]`"),
            );
            return None;
        };
        let (mut all, mut spoken) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            let Some(mut table) = item.as_table() else {
                all.extend(item.string(problems));
                continue;
            };
            let address = table.require_key("address", problems, Table::string);
            let abi = table.string("abi", problems);
            table.report_unknown_keys(problems);
            all.extend(address.clone());
            spoken.extend(address.zip(abi));
        }
        Some(Self { all: ListText { spot: value.spot(), items: all }, spoken })
    }
}

fn read_list<'a>(table: &mut Table<'a>, key: &str, problems: &mut Problems) -> Option<ListText<'a>> {
    ListText::from_value(&table.value(key)?, problems)
}

/// Reads a name, which is required and is printed before a colon in refusals.
pub(super) fn name<'a>(table: &mut Table<'a>, spot: &Spot, problems: &mut Problems) -> Option<At<&'a str>> {
    let Some(value) = table.value("name") else {
        report_missing_key(spot, "name", problems);
        return None;
    };
    let name = require_text(value.string(problems)?, problems)?;
    let flaw = if name.starts_with("builtin/") {
        "names that begin with `builtin/` are the program's own"
    } else if name.chars().any(|c| c == ':' || c.is_control()) {
        "a name holds no colon and no control character, since refusals read `name: why`"
    } else {
        return Some(name);
    };
    problems.push(name.problem(flaw));
    None
}
