//! `postern users erase`.

use std::fmt;

use bus::RedisBus;
use lifecycle::SystemClock;
use protocol::id::UserId;
use serde::Serialize;
use store::{PgStore, SessionSelector, UserErasure};
use worker::OperatorSessions;

use crate::cli::{OperatorSettings, UsersEraseArgs};
use crate::config::Problems;
use crate::operator::redis::with_redis;
use crate::operator::{OperatorError, Outcome, connect, receipt, user};
use crate::report::print_report;

/// Erases a user. Each step is complete by itself, and a repeat of all of them is harmless.
///
/// # Errors
/// [`OperatorError`]; steps before it are done.
pub(super) async fn erase(args: &UsersEraseArgs, mut problems: Problems) -> Outcome {
    let user = user(&args.user)?;
    let redis = args.redis.check(&mut problems);
    let settings = args.operator.check(&mut problems);
    let (settings, redis) = problems.finish(settings.zip(redis))?;
    let store = connect(&settings).await?;
    let erased = with_redis(&redis, async |bus| {
        let erasure = Erasure {
            store: &store,
            bus,
            settings: &settings,
        };
        Box::pin(erasure.run(user)).await
    });
    let report = Box::pin(erased).await?;
    Ok(print_report(&report, args.output)?)
}

struct Erasure<'a> {
    store: &'a PgStore,
    bus: &'a RedisBus,
    settings: &'a OperatorSettings,
}

impl Erasure<'_> {
    async fn run(&self, user: UserId) -> Result<ErasedUser, OperatorError> {
        let Self { store, bus, settings } = *self;
        if !store.is_known(&user).await? {
            return Err(OperatorError::UnknownUser(user));
        }
        let recorded = receipt(settings);
        store
            .record_operator_command(Some(&user), "users erase", &recorded)
            .await?;
        let sessions = OperatorSessions {
            records: store,
            registry: bus,
            presence: bus,
            clock: &SystemClock,
        };
        // No socket of the user is admitted from here on, and no command of an open one: nothing of the user comes in behind what follows.
        let sessions_ended = sessions.end(&user, SessionSelector::All, &receipt(settings)).await?;
        let erasure = store.erase_user(&user, &receipt(settings)).await?;
        bus.forget_user(&user).await?;
        match erasure {
            Some(erasure) => Ok(ErasedUser {
                user,
                sessions_ended,
                erasure,
            }),
            None => Err(OperatorError::UnknownUser(user)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErasedUser {
    user: UserId,
    sessions_ended: usize,
    #[serde(flatten)]
    erasure: UserErasure,
}

impl fmt::Display for ErasedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            sessions_ended,
            erasure,
        } = self;
        let UserErasure {
            accounts_unlinked,
            pending_revocations,
            clear_audit_rows,
        } = erasure;
        write!(
            f,
            "erased {user}: ended {sessions_ended} live sessions, unlinked {accounts_unlinked} accounts"
        )?;
        if *pending_revocations > 0 {
            write!(
                f,
                "\n{pending_revocations} revocations have the ids of accounts at the platforms until they are finished"
            )?;
        }
        if *clear_audit_rows > 0 {
            write!(
                f,
                "\n{clear_audit_rows} rows of the audit log are of a release before 0.2.0, and keep their personal data in clear text"
            )?;
        }
        Ok(())
    }
}
