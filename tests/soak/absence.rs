//! Many blocks are made while the program is down. Then it has to judge all of them, in their order, and show how it gets on; from
//! the node, and from a tape of the same blocks, which answers faster than any node.

use super::missed::{self, CaughtUp};
use super::support::watched_proxy::WatchedProxy;
use super::{Args, duration_of};
use crate::support::process::Process;
use crate::support::stored::Stored;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use tokio::time::Instant;

pub(crate) async fn run(args: &Args) {
    let mut rng = fastrand::Rng::with_seed(args.seed);
    let stage = WatchedProxy::new().await;
    let node = stage.anvil.ws_url();
    follow(&stage, &stage.proxy.url("/"), &node);
    let process = stage.start();
    missed::make(&stage, 5, &mut rng).await;
    stage.settle().await;
    process.kill();
    let before = stage.watch.answers().len();
    let making = Instant::now();
    let blocks = args.blocks.unwrap_or(2_000);
    missed::make(&stage, blocks, &mut rng).await;
    println!("{blocks} blocks made in {}", duration_of(making.elapsed()));

    let started = Instant::now();
    let process = stage.start();
    show("from the node", missed::watch(&stage, started).await);
    stage.settle().await;
    let abnormal = stage.reckon().await;
    let (ours, _) = stage.check(&abnormal).await;
    assert_ne!(process.end().await, 2, "{}", stage.watch.log());
    let order = missed::order(&stage.watch.answers()[before..]);
    assert!(order.is_sorted(), "verdicts are printed in the order of their blocks");
    println!("{} verdicts in the order of their blocks, {} findings stand", order.len(), ours.standing().count());
    let log = stage.watch.log();
    let progress: Vec<&str> = log.lines().filter(|line| is_progress(line)).collect();
    progress.iter().for_each(|line| println!("  stderr: {line}"));
    assert!(progress.iter().any(|line| line.contains("behind, catching up")));
    assert!(progress.iter().any(|line| line.contains("caught up: ")));

    let (first, last) = (stage.first.to_string(), stage.anvil.block_number().await.to_string());
    let record = ["tape", "record", "missed.tape", "--from-block", &first, "--until-block", &last];
    let recorded = tokio::task::block_in_place(|| stage.watch.run(&record));
    assert!([0, 1].contains(&recorded.code), "{}", recorded.stderr);
    let (_player, url) = play(&stage);
    follow(&stage, &node, &url);
    stage.watch.forget();
    let started = Instant::now();
    let process = stage.start();
    show("from a tape", missed::watch(&stage, started).await);
    stage.settle().await;
    process.end().await;
    let again = Stored::read(&stage.store());
    assert_eq!(again.activities.len(), ours.activities.len(), "the tape shows what the node showed");
}

/// Turns the program from one endpoint to another.
fn follow(stage: &WatchedProxy, from: &str, to: &str) {
    let text = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("the configuration");
    assert!(text.contains(from), "{text}");
    stage.watch.write("watchfire.toml", &text.replace(from, to));
}

/// Plays the tape as a node, and says where.
fn play(stage: &WatchedProxy) -> (Process, String) {
    let mut command = stage.watch.command(&["tape", "play", "--serve", "missed.tape"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the tape is played");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("ws://")).expect("it says where it is");
    let url = line.split('"').find(|word| word.contains("ws://")).unwrap_or(&line).trim().to_owned();
    (Process::new(child), url)
}

fn is_progress(line: &str) -> bool {
    [" behind, catching up", " a second, about ", "caught up: "].iter().any(|word| line.contains(word))
}

fn show(what: &str, caught_up: CaughtUp) {
    let CaughtUp { blocks, before, took } = caught_up;
    let rate = blocks as f64 / took.as_secs_f64();
    println!("{what}: {blocks} blocks in {} after {}, {rate:.0} a second", duration_of(took), duration_of(before));
}
