//! Collectors: each option is set for all signals, and may be set for one of them.

mod args;

use std::fs;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use protocol::secret::Secret;
use telemetry::export::{OtlpProtocol, OtlpSettings, OtlpTls, OtlpTlsError};
use url::Url;

pub(super) use self::args::{OtlpArgs, Signal};

use self::args::OtlpOption;
use super::super::number::number;
use super::pairs;
use super::values::boolean;
use crate::config::Problems;

impl OtlpArgs {
    /// Returns true if there is an endpoint for this signal.
    pub(super) fn has_endpoint(&self, signal: Signal) -> bool {
        self.text(signal, OtlpOption::Endpoint).is_some()
    }

    /// Checks the collector of a signal. The outer `None` if a value is wrong, the inner one if the signal is not exported.
    pub(super) fn check(
        &self,
        signal: Signal,
        is_exported: bool,
        problems: &mut Problems,
    ) -> Option<Option<OtlpSettings>> {
        if !is_exported {
            return Some(None);
        }
        let protocol = self.take(signal, OtlpOption::Protocol, protocol, problems);
        let is_insecure = self.take(signal, OtlpOption::Insecure, boolean, problems);
        let gzip = self.take(signal, OtlpOption::Compression, compression, problems);
        let timeout = self.take(signal, OtlpOption::Timeout, timeout, problems);
        let headers = self.headers(signal, problems);
        let (protocol, is_insecure) = (protocol?, is_insecure?);
        let endpoint = self.endpoint(signal, protocol, is_insecure, problems);
        let tls = self.tls(signal, endpoint.as_ref()?.scheme_str() == Some("https"), problems);
        Some(Some(OtlpSettings {
            endpoint: endpoint?,
            protocol,
            headers: headers?,
            timeout: timeout?,
            gzip: gzip?,
            tls: tls?,
        }))
    }

    /// Takes a value, or that for no text.
    fn take<T>(
        &self,
        signal: Signal,
        option: OtlpOption,
        parse: fn(&str) -> Result<T, &'static str>,
        problems: &mut Problems,
    ) -> Option<T> {
        let (variable, text) = self.text(signal, option).unwrap_or_default();
        parse(text).map_err(|error| problems.report(variable, error)).ok()
    }

    /// Endpoint of a signal. That for all signals has the signal's path appended, if the protocol is HTTP.
    fn endpoint(
        &self,
        signal: Signal,
        protocol: OtlpProtocol,
        is_insecure: bool,
        problems: &mut Problems,
    ) -> Option<Uri> {
        let Some((variable, text)) = self.text(signal, OtlpOption::Endpoint) else {
            return with_path(default_endpoint(protocol), signal, protocol);
        };
        let scheme = if is_insecure { "http" } else { "https" };
        let with_scheme = match protocol {
            OtlpProtocol::Grpc if !text.contains("://") => format!("{scheme}://{text}"),
            _ => text.to_owned(),
        };
        let endpoint = url(&with_scheme).and_then(|url| {
            if variable == OtlpOption::Endpoint.of_all() {
                with_path(url.as_str(), signal, protocol)
            } else {
                url.as_str().parse().ok()
            }
        });
        if endpoint.is_none() {
            problems.report(variable, ENDPOINT);
        }
        endpoint
    }

    fn headers(&self, signal: Signal, problems: &mut Problems) -> Option<HeaderMap> {
        let Some((variable, given)) = self.secret(signal) else {
            return Some(HeaderMap::new());
        };
        let text = problems.secret(variable, given)?;
        let headers = headers(text.expose());
        if headers.is_none() {
            problems.report(
                variable,
                "is a list of header=value, separated by commas, with percent-encoding in the values",
            );
        }
        headers
    }

    /// TLS of a signal, for an endpoint that needs it.
    fn tls(&self, signal: Signal, is_needed: bool, problems: &mut Problems) -> Option<Option<OtlpTls>> {
        if !is_needed {
            return Some(None);
        }
        let authorities = self.file(signal, OtlpOption::Certificate, problems)?;
        let certificate = self.file(signal, OtlpOption::ClientCertificate, problems)?;
        let key = self.file(signal, OtlpOption::ClientKey, problems)?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, Secret::new(key))),
            (None, None) => None,
            _ => {
                let (certificate, key) = (OtlpOption::ClientCertificate, OtlpOption::ClientKey);
                problems.report(certificate.of_all(), format!("and {} go together", key.of_all()));
                return None;
            }
        };
        match OtlpTls::new(authorities.as_deref(), identity) {
            Ok(tls) => Some(Some(tls)),
            Err(error) => {
                let option = match error {
                    OtlpTlsError::Authorities => OtlpOption::Certificate,
                    OtlpTlsError::Certificate => OtlpOption::ClientCertificate,
                    OtlpTlsError::Key | OtlpTlsError::Pair => OtlpOption::ClientKey,
                };
                let given = self.path(signal, option);
                problems.report(
                    given.map_or(option.of_all(), |(variable, _)| variable),
                    error.to_string(),
                );
                None
            }
        }
    }

    /// Content of a file. The outer `None` if it cannot be read, the inner one if there is none.
    fn file(&self, signal: Signal, option: OtlpOption, problems: &mut Problems) -> Option<Option<String>> {
        let Some((variable, path)) = self.path(signal, option) else {
            return Some(None);
        };
        let path = problems.path(variable, path)?;
        match fs::read_to_string(&path) {
            Ok(text) => Some(Some(text)),
            Err(error) => {
                problems.report(variable, format!("cannot be read: {}: {error}", path.display()));
                None
            }
        }
    }
}

fn protocol(text: &str) -> Result<OtlpProtocol, &'static str> {
    match text {
        "" | "http/protobuf" => Ok(OtlpProtocol::Http),
        "grpc" => Ok(OtlpProtocol::Grpc),
        _ => Err("is `http/protobuf` or `grpc`"),
    }
}

fn compression(text: &str) -> Result<bool, &'static str> {
    match text {
        "" | "none" => Ok(false),
        "gzip" => Ok(true),
        _ => Err("is `gzip` or `none`"),
    }
}

fn timeout(text: &str) -> Result<Duration, &'static str> {
    let text = if text.is_empty() { DEFAULT_TIMEOUT } else { text };
    let milliseconds = number::<std::num::NonZeroU32>(text, "").map_err(|_no_number| TIMEOUT)?;
    Ok(Duration::from_millis(milliseconds.get().into()))
}

fn url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let is_complete = url.has_host() && url.fragment().is_none();
    (matches!(url.scheme(), "http" | "https") && is_bare && is_complete).then_some(url)
}

fn with_path(url: &str, signal: Signal, protocol: OtlpProtocol) -> Option<Uri> {
    match protocol {
        OtlpProtocol::Grpc => url.parse().ok(),
        OtlpProtocol::Http => format!("{}/v1/{}", url.trim_end_matches('/'), signal.path())
            .parse()
            .ok(),
    }
}

fn default_endpoint(protocol: OtlpProtocol) -> &'static str {
    match protocol {
        OtlpProtocol::Grpc => "http://localhost:4317",
        OtlpProtocol::Http => "http://localhost:4318",
    }
}

/// Headers of a text; their values are left out of debug output.
fn headers(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs::parse(text).ok()? {
        let name: HeaderName = name.parse().ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Some(headers)
}

const ENDPOINT: &str = "is a URL with http or https, without user, password and query: `http://127.0.0.1:4318`";
const TIMEOUT: &str = "is a number of milliseconds, at least 1";
/// Default of the timeout of a request, in milliseconds.
pub(super) const DEFAULT_TIMEOUT: &str = "10000";
