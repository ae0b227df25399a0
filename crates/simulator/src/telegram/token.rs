//! `POST /token`: exchanges a code for an ID token. Errors are those of RFC 6749, section 5.2.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;
use time::Duration;

use crate::{
    clock,
    grant::{Renewal, Terms},
    oauth::{self, RefusedToken},
    platform::Platform,
    world::World,
};

use super::id_token;

/// Terms of Telegram. The lifetime of codes is undocumented; tokens expire after an hour, and no refresh is documented.
pub(super) const TERMS: Terms = Terms {
    platform: Platform::Telegram,
    token_prefix: "tg_",
    refresh_prefix: "",
    code_lifetime: Duration::minutes(10),
    access_lifetime: Some(Duration::hours(1)),
    renewal: Renewal::Never,
    test_scopes: &["openid", "profile"],
};

pub(super) async fn exchange(State(world): State<World>, request: Request) -> Response {
    let Some((headers, parameters)) = oauth::read(request).await else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request");
    };
    if !oauth::by_basic(&headers) {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let token = match oauth::grant(&world, &TERMS, &parameters) {
        Ok(token) => token,
        Err(RefusedToken::GrantType) => return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
        Err(RefusedToken::Code | RefusedToken::RedirectUri | RefusedToken::RefreshToken) => {
            return refuse(StatusCode::BAD_REQUEST, "invalid_grant");
        }
    };
    match id_token::signed(
        world.response_format(Platform::Telegram),
        world.base(),
        &token.login,
        clock::now(),
    ) {
        Ok(id_token) => Json(json!({
            "access_token": token.access_token,
            "token_type": "Bearer",
            "expires_in": 3_600,
            "id_token": id_token,
        }))
        .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
