//! `postern sessions`.

use std::fmt;

use lifecycle::SystemClock;
use protocol::id::{SessionId, UserId};
use serde::Serialize;
use store::SessionSelector;
use worker::{OperatorSession, OperatorSessions};

use super::redis::with_redis;
use super::{OperatorError, Outcome, connect, receipt, user};
use crate::cli::{SessionsCommand, SessionsEndArgs, SessionsListArgs, SessionsToEnd};
use crate::config::Problems;
use crate::report::{print_report, write_table};

/// Runs the command.
///
/// # Errors
/// [`OperatorError`].
pub(crate) async fn sessions(command: &SessionsCommand, problems: Problems) -> Outcome {
    match command {
        SessionsCommand::List(args) => list(args, problems).await,
        SessionsCommand::End(args) => end(args, problems).await,
    }
}

async fn list(args: &SessionsListArgs, mut problems: Problems) -> Outcome {
    let user = user(&args.user)?;
    let redis = args.redis.check(&mut problems);
    let settings = args.operator.check(&mut problems);
    let (settings, redis) = problems.finish(settings.zip(redis))?;
    let store = connect(&settings).await?;
    let sessions = with_redis(&redis, async |bus| {
        let receipt = receipt(&settings);
        store
            .record_operator_command(Some(&user), "sessions list", &receipt)
            .await?;
        let sessions = OperatorSessions {
            records: &store,
            registry: bus,
            presence: bus,
            clock: &SystemClock,
        };
        Ok::<_, OperatorError>(sessions.list(&user).await?)
    });
    let sessions = Box::pin(sessions).await?;
    Ok(print_report(&SessionList { user, sessions }, args.output)?)
}

async fn end(args: &SessionsEndArgs, mut problems: Problems) -> Outcome {
    let user = user(&args.user)?;
    let (which, command) = selector(&args.which)?;
    let redis = args.redis.check(&mut problems);
    let settings = args.operator.check(&mut problems);
    let (settings, redis) = problems.finish(settings.zip(redis))?;
    let store = connect(&settings).await?;
    let ended = with_redis(&redis, async |bus| {
        let recorded = receipt(&settings);
        store.record_operator_command(Some(&user), &command, &recorded).await?;
        let sessions = OperatorSessions {
            records: &store,
            registry: bus,
            presence: bus,
            clock: &SystemClock,
        };
        Ok::<_, OperatorError>(sessions.end(&user, which, &receipt(&settings)).await?)
    });
    let sessions_ended = Box::pin(ended).await?;
    Ok(print_report(&EndedSessions { user, sessions_ended }, args.output)?)
}

/// Sessions to end, and the command as the audit log names it.
fn selector(which: &SessionsToEnd) -> Result<(SessionSelector, String), OperatorError> {
    let Some(session) = &which.session else {
        return Ok((SessionSelector::All, "sessions end --all".to_owned()));
    };
    let session = SessionId::new(session).map_err(OperatorError::Session)?;
    let command = format!("sessions end --session {session}");
    Ok((SessionSelector::One(session), command))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionList {
    user: UserId,
    sessions: Vec<OperatorSession>,
}

impl fmt::Display for SessionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.sessions.iter().map(|session| {
            let redis = if session.is_in_redis { "yes" } else { "lost" };
            [
                session.session_id.to_string(),
                session.opened_at.to_string(),
                session.expiry.expires_at().to_string(),
                session.sockets.to_string(),
                redis.to_owned(),
                session.address.clone(),
                session
                    .device_name
                    .clone()
                    .or(session.user_agent.clone())
                    .unwrap_or_default(),
            ]
        });
        let header = ["session", "opened", "expires", "sockets", "redis", "address", "device"];
        write_table(f, Some(header), rows)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndedSessions {
    user: UserId,
    sessions_ended: usize,
}

impl fmt::Display for EndedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended {} live sessions of {}", self.sessions_ended, self.user)
    }
}
