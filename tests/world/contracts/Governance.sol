// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";

/// Votes for whoever deploys it.
contract Ballot is ERC20Votes {
    constructor() ERC20("Ballot", "VOTE") EIP712("Ballot", "1") {
        _mint(msg.sender, 1000 ether);
        _delegate(msg.sender, msg.sender);
    }
}

/// The same by a clock of seconds, so that a day passes within a test.
contract TimedBallot is Ballot {
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }
}

/// OpenZeppelin's Governor, which carries out by itself what was voted: one block until the vote, `period` blocks for it.
contract Council is GovernorSettings, GovernorCountingSimple, GovernorVotes {
    constructor(IVotes votes, uint32 period) Governor("Council") GovernorSettings(1, period, 0) GovernorVotes(votes) {}

    function quorum(uint256) public pure override returns (uint256) {
        return 1;
    }

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }
}

/// The same in front of a timelock, which carries it out.
contract LockedCouncil is GovernorSettings, GovernorCountingSimple, GovernorVotes, GovernorTimelockControl {
    constructor(IVotes votes, TimelockController lock)
        Governor("LockedCouncil")
        GovernorSettings(1, 2, 0)
        GovernorVotes(votes)
        GovernorTimelockControl(lock)
    {}

    function quorum(uint256) public pure override returns (uint256) {
        return 1;
    }

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function state(uint256 id) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(id);
    }

    function proposalNeedsQueuing(uint256 id) public view override(Governor, GovernorTimelockControl) returns (bool) {
        return super.proposalNeedsQueuing(id);
    }

    function _queueOperations(uint256 id, address[] memory to, uint256[] memory values, bytes[] memory data, bytes32 text)
        internal
        override(Governor, GovernorTimelockControl)
        returns (uint48)
    {
        return super._queueOperations(id, to, values, data, text);
    }

    function _executeOperations(uint256 id, address[] memory to, uint256[] memory values, bytes[] memory data, bytes32 text)
        internal
        override(Governor, GovernorTimelockControl)
    {
        super._executeOperations(id, to, values, data, text);
    }

    function _cancel(address[] memory to, uint256[] memory values, bytes[] memory data, bytes32 text)
        internal
        override(Governor, GovernorTimelockControl)
        returns (uint256)
    {
        return super._cancel(to, values, data, text);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}

/// A queue of calls in the shape of Compound's: whoever administers it writes a call down with the time from which it may run.
contract CompoundStyleTimelock {
    event NewDelay(uint256 indexed newDelay);
    event NewPendingAdmin(address indexed newPendingAdmin);
    event CancelTransaction(bytes32 indexed txHash, address indexed target, uint256 value, string signature, bytes data, uint256 eta);
    event ExecuteTransaction(bytes32 indexed txHash, address indexed target, uint256 value, string signature, bytes data, uint256 eta);
    event QueueTransaction(bytes32 indexed txHash, address indexed target, uint256 value, string signature, bytes data, uint256 eta);

    address public admin;
    address public pendingAdmin;
    uint256 public delay;
    mapping(bytes32 => bool) public queuedTransactions;

    constructor(address admin_, uint256 delay_) {
        admin = admin_;
        delay = delay_;
    }

    receive() external payable {}

    function setDelay(uint256 delay_) external {
        require(msg.sender == address(this), "only by itself");
        delay = delay_;
        emit NewDelay(delay_);
    }

    function setPendingAdmin(address next) external {
        require(msg.sender == address(this), "only by itself");
        pendingAdmin = next;
        emit NewPendingAdmin(next);
    }

    function queueTransaction(address target, uint256 value, string calldata signature, bytes calldata data, uint256 eta)
        external
        returns (bytes32 id)
    {
        require(msg.sender == admin, "only the administrator");
        require(eta >= block.timestamp + delay, "too early");
        id = keccak256(abi.encode(target, value, signature, data, eta));
        queuedTransactions[id] = true;
        emit QueueTransaction(id, target, value, signature, data, eta);
    }

    function executeTransaction(address target, uint256 value, string calldata signature, bytes calldata data, uint256 eta)
        external
        payable
        returns (bytes memory returned)
    {
        require(msg.sender == admin, "only the administrator");
        bytes32 id = keccak256(abi.encode(target, value, signature, data, eta));
        require(queuedTransactions[id] && block.timestamp >= eta, "not yet");
        queuedTransactions[id] = false;
        bytes memory call = bytes(signature).length == 0 ? data : bytes.concat(bytes4(keccak256(bytes(signature))), data);
        bool ok;
        (ok, returned) = target.call{value: value}(call);
        require(ok, "it reverted");
        emit ExecuteTransaction(id, target, value, signature, data, eta);
    }
}

/// A council that votes on scripts, in the shape of Aragon's: whoever asks first may carry it out at once.
contract ScriptCouncil {
    event StartVote(uint256 indexed voteId, address indexed creator, string metadata);
    event CastVote(uint256 indexed voteId, address indexed voter, bool inFavor, uint256 stake);
    event ExecuteVote(uint256 indexed voteId);

    bytes[] private scripts;

    function newVote(bytes calldata script, string calldata metadata) external returns (uint256 id) {
        id = scripts.length;
        scripts.push(script);
        emit StartVote(id, msg.sender, metadata);
    }

    function vote(uint256 id, bool inFavor, bool) external {
        emit CastVote(id, msg.sender, inFavor, 1);
    }

    /// As Aragon's `(bool, bool, uint64, uint64, uint64, uint64, uint256, uint256, uint256, bytes)`, with the counts left at zero.
    function getVote(uint256 id) external view {
        bytes memory script = scripts[id];
        bytes memory counts = abi.encode(true, false, 1, 1, 1, 1, 0, 0, 0);
        bytes memory all = bytes.concat(counts, bytes32(uint256(320)), bytes32(script.length), script, new bytes(32));
        assembly {
            return(add(all, 0x20), mload(all))
        }
    }

    function executeVote(uint256 id) external {
        bytes memory script = scripts[id];
        uint256 at = 4;
        while (at < script.length) {
            address to;
            uint32 size;
            assembly {
                to := shr(96, mload(add(add(script, 0x20), at)))
                size := shr(224, mload(add(add(script, 0x34), at)))
            }
            bytes memory data = new bytes(size);
            for (uint256 i = 0; i < size; i++) data[i] = script[at + 24 + i];
            (bool ok, ) = to.call(data);
            require(ok, "it reverted");
            at += 24 + size;
        }
        emit ExecuteVote(id);
    }
}
