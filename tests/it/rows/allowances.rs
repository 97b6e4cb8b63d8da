//! Allowances that are used: a token that logs again what is left of one, and logs that look like that and say something else.

use super::{CaseChain, Row, calldata, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, STRANGER};
use crate::support::contracts::deploy;
use crate::support::tokens::approve;
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolValue;
use watchfire::model::Severity::{Critical, High};

pub(super) const ROWS: &[&Row] = &[&A1, &A2, &A3];

/// A token that logs what is left, its holder, and a vault that pulls what it was allowed.
struct Scene {
    stage: CaseChain,
    coin: Address,
    vault: Address,
}

fn coins(n: u64) -> U256 {
    U256::from(n) * U256::from(10).pow(U256::from(18))
}

impl Scene {
    /// `behind`: what is left is logged behind the transfer. The vault may take `allowed`, and so may the keeper take three coins.
    async fn new(behind: bool, traces: bool, allowed: U256) -> Self {
        let mut stage = CaseChain::new().await;
        stage.trace(traces);
        let coin = deploy(&stage.anvil, DEPLOYER.address, "CountingCoin", (OWNER_A.address, behind).abi_encode()).await;
        let vault = deploy(&stage.anvil, DEPLOYER.address, "Puller", []).await;
        stage.send(OWNER_A.address, coin, approve(vault, allowed)).await;
        stage.send(OWNER_A.address, coin, approve(KEEPER.address, coins(3))).await;
        stage.begin().await;
        Self { stage, coin, vault }
    }

    /// The holder may lose coins to the vault and to the grantee, and calls the vault.
    fn rules(&self) -> String {
        let (coin, vault, grantee) = (self.coin, self.vault, GRANTEE.address);
        format!("[token.COUNT]\nchain = \"demo\"\naddress = \"{coin}\"\ndecimals = 18\n")
            + &watch(
                "eoa",
                OWNER_A.address,
                &format!(
                    "[[watch.normal]]\nname = \"pulls\"\nmove = \"out\"\nargs = {{ to = {{ in = [\"{vault}\", \"{grantee}\"] }} }}\n\
                     [[watch.normal]]\nname = \"lends\"\nact = \"pull(address coin, address from, uint256 amount)\"\nto = [\"{vault}\"]\n\
                     [[watch.normal]]\nname = \"lends twice\"\nact = \"pullTwice(address coin, address from, uint256 first, uint256 second)\"\n\
                     to = [\"{vault}\"]\n"
                ),
            )
    }

    /// Somebody has the vault pull coins of the holder, once or twice.
    async fn pull(&self, from: Address, amounts: &[U256]) {
        let call = match amounts {
            [one] => calldata("pull(address,address,uint256)", (self.coin, OWNER_A.address, *one).abi_encode_params()),
            [first, second] => calldata(
                "pullTwice(address,address,uint256,uint256)",
                (self.coin, OWNER_A.address, *first, *second).abi_encode_params(),
            ),
            _ => panic!("once or twice"),
        };
        self.stage.send(from, self.vault, call).await;
    }

    /// The token moves `amount` of the holder to the grantee, and logs that `spender` is allowed so much from now on.
    async fn seize(&self, spender: Address, amount: U256, allowed: U256) {
        let arguments = (OWNER_A.address, spender, GRANTEE.address, amount, allowed).abi_encode_params();
        self.stage
            .send(STRANGER.address, self.coin, calldata("seize(address,address,address,uint256,uint256)", arguments))
            .await;
    }
}

/// A token that logs it behind the transfer and one that logs it before, each on a node that traces and on one that does not.
const WAYS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

const A1: Row = Row {
    id: "A1",
    finds: "a token logs a larger allowance beside a transfer than what that left of it",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "what is left of an allowance, behind the transfer that used it or before it, with traces and without, once or twice in one call",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_is_larger_than_what_is_left() {
    for (behind, traces) in WAYS {
        for allowed in [U256::MAX, coins(1_000)] {
            let mut scene = Scene::new(behind, traces, allowed).await;
            // By the holder's own call, and by somebody else's.
            for from in [OWNER_A.address, STRANGER.address] {
                scene.pull(from, &[coins(7)]).await;
                scene.pull(from, &[coins(5), coins(6)]).await;
            }
            scene.stage.is_quiet(&A1, &scene.rules()).await;
            scene.stage.begin().await;
            scene.seize(scene.vault, coins(1), U256::MAX).await;
            scene.stage.finds(&A1, &scene.rules()).await;
        }
    }
}

const A2: Row = Row {
    id: "A2",
    finds: "a token logs beside a transfer that somebody else may take something",
    by: "builtin/outflow",
    severity: High,
    incidents: 1,
    beside: "the spender who was allowed it, as much less as was taken",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_is_somebody_else_s() {
    for traces in [true, false] {
        let mut scene = Scene::new(true, traces, coins(1_000)).await;
        scene.seize(KEEPER.address, coins(1), coins(2)).await;
        scene.stage.is_quiet(&A2, &scene.rules()).await;
        for (spender, amount, allowed) in [
            // Nothing was allowed him.
            (STRANGER.address, 1, 1),
            // Two were, and this is more; as much as before; less, and not by what was taken.
            (KEEPER.address, 1, 9),
            (KEEPER.address, 1, 9),
            (KEEPER.address, 1, 7),
            (scene.vault, 1, 998),
        ] {
            scene.stage.begin().await;
            scene.seize(spender, coins(amount), coins(allowed)).await;
            scene.stage.finds(&A2, &scene.rules()).await;
        }
    }
}

const A3: Row = Row {
    id: "A3",
    finds: "an allowance is used for somebody who is not listed: one finding, and what is left of the allowance is none",
    by: "builtin/outflow",
    severity: High,
    incidents: 1,
    beside: "the same for one who is",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_is_used_by_somebody_unlisted() {
    for (behind, traces) in WAYS {
        let mut scene = Scene::new(behind, traces, U256::MAX).await;
        scene.pull(OWNER_A.address, &[coins(7)]).await;
        scene.stage.is_quiet(&A3, &scene.rules()).await;
        scene.stage.begin().await;
        let take = |to: Address, n: u64| {
            calldata("transferFrom(address,address,uint256)", (OWNER_A.address, to, coins(n)).abi_encode_params())
        };
        scene.stage.send(KEEPER.address, scene.coin, take(STRANGER.address, 1)).await;
        let seen = scene.stage.finds(&A3, &scene.rules()).await;
        assert_eq!(seen.findings.len(), 1, "{:#?}", seen.findings);
    }
}
