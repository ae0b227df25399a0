//! `DELETE /applications/{client_id}/grant` and `/token`: revocation by the application.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    clock,
    grant::CLIENT_ID,
    ledger::{Extent, Revocation},
    platform::Platform,
    world::World,
};

use super::problem;
use super::token::{APP_TERMS, TERMS};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    access_token: String,
}

type Body = Result<Json<Asked>, JsonRejection>;

pub(super) async fn grant(State(world): State<World>, Path(client_id): Path<String>, asked: Body) -> Response {
    revoke(&world, &client_id, Extent::Grant, asked)
}

pub(super) async fn token(State(world): State<World>, Path(client_id): Path<String>, asked: Body) -> Response {
    revoke(&world, &client_id, Extent::Token, asked)
}

fn revoke(world: &World, client_id: &str, extent: Extent, asked: Body) -> Response {
    if client_id != CLIENT_ID {
        return problem(StatusCode::NOT_FOUND, "Not Found");
    }
    let Ok(Json(Asked { access_token })) = asked else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
    };
    let mut state = world.lock();
    let login = state
        .grants
        .token(Platform::Github, &access_token, clock::now())
        .map(|token| token.login.clone());
    match (&login, extent) {
        (None, _) => {}
        (Some(_), Extent::Token) => state.grants.revoke_token(Platform::Github, &access_token),
        (Some(login), Extent::Grant) => {
            state.grants.revoke_account(Platform::Github, login);
        }
    }
    let answer = match login {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None if is_access_token(&access_token) => problem(StatusCode::NOT_FOUND, "Not Found"),
        None => problem(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed"),
    };
    state.ledger.revocations.push(Revocation {
        platform: Platform::Github,
        extent,
        access_token,
        login,
    });
    answer
}

/// Reports whether the text is or was an access token.
fn is_access_token(text: &str) -> bool {
    [&TERMS, &APP_TERMS]
        .iter()
        .any(|terms| text.starts_with(terms.token_prefix))
}
