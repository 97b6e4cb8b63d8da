//! docs/detections.md, written from the rows.

use super::{
    Row, allowances, attempts, authority, behavior, control, ether, fits, governor, inner, keys, multisig, names, old,
    operations, outflows, pending, posture, queue, roles, safe, standards, state, timelock, tokens, upgrades, within,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// A case of another file: what is told, what stands beside it, and the test that holds it.
struct Sight {
    id: &'static str,
    finds: &'static str,
    beside: &'static str,
    file: &'static str,
    source: &'static str,
    case: &'static str,
}

const BLIND: &str = include_str!("../faults/blind.rs");
const SEVERAL: &str = include_str!("../source/several.rs");
const DATA: &str = include_str!("../source/data.rs");

const SIGHTS: &[Sight] = &[
    Sight {
        id: "R9-head",
        finds: "no new block comes",
        beside: "the next block, which ends it: a warning first, then one page of the same incident",
        file: "faults::blind",
        source: BLIND,
        case: "a_head_that_stands_still_warns_then_pages_and_ends_with_the_next_block",
    },
    Sight {
        id: "R9-away",
        finds: "no endpoint answers",
        beside: "its return, which tells what was missed; the people of the treasury are not woken for it",
        file: "faults::blind",
        source: BLIND,
        case: "a_node_that_goes_away_is_told_on_self_and_its_return_tells_what_was_missed",
    },
    Sight {
        id: "R9-block",
        finds: "a block cannot be had although heads go on",
        beside: "the same block when it comes after all: nothing of it is missing",
        file: "source::data",
        source: DATA,
        case: "a_block_that_cannot_be_had_is_told_though_heads_go_on",
    },
    Sight {
        id: "R9-lag",
        finds: "an endpoint stays behind the others",
        beside: "what the others show goes on: nothing is taken back for it",
        file: "source::several",
        source: SEVERAL,
        case: "an_endpoint_three_blocks_behind_takes_nothing_back_and_is_told",
    },
    Sight {
        id: "R9-disagree",
        finds: "endpoints name different blocks",
        beside: "a reorg that all of them see",
        file: "source::several",
        source: SEVERAL,
        case: "two_endpoints_on_different_forks_are_told_until_they_agree",
    },
    Sight {
        id: "R9-lie",
        finds: "an endpoint gives what contradicts its own hash",
        beside: "the truth of another, which is what is judged",
        file: "source::several",
        source: SEVERAL,
        case: "a_lie_of_one_endpoint_is_outdone_by_the_truth_of_another_and_told",
    },
];

const OUR_SIGHT: &str = "
## Our own sight

No finding, but an incident on the path `self`; docs/outages.md says how loud each is. These cases stand with those of the follower.

| row | what is told | beside it | case |
|---|---|---|---|
";

const CONDITIONS: &str = include_str!("../conditions.rs");
const WITHIN: &str = include_str!("within.rs");
const FITS: &str = include_str!("fits.rs");
const UNREAD: &str = include_str!("../../../src/watchlist/tests/unread.rs");
const AMBIGUOUS: &str = include_str!("../../../src/watchlist/tests/ambiguous.rs");

/// Cases of the keys of rules.
const RULES: &[Sight] = &[
    Sight {
        id: "C-key",
        finds: "a misspelt key at any place of a file, inside of `args` too",
        beside: "the same file without it; tables that are keyed by names of the operator's own",
        file: "watchlist::tests::unread",
        source: UNREAD,
        case: "one_more_key_at_any_place_of_any_valid_file_is_an_error",
    },
    Sight {
        id: "C-name",
        finds: "a stranger in the first of two arguments of one name",
        beside: "members of the staff in both, by the positions `#0` and `#1`",
        file: "conditions",
        source: CONDITIONS,
        case: "each_of_two_arguments_of_one_name_is_looked_at_by_its_position",
    },
    Sight {
        id: "C-name-twice",
        finds: "a rule that uses a name which two arguments have, in whatever ABI or struct",
        beside: "the same by positions, which `check` offers",
        file: "watchlist::tests::ambiguous",
        source: AMBIGUOUS,
        case: "a_name_that_several_arguments_have_is_refused_with_their_positions",
    },
    Sight {
        id: "C-list",
        finds: "a stranger beside good payees in a list, by a rule that raises where any element is one",
        beside: "good payees alone; a rule that vouches asks it of every element",
        file: "conditions",
        source: CONDITIONS,
        case: "a_stranger_among_good_payees_is_raised_from_real_calldata",
    },
    Sight {
        id: "C-via",
        finds: "more leaves by an allowance than the rule with `via` lets go, or outside of the act that it names",
        beside: "as much as it lets go, inside of that act, with traces and without",
        file: "rows::within",
        source: WITHIN,
        case: "a_deposit_takes_more_by_its_allowance",
    },
    Sight {
        id: "C-effects",
        finds: "value that leaves inside of a call that a rule vouches for",
        beside: "the same by `effects = \"any\"`, or by rules of its own",
        file: "rows::within",
        source: WITHIN,
        case: "more_leaves_inside_of_a_vouched_call",
    },
    Sight {
        id: "C-outcome",
        finds: "an attempt by a rule about what is executed, and an execution by a rule about attempts",
        beside: "each by the rule about it; and what waits, by the rule about what is executed",
        file: "conditions",
        source: CONDITIONS,
        case: "a_rule_about_what_is_executed_vouches_for_no_attempt_and_one_about_attempts_for_nothing_else",
    },
    Sight {
        id: "C-suffix",
        finds: "bytes behind the arguments of a call that its rule does not name",
        beside: "an attribution by `suffix = \"erc8021\"`, to its last byte",
        file: "conditions",
        source: CONDITIONS,
        case: "a_rule_lets_exactly_those_bytes_be_that_it_names",
    },
    Sight {
        id: "C-indexed",
        finds: "another text than the rule's, where a log holds only its hash",
        beside: "the text itself, compared by its hash",
        file: "conditions",
        source: CONDITIONS,
        case: "an_indexed_text_is_compared_by_its_hash",
    },
    Sight {
        id: "C-unit",
        finds: "an amount in the unit of a token that says other decimals, by `max`, `limit`, `eq`, `in` or `not_in`",
        beside: "the same with the decimals that the token says",
        file: "rows::fits",
        source: FITS,
        case: "a_token_says_other_decimals",
    },
];

const OUR_RULES: &str = "
## Conditions of rules

What a rule does not say it does not vouch for, and what cannot be meant is refused by `check`. These cases stand with those of the
watchlist and of the conditions; docs/conditions.md and docs/behavior.md explain each.

| row | what is found or refused | beside it, vouched for | case |
|---|---|---|---|
";

/// A heading, its rows, and the file their cases stand in.
struct Family {
    heading: &'static str,
    rows: &'static [&'static Row],
    file: &'static str,
    source: &'static str,
}

