//! Reasons for which an exporter cannot be created.

use opentelemetry_otlp::ExporterBuildError;

/// Exporter that cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The HTTP client cannot be set up.
    #[error("set up the HTTP client of an OTLP exporter")]
    Client(#[from] reqwest::Error),
    /// TLS cannot be set up.
    #[error("set up TLS of an OTLP exporter")]
    Tls(#[from] rustls::Error),
    /// The exporter does not accept its settings.
    #[error("set up an OTLP exporter")]
    Exporter(#[from] ExporterBuildError),
}
