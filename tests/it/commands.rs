//! Commands of `app`, called by a Rust program on the store that the command line uses too.

use crate::support::watch::Watch;
use std::path::Path;
use watchfire::app::{CommandError, Commands, IncidentResponse, Resolution, Responded};
use watchfire::escalate::ResponseError;
use watchfire::model::incident_state::State;
use watchfire::model::{ChainId, DeliveryKey};
use watchfire::settings::Secrets;
use watchfire::store::Store;
use watchfire::watchlist;

/// A watch with one path, and the commands on its store.
async fn watched() -> (Watch, Commands) {
    let watch = Watch::local("\"ws://127.0.0.1:9\"", "", "");
    let config = watchlist::load_config(&watch.path("watchfire.toml"), Secrets::NamesOnly);
    let config = config.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let store: &Path = &config.store;
    let store = Store::open(store).await.expect("a new store");
    (watch, Commands::new(store, config.roster.clone()))
}

fn response(incident: &str, by: &str) -> IncidentResponse {
    IncidentResponse { incident: incident.to_owned(), by: by.to_owned(), seen: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_and_the_command_line_act_on_one_incident_by_the_same_commands() {
    let (watch, commands) = watched().await;
    let page = commands.test_page("treasury").await.expect("a test page");
    assert_eq!((page.incidents.len(), page.messages.len()), (1, 1));
    let id = page.incidents[0].to_string();
    // No message of it was delivered, so that the first answer says what nobody has read.
    let answered = commands.acknowledge(&response(&id, "program")).await;
    let Ok(Responded::StaysOpen { incident, unseen }) = answered else { panic!("nobody has read it: {answered:?}") };
    assert_eq!((incident.state.kind(), unseen.len()), (State::Open, 1));
    let seen = Some(incident.revision);
    let answered = commands.acknowledge(&IncidentResponse { seen, ..response(&id, "program") }).await;
    assert!(matches!(answered, Ok(Responded::Done(incident)) if incident.state.is_acknowledged()));
    let shell = tokio::task::block_in_place(|| watch.run(&["incidents", "ack", &id, "--by", "shell"]));
    assert_eq!(shell.code, 2);
    assert!(shell.stderr.contains("already acknowledged by program"), "{}", shell.stderr);
    let shell = tokio::task::block_in_place(|| watch.run(&["incidents", "resolve", &id, "--by", "shell"]));
    assert_eq!(shell.code, 0, "{}", shell.stderr);
    let closed = commands.resolve(&response(&id, "program"), Resolution::FalseAlarm).await;
    let Err(CommandError::Refused { attempt, source, .. }) = closed else { panic!("closed twice: {closed:?}") };
    assert_eq!((attempt, source), ("resolve", ResponseError::Closed(State::Resolved)));
}

#[tokio::test]
async fn a_command_that_changes_nothing_says_why() {
    let (_watch, commands) = watched().await;
    let unknown = commands.acknowledge(&response("inc_ffff", "program")).await;
    assert!(matches!(unknown, Err(CommandError::NoIncident(id)) if id == "inc_ffff"));
    let resent = commands.resend(&DeliveryKey("dlv_ffff".to_owned())).await;
    assert!(matches!(resent, Err(CommandError::NoDeadLetter(_))), "{resent:?}");
    let withdrawn = commands.withdraw_reorg_override(ChainId(31_337), "program").await;
    assert!(matches!(withdrawn, Err(CommandError::NoOverride(_))), "{withdrawn:?}");
    let Err(error) = commands.test_page("nowhere").await else { panic!("there is no such path") };
    assert_eq!(error.to_string(), "there is no path `nowhere`; the configuration has self, treasury");
}
