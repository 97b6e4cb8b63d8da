//! Exit codes and signals of the real program: 0 only where all that was asked for was seen, and nothing that happens to stdout,
//! stderr or the terminal ends it by a panic.

use crate::support::accounts::{OWNER_A, OWNER_B};
use crate::support::altered_node::Twisted;
use crate::support::anvil::{Anvil, Tx};
use crate::support::process::signal;
use crate::support::watch::{Answers, Watch};
use alloy_primitives::U256;
use serde_json::json;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where no node listens: the port of a service that is off everywhere.
const NOWHERE: &str = "\"ws://127.0.0.1:9\"";

fn key() -> String {
    format!(
        "[[watch]]\nlabel = \"Key\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"eoa\"\npurpose = \"Pays\"\n\
         path = \"treasury\"\n[[watch.normal]]\nname = \"any\"\nact = \"ether\"\nvalue = {{ max = \"5000 ether\" }}\n",
        OWNER_A.address
    )
}

fn watched(endpoint: &str) -> Watch {
    Watch::local(endpoint, "clock = \"chain\"\nslot = \"1s\"", &key())
}

#[track_caller]
fn could_not_tell(answers: &Answers, why: &str) {
    assert_eq!(answers.code, 2, "{}", answers.stderr);
    assert!(answers.stderr.contains(why), "{}", answers.stderr);
    let summary = answers.of("summary").last().expect("a summary");
    assert!(summary["unseen"][0].as_str().unwrap().contains(why), "{summary}");
}

#[test]
fn a_run_without_a_node_could_not_tell() {
    for end in [&["--for", "1s"][..], &["--until-block", "3", "--for", "1s"], &["--from-block", "1", "--for", "1s"]] {
        let answers = watched(NOWHERE).run(&[&["run"], end].concat());
        could_not_tell(&answers, "no block was judged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_knows_where_it_stands_could_not_tell_without_a_node_either() {
    let anvil = Anvil::start().await;
    let watch = watched(&format!("\"{}\"", anvil.ws_url()));
    assert_eq!(watch.run(&["run", "--until-block", "0"]).code, 0);
    watch.write(
        "watchfire.toml",
        &std::fs::read_to_string(watch.path("watchfire.toml")).unwrap().replace(&anvil.ws_url(), "ws://127.0.0.1:9"),
    );
    could_not_tell(&watch.run(&["run", "--for", "1s"]), "block 0 is the last that was judged");
    // What was asked for is judged already, whoever answers now.
    assert_eq!(watch.run(&["run", "--until-block", "0"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_cannot_be_had_is_not_a_calm_end() {
    let anvil = Anvil::start().await;
    for _ in 0..3 {
        anvil.succeed(&Tx::pay(OWNER_B.address, OWNER_B.address, U256::ONE)).await;
    }
    let glass = Twisted::start(&anvil).await;
    let withheld = anvil.block("0x2").await["hash"].clone();
    glass.twist(move |_, _, response| {
        let answers =
            if response.is_array() { response.as_array_mut().unwrap().iter_mut().collect() } else { vec![response] };
        for answer in answers {
            let of = &answer["result"];
            if of[0]["blockHash"] == withheld || of["transactionIndex"].is_string() && of["blockHash"] == withheld {
                let error = json!({ "code": -32000, "message": "try again" });
                *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": error });
            }
        }
    });
    let url = format!("\"{}\"", glass.url());
    let asked = watched(&url).run(&["run", "--from-block", "1", "--until-block", "3", "--for", "4s"]);
    could_not_tell(&asked, "block 3 was asked for");
    let watched_on = watched(&url).run(&["run", "--from-block", "1", "--for", "4s"]);
    could_not_tell(&watched_on, "behind the newest head");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_saw_everything_is_calm_and_lives_on_after_sighup() {
    let anvil = Anvil::start().await;
    let watch = watched(&format!("\"{}\"", anvil.ws_url()));
    let watching = watch.start(&["run", "--from-block", "0"]);
    let until = async |what: &str, done: &dyn Fn() -> bool| {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(), "waited in vain until {what}");
    };
    let n_judged = || watch.log().matches("watching").count();
    until("it runs", &|| n_judged() > 0).await;
    for times in 1..=2 {
        signal(watching.id(), "HUP");
        until("it says that it goes on", &|| watch.log().matches("SIGHUP ignored").count() == times).await;
    }
    anvil.succeed(&Tx::pay(OWNER_A.address, OWNER_B.address, U256::ONE)).await;
    until("the block is judged", &|| watch.answers().iter().any(|line| line["type"] == "verdict")).await;
    assert_eq!(watching.end().await, 0, "{}", watch.log());
}

/// Every command that answers something without a node, and `demo`.
fn commands() -> Vec<Vec<&'static str>> {
    let all = [
        "demo --fast",
        "check",
        "check --coverage",
        "--help",
        "--version",
        "no-such-command",
        "incidents list",
        "incidents show nothing",
        "chain status",
        "queue",
        "explain 0x00",
        "probe",
        "test-page nowhere",
        "tape info nothing",
        "tape play nothing",
        "run --for 200ms",
    ];
    all.map(|line| line.split(' ').collect()).to_vec()
}

/// A command in text mode, as people run it.
fn shown(watch: &Watch, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.current_dir(watch.path("")).args(args).env_remove("WATCHFIRE_LOG").stdin(Stdio::null());
    command
}

#[test]
fn readers_that_go_away_end_no_command_by_a_panic() {
    let watch = watched(NOWHERE);
    for args in commands() {
        // Both streams end in a pipe whose reader has gone.
        for streams in ["stdout", "stderr", "both"] {
            let mut command = shown(&watch, &args);
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if streams != "stderr" {
                command.stdout(writer.try_clone().unwrap());
            }
            if streams != "stdout" {
                command.stderr(writer);
            }
            let code = command.status().unwrap().code();
            assert!(matches!(code, Some(0..=2)), "{args:?} with {streams} gone: {code:?}");
        }
    }
}

#[test]
fn a_full_disk_behind_stdout_or_stderr_ends_no_command_by_a_panic_and_lost_answers_are_no_success() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let watch = watched(NOWHERE);
    for args in commands() {
        let code = shown(&watch, &args).stdout(full()).stderr(full()).status().unwrap().code();
        assert!(matches!(code, Some(0..=2)), "{args:?}: {code:?}");
        let code = shown(&watch, &args).stdout(Stdio::null()).stderr(full()).status().unwrap().code();
        assert!(matches!(code, Some(0..=2)), "{args:?}: {code:?}");
    }
    for args in [&["check"][..], &["demo", "--fast"], &["--help"], &["check", "--coverage", "--format", "json"]] {
        let mut child = shown(&watch, args).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2), "{args:?}: {said}");
        assert!(args == ["--help"] || said.contains("failed to write answers to stdout"), "{args:?}: {said}");
    }
}

#[test]
fn closed_streams_end_no_command_by_a_panic() {
    let watch = watched(NOWHERE);
    for args in commands() {
        for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
            let script = format!("exec \"$0\" \"$@\" {closed}");
            let mut command = Command::new("sh");
            command.args(["-c", &script, env!("CARGO_BIN_EXE_watchfire")]).args(&args);
            command.current_dir(watch.path("")).env_remove("WATCHFIRE_LOG");
            let code =
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code();
            assert!(matches!(code, Some(0..=2)), "{args:?} with {closed}: {code:?}");
        }
    }
}
