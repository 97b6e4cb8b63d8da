//! A vesting wallet of ether and a token, from which anybody releases what is due.

use super::abi::{ITokenRelease, IZap};
use super::life::{Life, Town, bytes};
use crate::support::abi::{IAccess, IToken, IVesting};
use crate::support::accounts::{DEPLOYER, GRANTEE, HOLDER, STRANGER, SUPPLIER};
use crate::support::tokens::Token;
use crate::support::treasury::ether;
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolValue, sol};

/// Days over which it pays, in seconds; a third of it is over when the week begins.
const VESTED: u64 = 90 * 86_400;

sol! {
    interface IReleasable {
        function releasable();
    }
}

pub(super) struct Vesting {
    pub(super) address: Address,
    reward: Token,
}

impl Vesting {
    pub(super) async fn open(life: &mut Life, town: &Town) -> Self {
        let began = life.anvil.now().await - VESTED / 3;
        let address = life.makes("VestingWallet", (GRANTEE.address, began, VESTED).abi_encode_params()).await;
        let reward = town.reward;
        life.sends(&Tx::pay(DEPLOYER.address, address, ether(90))).await;
        reward.mint(&life.anvil, DEPLOYER.address, address, reward.units(9_000)).await;
        // What was due long ago was released long ago.
        life.does(SUPPLIER, address, IVesting::releaseCall {}).await;
        life.does(SUPPLIER, address, ITokenRelease::releaseCall { token: reward.address }).await;
        Self { address, reward }
    }

    pub(super) async fn day(&self, life: &mut Life, town: &Town) {
        let (vesting, token) = (self.address, self.reward.address);
        life.does(GRANTEE, vesting, IVesting::releaseCall {}).await;
        life.does(STRANGER, vesting, ITokenRelease::releaseCall { token }).await;
        life.passes(HOLDER, town.relay, vesting, IVesting::releaseCall {}).await;
        life.passes(HOLDER, town.relay, vesting, ITokenRelease::releaseCall { token }).await;
        // More is put in.
        life.sends(&Tx::pay(DEPLOYER.address, vesting, ether(1))).await;
        let more = IToken::mintCall { to: vesting, amount: self.reward.units(10) };
        life.does(DEPLOYER, token, more).await;
        let question = bytes(&IReleasable::releasableCall {});
        life.does(HOLDER, town.zap, IZap::lookCall { at: vesting, question }).await;
    }

    /// The beneficiary's key makes somebody else the beneficiary.
    pub(super) async fn theft(&self, life: &mut Life) -> Vec<B256> {
        let hand_over = IAccess::transferOwnershipCall { newOwner: STRANGER.address };
        let handed = life.does(GRANTEE, self.address, hand_over).await;
        let released = life.does(STRANGER, self.address, IVesting::releaseCall {}).await;
        vec![handed, released]
    }
}
