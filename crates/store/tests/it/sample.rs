//! Sample accounts, links and answers.

use std::time::Duration;

use protocol::account::{AccountStatus, AccountType, UserAccount};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::event::DeliveryClass;
use protocol::id::{AlertId, ConnectionId, EventId, JobId, SessionId, UserId, WorkerId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use protocol::trace::TraceParent;
use store::vault::{AuditKeys, Ciphertext, VaultKeys};
use store::{
    Actor, AlertRequest, AuditRow, EncryptedTokens, FinishedSync, Idempotency, Link, PendingLink, PendingLinkId,
    PlatformCapacity, Receipt, RefusedLink, SignIn, SyncLease, Unlink,
};
use testkit::wait;
use tokio::time::Instant;

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

pub(crate) fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

/// Keys that sign the audit log of every store in these tests. Key rotations in these tests end with the same key.
pub(crate) fn audit_keys() -> AuditKeys {
    VaultKeys::parse(&Secret::new(NEW)).unwrap().audit_keys()
}

/// Vault key to which these tests rotate.
pub(crate) const NEW: &str = "new:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Decrypted subject of a row of the audit log.
pub(crate) fn subject(row: &AuditRow) -> String {
    row.personal_data(&audit_keys()).unwrap().subject
}

pub(crate) fn encrypted(text: &str) -> Ciphertext {
    Ciphertext::from_bytes(text.as_bytes().to_vec())
}

pub(crate) fn event(id: &str) -> Envelope {
    Envelope {
        v: Envelope::VERSION,
        id: EventId::new(id).unwrap(),
        audience: Audience::User,
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::parse(format!("{{\"event\":  \"{id}\"}}")).unwrap(),
        traceparent: None,
        published_at: None,
    }
}

/// Alert that requires acknowledgement.
pub(crate) fn alert(user_id: &str, name: &str) -> Alert {
    Alert {
        user_id: user(user_id),
        alert_id: alert_id(name),
        severity: Severity::High,
        kind: AlertType::SuspiciousLogin,
        message: format!("it was \"{name}\""),
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        requires_action: true,
    }
}

pub(crate) fn sign_in(session: &str) -> SignIn {
    SignIn {
        session: SessionId::new(session).unwrap(),
        at: None,
    }
}

pub(crate) fn alert_id(name: &str) -> AlertId {
    AlertId::new(name).unwrap()
}

pub(crate) fn account(platform: AccountType, platform_user_id: &str) -> UserAccount {
    UserAccount {
        account_type: platform,
        platform_user_id: platform_user_id.to_owned(),
        username: format!("name of {platform_user_id}"),
        display_name: Some("Ada \u{1F980}".to_owned()),
        avatar_url: None,
        status: AccountStatus::Connected,
        scopes: vec!["notifications".to_owned(), "read:user".to_owned()],
        connected_at: Timestamp::from_millis(1_795_451_460_007),
        last_synced: None,
        error_message: None,
    }
}

/// Capacity of each platform.
pub(crate) fn capacities(permits: usize) -> [PlatformCapacity; 4] {
    AccountType::ALL.map(|platform| PlatformCapacity { platform, permits })
}

/// Tokens of a platform that issues refresh tokens.
pub(crate) fn renewable(name: &str) -> EncryptedTokens {
    EncryptedTokens {
        refresh: Some(encrypted(&format!("refresh of {name}"))),
        expires_at: Some(Timestamp::from_millis(1_795_451_470_007)),
        ..tokens(name)
    }
}

/// Tokens without a refresh token, as GitHub issues them.
pub(crate) fn tokens(name: &str) -> EncryptedTokens {
    EncryptedTokens {
        access: encrypted(&format!("access of {name}")),
        refresh: None,
        expires_at: None,
    }
}

/// Link of GitHub account `platform_user_id`, with an event named after the account.
pub(crate) fn link(user_id: &str, platform_user_id: &str) -> Link {
    let tokens = tokens(platform_user_id);
    Link {
        user: user(user_id),
        account: account(AccountType::Github, platform_user_id),
        revocation: Some(
            tokens
                .clone()
                .revocation(AccountType::Github, platform_user_id.to_owned()),
        ),
        tokens: Some(tokens),
        access_epoch: 0,
        pending_link: None,
        events: vec![event(&format!("{user_id} linked {platform_user_id}"))],
    }
}

/// Link of an account whose platform issued no tokens.
pub(crate) fn link_without_tokens(user_id: &str, platform_user_id: &str) -> Link {
    Link {
        tokens: None,
        revocation: None,
        ..link(user_id, platform_user_id)
    }
}

/// Pending link of GitHub account `platform_user_id` that expires after five minutes.
pub(crate) fn pending_link(user_id: &str, platform_user_id: &str, name: u8) -> PendingLink {
    let link = link(user_id, platform_user_id);
    PendingLink {
        id: PendingLinkId([name; 32]),
        user: link.user,
        session: SessionId::new("the session that asked").unwrap(),
        account: link.account,
        tokens: link.tokens,
        access_epoch: 0,
        lifetime: Duration::from_secs(300),
    }
}

pub(crate) fn unlink(user_id: &str) -> Unlink {
    Unlink {
        user: user(user_id),
        account: AccountType::Github,
        event: event(&format!("{user_id} unlinked")),
    }
}

pub(crate) fn refused(user_id: &str) -> RefusedLink {
    RefusedLink {
        user: user(user_id),
        account: AccountType::Github,
        error: ErrorCode::OauthFailed,
        event: event(&format!("{user_id} was refused")),
        revocation: None,
    }
}

/// Finished sync under this lease that only publishes events of these names.
pub(crate) fn sync(lease: &SyncLease, platform_user_id: &str, events: &[&str]) -> FinishedSync {
    FinishedSync {
        lease: lease.clone(),
        account: account(lease.account, platform_user_id),
        cursor: None,
        events: events.iter().map(|name| event(name)).collect(),
        failures: 0,
        next_sync: Duration::from_secs(3_600),
        pause: None,
    }
}

/// Origin with this device and address.
pub(crate) fn origin(address: &str, device: &str) -> Origin {
    Origin {
        address: address.to_owned(),
        device_id: Some(device.to_owned()),
        device_name: None,
        user_agent: None,
    }
}

/// Session of all requests in these tests.
pub(crate) fn session() -> SessionId {
    SessionId::new("session").unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor::Session(session())
}

/// Receipt of a job with a retention of one hour and a far deadline.
pub(crate) fn receipt(job_name: &str) -> Receipt {
    Receipt {
        job: job(job_name),
        actor: actor(),
        connection: ConnectionId::new("connection").unwrap(),
        origin: Some(origin("192.0.2.7", "device")),
        traceparent: TraceParent::begin(0xbeef, 1),
        idempotency: None,
        answer: encrypted(&format!("answer to {job_name}")),
        keep: Duration::from_secs(3_600),
        deadline: Instant::now() + wait::deadline(),
    }
}

/// Receipt with an idempotency key.
pub(crate) fn receipt_with_key(job_name: &str, key: &Idempotency) -> Receipt {
    Receipt {
        idempotency: Some(key.clone()),
        ..receipt(job_name)
    }
}

/// Receipt whose deadline has passed.
pub(crate) fn late_receipt(job_name: &str) -> Receipt {
    Receipt {
        deadline: Instant::now(),
        ..receipt(job_name)
    }
}

/// Request of the application's server to raise an alert; the job has the alert's name.
pub(crate) fn alert_request(user_id: &str, name: &str) -> AlertRequest {
    let by_system = Receipt {
        actor: Actor::System(SessionId::new("internal API").unwrap()),
        ..receipt(name)
    };
    AlertRequest::new(alert(user_id, name), by_system)
}

pub(crate) fn idempotency(scope: u8, body: u8) -> Idempotency {
    Idempotency {
        scope: [scope; 32],
        body: [body; 32],
    }
}
