//! Operator of a deployment, whose commands are recorded in the audit log, and what operators see of users and tasks.

mod app_webhook_overview;
mod erasure;
mod task_overview;
mod user_overview;

use std::fmt;
use std::str::FromStr;

use protocol::id::SessionId;

pub use self::app_webhook_overview::{AppWebhookChange, AppWebhookChangeOutcome, AppWebhookFilter, AppWebhookOverview};
pub use self::erasure::UserErasure;
pub use self::task_overview::{TaskFilter, TaskOverview, TaskRetryOutcome, TaskState};
pub use self::user_overview::{
    AccountOverview, FactorOverview, MAX_LISTED, SecurityOverview, SeenOverview, SessionsOverview, UserOverview,
};
use crate::answers::Actor;

/// Name of an operator: 1 to 64 alphanumeric characters, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);

/// Text that is no name of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has 1 to 64 alphanumeric characters, `.`, `_` or `-`")]
pub struct InvalidOperator;

impl Operator {
    /// Operator who has a number instead of a name: the user of the process.
    #[must_use]
    pub fn of_uid(uid: u32) -> Self {
        Self(format!("uid-{uid}"))
    }

    /// Actor of the operator's commands: `operator: <name>` in the audit log.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a name has at most 64 printable ASCII characters")]
    pub fn actor(&self) -> Actor {
        Actor::System(SessionId::new(format!("operator: {self}")).expect("a name is short and printable"))
    }
}

impl FromStr for Operator {
    type Err = InvalidOperator;

    fn from_str(name: &str) -> Result<Self, InvalidOperator> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_LEN || !name.bytes().all(is_valid) {
            return Err(InvalidOperator);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const MAX_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_name_other_than_short_plain_text_is_refused() {
        for name in ["alice", "on-call.2", "ci_bot", &"x".repeat(MAX_LEN)] {
            let operator: Operator = name.parse().unwrap();
            assert_eq!(operator.actor().name().as_str(), format!("operator: {name}"));
        }
        for name in ["", "a b", "a: b", "caf\u{e9}", "line\nbreak", &"x".repeat(MAX_LEN + 1)] {
            assert_eq!(name.parse::<Operator>(), Err(InvalidOperator), "{name:?}");
        }
    }
}
