//! Conditions on earlier activities, and expected actions: their compiled form, the reported problems, and their tests.

use super::*;
use crate::classify::rule::{Baseline, Due, Party};
use crate::watchlist::check::run_tests;

/// Checks the only problem of an abnormal rule with this body.
#[track_caller]
fn raised(body: &str, expected: &str) {
    let told = told(&format!("[[watch.abnormal]]\nname = \"a\"\n{body}\n"));
    assert_eq!(told, [expected], "{body}");
}

/// Checks the only problem of an expected action with this body.
#[track_caller]
fn absent(body: &str, expected: &str) {
    let told = told(&format!("[[watch.absent]]\nname = \"a\"\n{body}\n"));
    assert_eq!(told, [expected], "{body}");
}

#[test]
fn conditions_that_look_back_are_compiled() {
    let pause = rule("act = \"ether\"\nto = \"@grantees\"\npause = \"1h30m\"");
    assert!(matches!(&pause.habits[..], [Baseline::Pause { least: 5_400, text }] if &**text == "1h30m"));
    let list = "[[watch.abnormal]]\nname = \"a\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@USDC\"\n\
        first_seen = [\"args.to\", \"origin\", \"function\"]\ndormant = \"90d\"\n\
        failed = { count = 3, share = \"50%\", per = \"1h\" }\n";
    let book = accepted(&format!("{WATCH}{list}"));
    let [to, origin, function, dormant, failed] = &book.rules.watches[0].rules[0].habits[..] else { panic!("five") };
    assert!(
        matches!(to, Baseline::FirstSeen { what: Party::Arg(path), label } if path.to_string() == "#0" && &**label == "args.to")
    );
    assert!(matches!(origin, Baseline::FirstSeen { what: Party::Origin, .. }));
    assert!(matches!(function, Baseline::FirstSeen { what: Party::Function, .. }));
    assert!(matches!(dormant, Baseline::Dormant { longer_than: 7_776_000, .. }));
    assert!(matches!(failed, Baseline::Failed { count: 3, share: Some(50), per: 3_600, .. }));
    assert_eq!(book.rules.longest_window(), 7_776_000);
}

#[test]
fn what_must_come_is_compiled() {
    let list = "[[watch.absent]]\nname = \"payroll\"\nact = \"transfer\"\nto = \"@USDC\"\nevery = \"7d\"\ngrace = \"6h\"\n\
        [[watch.absent]]\nname = \"friday\"\nact = \"ether\"\nby = [\"Fri 18:00 UTC\", \"Mon 09:00 UTC\"]\nseverity = \"warning\"\n";
    let book = accepted(&format!("{WATCH}{list}"));
    let [payroll, friday] = &book.rules.watches[0].expected[..] else { panic!("two") };
    assert!(matches!(payroll.due, Due::Every { seconds: 604_800, .. }));
    assert_eq!((payroll.grace, &*payroll.rule.name), (21_600, "payroll"));
    let Due::By(weekly) = &friday.due else { panic!("by") };
    assert_eq!(
        (weekly.moments.as_slice(), &*weekly.text),
        (&[(1 << 4, 1080), (1, 540)][..], "Fri 18:00 UTC; Mon 09:00 UTC")
    );
    assert_eq!(friday.rule.severity, Some(crate::model::Severity::Warning));
}

#[test]
fn a_key_that_is_misspelled_is_told_with_the_right_one() {
    refused("act = \"ether\"\npaus = \"1h\"", "unknown key `paus` | did you mean `pause`?");
    raised("act = \"ether\"\nfirst_sean = \"to\"", "unknown key `first_sean` | did you mean `first_seen`?");
    raised("act = \"ether\"\ndorment = \"90d\"", "unknown key `dorment` | did you mean `dormant`?");
    raised("call = \"*\"\nfaild = { count = 3, per = \"1h\" }", "unknown key `faild` | did you mean `failed`?");
    raised(
        "call = \"*\"\nfailed = { cout = 3, count = 3, per = \"1h\" }",
        "unknown key `cout` | did you mean `count`?",
    );
    raised(
        "call = \"*\"\nfailed = { count = 3, shar = \"5%\", per = \"1h\" }",
        "unknown key `shar` | did you mean `share`?",
    );
    absent("act = \"ether\"\nevry = \"7d\"\nevery = \"7d\"", "unknown key `evry` | did you mean `every`?");
    absent("act = \"ether\"\nevery = \"7d\"\ngrase = \"1h\"", "unknown key `grase` | did you mean `grace`?");
}

