//! Server of OTLP over gRPC and over HTTP.

use std::io::{self, Read as _};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use flate2::read::GzDecoder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use super::received::{OtlpRequest, Received};
use super::{OK, OtlpState};
use crate::fail::OrFail as _;
use crate::tls::Authority;

/// Routes of the receiver, and its TLS.
#[derive(Clone)]
pub(super) struct Service {
    router: Router,
    tls: Option<TlsAcceptor>,
}

impl Service {
    pub(super) fn new(shared: Arc<OtlpState>, tls: Option<TlsAcceptor>) -> Self {
        let grpc = Routes::new(traces(&shared))
            .add_service(metrics(&shared))
            .add_service(logs(&shared));
        let router = grpc
            .into_axum_router()
            .route("/v1/traces", post(received::<ExportTraceServiceRequest>))
            .route("/v1/metrics", post(received::<ExportMetricsServiceRequest>))
            .route("/v1/logs", post(received::<ExportLogsServiceRequest>))
            .layer(Extension(Arc::clone(&shared)))
            .layer(from_fn_with_state(shared, head));
        Self { router, tls }
    }

    /// Serves one connection.
    pub(super) async fn serve(self, stream: TcpStream) -> io::Result<()> {
        match self.tls {
            Some(tls) => connection(tls.accept(stream).await?, self.router).await,
            None => connection(stream, self.router).await,
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, router: Router) -> io::Result<()> {
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
        .map_err(io::Error::other)
}

/// Keeps the head of a request, and refuses it with the status that is set.
async fn head(State(shared): State<Arc<OtlpState>>, request: Request, next: Next) -> Response {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers().iter();
    let head = OtlpRequest {
        path: request.uri().path().to_owned(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
    };
    shared.lock().requests.push(head);
    match shared.status() {
        OK => next.run(request).await,
        status => StatusCode::from_u16(status).or_fail("refuse an export").into_response(),
    }
}

/// Request of one signal.
trait Export: Message + Default {
    fn add_to(self, received: &mut Received);
}

impl Export for ExportTraceServiceRequest {
    fn add_to(self, received: &mut Received) {
        received.add_spans(self);
    }
}

impl Export for ExportMetricsServiceRequest {
    fn add_to(self, received: &mut Received) {
        received.add_metrics(self);
    }
}

impl Export for ExportLogsServiceRequest {
    fn add_to(self, received: &mut Received) {
        received.add_logs(self);
    }
}

/// Receives an export by HTTP. The response, without a partial success, has no byte.
async fn received<T: Export>(
    Extension(shared): Extension<Arc<OtlpState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), StatusCode> {
    if headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|media_type| media_type != "application/x-protobuf")
    {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let mut plain = Vec::new();
    let read = match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding == "gzip" => GzDecoder::new(&*body).read_to_end(&mut plain),
        _ => (&*body).read_to_end(&mut plain),
    };
    read.map_err(|_malformed| StatusCode::BAD_REQUEST)?;
    let request = T::decode(&*plain).map_err(|_malformed| StatusCode::BAD_REQUEST)?;
    request.add_to(&mut shared.lock());
    Ok(())
}

/// Receiver of exports by gRPC.
struct Grpc(Arc<OtlpState>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        request.into_inner().add_to(&mut self.0.lock());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        request.into_inner().add_to(&mut self.0.lock());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        request.into_inner().add_to(&mut self.0.lock());
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

fn traces(shared: &Arc<OtlpState>) -> TraceServiceServer<Grpc> {
    TraceServiceServer::new(Grpc(Arc::clone(shared))).accept_compressed(CompressionEncoding::Gzip)
}

fn metrics(shared: &Arc<OtlpState>) -> MetricsServiceServer<Grpc> {
    MetricsServiceServer::new(Grpc(Arc::clone(shared))).accept_compressed(CompressionEncoding::Gzip)
}

fn logs(shared: &Arc<OtlpState>) -> LogsServiceServer<Grpc> {
    LogsServiceServer::new(Grpc(Arc::clone(shared))).accept_compressed(CompressionEncoding::Gzip)
}

/// TLS of a receiver, for HTTP/2 and HTTP/1.1.
pub(super) fn acceptor(authority: &Authority, clients: Option<&Authority>) -> TlsAcceptor {
    let identity = authority.issue();
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).or_fail("read a certificate")];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).or_fail("read a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .or_fail("set up TLS");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_file(clients.pem_path()).or_fail("read an authority");
            roots.add(root).or_fail("trust an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().or_fail("verify clients"))
        }
    };
    let mut config = builder.with_single_cert(chain, key).or_fail("set up TLS");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
