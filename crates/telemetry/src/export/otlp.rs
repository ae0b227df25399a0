//! Exporters of OTLP, as the settings want them. What these leave open is not read from the environment again.

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::LogExporter as _;
use opentelemetry_sdk::trace::SpanExporter as _;

use super::error::ExporterError;
use super::http_client::OtlpHttpClient;
use super::settings::{MetricsSettings, OtlpProtocol, OtlpSettings};

pub(super) fn spans(settings: &OtlpSettings, resource: &Resource) -> Result<SpanExporter, ExporterError> {
    let builder = SpanExporter::builder();
    let mut exporter = match settings.protocol {
        OtlpProtocol::Grpc => grpc(builder.with_tonic(), settings).build()?,
        OtlpProtocol::Http => http(builder.with_http(), settings)?.build()?,
    };
    exporter.set_resource(resource);
    Ok(exporter)
}

pub(super) fn records(settings: &OtlpSettings, resource: &Resource) -> Result<LogExporter, ExporterError> {
    let builder = LogExporter::builder();
    let mut exporter = match settings.protocol {
        OtlpProtocol::Grpc => grpc(builder.with_tonic(), settings).build()?,
        OtlpProtocol::Http => http(builder.with_http(), settings)?.build()?,
    };
    exporter.set_resource(resource);
    Ok(exporter)
}

pub(super) fn metrics(settings: &MetricsSettings) -> Result<MetricExporter, ExporterError> {
    let builder = MetricExporter::builder().with_temporality(settings.temporality);
    Ok(match settings.otlp.protocol {
        OtlpProtocol::Grpc => grpc(builder.with_tonic(), &settings.otlp).build()?,
        OtlpProtocol::Http => http(builder.with_http(), &settings.otlp)?.build()?,
    })
}

fn grpc<B: WithExportConfig + WithTonicConfig>(builder: B, settings: &OtlpSettings) -> B {
    let mut builder = builder
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .with_metadata(MetadataMap::from_headers(settings.headers.clone()));
    if let Some(tls) = &settings.tls {
        builder = builder.with_tls_config(tls.of_grpc());
    }
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    builder
}

fn http<B: WithExportConfig + WithHttpConfig>(builder: B, settings: &OtlpSettings) -> Result<B, ExporterError> {
    let mut builder = builder
        .with_endpoint(settings.endpoint.to_string())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(settings.timeout)
        .with_http_client(OtlpHttpClient::new(settings)?);
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder)
}
