//! Long queues, and lists that are not what was asked for: over real HTTP, with the program as it is run.

use alloy_primitives::{B256, U256};

use crate::support::accounts::{GRANTEE, OWNER_A};
use crate::support::queued_treasury::QueuedTreasury;
use crate::support::safe::SafeTx;
use crate::support::service::{Fault, Service};
use crate::support::treasury::SIGNERS;

/// A service's key; nobody else may see it.
const KEY: &str = "planted-api-key";

impl QueuedTreasury {
    /// As [`Self::new`], with a key for the service.
    async fn keyed() -> Self {
        let mut stage =
            Self::with(&format!("{}\nkey = {{ env = \"SAFE_API_KEY\" }}", crate::support::queued_treasury::SOON)).await;
        stage.watch.set("SAFE_API_KEY", KEY);
        stage
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_two_hundred_and_fifty_is_found_and_no_page_s_link_is_followed() {
    let (stage, foreign) = (QueuedTreasury::keyed().await, Service::start().await);
    stage.service.leads_to(&format!("{}/api/v2/?offset=100", foreign.url()));
    let (grants, grant, takeover) = (&stage.treasury.grants, stage.grant(), stage.takeover());
    let nonce = stage.nonce(grants).await;
    for n in 0..249 {
        stage.service.propose(grants, &grant, nonce + n, OWNER_A.address).untrusted().list();
    }
    let last = stage.service.propose(grants, &takeover, nonce + 249, OWNER_A.address).untrusted();
    let hash = SIGNERS.into_iter().fold(last, crate::support::service::Proposal::signed).list();
    let process = stage.watch.start(&["run"]);
    stage.finds("Grants Safe critical builtin/delegatecall proposed").await;
    let line = stage.verdicts().into_iter().find(|line| line["by"] == "builtin/delegatecall").expect("a finding");
    assert_eq!(line["tx"], hash.to_string());
    let of_list =
        stage.service.received().into_iter().filter(|one| one.path.contains(&grants.address.to_checksum(None)));
    let pages: Vec<_> = of_list.filter(|one| one.path.contains("trusted=false")).collect();
    for offset in ["offset=0", "offset=95", "offset=190"] {
        assert!(pages.iter().any(|one| one.path.ends_with(offset)), "{offset}");
    }
    let bearer = format!("Bearer {KEY}");
    assert!(pages.iter().all(|one| one.header("authorization") == Some(&bearer)), "the key goes where it belongs");
    assert_eq!(foreign.count(), 0, "and nowhere else");
    stage.sees().await;
    assert_eq!(stage.findings().len(), 1, "{:#?}", stage.findings());
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_what_cannot_be_read_is_told_and_hides_nothing_for_good() {
    let (stage, foreign) = (QueuedTreasury::keyed().await, Service::start().await);
    let process = stage.start().await;
    let (grants, theft, takeover) = (&stage.treasury.grants, stage.theft(), stage.takeover());
    let nonce = stage.nonce(grants).await;
    // A bomb: 16 MiB of an empty queue in a few kilobytes.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &vec![b' '; 16 << 20]).expect("memory");
    let bomb = bomb.finish().expect("memory");
    for (fault, blindness) in [
        (Fault::Said(302, format!("location: {}/\r\n", foreign.url())), "service-down warning own"),
        (Fault::Half, "service-lies high own"),
        (Fault::Cut, "service-down warning own"),
        (Fault::Gzip(bomb), "service-lies high own"),
    ] {
        stage.service.fault(fault);
        stage.is_blind(blindness).await;
        stage.service.fault(Fault::None);
        stage.sees().await;
    }
    stage.service.fault(Fault::Half);
    stage.is_blind("service-lies high own").await;
    stage.service.propose(grants, &theft, nonce, OWNER_A.address).list();
    stage.service.fault(Fault::None);
    stage.finds("Grants Safe high builtin/unvouched proposed").await;
    stage.sees().await;
    // Signed for another chain, under the hash of that chain: what could never execute here is told, and judged as what it is.
    let elsewhere = grants.hash_on(&takeover, nonce + 1, 1);
    stage.service.propose(grants, &takeover, nonce + 1, OWNER_A.address).under(elsewhere).list();
    stage.finds("Grants Safe critical builtin/queue-hash proposed").await;
    stage.finds("Grants Safe critical builtin/delegatecall proposed").await;
    stage.is_blind("service-lies high own").await;
    stage.service.withdraw(elsewhere);
    stage.sees().await;
    // Two under one name: neither hides the other.
    let (grant, name) = (stage.small_grant(), B256::repeat_byte(7));
    stage.service.propose(grants, &grant, nonce + 2, OWNER_A.address).under(name).list();
    let ether = SafeTx::pay(GRANTEE.address, U256::from(7));
    stage.service.propose(grants, &ether, nonce + 3, OWNER_A.address).under(name).beside().list();
    stage.is_blind("service-lies high own").await;
    let judged = |headline: &str| {
        stage.verdicts().iter().any(|line| line["headline"].as_str().is_some_and(|text| text.contains(headline)))
    };
    stage.until("both are judged", || judged("queued at nonce 3,") && judged("queued at nonce 4,")).await;
    assert_eq!(foreign.count(), 0);
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}
