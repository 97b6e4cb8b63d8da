//! The node's unlocked accounts and the part each plays. They come from the public test mnemonic
//! ("test test ... junk"), so the keys are known to everyone and worth nothing.

use alloy_primitives::{Address, B256, address, b256};
use k256::ecdsa::SigningKey;

/// One unlocked account: its address and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// What a watchlist would call it.
    pub(crate) name: &'static str,
    /// Unlocked in the node, so `eth_sendTransaction` works from it.
    pub(crate) address: Address,
    key: B256,
}

impl Account {
    const fn new(name: &'static str, address: Address, key: B256) -> Self {
        Self { name, address, key }
    }

    /// Signs `hash` as it stands: r, s, v with v in {27, 28}.
    pub(crate) fn sign(&self, hash: B256) -> [u8; 65] {
        let key = SigningKey::from_slice(self.key.as_slice()).expect("a key of the test mnemonic");
        let (signature, recovery) = key.sign_prehash_recoverable(hash.as_slice()).expect("32 bytes are signable");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + recovery.to_byte();
        bytes
    }
}

/// Deploys everything; nobody in the stories after that.
pub(crate) const DEPLOYER: Account = Account::new(
    "Deployer",
    address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
);
/// First owner of every Safe and multisig.
pub(crate) const OWNER_A: Account = Account::new(
    "Owner A",
    address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
);
/// Second owner of every Safe and multisig.
pub(crate) const OWNER_B: Account = Account::new(
    "Owner B",
    address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    b256!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
);
/// Third owner of every Safe and multisig.
pub(crate) const OWNER_C: Account = Account::new(
    "Owner C",
    address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
    b256!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
);
/// The caller that the Box and the pay module expect.
pub(crate) const KEEPER: Account = Account::new(
    "Keeper",
    address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    b256!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
);
/// Sends executions that the owners signed.
pub(crate) const RELAYER: Account = Account::new(
    "Relayer",
    address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
    b256!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
);
/// A watched account that pays by itself.
pub(crate) const PAYER: Account = Account::new(
    "Payer",
    address!("976EA74026E726554dB657fA54763abd0C3a0aa9"),
    b256!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
);
/// A listed payee.
pub(crate) const GRANTEE: Account = Account::new(
    "Grantee",
    address!("14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
    b256!("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
);
/// Another listed payee, and the spender of the bounded approval.
pub(crate) const SUPPLIER: Account = Account::new(
    "Supplier",
    address!("23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
    b256!("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
);
/// Listed nowhere: the attacker.
pub(crate) const STRANGER: Account = Account::new(
    "Stranger",
    address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"),
    b256!("2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
);
/// May write to the Box, but no rule expects that it does.
pub(crate) const DEPUTY: Account = Account::new(
    "Deputy",
    address!("Bcd4042DE499D14e55001CcbB24a551F3b954096"),
    b256!("f214f2b2cd398c806f84e317254e0f0b801d0643303237d97a22a48e01628897"),
);
/// Holds MiniMe tokens and nothing else.
pub(crate) const HOLDER: Account = Account::new(
    "Holder",
    address!("71bE63f3384f5fb98995898A86B02Fb2426c5788"),
    b256!("701b615bbdfb9de65240bc28bd21bbc0d996645a3dd57e7b12bc2bdf6f192c82"),
);

/// Everyone, in the mnemonic's order.
pub(crate) const ALL: [Account; 12] =
    [DEPLOYER, OWNER_A, OWNER_B, OWNER_C, KEEPER, RELAYER, PAYER, GRANTEE, SUPPLIER, STRANGER, DEPUTY, HOLDER];