#[test]
fn lengths_that_are_none_are_told() {
    let hint = "write one such as \"90s\", \"5m\", \"1h30m\" or \"7d\"";
    refused("act = \"ether\"\npause = \"1 hour\"", &format!("`1 hour` is not a length of time; {hint}"));
    refused("act = \"ether\"\npause = \"0s\"", "it is from a second to a year long");
    raised("act = \"ether\"\ndormant = \"90\"", &format!("`90` is not a length of time; {hint}"));
    raised("act = \"ether\"\ndormant = \"2000d\"", "it is from a second to a year long");
    raised(
        "call = \"*\"\nfailed = { count = 3, per = \"often\" }",
        &format!("`often` is not a length of time; {hint}"),
    );
    raised("call = \"*\"\nfailed = { count = 3 }", "`per` is missing");
    raised("call = \"*\"\nfailed = { per = \"1h\" }", "`count` is missing");
    raised("call = \"*\"\nfailed = { count = 0, per = \"1h\" }", "`count` must be from 1 to 4096");
    raised(
        "call = \"*\"\nfailed = { count = 3, share = \"150%\", per = \"1h\" }",
        "`150%` is no share | write it as \"50%\"",
    );
    raised(
        "call = \"*\"\nfailed = { count = 3, share = \"half\", per = \"1h\" }",
        "`half` is no share | write it as \"50%\"",
    );
    absent("act = \"ether\"\nevery = \"weekly\"", &format!("`weekly` is not a length of time; {hint}"));
    absent("act = \"ether\"\nevery = \"7d\"\ngrace = \"0s\"", "it is from a second to a year long");
}

#[test]
fn conditions_that_look_back_and_say_nothing_are_told() {
    let normal =
        "is unusual, and a normal rule would vouch for just that | write it in an `[[watch.abnormal]]`, which raises";
    refused("act = \"ether\"\nfirst_seen = \"to\"", &format!("`first_seen` {normal}"));
    refused("act = \"ether\"\ndormant = \"90d\"", &format!("`dormant` {normal}"));
    refused("call = \"approveHash\"\nfailed = { count = 3, per = \"1h\" }", &format!("`failed` {normal}"));
    raised(
        "act = \"ether\"\npause = \"1h\"",
        "a pause says nothing here: what an abnormal rule raises is not counted \
         | put it on a normal rule; for what was long unused write `dormant`",
    );
    raised(
        "act = \"ether\"\nfirst_seen = \"from\"",
        "`from` says nothing here: it is always the watched address itself",
    );
    raised(
        "call = \"approveHash\"\nfirst_seen = \"to\"",
        "`to` says nothing here: it is always the watched address itself",
    );
    raised("move = \"out\"\nfirst_seen = \"function\"", "`function` says nothing here: a move has no function");
    raised(
        "act = \"transfer(address to, uint256 amount)\"\nto = \"@USDC\"\nfirst_seen = \"to\"",
        "`to` could be the contract that is called or the argument \
         | write `args.to` for the argument; the contract is in `to = [...]`",
    );
    raised(
        "act = \"transfer\"\nto = \"@USDC\"\nfirst_seen = \"args.amuont\"",
        "`transfer(address,uint256)` has no argument `amuont` | did you mean `amount`?",
    );
    raised(
        "move = \"out\"\nfailed = { count = 3, per = \"1h\" }",
        "`failed` says nothing here: what fails logs nothing | make it a rule about `call` or `act`",
    );
}

