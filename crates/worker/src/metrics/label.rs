//! Values of the labels of a worker's instruments. Each set is closed, so that every series exists from the start.

/// Defines a label with all its values.
macro_rules! label {
    ($(#[$doc:meta])+ $name:ident { $($(#[$value_doc:meta])* $value:ident => $text:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// All values.
            pub(super) const ALL: [Self; [$($text),+].len()] = [$(Self::$value),+];

            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }
    };
}

label! {
    /// Outcome of an exchange of an authorization code: `granted`, or the error code.
    ExchangeLabel {
        Granted => "granted",
        Refused => "oauth_failed",
        /// Not sent, or of unknown outcome.
        Unavailable => "platform_unavailable",
        Throttled => "platform_rate_limited",
    }
}

label! {
    /// Outcome of an attempt to revoke a grant.
    RevocationLabel {
        Done => "done",
        /// The platform does not know the token.
        UnknownToken => "unknown_token",
        Retried => "retried",
        /// Given up.
        Dead => "dead",
        /// Another worker has the lease.
        Lost => "lost",
    }
}

label! {
    /// Outcome of a sync.
    SyncLabel {
        Ok => "ok",
        Failed => "failed",
        /// The platform asks to wait.
        Paused => "paused",
        /// The platform no longer accepts the tokens.
        Lost => "lost",
    }
}

label! {
    /// Outcome of a token refresh.
    RefreshLabel {
        Granted => "granted",
        Refused => "refused",
        /// No usable answer.
        Unknown => "unknown",
        NotSent => "not_sent",
        Throttled => "throttled",
    }
}

label! {
    /// Scope of a rate limit of a platform.
    PauseLabel {
        Account => "account",
        App => "app",
    }
}

label! {
    /// Outcome of a request that sends a webhook to the application.
    AppWebhookLabel {
        Sent => "sent",
        Retried => "retried",
        /// Given up.
        Dead => "dead",
        /// Another worker has the lease, or the webhook was deleted.
        Lost => "lost",
    }
}

label! {
    /// Outcome of a read of a bot's inbox.
    InboxReadLabel {
        Ok => "ok",
        Failed => "failed",
        /// The bot's token is not accepted.
        Refused => "refused",
        Throttled => "throttled",
    }
}

label! {
    /// Outcome of a message of the second factor.
    MessageLabel {
        Sent => "sent",
        Refused => "refused",
        Unreached => "unreached",
        Late => "late",
        NotOffered => "not_offered",
        Unaddressed => "unaddressed",
        /// The job's deadline passed first.
        Cancelled => "cancelled",
    }
}
