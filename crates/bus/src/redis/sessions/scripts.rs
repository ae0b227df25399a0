//! Scripts of the sessions.

use crate::operation::Operation;
use crate::redis::client::Script;
use crate::sessions::MAX_SESSIONS;

/// Scripts of the sessions.
pub(in crate::redis) struct SessionScripts {
    pub(super) seed: Script,
    pub(super) seed_signed_in: Script,
    pub(super) check_ttl: Script,
    pub(super) record_token: Script,
    pub(super) renew_session: Script,
    pub(super) retime: Script,
    pub(super) index: Script,
    pub(super) drop: Script,
    pub(super) find: Script,
    pub(super) announce_end: Script,
    pub(super) end: Script,
    pub(super) end_all: Script,
}

impl SessionScripts {
    pub(in crate::redis) fn new() -> Self {
        let of_session = |operation, script: &str| {
            let common = concat!(
                include_str!("../script/replication_id.lua"),
                include_str!("../script/session.lua")
            );
            Script::new(operation, format!("local bound = {MAX_SESSIONS}\n{common}{script}"))
        };
        Self {
            seed: of_session(Operation::SeedSession, include_str!("../script/seed_session.lua")),
            seed_signed_in: of_session(
                Operation::SeedSession,
                concat!(
                    include_str!("../script/seen_marks.lua"),
                    include_str!("../script/record_sign_in.lua"),
                    include_str!("../script/seed_session.lua")
                ),
            ),
            check_ttl: of_session(
                Operation::CheckSessionTtl,
                include_str!("../script/check_session_ttl.lua"),
            ),
            record_token: of_session(Operation::RecordToken, include_str!("../script/record_token.lua")),
            renew_session: of_session(Operation::RenewSession, include_str!("../script/renew_session.lua")),
            retime: of_session(
                Operation::SetSessionTimeout,
                include_str!("../script/set_session_timeout.lua"),
            ),
            index: Script::new(Operation::ListSessions, include_str!("../script/list_sessions.lua")),
            drop: Script::new(Operation::DropSessions, include_str!("../script/drop_sessions.lua")),
            find: of_session(Operation::FindSession, include_str!("../script/find_session.lua")),
            announce_end: of_session(Operation::AnnounceEnd, include_str!("../script/announce_end.lua")),
            end: of_session(Operation::EndSession, include_str!("../script/end_session.lua")),
            end_all: Script::new(
                Operation::EndAllSessions,
                include_str!("../script/end_all_sessions.lua"),
            ),
        }
    }

    /// All scripts, for the startup check.
    pub(in crate::redis) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self {
            seed,
            seed_signed_in,
            check_ttl,
            record_token,
            renew_session,
            retime,
            index,
            find,
            announce_end,
            end,
            end_all,
            drop,
        } = self;
        [
            seed,
            seed_signed_in,
            check_ttl,
            record_token,
            renew_session,
            retime,
            index,
            find,
            announce_end,
            end,
            end_all,
            drop,
        ]
        .into_iter()
    }
}
