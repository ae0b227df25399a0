//! Internal API of a gateway: its listener, and the reload of its callers.

use std::future::ready;

use gateway::Gateway;
use lifecycle::FileWatch;

use super::http_listener::{Handler, HttpListener, ListenError, ListenerKind};
use super::reload::Reloads;
use super::runtime::NodeRuntime;
use crate::config::{INTERNAL_TOKENS_FILE, InternalApiNode, TokensFile};

/// Binds and serves the internal API, if it has callers.
pub(super) async fn serve_internal_api(
    gateway: &Gateway,
    node: InternalApiNode,
    runtime: &NodeRuntime,
) -> Result<(), ListenError> {
    let Some(api) = gateway.internal_api() else {
        tracing::info!("internal API off: neither POSTERN_INTERNAL_TOKEN nor POSTERN_INTERNAL_TOKENS_FILE is set");
        return Ok(());
    };
    let listener = HttpListener::bind(ListenerKind::Internal, node.listen).await?;
    tracing::info!(internal = %listener.address(), tls = api.tls.is_some(), "internal API started");
    listener.serve(Handler::Internal(api), &runtime.tasks);
    Ok(())
}

/// Replaces the callers when their file changes. An unusable file leaves the last callers in place.
pub(super) fn watch_callers(reloads: &mut Reloads, file: Option<TokensFile>) {
    let Some(TokensFile {
        path,
        contents,
        callers,
    }) = file
    else {
        return;
    };
    let watch = FileWatch::new(INTERNAL_TOKENS_FILE, [path], [contents]);
    reloads.watch(Some(watch), move |text| {
        let replaced = callers.get().with_tokens_file(text.expose().as_bytes());
        ready(replaced.map(|replaced| callers.set(replaced)))
    });
}
