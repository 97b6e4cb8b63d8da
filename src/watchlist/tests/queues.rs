//! Safes whose queues are polled.

use super::*;

const SERVICE: &str = "[safe-service.own]\nchain = \"mainnet\"\nurl = \"https://safe.example/eth\"\n";

fn with(main: &str, list: &str) -> Result<Config, Problems> {
    build(&format!("{MAIN}{main}"), &format!("{NAMES}{list}"))
}

#[test]
fn every_safe_of_a_service_s_chain_is_looked_at_unless_it_says_otherwise() {
    let book = with(SERVICE, WATCH).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let queue = &book.queues[0];
    assert_eq!((&*queue.service.name, &*queue.chain.name, queue.safes.len()), ("own", "mainnet", 1));
    let quiet = with(SERVICE, &format!("{WATCH}queue = false\n"))
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert!(quiet.queues[0].safes.is_empty());
    assert!(accepted(WATCH).queues.is_empty(), "nobody is asked without a service");
}

#[test]
fn every_mistake_about_services_is_told() {
    let second = SERVICE.replace(".own]", ".other]");
    let strange = SERVICE.replace(".own]", ".third]").replace("mainnet", "mainet");
    let problems = with(&format!("{SERVICE}{second}{strange}nonse = 1\n"), WATCH).expect_err("three mistakes");
    let mut told: Vec<_> =
        problems.to_lines().iter().filter_map(|line| line.splitn(4, ':').nth(3).map(str::to_owned)).collect();
    told.sort();
    assert_eq!(
        told,
        [" the queues of mainnet are kept by one service", " unknown chain `mainet`", " unknown key `nonse`"]
    );
    let told = told_of(&format!("{WATCH}{SERVICE}"));
    assert!(told[0].contains("`safe-service` stands in the main file"), "{told:?}");
}
