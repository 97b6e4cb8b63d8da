//! Many small watched accounts that pay bills. What is normal about them can be reckoned in ten lines, so that a test knows
//! without asking the program what it has to find, whatever becomes of the chain.

use alloy_primitives::{Address, U256, address};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{ALL, STRANGER};
use super::anvil::{Anvil, Tx};

/// Who may be paid.
pub(crate) const SHOPS: [Address; 2] =
    [address!("0000000000000000000000000000000000540001"), address!("0000000000000000000000000000000000540002")];
/// Most that one bill may be, in ether.
const BILL_MAX: u64 = 2;
/// Most that one clerk may pay in thirty days, in ether: more than any test lasts.
const PURSE_MAX: u64 = 5;
/// Gas of a payment to an account without code.
const GAS_PAY: u64 = 21_000;

/// Accounts of the test mnemonic behind those that have a part of their own (`accounts::ALL`). The node has their keys: what it
/// sends for an account without one carries no signature, and no block with it holds against its own hash.
const CLERKS: [Address; 24] = [
    address!("FABB0ac9d68B0B445fB7357272Ff202C5651694a"),
    address!("1CBd3b2770909D4e10f157cABC84C7264073C9Ec"),
    address!("dF3e18d64BC6A983f673Ab319CCaE4f1a57C7097"),
    address!("cd3B766CCDd6AE721141F452C550Ca635964ce71"),
    address!("2546BcD3c84621e976D8185a91A922aE77ECEc30"),
    address!("bDA5747bFD65F08deb54cb465eB87D40e51B197E"),
    address!("dD2FD4581271e230360230F9337D5c0430Bf44C0"),
    address!("8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199"),
    address!("09DB0a93B389bEF724429898f539AEB7ac2Dd55f"),
    address!("02484cb50AAC86Eae85610D6f4Bf026f30f6627D"),
    address!("08135Da0A343E492FA2d4282F2AE34c6c5CC1BbE"),
    address!("5E661B79FE2D3F6cE70F5AAC07d8Cd9abb2743F1"),
    address!("61097BA76cD906d2ba4FD106E757f7Eb455fc295"),
    address!("Df37F81dAAD2b0327A0A50003740e1C935C70913"),
    address!("553BC17A05702530097c3677091C5BB47a3a7931"),
    address!("87BdCE72c06C21cd96219BD8521bDF1F42C78b5e"),
    address!("40Fc963A729c542424cD800349a7E4Ecc4896624"),
    address!("9DCCe783B6464611f38631e6C851bf441907c710"),
    address!("1BcB8e569EedAb4668e55145Cfeaf190902d3CF2"),
    address!("8263Fce86B1b78F95Ab4dae11907d8AF88f841e7"),
    address!("cF2d5b3cBb4D7bF04e3F7bFa8e27081B52191f91"),
    address!("86c53Eb85D0B7548fea5C4B4F82b4205C8f6Ac18"),
    address!("1aac82773CB722166D7dA0d5b0FA35B0307dD99D"),
    address!("2f4f06d218E426344CFE1A83D53dAd806994D325"),
];

/// How many accounts a node with clerks has to unlock.
pub(crate) const ACCOUNTS: usize = ALL.len() + CLERKS.len();

/// The account of clerk number `n`; there are 24.
pub(crate) fn clerk(n: usize) -> Address {
    CLERKS[n]
}

/// The watchlist of `n` clerks of the chain `demo`, who share `paths` in turn.
pub(crate) fn watchlist(n: usize, paths: &[String]) -> String {
    let shops = SHOPS.map(|shop| format!("{:?}", shop.to_string())).join(", ");
    let mut text = format!("[set]\nshops = [{shops}]\n");
    for n in 0..n {
        text.push_str(&format!(
            r#"
[[watch]]
label = "Clerk {n:02}"
chain = "demo"
address = "{}"
kind = "eoa"
purpose = "Pays small bills"
path = "{}"

[[watch.normal]]
name = "bills"
act = "ether"
to = ["@shops"]
value = {{ max = "{BILL_MAX} ether" }}
limit = {{ sum = "value", max = "{PURSE_MAX} ether", per = "30d" }}
"#,
            clerk(n),
            paths[n % paths.len()]
        ));
    }
    text
}

/// Gives `n` clerks the same ether each, and buries that deeper than any reorg or rollback of these tests reaches: the node forgets with a
/// block what was set in it.
pub(crate) async fn hire(anvil: &Anvil, n: usize) {
    for n in 0..n {
        anvil.set_balance(clerk(n), U256::from(10).pow(U256::from(21))).await;
    }
    anvil.mine(12).await;
}

/// Clerk `n` pays `ether` as its transaction number `nonce`.
pub(crate) fn bill(n: usize, to: Address, ether: u64, nonce: u64) -> Tx {
    let value = U256::from(ether) * U256::from(10).pow(U256::from(18));
    Tx { gas: GAS_PAY, ..Tx::pay(clerk(n), to, value) }.numbered(nonce)
}

/// A bill nobody vouches for: ether for the stranger.
pub(crate) fn theft(n: usize, nonce: u64) -> Tx {
    bill(n, STRANGER.address, 1, nonce)
}

/// Mines one block that holds these transactions and nothing else. Mining for each transaction has to be off.
pub(crate) async fn mine(anvil: &Anvil, txs: &[Tx]) {
    for tx in txs {
        anvil.rpc("eth_sendTransaction", json!([tx.json()])).await;
    }
    anvil.mine(1).await;
}

/// Which transactions of the node's own chain are abnormal: brute force over whole blocks, by what a clerk may do.
pub(crate) async fn reckon(anvil: &Anvil, n_clerks: usize, first: u64) -> BTreeSet<String> {
    let clerks: BTreeSet<Address> = (0..n_clerks).map(clerk).collect();
    let ether = |n: u64| U256::from(n) * U256::from(10).pow(U256::from(18));
    let mut purses: BTreeMap<Address, U256> = BTreeMap::new();
    let mut abnormal = BTreeSet::new();
    for number in first..=anvil.block_number().await {
        let block = anvil.whole_block(number).await;
        for tx in block["transactions"].as_array().into_iter().flatten() {
            let party = |key: &str| -> Address { serde_json::from_value(tx[key].clone()).unwrap_or_default() };
            let from = party("from");
            if !clerks.contains(&from) {
                continue;
            }
            let value: U256 = serde_json::from_value(tx["value"].clone()).expect("a number");
            let purse = purses.entry(from).or_default();
            if SHOPS.contains(&party("to")) && value <= ether(BILL_MAX) && *purse + value <= ether(PURSE_MAX) {
                *purse += value;
            } else {
                abnormal.insert(text(&tx["hash"]));
            }
        }
    }
    abnormal
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}
