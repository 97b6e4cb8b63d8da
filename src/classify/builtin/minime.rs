//! MiniMe tokens, whose controller mints, burns and moves the tokens of any holder.
//!
//! Source: MiniMeToken.sol. `changeController` and `enableTransfers` log nothing.

use super::erc20;
use super::table::{Table, critical, high, warning};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Minime,
    unreadable: Severity::Critical,
    functions: &[
        critical("changeController", "the token's controller is replaced: it can mint, burn and move anybody's tokens"),
        critical("generateTokens", "tokens are minted"),
        critical("destroyTokens", "tokens are burned from a holder"),
        high("enableTransfers", "transfers are switched on or off"),
        high("claimTokens", "the controller takes what lies in the token contract"),
        warning("createCloneToken", "a clone of the token is created"),
    ],
    events: &[
        warning("NewCloneToken", "a clone of the token was created: it bears the same holders"),
        high("ClaimedTokens", "the controller took what lay in the token contract"),
    ],
    public: &[],
    gates: &[],
    weigh: erc20::weigh,
};
