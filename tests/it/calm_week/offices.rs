//! What stands around the treasury: subjects of eight more kinds, from their published bytecode where a package ships it, and what each
//! of them does on an ordinary day.

use crate::support::abi::{IAccess, IGovernor, IOldWallet, ITimelock, IUpgrades, IVesting};
use crate::support::accounts::{DEPLOYER, DEPUTY, GRANTEE, KEEPER, OWNER_A, OWNER_B, STRANGER, SUPPLIER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::deploy;
use crate::support::treasury::ether;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue, sol};
use watchfire::decode::Name;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// Months over which the vesting wallet pays, in seconds; a third of it is over when the week begins.
const VESTED: u64 = 90 * DAY;

sol! {
    interface INames {
        function setText(bytes32 node, string key, string value);
        function renew(string name, uint256 duration);
    }
}

/// One subject of each of eight kinds.
pub(super) struct Offices {
    timelock: Address,
    governor: Address,
    proxy: Address,
    /// Code that it runs at first.
    first: Address,
    /// Code that was reviewed, to which it is upgraded.
    engine: Address,
    ownable: Address,
    roles: Address,
    vesting: Address,
    names: Address,
    old_wallet: Address,
}

impl Offices {
    pub(super) async fn deploy(anvil: &Anvil) -> Self {
        let from = DEPLOYER.address;
        let (keeper, now) = (vec![KEEPER.address], anvil.now().await);
        let delayed = (U256::from(2 * HOUR), keeper.clone(), keeper, Address::ZERO).abi_encode_params();
        let votes = deploy(anvil, from, "Ballot", []).await;
        let first = deploy(anvil, from, "Engine", []).await;
        let initialize = Bytes::from(IUpgrades::initializeCall {}.abi_encode());
        let offices = Self {
            timelock: deploy(anvil, from, "TimelockController", delayed).await,
            governor: deploy(anvil, from, "Council", (votes, 2_u32).abi_encode_params()).await,
            proxy: deploy(anvil, from, "ERC1967Proxy", (first, initialize).abi_encode_params()).await,
            first,
            engine: deploy(anvil, from, "Engine", []).await,
            ownable: deploy(anvil, from, "Office", KEEPER.address.abi_encode()).await,
            roles: deploy(anvil, from, "Offices", KEEPER.address.abi_encode()).await,
            vesting: {
                let arguments = (GRANTEE.address, now - VESTED / 3, VESTED).abi_encode_params();
                deploy(anvil, from, "VestingWallet", arguments).await
            },
            names: deploy(anvil, from, "NameBook", []).await,
            old_wallet: deploy(anvil, from, "OldWallet", []).await,
        };
        let owners = vec![OWNER_A.address, OWNER_B.address];
        let init = IOldWallet::initWalletCall { owners, required: U256::from(2), limit: ether(1) };
        anvil.succeed(&Tx::call(from, offices.old_wallet, init.abi_encode())).await;
        for purse in [offices.timelock, offices.governor, offices.vesting, offices.old_wallet] {
            anvil.succeed(&Tx::pay(from, purse, ether(90))).await;
        }
        offices
    }

    /// What was agreed of each, as a watchlist.
    pub(super) fn watchlist(&self) -> String {
        let node = "node = \"treasury.eth\"\n";
        let (grantee, first, engine) = (GRANTEE.address, self.first, self.engine);
        let (keeper, deputy) = (KEEPER.address, DEPUTY.address);
        let pays = format!("[[watch.normal]]\nname = \"grants\"\nact = \"ether\"\nto = [\"{grantee}\"]\n");
        let roles = |function: &str| {
            format!(
                "[[watch.normal]]\nname = \"{function}\"\ncall = \"{function}\"\nfrom = [\"{keeper}\"]\n\
                 args = {{ role = {{ eq = \"{}\" }}, account = {{ eq = \"{grantee}\" }} }}\n",
                keccak256("KEEPER_ROLE")
            )
        };
        let watches = [
            watch("Timelock", "timelock", self.timelock, &format!("registry = {{ delay = \"2h\" }}\n{pays}")),
            watch("Governor", "governor", self.governor, &pays),
            watch(
                "Engine",
                "proxy",
                self.proxy,
                &format!(
                    "registry = {{ implementations = [\"{engine}\", \"{first}\"] }}\n\
                     [[watch.normal]]\nname = \"runs\"\ncall = \"run(uint256 speed)\"\nfrom = [\"{keeper}\"]\n"
                ),
            ),
            watch(
                "Office",
                "ownable",
                self.ownable,
                &format!(
                    "[[watch.normal]]\nname = \"hands-over\"\ncall = \"transferOwnership\"\n\
                     args = {{ newOwner = {{ in = [\"{keeper}\", \"{deputy}\"] }} }}\n"
                ),
            ),
            watch("Roles", "access-control", self.roles, &[roles("grantRole"), roles("revokeRole")].concat()),
            watch("Vesting", "vesting", self.vesting, &pays),
            watch(
                "Name",
                "ens-name",
                self.names,
                &format!(
                    "{node}[[watch.normal]]\nname = \"avatar\"\n\
                     event = \"TextChanged(bytes32 indexed node, string indexed indexedKey, string key, string value)\"\n\
                     args = {{ key = {{ eq = \"avatar\" }} }}\n"
                ),
            ),
            watch("Old wallet", "parity-multisig", self.old_wallet, &pays),
        ];
        watches.concat()
    }

