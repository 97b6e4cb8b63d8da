// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface IMovable {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
}

/// A function of this name changes nothing, as its interface says; a proxy may run other code for it.
contract Lens {
    function peek() external view returns (uint256) {
        return address(this).balance;
    }

    function harvest() external {}

    function nest() external {}
}

/// Does what was prepared, whoever asks and however: on a payment, in a vouched call, two calls of its own deep, or in what calls itself
/// a view.
contract Reactor {
    enum Way {
        Nothing,
        Calls,
        Delegates,
        Looks,
        Pays,
        Creates,
        Ends
    }

    Way private way;
    address private target;
    bytes private data;
    uint256 private amount;

    function prepare(Way way_, address target_, bytes calldata data_, uint256 amount_) external {
        (way, target, data, amount) = (way_, target_, data_, amount_);
    }

    receive() external payable {
        react();
    }

    function harvest() external {
        react();
    }

    function peek() external returns (uint256) {
        react();
        return 1;
    }

    function nest() external {
        this.inner();
    }

    function inner() external {
        require(msg.sender == address(this));
        react();
    }

    function react() private {
        bool ok = true;
        if (way == Way.Calls) (ok, ) = target.call(data);
        if (way == Way.Delegates) (ok, ) = target.delegatecall(data);
        if (way == Way.Looks) (ok, ) = target.staticcall(data);
        if (way == Way.Pays) (ok, ) = target.call{value: amount}(data);
        if (way == Way.Creates) new Lens();
        if (way == Way.Ends) selfdestruct(payable(target));
        require(ok);
    }
}

/// Somebody else's code: nothing at all, whatever it is asked.
contract Foreign {
    fallback() external payable {}
}

/// Belongs to somebody, and says so to nobody.
contract Estate {
    address public owner = msg.sender;

    function transferOwnership(address to) external {
        owner = to;
    }
}

/// Takes what is deposited by the allowance that it was given, and gives it back.
contract Pool {
    event Deposited(address indexed by, uint256 amount);

    IMovable private immutable token;

    constructor(IMovable token_) {
        token = token_;
    }

    function deposit(uint256 amount) external {
        require(token.transferFrom(msg.sender, address(this), amount));
        emit Deposited(msg.sender, amount);
    }

    /// Takes from whoever allowed it, asked by nobody but whoever calls.
    function take(address from, uint256 amount) external {
        require(token.transferFrom(from, address(this), amount));
    }
}
