//! MiniMe tokens, whose controller mints, burns and moves the tokens of any holder.
//!
//! Source: MiniMeToken.sol. `changeController` and `enableTransfers` log nothing.

use super::control::{Control, critical_row, high_row, warning_row};
use super::erc20;
use super::kind::ContractKind;
use super::kind::Property::{MovedByController, Token};
use super::shared_state::{CODE, FITS, HOLDINGS, OWNER_VIEWS, SUPPLY};
use super::state::ItemChange::Becomes;
use super::state::StatedValue::Arg;
use super::state::{ReadMethod, StateGroup, cause_row, state_line};
use crate::abi::bundled;
use crate::model::Severity;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "minime",
    about: "a MiniMe token: its controller can mint, burn and move tokens",
    abis: &[bundled::minime],
    properties: &[Token, MovedByController],
    essentials: &[("supply", false), ("controller", false)],
    unread: Some("which transfers are its controller's"),
    state: &[OWN_STATE, OWNER_VIEWS, SUPPLY, HOLDINGS, CODE, FITS],
    control: Control {
        unreadable: Severity::Critical,
        functions: &[
            critical_row(
                "changeController",
                "the token's controller is replaced: it can mint, burn and move anybody's tokens",
            ),
            critical_row("generateTokens", "tokens are minted"),
            critical_row("destroyTokens", "tokens are burned from a holder"),
            high_row("enableTransfers", "transfers are switched on or off"),
            high_row("claimTokens", "the controller takes what lies in the token contract"),
            warning_row("createCloneToken", "a clone of the token is created"),
        ],
        events: &[
            warning_row("NewCloneToken", "a clone of the token was created: it bears the same holders"),
            high_row("ClaimedTokens", "the controller took what lay in the token contract"),
        ],
        weigh: erc20::assess_activity,
        ..Control::BASE
    },
    ..ContractKind::BASE
};

/// `controller()`
const GET_CONTROLLER: [u8; 4] = [0xf7, 0x7c, 0x47, 0x91];
/// `transfersEnabled()`
const TRANSFERS_ENABLED: [u8; 4] = [0xbe, 0xf9, 0x7c, 0x87];

/// Controller and transfers. Source: MiniMeToken.sol.
const OWN_STATE: &StateGroup = &StateGroup {
    lines: &[
        state_line("controller", ReadMethod::View(GET_CONTROLLER)),
        state_line("transfers-enabled", ReadMethod::View(TRANSFERS_ENABLED)),
    ],
    causes: &[
        cause_row(
            "controller",
            Becomes,
            &[("changeController", Arg(0)), ("NewController", Arg(0)), ("ControllerChanged", Arg(0))],
        ),
        cause_row("transfers-enabled", Becomes, &[("enableTransfers", Arg(0))]),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn selectors_are_those_of_their_names() {
        assert_eq!(keccak256("controller()")[..4], GET_CONTROLLER);
        assert_eq!(keccak256("transfersEnabled()")[..4], TRANSFERS_ENABLED);
    }
}
