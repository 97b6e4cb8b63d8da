//! Many small watched accounts that pay bills. What is normal about them can be reckoned in ten lines, so that a test knows
//! without asking the program what it has to find, whatever becomes of the chain.

use alloy_primitives::{Address, U256, address};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::accounts::STRANGER;
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

/// The account of clerk number `n`.
pub(crate) fn clerk(n: usize) -> Address {
    Address::left_padding_from(&(0x00c1_e4c0_0000_u64 + n as u64).to_be_bytes())
}

/// The watchlist of `n` clerks, all on the path `treasury` of the chain `demo`.
pub(crate) fn watchlist(n: usize) -> String {
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
path = "treasury"

[[watch.normal]]
name = "bills"
act = "ether"
to = ["@shops"]
value = {{ max = "{BILL_MAX} ether" }}
limit = {{ sum = "value", max = "{PURSE_MAX} ether", per = "30d" }}
"#,
            clerk(n)
        ));
    }
    text
}

/// Gives `n` clerks ether, and buries that deeper than any reorg or rollback of these tests reaches: the node forgets with a
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