const FAMILIES: &[Family] = &[
    Family { heading: "Safe", rows: safe::ROWS, file: "safe", source: include_str!("safe.rs") },
    Family { heading: "Queues of Safes", rows: queue::ROWS, file: "queue", source: include_str!("queue.rs") },
    Family {
        heading: "Safes, looked at closer",
        rows: posture::ROWS,
        file: "posture",
        source: include_str!("posture.rs"),
    },
    Family { heading: "Legacy multisig", rows: multisig::ROWS, file: "multisig", source: include_str!("multisig.rs") },
    Family { heading: "State", rows: state::ROWS, file: "state", source: include_str!("state.rs") },
    Family { heading: "Tokens and MiniMe", rows: tokens::ROWS, file: "tokens", source: include_str!("tokens.rs") },
    Family {
        heading: "Tokens that leave, and tokens that say so",
        rows: outflows::ROWS,
        file: "outflows",
        source: include_str!("outflows.rs"),
    },
    Family {
        heading: "What happens inside of a call",
        rows: inner::ROWS,
        file: "inner",
        source: include_str!("inner.rs"),
    },
    Family {
        heading: "Tokens of other standards",
        rows: standards::ROWS,
        file: "standards",
        source: include_str!("standards.rs"),
    },
    Family {
        heading: "Allowances that are used",
        rows: allowances::ROWS,
        file: "allowances",
        source: include_str!("allowances.rs"),
    },
    Family { heading: "Timelocks", rows: timelock::ROWS, file: "timelock", source: include_str!("timelock.rs") },
    Family { heading: "Governors", rows: governor::ROWS, file: "governor", source: include_str!("governor.rs") },
    Family {
        heading: "Owners, roles and code",
        rows: control::ROWS,
        file: "control",
        source: include_str!("control.rs"),
    },
    Family { heading: "Who holds a role", rows: roles::ROWS, file: "roles", source: include_str!("roles.rs") },
    Family {
        heading: "Code behind proxies",
        rows: upgrades::ROWS,
        file: "upgrades",
        source: include_str!("upgrades.rs"),
    },
    Family {
        heading: "Owners and roles by other names",
        rows: authority::ROWS,
        file: "authority",
        source: include_str!("authority.rs"),
    },
    Family { heading: "Old wallets and vesting", rows: old::ROWS, file: "old", source: include_str!("old.rs") },
    Family {
        heading: "Rates, behavior and noise",
        rows: behavior::ROWS,
        file: "behavior",
        source: include_str!("behavior.rs"),
    },
    Family { heading: "Attempts", rows: attempts::ROWS, file: "attempts", source: include_str!("attempts.rs") },
    Family { heading: "Accounts and signatures", rows: keys::ROWS, file: "keys", source: include_str!("keys.rs") },
    Family {
        heading: "User operations",
        rows: operations::ROWS,
        file: "operations",
        source: include_str!("operations.rs"),
    },
    Family {
        heading: "Pending transactions",
        rows: pending::ROWS,
        file: "pending",
        source: include_str!("pending.rs"),
    },
    Family { heading: "Ether", rows: ether::ROWS, file: "ether", source: include_str!("ether.rs") },
    Family { heading: "Configuration and chain", rows: fits::ROWS, file: "fits", source: include_str!("fits.rs") },
    Family {
        heading: "What leaves inside of a call",
        rows: within::ROWS,
        file: "within",
        source: include_str!("within.rs"),
    },
    Family { heading: "Names", rows: names::ROWS, file: "names", source: include_str!("names.rs") },
];

