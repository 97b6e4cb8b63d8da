//! Standing allowances, told at the start of the real program: who may take which token from a watch, and how much.

use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::tokens::{Token, approve};
use crate::support::watch::Watch;
use alloy_primitives::{Address, U256};
use serde_json::Value;
use std::time::Duration;

/// A loaded machine takes its time; longer means that nothing comes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn standing_allowances_of_listed_tokens_are_told_at_the_start() {
    let anvil = Anvil::start().await;
    let coin = Token::deploy_coin(&anvil, DEPLOYER.address, "USDC", 6, DEPLOYER.address).await;
    let unlisted = Token::deploy_coin(&anvil, DEPLOYER.address, "DUST", 18, DEPLOYER.address).await;
    let lets = async |token: &Token, spender: Address, amount: U256| {
        anvil.succeed(&Tx::call(OWNER_A.address, token.address, approve(spender, amount))).await;
    };
    lets(&coin, STRANGER.address, coin.units(1_000)).await;
    lets(&coin, KEEPER.address, U256::MAX).await;
    // Given, and taken back since.
    lets(&coin, GRANTEE.address, coin.units(5)).await;
    lets(&coin, GRANTEE.address, U256::ZERO).await;
    // Of a token that is not listed, and that this program never saw it use.
    lets(&unlisted, STRANGER.address, unlisted.units(1)).await;
    anvil.mine(1).await;
    let list = format!(
        "[token.USDC]\nchain = \"local\"\naddress = \"{}\"\ndecimals = 6\n[name]\n\"{}\" = \"Exchange\"\n\
         [[watch]]\nlabel = \"Key\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"eoa\"\npurpose = \"Pays\"\npath = \"treasury\"\n",
        coin.address, KEEPER.address, OWNER_A.address
    );
    let watch = Watch::local(&format!("\"{}\"", anvil.ws_url()), "clock = \"chain\"\nslot = \"1s\"", &list);
    let process = watch.start(&["run"]);
    let exposures = |lines: &[Value]| {
        let lines = lines.iter().filter(|line| line["type"] == "exposure");
        let mut told: Vec<_> = lines
            .map(|line| {
                assert_eq!((&line["watch"], &line["token"]), (&"Key".into(), &coin.address.to_checksum(None).into()));
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                (text("spender"), text("amount"), text("amount_human"))
            })
            .collect();
        told.sort();
        told
    };
    let mut expected = vec![
        (STRANGER.address.to_checksum(None), coin.units(1_000).to_string(), "1,000 USDC".to_owned()),
        (KEEPER.address.to_checksum(None), U256::MAX.to_string(), "any amount of USDC".to_owned()),
    ];
    expected.sort();
    let wait = async {
        while exposures(&watch.answers()) != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "{:?}\n{}", exposures(&watch.answers()), watch.log());
    process.end().await;
    // They can be asked for at any time as well.
    let asked = tokio::task::block_in_place(|| watch.run(&["drift"]));
    assert_eq!(exposures(&asked.lines), expected, "{}", asked.stderr);
}
