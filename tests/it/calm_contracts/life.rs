//! Those who live in the town and what they do there: transactions that are sent one by one and counted, permits that are signed, and the
//! noise that strangers make.

use super::abi::{IPermit, IRelay};
use crate::support::accounts::{Account, STRANGER};
use crate::support::anvil::Anvil;
use crate::support::contracts::deploy;
use crate::support::tokens::Token;
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};

/// Everything is signed until then: a time that no test reaches, in Unix seconds.
const DEADLINE: u64 = 2_000_000_000;

/// A chain on which a week passes.
pub(super) struct Life {
    pub(super) anvil: Anvil,
    /// Transactions that were mined.
    pub(super) n_txs: usize,
    /// Those among them that anybody can make a chain hold: transfers of nothing, tokens that lie.
    pub(super) noise: Vec<B256>,
    /// What is sent and not mined yet, and whether it is to go through; `None` where every transaction has a block of its own.
    crowd: Option<Vec<(Tx, B256, bool)>>,
}

impl Life {
    pub(super) fn new(anvil: Anvil) -> Self {
        Self { anvil, n_txs: 0, noise: Vec::new(), crowd: None }
    }

    pub(super) async fn makes(&self, name: &str, arguments: impl AsRef<[u8]>) -> Address {
        deploy(&self.anvil, crate::support::accounts::DEPLOYER.address, name, arguments).await
    }

    /// From here on nothing is mined, until [`Life::disperse`] puts all of it into one block.
    pub(super) async fn gather(&mut self) {
        self.anvil.set_automine(false).await;
        self.crowd = Some(Vec::new());
    }

    /// Mines what was sent since, in the order in which it was sent.
    pub(super) async fn disperse(&mut self) {
        self.anvil.mine(1).await;
        self.anvil.set_automine(true).await;
        let crowd = self.crowd.take().unwrap_or_default();
        let block = self.anvil.whole_block(self.anvil.block_number().await).await;
        assert_eq!(block["transactions"].as_array().map(Vec::len), Some(crowd.len()), "all of it in one block");
        for (tx, hash, succeeds) in crowd {
            assert_eq!(self.anvil.receipt(hash).await.succeeded(), succeeds, "{tx:?}");
        }
    }

    /// A call that goes through. Returns the hash of its transaction.
    pub(super) async fn does(&mut self, who: Account, to: Address, call: impl SolCall) -> B256 {
        self.sends(&Tx::call(who.address, to, call.abi_encode())).await
    }

    pub(super) async fn sends(&mut self, tx: &Tx) -> B256 {
        self.n_txs += 1;
        match &mut self.crowd {
            None => self.anvil.succeed(tx).await.transaction_hash,
            Some(crowd) => {
                let hash = self.anvil.send(tx).await;
                crowd.push((tx.clone(), hash, true));
                hash
            }
        }
    }

    /// A call that reverts.
    pub(super) async fn fails(&mut self, tx: &Tx) {
        self.n_txs += 1;
        match &mut self.crowd {
            None => assert!(!self.anvil.transact(tx).await.succeeded(), "{tx:?} went through"),
            Some(crowd) => crowd.push((tx.clone(), self.anvil.send(tx).await, false)),
        }
    }

    /// Something that anybody can make a chain hold.
    pub(super) async fn hears(&mut self, to: Address, call: impl SolCall) {
        let hash = self.does(STRANGER, to, call).await;
        self.noise.push(hash);
    }

    /// The next block comes so many seconds later than the last, and a minute.
    pub(super) async fn passes_time(&self, seconds: u64) {
        let later = self.anvil.now().await + seconds + 60;
        self.anvil.set_next_timestamp(later).await;
    }

    /// A call that a contract passes on, and that no calldata shows to whoever does not know that contract.
    pub(super) async fn passes(&mut self, who: Account, relay: Address, to: Address, call: impl SolCall) -> B256 {
        let data = call.abi_encode().into();
        self.does(who, relay, IRelay::passCall { to, value: U256::ZERO, data }).await
    }

    /// What `owner` signs so that `spender` may take `value` of `token` (ERC-2612).
    pub(super) async fn permit(
        &self,
        token: Address,
        owner: Account,
        spender: Address,
        value: U256,
    ) -> IPermit::permitCall {
        let domain = B256::from_slice(&self.anvil.call(token, IPermit::DOMAIN_SEPARATORCall {}.abi_encode()).await);
        let nonce = self.anvil.call(token, IPermit::noncesCall { owner: owner.address }.abi_encode()).await;
        let nonce = U256::from_be_slice(&nonce);
        let deadline = U256::from(DEADLINE);
        let kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        let words = (kind, owner.address, spender, value, nonce, deadline).abi_encode();
        let digest = keccak256([&[0x19, 0x01], domain.as_slice(), keccak256(words).as_slice()].concat());
        let signature = owner.sign(digest);
        IPermit::permitCall {
            owner: owner.address,
            spender,
            value,
            deadline,
            v: signature[64],
            r: B256::from_slice(&signature[..32]),
            s: B256::from_slice(&signature[32..64]),
        }
    }
}

/// What the contracts share: tokens of others, and whoever carries calls to them.
pub(super) struct Town {
    /// What the vault lends and the account pays with: six decimals.
    pub(super) dollar: Token,
    /// What is staked.
    pub(super) share: Token,
    /// What stakers earn.
    pub(super) reward: Token,
    /// A token that nobody listed.
    pub(super) gift: Token,
    /// A token that lies.
    pub(super) liar: Address,
    /// Passes calls on, and holds what it is given: a wallet that nobody watches.
    pub(super) relay: Address,
    /// Goes into vaults and out of them for others.
    pub(super) zap: Address,
}

impl Town {
    pub(super) async fn build(life: &Life) -> Self {
        let owner = crate::support::accounts::DEPLOYER.address;
        let coin = async |symbol: &str, places| Token::deploy_coin(&life.anvil, owner, symbol, places, owner).await;
        Self {
            dollar: coin("USDX", 6).await,
            share: coin("LP", 18).await,
            reward: coin("REWARD", 18).await,
            gift: coin("GIFT", 18).await,
            liar: life.makes("Noise", []).await,
            relay: life.makes("Relay", []).await,
            zap: life.makes("Zap", []).await,
        }
    }

    /// What strangers do to any address: a token that nobody knows is given away, a transfer of nothing to an address that looks like a known
    /// one, a transfer that a lying token made up.
    pub(super) async fn noise_about(&self, life: &mut Life, subject: Address) {
        use crate::support::abi::{INoise, IToken};
        let owner = crate::support::accounts::DEPLOYER;
        life.does(owner, self.gift.address, IToken::mintCall { to: subject, amount: self.gift.units(3) }).await;
        let nothing = IToken::transferFromCall { from: subject, to: like(subject), amount: U256::ZERO };
        life.hears(self.dollar.address, nothing).await;
        let made_up = INoise::forgeTransferCall { from: subject, to: like(subject), value: U256::from(7) };
        life.hears(self.liar, made_up).await;
    }
}

/// An address that begins and ends as this one does.
fn like(address: Address) -> Address {
    let mut bytes = address.0.0;
    bytes[8] ^= 0xff;
    bytes.into()
}

/// Calldata as bytes.
pub(super) fn bytes(call: &impl SolCall) -> Bytes {
    call.abi_encode().into()
}