const HEAD: &str = "# What is found without a rule

Every row is a case that runs on a real node with real bytecode: the attack is found by the built-in and as loud as the row says, in so
many incidents, and what stands beside it is silent. This page is written from those cases: `WATCHFIRE_BLESS=1 cargo nextest run -E
'test(rows::table)'`.
";

impl Family {
    /// The test that holds the row against itself: the function around the use of its name.
    fn case(&self, row: &Row) -> &'static str {
        let named = self.source.find(&format!("id: \"{}\"", row.id)).expect("a row stands in its file");
        let name = self.source[..named].rfind("const ").map(|at| &self.source[at + "const ".len()..]);
        let name = name.and_then(|rest| rest.split(':').next()).expect("a row has a name");
        let used = [format!("(&{name},"), format!("(&stage, &{name})")];
        let at = used
            .iter()
            .find_map(|used| self.source.find(used))
            .unwrap_or_else(|| panic!("{} has no case in {}.rs", row.id, self.file));
        let before = &self.source[..at];
        let start = before.rfind("async fn ").expect("a case is a function") + "async fn ".len();
        before[start..].split('(').next().expect("a function has a name")
    }
}

#[test]
fn the_page_of_detections_says_what_the_cases_hold() {
    let mut page = HEAD.to_owned();
    let mut ids = BTreeSet::new();
    for family in FAMILIES {
        write!(page, "\n## {}\n\n", family.heading).expect("a string takes it");
        page.push_str("| row | what is found | by | severity | incidents | beside it, silent | case |\n|---|---|---|---|---|---|---|\n");
        for row in family.rows {
            assert!(ids.insert(row.id), "{} stands twice", row.id);
            let case = format!("rows::{}::{}", family.file, family.case(row));
            let Row { id, finds, by, severity, incidents, beside } = row;
            writeln!(page, "| {id} | {finds} | `{by}` | {severity} | {incidents} | {beside} | `{case}` |")
                .expect("a string takes it");
        }
    }
    for (heading, cases) in [(OUR_RULES, RULES), (OUR_SIGHT, SIGHTS)] {
        page.push_str(heading);
        for Sight { id, finds, beside, file, source, case } in cases {
            assert!(ids.insert(id), "{id} stands twice");
            assert!(source.contains(&format!("fn {case}(")), "{id}: there is no {case} in {file}");
            writeln!(page, "| {id} | {finds} | {beside} | `{file}::{case}` |").expect("a string takes it");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/detections.md");
    if std::env::var_os("WATCHFIRE_BLESS").is_some() {
        std::fs::write(&path, &page).expect("the page is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, written, "docs/detections.md is not what the cases say: run with WATCHFIRE_BLESS=1");
}
