//! Retention of rows.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use store::RetentionTimes;

use super::number::number;
use super::{Problems, duration, heading};

/// Flags and variables of retention.
#[derive(Debug, Clone, Args)]
pub struct RetentionArgs {
    /// Retention of revocations that failed eight times; then they are deleted with their tokens.
    #[arg(long, env = "POSTERN_DEAD_TASKS_KEPT", default_value = "90d", help_heading = heading::RETENTION)]
    pub dead_tasks_kept: String,
    /// Retention of ended sessions, from their end and from the expiry of the last token that was presented in them.
    #[arg(long, env = "POSTERN_ENDED_SESSIONS_KEPT", default_value = "400d", help_heading = heading::RETENTION)]
    pub ended_sessions_kept: String,
    /// Most webhooks to the application that are stored: the oldest above are deleted.
    #[arg(long, env = MAX_APP_WEBHOOKS, default_value = "1000000", help_heading = heading::RETENTION)]
    pub app_webhook_max_stored: String,
}

impl RetentionArgs {
    /// Checks the section.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<RetentionTimes> {
        let dead_tasks = kept("POSTERN_DEAD_TASKS_KEPT", &self.dead_tasks_kept, problems);
        let ended_sessions = kept("POSTERN_ENDED_SESSIONS_KEPT", &self.ended_sessions_kept, problems);
        let max_app_webhooks = number(&self.app_webhook_max_stored, "a number of webhooks: `1000000`");
        let max_app_webhooks: Option<NonZeroU32> = problems.take(MAX_APP_WEBHOOKS, max_app_webhooks);
        Some(RetentionTimes {
            dead_tasks: dead_tasks?,
            ended_sessions: ended_sessions?,
            max_app_webhooks: max_app_webhooks?.get(),
        })
    }
}

fn kept(variable: &'static str, text: &str, problems: &mut Problems) -> Option<Duration> {
    let kept = problems.take(variable, duration(text))?;
    if (DAY..=DAY * MOST_DAYS).contains(&kept) {
        return Some(kept);
    }
    problems.report(variable, "is between `1d` and `36500d`");
    None
}

const MAX_APP_WEBHOOKS: &str = "POSTERN_APP_WEBHOOK_MAX_STORED";
const DAY: Duration = Duration::from_hours(24);
const MOST_DAYS: u32 = 36_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_of_less_than_a_day_or_more_than_a_century_is_refused() {
        for (text, is_accepted) in [
            ("1d", true),
            ("23h", false),
            ("100y", false),
            ("36500d", true),
            ("x", false),
        ] {
            let mut problems = Problems::default();
            let times = RetentionArgs {
                dead_tasks_kept: text.to_owned(),
                ended_sessions_kept: "400d".to_owned(),
                app_webhook_max_stored: "1000000".to_owned(),
            }
            .check(&mut problems);
            assert_eq!(times.is_some(), is_accepted, "{text}");
            assert_eq!(problems.finish(times).is_ok(), is_accepted, "{text}");
        }
    }
}
