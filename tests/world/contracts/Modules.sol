// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A queue in front of a Safe in the shape of Zodiac's Delay: what modules ask for waits, and whoever owns it says for how long, for
/// which Safe, and to where.
contract DelayModifier {
    event TransactionAdded(uint256 indexed queueNonce, bytes32 indexed txHash, address to, uint256 value, bytes data, uint8 operation);
    event AvatarSet(address indexed previousAvatar, address indexed newAvatar);
    event TargetSet(address indexed previousTarget, address indexed newTarget);

    address public avatar;
    address public target;
    uint256 public queueNonce;

    function execTransactionFromModule(address to, uint256 value, bytes calldata data, uint8 operation) external returns (bool) {
        emit TransactionAdded(queueNonce++, keccak256(abi.encode(to, value, data, operation)), to, value, data, operation);
        return true;
    }

    function setAvatar(address next) external {
        emit AvatarSet(avatar, next);
        avatar = next;
    }

    function setTarget(address next) external {
        emit TargetSet(target, next);
        target = next;
    }
}

/// An oracle in the shape of Reality.eth, where whoever pays a bond answers.
contract AnsweringOracle {
    event LogNewAnswer(
        bytes32 answer,
        bytes32 indexed question_id,
        bytes32 history_hash,
        address indexed user,
        uint256 bond,
        uint256 ts,
        bool is_commitment
    );

    function submitAnswer(bytes32 question, bytes32 answer, uint256) external payable {
        emit LogNewAnswer(answer, question, 0, msg.sender, msg.value, block.timestamp, false);
    }
}

/// A module that carries out what an oracle answers, in the shape of Zodiac's Reality: whoever likes asks the question.
contract RealityAsker {
    event ProposalQuestionCreated(bytes32 indexed questionId, string indexed proposalId);

    uint32 public questionTimeout = 3 days;
    AnsweringOracle public oracle = new AnsweringOracle();

    function addProposal(string calldata proposalId, bytes32[] calldata txHashes) external {
        emit ProposalQuestionCreated(keccak256(abi.encode(proposalId, txHashes)), proposalId);
    }

    function setQuestionTimeout(uint32 timeout) external {
        questionTimeout = timeout;
    }
}

/// A governor in the shape of Bravo, which is asked for a proposal's calls by number and has no vote to speak of.
contract BravoStyleGovernor {
    event ProposalCreated(
        uint256 id,
        address proposer,
        address[] targets,
        uint256[] values,
        string[] signatures,
        bytes[] calldatas,
        uint256 startBlock,
        uint256 endBlock,
        string description
    );
    event ProposalExecuted(uint256 id);

    struct Proposal {
        address[] targets;
        uint256[] values;
        string[] signatures;
        bytes[] calldatas;
    }

    Proposal[] private proposals;

    function propose(
        address[] memory targets,
        uint256[] memory values,
        string[] memory signatures,
        bytes[] memory calldatas,
        string memory description
    ) public returns (uint256 id) {
        id = proposals.length;
        proposals.push(Proposal(targets, values, signatures, calldatas));
        emit ProposalCreated(id, msg.sender, targets, values, signatures, calldatas, block.number, block.number, description);
    }

    function getActions(uint256 id)
        external
        view
        returns (address[] memory targets, uint256[] memory values, string[] memory signatures, bytes[] memory calldatas)
    {
        Proposal storage p = proposals[id];
        return (p.targets, p.values, p.signatures, p.calldatas);
    }

    function execute(uint256 id) external payable {
        Proposal storage p = proposals[id];
        for (uint256 i = 0; i < p.targets.length; i++) {
            bytes memory data = bytes(p.signatures[i]).length == 0
                ? p.calldatas[i]
                : bytes.concat(bytes4(keccak256(bytes(p.signatures[i]))), p.calldatas[i]);
            (bool ok, ) = p.targets[i].call{value: p.values[i]}(data);
            require(ok, "it reverted");
        }
        emit ProposalExecuted(id);
    }

    receive() external payable {}
}

/// What an EntryPoint of ERC-4337 does with an operation, as far as it shows: it calls the account and says how that went.
contract EntryDesk {
    event UserOperationEvent(
        bytes32 indexed userOpHash,
        address indexed sender,
        address indexed paymaster,
        uint256 nonce,
        bool success,
        uint256 actualGasCost,
        uint256 actualGasUsed
    );

    struct PackedUserOperation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    function handleOps(PackedUserOperation[] calldata ops, address payable) external {
        for (uint256 i = 0; i < ops.length; i++) {
            (bool ok, ) = ops[i].sender.call(ops[i].callData);
            emit UserOperationEvent(keccak256(abi.encode(i, ops[i].nonce)), ops[i].sender, address(0), ops[i].nonce, ok, 0, 0);
        }
    }
}

/// An account with code: it makes the calls that its entry point or its owner asks for.
contract SmartAccount {
    function execute(address to, uint256 value, bytes calldata data) external {
        (bool ok, ) = to.call{value: value}(data);
        require(ok, "it reverted");
    }

    receive() external payable {}
}
