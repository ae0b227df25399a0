//! Strategies for events and notices.

use proptest::option;
use proptest::prelude::*;
use protocol::account::{StatusChanged, StatusMetadata};
use protocol::event::{ErrorNotice, Event, Notice};
use protocol::notification::{Notification, NotificationType};
use protocol::security::{
    Alert, AlertType, SessionEnd, SessionExpired, SessionWarning, Settings, SettingsUpdated, Severity,
    TwoFactorRequired,
};

use super::answer::expiry;
use super::{account_status, account_type, alert_id, code, method, text, timestamp, token_fault, user};

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        status_changed().prop_map(Event::StatusChanged),
        alert().prop_map(Event::Alert),
        (user(), settings())
            .prop_map(|(user_id, settings)| Event::SettingsUpdated(SettingsUpdated { user_id, settings })),
        notification().prop_map(Event::Notification),
    ]
}

pub(crate) fn notice() -> impl Strategy<Value = Notice> {
    prop_oneof![
        (user(), text(), any::<u64>(), method()).prop_map(|(user_id, session_id, expires_in, method)| {
            Notice::TwoFactorRequired(TwoFactorRequired {
                user_id,
                session_id,
                expires_in,
                method,
            })
        }),
        (user(), any::<u64>(), expiry(), timestamp()).prop_map(|(user_id, expires_in, expiry, server_time)| {
            Notice::SessionWarning(SessionWarning {
                user_id,
                expires_in,
                can_extend: expiry.limit().is_none(),
                reason: expiry.limit(),
                expiry,
                server_time,
            })
        }),
        (user(), timestamp(), session_end()).prop_map(|(user_id, timestamp, reason)| {
            Notice::SessionExpired(SessionExpired {
                user_id,
                timestamp,
                reason,
            })
        }),
        Just(Notice::Resync),
        (option::of(text()), code(), option::of(token_fault()), text()).prop_map(|(event, error, reason, message)| {
            Notice::Error(ErrorNotice {
                event,
                error,
                reason,
                message,
            })
        }),
    ]
}

fn status_changed() -> impl Strategy<Value = StatusChanged> {
    let metadata =
        (option::of(text()), option::of(timestamp())).prop_map(|(error_message, last_synced)| StatusMetadata {
            error_message,
            last_synced,
        });
    (
        user(),
        account_type(),
        account_status(),
        timestamp(),
        option::of(metadata),
    )
        .prop_map(|(user_id, account_type, status, timestamp, metadata)| StatusChanged {
            user_id,
            account_type,
            status,
            timestamp,
            metadata,
        })
}

pub(crate) fn alert() -> impl Strategy<Value = Alert> {
    let severity = prop_oneof![
        Just(Severity::Low),
        Just(Severity::Medium),
        Just(Severity::High),
        Just(Severity::Critical),
    ];
    let kind = prop_oneof![
        Just(AlertType::SuspiciousLogin),
        Just(AlertType::NewDevice),
        Just(AlertType::TokenExpired),
        Just(AlertType::FailedTwoFactor),
        Just(AlertType::RevokeAll),
        Just(AlertType::AccountLinked),
        Just(AlertType::SettingsChanged),
        Just(AlertType::SessionEnded),
        Just(AlertType::RefreshFailed),
    ];
    (user(), alert_id(), severity, kind, text(), timestamp(), any::<bool>()).prop_map(
        |(user_id, alert_id, severity, kind, message, timestamp, requires_action)| Alert {
            user_id,
            alert_id,
            severity,
            kind,
            message,
            timestamp,
            requires_action,
        },
    )
}

fn notification() -> impl Strategy<Value = Notification> {
    let kind = prop_oneof![
        Just(NotificationType::Mention),
        Just(NotificationType::Message),
        Just(NotificationType::Follow),
        Just(NotificationType::Reply),
    ];
    (user(), account_type(), kind, text(), text(), timestamp()).prop_map(
        |(user_id, platform, kind, content, sender, timestamp)| Notification {
            user_id,
            platform,
            kind,
            content,
            sender,
            timestamp,
        },
    )
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    (1..=1440_u32, any::<bool>(), option::of(method())).prop_map(|(session_timeout, two_factor_enabled, method)| {
        Settings {
            session_timeout,
            two_factor_enabled,
            method,
        }
    })
}

fn session_end() -> impl Strategy<Value = SessionEnd> {
    prop_oneof![
        Just(SessionEnd::Idle),
        Just(SessionEnd::TokenExpired),
        Just(SessionEnd::Ended),
    ]
}
