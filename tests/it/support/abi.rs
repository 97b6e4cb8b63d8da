//! The interfaces that the stories speak, declared once.
#![allow(unreachable_pub, clippy::too_many_arguments, reason = "sol! writes this code")]

use alloy_sol_types::sol;

sol! {
    interface ISafe {
        event ExecutionSuccess(bytes32 txHash, uint256 payment);
        event ExecutionFailure(bytes32 txHash, uint256 payment);
        event ExecutionFromModuleSuccess(address indexed module);
        event ApproveHash(bytes32 indexed approvedHash, address indexed owner);
        event AddedOwner(address owner);
        event RemovedOwner(address owner);
        event EnabledModule(address module);

        function setup(address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler, address paymentToken, uint256 payment, address paymentReceiver);
        function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) returns (bool);
        function getTransactionHash(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce) returns (bytes32);
        function approveHash(bytes32 hashToApprove);
        function enableModule(address module);
        function setGuard(address guard);
        function addOwnerWithThreshold(address owner, uint256 threshold);
        function removeOwner(address prevOwner, address owner, uint256 threshold);
        function swapOwner(address prevOwner, address oldOwner, address newOwner);
        function changeThreshold(uint256 threshold);
        function nonce() returns (uint256);
        function getOwners() returns (address[]);
        function getThreshold() returns (uint256);
        function isOwner(address owner) returns (bool);
    }

    interface IProxyFactory {
        function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce) returns (address);
    }

    interface IMultiSend {
        function multiSend(bytes transactions);
    }

    interface IMultiSigWallet {
        event Submission(uint256 indexed transactionId);
        event Confirmation(address indexed sender, uint256 indexed transactionId);
        event Execution(uint256 indexed transactionId);
        event ExecutionFailure(uint256 indexed transactionId);

        function submitTransaction(address destination, uint256 value, bytes data) returns (uint256);
        function confirmTransaction(uint256 transactionId);
        function revokeConfirmation(uint256 transactionId);
        function executeTransaction(uint256 transactionId);
        function addOwner(address owner);
        function getOwners() returns (address[]);
    }

    interface IToken {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);

        function transfer(address to, uint256 amount);
        function transferFrom(address from, address to, uint256 amount);
        function approve(address spender, uint256 amount);
        function balanceOf(address owner) returns (uint256);
        function allowance(address owner, address spender) returns (uint256);
        function totalSupply() returns (uint256);
        function mint(address to, uint256 amount);
        function issue(uint256 amount);
        function pause();
        function transferOwnership(address newOwner);
    }

    interface IMiniMe {
        function generateTokens(address owner, uint256 amount) returns (bool);
        function destroyTokens(address owner, uint256 amount) returns (bool);
        function changeController(address newController);
        function enableTransfers(bool transfersEnabled);
        function controller() returns (address);
    }

    interface IPlaceholder {
        event ControllerChanged(address indexed newController);

        function changeController(address newController);
        function changeOwner(address newOwner);
        function acceptOwnership();
    }

    interface IBox {
        event Stored(address indexed by, uint256 value);

        function store(uint256 value);
        function setWriter(address writer, bool allowed);
        function transferOwnership(address newOwner);
        function withdraw(address to, uint256 amount);
        function value() returns (uint256);
    }

    interface IPayModule {
        event Paid(address indexed safe, address indexed token, address indexed to, uint256 amount);

        function pay(address safe, address token, address to, uint256 amount);
        function run(address safe, address to, uint256 value, bytes data, uint8 operation) returns (bool);
    }

    interface INoise {
        event Named(string name);

        function zeroTopics(bytes data);
        function fourTopics(bytes32 a, bytes32 b, bytes32 c, bytes32 d, bytes data);
        function forgeTransfer(address from, address to, uint256 value);
        function named(bytes name);
    }

    interface IDrain {
        function sweep(address to);
    }
}

sol! {
    interface ITimelock {
        function schedule(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt, uint256 delay);
        function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt, uint256 delay);
        function execute(address target, uint256 value, bytes payload, bytes32 predecessor, bytes32 salt);
        function executeBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt);
        function hashOperation(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt) returns (bytes32);
        function cancel(bytes32 id);
        function updateDelay(uint256 newDelay);
        function queueTransaction(address target, uint256 value, string signature, bytes data, uint256 eta);
        function executeTransaction(address target, uint256 value, string signature, bytes data, uint256 eta);
        function setDelay(uint256 delay);
    }

    interface IGovernor {
        function propose(address[] targets, uint256[] values, bytes[] calldatas, string description) returns (uint256);
        function castVote(uint256 proposalId, uint8 support) returns (uint256);
        function queue(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) returns (uint256);
        function execute(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash) returns (uint256);
        function setVotingDelay(uint48 newVotingDelay);
        function newVote(bytes executionScript, string metadata) returns (uint256);
        function executeVote(uint256 voteId);
    }

    interface IUpgrades {
        function initialize();
        function initializeAgain();
        function upgradeTo(address newImplementation);
        function upgradeToAndCall(address newImplementation, bytes data);
        function upgradeAndCall(address proxy, address implementation, bytes data);
        function run(uint256 speed);
        function drive(address by, uint256 miles);
        function pretend(address implementation);
        function owner() returns (address);
    }

    struct FacetCut {
        address facetAddress;
        uint8 action;
        bytes4[] functionSelectors;
    }

    interface IDiamond {
        function diamondCut(FacetCut[] cut, address init, bytes data);
    }

    interface IAccess {
        function transferOwnership(address newOwner);
        function acceptOwnership();
        function renounceOwnership();
        function grantRole(bytes32 role, address account);
        function revokeRole(bytes32 role, address account);
    }

    interface IPuppet {
        function make(address to, bytes data);
        function makeTwo(address to, bytes first, bytes second);
    }

    interface IOldWallet {
        event ConfirmationNeeded(bytes32 operation, address initiator, uint256 value, address to, bytes data);

        function initWallet(address[] owners, uint256 required, uint256 limit);
        function execute(address to, uint256 value, bytes data) returns (bytes32);
        function confirm(bytes32 operation) returns (bool);
        function changeOwner(address from, address to);
        function kill(address to);
    }

    interface IVesting {
        function release();
        function transferOwnership(address newOwner);
    }
}
