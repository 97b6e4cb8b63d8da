//! A governor in front of a timelock: proposed, voted, queued, and carried out a day later.

use super::life::{Life, Town, bytes};
use super::token::Voice;
use crate::support::abi::{IAccess, IGovernor, ITimelock, IToken};
use crate::support::accounts::{DEPLOYER, GRANTEE, HOLDER, OWNER_A, STRANGER};
use crate::support::tokens::Token;
use crate::support::treasury::ether;
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};

const HOUR: u64 = 3_600;
/// How long the timelock makes everybody wait, in seconds.
const DELAY: u64 = 2 * HOUR;

pub(super) struct Governance {
    pub(super) timelock: Address,
    pub(super) governor: Address,
    dollar: Token,
    /// What was queued and waits.
    queued: Vec<Proposal>,
}

sol! {
    interface ICouncil {
        function castVoteWithReason(uint256 proposalId, uint8 support, string reason);
        function cancel(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash);
    }
}

struct Proposal {
    calls: Vec<(Address, U256, Bytes)>,
    text: String,
}

impl Governance {
    pub(super) async fn open(life: &mut Life, town: &Town, voice: &Voice) -> Self {
        let (none, anybody, admin) = (Vec::<Address>::new(), vec![Address::ZERO], DEPLOYER.address);
        let arguments = (U256::from(DELAY), none, anybody, admin).abi_encode_params();
        let timelock = life.makes("TimelockController", arguments).await;
        let governor = life.makes("HourlyCouncil", (voice.address, timelock).abi_encode_params()).await;
        for role in ["PROPOSER_ROLE", "CANCELLER_ROLE"] {
            let role = keccak256(role);
            life.does(DEPLOYER, timelock, IAccess::grantRoleCall { role, account: governor }).await;
        }
        life.does(DEPLOYER, timelock, IAccess::revokeRoleCall { role: B256::ZERO, account: admin }).await;
        let dollar = town.dollar;
        life.sends(&Tx::pay(DEPLOYER.address, timelock, ether(90))).await;
        dollar.mint(&life.anvil, DEPLOYER.address, timelock, dollar.units(100_000)).await;
        Self { timelock, governor, dollar, queued: Vec::new() }
    }

    pub(super) async fn day(&mut self, life: &mut Life, day: u64) {
        for proposal in std::mem::take(&mut self.queued) {
            // Anybody may carry it out, at the governor or at the timelock itself.
            if day.is_multiple_of(2) {
                life.does(STRANGER, self.governor, proposal.execute()).await;
            } else {
                life.does(STRANGER, self.timelock, proposal.execute_at_timelock(self.governor)).await;
            }
        }
        let send = bytes(&IToken::transferCall { to: GRANTEE.address, amount: self.dollar.units(500) });
        let ether_grant = (GRANTEE.address, ether(1), Bytes::new());
        let dollar_grant = (self.dollar.address, U256::ZERO, send);
        let calls = match day % 3 {
            0 => vec![ether_grant],
            1 => vec![dollar_grant],
            _ => vec![ether_grant, dollar_grant],
        };
        self.decides(life, Proposal { calls, text: format!("grants of day {day}") }).await;
        self.takes_back(
            life,
            Proposal { calls: vec![(GRANTEE.address, ether(1), Bytes::new())], text: format!("a slip of day {day}") },
        )
        .await;
        life.sends(&Tx::pay(DEPLOYER.address, self.timelock, ether(1))).await;
        let id = Proposal { calls: vec![], text: "unknown".to_owned() }.id();
        let vote = IGovernor::castVoteCall { proposalId: id, support: 1 };
        life.fails(&Tx::call(HOLDER.address, self.governor, vote.abi_encode())).await;
    }

    /// Whoever proposed it thinks better of it before the vote begins.
    async fn takes_back(&self, life: &mut Life, proposal: Proposal) {
        life.gather().await;
        life.does(OWNER_A, self.governor, proposal.propose()).await;
        life.does(OWNER_A, self.governor, proposal.cancel()).await;
        life.disperse().await;
    }

    /// From the proposal until it waits in the timelock.
    async fn decides(&mut self, life: &mut Life, proposal: Proposal) -> Vec<B256> {
        let proposed = life.does(OWNER_A, self.governor, proposal.propose()).await;
        let vote = IGovernor::castVoteCall { proposalId: proposal.id(), support: 1 };
        life.does(DEPLOYER, self.governor, vote).await;
        let reason = "as agreed".to_owned();
        let with_reason = ICouncil::castVoteWithReasonCall { proposalId: proposal.id(), support: 1, reason };
        life.does(OWNER_A, self.governor, with_reason).await;
        life.passes_time(HOUR).await;
        let queued = life.does(STRANGER, self.governor, proposal.queue()).await;
        self.queued.push(proposal);
        vec![proposed, queued]
    }

    /// It is decided that nobody has time to look any more.
    pub(super) async fn theft(&mut self, life: &mut Life) -> Vec<B256> {
        let drop = bytes(&ITimelock::updateDelayCall { newDelay: U256::ZERO });
        let calls = vec![(self.timelock, U256::ZERO, drop)];
        let mut txs = self.decides(life, Proposal { calls, text: "housekeeping".to_owned() }).await;
        life.passes_time(DELAY).await;
        let proposal = self.queued.pop().expect("it was queued last");
        txs.push(life.does(STRANGER, self.governor, proposal.execute()).await);
        txs
    }
}

impl Proposal {
    fn parts(&self) -> (Vec<Address>, Vec<U256>, Vec<Bytes>) {
        let calls = || self.calls.iter();
        (
            calls().map(|call| call.0).collect(),
            calls().map(|call| call.1).collect(),
            calls().map(|call| call.2.clone()).collect(),
        )
    }

    fn propose(&self) -> IGovernor::proposeCall {
        let (targets, values, calldatas) = self.parts();
        IGovernor::proposeCall { targets, values, calldatas, description: self.text.clone() }
    }

    fn queue(&self) -> IGovernor::queueCall {
        let (targets, values, calldatas) = self.parts();
        IGovernor::queueCall { targets, values, calldatas, descriptionHash: keccak256(&self.text) }
    }

    fn cancel(&self) -> ICouncil::cancelCall {
        let (targets, values, calldatas) = self.parts();
        ICouncil::cancelCall { targets, values, calldatas, descriptionHash: keccak256(&self.text) }
    }

    /// The timelock knows it by the governor's address in front of its text's hash. Source: GovernorTimelockControl.sol, `_timelockSalt`.
    fn execute_at_timelock(&self, governor: Address) -> ITimelock::executeBatchCall {
        let (targets, values, payloads) = self.parts();
        let salt = B256::right_padding_from(governor.as_slice()) ^ keccak256(&self.text);
        ITimelock::executeBatchCall { targets, values, payloads, predecessor: B256::ZERO, salt }
    }

    fn execute(&self) -> IGovernor::executeCall {
        let (targets, values, calldatas) = self.parts();
        IGovernor::executeCall { targets, values, calldatas, descriptionHash: keccak256(&self.text) }
    }

    /// Its number is the hash of what it asks for. Source: Governor.sol, `hashProposal`.
    fn id(&self) -> U256 {
        U256::from_be_bytes(keccak256(&self.execute().abi_encode()[4..]).0)
    }
}
