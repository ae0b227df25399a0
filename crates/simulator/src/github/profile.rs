//! `GET /user`: owner of the token.

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};

use crate::{account::Account, world::World};

use super::admission::Caller;

pub(super) async fn profile(State(world): State<World>, Extension(Caller(token)): Extension<Caller>) -> Json<Value> {
    let Account { login, id, name } = Account::named(&token.login);
    Json(json!({
        "login": login,
        "id": id,
        "node_id": format!("U_{id}"),
        "avatar_url": format!("{}/github/avatars/{id}", world.base()),
        "html_url": format!("{}/github/{login}", world.base()),
        "type": "User",
        "name": name,
        "email": null,
        "created_at": "2011-01-25T18:44:36Z",
        "updated_at": "2011-01-25T18:44:36Z",
    }))
}
