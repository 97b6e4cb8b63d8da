// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A wallet with the functions and logs of EthDev's and Parity's: below the daily limit one owner is enough, above it `required` of
/// them name the same operation. Its fault is theirs too: `initWallet` asks nobody.
contract OldWallet {
    event Confirmation(address owner, bytes32 operation);
    event OwnerChanged(address oldOwner, address newOwner);
    event SingleTransact(address owner, uint256 value, address to, bytes data, address created);
    event MultiTransact(address owner, bytes32 operation, uint256 value, address to, bytes data, address created);
    event ConfirmationNeeded(bytes32 operation, address initiator, uint256 value, address to, bytes data);
    event Deposit(address from, uint256 value);

    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    mapping(address => bool) public isOwner;
    mapping(bytes32 => Call) private calls;
    mapping(bytes32 => mapping(address => bool)) private confirmed;
    mapping(bytes32 => uint256) private count;
    uint256 public required;
    uint256 public dailyLimit;

    receive() external payable {
        emit Deposit(msg.sender, msg.value);
    }

    function initWallet(address[] calldata owners, uint256 required_, uint256 limit) external {
        for (uint256 i = 0; i < owners.length; i++) isOwner[owners[i]] = true;
        (required, dailyLimit) = (required_, limit);
    }

    function execute(address to, uint256 value, bytes calldata data) external returns (bytes32 operation) {
        require(isOwner[msg.sender], "not an owner");
        if (value <= dailyLimit && data.length == 0) {
            send(to, value, data);
            emit SingleTransact(msg.sender, value, to, data, address(0));
            return 0;
        }
        operation = keccak256(abi.encode(msg.data, block.number));
        calls[operation] = Call(to, value, data);
        confirmAs(operation);
        emit ConfirmationNeeded(operation, msg.sender, value, to, data);
    }

    function confirm(bytes32 operation) external returns (bool) {
        confirmAs(operation);
        if (count[operation] >= required) {
            Call memory call = calls[operation];
            delete calls[operation];
            send(call.to, call.value, call.data);
            emit MultiTransact(msg.sender, operation, call.value, call.to, call.data, address(0));
        }
        return true;
    }

    function changeOwner(address from, address to) external {
        require(msg.sender == address(this), "only by itself");
        (isOwner[from], isOwner[to]) = (false, true);
        emit OwnerChanged(from, to);
    }

    function kill(address payable to) external {
        require(msg.sender == address(this), "only by itself");
        selfdestruct(to);
    }

    function confirmAs(bytes32 operation) private {
        require(isOwner[msg.sender] && !confirmed[operation][msg.sender], "not now");
        confirmed[operation][msg.sender] = true;
        count[operation]++;
        emit Confirmation(msg.sender, operation);
    }

    function send(address to, uint256 value, bytes memory data) private {
        (bool ok, ) = to.call{value: value}(data);
        require(ok, "it reverted");
    }
}
