//! Mistakes that people make in a configuration and on the command line, and what they are told: the value that is wrong, what is
//! accepted, and the next move, by the real program on real files.

use crate::support::accounts::{OWNER_A, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::inbox::Inbox;
use crate::support::queued_treasury::QueuedTreasury;
use crate::support::watch::Watch;
use alloy_primitives::U256;
use std::process::{Command, Stdio};

/// A configuration without a mistake, whose parts a case replaces.
fn main_file() -> String {
    "store = \"watchfire.db\"\nwatchlists = [\"list.toml\"]\n[chain.local]\nid = 31337\nendpoint = \"ws://127.0.0.1:9\"\n\
     [destination.console]\nkind = \"terminal\"\n[path.self]\nsteps = [{ to = [\"console\"], ack_within = \"5m\" }]\n\
     [path.treasury]\nsteps = [{ to = [\"console\"], ack_within = \"5m\" }]\n"
        .to_owned()
}

fn list_file() -> String {
    format!(
        "[[watch]]\nlabel = \"Key\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"eoa\"\npurpose = \"Pays\"\npath = \"treasury\"\n",
        OWNER_A.address
    )
}

fn watch(main: &str, list: &str) -> Watch {
    let watch = Watch::empty();
    watch.write("watchfire.toml", main);
    watch.write("list.toml", list);
    watch
}

/// A command that answers for people.
fn for_people(watch: &Watch, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.current_dir(watch.path("")).args(args).env_remove("WATCHFIRE_LOG").stdin(Stdio::null());
    command.envs(env.iter().copied());
    command
}

/// What `check` says on stderr, and how it ended.
fn checked(watch: &Watch) -> (i32, String) {
    let output = for_people(watch, &["check"], &[]).output().expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_write_instead() {
    let right = watch(&main_file(), &list_file());
    assert_eq!(checked(&right).0, 0, "{}", checked(&right).1);
    // What is replaced in which file, by what; what is told.
    let hours = "[[watch.normal]]\nname = \"h\"\nact = \"ether\"\nhours = \"Mon-Fri 09:00-17:00 ZONE\"\n";
    let zone = |zone: &str| format!("{}{}", list_file(), hours.replace("ZONE", zone));
    let main = |from: &str, to: &str| {
        let text = main_file();
        assert!(text.contains(from), "{from}");
        (text.replace(from, to), list_file())
    };
    let list = |text: String| (main_file(), text);
    let prefixed = list_file().replace("\"0x", "\"eth:0x");
    let cases: Vec<((String, String), &[&str])> = vec![
        (
            main("ws://127.0.0.1:9", "127.0.0.1:8545"),
            &["watchfire.toml:5:", "has no scheme", "write `ws://`, or `https://`"],
        ),
        (main("ws://127.0.0.1:9", "node.example/v3/KEY"), &["watchfire.toml:5:", "has no scheme"]),
        (main("ws://127.0.0.1:9", "ftp://node.example"), &["watchfire.toml:5:", "begins with ws://, wss://"]),
        (
            main("\"watchfire.db\"", "\"~/watchfire.db\""),
            &["watchfire.toml:1:9", "`~/watchfire.db` begins with `~`", "write the whole path"],
        ),
        (main("[\"list.toml\"]", "[\"list.toml\", \"~/more.toml\"]"), &["watchfire.toml:2:", "begins with `~`"]),
        (main("\"ws://127.0.0.1:9\"", "{ file = \"~/url\" }"), &["watchfire.toml:5:", "begins with `~`"]),
        (main("\"watchfire.db\"", "\".\""), &["watchfire.toml:1:9", "is a directory, and the store is a file"]),
        (main("\"watchfire.db\"", "\"data/\""), &["write `store = \"data/watchfire.db\"`"]),
        (
            main("[\"list.toml\"]", "[\"lists/*.toml\"]"),
            &["watchfire.toml:2:", "matches no file", "there is no directory `lists`"],
        ),
        (list(prefixed), &["list.toml:4:", "`eth:` in front of an address names a chain", "write `0x"]),
        (list(zone("PST")), &["list.toml:11:", "`PST` is not a time zone", "such as `America/Los_Angeles`"]),
        (list(zone("IST")), &["`Asia/Kolkata` or `Asia/Jerusalem` or `Europe/Dublin`"]),
        (list(zone("CEST")), &["such as `Europe/Berlin`"]),
        (list(zone("Europe/Berlim")), &["did you mean `Europe/Berlin`?"]),
        (list(zone("XYZT")), &["name a place of the IANA database"]),
        (
            ("{ \"chain\": { \"local\": { \"id\": 31337 } } }\n".to_owned(), list_file()),
            &["watchfire.toml:1:1", "this is JSON"],
        ),
        (
            ("chain:\n  local:\n    id: 31337\nstore: x.db\n".to_owned(), list_file()),
            &["watchfire.toml:1:1", "this is YAML", "`[chain.mainnet]`"],
        ),
        (("---\nchain: {}\n".to_owned(), list_file()), &["this is YAML"]),
        (list("- label: Key\n  chain: local\n".to_owned()), &["list.toml:1:1", "this is YAML"]),
    ];
    for ((main, list), expected) in cases {
        let (code, said) = checked(&watch(&main, &list));
        assert_eq!(code, 2, "{main}{list}: {said}");
        for words in expected {
            assert!(said.contains(words), "`{words}` is not said of\n{main}{list}\n{said}");
        }
        assert!(!said.contains("/v3/KEY"), "{said}");
    }
    // One problem for a file in another language, not one for each line.
    let (_, said) = checked(&watch("chain:\n  local:\n    id: 31337\n    endpoint: x\n", ""));
    assert!(said.contains("1 problem;"), "{said}");
}

#[test]
fn a_file_that_is_not_utf_8_is_named_behind_a_star_too() {
    let watch = watch(&main_file().replace("[\"list.toml\"]", "[\"list.toml\", \"lists/*.toml\"]"), &list_file());
    std::fs::create_dir(watch.path("lists")).unwrap();
    watch.write("lists/a.toml", "");
    std::fs::write(watch.path("lists/b.toml"), b"[name]\n\"x\" = \"B\xfcro\"\n").unwrap();
    let (code, said) = checked(&watch);
    assert_eq!(code, 2);
    assert!(said.contains("lists/b.toml` is not UTF-8 text, from line 2, column 9 on"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named_once_with_the_next_move() {
    let whole = watch(&main_file(), &list_file());
    let nothing = Watch::empty();
    let begin =
        "name the main file with `--config FILE` or in WATCHFIRE_CONFIG; `examples/minimal` has one to begin with";
    let no_store = "there is no store at watchfire.db yet: `watchfire run` makes it";
    let cases: &[(&Watch, &[&str], &str)] = &[
        (&nothing, &["check"], begin),
        (&nothing, &["run"], begin),
        (&nothing, &["incidents", "list"], begin),
        (&nothing, &["--config", "my.toml", "check"], begin),
        (&nothing, &["--config", ".", "check"], "name the main file in it, such as `./watchfire.toml`"),
        (&whole, &["--config", "list.toml", "check"], "this is a watchlist"),
        (&whole, &["incidents", "list"], no_store),
        (&whole, &["queue"], no_store),
        (&whole, &["chain", "status"], no_store),
        (&whole, &["store", "backup", "copy.db"], no_store),
        (&whole, &["store", "restore", "copy.db"], "failed to restore copy.db to watchfire.db: copy.db: No such file"),
        (&whole, &["tape", "info", "copy.tape"], "failed to read copy.tape: No such file"),
        (&whole, &["tape", "play", "copy.tape"], "failed to read copy.tape: No such file"),
        (&whole, &["tape", "play", "copy.tape", "--serve"], "failed to read copy.tape: No such file"),
        (&whole, &["tape", "info", "list.toml"], "failed to read list.toml: this is not a tape"),
    ];
    for (watch, args, expected) in cases {
        let output = for_people(watch, args, &[]).output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
        assert!(said.matches("os error").count() <= 1 && !said.contains("line 0"), "{args:?}: {said}");
    }
}

#[test]
fn a_store_s_directory_that_is_not_there_is_noted() {
    let (code, said) =
        checked(&watch(&main_file().replace("\"watchfire.db\"", "\"not/there/watchfire.db\""), &list_file()));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("note") && said.contains("not/there is not there; `run` waits for it"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_ask_for_no_secret_that_they_do_not_use() {
    let anvil = Anvil::start().await;
    let paid = anvil.succeed(&Tx::pay(OWNER_A.address, STRANGER.address, U256::ONE)).await;
    let inbox = Inbox::start().await;
    let destinations = format!(
        "[destination.pager]\nkind = \"pagerduty\"\nrouting_key = {{ env = \"NOT_HERE_1\" }}\n\
         [destination.hook]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\n\
         [path.self]\nsteps = [{{ to = [\"pager\"], ack_within = \"5m\" }}]\n\
         [path.treasury]\nsteps = [{{ to = [\"hook\"], ack_within = \"5m\" }}]\n\
         [chain.other]\nid = 5\nendpoint = {{ env = \"NOT_HERE_2\" }}\n",
        inbox.url("/hook")
    );
    let main = main_file().replace("ws://127.0.0.1:9", &anvil.ws_url());
    let main = format!("{}{destinations}", main.split("[path.self]").next().unwrap());
    let watch = watch(&main, &list_file());
    let hash = paid.transaction_hash.to_string();
    let explained = watch.run(&["explain", "--chain", "local", &hash]);
    assert_eq!(explained.code, 1, "{}", explained.stderr);
    let link = format!("https://explorer.example/tx/{hash}#eventlog");
    assert_eq!(watch.run(&["explain", "--chain", "local", &link]).code, 1);
    assert_eq!(watch.run(&["probe", "--chain", "local"]).code, 0);
    let told = watch.run(&["test-page", "treasury", "--config", "./watchfire.toml"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let config = format!("--config {}", std::path::absolute(watch.path("watchfire.toml")).unwrap().display());
    assert!(told.stderr.contains("incidents ack inc_") && told.stderr.contains(&config), "{}", told.stderr);
    assert_eq!(inbox.count(), 1);
    // What is used and is not there is named.
    let missing = watch.run(&["test-page", "self"]);
    assert!(missing.code == 2 && missing.stderr.contains("`NOT_HERE_1` is not set"), "{}", missing.stderr);
    let missing = watch.run(&["explain", "--chain", "other", &hash]);
    assert!(missing.code == 2 && missing.stderr.contains("`NOT_HERE_2` is not set"), "{}", missing.stderr);
    // A run uses all of them.
    let run = watch.run(&["run", "--for", "1s"]);
    let told: Vec<&str> = run.of("problem").filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(["NOT_HERE_1", "NOT_HERE_2"].iter().all(|name| told.iter().any(|said| said.contains(name))), "{told:?}");
}

#[test]
fn keys_that_cannot_be_right_are_rejected_without_being_shown() {
    let destinations = "[destination.pager]\nkind = \"pagerduty\"\nrouting_key = { env = \"KEY_OF_PAGER\" }\n";
    let main = format!("{}{destinations}", main_file().replace("\"ws://127.0.0.1:9\"", "{ env = \"URL_OF_NODE\" }"));
    let with = |url: &str, key: &str| {
        let env = [("URL_OF_NODE", url), ("KEY_OF_PAGER", key)];
        let output = for_people(&watch(&main, &list_file()), &["check", "--secrets"], &env).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (url, key) = ("wss://node.example/0123456789abcdef", "0123456789abcdefghijABCDEFGHIJ01");
    assert_eq!(with(url, key).0, Some(0), "{}", with(url, key).1);
    for (wrong, told) in [
        ("node.example/0123456789abcdef", "has no scheme"),
        ("\"wss://node.example/0123456789abcdef\"", "`URL_OF_NODE` holds no address of an endpoint"),
    ] {
        let (code, said) = with(wrong, key);
        assert!(code == Some(2) && said.contains(told) && !said.contains("0123456789abcdef"), "{wrong}: {said}");
    }
    for wrong in [
        "sesame",
        "0123456789abcdefghijABCDEFGHIJ0",
        "0123456789abcdefghijABCDEFGHIJ-1",
        "https://events.pagerduty.com/v2/enqueue",
    ] {
        let (code, said) = with(url, wrong);
        assert!(code == Some(2) && said.contains("are no routing key") && !said.contains(wrong), "{wrong}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_port_and_a_wrong_chain_name_what_to_change() {
    let anvil = Anvil::start().await;
    let config = |url: &str| watch(&main_file().replace("ws://127.0.0.1:9", url), &list_file());
    for scheme in ["ws", "http"] {
        let said = config(&format!("{scheme}://127.0.0.1:9/key-of-mine")).run(&["run", "--for", "1s"]).stderr;
        assert!(said.contains("(127.0.0.1, port 9)") && !said.contains("key-of-mine"), "{said}");
    }
    let other =
        watch(&main_file().replace("ws://127.0.0.1:9", &anvil.ws_url()).replace("31337", "31338"), &list_file());
    let said = other.run(&["run", "--for", "1s"]).stderr;
    assert!(said.contains("it serves chain 31337, not chain 31338 as the `id` of the chain says"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_nobody_has_looked_at_is_not_empty() {
    let stage = QueuedTreasury::new().await;
    // A store, and no look at a queue.
    let made = stage.watch.run(&["test-page", "treasury"]);
    assert!(stage.watch.path("watchfire.db").exists(), "{}", made.stderr);
    let asked = stage.watch.shows(&["queue"]);
    assert!(asked.contains("was not looked at yet") && !asked.contains("nothing waits\n"), "{asked}");
    assert_eq!(stage.watch.run(&["queue"]).code, 2);
}
