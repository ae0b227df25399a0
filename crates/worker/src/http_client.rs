//! HTTP client for a server that the operator names: requests of the worker go there and nowhere else, each once.

use std::time::Duration;

use platforms::system_tls;
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

/// Builder of a client that trusts the system's certificates and connects only to send. `server` names the other side in log lines.
///
/// # Errors
/// [`rustls::Error`]: TLS cannot be set up.
pub(crate) fn builder(server: &'static str, connect_timeout: Duration) -> Result<ClientBuilder, rustls::Error> {
    let builder = ClientBuilder::new()
        .tls_backend_preconfigured(system_tls(server)?)
        .user_agent(concat!("Postern/", env!("CARGO_PKG_VERSION")))
        // A redirect would send a code, or a signed event, to an arbitrary host.
        .redirect(Policy::none())
        // The caller decides: a retry of a request whose response was lost could send, and bill, a message twice.
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT);
    Ok(builder)
}

const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
