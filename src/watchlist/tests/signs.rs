//! Console and heartbeats: the address on which the program answers, and the targets that receive its heartbeat.

use super::{MAIN, NAMES, WATCH, build};
use std::time::Duration;

#[test]
fn a_console_and_heartbeats_are_read_and_are_nothing_unless_written() {
    let plain = build(MAIN, &format!("{NAMES}{WATCH}")).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!((plain.console, plain.heartbeats.len()), (None, 0));
    let main = format!(
        "{MAIN}[console]\nlisten = \"[::1]:9464\"\n[heartbeat.switch]\nkind = \"healthchecks\"\nurl = {{ env = \"URL\" }}\n\
         [heartbeat.am]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:9093\"\nevery = \"5m\"\n"
    );
    let book = build(&main, &format!("{NAMES}{WATCH}")).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(book.console.map(|address| address.to_string()).as_deref(), Some("[::1]:9464"));
    let hearts: Vec<_> = book.heartbeats.iter().map(|heart| (&*heart.name, heart.kind, heart.every)).collect();
    let expected =
        [("switch", "healthchecks", Duration::from_secs(60)), ("am", "alertmanager", Duration::from_secs(300))];
    assert_eq!(hearts, expected);
    assert_eq!(book.hash.len(), 64);
    let other = build(&main.replace("9464", "9465"), &format!("{NAMES}{WATCH}")).map(|book| book.hash);
    assert!(other.is_ok_and(|other| other != book.hash), "every character that is written is in the hash");
}

#[test]
fn mistakes_in_signs_of_life_are_told() {
    let told = |signs: &str| build(&format!("{MAIN}{signs}"), "").err().map(|p| p.to_lines()).unwrap_or_default();
    assert_eq!(told("[console]\n"), ["main.toml:13:1: `listen` is missing"]);
    for listen in ["9464", "localhost:9464", "127.0.0.1", "127.0.0.1:99999"] {
        let expected = format!("main.toml:14:10: `{listen}` is nothing to listen on");
        assert_eq!(told(&format!("[console]\nlisten = \"{listen}\"\n")), [expected]);
    }
    assert_eq!(told("[console]\nlisten = \"127.0.0.1:9464\"\nport = 1\n"), ["main.toml:15:1: unknown key `port`"]);
    assert_eq!(told("[heartbeat.switch]\nurl = { env = \"URL\" }\n"), ["main.toml:13:1: `kind` is missing"]);
    let misplaced = build(MAIN, "[console]\nlisten = \"127.0.0.1:1\"\n").unwrap_err().to_lines();
    assert_eq!(misplaced, ["list.toml:1:2: `console` stands in the main file, not in a watchlist"]);
}
