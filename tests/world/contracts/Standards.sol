// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {ERC1155Holder} from "@openzeppelin/contracts/token/ERC1155/utils/ERC1155Holder.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC6909} from "@openzeppelin/contracts/token/ERC6909/ERC6909.sol";

/// OpenZeppelin's ERC-6909; anybody may mint.
contract Claims is ERC6909 {
    function mint(address to, uint256 id, uint256 amount) external {
        _mint(to, id, amount);
    }
}

/// ERC-777 without its registry of hooks, as far as a holder's tokens can move; anybody may mint. It logs the ERC-20 log behind its own, or
/// its own alone.
contract Courier {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Sent(
        address indexed operator,
        address indexed from,
        address indexed to,
        uint256 amount,
        bytes data,
        bytes operatorData
    );
    event Burned(address indexed operator, address indexed from, uint256 amount, bytes data, bytes operatorData);
    event AuthorizedOperator(address indexed operator, address indexed tokenHolder);
    event RevokedOperator(address indexed operator, address indexed tokenHolder);

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => bool)) private operators;
    bool private immutable twice;

    constructor(bool twice_) {
        twice = twice_;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function isOperatorFor(address operator, address holder) public view returns (bool) {
        return operator == holder || operators[holder][operator];
    }

    function authorizeOperator(address operator) external {
        operators[msg.sender][operator] = true;
        emit AuthorizedOperator(operator, msg.sender);
    }

    function revokeOperator(address operator) external {
        operators[msg.sender][operator] = false;
        emit RevokedOperator(operator, msg.sender);
    }

    function send(address to, uint256 amount, bytes calldata data) external {
        move(msg.sender, to, amount, data, "");
    }

    function operatorSend(address from, address to, uint256 amount, bytes calldata data, bytes calldata more) external {
        require(isOperatorFor(msg.sender, from));
        move(from, to, amount, data, more);
    }

    function operatorBurn(address from, uint256 amount, bytes calldata data, bytes calldata more) external {
        require(isOperatorFor(msg.sender, from));
        balanceOf[from] -= amount;
        emit Burned(msg.sender, from, amount, data, more);
        if (twice) emit Transfer(from, address(0), amount);
    }

    function move(address from, address to, uint256 amount, bytes calldata data, bytes memory more) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Sent(msg.sender, from, to, amount, data, more);
        if (twice) emit Transfer(from, to, amount);
    }
}

interface IPaid {
    function onTokenTransfer(address from, uint256 amount, bytes calldata data) external;
}

/// ERC-677 on OpenZeppelin's ERC-20: a transfer that calls the receiver, and is logged once more with its data; anybody may mint.
contract Caller is ERC20 {
    event Transfer(address indexed from, address indexed to, uint256 value, bytes data);

    constructor() ERC20("Caller", "CALL") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function transferAndCall(address to, uint256 amount, bytes calldata data) external returns (bool) {
        _transfer(msg.sender, to, amount);
        emit Transfer(msg.sender, to, amount, data);
        if (to.code.length > 0) IPaid(to).onTokenTransfer(msg.sender, amount, data);
        return true;
    }
}

/// An operator that takes a batch, and gives another one back at once.
contract Juggler is ERC1155Holder {
    function juggle(
        ERC1155 token,
        address from,
        uint256[] calldata ids,
        uint256[] calldata amounts,
        uint256[] calldata backIds,
        uint256[] calldata backAmounts
    ) external {
        token.safeBatchTransferFrom(from, address(this), ids, amounts, "");
        if (backIds.length > 0) token.safeBatchTransferFrom(address(this), from, backIds, backAmounts, "");
    }
}
