//! A store that is gone: from a program that runs, from one that starts, and a place that takes none; and its backup.

use crate::support::inbox::Received;
use crate::support::process::Process;
use crate::support::stored::{self, Stored};
use crate::support::watched_proxy::WatchedProxy;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn kind(event: &Value) -> &str {
    event["type"].as_str().and_then(|kind| kind.split('.').nth(2)).unwrap_or("?")
}

/// The headline of the page about the store, where this is one.
fn headline(received: &Received) -> Option<String> {
    let event = received.json();
    let is_page = event["data"]["label"] == "The store" && kind(&event) == "trigger";
    is_page.then(|| event["data"]["headline"].as_str().unwrap_or_default().to_owned())
}

/// Waits until whoever looks after the program is paged about the store, and returns what the page says.
async fn paged(stage: &WatchedProxy) -> String {
    let about = |all: &[Received]| all.iter().filter_map(headline).next_back();
    let all = stage.keeper.wait_until("a page past the store", |all| about(all).is_some()).await;
    about(&all).expect("it was waited for")
}

async fn resolved(stage: &WatchedProxy) {
    stage.keeper.wait_until("its end", |all| all.iter().any(|page| kind(&page.json()) == "resolve")).await;
}

fn modes(store: &Path) -> Vec<(String, u32)> {
    let folder = std::fs::read_dir(store.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
    let ours = folder.filter(|entry| entry.file_name().to_string_lossy().starts_with("watchfire.db"));
    ours.map(|entry| {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        (entry.file_name().to_string_lossy().into_owned(), mode)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_vanished_between_two_starts_is_told_past_it_and_nothing_is_made_in_its_place() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
    let (store, away) = (stage.store(), stage.watch.path("elsewhere.db"));
    std::fs::rename(&store, &away).unwrap();
    let mut process = stage.start();
    let said = paged(&stage).await;
    assert!(said.contains("is gone") && said.contains("watchfire.db.lock"), "{said}");
    assert!(process.lives() && !store.exists(), "{}", stage.watch.log());
    for command in [&["incidents", "list"][..], &["chain", "status"], &["test-page", "treasury"]] {
        let answers = stage.watch.run(command);
        assert_eq!(answers.code, 2, "{command:?}");
        assert!(answers.stderr.contains("is gone") && !store.exists(), "{command:?}: {}", answers.stderr);
    }
    // Put back, it goes on where it stood, and knows what it told.
    std::fs::rename(&away, &store).unwrap();
    stage.theft(2).await;
    resolved(&stage).await;
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_taken_from_a_running_program_is_told_and_kept() {
    let stage = WatchedProxy::new().await;
    let mut process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    let store = stage.store();
    for file in ["watchfire.db", "watchfire.db-wal", "watchfire.db-shm"] {
        let _ = std::fs::remove_file(stage.watch.path(file));
    }
    let said = paged(&stage).await;
    assert!(said.contains("is gone while this program runs"), "{said}");
    assert!(process.lives(), "{}", stage.watch.log());
    // It still watches, and still pages.
    let n_pages = stage.pager.received().len();
    stage.theft(2).await;
    stage.pager.wait_until("a page all the same", |all| all.len() > n_pages).await;
    assert_eq!(process.end().await, 2, "{}", stage.watch.log());
    assert!(!store.exists());
    let pages = stage.keeper.received();
    let way = pages.iter().rev().find_map(|page| page.json()["data"]["ways"][0]["command"].as_str().map(str::to_owned));
    let way = way.expect("the page names a way out");
    let restored = stage.watch.run(&way.split(' ').collect::<Vec<_>>());
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    let head = stage.head().await;
    assert!(stored::progress(&store).is_some_and(|(tip, _)| tip == head), "what was committed is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_takes_no_store_is_told_and_waited_for() {
    let stage = WatchedProxy::new().await.stored_at("mounted/watchfire.db");
    std::fs::remove_dir(stage.watch.path("mounted")).unwrap();
    let mut process = stage.start();
    let said = paged(&stage).await;
    assert!(said.contains("mounted/watchfire.db"), "{said}");
    assert!(process.lives(), "{}", stage.watch.log());
    std::fs::create_dir(stage.watch.path("mounted")).unwrap();
    resolved(&stage).await;
    stage.theft(1).await;
    stage.settle().await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

/// The user and group `nobody` of every Linux: root may write everywhere, so that a program of root's meets no place that it must not
/// write to.
const NOBODY: u32 = 65_534;

/// Starts the program as somebody who may write only where everybody may.
fn start_unprivileged(stage: &WatchedProxy) -> Process {
    let given = stage.watch.command(&["run", "--from-block", &stage.first.to_string()]);
    let (home, program) = (stage.watch.path(""), stage.watch.path("watchfire"));
    std::fs::copy(given.get_program(), &program).expect("there is room for the program");
    for place in [&home, &program] {
        std::fs::set_permissions(place, Permissions::from_mode(0o755)).expect("it is ours");
    }
    let mut command = Command::new(&program);
    command.args(given.get_args()).current_dir(&home).stdin(Stdio::null());
    for (name, value) in given.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let file = |name| File::options().create(true).append(true).open(stage.watch.path(name)).expect("a file");
    command.stdout(file("answers.jsonl")).stderr(file("log.txt"));
    if std::fs::metadata(&program).expect("it is there").uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    Process::new(command.spawn().expect("the program starts"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_written_is_told_and_waited_for() {
    let stage = WatchedProxy::new().await.stored_at("kept/watchfire.db");
    let place = stage.watch.path("kept");
    std::fs::set_permissions(&place, Permissions::from_mode(0o555)).unwrap();
    let mut process = start_unprivileged(&stage);
    let said = paged(&stage).await;
    assert!(said.contains("kept/watchfire.db") && said.to_lowercase().contains("permission denied"), "{said}");
    assert!(process.lives() && !stage.store().exists(), "{}", stage.watch.log());
    std::fs::set_permissions(&place, Permissions::from_mode(0o777)).unwrap();
    resolved(&stage).await;
    stage.theft(1).await;
    stage.settle().await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());

    // The same with a store in it that may be read and no more.
    for entry in std::fs::read_dir(&place).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
    }
    std::fs::set_permissions(&place, Permissions::from_mode(0o555)).unwrap();
    let before = stage.keeper.received().iter().filter_map(headline).count();
    let mut process = start_unprivileged(&stage);
    stage.keeper.wait_until("another page", |all| all.iter().filter_map(headline).count() > before).await;
    assert!(process.lives(), "{}", stage.watch.log());
    std::fs::set_permissions(&place, Permissions::from_mode(0o777)).unwrap();
    for entry in std::fs::read_dir(&place).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o666)).unwrap();
    }
    stage.theft(2).await;
    stage.settle().await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_store_is_whole_private_and_goes_on_after_a_restore() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    let store = stage.store();
    let head = stage.head().await;
    assert_eq!(stage.watch.run(&["store", "backup", "copy.db"]).code, 0);
    let again = stage.watch.run(&["store", "backup", "copy.db"]);
    assert!(again.code == 2 && again.stderr.contains("--replace"), "{}", again.stderr);
    assert_eq!(stage.watch.run(&["store", "backup", "copy.db", "--replace"]).code, 0);
    let busy = stage.watch.run(&["store", "restore", "copy.db"]);
    assert!(busy.code == 2 && busy.stderr.contains("stop it first"), "{}", busy.stderr);
    assert!(modes(&store).iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes(&store));
    assert_eq!(std::fs::metadata(stage.watch.path("copy.db")).unwrap().permissions().mode() & 0o777, 0o600);
    stage.theft(2).await;
    stage.settle().await;
    process.end().await;
    let restored = stage.watch.run(&["store", "restore", "copy.db"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert!(
        restored.stderr.contains("watchfire.db.before-") && restored.stderr.contains("judged up to block"),
        "{}",
        restored.stderr
    );
    assert!(stored::progress(&store).is_some_and(|(tip, _)| tip == head), "it stands where it was backed up");
    // What came after the backup is judged again, and told under the same keys. By now more is known of a block than when it was the
    // newest, so that a message may say more than it did then.
    let before: BTreeSet<String> = stage.pager.received().iter().map(|received| received.id().to_owned()).collect();
    let process = stage.start();
    stage.settle().await;
    let abnormal = stage.reckon().await;
    let (ours, calm) = (Stored::read(&store), stage.rescan().await);
    stage.check_store(&ours, &calm, &abnormal);
    let mut pages = ours.messages("pager").filter(|(_, message)| message.kind == "trigger").peekable();
    assert!(pages.peek().is_some());
    assert!(pages.all(|(key, _)| before.contains(key)), "a page that is sent again has the key it had");
    process.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_store_is_begun_where_that_is_said_and_the_old_one_is_kept() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    process.end().await;
    std::fs::remove_file(stage.store()).unwrap();
    let process = stage.start_with(&["--new-store"]);
    stage.settle().await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
    let process = stage.start_with(&["--new-store"]);
    stage.until("the earlier store is kept", || stage.watch.log().contains("watchfire.db.before-")).await;
    stage.settle().await;
    process.end().await;
}
