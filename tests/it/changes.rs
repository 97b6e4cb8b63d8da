//! The record of a run has the changes of an incident in it that no block causes: on a real node, with real receivers, and with an
//! answer that another process gives.

use crate::support::anvil::Anvil;
use crate::support::inbox::Inbox;
use crate::support::treasury::Treasury;
use crate::support::watch::Watch;
use std::time::Duration;

/// The treasury, whose pages go to `pager` and soon to `boss`, and whose acknowledgements soon expire.
fn watched(anvil: &Anvil, inbox: &Inbox) -> Watch {
    let watch = Watch::empty();
    watch.add_treasury();
    let hook = |name: &str| {
        let url = inbox.url(&format!("/{name}"));
        format!("[destination.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\nunsigned = true\n")
    };
    let config = format!(
        "store = \"watchfire.db\"\nwatchlists = [\"treasury.toml\"]\n\
         [chain.demo]\nid = 31337\nendpoint = \"{}\"\nclock = \"chain\"\n{}{}\
         [path.self]\nsteps = [{{ to = [\"pager\"], ack_within = \"1h\" }}]\n\
         [path.treasury]\npage_at = \"warning\"\nack_expires = \"3s\"\n\
         steps = [{{ to = [\"pager\"], ack_within = \"2s\" }}, {{ to = [\"boss\"], ack_within = \"1h\" }}]\n",
        anvil.ws_url(),
        hook("pager"),
        hook("boss"),
    );
    watch.write("watchfire.toml", &config);
    watch
}

/// An incident line as `state step`, each once where several in a row say the same.
fn told(watch: &Watch) -> (String, Vec<String>) {
    let lines = watch.answers().into_iter().filter(|line| line["type"] == "incident" && line["path"] == "treasury");
    let (mut id, mut told) = (String::new(), Vec::new());
    for line in lines {
        line["incident_id"].as_str().expect("an id").clone_into(&mut id);
        told.push(format!("{} {}", line["state"].as_str().expect("a state"), line["step"]));
    }
    told.dedup();
    (id, told)
}

async fn until_told(watch: &Watch, lines: &[&str]) -> String {
    let wait = async {
        loop {
            let (id, told) = told(watch);
            if told.starts_with(&lines.iter().map(ToString::to_string).collect::<Vec<_>>()) {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), wait).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {lines:?}: {:?}\n{}", told(watch), watch.log()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_passing_of_time_does_to_an_incident_is_in_the_record_of_a_run() {
    let (anvil, inbox) = (Anvil::start().await, Inbox::start().await);
    let treasury = Treasury::deploy(&anvil).await;
    let watch = watched(&anvil, &inbox);
    let begun = (anvil.block_number().await + 1).to_string();
    let process = watch.start(&["run", "--from-block", &begun]);
    treasury.unknown_recipient(&anvil).await;
    let id = until_told(&watch, &["open 1", "open 2"]).await;
    inbox.wait_until("the next step", |received| received.iter().any(|request| request.path == "/boss")).await;
    let answer = tokio::task::block_in_place(|| watch.run(&["incidents", "ack", &id, "--by", "responder"]));
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    // The acknowledgement expires, and the path begins anew.
    until_told(&watch, &["open 1", "open 2", "open 1"]).await;
    process.end().await;
}
