//! `[[watch.absent]]`.

use super::rule::{LengthText, RuleText};
use crate::classify::rule::Polarity;
use crate::settings::{At, Problems, Table};

/// An expectation as written: the expected action, with the keys of a rule, and its due time.
pub(in crate::watchlist) struct AbsentText<'a> {
    pub rule: RuleText<'a>,
    pub every: Option<LengthText<'a>>,
    /// `Fri 18:00 Europe/Zurich`
    pub by: Vec<At<&'a str>>,
    pub grace: Option<LengthText<'a>>,
}

impl<'a> AbsentText<'a> {
    pub(super) fn from_table(mut table: Table<'a>, problems: &mut Problems) -> Self {
        let every = LengthText::from_table(&mut table, "every", problems);
        let by = table.one_or_more("by", problems).unwrap_or_default();
        let grace = LengthText::from_table(&mut table, "grace", problems);
        if !table.has_key("every") && !table.has_key("by") {
            let problem = table.spot().problem("an absence says by when it is one: `every` or `by`");
            problems.push(problem.with_hint("such as `every = \"7d\"` or `by = \"Fri 18:00 Europe/Zurich\"`"));
        }
        // An expected action is matched like an abnormal rule, regardless of the ether or bytes that come with it.
        Self { rule: RuleText::from_table(Polarity::Abnormal, table, problems), every, by, grace }
    }
}
