//! Tokens: an OpenZeppelin ERC-20, one with the oldest stablecoin's habits, and MiniMe. Amounts are in the smallest unit.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};

use super::abi::{IMiniMe, IToken};
use super::anvil::{Anvil, Tx};
use super::contracts::deploy;

/// One deployed token of any of the three kinds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) address: Address,
    pub(crate) decimals: u8,
}

impl Token {
    /// OpenZeppelin's ERC-20, owned by `owner`, which may mint and pause.
    pub(crate) async fn deploy_coin(anvil: &Anvil, from: Address, symbol: &str, decimals: u8, owner: Address) -> Self {
        let name = format!("{symbol} coin");
        let arguments = (name, symbol.to_owned(), U256::from(decimals), owner).abi_encode_params();
        Self { address: deploy(anvil, from, "Coin", arguments).await, decimals }
    }

    /// Six decimals, no return values, a blacklist.
    pub(crate) async fn deploy_old_coin(anvil: &Anvil, from: Address, owner: Address) -> Self {
        Self { address: deploy(anvil, from, "OldCoin", owner.abi_encode()).await, decimals: 6 }
    }

    /// MiniMe with 18 decimals; its controller is `from`, who may generate tokens.
    pub(crate) async fn deploy_minime(anvil: &Anvil, from: Address, symbol: &str) -> Self {
        let factory = deploy(anvil, from, "MiniMeTokenFactory", []).await;
        let parent = Address::ZERO;
        let name = format!("{symbol} network token");
        let symbol = symbol.to_owned();
        let arguments = (factory, parent, U256::ZERO, name, U256::from(18), symbol, true).abi_encode_params();
        Self { address: deploy(anvil, from, "MiniMeToken", arguments).await, decimals: 18 }
    }

    /// `n` whole tokens in the smallest unit.
    pub(crate) fn units(&self, n: u64) -> U256 {
        U256::from(n) * U256::from(10).pow(U256::from(self.decimals))
    }

    /// Makes tokens for `to` as the ERC-20's owner.
    pub(crate) async fn mint(&self, anvil: &Anvil, owner: Address, to: Address, amount: U256) {
        anvil.succeed(&Tx::call(owner, self.address, IToken::mintCall { to, amount }.abi_encode())).await;
    }

    /// Makes tokens for `to` as MiniMe's controller.
    pub(crate) async fn generate(&self, anvil: &Anvil, controller: Address, to: Address, amount: U256) {
        let call = IMiniMe::generateTokensCall { owner: to, amount };
        anvil.succeed(&Tx::call(controller, self.address, call.abi_encode())).await;
    }

    pub(crate) async fn balance(&self, anvil: &Anvil, owner: Address) -> U256 {
        self.number(anvil, IToken::balanceOfCall { owner }.abi_encode()).await
    }

    pub(crate) async fn allowance(&self, anvil: &Anvil, owner: Address, spender: Address) -> U256 {
        self.number(anvil, IToken::allowanceCall { owner, spender }.abi_encode()).await
    }

    pub(crate) async fn total_supply(&self, anvil: &Anvil) -> U256 {
        self.number(anvil, IToken::totalSupplyCall {}.abi_encode()).await
    }

    async fn number(&self, anvil: &Anvil, data: Vec<u8>) -> U256 {
        U256::abi_decode(&anvil.call(self.address, data).await).expect("a number")
    }
}

/// Calldata of `transfer(to, amount)`.
pub(crate) fn transfer(to: Address, amount: U256) -> Bytes {
    IToken::transferCall { to, amount }.abi_encode().into()
}

/// Calldata of `transferFrom(from, to, amount)`.
pub(crate) fn transfer_from(from: Address, to: Address, amount: U256) -> Bytes {
    IToken::transferFromCall { from, to, amount }.abi_encode().into()
}

/// Calldata of `approve(spender, amount)`.
pub(crate) fn approve(spender: Address, amount: U256) -> Bytes {
    IToken::approveCall { spender, amount }.abi_encode().into()
}
