// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";

/// OpenZeppelin's ERC-721; anybody may mint.
contract Portraits is ERC721 {
    constructor() ERC721("Portraits", "PRT") {}

    function mint(address to, uint256 id) external {
        _mint(to, id);
    }
}

/// OpenZeppelin's ERC-1155; anybody may mint.
contract Badges is ERC1155 {
    constructor() ERC1155("") {}

    function mint(address to, uint256 id, uint256 amount) external {
        _mint(to, id, amount, "");
    }
}
