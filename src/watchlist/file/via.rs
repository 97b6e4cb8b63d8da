//! `via` of a rule and of a test.

use super::rule::{DeedText, ListText};
use crate::model::ActivityKind;
use crate::settings::{At, Problems, Spot, Value};

/// `via = "…"`, a list, `{ call = "deposit", of = "Vault" }` or `{ module = "…", role = "…" }`.
pub(in crate::watchlist) struct ViaText<'a> {
    pub spot: Spot,
    pub says: ViaSays<'a>,
}

/// Variants of `via`.
pub(in crate::watchlist) enum ViaSays<'a> {
    Party(ListText<'a>),
    /// A call of the watch itself unless `of` names another contract.
    Call {
        deed: DeedText<'a>,
        of: Option<ListText<'a>>,
    },
    Module {
        module: ListText<'a>,
        role: Option<At<&'a str>>,
    },
}

impl<'a> ViaText<'a> {
    pub(super) fn from_value(value: &Value<'a>, problems: &mut Problems) -> Option<Self> {
        let spot = value.spot();
        let Some(mut table) = value.as_table() else {
            return Some(Self { spot, says: ViaSays::Party(ListText::from_value(value, problems)?) });
        };
        let usage = "write `\"Roles modifier\"`, `{ call = \"deposit\", of = \"Vault\" }` or `{ module = \"…\", role = \"…\" }`";
        let says = match (table.value("call"), table.value("module")) {
            (Some(call), None) => {
                let of = table.value("of");
                // The contract of the call determines which functions the name may refer to.
                let kind = if of.is_some() { ActivityKind::Act } else { ActivityKind::Call };
                let deed = DeedText::listed(kind, &call, problems);
                let of = of.map(|of| ListText::from_value(&of, problems));
                deed.filter(|_| of.as_ref().is_none_or(Option::is_some))
                    .map(|deed| ViaSays::Call { deed, of: of.flatten() })
            }
            (None, Some(module)) => {
                let role = table.string("role", problems);
                ListText::from_value(&module, problems).map(|module| ViaSays::Module { module, role })
            }
            _ => {
                problems.push(spot.problem("`via` says either `call` or `module`").with_hint(usage));
                // The other keys count as known although the main key is missing.
                table.value("of");
                table.value("role");
                None
            }
        };
        table.report_unknown_keys(problems);
        Some(Self { spot, says: says? })
    }
}
