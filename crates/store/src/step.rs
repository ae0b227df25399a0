//! Operations on the database: the closed set of names that errors, metrics and traces have for them.

/// Defines the operations with their names.
macro_rules! steps {
    ($($step:ident => $name:literal,)+) => {
        /// Operation: one transaction, or one statement in a transaction of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Step {
            $($step,)+
        }

        impl Step {
            /// All operations.
            pub(crate) const ALL: [Self; [$($name),+].len()] = [$(Self::$step),+];

            /// Name, such as `store the link`.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)+
                }
            }
        }
    };
}

steps! {
    AnnounceSync => "announce the sync",
    BeginExchange => "begin the exchange",
    BeginRefresh => "begin the refresh",
    CheckPermissions => "check permissions",
    CheckSignIn => "check the sign-in",
    CommitRevocationOfAllAccess => "commit the revocation of all access",
    CommitSessionEnds => "commit session ends",
    ConfirmSessionEnds => "confirm session ends",
    CountClearAuditRows => "count clear audit rows",
    CountDeadTasks => "count dead tasks",
    CountWrongSecondFactor => "count a wrong second factor",
    DeleteDeadTask => "delete a dead task",
    DeleteExpiredAlerts => "delete expired alerts",
    DeleteExpiredAnswers => "delete expired answers",
    DeleteExpiredAppWebhooks => "delete expired webhooks to the application",
    DeleteExpiredConfirmations => "delete expired confirmations",
    DeleteExpiredDeliveries => "delete expired deliveries",
    DeleteExpiredDevices => "delete expired devices",
    DeleteExpiredExchanges => "delete expired exchanges",
    DeleteExpiredSessions => "delete expired sessions",
    DeleteSentEvents => "delete sent events",
    DeleteUnusedUsers => "delete unused users",
    DeliverNotifications => "deliver notifications",
    DiscardAppWebhook => "discard a webhook to the application",
    EraseRowsOfUser => "erase rows of a user",
    EraseUser => "erase a user",
    FindUser => "find a user",
    FinishAppWebhook => "finish a webhook to the application",
    FinishReadOfInbox => "finish the read of an inbox",
    FinishTask => "finish a task",
    GiveUpExpiredTasks => "give up expired tasks",
    LeaseAppWebhooks => "lease webhooks to the application",
    LeaseDueSyncs => "lease due syncs",
    LeaseInbox => "lease an inbox",
    LeaseSync => "lease a sync",
    LeaseTasks => "lease tasks",
    ListAccounts => "list the accounts",
    ListAppWebhooks => "list webhooks to the application",
    ListLiveSessions => "list the live sessions",
    ListSessionsOfUser => "list the sessions of a user",
    ListTasks => "list tasks",
    LookUpAccessEpoch => "look up the access epoch",
    LookUpAccount => "look up the account",
    LookUpExpiredPendingLinks => "look up expired pending links",
    LookUpNextAuditedUser => "look up the next audited user",
    LookUpPendingLink => "look up a pending link",
    LookUpPreviousAnswer => "look up a previous answer",
    LookUpRecentEvents => "look up recent events",
    LookUpSchema => "look up the schema",
    LookUpTextsUnderKey => "look up texts under a key",
    LookUpTextsUnderOtherKeys => "look up texts under other keys",
    LookUpUnconfirmedSessionEnds => "look up unconfirmed session ends",
    LookUpUnsentEvents => "look up unsent events",
    MarkAlertAsAcknowledged => "mark the alert as acknowledged",
    MarkEventsAsSent => "mark events as sent",
    MarkHeadsAsLogged => "mark heads as logged",
    MarkLinkAsDisconnected => "mark the link as disconnected",
    MarkSessionDeadlinesAsSaved => "mark session deadlines as saved",
    MeasureAppWebhooks => "measure webhooks to the application",
    MeasureOutbox => "measure the outbox",
    PausePlatform => "pause a platform",
    QueueProvisionalRevocation => "queue a provisional revocation",
    RaiseAlert => "raise the alert",
    RaiseAlertGroup => "raise a group of alerts",
    ReadAlerts => "read the alerts",
    ReadArchivedTimes => "read the archived times",
    ReadAuditCheckpoints => "read the checkpoints of a chain",
    ReadAuditPage => "read a page of the audit log",
    ReadAuditPartition => "read a partition of the audit log",
    ReadAuditPartitions => "read the partitions of the audit log",
    ReadAuditRows => "read audit rows",
    ReadChainHead => "read a chain's head",
    ReadCheckpointsOfPartition => "read the checkpoints of a partition",
    ReadNewestAuditRows => "read the newest audit rows",
    ReadOpenAlerts => "read the open alerts",
    ReadPruneProgress => "read the progress of pruning",
    ReadSchemaVersion => "read the schema's version",
    ReadSecuritySettings => "read the security settings",
    ReadSession => "read the session",
    ReadUnconfirmedSessionEnds => "read unconfirmed session ends",
    ReadUnloggedHeads => "read unlogged heads",
    ReadUser => "read a user",
    RecordConfirmation => "record a confirmation",
    RecordOperatorCommand => "record an operator's command",
    RecordRefusals => "record refusals",
    RecordUseOfVaultKey => "record the use of a vault key",
    RelayEvents => "relay events",
    RemoveExpiredPendingLink => "remove an expired pending link",
    RenewLeaseOfSync => "renew the lease of a sync",
    ReplaceEncryptedTexts => "replace encrypted texts",
    ReplaceTokensOfTask => "replace the tokens of a task",
    RescheduleAppWebhook => "reschedule a webhook to the application",
    RescheduleTask => "reschedule a task",
    ResetSessionDeadlines => "reset session deadlines",
    RetryAppWebhook => "retry a webhook to the application",
    RetryTask => "retry a task",
    RevokeUnusedGrant => "revoke an unused grant",
    SaveSessionDeadlines => "save session deadlines",
    SetOwnerOfTask => "set the owner of a task",
    StoreAuditCheckpoints => "store checkpoints of the audit log",
    StoreFailedLink => "store the failed link",
    StoreLink => "store the link",
    StoreOpenedSession => "store the opened session",
    StorePendingLink => "store the pending link",
    StoreRefreshedTokens => "store the refreshed tokens",
    StoreSync => "store the sync",
    UndoRefresh => "undo the refresh",
    UnlinkAccount => "unlink the account",
    UpdateSecuritySettings => "update the security settings",
}
