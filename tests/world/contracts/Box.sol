// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A plain contract to be watched: a value that writers may store, an owner who says who they are, and money inside.
contract Box {
    event Stored(address indexed by, uint256 value);
    event WriterSet(address indexed writer, bool allowed);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    error NotOwner(address caller);
    error NotWriter(address caller);
    error Empty();

    address public owner;
    uint256 public value;
    mapping(address => bool) public writers;

    constructor(address owner_) {
        owner = owner_;
        emit OwnershipTransferred(address(0), owner_);
    }

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    /// Zero is refused, so that an allowed caller has a way to fail.
    function store(uint256 value_) external {
        if (!writers[msg.sender]) revert NotWriter(msg.sender);
        if (value_ == 0) revert Empty();
        value = value_;
        emit Stored(msg.sender, value_);
    }

    function setWriter(address writer, bool allowed) external onlyOwner {
        writers[writer] = allowed;
        emit WriterSet(writer, allowed);
    }

    function transferOwnership(address newOwner) external onlyOwner {
        emit OwnershipTransferred(owner, newOwner);
        owner = newOwner;
    }

    function withdraw(address payable to, uint256 amount) external onlyOwner {
        (bool ok, ) = to.call{value: amount}("");
        require(ok, "Box: the payee refused");
    }

    function fail(string calldata reason) external pure {
        revert(reason);
    }

    receive() external payable {}

    /// Takes any selector without complaint, so that a call nobody can name still succeeds.
    fallback() external payable {}
}
