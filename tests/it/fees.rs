//! Fees that a node does not say, or says of its own: no theft hides behind them, and no fee is taken for one.

use crate::support::accounts::{PAYER, STRANGER};
use crate::support::altered_node::Twisted;
use crate::support::anvil::Anvil;
use crate::support::tx::Tx;
use crate::support::watch::{Answers, Watch};
use alloy_primitives::U256;
use serde_json::{Value, json};

/// What is done to each receipt on its way.
type Bend = fn(&mut Value);

/// A payment that a rule vouches for, in a block in which `gone` wei vanish beside it; the receipts are bent.
async fn paid(gone: U256, bend: Bend) -> Answers {
    let anvil = Anvil::start().await;
    let glass = Twisted::start(&anvil).await;
    glass.twist(move |method, _, answer| match method {
        "eth_getBlockReceipts" => answer["result"].as_array_mut().into_iter().flatten().for_each(bend),
        "eth_getTransactionReceipt" => bend(&mut answer["result"]),
        _ => {}
    });
    let watchlist = format!(
        r#"
[[watch]]
label = "Payer"
chain = "local"
address = "{}"
kind = "eoa"
purpose = "Pays a friend"
path = "treasury"
[[watch.normal]]
name = "pays"
act = "ether"
to = ["{}"]
"#,
        PAYER.address, STRANGER.address
    );
    let watch = Watch::local(&format!("\"{}\"", glass.url()), "", &watchlist);
    let begun = anvil.block_number().await + 1;
    // What is set now stands in the state of the block before the payment, which nobody looks at.
    anvil.mine(2).await;
    let held = anvil.balance(PAYER.address).await;
    anvil.set_balance(PAYER.address, held - gone).await;
    anvil.succeed(&Tx::pay(PAYER.address, STRANGER.address, U256::from(1_000))).await;
    anvil.mine(1).await;
    let (from, until) = (begun.to_string(), anvil.block_number().await.to_string());
    tokio::task::block_in_place(|| watch.run(&["run", "--from-block", &from, "--until-block", &until]))
}

fn ether(n: u64) -> U256 {
    U256::from(n) * U256::from(10).pow(U256::from(18))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_theft_hides_behind_a_fee_that_is_not_said_or_not_true() {
    let bends: [(&str, Bend); 4] = [
        ("as it is", |_| ()),
        ("without a price", |receipt| {
            receipt.as_object_mut().map(|receipt| receipt.remove("effectiveGasPrice"));
        }),
        ("at a price that nobody signed", |receipt| receipt["effectiveGasPrice"] = json!("0x12f939c99edab80000")),
        ("with a fee for data that nothing bears out", |receipt| receipt["l1Fee"] = json!("0x6124fee993bc0000")),
    ];
    for (name, bend) in bends {
        let found = paid(ether(7), bend).await;
        assert_eq!(found.findings(), ["Payer critical builtin/outflow balance"], "{name}: {:#?}", found.lines);
        let quiet = paid(U256::ZERO, bend).await;
        assert_eq!(quiet.findings(), [""; 0], "{name}: {:#?}", quiet.lines);
    }
    let unsaid = paid(ether(7), bends[1].1).await;
    assert!(unsaid.stderr.contains("lack effectiveGasPrice"), "{}", unsaid.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rollup_charges_beside_gas_is_a_fee() {
    let bend: Bend = |receipt| {
        receipt["l1Fee"] = json!("0x1000");
        receipt["operatorFeeScalar"] = json!("0x0");
        receipt["operatorFeeConstant"] = json!("0x500");
    };
    let quiet = paid(U256::from(0x1500), bend).await;
    assert_eq!(quiet.findings(), [""; 0], "{:#?}", quiet.lines);
    let more = paid(U256::from(0x1501), bend).await;
    assert_eq!(more.findings(), ["Payer critical builtin/outflow balance"], "{:#?}", more.lines);
}
