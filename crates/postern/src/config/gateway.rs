//! `postern gateway`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Args;
use gateway::{
    ClientContext, Heartbeat, Origins, Proxies, ProxyProtocol, Rate, Settings, TlsGroups, TlsSettings, TraceSettings,
    TrustedProxies,
};
use telemetry::trace::DeliverySampling;

use super::number::{number, ratio};
use super::{
    ConfigError, HEALTH_LISTEN, InternalApiArgs, InternalApiNode, PathArg, Problems, RedisArgs, RedisFiles,
    TelemetryArgs, TokenKeyFile, TokenVerificationArgs, address, duration, heading,
};

/// Flags and variables of the gateway.
#[derive(Debug, Clone, Args)]
pub struct GatewayArgs {
    /// Address for clients: WSS and HTTPS.
    #[arg(long, env = "POSTERN_LISTEN", default_value = "0.0.0.0:8443", help_heading = heading::LISTENERS)]
    pub listen: String,
    /// Address of `/livez`, `/readyz` and `/metrics`.
    #[arg(long, env = "POSTERN_HEALTH_LISTEN", default_value = HEALTH_LISTEN, help_heading = heading::LISTENERS)]
    pub health_listen: String,
    /// Internal API.
    #[command(flatten)]
    pub internal_api: InternalApiArgs,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Certificate and its chain, PEM; reloaded when it changes.
    #[arg(long, env = "POSTERN_TLS_CERT", help_heading = heading::TLS)]
    pub tls_cert: Option<PathArg>,
    /// Private key of the certificate, PEM.
    #[arg(long, env = "POSTERN_TLS_KEY", help_heading = heading::TLS)]
    pub tls_key: Option<PathArg>,
    /// Groups of the TLS key exchange, comma separated, the preferred one first.
    #[arg(long, env = "POSTERN_TLS_GROUPS", default_value = TLS_GROUPS, help_heading = heading::TLS)]
    pub tls_groups: String,
    /// Token settings.
    #[command(flatten)]
    pub tokens: TokenVerificationArgs,
    /// Accepted browser origins, comma separated; none by default.
    #[arg(long, env = "POSTERN_ALLOWED_ORIGINS", default_value = "", help_heading = heading::LISTENERS)]
    pub allowed_origins: String,
    /// Interval of the pings.
    #[arg(long, env = "POSTERN_HEARTBEAT_INTERVAL", default_value = "30s", help_heading = heading::CONNECTIONS)]
    pub heartbeat_interval: String,
    /// Timeout of the pong.
    #[arg(long, env = "POSTERN_HEARTBEAT_TIMEOUT", default_value = "20s", help_heading = heading::CONNECTIONS)]
    pub heartbeat_timeout: String,
    /// New connections per address, `<per second>/<burst>` or `off`.
    #[arg(long, env = "POSTERN_CONNECT_RATE", default_value = "100/1000", help_heading = heading::LIMITS)]
    pub connect_rate: String,
    /// New sockets per user at each gateway, `<per second>/<burst>` or `off`.
    #[arg(long, env = "POSTERN_USER_CONNECT_RATE", default_value = "4/256", help_heading = heading::LIMITS)]
    pub user_connect_rate: String,
    /// Events per socket, `<per second>/<burst>` or `off`.
    #[arg(long, env = "POSTERN_EVENT_RATE", default_value = "20/40", help_heading = heading::LIMITS)]
    pub event_rate: String,
    /// Commands per user over all gateways, `<per second>/<burst>` or `off`.
    #[arg(long, env = "POSTERN_COMMAND_RATE", default_value = "2/60", help_heading = heading::LIMITS)]
    pub command_rate: String,
    /// Size in bytes from which messages are compressed.
    #[arg(long, env = "POSTERN_DEFLATE_THRESHOLD", default_value = "1024", help_heading = heading::CONNECTIONS)]
    pub deflate_threshold: String,
    /// Time for which feed events are collected into a batch; `0s` disables batching.
    #[arg(long, env = "POSTERN_BATCH_INTERVAL", default_value = "5s", help_heading = heading::CONNECTIONS)]
    pub batch_interval: String,
    /// Maximum number of sockets per user, over all gateways.
    #[arg(long, env = "POSTERN_MAX_SOCKETS_PER_USER", default_value = "64", help_heading = heading::LIMITS)]
    pub max_sockets_per_user: String,
    /// Maximum number of sockets of this gateway; by default as many as the memory limit of the control group allows.
    #[arg(long, env = "POSTERN_MAX_SOCKETS", help_heading = heading::LIMITS)]
    pub max_sockets: Option<String>,
    /// Drain delay: time for which a draining gateway is unready and still accepts; `0s` is none.
    #[arg(long, env = "POSTERN_DRAIN_DELAY", default_value = "5s", help_heading = heading::DRAIN)]
    pub drain_delay: String,
    /// Drain window: time over which a draining gateway spreads its closes, after the drain delay.
    #[arg(long, env = "POSTERN_DRAIN_WINDOW", default_value = "20s", help_heading = heading::DRAIN)]
    pub drain_window: String,
    /// Use of the `traceparent` of a client's command: `link`, or `parent` to continue its trace and its sampling decision.
    #[arg(long, env = "POSTERN_TRACE_CLIENT_CONTEXT", default_value = "link", help_heading = heading::TELEMETRY)]
    pub trace_client_context: String,
    /// Share of the deliveries of sampled events that have a span: 0 to 1.
    #[arg(long, env = "POSTERN_TRACE_DELIVERY_RATIO", default_value = "0.1", help_heading = heading::TELEMETRY)]
    pub trace_delivery_ratio: String,
    /// Export of telemetry.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// PROXY protocol of trusted proxies in front of the gateway: `off`, `optional` or `required`.
    #[arg(long, env = "POSTERN_PROXY_PROTOCOL", default_value = "off", help_heading = heading::LISTENERS)]
    pub proxy_protocol: String,
    /// Addresses and networks of trusted proxies, comma separated; none by default.
    #[arg(long, env = "POSTERN_TRUSTED_PROXIES", default_value = "", help_heading = heading::LISTENERS)]
    pub trusted_proxies: String,
}

