//! The interfaces of contracts/Ordinary.sol and of what stands around them.
#![allow(unreachable_pub, clippy::too_many_arguments, reason = "sol! writes this code")]

use alloy_sol_types::sol;

sol! {
    interface IPermit {
        function DOMAIN_SEPARATOR() returns (bytes32);
        function nonces(address owner) returns (uint256);
        function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s);
    }
    interface IRelay {
        function pass(address to, uint256 value, bytes data);
        function make(address to, bytes data);
    }
    interface IVault {
        function deposit(uint256 assets, address receiver);
        function mint(uint256 shares, address receiver);
        function withdraw(uint256 assets, address receiver, address owner);
        function redeem(uint256 shares, address receiver, address owner);
        function harvest();
        function setStrategy(address strategy);
        function totalAssets();
        function previewDeposit(uint256 assets);
    }
    interface IStrategy {
        function turn();
        function leave(address to);
    }
    struct Signature { uint256 deadline; uint8 v; bytes32 r; bytes32 s; }
    interface IZap {
        function enter(address vault, uint256 assets, Signature by);
        function leave(address vault, uint256 shares, Signature by);
        function leaveByAllowance(address vault, uint256 shares);
        function look(address at, bytes question);
    }
    interface IVoice {
        function burn(uint256 value);
        function burnFrom(address account, uint256 value);
        function delegate(address delegatee);
        function getVotes(address account);
        function totalSupply();
    }
    interface IPool {
        function open(address owner, address distributor);
        function stake(uint256 amount);
        function withdraw(uint256 amount);
        function getReward();
        function exit();
        function notifyRewardAmount(uint256 reward);
        function recoverERC20(address token, uint256 amount);
        function earned(address who);
    }
    interface ITokenRelease {
        function release(address token);
    }
    interface IModular {
        function execute(address dest, uint256 value, bytes func);
        function executeBatch(address[] dest, uint256[] value, bytes[] func);
        function installModule(address module);
        function executeFromModule(address dest, uint256 value, bytes func);
    }
}
