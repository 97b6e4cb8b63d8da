//! MiniMe tokens, whose controller mints, burns and moves the tokens of any holder.
//!
//! Source: MiniMeToken.sol. `changeController` and `enableTransfers` log nothing.

use super::erc20;
use super::table::{Table, critical_row, high_row, warning_row};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Minime,
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
    public: &[],
    gates: &[],
    weigh: erc20::assess_activity,
};
