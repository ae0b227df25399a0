//! Server of socketioxide with its Redis adapter, for comparison: a socket joins the room of its token's user, and
//! `POST /v1/users/{user}/events` emits an event to a room.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum_server::tls_rustls::RustlsConfig;
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use socketioxide::SocketIo;
use socketioxide::adapter::Adapter;
use socketioxide::extract::{Data, SocketRef, State as Shared};
use socketioxide_redis::{RedisAdapter, RedisAdapterCtr};

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Deserialize)]
struct Event {
    event: String,
    data: serde_json::Value,
}

#[derive(Clone)]
struct Secret(Arc<DecodingKey>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no provider is installed yet");
    let redis = redis::Client::open(format!("{}?protocol=resp3", env::var("REDIS_URL")?))?;
    let secret = Secret(Arc::new(DecodingKey::from_secret(env::var("JWT_SECRET")?.as_bytes())));
    let (layer, io) = SocketIo::builder()
        .with_adapter::<RedisAdapter<_>>(RedisAdapterCtr::new_with_redis(&redis).await?)
        .with_state(secret)
        .build_layer();
    io.ns("/", on_connect).await?;

    let internal = tokio::net::TcpListener::bind(env::var("INTERNAL_LISTEN")?).await?;
    let api = api(io);
    tokio::spawn(async move { axum::serve(internal, api).await });
    let listen: SocketAddr = env::var("LISTEN")?.parse()?;
    let tls = RustlsConfig::from_pem_file(env::var("TLS_CERT")?, env::var("TLS_KEY")?).await?;
    let app = Router::new().layer(layer);
    Ok(axum_server::bind_rustls(listen, tls)
        .serve(app.into_make_service())
        .await?)
}

async fn on_connect<A: Adapter>(socket: SocketRef<A>, Data(auth): Data<Auth>, Shared(secret): Shared<Secret>) {
    match jsonwebtoken::decode::<Claims>(&auth.token, &secret.0, &Validation::default()) {
        Ok(token) => socket.join(token.claims.sub),
        Err(_) => drop(socket.disconnect()),
    }
}

fn api<A: Adapter>(io: SocketIo<A>) -> Router {
    Router::new()
        .route("/v1/users/{user}/events", post(publish::<A>))
        .with_state(io)
}

async fn publish<A: Adapter>(
    State(io): State<SocketIo<A>>,
    Path(user): Path<String>,
    Json(event): Json<Event>,
) -> (StatusCode, &'static str) {
    match io.to(user).emit(event.event, &event.data).await {
        Ok(()) => (StatusCode::ACCEPTED, "{}"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "{}"),
    }
}
