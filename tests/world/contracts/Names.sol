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
    event NameWrapped(bytes32 indexed node, bytes name, address owner, uint32 fuses, uint64 expiry);
    event FusesSet(bytes32 indexed node, uint32 fuses);
    event ControllerAdded(address indexed controller);
    event ApprovalForAll(address indexed owner, address indexed operator, bool approved);

    /// By the hash of the label, as the registrar keeps it.
    mapping(uint256 => uint256) public nameExpires;

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
        bytes32 label = keccak256(bytes(name));
        nameExpires[uint256(label)] = block.timestamp + duration;
        emit NameRenewed(name, label, msg.value, block.timestamp + duration);
    }

    function safeTransferFrom(address from, address to, uint256 tokenId) external {
        emit Transfer(from, to, tokenId);
    }

    function wrap(bytes calldata name, address owner, address) external {
        emit NameWrapped(node(name, 0), name, owner, 0, type(uint64).max);
    }

    function setFuses(bytes32 node_, uint16 fuses) external returns (uint32) {
        emit FusesSet(node_, fuses);
        return 0;
    }

    function addController(address controller) external {
        emit ControllerAdded(controller);
    }

    function setApprovalForAll(address operator, bool approved) external {
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    /// The hash of a name that is written label by label, each behind its length.
    function node(bytes calldata name, uint256 at) private pure returns (bytes32) {
        uint256 length = uint8(name[at]);
        if (length == 0) return 0;
        bytes32 parent = node(name, at + 1 + length);
        return keccak256(abi.encodePacked(parent, keccak256(name[at + 1:at + 1 + length])));
    }
}