/// Checked settings of a gateway.
#[derive(Debug)]
pub struct GatewayNode {
    /// Address of `/livez`, `/readyz` and `/metrics`.
    pub health_listen: SocketAddr,
    /// Internal API.
    pub internal_api: InternalApiNode,
    /// Redis settings.
    pub redis: bus::RedisSettings,
    /// Settings of the gateway itself.
    pub gateway: Settings,
    /// Watches of the files of Redis.
    pub redis_files: RedisFiles,
    /// File of the keys that verify tokens.
    pub token_file: Option<TokenKeyFile>,
}

impl GatewayArgs {
    /// Checks the settings, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub fn settings(&self, mut problems: Problems) -> Result<GatewayNode, ConfigError> {
        let node = self.check(&mut problems);
        problems.finish(node)
    }

    fn check(&self, problems: &mut Problems) -> Option<GatewayNode> {
        let listen = problems.take("POSTERN_LISTEN", address(&self.listen));
        let health_listen = problems.take("POSTERN_HEALTH_LISTEN", address(&self.health_listen));
        let internal_api = self.internal_api.check(problems);
        let redis = self.redis.check_with_files(problems);
        let certificate = problems.require(
            "POSTERN_TLS_CERT",
            self.tls_cert.as_ref(),
            "a PEM file, as clients connect by WSS only",
        );
        let certificate = certificate.and_then(|path| problems.path("POSTERN_TLS_CERT", path));
        let key = problems.require("POSTERN_TLS_KEY", self.tls_key.as_ref(), "a PEM file");
        let key = key.and_then(|path| problems.path("POSTERN_TLS_KEY", path));
        let tls_groups = problems.take("POSTERN_TLS_GROUPS", self.tls_groups.parse::<TlsGroups>());
        let tokens = self.tokens.check(problems);
        let origins = problems.take("POSTERN_ALLOWED_ORIGINS", Origins::parse(&self.allowed_origins));
        let interval = problems.take("POSTERN_HEARTBEAT_INTERVAL", duration(&self.heartbeat_interval));
        let timeout = problems.take("POSTERN_HEARTBEAT_TIMEOUT", duration(&self.heartbeat_timeout));
        let connect_rate = problems.take("POSTERN_CONNECT_RATE", Rate::parse(&self.connect_rate));
        let user_connect_rate = problems.take("POSTERN_USER_CONNECT_RATE", Rate::parse(&self.user_connect_rate));
        let event_rate = problems.take("POSTERN_EVENT_RATE", Rate::parse(&self.event_rate));
        let command_rate = problems.take("POSTERN_COMMAND_RATE", Rate::parse(&self.command_rate));
        let deflate_threshold = problems.take(
            "POSTERN_DEFLATE_THRESHOLD",
            number(&self.deflate_threshold, "a number of bytes: `1024`"),
        );
        let batch_interval = problems.take("POSTERN_BATCH_INTERVAL", duration(&self.batch_interval));
        let max_sockets = problems.take("POSTERN_MAX_SOCKETS", self.max_sockets());
        let max_sockets_per_user = problems.take(
            "POSTERN_MAX_SOCKETS_PER_USER",
            number::<NonZeroUsize>(&self.max_sockets_per_user, "a number of sockets, at least 1"),
        );
        let drain_delay = problems.take("POSTERN_DRAIN_DELAY", duration(&self.drain_delay));
        let drain_window = problems.take("POSTERN_DRAIN_WINDOW", duration(&self.drain_window));
        let client_context = problems.take(
            "POSTERN_TRACE_CLIENT_CONTEXT",
            self.trace_client_context.parse::<ClientContext>(),
        );
        let deliveries = problems.take("POSTERN_TRACE_DELIVERY_RATIO", ratio(&self.trace_delivery_ratio));
        let telemetry = self.telemetry.check(problems);
        let proxies = self.proxies(problems);
        telemetry?;
        let (tokens, token_file) = tokens?;
        let tls = TlsSettings {
            certificate: certificate?,
            key: key?,
        };
        let (internal_api, internal_settings) = internal_api?;
        let (redis, redis_files) = redis?;
        let gateway = Settings {
            tls_groups: tls_groups?,
            origins: origins?,
            proxies: proxies?,
            heartbeat: Heartbeat {
                interval: interval?,
                timeout: timeout?,
            },
            connect_rate: connect_rate?,
            user_connect_rate: user_connect_rate?,
            event_rate: event_rate?,
            command_rate: command_rate?,
            deflate_threshold: deflate_threshold?,
            batch_interval: batch_interval?,
            max_sockets: max_sockets?,
            max_sockets_per_user: max_sockets_per_user?.get(),
            drain_delay: drain_delay?,
            drain_window: drain_window?,
            internal_api: internal_settings,
            traces: TraceSettings {
                client_context: client_context?,
                deliveries: DeliverySampling::new(deliveries?),
            },
            ..Settings::new(listen?, tls, tokens)
        };
        Some(GatewayNode {
            health_listen: health_listen?,
            internal_api,
            redis,
            gateway,
            redis_files,
            token_file,
        })
    }

    fn max_sockets(&self) -> Result<Option<NonZeroUsize>, String> {
        let max = self.max_sockets.as_deref();
        max.map(|text| number(text, "a number of sockets, at least 1"))
            .transpose()
    }

    fn proxies(&self, problems: &mut Problems) -> Option<Proxies> {
        let protocol = problems.take("POSTERN_PROXY_PROTOCOL", self.proxy_protocol.parse::<ProxyProtocol>());
        let trusted = problems.take("POSTERN_TRUSTED_PROXIES", TrustedProxies::parse(&self.trusted_proxies));
        problems.take("POSTERN_PROXY_PROTOCOL", Proxies::new(protocol?, trusted?))
    }
}

const TLS_GROUPS: &str = "X25519MLKEM768,x25519,secp256r1,secp384r1";
