//! `GET /user`: owner of the token.

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};

use crate::{account::Account, platform::Platform, world::World};

use super::admission::Caller;

pub(super) async fn profile(State(world): State<World>, Extension(Caller(token)): Extension<Caller>) -> Json<Value> {
    let account = Account::named(&token.login);
    let avatar = account.avatar_path(Platform::Github);
    let Account { login, id, name } = account;
    Json(json!({
        "login": login,
        "id": id,
        "node_id": format!("U_{id}"),
        "avatar_url": format!("{}{avatar}", world.base()),
        "html_url": format!("{}/github/{login}", world.base()),
        "type": "User",
        "name": name,
        "email": null,
        "created_at": "2011-01-25T18:44:36Z",
        "updated_at": "2011-01-25T18:44:36Z",
    }))
}
