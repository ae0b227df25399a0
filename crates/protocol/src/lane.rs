//! Queues of jobs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Queue of jobs. Workers claim jobs from each lane separately, so that a slow sync never delays a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Session checks and second factors: 10 s. No other job delays them.
    SignIn,
    /// Jobs that a person waits for: 10 s.
    Interactive,
    /// Jobs that make many requests to a platform: 30 s.
    Platform,
    /// Deliveries of platforms: 3 s, the time that Discord waits for an answer.
    Webhook,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 4] = [Self::SignIn, Self::Interactive, Self::Platform, Self::Webhook];

    /// Name in Redis keys and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Interactive => "interactive",
            Self::Platform => "platform",
            Self::Webhook => "webhook",
        }
    }

    /// Time within which a job of this lane is answered.
    #[must_use]
    pub const fn job_timeout(self) -> Duration {
        match self {
            Self::SignIn | Self::Interactive => Duration::from_secs(10),
            Self::Platform => Duration::from_secs(30),
            Self::Webhook => Duration::from_secs(3),
        }
    }
}