#[test]
fn code_and_age_that_make_no_sense_are_told() {
    let approve = |more: &str| format!("act = \"approve\"\nto = \"@USDC\"\n{more}");
    refused(
        &approve("code = \"0x12\""),
        "`0x12` is no hash of code | write its keccak-256 as `0x…`, or `none` for an account without code",
    );
    refused(&approve("code = []"), "no hash is listed, so this could never hold");
    refused(&approve("code = { of = \"args.spender\" }"), "`in` is missing");
    refused(&approve("code = { in = \"none\", fo = \"to\" }"), "unknown key `fo` | did you mean `of`?");
    refused(
        &approve("code = { in = \"none\", of = \"args.spendr\" }"),
        "`approve(address,uint256)` has no argument `spendr` | did you mean `spender`?",
    );
    refused(&approve("code = { in = \"none\", of = \"function\" }"), "a function has no code of its own");
    refused("event = \"AddedOwner\"\ncode = \"none\"", "a log goes to nobody | say whose code with `of = \"args.…\"`");
    refused(&approve("age = {}"), "`age` says neither `min` nor `max`");
    refused(
        &approve("age = { max = \"30d\" }"),
        "`max` says nothing here: a normal rule asks for an age of at least `min`",
    );
    raised(
        &approve("age = { min = \"30d\" }"),
        "`min` says nothing here: an abnormal rule raises an age of less than `max`",
    );
    refused(&approve("age = { min = \"0s\" }"), "it is from a second to a year long");
    refused(&approve("age = { mim = \"1d\", min = \"1d\" }"), "unknown key `mim` | did you mean `min`?");
    absent(
        "act = \"ether\"\nevery = \"7d\"\nage = { max = \"30d\" }",
        "`age` says nothing here: this is about what does not come | put it on a rule",
    );
}

#[test]
fn expectations_that_make_no_sense_are_told() {
    absent(
        "act = \"ether\"",
        "an absence says by when it is one: `every` or `by` | such as `every = \"7d\"` or `by = \"Fri 18:00 Europe/Zurich\"`",
    );
    absent(
        "act = \"ether\"\nevery = \"7d\"\nby = \"Fri 18:00 UTC\"",
        "an absence says either `every` or `by` | `by` alone means every week, or every day where it names none",
    );
    absent(
        "act = \"ether\"\nby = \"Fri 18:00\"",
        "`Fri 18:00` names no time zone | write moments such as \"Fri 18:00 Europe/Berlin\"",
    );
    absent(
        "act = \"ether\"\nby = \"Fri 18:00 Europe/Zurick\"",
        "`Europe/Zurick` is not a time zone | did you mean `Europe/Zurich`?",
    );
    absent(
        "act = \"ether\"\nby = \"Fry 18:00 UTC\"",
        "`Fry` is neither a day such as `Fri` nor a time such as `18:00` | write moments such as \"Fri 18:00 Europe/Berlin\"",
    );
    absent(
        "act = \"ether\"\nby = [\"Fri 18:00 UTC\", \"Fri 18:00 Europe/Zurich\"]",
        "the times of one absence are in one time zone",
    );
    absent(
        "act = \"ether\"\nevery = \"7d\"\ndormant = \"90d\"",
        "`dormant` says nothing here: this is about what does not come | put it on a rule",
    );
    absent(
        "act = \"trnsfer\"\nto = \"@USDC\"\nevery = \"7d\"",
        "`trnsfer` is not a function of the contract's ABI | did you mean `transfer`?",
    );
    let twice = "[[watch.normal]]\nname = \"a\"\nact = \"ether\"\n[[watch.absent]]\nname = \"a\"\nact = \"ether\"\nevery = \"7d\"\n";
    assert_eq!(told(twice), ["`a` stands twice in this watch"]);
    let test = "[[watch.absent]]\nname = \"payroll\"\nact = \"ether\"\nevery = \"7d\"\n\
        [[watch.test]]\nname = \"t\"\nabsent = \"payrol\"\nverdict = \"abnormal\"\n";
    assert_eq!(told(test), ["this watch has no `[[watch.absent]]` called `payrol` | did you mean `payroll`?"]);
    let before = "[[watch.test]]\nname = \"t\"\nact = \"ether\"\nto = \"@self\"\nbefore = 5\nverdict = \"abnormal\"\n";
    assert_eq!(
        told(before),
        [
            "`before` says how long before the test the same happened | such as `before = \"2d\"` or `before = [\"2d\", \"1h\"]`"
        ]
    );
}

