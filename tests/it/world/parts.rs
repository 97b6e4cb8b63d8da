//! The node, the wallets and the inbox do what the stories need of them.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256, hex};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::json;

use crate::support::abi::ISafe;
use crate::support::accounts::{ALL, DEPLOYER, GRANTEE, OWNER_A, OWNER_B, OWNER_C, RELAYER, STRANGER};
use crate::support::anvil::{Anvil, GENESIS_TIME, Options, Tx};
use crate::support::inbox::{Answer, Inbox};
use crate::support::kit::{Kit, Version};
use crate::support::safe::{Safe, SafeTx, Signer, multi_send_calldata};
use crate::support::treasury::{Treasury, ether};

/// Watchlists name these addresses, so they are written down in the repository. After a change that is meant, copy
/// `target/world/treasury.json` over `tests/world/treasury.json` and mend the watchlists.
#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_the_treasury_is_the_one_written_down() {
    let anvil = Anvil::start().await;
    let treasury = Treasury::deploy(&anvil).await;
    let path = treasury.write_labels();
    let now = std::fs::read_to_string(path).unwrap();
    assert_eq!(now, include_str!("../../world/treasury.json"), "the treasury moved");
    let distinct: BTreeSet<Address> = treasury.labels().into_iter().map(|(_, address)| address).collect();
    assert_eq!(distinct.len(), treasury.labels().len(), "no address has two labels");
    for (label, address) in treasury.labels().into_iter().take(19) {
        assert!(!anvil.code(address).await.is_empty(), "{label} is a contract");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn block_times_are_counted_from_the_genesis_and_not_read_from_a_clock() {
    let anvil = Anvil::start().await;
    assert_eq!(anvil.now().await, GENESIS_TIME);
    anvil.mine(2).await;
    assert_eq!(anvil.now().await, GENESIS_TIME + 24);
    anvil.set_next_timestamp(GENESIS_TIME + 1_000).await;
    anvil.mine(1).await;
    assert_eq!(anvil.now().await, GENESIS_TIME + 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_replaces_blocks_and_what_was_in_them() {
    let anvil = Anvil::start().await;
    anvil.mine(3).await;
    let paid = anvil.succeed(&Tx::pay(OWNER_A.address, GRANTEE.address, ether(1))).await;
    anvil.mine(1).await;
    let before = anvil.block("latest").await;
    let replacement = Tx::pay(OWNER_B.address, GRANTEE.address, ether(2));
    anvil.reorg(2, &[(replacement, 0)]).await;
    let after = anvil.block("latest").await;
    assert_eq!(before["number"], after["number"]);
    assert_ne!(before["hash"], after["hash"]);
    let gone = anvil.rpc("eth_getTransactionReceipt", json!([paid.transaction_hash])).await;
    assert!(gone.is_null(), "a transaction of a replaced block is in no block");
    let balance = anvil.balance(GRANTEE.address).await;
    assert_eq!(balance, ether(10_002), "the replacement is in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stopped_politely_comes_back_with_its_chain() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { state: Some(dir.path().join("state.json")), ..Options::default() };
    let mut anvil = Anvil::start_with(options).await;
    anvil.mine(5).await;
    let before = anvil.block("latest").await;
    anvil.stop();
    anvil.revive().await;
    assert_eq!(anvil.block("latest").await["hash"], before["hash"]);
    assert_eq!(anvil.block("0x2").await["number"], "0x2", "the past is there too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_refuses_connections_and_a_frozen_one_is_silent() {
    let mut anvil = Anvil::start().await;
    anvil.freeze();
    let patience = std::time::Duration::from_millis(300);
    let silence = tokio::time::timeout(patience, anvil.try_rpc("eth_chainId", json!([]))).await;
    assert!(silence.is_err(), "a frozen node answers nothing");
    anvil.thaw();
    assert_eq!(anvil.rpc("eth_chainId", json!([])).await, "0x7a69");

    anvil.kill();
    let connected = tokio::net::TcpStream::connect(("127.0.0.1", anvil.port())).await;
    // A connection to a port that is free may be one to itself.
    let is_there = connected.is_ok_and(|socket| socket.local_addr().ok() != socket.peer_addr().ok());
    assert!(!is_there, "a killed node is not there");
    anvil.revive().await;
    assert_eq!(anvil.block_number().await, 0, "a crash without state begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_reverts_is_mined_and_a_pending_one_waits_for_the_miner() {
    let anvil = Anvil::start_with(Options { no_mining: true, ..Options::default() }).await;
    let broken = hex!("60006000fd");
    let reverting = anvil.send(&Tx::create(DEPLOYER.address, broken)).await;
    let paying = anvil.send(&Tx::pay(OWNER_A.address, GRANTEE.address, ether(1))).await;
    assert!(anvil.rpc("eth_getTransactionReceipt", json!([paying])).await.is_null());
    anvil.mine(1).await;
    assert!(!anvil.receipt(reverting).await.succeeded());
    assert!(anvil.receipt(paying).await.succeeded());
}

#[tokio::test(flavor = "multi_thread")]
async fn safe_and_finalized_follow_the_epoch() {
    let anvil = Anvil::start_with(Options { slots_in_an_epoch: Some(3), ..Options::default() }).await;
    anvil.mine(10).await;
    assert_eq!(anvil.block("safe").await["number"], "0x7");
    assert_eq!(anvil.block("finalized").await["number"], "0x4");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_bytecode_lands_on_its_mainnet_addresses() {
    let anvil = Anvil::start().await;
    let mut found = Vec::new();
    for version in Version::ALL {
        let kit = Kit::deploy(&anvil, DEPLOYER.address, version).await;
        let direct = Tx::call(STRANGER.address, kit.multi_send, multi_send_calldata(&[]));
        assert!(!anvil.transact(&direct).await.succeeded(), "MultiSend {} is for delegatecalls alone", version.name());
        found.push([kit.singleton, kit.singleton_l2, kit.multi_send, kit.multi_send_call_only]);
    }
    // safe-deployments, network 1, "canonical" of each version.
    let mainnet = [
        ["34CfAC646f301356fAa8B21e94227e3583Fe3F5F", "34CfAC646f301356fAa8B21e94227e3583Fe3F5F"],
        ["8D29bE29923b68abfDD21e541b9374737B49cdAD", "8D29bE29923b68abfDD21e541b9374737B49cdAD"],
        ["d9Db270c1B5E3Bd161E8c8503c55cEABeE709552", "3E5c63644E683549055b9Be8653de26E0B4CD36E"],
        ["A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761", "40A2aCCbd92BCA938b02010E17A5b8929b49130D"],
        ["41675C099F32341bf84BFc5382aF534df5C7461a", "29fcB43b46531BcA003ddC8FCB67FFE91900C762"],
        ["38869bf66a61cF6bDB996A6aE40D5853Fd43B526", "9641d764fc13c8B624c04430C7356C1C7C8102e2"],
        ["Ff51A5898e281Db6DfC7855790607438dF2ca44b", "Edd160fEBBD92E350D4D398fb636302fccd67C7e"],
        ["218543288004CD07832472D464648173c77D7eB7", "A83c336B20401Af773B6219BA5027174338D1836"],
    ];
    let mainnet: Vec<Address> = mainnet.concat().into_iter().map(|address| address.parse().unwrap()).collect();
    assert_eq!(found.concat(), mainnet);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_of_every_version_agrees_with_us_on_the_hash_its_owners_sign() {
    let anvil = Anvil::start().await;
    for version in Version::ALL {
        let kit = Kit::deploy(&anvil, DEPLOYER.address, version).await;
        let safe = Safe::create(&anvil, DEPLOYER.address, kit, &[OWNER_A.address], 1, 7).await;
        let tx = SafeTx {
            base_gas: 3,
            gas_price: 4,
            gas_token: GRANTEE.address,
            refund_receiver: STRANGER.address,
            value: U256::from(5),
            ..SafeTx::delegate(RELAYER.address, hex!("01020304")).with_safe_tx_gas(2)
        };
        let asked = ISafe::getTransactionHashCall {
            to: tx.to,
            value: tx.value,
            data: tx.data.clone(),
            operation: 1,
            safeTxGas: U256::from(2),
            baseGas: U256::from(3),
            gasPrice: U256::from(4),
            gasToken: tx.gas_token,
            refundReceiver: tx.refund_receiver,
            nonce: U256::from(9),
        };
        let answer = anvil.call(safe.address, asked.abi_encode()).await;
        assert_eq!(safe.hash(&tx, 9).abi_encode(), answer.to_vec(), "Safe {}", version.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_of_every_version_takes_every_kind_of_signature() {
    let anvil = Anvil::start().await;
    let from = DEPLOYER.address;
    let parents = Kit::deploy(&anvil, from, Version::V1_4_1).await;
    let parent = Safe::create(&anvil, from, parents, &[OWNER_A.address, OWNER_B.address], 2, 1).await;
    for version in Version::ALL {
        let kit = Kit::deploy(&anvil, from, version).await;
        let owners = [OWNER_A.address, OWNER_B.address, OWNER_C.address, parent.address];
        let safe = Safe::create(&anvil, from, kit, &owners, 4, 2).await;
        anvil.succeed(&Tx::pay(from, safe.address, ether(10))).await;

        let tx = SafeTx::pay(GRANTEE.address, ether(1));
        let hash = safe.hash(&tx, safe.nonce(&anvil).await);
        let approve = ISafe::approveHashCall { hashToApprove: hash }.abi_encode();
        anvil.succeed(&Tx::call(OWNER_C.address, safe.address, approve)).await;
        let signers = [
            Signer::Key(OWNER_A),
            Signer::PersonalMessage(OWNER_B),
            Signer::Approved(OWNER_C.address),
            Signer::Contract(&parent, &[OWNER_A, OWNER_B]),
        ];
        safe.exec(&anvil, RELAYER, &tx, &signers).await;
        assert_eq!(anvil.balance(safe.address).await, ether(9), "Safe {} paid", version.name());

        let forged = safe.exec_calldata(&tx, 1, &[Signer::Key(STRANGER); 4]);
        let refused = anvil.transact(&Tx::call(RELAYER.address, safe.address, forged)).await;
        assert!(!refused.succeeded(), "Safe {} takes no stranger's signature", version.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_account_can_send_once_it_is_impersonated() {
    let anvil = Anvil::start().await;
    let nobody = Address::repeat_byte(0x77);
    anvil.impersonate(nobody).await;
    anvil.succeed(&Tx::pay(nobody, GRANTEE.address, U256::from(1))).await;
    assert_eq!(anvil.balance(ALL[7].address).await, ether(10_000) + U256::from(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_answers_as_scripted_and_remembers_every_request() {
    let inbox = Inbox::start().await;
    let http = reqwest_client();
    inbox.script([Answer::TooMany(7), Answer::Status(410), Answer::Body(500, "{\"why\":1}".into()), Answer::Close]);

    let first = http.post(inbox.url("/hook?a=b")).header("X-Test", "yes").body("{\"n\":1}").send().await.unwrap();
    assert_eq!(first.status(), 429);
    assert_eq!(first.headers()["retry-after"], "7");
    assert_eq!(http.post(inbox.url("/gone")).body("x").send().await.unwrap().status(), 410);
    let trouble = http.post(inbox.url("/")).body("y").send().await.unwrap();
    assert_eq!((trouble.status().as_u16(), trouble.text().await.unwrap()), (500, "{\"why\":1}".to_owned()));
    assert!(http.post(inbox.url("/")).body("z").send().await.is_err(), "closed without a word");
    assert_eq!(http.get(inbox.url("/")).send().await.unwrap().status(), 200, "200 after the script");

    let received = inbox.wait_for(5).await;
    assert_eq!((received[0].method.as_str(), received[0].path.as_str()), ("POST", "/hook?a=b"));
    assert_eq!(received[0].header("x-test"), Some("yes"));
    assert_eq!(received[0].json(), json!({ "n": 1 }));
    assert_eq!(received[1].body, b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_is_down_refuses_and_comes_back_on_its_port() {
    let mut inbox = Inbox::start().await;
    let (http, url) = (reqwest_client(), inbox.url("/"));
    inbox.script([Answer::Hang]);
    let hanging = tokio::spawn(http.post(&url).body("1").send());
    inbox.wait_for(1).await;
    inbox.stop();
    assert!(hanging.await.unwrap().is_err(), "going down breaks what was open");
    assert!(http.post(&url).body("2").send().await.is_err(), "down means refused");
    inbox.resume().await;
    assert_eq!(http.post(&url).body("3").send().await.unwrap().status(), 200);
    assert_eq!(inbox.received().len(), 2);
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
