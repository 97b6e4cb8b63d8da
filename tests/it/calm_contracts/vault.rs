//! A vault that lends through a strategy (ERC-4626): members come and go by themselves, through a router with permits and allowances, and
//! through wallets; a keeper harvests.

use super::abi::{IPermit, IStrategy, IVault, IZap, Signature};
use super::life::{Life, Town, bytes};
use crate::support::abi::IToken;
use crate::support::accounts::{DEPLOYER, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C, PAYER, STRANGER};
use crate::support::tokens::Token;
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolValue};

pub(super) struct Vault {
    pub(super) address: Address,
    strategy: Address,
    dollar: Token,
}

impl Vault {
    pub(super) async fn open(life: &mut Life, town: &Town) -> Self {
        let (owner, dollar) = (DEPLOYER.address, town.dollar);
        let arguments = (dollar.address, owner, KEEPER.address).abi_encode_params();
        let address = life.makes("YieldVault", arguments).await;
        let strategy = life.makes("Strategy", (owner, dollar.address, address).abi_encode_params()).await;
        life.does(DEPLOYER, address, IVault::setStrategyCall { strategy }).await;
        for member in [OWNER_A, OWNER_B, OWNER_C, HOLDER, PAYER] {
            dollar.mint(&life.anvil, owner, member.address, dollar.units(1_000_000)).await;
            life.does(member, dollar.address, IToken::approveCall { spender: address, amount: U256::MAX }).await;
        }
        dollar.mint(&life.anvil, owner, town.relay, dollar.units(1_000_000)).await;
        let approve = IToken::approveCall { spender: address, amount: U256::MAX };
        life.passes(HOLDER, town.relay, dollar.address, approve).await;
        // Somebody has been in it for long.
        life.does(PAYER, address, IVault::depositCall { assets: dollar.units(300_000), receiver: PAYER.address }).await;
        life.does(KEEPER, address, IVault::harvestCall {}).await;
        Self { address, strategy, dollar }
    }

    pub(super) async fn day(&self, life: &mut Life, town: &Town) {
        let (vault, units) = (self.address, |n| self.dollar.units(n));
        life.does(OWNER_A, vault, IVault::depositCall { assets: units(900), receiver: OWNER_A.address }).await;
        life.does(OWNER_B, vault, IVault::mintCall { shares: units(700), receiver: OWNER_C.address }).await;
        self.goes_through_a_router(life, town).await;
        self.goes_through_a_wallet(life, town).await;
        life.does(KEEPER, vault, IVault::harvestCall {}).await;

        life.does(OWNER_A, vault, IToken::transferCall { to: HOLDER.address, amount: units(50) }).await;
        life.does(OWNER_A, vault, IToken::approveCall { spender: OWNER_B.address, amount: units(100) }).await;
        let take = IToken::transferFromCall { from: OWNER_A.address, to: OWNER_C.address, amount: units(60) };
        life.does(OWNER_B, vault, take).await;

        let (receiver, owner) = (OWNER_A.address, OWNER_A.address);
        life.does(OWNER_A, vault, IVault::withdrawCall { assets: units(300), receiver, owner }).await;
        let (receiver, owner) = (OWNER_B.address, OWNER_C.address);
        life.does(OWNER_C, vault, IVault::redeemCall { shares: units(200), receiver, owner }).await;
        // More than anybody has, and ether that it does not take.
        let (receiver, owner) = (HOLDER.address, HOLDER.address);
        let too_much = IVault::withdrawCall { assets: units(9_000_000), receiver, owner };
        life.fails(&Tx::call(HOLDER.address, vault, too_much.abi_encode())).await;
        life.fails(&Tx::pay(HOLDER.address, vault, U256::from(5))).await;

        life.does(HOLDER, vault, IVault::totalAssetsCall {}).await;
        let question = bytes(&IVault::previewDepositCall { assets: units(1) });
        life.does(HOLDER, town.zap, IZap::lookCall { at: vault, question }).await;
        let data = bytes(&IVault::totalAssetsCall {});
        life.does(HOLDER, town.relay, super::abi::IRelay::makeCall { to: vault, data }).await;
        // A member pays in by mistake.
        life.does(HOLDER, self.dollar.address, IToken::transferCall { to: vault, amount: units(1) }).await;
    }

    async fn goes_through_a_router(&self, life: &mut Life, town: &Town) {
        let (vault, zap, units) = (self.address, town.zap, |n| self.dollar.units(n));
        let by = life.permit(self.dollar.address, HOLDER, zap, units(800)).await;
        life.does(HOLDER, zap, IZap::enterCall { vault, assets: units(800), by: signature(&by) }).await;
        let by = life.permit(vault, HOLDER, zap, units(250)).await;
        life.does(HOLDER, zap, IZap::leaveCall { vault, shares: units(250), by: signature(&by) }).await;
        life.does(PAYER, vault, IToken::approveCall { spender: zap, amount: units(100) }).await;
        life.does(PAYER, zap, IZap::leaveByAllowanceCall { vault, shares: units(100) }).await;
        // Somebody else brings what a member signed.
        let by = life.permit(vault, OWNER_C, OWNER_B.address, units(10)).await;
        life.does(STRANGER, vault, by).await;
    }

    async fn goes_through_a_wallet(&self, life: &mut Life, town: &Town) {
        let (vault, relay, units) = (self.address, town.relay, |n| self.dollar.units(n));
        life.passes(HOLDER, relay, vault, IVault::depositCall { assets: units(400), receiver: relay }).await;
        let leave = IVault::withdrawCall { assets: units(150), receiver: relay, owner: relay };
        life.passes(HOLDER, relay, vault, leave).await;
    }

    /// Whoever runs the strategy asks for everything at the next harvest, and leaves with it.
    pub(super) async fn theft(&self, life: &mut Life) -> Vec<B256> {
        life.does(DEPLOYER, self.strategy, IStrategy::turnCall {}).await;
        let harvest = life.does(KEEPER, self.address, IVault::harvestCall {}).await;
        life.does(DEPLOYER, self.strategy, IStrategy::leaveCall { to: STRANGER.address }).await;
        vec![harvest]
    }
}

fn signature(by: &IPermit::permitCall) -> Signature {
    Signature { deadline: by.deadline, v: by.v, r: by.r, s: by.s }
}
