//! Operations on Redis by their names in metrics: commands, and scripts by their files.

macro_rules! operations {
    ($($operation:ident = $name:literal,)*) => {
        /// Operation on Redis.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($operation,)*
        }

        impl Operation {
            /// All operations: the bound of a label.
            pub(crate) const ALL: &[Self] = &[$(Self::$operation,)*];

            /// Name of the command, or of the script's file (`db.operation.name`).
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => $name,)*
                }
            }
        }
    };
}

impl Operation {
    /// Reports whether a second run changes nothing more and replies the same, so that it may be sent again although it may have been
    /// run: reads, and writes of what the first run wrote. All others are left to whoever sent them.
    pub(crate) const fn is_repeatable(self) -> bool {
        matches!(
            self,
            Self::Del
                | Self::MGet
                | Self::Set
                | Self::SPublish
                | Self::BeginAlertCheck
                | Self::CheckLane
                | Self::CheckSessionTtl
                | Self::CreateGroup
                | Self::DropSessions
                | Self::EndAllSessions
                | Self::EndSession
                | Self::FindEvent
                | Self::FindSession
                | Self::FinishJobs
                | Self::ListDeadLetters
                | Self::ListJobs
                | Self::ListSessions
                | Self::ListSockets
                | Self::LiveNodes
                | Self::MarkNoOpenAlerts
                | Self::MarkRestored
                | Self::MarkSeen
                | Self::MarkServed
                | Self::ReadChallenge
                | Self::ReadChallenges
                | Self::ReadHints
                | Self::ReadLog
                | Self::ReadOffset
                | Self::RenewJobs
                | Self::UnregisterSocket
        )
    }
}

operations! {
    Del = "DEL",
    GetDel = "GETDEL",
    Info = "INFO",
    MGet = "MGET",
    Set = "SET",
    SPublish = "SPUBLISH",
    SSubscribe = "SSUBSCRIBE",
    Time = "TIME",
    XReadGroup = "XREADGROUP",
    AnnounceEnd = "announce_end",
    BeginAlertCheck = "begin_alert_check",
    CheckLane = "check_lane",
    CheckSessionTtl = "check_session_ttl",
    CreateGroup = "create_group",
    DiscardDeadLetter = "discard_dead_letter",
    DiscardJob = "discard_job",
    DropSessions = "drop_sessions",
    EndAllSessions = "end_all_sessions",
    EndSession = "end_session",
    FindEvent = "find_event",
    FindSession = "find_session",
    FinishJobs = "finish_jobs",
    Gcra = "gcra",
    IssueToken = "issue_token",
    JoinSocket = "join_socket",
    LeaveJobs = "leave_jobs",
    ListDeadLetters = "list_dead_letters",
    ListJobs = "list_jobs",
    ListSessions = "list_sessions",
    ListSockets = "list_sockets",
    LiveNodes = "live_nodes",
    MarkNoOpenAlerts = "mark_no_open_alerts",
    MarkRestored = "mark_restored",
    MarkSeen = "mark_seen",
    MarkServed = "mark_served",
    PublishEvent = "publish_event",
    PutChallenge = "put_challenge",
    ReadChallenge = "read_challenge",
    ReadChallenges = "read_challenges",
    ReadHints = "read_hints",
    ReadLog = "read_log",
    ReadOffset = "read_offset",
    ReclaimOrDeadLetterJobs = "reclaim_or_dead_letter_jobs",
    RecordToken = "record_token",
    RedeemToken = "redeem_token",
    RegisterSocket = "register_socket",
    RenewJobs = "renew_jobs",
    RenewSession = "renew_session",
    RenewToken = "renew_token",
    RevokeToken = "revoke_token",
    SeedSession = "seed_session",
    SendReply = "send_reply",
    SetSessionTimeout = "set_session_timeout",
    SlidingWindow = "sliding_window",
    StartupCheck = "startup_check",
    SubmitJob = "submit_job",
    TakeChallenge = "take_challenge",
    UnregisterSocket = "unregister_socket",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_those_of_scripts_are_files() {
        let names: HashSet<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
        let scripts = names.iter().filter(|name| name.contains(char::is_lowercase));
        for name in scripts {
            let file = format!("{}/src/redis/script/{name}.lua", env!("CARGO_MANIFEST_DIR"));
            assert!(std::fs::exists(&file).unwrap(), "{file}");
        }
    }
}
