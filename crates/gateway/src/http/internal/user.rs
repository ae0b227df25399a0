//! Requests about one user that a worker executes: reads of the user's state and audit log, and changes.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::api::{
    AlertPage, AlertQuery, AlertState, AuditPage, AuditQuery, DEFAULT_PAGE, DisconnectAnswer, EndSessionsAnswer,
    FactorLockRequest, MAX_PAGE, PageRequest, SecondFactor,
};
use protocol::audit::AuditAction;
use protocol::cluster::api_request::ApiRequest;
use protocol::cluster::job::Work;
use protocol::code::ErrorCode;
use protocol::command::read;
use protocol::id::SessionId;
use protocol::json::lenient;
use protocol::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::Call;
use super::error::ApiError;
use super::{Internal, body, json_response};

/// Has a worker execute a request about the user of the path. The answer has the type of the route's response.
pub(super) async fn execute<T>(internal: &Internal, call: &Call<'_>, request: ApiRequest) -> Result<Response, ApiError>
where
    T: Serialize + DeserializeOwned,
{
    let user = call.user()?;
    let executed = async {
        let answer: T = internal.work(call, &user, Work::ApiRequest(request)).await?;
        Ok(json_response(StatusCode::OK, &answer))
    };
    Ok(call.run(Some(&user), executed).await)
}

/// `GET /v1/users/{id}/alerts`.
pub(super) async fn alerts(internal: &Internal, call: &Call<'_>) -> Result<Response, ApiError> {
    let state = word(call, "state", AlertState::ALL, AlertState::as_str)?;
    let query = AlertQuery {
        state,
        page: page(call)?,
    };
    execute::<AlertPage>(internal, call, ApiRequest::Alerts(query)).await
}

/// `GET /v1/users/{id}/audit`.
pub(super) async fn audit(internal: &Internal, call: &Call<'_>) -> Result<Response, ApiError> {
    let action = word(call, "action", AuditAction::ALL, AuditAction::as_str)?;
    let query = AuditQuery {
        since: time(call, "since")?,
        until: time(call, "until")?,
        action: action.map(|action| action.as_str().to_owned()),
        page: page(call)?,
    };
    execute::<AuditPage>(internal, call, ApiRequest::Audit(query)).await
}

/// `DELETE /v1/users/{id}/sessions/{session}`.
pub(super) async fn end_session(internal: &Internal, call: &Call<'_>) -> Result<Response, ApiError> {
    let session = SessionId::new(call.parameter("session")?)
        .map_err(|_invalid_id| ApiError::invalid("session: 1 to 128 printable ASCII characters were expected"))?;
    execute::<EndSessionsAnswer>(internal, call, ApiRequest::EndSession(session)).await
}

/// `DELETE /v1/users/{id}/accounts/{platform}`.
pub(super) async fn unlink_account(internal: &Internal, call: &Call<'_>) -> Result<Response, ApiError> {
    let platform: AccountType = call.parameter("platform")?.parse().map_err(|_unknown| {
        let failure = Failure::with_message(ErrorCode::NotSupported, "There is no such platform.");
        ApiError::Refused(Box::new(failure))
    })?;
    execute::<DisconnectAnswer>(internal, call, ApiRequest::UnlinkAccount(platform)).await
}

/// `PUT /v1/users/{id}/second-factor/lock`. An empty body locks until an unlock.
pub(super) async fn lock_factor(internal: &Internal, call: &Call<'_>, body: Body) -> Result<Response, ApiError> {
    let body = body::read(body, call.route).await?;
    let lock = if body.is_empty() {
        FactorLockRequest::default()
    } else {
        let body = lenient::parse(&body).map_err(|_invalid_json| ApiError::invalid("body: JSON was expected"))?;
        read(body)?
    };
    execute::<SecondFactor>(internal, call, ApiRequest::LockFactor(lock)).await
}

fn page(call: &Call<'_>) -> Result<PageRequest, ApiError> {
    let limit = match call.query("limit") {
        None => DEFAULT_PAGE,
        Some(text) => {
            let limit = text.parse::<u16>().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
            limit.ok_or_else(|| ApiError::invalid(format!("limit: an integer from 1 to {MAX_PAGE} was expected")))?
        }
    };
    let cursor = call.query("cursor");
    if cursor.as_ref().is_some_and(|cursor| cursor.len() > MAX_CURSOR) {
        return Err(ApiError::invalid("cursor: that of a page was expected"));
    }
    Ok(PageRequest {
        cursor: cursor.map(Into::into),
        limit,
    })
}

/// Query parameter that is one of a few words.
fn word<T: Copy, const N: usize>(
    call: &Call<'_>,
    name: &str,
    all: [T; N],
    word: fn(T) -> &'static str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = call.query(name) else {
        return Ok(None);
    };
    let found = all.into_iter().find(|value| word(*value) == text);
    found
        .map(Some)
        .ok_or_else(|| ApiError::invalid(format!("{name}: one of {} was expected", all.map(word).join(", "))))
}

fn time(call: &Call<'_>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = call.query(name) else {
        return Ok(None);
    };
    let time = serde_json::from_value(Value::String(text.into_owned()));
    time.map(Some)
        .map_err(|_no_time| ApiError::invalid(format!("{name}: an ISO 8601 time was expected")))
}

/// Longest cursor; those of Postern are shorter.
const MAX_CURSOR: usize = 512;
