//! Table of the routes of the internal API: from it requests are matched and authorized, and the documents of the API are generated.

use super::page::MAX_PAGE;
use super::scope::Scope;
use super::user_state::AlertState;
use crate::audit::AuditAction;

/// Operation of the internal API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Publication of one event.
    PublishEvent,
    /// Publication of several events.
    PublishEvents,
    /// List of a user's sockets.
    ListConnections,
    /// End of all sessions of a user.
    EndSessions,
    /// List of a user's live sessions.
    ListSessions,
    /// End of one session.
    EndSession,
    /// List of a user's devices and networks.
    ListDevices,
    /// List of a user's linked accounts.
    ListAccounts,
    /// Unlink of one account.
    UnlinkAccount,
    /// Unlink of all accounts.
    RevokeAll,
    /// Page of a user's alerts.
    ListAlerts,
    /// Security settings of a user.
    GetSettings,
    /// Lock of a user's second factor.
    LockFactor,
    /// End of that lock.
    UnlockFactor,
    /// Page of a user's audit log.
    ReadAudit,
}

/// Route of an operation. A request that is served has a token with the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiRoute {
    /// Operation of the route.
    pub operation: Operation,
    /// Name of the operation in documents.
    pub operation_id: &'static str,
    /// Method. GET is served to HEAD too.
    pub method: &'static str,
    /// Path, in which `{name}` is a parameter: one segment that is not empty. A path has at most [`MAX_PARAMETERS`].
    pub path: &'static str,
    /// Scope that the caller needs.
    pub scope: Scope,
    /// Sentence about the operation.
    pub summary: &'static str,
    /// Parameters of the query, all optional. A request with another one, or with one of them twice, is refused.
    pub query: &'static [QueryParameter],
    /// Body of the request; one without is not read.
    pub request: Option<RequestBody>,
    /// Place of the idempotency key.
    pub idempotency: IdempotencyKey,
    /// Response of a success.
    pub response: ResponseBody,
}

/// Parameter of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryParameter {
    /// Name of the parameter.
    pub name: &'static str,
    /// Sentence about the parameter.
    pub summary: &'static str,
    /// Values of the parameter.
    pub schema: QuerySchema,
}

/// Values of a parameter of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuerySchema {
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// ISO 8601 time.
    Time,
    /// Integer of a range, the ends included.
    Integer {
        /// Least value.
        min: u32,
        /// Greatest value.
        max: u32,
    },
}

/// Body of a request, JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestBody {
    /// Name of the type in [`crate::api`].
    pub schema: &'static str,
    /// Maximum size in bytes.
    pub max_bytes: usize,
}

/// Place of an idempotency key in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// None: the operation changes nothing.
    None,
    /// Member `idempotencyKey` of the body, or of each of its events.
    Body,
    /// Header `Idempotency-Key`.
    Header,
}

/// Body of a response, JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseBody {
    /// Status of a success.
    pub status: u16,
    /// Name of the type in [`crate::api`].
    pub schema: &'static str,
}

/// Parameters of one path.
pub const MAX_PARAMETERS: usize = 2;

