//! A disk that is full: for a moment, for long, and really.

use crate::support::inbox::{Answer, Received};
use crate::support::process::Process;
use crate::support::stored;
use crate::support::watched_proxy::WatchedProxy;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How large the store's log may become: no larger than it is.
fn full(stage: &WatchedProxy) -> Option<u64> {
    Some(std::fs::metadata(stage.watch.path("watchfire.db-wal")).expect("there is a log").len())
}

/// A program that has committed and told something, and whose pager is in trouble.
async fn in_trouble(stage: &WatchedProxy) -> Process {
    let first = stage.first.to_string();
    let process = stage.watch.start_on_a_small_disk(&["run", "--from-block", &first]);
    stage.bill(1).await;
    stage.catch_up().await;
    stage.pager.otherwise(Answer::Status(500));
    stage.theft(1).await;
    stage.until("the pager is in trouble", || stored::failed_attempts(&stage.store(), "pager") > 0).await;
    process
}

fn said(stage: &WatchedProxy, words: &'static str) -> impl Fn() -> bool {
    let log = stage.watch.path("log.txt");
    move || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(words))
}

/// Whether a page says that the store refuses.
fn is_about_the_store(received: &Received) -> bool {
    received.json()["data"]["label"] == "The store"
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().and_then(|kind| kind.split('.').nth(2)).unwrap_or("?")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_moment_silences_nobody() {
    let stage = WatchedProxy::new().await;
    let process = in_trouble(&stage).await;
    process.limit_files(full(&stage));
    stage.until("the worker cannot write", said(&stage, "failed to lease messages")).await;
    stage.theft(2).await;
    stage.until("the chain cannot be committed", said(&stage, "store operation failed, retrying")).await;
    stage.pager.otherwise(Answer::Ok);
    process.limit_files(None);
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stays_full_is_told_by_another_road_and_ends_nothing() {
    let stage = WatchedProxy::new().await;
    let mut process = in_trouble(&stage).await;
    process.limit_files(full(&stage));
    stage.theft(2).await;
    stage.bill(3).await;
    let page = stage.keeper.wait_until("a page past the store", |all| all.iter().any(is_about_the_store)).await;
    let page = page.iter().find(|page| is_about_the_store(page)).expect("it was waited for").json();
    assert_eq!(kind(&page), "trigger");
    let headline = page["data"]["headline"].as_str().expect("a headline");
    assert!(headline.starts_with("Nothing can be written down since "), "{headline}");
    assert!(process.lives(), "{}", stage.watch.log());
    stage.until("the chain cannot be committed", said(&stage, "store operation failed, retrying")).await;
    stage.pager.otherwise(Answer::Ok);
    process.limit_files(None);
    let heard = stage.keeper.wait_until("its end", |all| all.iter().any(|page| kind(&page.json()) == "resolve")).await;
    let end = heard.last().expect("a page").json();
    assert_eq!(end["subject"], page["subject"], "the incident that was told is the one that ends");
    let report = end["data"]["report"].to_string();
    // The second block is one of them where it was read before the disk had room again.
    let late = ["1 block seen late", "2 blocks seen late"].iter().any(|late| report.contains(late));
    assert!(late && report.contains("1 finding in them"), "{report}");
    assert_eq!(heard.iter().filter(|page| kind(&page.json()) == "trigger").count(), 1, "one outage, one page");
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

/// A file system of its own, as small as a store needs, which can really be full.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one of so many megabytes in memory; needs the rights to do so.
    fn mount(at: &Path, size: u32) -> Self {
        std::fs::create_dir_all(at).expect("a directory");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs"]).arg(at).output();
        let done = mount.as_ref().is_ok_and(|mount| mount.status.success());
        assert!(done, "a tmpfs cannot be mounted, and a full disk is nothing to pretend: run this as root ({mount:?})");
        Self(at.to_owned())
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("ballast")).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("the ballast is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a killed program may still be letting go of its files.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_told_to_others_where_the_first_will_never_take_it() {
    let stage = WatchedProxy::new().await;
    let mut process = in_trouble(&stage).await;
    stage.pager.otherwise(Answer::Ok);
    stage.keeper.otherwise(Answer::Status(401));
    process.limit_files(full(&stage));
    stage.theft(2).await;
    let page = stage.pager.wait_until("a page past the store", |all| all.iter().any(is_about_the_store)).await;
    let page = page.iter().find(|page| is_about_the_store(page)).expect("it was waited for").json();
    assert_eq!(kind(&page), "trigger");
    assert!(process.lives(), "{}", stage.watch.log());
    process.limit_files(None);
    let ends = |all: &[Received]| all.iter().any(|one| is_about_the_store(one) && kind(&one.json()) == "resolve");
    stage.pager.wait_until("its end", ends).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_really_full_disk_is_told_survives_a_crash_and_loses_nothing() {
    let stage = WatchedProxy::new().await.stored_at("disk/watchfire.db");
    let disk = Disk::mount(&stage.watch.path("disk"), 3);
    let process = stage.start();
    stage.theft(1).await;
    stage.settle().await;
    disk.fill();
    // Thefts until one does not fit any more: what the files have reserved already is used up first.
    let told = |n: usize| move |all: &[Received]| all.iter().filter(|page| is_about_the_store(page)).count() >= n;
    let mut clerk = 2;
    while !told(1)(&stage.keeper.received()) {
        assert!(clerk < 22, "it never became full: {}", stage.watch.log());
        stage.theft(clerk).await;
        clerk += 1;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let committed = stored::Stored::read(&stage.store()).blocks.len();
    process.kill();
    // A supervisor starts it again, on the same full disk; the chain goes on.
    let mut process = stage.start();
    stage.theft(22).await;
    stage.keeper.wait_until("the next process tells it too", told(2)).await;
    assert!(process.lives(), "{}", stage.watch.log());
    assert_eq!(stored::Stored::read(&stage.store()).blocks.len(), committed, "nothing fits");
    disk.free();
    stage.settle().await;
    stage.keeper.wait_until("its end", |all| all.iter().any(|page| kind(&page.json()) == "resolve")).await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_is_a_warning_before_anything_is_held_up() {
    let stage = WatchedProxy::new().await.stored_at("disk/watchfire.db");
    let disk = Disk::mount(&stage.watch.path("disk"), 16);
    std::fs::write(disk.0.join("ballast"), vec![0; 15 << 20]).expect("there is room for it");
    let process = stage.start();
    let heard = stage.chat.wait_until("a warning", |all| all.iter().any(is_about_the_store)).await;
    let page = heard.iter().find(|page| is_about_the_store(page)).expect("it was waited for").json();
    assert_eq!(page["data"]["severity"], "warning");
    assert!(
        page["data"]["headline"].as_str().expect("a headline").starts_with("Soon nothing more can be written down")
    );
    assert_eq!(stage.keeper.count(), 0, "it wakes nobody");
    stage.theft(1).await;
    stage.settle().await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}
