//! A pool in which members stake and earn; a distributor adds rewards.

use super::abi::{IPool, IZap};
use super::life::{Life, Town, bytes};
use crate::support::abi::IToken;
use crate::support::accounts::{DEPLOYER, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C};
use crate::support::tokens::Token;
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolValue};

/// A reward is added on these days of the week.
const REWARD_DAYS: [u64; 2] = [0, 3];

pub(super) struct Pool {
    pub(super) address: Address,
    share: Token,
    reward: Token,
}

impl Pool {
    pub(super) async fn open(life: &mut Life, town: &Town) -> Self {
        let (share, reward, owner) = (town.share, town.reward, DEPLOYER.address);
        let code = life.makes("ProxiedPool", (share.address, reward.address).abi_encode_params()).await;
        let open = bytes(&IPool::openCall { owner, distributor: KEEPER.address });
        let address = life.makes("ERC1967Proxy", (code, open).abi_encode_params()).await;
        for member in [OWNER_A, OWNER_B, OWNER_C] {
            share.mint(&life.anvil, owner, member.address, share.units(100_000)).await;
            life.does(member, share.address, IToken::approveCall { spender: address, amount: U256::MAX }).await;
        }
        share.mint(&life.anvil, owner, town.relay, share.units(100_000)).await;
        let approve = IToken::approveCall { spender: address, amount: U256::MAX };
        life.passes(HOLDER, town.relay, share.address, approve).await;
        reward.mint(&life.anvil, owner, KEEPER.address, reward.units(100_000)).await;
        Self { address, share, reward }
    }

    pub(super) async fn day(&self, life: &mut Life, town: &Town, day: u64) {
        let (pool, units) = (self.address, |n| self.share.units(n));
        if REWARD_DAYS.contains(&day) {
            let amount = self.reward.units(7_000);
            life.does(KEEPER, self.reward.address, IToken::transferCall { to: pool, amount }).await;
            life.does(KEEPER, pool, IPool::notifyRewardAmountCall { reward: amount }).await;
        }
        life.does(OWNER_A, pool, IPool::stakeCall { amount: units(500) }).await;
        life.does(OWNER_B, pool, IPool::stakeCall { amount: units(300) }).await;
        life.passes(HOLDER, town.relay, pool, IPool::stakeCall { amount: units(200) }).await;
        life.does(OWNER_A, pool, IPool::withdrawCall { amount: units(100) }).await;
        life.does(OWNER_A, pool, IPool::getRewardCall {}).await;
        life.does(OWNER_B, pool, IPool::exitCall {}).await;
        life.passes(HOLDER, town.relay, pool, IPool::withdrawCall { amount: units(50) }).await;
        life.passes(HOLDER, town.relay, pool, IPool::getRewardCall {}).await;
        // Nothing is due to whoever staked nothing.
        life.does(HOLDER, pool, IPool::getRewardCall {}).await;
        let too_much = IPool::withdrawCall { amount: units(9_000) };
        life.fails(&Tx::call(OWNER_C.address, pool, too_much.abi_encode())).await;
        life.fails(&Tx::pay(OWNER_C.address, pool, U256::from(5))).await;
        life.does(HOLDER, pool, IPool::earnedCall { who: OWNER_A.address }).await;
        let question = bytes(&IPool::earnedCall { who: OWNER_A.address });
        life.does(HOLDER, town.zap, IZap::lookCall { at: pool, question }).await;
    }

    /// The owner takes out what stakers earned.
    pub(super) async fn theft(&self, life: &mut Life) -> Vec<B256> {
        let amount = self.reward.balance(&life.anvil, self.address).await;
        let taken = life.does(DEPLOYER, self.address, IPool::recoverERC20Call { token: self.reward.address, amount });
        vec![taken.await]
    }
}
