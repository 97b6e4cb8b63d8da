//! A token that votes: holders send, allow, permit, delegate and burn; one minter makes some every day.

use super::abi::{IVoice, IZap};
use super::life::{Life, Town, bytes};
use crate::support::abi::IToken;
use crate::support::accounts::{DEPLOYER, GRANTEE, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C, STRANGER};
use crate::support::treasury::ether;
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolValue};

pub(super) struct Voice {
    pub(super) address: Address,
}

impl Voice {
    pub(super) async fn open(life: &mut Life, town: &Town) -> Self {
        let arguments = (DEPLOYER.address, KEEPER.address).abi_encode_params();
        let address = life.makes("Voice", arguments).await;
        for holder in [OWNER_A.address, OWNER_B.address, OWNER_C.address, HOLDER.address, town.relay] {
            life.does(DEPLOYER, address, IToken::transferCall { to: holder, amount: ether(50_000) }).await;
        }
        // Nobody who delegates to them later doubles what they have.
        life.does(DEPLOYER, address, IToken::transferCall { to: OWNER_A.address, amount: ether(200_000) }).await;
        for voter in [DEPLOYER, OWNER_A] {
            life.does(voter, address, IVoice::delegateCall { delegatee: voter.address }).await;
        }
        // An allowance that stands.
        life.does(OWNER_B, address, IToken::approveCall { spender: OWNER_C.address, amount: U256::MAX }).await;
        Self { address }
    }

    pub(super) async fn day(&self, life: &mut Life, town: &Town, day: u64) {
        let voice = self.address;
        life.does(OWNER_A, voice, IToken::transferCall { to: HOLDER.address, amount: ether(40) }).await;
        life.does(HOLDER, voice, IToken::approveCall { spender: OWNER_A.address, amount: ether(30) }).await;
        let take = IToken::transferFromCall { from: HOLDER.address, to: OWNER_A.address, amount: ether(20) };
        life.does(OWNER_A, voice, take).await;
        let take = IToken::transferFromCall { from: OWNER_B.address, to: GRANTEE.address, amount: ether(5) };
        life.does(OWNER_C, voice, take).await;

        let by = life.permit(voice, OWNER_B, OWNER_A.address, ether(9)).await;
        life.does(STRANGER, voice, by).await;
        let by = life.permit(voice, OWNER_C, OWNER_A.address, ether(9)).await;
        life.passes(STRANGER, town.relay, voice, by).await;
        let away = IToken::transferCall { to: OWNER_B.address, amount: ether(11) };
        life.passes(HOLDER, town.relay, voice, away).await;

        let delegatee = if day.is_multiple_of(2) { OWNER_A.address } else { OWNER_C.address };
        life.does(OWNER_C, voice, IVoice::delegateCall { delegatee }).await;
        life.does(OWNER_B, voice, IVoice::burnCall { value: ether(2) }).await;
        life.does(OWNER_C, voice, IVoice::burnFromCall { account: OWNER_B.address, value: ether(1) }).await;
        life.passes(HOLDER, town.relay, voice, IVoice::burnCall { value: ether(1) }).await;
        life.does(KEEPER, voice, IToken::mintCall { to: GRANTEE.address, amount: ether(500) }).await;

        let too_much = IToken::transferCall { to: OWNER_A.address, amount: ether(9_000_000) };
        life.fails(&Tx::call(HOLDER.address, voice, too_much.abi_encode())).await;
        let too_much = IToken::transferFromCall { from: HOLDER.address, to: GRANTEE.address, amount: ether(900) };
        life.fails(&Tx::call(GRANTEE.address, voice, too_much.abi_encode())).await;
        life.fails(&Tx::pay(HOLDER.address, voice, U256::from(5))).await;
        // Nothing of somebody else's: what poisons the histories of holders.
        let nothing = IToken::transferFromCall { from: HOLDER.address, to: STRANGER.address, amount: U256::ZERO };
        life.does(STRANGER, voice, nothing).await;

        life.does(HOLDER, voice, IVoice::totalSupplyCall {}).await;
        let question = bytes(&IVoice::getVotesCall { account: OWNER_A.address });
        life.does(HOLDER, town.zap, IZap::lookCall { at: voice, question }).await;
        // Its own tokens, sent to the token itself by mistake.
        life.does(HOLDER, voice, IToken::transferCall { to: voice, amount: ether(1) }).await;
    }

    /// Somebody has the minter's key.
    pub(super) async fn theft(&self, life: &mut Life) -> Vec<B256> {
        let mint = IToken::mintCall { to: STRANGER.address, amount: ether(600) };
        vec![life.does(KEEPER, self.address, mint).await]
    }
}
