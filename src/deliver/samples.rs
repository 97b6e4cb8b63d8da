//! Sample pages for tests: one ordinary page, and one with content from an attacker.

use super::Outgoing;
use crate::model::incident::{Body, DeliveryKind};
use crate::model::incident_state::State;
use crate::model::page::{Evidence, Link, NextStep, Page, Party};
use crate::model::{ChainId, Confidence, DeliveryKey, Finality, FindingId, IncidentId, Severity};
use alloy_primitives::{Address, B256};

/// Text with everything that may break a terminal, a chat or a reader.
pub(super) const HOSTILE: &str = "<!channel> <@U024BE7LH> @everyone *bold* `code` <https://evil.example|etherscan> \u{1b}[2J\u{202e}gnp\u{200b} & \u{7}\n# all is well";

fn sample_party(byte: u8, name: Option<&str>) -> Party {
    Party { address: Address::repeat_byte(byte), name: name.map(str::to_owned), looks_like: None }
}

/// A treasury that pays too much at once.
pub(super) fn sample_page() -> Page {
    Page {
        incident: IncidentId("inc_00112233445566778899aabbccddeeff".to_owned()),
        cycle: 0,
        marked: None,
        state: State::Open,
        severity: Severity::Critical,
        label: "Treasury Safe".to_owned(),
        watch: Some(Address::repeat_byte(0x5a)),
        chain: "mainnet".to_owned(),
        chain_id: Some(ChainId(1)),
        headline: "Treasury Safe sends 60,000 SNT to Grantee: docs".to_owned(),
        loudest: None,
        evidence: vec![Evidence {
            alike: 0,
            weight: 0,
            finding: FindingId("fnd_00112233445566778899aabbccddeeff".to_owned()),
            revision: 1,
            severity: Severity::Critical,
            rule: "builtin/unvouched".to_owned(),
            headline: "Treasury Safe sends 60,000 SNT to Grantee: docs".to_owned(),
            other_rules: 2,
            reasons: vec![
                "friday-grants: amount 60,000 SNT is above 50,000 SNT".to_owned(),
                "payroll: function is transfer(address,uint256), and the rule vouches for approve(address,uint256) alone"
                    .to_owned(),
            ],
            orphaned: false,
            own: true,
            stoppable: false,
            late: None,
            watch: sample_party(0x5a, Some("Treasury Safe")),
            sender: Some(sample_party(0x22, Some("Executor bot"))),
            signers: Some(vec![sample_party(0x31, Some("Owner 1")), sample_party(0x32, None)]),
            parties: Vec::new(),
            more_parties: 0,
            via: vec!["execTransaction at Treasury Safe".to_owned(), "multiSend at MultiSendCallOnly".to_owned()],
            stage: "included".to_owned(),
            block: 21_234_567,
            block_hash: Some(B256::repeat_byte(0xb1)),
            time: 1_795_168_800,
            tx: B256::repeat_byte(0x7e),
            footing: Confidence::default(),
        }],
        more: 0,
        finality: Some(Finality::Included),
        touches: vec!["Council Safe".to_owned()],
        purpose: "Pays grants on Fridays".to_owned(),
        runbook: Some("https://runbooks.example/stolen-funds".to_owned()),
        report: Vec::new(),
        ways: Vec::new(),
        links: vec![Link {
            text: "Transaction".to_owned(),
            href: "https://etherscan.io/tx/0x7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e".to_owned(),
        }],
        path: "treasury".to_owned(),
        step: 1,
        next: Some(NextStep { at: 1_795_169_100_000, to: vec!["security-lead".to_owned()] }),
        acked_by: None,
        change: None,
        again: false,
    }
}

/// The same, with every free text written by an attacker.
pub(super) fn hostile_page() -> Page {
    let mut page = sample_page();
    let text = HOSTILE.to_owned();
    for field in [&mut page.label, &mut page.headline, &mut page.purpose, &mut page.path, &mut page.chain] {
        *field = text.clone();
    }
    page.change = Some(text.clone());
    page.runbook = Some(text.clone());
    page.touches = vec![text.clone()];
    page.links = vec![
        Link { text: text.clone(), href: "https://etherscan.io/tx/0x00".to_owned() },
        Link { text: "run me".to_owned(), href: "javascript:alert(1)".to_owned() },
        Link { text: "two".to_owned(), href: "https://a.example/|<!channel>".to_owned() },
    ];
    let evidence = &mut page.evidence[0];
    evidence.reasons = vec![text.clone()];
    evidence.headline.clone_from(&text);
    evidence.rule.clone_from(&text);
    evidence.stage.clone_from(&text);
    evidence.via = vec![text.clone()];
    evidence.sender.iter_mut().for_each(|sender| sender.name = Some(text.clone()));
    evidence.signers = Some(vec![sample_party(0x31, Some(&text))]);
    page
}

/// Returns a page far beyond the limits of any destination, entirely written by an attacker.
pub(super) fn oversized_page() -> Page {
    let mut page = sample_page();
    let long = "\u{202e}<!here>𝕏".repeat(500);
    page.headline.clone_from(&long);
    page.label.clone_from(&long);
    page.evidence[0].reasons = vec![long.clone(); 50];
    page.evidence[0].signers = Some(vec![sample_party(0x31, Some(&long)); 200]);
    page.evidence[0].via = vec![long.clone(); 50];
    page.evidence = vec![page.evidence[0].clone(); 10];
    page.touches = vec![long; 100];
    page
}

/// Returns a first attempt to deliver `page`.
pub(super) fn sample_message(kind: DeliveryKind, page: Page) -> Outgoing {
    Outgoing {
        key: DeliveryKey("dlv_00112233445566778899aabbccddeeff".to_owned()),
        kind,
        attempt: 1,
        now_ms: 1_795_168_812_345,
        severity: page.severity,
        body: Body::Page(Box::new(page)),
    }
}
