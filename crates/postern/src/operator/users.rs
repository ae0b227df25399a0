//! `postern users`.

mod erase;

use std::fmt;

use serde::Serialize;
use store::{AccountOverview, FactorOverview, UserOverview};

use super::{OperatorError, Outcome, connect, receipt, user};
use crate::cli::{UsersCommand, UsersShowArgs};
use crate::config::Problems;
use crate::report::{print_report, write_table};

/// Runs the command.
///
/// # Errors
/// [`OperatorError`].
pub(crate) async fn users(command: &UsersCommand, problems: Problems) -> Outcome {
    match command {
        UsersCommand::Show(args) => show(args, problems).await,
        UsersCommand::Erase(args) => erase::erase(args, problems).await,
    }
}

async fn show(args: &UsersShowArgs, problems: Problems) -> Outcome {
    let user = user(&args.user)?;
    let settings = args.operator.settings(problems)?;
    let store = connect(&settings).await?;
    let found = store.user_overview(&user, "users show", &receipt(&settings)).await?;
    let overview = found.ok_or(OperatorError::UnknownUser(user))?;
    Ok(print_report(&UserReport(overview), args.output)?)
}

#[derive(Serialize)]
#[serde(transparent)]
struct UserReport(UserOverview);

impl fmt::Display for UserReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = &self.0;
        let security = &user.security;
        let mut rows = vec![["user", &user.user.to_string()].map(str::to_owned)];
        let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
        user.accounts.iter().for_each(|one| row("account", account(one)));
        row("pending links", user.pending_links.to_string());
        row("sessions", sessions(user));
        row("session timeout", format!("{} min", security.session_timeout));
        row(
            "second factor",
            security.factor.as_ref().map_or("none".to_owned(), factor),
        );
        if let Some(method) = security.pending_factor {
            row("factor in setup", method.as_str().to_owned());
        }
        for alert in &user.open_alerts {
            row(
                "open alert",
                format!("{} {} {}", alert.timestamp, alert.kind.as_str(), alert.alert_id),
            );
        }
        for seen in &user.seen {
            row(&seen.kind, format!("{}, last {}", seen.name, seen.seen_at));
        }
        for task in &user.tasks {
            let (state, tries) = (task.state.as_str(), task.tries);
            row(
                "task",
                format!(
                    "{} {}: {state}, {tries} tries, due {}",
                    task.id, task.platform, task.due_at
                ),
            );
        }
        row("unsent events", user.unsent_events.to_string());
        row("audit rows", user.audit_rows.to_string());
        write_table(f, None, rows)
    }
}

fn account(overview: &AccountOverview) -> String {
    let account = &overview.account;
    let mut text = format!(
        "{} {} {}: {}",
        account.account_type,
        account.platform_user_id,
        account.username,
        account.status.as_str()
    );
    if overview.is_disconnected {
        text += ", tokens no longer accepted";
    } else {
        text += &format!(", next sync {}", overview.next_sync_at);
    }
    if overview.failures > 0 {
        text += &format!(", {} failures in a row", overview.failures);
    }
    if let Some(until) = overview.paused_until {
        text += &format!(", paused until {until}");
    }
    text
}

fn sessions(user: &UserOverview) -> String {
    let sessions = &user.sessions;
    let mut text = format!("{} live, {} ended", sessions.live, sessions.ended);
    if let Some(at) = sessions.all_ended_at {
        text += &format!(", all until {at}");
    }
    if let Some(except) = &sessions.all_ended_except {
        text += &format!(" except {except}");
    }
    if sessions.unconfirmed_ends > 0 {
        text += &format!(", {} ends unconfirmed", sessions.unconfirmed_ends);
    }
    text
}

fn factor(factor: &FactorOverview) -> String {
    let (method, codes) = (factor.method.as_str(), factor.recovery_codes);
    let mut text = format!("{method}, {} wrong codes, {codes} recovery codes", factor.failures);
    if let Some(at) = factor.locked_at {
        text += &format!(", locked at {at}");
    }
    if let Some(until) = factor.locked_until {
        text += &format!(" until {until}");
    }
    text
}
