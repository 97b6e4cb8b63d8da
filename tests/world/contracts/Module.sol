// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface IModuleTarget {
    function execTransactionFromModule(address to, uint256 value, bytes calldata data, uint8 operation) external returns (bool);
}

/// A Safe module through which one keeper pays out of any Safe that enabled it, without signatures of its owners.
contract PayModule {
    event Paid(address indexed safe, address indexed token, address indexed to, uint256 amount);

    address public immutable keeper;

    constructor(address keeper_) {
        keeper = keeper_;
    }

    /// `token` zero means ether, in wei.
    function pay(IModuleTarget safe, address token, address to, uint256 amount) external {
        require(msg.sender == keeper, "PayModule: not the keeper");
        bool ok = token == address(0)
            ? safe.execTransactionFromModule(to, amount, "", 0)
            : safe.execTransactionFromModule(token, 0, abi.encodeWithSignature("transfer(address,uint256)", to, amount), 0);
        require(ok, "PayModule: the Safe refused");
        emit Paid(address(safe), token, to, amount);
    }

    /// What an attacker would want from an enabled module: any call, any operation.
    function run(IModuleTarget safe, address to, uint256 value, bytes calldata data, uint8 operation) external returns (bool) {
        require(msg.sender == keeper, "PayModule: not the keeper");
        return safe.execTransactionFromModule(to, value, data, operation);
    }
}
