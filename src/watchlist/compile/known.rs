//! Known facts about public chains, by their names.

use crate::source::FinalityRule;
use alloy_primitives::{B256, b256};

/// A public chain.
pub(super) struct KnownChain {
    pub(super) name: &'static str,
    pub(super) id: u64,
    pub(super) explorer: &'static str,
    pub(super) slot_seconds: f64,
    /// Hash of block 0, as in the source code of that chain's clients.
    pub(super) genesis: Option<B256>,
}

/// Finality rule of these chains: their nodes answer for `safe` and `finalized`.
pub(super) const KNOWN_FINALITY: FinalityRule = FinalityRule::Tags;

/// Ids as in ethereum-lists/chains; slots as in the chains' own documentation. The genesis of Linea is missing, since
/// no client whose source was available names it.
pub(super) const KNOWN_CHAINS: [KnownChain; 9] = [
    // go-ethereum, params/config.go: MainnetGenesisHash, SepoliaGenesisHash, HoodiGenesisHash.
    known_chain("mainnet", 1, "https://etherscan.io", 12.0)
        .with_genesis(b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3")),
    known_chain("sepolia", 11_155_111, "https://sepolia.etherscan.io", 12.0)
        .with_genesis(b256!("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9")),
    known_chain("hoodi", 560_048, "https://hoodi.etherscan.io", 12.0)
        .with_genesis(b256!("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b")),
    // reth, the chain specifications of OP Mainnet and Base.
    known_chain("optimism", 10, "https://optimistic.etherscan.io", 2.0)
        .with_genesis(b256!("7ca38a1916c42007829c55e69d3e9a73265554b586a499015373241b8a3fa48b")),
    known_chain("base", 8453, "https://basescan.org", 2.0)
        .with_genesis(b256!("f712aa9241cc24369b143cf6dce85f0902a9731e70d66818a3a5845b296c73dd")),
    // The network list of The Graph ("arbitrum-mainnet"); Nitro's nodes keep the classic chain's first block.
    known_chain("arbitrum", 42_161, "https://arbiscan.io", 0.25)
        .with_genesis(b256!("7ee576b35482195fc49205cec9af72ce14f003b9ae69f6ba0faef4514be8b442")),
    // polygon-cli, the default genesis of its sensor.
    known_chain("polygon", 137, "https://polygonscan.com", 2.0)
        .with_genesis(b256!("a9c28ce2141b56c474f1dc504bee9b01eb1bd7d1a507580d5519d4437a97de1b")),
    // Nethermind's configuration of Gnosis; erigon, GnosisGenesisHash.
    known_chain("gnosis", 100, "https://gnosisscan.io", 5.0)
        .with_genesis(b256!("4f1dd23188aab3a76b463e4af801b52b1248ef073c648cbdc4c9333d3da79756")),
    known_chain("linea", 59_144, "https://lineascan.build", 2.0),
];

/// Id of development chains by convention (the default of Hardhat and anvil): they produce blocks on request.
pub(super) const DEVELOPMENT_ID: u64 = 31_337;

const fn known_chain(name: &'static str, id: u64, explorer: &'static str, slot_seconds: f64) -> KnownChain {
    KnownChain { name, id, explorer, slot_seconds, genesis: None }
}

impl KnownChain {
    const fn with_genesis(self, genesis: B256) -> Self {
        Self { genesis: Some(genesis), ..self }
    }
}
