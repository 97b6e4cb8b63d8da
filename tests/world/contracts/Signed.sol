// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20TransferAuthorization} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20TransferAuthorization.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// A token that moves on a signature of its holder, whoever brings it (EIP-3009).
contract SignedCoin is ERC20TransferAuthorization {
    constructor(address holder) ERC20("Signed coin", "SIGN") EIP712("Signed coin", "1") {
        _mint(holder, 1000 ether);
    }
}

/// Stands where Permit2 stands, with its logs: whoever brings a permit gives an allowance in its signer's name. What was signed is not
/// looked at here, since the logs are what the tests are about.
contract PermitDesk {
    event Approval(address indexed owner, address indexed token, address indexed spender, uint160 amount, uint48 expiration);
    event Permit(
        address indexed owner,
        address indexed token,
        address indexed spender,
        uint160 amount,
        uint48 expiration,
        uint48 nonce
    );
    event Lockdown(address indexed owner, address token, address spender);

    struct TokenSpenderPair {
        address token;
        address spender;
    }

    function approve(address token, address spender, uint160 amount, uint48 expiration) external {
        emit Approval(msg.sender, token, spender, amount, expiration);
    }

    function bring(address owner, address token, address spender, uint160 amount) external {
        emit Permit(owner, token, spender, amount, type(uint48).max, 0);
    }

    function lockdown(TokenSpenderPair[] calldata approvals) external {
        for (uint256 i = 0; i < approvals.length; i++) {
            emit Lockdown(msg.sender, approvals[i].token, approvals[i].spender);
        }
    }
}

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

/// An account that takes any operation for a good one, and pays somebody while it validates.
contract Turncoat {
    address payable private immutable thief;

    constructor(address payable thief_) {
        thief = thief_;
    }

    function validateUserOp(PackedUserOperation calldata, bytes32, uint256 missingAccountFunds) external returns (uint256) {
        (bool ok, ) = thief.call{value: 1 ether}("");
        require(ok);
        (ok, ) = payable(msg.sender).call{value: missingAccountFunds}("");
        return 0;
    }

    function execute(address dest, uint256 value, bytes calldata func) external {
        (bool ok, ) = dest.call{value: value}(func);
        require(ok);
    }

    receive() external payable {}
}
