//! A wall clock that is set while the program runs: the real program with a C library whose clock is ours, a real node and a real
//! receiver. No deadline follows it.

use crate::support::anvil::Anvil;
use crate::support::inbox::{Inbox, Received};
use crate::support::treasury::Treasury;
use crate::support::watch::Watch;
use std::process::Command;

/// Adds the seconds in a file to the wall clock, and to no other.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long set_by(void) {
    const char *name = getenv("CLOCK_SET_BY");
    long seconds = 0;
    FILE *file = name ? fopen(name, "r") : NULL;
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    if (result == 0 && id == CLOCK_REALTIME) at->tv_sec += set_by();
    return result;
}
int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return result;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"#;

/// The treasury, whose pages go to `pager` and, after `ack_within`, to `boss`; what is about the program goes to `own`.
async fn watched(anvil: &Anvil, inbox: &Inbox, ack_within: &str) -> Watch {
    let mut watch = Watch::empty();
    watch.add_treasury();
    let hook = |name: &str| {
        format!(
            "[destination.{name}]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\n",
            inbox.url(&format!("/{name}"))
        )
    };
    watch.write(
        "watchfire.toml",
        &format!(
            "store = \"watchfire.db\"\nwatchlists = [\"treasury.toml\"]\n\
             [chain.demo]\nid = 31337\nendpoint = \"{}\"\nclock = \"chain\"\n{}{}{}\
             [path.self]\nnotify = [\"own\"]\nsteps = [{{ to = [\"own\"], ack_within = \"1h\" }}]\n\
             [path.treasury]\npage_at = \"warning\"\n\
             steps = [{{ to = [\"pager\"], ack_within = \"{ack_within}\" }}, {{ to = [\"boss\"], ack_within = \"1h\" }}]\n",
            anvil.ws_url(),
            hook("pager"),
            hook("boss"),
            hook("own"),
        ),
    );
    let (source, library) = (watch.path("clock.c"), watch.path("clock.so"));
    std::fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    assert!(built.expect("a C compiler is installed").success());
    watch.set("LD_PRELOAD", &library.display().to_string());
    watch.set("CLOCK_SET_BY", &watch.path("set-by").display().to_string());
    watch
}

fn set_clock(watch: &Watch, seconds: i64) {
    // In one piece: a reader sees the old content or the new.
    std::fs::write(watch.path("set-by.new"), seconds.to_string()).unwrap();
    std::fs::rename(watch.path("set-by.new"), watch.path("set-by")).unwrap();
}

fn came_to(received: &[Received], path: &str) -> usize {
    received
        .iter()
        .filter(|request| request.path == path && request.json()["type"] != "watchfire.incident.update.v1")
        .count()
}

fn is_told(received: &[Received], words: &str) -> bool {
    received.iter().any(|request| request.path == "/own" && String::from_utf8_lossy(&request.body).contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_silences_nobody_and_is_told() {
    let (anvil, inbox) = (Anvil::start().await, Inbox::start().await);
    let treasury = Treasury::deploy(&anvil).await;
    let watch = watched(&anvil, &inbox, "4s").await;
    let begun = (anvil.block_number().await + 1).to_string();
    let process = watch.start(&["run", "--from-block", &begun]);
    treasury.unknown_recipient(&anvil).await;
    inbox.wait_until("the page", |received| came_to(received, "/pager") > 0).await;
    set_clock(&watch, -3_600);
    inbox.wait_until("the step of the clock", |received| is_told(received, "was set back by")).await;
    // An hour of the wall clock is not waited for: the next step falls due as it would have.
    inbox.wait_until("the next step", |received| came_to(received, "/boss") > 0).await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_escalates_nothing_early() {
    let (anvil, inbox) = (Anvil::start().await, Inbox::start().await);
    let treasury = Treasury::deploy(&anvil).await;
    let watch = watched(&anvil, &inbox, "1h").await;
    let begun = (anvil.block_number().await + 1).to_string();
    let process = watch.start(&["run", "--from-block", &begun]);
    treasury.unknown_recipient(&anvil).await;
    inbox.wait_until("the page", |received| came_to(received, "/pager") > 0).await;
    set_clock(&watch, 30 * 3_600);
    let received = inbox.wait_until("the step of the clock", |received| is_told(received, "was set forward by")).await;
    assert_eq!(came_to(&received, "/boss"), 0, "an hour has not passed");
    // The clock is right again, and that is told as well.
    set_clock(&watch, 0);
    inbox.wait_until("its end", |received| is_told(received, "incident.resolve")).await;
    assert_eq!(came_to(&inbox.received(), "/boss"), 0);
    process.end().await;
}
