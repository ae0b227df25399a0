//! Paths of the HTTP routes beside the internal API. `{name}` stands for one segment.

/// Redirect target of the platforms: GET shows the page that asks for the link, POST links.
pub const OAUTH_CALLBACK: &str = "/oauth/callback/{platform}";
/// Webhook endpoint of the platforms: POST receives a delivery, GET answers a challenge.
pub const WEBHOOK: &str = "/webhooks/{platform}";

/// Methods and paths of the public port beside the WebSocket endpoints.
pub const PUBLIC: [(&str, &str); 4] = [
    ("GET", OAUTH_CALLBACK),
    ("POST", OAUTH_CALLBACK),
    ("GET", WEBHOOK),
    ("POST", WEBHOOK),
];

/// Liveness of the process.
pub const LIVEZ: &str = "/livez";
/// Readiness of the node.
pub const READYZ: &str = "/readyz";
/// State of the node's dependencies.
pub const DEPENDENCIES: &str = "/healthz/dependencies";
/// Metrics in the text format of Prometheus.
pub const METRICS: &str = "/metrics";

/// Paths of the health port. Each has GET alone.
pub const HEALTH: [&str; 4] = [LIVEZ, READYZ, DEPENDENCIES, METRICS];
