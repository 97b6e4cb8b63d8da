//! What the program does when it is told to: stop, end after a while, refuse, and listen to another process.

use crate::support::accounts::DEPUTY;
use crate::support::anvil::Options;
use crate::support::bill_payers;
use crate::support::inbox::{Answer, Inbox, Received};
use crate::support::process::Process;
use crate::support::stored::{self, Stored};
use crate::support::watched_proxy::{CLERKS, WatchedProxy};
use std::process::Stdio;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_polite_end_sends_what_is_due_and_tells_of_findings_by_its_exit_code() {
    let stage = WatchedProxy::new().await;
    for inbox in [&stage.pager, &stage.feed, &stage.ledger] {
        inbox.otherwise(Answer::Late(Duration::from_millis(300)));
    }
    let process = stage.start();
    for n in 0..12 {
        stage.theft(n).await;
    }
    stage.catch_up().await;
    let waiting = stored::progress(&stage.store()).map(|(_, waiting)| waiting);
    assert!(waiting > Some(0), "nothing was left to do when the program was told to end");
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
    assert_eq!(stored::progress(&stage.store()).map(|(_, waiting)| waiting), Some(0));
    let last = stage.watch.answers().pop().expect("answers");
    assert_eq!((&last["type"], &last["findings"], &last["dead"]), (&"summary".into(), &12.into(), &0.into()));
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calm_watch_ends_calmly_by_signal_and_after_its_time() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.bill(1).await;
    stage.catch_up().await;
    assert_eq!(process.end().await, 0, "{}", stage.watch.log());
    stage.bill(2).await;
    let process = stage.start_with(&["--for", "3s"]);
    stage.catch_up().await;
    assert_eq!(process.code().await, 0, "{}", stage.watch.log());
    let last = stage.watch.answers().pop().expect("answers");
    assert_eq!((&last["type"], &last["blocks"], &last["findings"]), (&"summary".into(), &1.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_chain_is_nothing_to_judge_by() {
    let stage = WatchedProxy::with(
        Options { chain_id: 31_338, ..Options::default() },
        "",
        "steps = [{ to = [\"pager\"], ack_within = \"1h\" }]\n",
    )
    .await;
    stage.theft(1).await;
    for from in [&["--from-block", "1"][..], &[]] {
        stage.watch.forget();
        let process = stage.watch.start(&[&["run", "--for", "3s"], from].concat());
        assert_eq!(process.code().await, 2, "{}", stage.watch.log());
    }
    assert!(stage.watch.log().contains("31338"), "{}", stage.watch.log());
    // That nothing can be seen is told; nothing else is.
    assert_eq!(stage.feed.count() + stage.ledger.count(), 0);
    let pages: Vec<String> =
        stage.pager.received().iter().map(|page| String::from_utf8_lossy(&page.body).into_owned()).collect();
    assert!(pages.iter().all(|page| page.contains("serves chain 31338")), "{pages:#?}");
    assert!(Stored::read(&stage.store()).activities.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_ends_blind_could_not_tell() {
    let mut stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.bill(1).await;
    stage.catch_up().await;
    stage.anvil.kill();
    let blind = || stage.watch.answers().iter().any(|line| line["type"] == "blindness");
    stage.until("the blindness is told", blind).await;
    assert_eq!(process.end().await, 2, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.bill(1).await;
    stage.catch_up().await;
    assert_eq!(process.end().await, 0);
    stored::tamper(&stage.store(), "PRAGMA user_version = 99");
    for args in [&["run", "--for", "3s"][..], &["incidents", "list"]] {
        let answers = tokio::task::block_in_place(|| stage.watch.run(args));
        assert_eq!(answers.code, 2, "{args:?}: {}", answers.stderr);
        assert!(answers.stderr.contains("newer version"), "{args:?}: {}", answers.stderr);
    }
    assert_eq!(stored::number(&stage.store(), "PRAGMA user_version"), 99);
    assert_eq!(Stored::read(&stage.store()).blocks.len(), 1);
}

/// A path of two steps, the second of which tells `lead` as long as nobody answers.
async fn with_lead(first: &str, second: &str) -> (WatchedProxy, Inbox) {
    let lead = Inbox::start().await;
    let more = format!(
        "[destination.lead]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\ntimeout = \"1s\"\n",
        lead.url("/hook")
    );
    let path = format!(
        "page_at = \"warning\"\nsteps = [\n    {{ to = [\"pager\"], ack_within = \"{first}\" }},\n    \
         {{ to = [\"lead\"], ack_within = \"{second}\" }},\n]\n"
    );
    (WatchedProxy::with(Options::default(), &more, &path).await, lead)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_another_process_stops_the_escalation_and_silence_carries_it_on() {
    let (stage, lead) = with_lead("6s", "2s").await;
    let process = stage.start();
    let kind = |event: &Received| event.json()["type"].as_str().unwrap_or_default().to_owned();

    // The first incident is taken by somebody, from another process, while `run` runs.
    stage.theft(1).await;
    let page = stage.pager.wait_for(1).await.remove(0).json();
    let id = page["subject"].as_str().expect("an incident").to_owned();
    let answers =
        tokio::task::block_in_place(|| stage.watch.run(&["incidents", "ack", &id, "--by", "first responder"]));
    assert_eq!(answers.code, 0, "{}", answers.stderr);
    assert_eq!(answers.lines[0]["state"], "acknowledged");
    stage
        .pager
        .wait_until("whoever was paged hears who took it", |all| {
            all.iter().any(|event| {
                kind(event) == "watchfire.incident.acknowledge.v1"
                    && event.json()["data"]["acked_by"] == "first responder"
            })
        })
        .await;

    // The second, which came later and would escalate later, is taken by nobody.
    stage.theft(2).await;
    let told = lead.wait_for(3).await;
    for event in &told {
        let event = event.json();
        assert_eq!(event["data"]["label"], "Clerk 02", "the incident that was taken went no further: {event:#}");
        assert_eq!(event["type"], "watchfire.incident.trigger.v1");
        assert_eq!(event["data"]["step"], 2);
    }
    let mut ids: Vec<&str> = told.iter().map(Received::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), told.len(), "each time the last step is told again is a page of its own");
    let again = tokio::task::block_in_place(|| stage.watch.run(&["incidents", "ack", &id, "--by", "second responder"]));
    assert_eq!(again.code, 2, "what is taken cannot be taken again");
    assert_eq!(process.end().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escalation_goes_on_through_crashes() {
    let (stage, lead) = with_lead("3s", "3s").await;
    stage.theft(1).await;
    // A program that is up for two seconds at a time never sees a whole step pass.
    for _ in 0..20 {
        if lead.count() >= 2 {
            break;
        }
        let process = stage.start();
        tokio::time::sleep(Duration::from_secs(2)).await;
        process.kill();
    }
    let pages: Vec<_> = lead.received().iter().map(Received::json).collect();
    assert!(pages.len() >= 2, "the second step was never told, or not again");
    assert!(pages.iter().all(|page| page["data"]["step"] == 2 && page["data"]["label"] == "Clerk 01"), "{pages:#?}");
    let first = stage.pager.received().remove(0).json();
    assert_eq!((&first["data"]["step"], &first["subject"]), (&1.into(), &pages[0]["subject"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_watch_over_the_same_store_is_refused_while_the_first_lives() {
    let stage = WatchedProxy::new().await;
    let one = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    let other = stage.start();
    assert_eq!(other.code().await, 2);
    assert!(stage.watch.log().contains("another `watchfire run` works on"), "{}", stage.watch.log());
    stage.theft(2).await;
    stage.settle().await;
    // However the first ends, it leaves the place free.
    one.kill();
    let other = stage.start();
    stage.theft(3).await;
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(other.end().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_logs_that_nobody_reads_hold_up_no_page() {
    let stage = WatchedProxy::new().await;
    let first = stage.first.to_string();
    let mut command = stage.watch.command(&["--log", "trace", "run", "--from-block", &first]);
    // As when somebody stops the terminal with a key: both pipes are open, and full after 64 KiB.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = Process::new(command.spawn().expect("the program starts"));
    for n in 0..120 {
        stage.theft(n % CLERKS).await;
    }
    stage.settle().await;
    let abnormal = stage.reckon().await;
    assert_eq!(abnormal.len(), 120);
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_drops_no_page_about_what_nobody_was_given() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    let id = stage.pager.received()[0].json()["subject"].as_str().expect("an incident").to_owned();
    // The receiver is in trouble while the same clerk pays somebody else, and only the first page was read.
    stage.pager.otherwise(Answer::Status(503));
    let nonce = stage.nonce(1).await;
    stage.mine(&[bill_payers::bill(1, DEPUTY.address, 400, nonce)]).await;
    let failed = || stored::failed_attempts(&stage.store(), "pager") >= 1;
    stage.until("an attempt at the second page failed", failed).await;
    let ack = || tokio::task::block_in_place(|| stage.watch.run(&["incidents", "ack", &id, "--by", "responder"]));
    // While an attempt is on its way the answer is taken, and undone when the attempt fails.
    let answered = std::iter::repeat_with(ack).find(|answers| answers.code == 1).expect("it goes on for ever");
    assert_eq!(answered.lines[0]["state"], "open", "{}", answered.stderr);
    let list = "it stays open: no page was delivered that says";
    assert!(answered.stderr.contains(list) && answered.stderr.contains("400 ETH"), "{}", answered.stderr);
    assert!(answered.stderr.contains("--seen "), "{}", answered.stderr);
    stage.pager.otherwise(Answer::Ok);
    stage.settle().await;
    let about = |event: &Received| {
        let event = event.json();
        event["type"] == "watchfire.incident.trigger.v1" && event["data"]["evidence"].to_string().contains("400 ETH")
    };
    assert!(stage.pager.received().iter().any(about), "the page about the larger sum arrives");
    let live = tokio::task::block_in_place(|| stage.watch.run(&["incidents", "list"]));
    assert!(live.lines.iter().any(|line| line["incident_id"] == id.as_str()), "{:?}", live.lines);
    let taken = ack();
    assert_eq!((taken.code, &taken.lines[0]["state"]), (0, &"acknowledged".into()), "{}", taken.stderr);
    assert_eq!(process.end().await, 1);
}
