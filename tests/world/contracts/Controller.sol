// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface IControlled {
    function changeController(address controller) external;
}

/// A MiniMe token's controller that only holds the office until its owner hands it on, as placeholders do after a sale.
/// Handing on says so in a log of its own; on the token the change is silent. Owner in slot 0, the next one in slot 1.
contract Placeholder {
    event ControllerChanged(address indexed _newController);

    address public owner;
    address public newOwner;
    IControlled public token;

    constructor(address owner_, IControlled token_) {
        owner = owner_;
        token = token_;
    }

    modifier onlyOwner() {
        require(msg.sender == owner, "Placeholder: not the owner");
        _;
    }

    /// No log, like the contracts it stands for.
    function changeOwner(address newOwner_) external onlyOwner {
        newOwner = newOwner_;
    }

    function acceptOwnership() external {
        require(msg.sender == newOwner, "Placeholder: not the next owner");
        owner = newOwner;
    }

    function changeController(address newController) external onlyOwner {
        token.changeController(newController);
        emit ControllerChanged(newController);
    }

    // The token asks its controller before ether is taken, tokens move or an allowance is given.
    function proxyPayment(address) external payable returns (bool) {
        return false;
    }

    function onTransfer(address, address, uint256) external pure returns (bool) {
        return true;
    }

    function onApprove(address, address, uint256) external pure returns (bool) {
        return true;
    }
}