/// All routes. They are tried in this order, so that the one with the most requests comes first.
pub const ROUTES: &[ApiRoute] = &[
    ApiRoute {
        operation: Operation::PublishEvent,
        operation_id: "publishEvent",
        method: "POST",
        path: "/v1/users/{id}/events",
        scope: Scope::PublishEvents,
        summary: "Publishes an event to all devices of a user.",
        query: &[],
        request: Some(RequestBody {
            schema: "Publication",
            max_bytes: 64 * 1024,
        }),
        idempotency: IdempotencyKey::Body,
        response: ResponseBody {
            status: 202,
            schema: "PublishedEvent",
        },
    },
    ApiRoute {
        operation: Operation::PublishEvents,
        operation_id: "publishEvents",
        method: "POST",
        path: "/v1/events",
        scope: Scope::PublishEvents,
        summary: "Publishes events to one user or to many; each succeeds or fails alone.",
        query: &[],
        request: Some(RequestBody {
            schema: "PublicationBatch",
            max_bytes: 1024 * 1024,
        }),
        idempotency: IdempotencyKey::Body,
        response: ResponseBody {
            status: 200,
            schema: "BatchResults",
        },
    },
    ApiRoute {
        operation: Operation::ListConnections,
        operation_id: "listConnections",
        method: "GET",
        path: "/v1/users/{id}/connections",
        scope: Scope::ReadConnections,
        summary: "Lists the sockets of a user on all gateways.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::None,
        response: ResponseBody {
            status: 200,
            schema: "ConnectionList",
        },
    },
    ApiRoute {
        operation: Operation::EndSessions,
        operation_id: "endSessions",
        method: "DELETE",
        path: "/v1/users/{id}/sessions",
        scope: Scope::EndSessions,
        summary: "Ends all sessions of a user and closes their sockets.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::Header,
        response: ResponseBody {
            status: 200,
            schema: "EndSessionsAnswer",
        },
    },
    ApiRoute {
        operation: Operation::ListSessions,
        operation_id: "listSessions",
        method: "GET",
        path: "/v1/users/{id}/sessions",
        scope: Scope::ReadUsers,
        summary: "Lists the live sessions of a user.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::None,
        response: ResponseBody {
            status: 200,
            schema: "SessionList",
        },
    },
    ApiRoute {
        operation: Operation::EndSession,
        operation_id: "endSession",
        method: "DELETE",
        path: "/v1/users/{id}/sessions/{session}",
        scope: Scope::EndSessions,
        summary: "Ends one session of a user and closes its sockets.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::Header,
        response: ResponseBody {
            status: 200,
            schema: "EndSessionsAnswer",
        },
    },
    ApiRoute {
        operation: Operation::ListDevices,
        operation_id: "listDevices",
        method: "GET",
        path: "/v1/users/{id}/devices",
        scope: Scope::ReadUsers,
        summary: "Lists the devices and networks from which a user signed in.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::None,
        response: ResponseBody {
            status: 200,
            schema: "DeviceList",
        },
    },
    ApiRoute {
        operation: Operation::ListAccounts,
        operation_id: "listAccounts",
        method: "GET",
        path: "/v1/users/{id}/accounts",
        scope: Scope::ReadUsers,
        summary: "Lists the linked accounts of a user with the state of their syncs.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::None,
        response: ResponseBody {
            status: 200,
            schema: "AccountList",
        },
    },
    ApiRoute {
        operation: Operation::UnlinkAccount,
        operation_id: "unlinkAccount",
        method: "DELETE",
        path: "/v1/users/{id}/accounts/{platform}",
        scope: Scope::ManageAccounts,
        summary: "Unlinks an account of a user and has its tokens revoked at the platform.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::Header,
        response: ResponseBody {
            status: 200,
            schema: "DisconnectAnswer",
        },
    },
    ApiRoute {
        operation: Operation::RevokeAll,
        operation_id: "revokeAll",
        method: "DELETE",
        path: "/v1/users/{id}/accounts",
        scope: Scope::ManageAccounts,
        summary: "Unlinks all accounts of a user, without the user's confirmation.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::Header,
        response: ResponseBody {
            status: 200,
            schema: "RevokeAllAnswer",
        },
    },
    ApiRoute {
        operation: Operation::ListAlerts,
        operation_id: "listAlerts",
        method: "GET",
        path: "/v1/users/{id}/alerts",
        scope: Scope::ReadUsers,
        summary: "Lists the alerts of a user, the newest first.",
        query: &[
            QueryParameter {
                name: "state",
                summary: "Only open alerts, or only acknowledged ones.",
                schema: QuerySchema::Word(&AlertState::NAMES),
            },
            CURSOR,
            LIMIT,
        ],
        request: None,
        idempotency: IdempotencyKey::None,
        response: ResponseBody {
            status: 200,
            schema: "AlertPage",
        },
    },
    ApiRoute {
        operation: Operation::GetSettings,
        operation_id: "getSettings",
        method: "GET",
        path: "/v1/users/{id}/settings",
        scope: Scope::ReadUsers,
        summary: "Returns the security settings of a user and the state of the second factor.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::None,
        response: ResponseBody {
            status: 200,
            schema: "UserSettings",
        },
    },
    ApiRoute {
        operation: Operation::LockFactor,
        operation_id: "lockFactor",
        method: "PUT",
        path: "/v1/users/{id}/second-factor/lock",
        scope: Scope::ManageFactors,
        summary: "Locks the second factor of a user: no code is accepted until a time or an unlock.",
        query: &[],
        request: Some(RequestBody {
            schema: "FactorLockRequest",
            max_bytes: 64 * 1024,
        }),
        idempotency: IdempotencyKey::Header,
        response: ResponseBody {
            status: 200,
            schema: "SecondFactor",
        },
    },
    ApiRoute {
        operation: Operation::UnlockFactor,
        operation_id: "unlockFactor",
        method: "DELETE",
        path: "/v1/users/{id}/second-factor/lock",
        scope: Scope::ManageFactors,
        summary: "Ends a lock of the second factor of a user, and the lockout after wrong codes.",
        query: &[],
        request: None,
        idempotency: IdempotencyKey::Header,
        response: ResponseBody {
            status: 200,
            schema: "SecondFactor",
        },
    },
    ApiRoute {
        operation: Operation::ReadAudit,
        operation_id: "readAudit",
        method: "GET",
        path: "/v1/users/{id}/audit",
        scope: Scope::ReadAudit,
        summary: "Lists the audit log of a user, the newest entry first.",
        query: &[
            QueryParameter {
                name: "since",
                summary: "Only entries from this time on.",
                schema: QuerySchema::Time,
            },
            QueryParameter {
                name: "until",
                summary: "Only entries before this time.",
                schema: QuerySchema::Time,
            },
            QueryParameter {
                name: "action",
                summary: "Only entries of this action.",
                schema: QuerySchema::Word(&AuditAction::NAMES),
            },
            CURSOR,
            LIMIT,
        ],
        request: None,
        idempotency: IdempotencyKey::None,
        response: ResponseBody {
            status: 200,
            schema: "AuditPage",
        },
    },
];

