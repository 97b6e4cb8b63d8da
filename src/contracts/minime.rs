//! MiniMe tokens, whose controller mints, burns and moves the tokens of any holder.
//!
//! Source: MiniMeToken.sol. `changeController` and `enableTransfers` log nothing.

use super::control::{Control, critical_row, high_row, warning_row};
use super::erc20;
use super::kind::ContractKind;
use super::kind::Property::{MovedByController, Token};
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