    /// What each of them does on day number `day`, counted from zero. Says how many transactions that took.
    pub(super) async fn normal_day(&self, anvil: &Anvil, day: u64) -> usize {
        let mut n_txs = 0;
        let mut send = async |from: Address, to: Address, data: Vec<u8>| {
            n_txs += 1;
            anvil.succeed(&Tx::call(from, to, data)).await
        };
        // What was scheduled yesterday is carried out today.
        let salt = |day: u64| B256::from(U256::from(day + 1));
        if day > 0 {
            send(KEEPER.address, self.timelock, carry_out(salt(day - 1))).await;
        }
        send(KEEPER.address, self.timelock, schedule(salt(day))).await;

        let proposal = Proposal::of(day);
        send(STRANGER.address, self.governor, proposal.propose()).await;
        anvil.mine(2).await;
        send(DEPLOYER.address, self.governor, proposal.vote()).await;
        anvil.mine(3).await;
        send(STRANGER.address, self.governor, proposal.execute()).await;

        send(KEEPER.address, self.proxy, self.run(day)).await;
        if day == 2 {
            let release = IUpgrades::upgradeToAndCallCall { newImplementation: self.engine, data: Bytes::new() };
            send(SUPPLIER.address, self.proxy, release.abi_encode()).await;
        }

        let (owner, next) = if day.is_multiple_of(2) { (KEEPER, DEPUTY) } else { (DEPUTY, KEEPER) };
        let hand = IAccess::transferOwnershipCall { newOwner: next.address };
        send(owner.address, self.ownable, hand.abi_encode()).await;

        let (role, account) = (keccak256("KEEPER_ROLE"), GRANTEE.address);
        send(KEEPER.address, self.roles, IAccess::grantRoleCall { role, account }.abi_encode()).await;
        send(KEEPER.address, self.roles, IAccess::revokeRoleCall { role, account }.abi_encode()).await;

        send(STRANGER.address, self.vesting, IVesting::releaseCall {}.abi_encode()).await;

        send(STRANGER.address, self.names, renew()).await;
        let node = Name::parse("treasury.eth").expect("a name").node;
        let avatar = INames::setTextCall { node, key: "avatar".to_owned(), value: format!("portrait {day}") };
        send(KEEPER.address, self.names, avatar.abi_encode()).await;

        send(OWNER_A.address, self.old_wallet, pay(ether(1))).await;
        let asked = send(OWNER_A.address, self.old_wallet, pay(ether(2))).await;
        let log = asked.log(self.old_wallet, IOldWallet::ConfirmationNeeded::SIGNATURE_HASH);
        let operation = B256::from_slice(&log.expect("above the limit").data[..32]);
        send(OWNER_B.address, self.old_wallet, IOldWallet::confirmCall { operation }.abi_encode()).await;
        n_txs
    }

    /// What may happen any number of times within one block.
    pub(super) fn ordinary(&self) -> [Tx; 2] {
        [Tx::call(KEEPER.address, self.proxy, self.run(9)), Tx::call(STRANGER.address, self.names, renew())]
    }

    fn run(&self, day: u64) -> Vec<u8> {
        IUpgrades::runCall { speed: U256::from(day + 1) }.abi_encode()
    }
}

/// A grant that is proposed, voted and carried out on one day.
struct Proposal {
    targets: Vec<Address>,
    values: Vec<U256>,
    calldatas: Vec<Bytes>,
    description: String,
}

impl Proposal {
    fn of(day: u64) -> Self {
        let (targets, values) = (vec![GRANTEE.address], vec![ether(1)]);
        Self { targets, values, calldatas: vec![Bytes::new()], description: format!("the grant of day {day}") }
    }

    fn propose(&self) -> Vec<u8> {
        let (targets, values, calldatas) = (self.targets.clone(), self.values.clone(), self.calldatas.clone());
        IGovernor::proposeCall { targets, values, calldatas, description: self.description.clone() }.abi_encode()
    }

    fn execute(&self) -> Vec<u8> {
        let (targets, values, calldatas) = (self.targets.clone(), self.values.clone(), self.calldatas.clone());
        IGovernor::executeCall { targets, values, calldatas, descriptionHash: keccak256(&self.description) }
            .abi_encode()
    }

    /// Its number is the hash of what it asks for. Source: Governor.sol, `hashProposal`.
    fn vote(&self) -> Vec<u8> {
        let id = U256::from_be_bytes(keccak256(&self.execute()[4..]).0);
        IGovernor::castVoteCall { proposalId: id, support: 1 }.abi_encode()
    }
}

fn schedule(salt: B256) -> Vec<u8> {
    let (target, value, data, predecessor) = (GRANTEE.address, ether(1), Bytes::new(), B256::ZERO);
    ITimelock::scheduleCall { target, value, data, predecessor, salt, delay: U256::from(2 * HOUR) }.abi_encode()
}

fn carry_out(salt: B256) -> Vec<u8> {
    let (target, value, payload, predecessor) = (GRANTEE.address, ether(1), Bytes::new(), B256::ZERO);
    ITimelock::executeCall { target, value, payload, predecessor, salt }.abi_encode()
}

fn renew() -> Vec<u8> {
    INames::renewCall { name: "treasury".to_owned(), duration: U256::from(31_536_000) }.abi_encode()
}

fn pay(value: U256) -> Vec<u8> {
    IOldWallet::executeCall { to: GRANTEE.address, value, data: Bytes::new() }.abi_encode()
}

fn watch(label: &str, kind: &str, address: Address, more: &str) -> String {
    format!(
        "[[watch]]\nlabel = \"{label}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\n\
         purpose = \"Lives an ordinary life\"\npath = \"treasury\"\n{more}\n"
    )
}
