//! What happens inside of a judged call, and what a judged act explains: how far the word of whoever vouches for the one reaches to the other.
//!
//! An act that a rule vouches for answers for its own logs. A rule for a call answers for the call and for what moves nothing out of the
//! subject; for what goes out only where it says `effects = "any"`. A built-in answers for what arrives, and for nothing that leaves.

use super::raised::Unraised;
use super::{Court, code};
use crate::classify::builtin;
use crate::classify::finding::{finding, repeat, unjudged};
use crate::classify::outward::{ends, goes_out, is_token_act, issues, reaches_out};
use crate::classify::rule::{DeedMatch, Polarity, Rule, WatchRules};
use crate::classify::trial;
use crate::model::activity::Note;
use crate::model::{Abnormal, Activity, ActivityKind, Fate, Role, Verdict, Voucher};
use std::sync::Arc;

/// How far a verdict reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// To everything that happens inside.
    Everything,
    /// To what the act itself explains: its own logs.
    Explained,
    /// To what moves nothing out.
    Kept,
    /// To what can change nothing elsewhere.
    Nothing,
}

impl Court<'_> {
    /// The verdict of something that `of` explains, or that happened inside of it.
    pub(super) fn effect(&mut self, index: usize, of: usize) -> Verdict {
        // A log that could not be read is a finding like any other, and so is one that an abnormal rule is about.
        // A log that control changes is believed to be the effect of nothing but a call that asks for it, however well its words
        // agree with another: who may move tokens is not who may hand over the contract.
        let Some(event) = self.all.get(index) else { return unjudged() };
        let Some(rules) = self.of(event) else { return unjudged() };
        self.raised(event, rules, |court| court.explained(index, of, rules))
    }

    /// The same, whatever abnormal rules say of it.
    fn explained(&mut self, index: usize, of: usize, rules: &WatchRules) -> Verdict {
        let (Some(event), Some(cause)) = (self.all.get(index), self.all.get(of)) else { return unjudged() };
        if let Some(cost) = self.replaced_twice(event, rules) {
            return finding(&cost, &[], rules);
        }
        let foreign = code::foreign_code(event, rules, &self.windows).is_some();
        let abnormal = matches!(self.plain(of), Some(Verdict::Abnormal(_)));
        let alone = !abnormal && self.is_only_logged(event, of, rules);
        let asked = !builtin::is_change_without_asking(event, cause, rules);
        if is_unread(event, rules) || foreign && !abnormal || alone || !asked {
            return self.by_itself(index, event, rules);
        }
        match self.plain(of) {
            Some(verdict @ Verdict::Abnormal(abnormal)) => {
                let told = repeat(verdict, of);
                if !self.stands_alone(event, cause, abnormal, rules) {
                    return told;
                }
                let own = self.by_itself(index, event, rules);
                because(own, || format!("it happened inside {}, which is a finding itself", cause.deed.signature))
            }
            // That the registry has to follow is told even of a change that somebody vouched for.
            Some(Verdict::Normal { .. }) if event.notes.contains(&Note::Drift) => self.by_itself(index, event, rules),
            Some(Verdict::Normal { .. }) => {
                if self.covers(of, event, rules) {
                    // What is part of something that a rule raises is told with that.
                    let normal = Verdict::Normal { by: Voucher::EffectOf(cause.position.clone()) };
                    let Some(Some(raised @ Verdict::Abnormal(_))) = self.verdicts.get(of) else { return normal };
                    let told = repeat(raised, of);
                    let on_trial = self.plain.get(&of).is_some_and(|unraised| unraised.on_trial);
                    self.unraised = Some(Unraised { verdict: normal, on_trial });
                    return told;
                }
                self.outgoing(index, of, event, rules)
            }
            None => unjudged(),
        }
    }

    /// Whether the verdict of `of`, which is normal, reaches to `event`.
    fn covers(&self, of: usize, event: &Activity, rules: &WatchRules) -> bool {
        // What was undone moved nothing, and what an operation costs belongs to it.
        let prefund = event.notes.contains(&Note::Prefund);
        if prefund || !matches!(event.fate, Fate::Executed | Fate::Waiting) {
            return true;
        }
        let reach = self.reach(of, event, rules);
        match event.kind {
            ActivityKind::Act => match reach {
                Reach::Everything => !ends(event),
                Reach::Explained | Reach::Kept => !goes_out(event, rules),
                Reach::Nothing => !reaches_out(event, rules),
            },
            ActivityKind::Move => match reach {
                Reach::Everything | Reach::Explained => true,
                Reach::Kept | Reach::Nothing => !goes_out(event, rules),
            },
            ActivityKind::Event => match (reach, self.all.get(of)) {
                (Reach::Kept | Reach::Nothing, Some(cause)) => !issues(event, cause, rules),
                _ => true,
            },
            ActivityKind::Call | ActivityKind::State => true,
        }
    }

    fn reach(&self, of: usize, event: &Activity, rules: &WatchRules) -> Reach {
        let (Some(cause), Some(Verdict::Normal { by })) = (self.all.get(of), self.plain(of)) else {
            return Reach::Nothing;
        };
        match by {
            Voucher::Rule(name) => {
                let rule = rules.rules.iter().find(|rule| rule.name == *name);
                match (cause.kind, rule) {
                    (ActivityKind::Call, Some(rule)) if rule.effects && !is_unnamed(rule, event, rules) => {
                        Reach::Everything
                    }
                    (ActivityKind::Call, _) => Reach::Kept,
                    // A rule for what moved vouched for the act because of it: each movement still answers to that rule.
                    (ActivityKind::Act, Some(rule)) if rule.kind == ActivityKind::Move => Reach::Kept,
                    _ => Reach::Explained,
                }
            }
            // A wallet's own guard and refund belong to its envelope; whatever else code does inside of one does not.
            Voucher::Envelope if event.kind == ActivityKind::Act && rules.kind.is_wallet() => Reach::Everything,
            Voucher::Envelope => Reach::Explained,
            Voucher::Builtin(_) => Reach::Nothing,
            Voucher::EffectOf(_) => match cause.role {
                Role::Effect { of } if self.reach(of, event, rules) == Reach::Everything => Reach::Everything,
                _ => Reach::Kept,
            },
        }
    }

    /// Something that leaves inside of a normal call, judged by rules of its own.
    fn outgoing(&mut self, index: usize, of: usize, event: &Activity, rules: &WatchRules) -> Verdict {
        if let Some(by) = self.vouched_as_moved(index, event, rules) {
            return Verdict::Normal { by: Voucher::Rule(by) };
        }
        let verdict = self.by_itself(index, event, rules);
        let Some(cause) = self.all.get(of) else { return verdict };
        let vouched = match self.plain(of) {
            Some(Verdict::Normal { by: Voucher::Rule(name) }) if cause.kind == ActivityKind::Call => format!(
                "which `{name}` vouches for: a rule for a call answers for what moves nothing out, unless it says `effects = \"any\"`"
            ),
            Some(Verdict::Normal { by: Voucher::Builtin(name) }) => {
                format!("which {name} vouches for, and for nothing that goes out")
            }
            _ => "and nothing vouches for it there".to_owned(),
        };
        because(verdict, || format!("it happened inside {} of the subject, {vouched}", cause.deed.signature))
    }

    /// The rule for what moved that vouches for an act on a token, where the token's logs say all that the act did: who cannot trace
    /// writes rules for movements, and traces take nothing from them.
    fn vouched_as_moved(&self, index: usize, act: &Activity, rules: &WatchRules) -> Option<Arc<str>> {
        if act.kind != ActivityKind::Act || !is_token_act(act) || builtin::trouble(act, rules).is_some() {
            return None;
        }
        // A transfer of nothing is one as well: who allows a payee any amount up to a bound allows that.
        let own = |moved: &&Activity| {
            moved.kind == ActivityKind::Move
                && moved.role == (Role::Effect { of: index })
                && moved.from == rules.address
        };
        let here = self.all.iter().skip(index).take_while(|other| other.tx == act.tx);
        let mut by = None;
        for moved in here.filter(own) {
            let mut normal =
                rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal && rule.kind == ActivityKind::Move);
            by = Some(normal.find(|rule| trial::holds(rule, moved, rules, &self.windows))?.name.clone());
        }
        by
    }

    /// Whether something that a finding explains is one of its own: whatever goes out of the subject inside of a call that nothing vouches
    /// for, so that it is told with what it moves, and whatever changes something elsewhere where the call wakes nobody. What a rule
    /// vouches for is part of the call.
    fn stands_alone(&self, event: &Activity, cause: &Activity, found: &Abnormal, rules: &WatchRules) -> bool {
        if !matches!(event.fate, Fate::Executed | Fate::Waiting) {
            return false;
        }
        if event.kind != ActivityKind::Act || cause.kind != ActivityKind::Call {
            return false;
        }
        let silent = found.is_noise() || found.observe && !rules.observe;
        // What an operation costs belongs to it, as long as somebody hears of that.
        let prefund = event.notes.contains(&Note::Prefund);
        let alone = if silent { reaches_out(event, rules) } else { !prefund && goes_out(event, rules) };
        let mut normal = rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal);
        alone && !normal.any(|rule| trial::holds(rule, event, rules, &self.windows))
    }

    /// Says of a movement that nothing explains inside of which act of the subject it happened, and who vouched for that.
    pub(super) fn named_cause(&self, moved: &Activity, verdict: Verdict) -> Verdict {
        if moved.kind != ActivityKind::Move {
            return verdict;
        }
        let Some(calls) = moved.inside() else { return verdict };
        // The innermost call that the subject made, or else that was made to it.
        let own = calls
            .iter()
            .find(|call| call.from == moved.from)
            .or_else(|| calls.iter().find(|call| call.to == Some(moved.from)));
        let Some(call) = own else { return verdict };
        let act = self.all.iter().position(|other| {
            let is = (other.from, other.to, other.deed.selector) == (call.from, call.to, call.selector);
            other.tx == moved.tx && other.watch == moved.watch && is && other.kind != ActivityKind::Move
        });
        let vouched = match act.and_then(|at| self.verdicts.get(at)?.as_ref()) {
            Some(Verdict::Normal { by: Voucher::Rule(name) }) => format!(", which `{name}` vouches for"),
            Some(Verdict::Normal { by }) => format!(", which is normal by {by}"),
            _ => String::new(),
        };
        let whose = call.to.map_or_else(String::new, |to| format!(" of {to}"));
        because(verdict, || {
            format!(
                "it happened inside {}{whose}{vouched}: a rule for `move` may say so with `via = {{ call = … }}`",
                call.function
            )
        })
    }
}

/// Whether the rule is about `*`, and `event` is something that a rule has to name.
fn is_unnamed(rule: &Rule, event: &Activity, rules: &WatchRules) -> bool {
    rule.deed == DeedMatch::Any && builtin::needs_a_name(event, rules).is_some()
}

/// Whether something could not be read to its end, so that nobody's word for what it happened in reaches it.
///
/// What a contract calls while it is called is its code's doing, and need not be readable; what was not looked at at all is another matter.
fn is_unread(event: &Activity, rules: &WatchRules) -> bool {
    match event.kind {
        ActivityKind::Act => event.notes.iter().any(|note| matches!(note, Note::BudgetReached(_))),
        _ => builtin::trouble(event, rules).is_some(),
    }
}

/// One more reason of a finding that is not told elsewhere, before those of rules.
fn because(verdict: Verdict, why: impl FnOnce() -> String) -> Verdict {
    match verdict {
        Verdict::Abnormal(abnormal) if abnormal.repeats.is_none() && !abnormal.is_noise() => {
            Verdict::Abnormal(abnormal.with_reason(why()))
        }
        verdict => verdict,
    }
}
