//! Scripts of all roles.

use super::challenges::ChallengeScripts;
use super::client::Script;
use super::events::EventScripts;
use super::hints::HintScripts;
use super::jobs::JobScripts;
use super::joins::JoinScripts;
use super::limits::LimitScripts;
use super::presence::PresenceScripts;
use super::resume_tokens::ResumeTokenScripts;
use super::sessions::SessionScripts;

/// Scripts of all roles.
pub(super) struct Scripts {
    pub(super) events: EventScripts,
    pub(super) jobs: JobScripts,
    pub(super) joins: JoinScripts,
    pub(super) limits: LimitScripts,
    pub(super) challenges: ChallengeScripts,
    pub(super) hints: HintScripts,
    pub(super) sessions: SessionScripts,
    pub(super) presence: PresenceScripts,
    pub(super) resume_tokens: ResumeTokenScripts,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            events: EventScripts::new(),
            jobs: JobScripts::new(),
            joins: JoinScripts::new(),
            limits: LimitScripts::new(),
            challenges: ChallengeScripts::new(),
            hints: HintScripts::new(),
            sessions: SessionScripts::new(),
            presence: PresenceScripts::new(),
            resume_tokens: ResumeTokenScripts::new(),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> Vec<&Script> {
        let Self {
            events,
            jobs,
            joins,
            limits,
            challenges,
            hints,
            sessions,
            presence,
            resume_tokens,
        } = self;
        let user = hints
            .all()
            .chain(sessions.all())
            .chain(presence.all())
            .chain(resume_tokens.all());
        let rest = events.all().chain(jobs.all()).chain(joins.all()).chain(limits.all());
        user.chain(rest).chain(challenges.all()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::operation::Operation;

    #[test]
    fn every_script_with_metrics_is_among_them() {
        let scripts = Scripts::new();
        let listed: BTreeSet<&str> = scripts.all().iter().map(|script| script.name()).collect();
        let is_script = |name: &&str| name.contains(char::is_lowercase);
        let all: BTreeSet<&str> = Operation::ALL
            .iter()
            .map(|operation| operation.name())
            .filter(is_script)
            .collect();
        let others: Vec<&&str> = all.symmetric_difference(&listed).collect();
        assert_eq!(others, [&"startup_check"]);
    }
}
