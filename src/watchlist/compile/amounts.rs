//! Arguments that are amounts of the token whose function, event or movement contains them: they need a unit.

use super::deed::CallMatcher;
use crate::classify::rule::CallMatch;
use crate::model::ActivityKind;
use crate::model::arg_path::{ArgPath, Step};

/// Functions and events of tokens by their canonical signatures, each with the position of its amount. Sources: ERC-20, ERC-2612, ERC-677,
/// ERC-1363, ERC-4626; OpenZeppelin Contracts 4.9 and 5 (ERC20Burnable and presets); MiniMeToken.sol; WETH9.sol; FiatTokenV2 (USDC);
/// TetherToken.sol (USDT).
const AMOUNTS: [(&str, usize); 28] = [
    ("transfer(address,uint256)", 1),
    ("transferFrom(address,address,uint256)", 2),
    ("approve(address,uint256)", 1),
    ("increaseAllowance(address,uint256)", 1),
    ("decreaseAllowance(address,uint256)", 1),
    ("increaseApproval(address,uint256)", 1),
    ("decreaseApproval(address,uint256)", 1),
    ("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", 2),
    ("permit(address,address,uint256,uint256,bytes)", 2),
    ("transferAndCall(address,uint256)", 1),
    ("transferAndCall(address,uint256,bytes)", 1),
    ("approveAndCall(address,uint256,bytes)", 1),
    ("mint(address,uint256)", 1),
    ("mint(uint256)", 0),
    ("burn(uint256)", 0),
    ("burn(address,uint256)", 1),
    ("burnFrom(address,uint256)", 1),
    ("issue(uint256)", 0),
    ("generateTokens(address,uint256)", 1),
    ("destroyTokens(address,uint256)", 1),
    ("withdraw(uint256)", 0),
    ("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", 2),
    ("receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", 2),
    ("Transfer(address,address,uint256)", 2),
    ("Approval(address,address,uint256)", 2),
    ("Mint(address,uint256)", 1),
    ("Burn(address,uint256)", 1),
    ("Withdrawal(address,uint256)", 1),
];
/// Position of a movement's amount.
const MOVED: usize = 3;

/// Returns whether the argument at `path` is an amount of the token.
pub(super) fn is_amount(deed: &CallMatcher, path: &ArgPath) -> bool {
    let [Step::Position(position)] = path.steps() else { return false };
    deed.matches.each().iter().any(|one| is_amount_of(one, deed.kind, *position))
}

fn is_amount_of(matches: &CallMatch, kind: ActivityKind, position: usize) -> bool {
    match matches {
        CallMatch::Function { signature, .. } | CallMatch::Event { signature, .. } => {
            AMOUNTS.iter().any(|(known, at)| *known == &**signature && *at == position)
        }
        CallMatch::MoveIn | CallMatch::MoveOut | CallMatch::Approval => position == MOVED,
        CallMatch::Any => kind == ActivityKind::Move && position == MOVED,
        CallMatch::Ether | CallMatch::Creation | CallMatch::Item(_) | CallMatch::OneOf(_) => false,
    }
}
