//! Internal API of a gateway: its listener, and the reload of its callers.

use std::future::ready;
use std::time::Duration;

use gateway::Gateway;
use lifecycle::{FileContents, FileWatch};

use super::http_listener::{HttpListener, ListenError, ListenerKind};
use super::runtime::NodeRuntime;
use crate::config::{INTERNAL_TOKENS_FILE, InternalApiNode, TokensFile};

/// Binds and serves the internal API, if it has callers, and reloads them when their file changes.
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
    if let Some(file) = node.tokens_file {
        reload_callers(file, runtime);
    }
    listener.serve(api.router, api.tls, &runtime.tasks);
    Ok(())
}

/// Replaces the callers when their file changes. An unusable file leaves the last callers in place.
fn reload_callers(file: TokensFile, runtime: &NodeRuntime) {
    let TokensFile {
        path,
        contents,
        callers,
    } = file;
    let watch = FileWatch::new(INTERNAL_TOKENS_FILE, [path], [contents]);
    let reload = move |[contents]: [FileContents; 1]| {
        let replaced = callers.get().with_tokens_file(contents.as_bytes());
        ready(replaced.map(|replaced| callers.set(replaced)))
    };
    let reloads = watch.run(POLL_EVERY, runtime.tasks.soft(), reload);
    runtime.tasks.essential("internal API callers", reloads);
}

/// Poll interval of the file.
const POLL_EVERY: Duration = Duration::from_secs(5);