/// Rules of the Safe and their tests: the failures of each test.
fn failures(rules: &str) -> Vec<String> {
    let book = accepted(&format!("{WATCH}{rules}"));
    run_tests(&book).into_iter().map(|outcome| format!("{}: {}", outcome.name, outcome.failures.join("; "))).collect()
}

#[test]
fn a_watchs_own_tests_can_speak_of_what_happened_before() {
    let to = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
    let test =
        |name: &str, more: &str| format!("[[watch.test]]\nname = \"{name}\"\nact = \"ether\"\nto = \"{to}\"\n{more}\n");
    let pause = [
        "[[watch.normal]]\nname = \"pay\"\nact = \"ether\"\nto = \"@grantees\"\npause = \"1h\"\nvalue = { max = \"5 ether\" }\n",
        &test("rested", "before = [\"30d\", \"1h\"]\nverdict = \"normal\"\nby = \"pay\""),
        &test("too soon", "before = \"59m\"\nverdict = \"abnormal\"\nrefused = \"pay: pause is 59 min\""),
    ];
    assert_eq!(failures(&pause.concat()), ["rested: ", "too soon: "]);
    let dormant = [
        "[[watch.abnormal]]\nname = \"woken\"\nact = \"ether\"\ndormant = \"90d\"\nseverity = \"critical\"\n",
        "[[watch.normal]]\nname = \"pay\"\nact = \"ether\"\nto = \"@grantees\"\n",
        &test("awake", "before = \"89d\"\nverdict = \"normal\"\nby = \"pay\""),
        &test("asleep", "before = \"91d\"\nverdict = \"abnormal\"\nby = \"woken\"\nseverity = \"critical\""),
        &test("never yet", "verdict = \"abnormal\"\nby = \"woken\""),
        &test(
            "what failed does not wake it",
            "before = { ago = \"1d\", fate = \"reverted\" }\nverdict = \"abnormal\"\nby = \"woken\"",
        ),
    ];
    let passed = ["awake", "asleep", "never yet", "what failed does not wake it"].map(|name| format!("{name}: "));
    assert_eq!(failures(&dormant.concat()), passed);
}

#[test]
fn a_watchs_own_tests_can_speak_of_what_does_not_come() {
    let rules = [
        "[[watch.absent]]\nname = \"payroll\"\nact = \"ether\"\nto = \"@grantees\"\nevery = \"7d\"\ngrace = \"6h\"\nseverity = \"warning\"\n",
        "[[watch.absent]]\nname = \"friday\"\nact = \"ether\"\nby = \"Fri 18:00 Europe/Zurich\"\ngrace = \"1h\"\n",
        "[[watch.test]]\nname = \"in time\"\nabsent = \"payroll\"\nbefore = \"7d6h\"\nverdict = \"normal\"\n",
        "[[watch.test]]\nname = \"late\"\nabsent = \"payroll\"\nbefore = \"7d6h1s\"\nverdict = \"abnormal\"\nby = \"payroll\"\n\
         severity = \"warning\"\nrefused = [\"payroll: expected every 7d\", \"payroll: 6 h of grace\"]\n",
        "[[watch.test]]\nname = \"last in the grace of the week before\"\nabsent = \"friday\"\nat = \"2026-11-20T18:00:01Z\"\n\
         before = \"7d1s\"\nverdict = \"abnormal\"\nseverity = \"high\"\n",
        "[[watch.test]]\nname = \"grace is not over\"\nabsent = \"friday\"\nat = \"2026-11-20T18:00:00Z\"\nbefore = \"7d1h\"\nverdict = \"normal\"\n",
        "[[watch.test]]\nname = \"this week\"\nabsent = \"friday\"\nat = \"2026-11-20T18:00:01Z\"\nbefore = [\"8d\", \"2d\"]\nverdict = \"normal\"\n",
    ];
    let passed = ["in time", "late", "last in the grace of the week before", "grace is not over", "this week"];
    assert_eq!(failures(&rules.concat()), passed.map(|name| format!("{name}: ")));
}