/// Cursor of a page.
const CURSOR: QueryParameter = QueryParameter {
    name: "cursor",
    summary: "Cursor of the page before.",
    schema: QuerySchema::Text,
};

/// Number of entries of a page.
const LIMIT: QueryParameter = QueryParameter {
    name: "limit",
    summary: "Most entries of the page; 50 without it.",
    schema: QuerySchema::Integer {
        min: 1,
        max: MAX_PAGE as u32,
    },
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_distinct_and_complete() {
        let mut operations = HashSet::new();
        let mut requests = HashSet::new();
        for route in ROUTES {
            assert!(operations.insert(route.operation_id), "{}", route.operation_id);
            let parameters = route.path.split('/').filter(|segment| segment.starts_with('{'));
            assert!(parameters.count() <= MAX_PARAMETERS, "{}", route.path);
            assert!(
                route.path.starts_with("/v1/") && !route.path.ends_with('/'),
                "{}",
                route.path
            );
            assert!(route.summary.ends_with('.'), "{}", route.summary);
            let shape: Vec<_> = route
                .path
                .split('/')
                .map(|part| if part.starts_with('{') { "{}" } else { part })
                .collect();
            assert!(
                requests.insert((route.method, shape)),
                "{} {}",
                route.method,
                route.path
            );
            let changes = route.method != "GET";
            assert_eq!(
                changes,
                route.idempotency != IdempotencyKey::None,
                "{}",
                route.operation_id
            );
        }
    }
}
