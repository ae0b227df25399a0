//! Instruments of the calls of platforms.

use std::time::Duration;

use http::{Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use tokio::time::Instant;

use crate::route::Route;

/// Instruments of the calls of platforms; none without a meter. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    duration: Option<Histogram<f64>>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let duration = meter
            .f64_histogram("http.client.request.duration")
            .with_unit("s")
            .with_description("Calls of platforms, up to the last byte of the answer")
            .build();
        Self {
            duration: Some(duration),
        }
    }

    /// Records a call that another client made.
    pub(crate) fn record(
        &self,
        route: Route,
        method: &Method,
        took: Duration,
        answer: Result<StatusCode, &'static str>,
    ) {
        if let Some(duration) = &self.duration {
            let labels = labels(route, method_name(method), CallEnd::of(answer));
            duration.record(took.as_secs_f64(), &labels);
        }
    }

    /// Starts the measurement of a call.
    pub(crate) fn start(&self, route: Route, method: &Method) -> CallTimer<'_> {
        CallTimer {
            duration: self.duration.as_ref(),
            route,
            method: method_name(method),
            started: Instant::now(),
            end: CallEnd::Cancelled,
        }
    }
}

/// Measurement of one call. It is recorded when dropped: as `cancelled`, if the caller stopped waiting before the end.
#[derive(Debug)]
pub(crate) struct CallTimer<'a> {
    duration: Option<&'a Histogram<f64>>,
    route: Route,
    method: &'static str,
    started: Instant,
    end: CallEnd,
}

/// End of a call.
#[derive(Debug, Clone, Copy)]
enum CallEnd {
    Answered(StatusCode),
    Failed(&'static str),
    Cancelled,
}

impl CallEnd {
    fn of(answer: Result<StatusCode, &'static str>) -> Self {
        match answer {
            Ok(status) => Self::Answered(recognized(status)),
            Err(error_type) => Self::Failed(error_type),
        }
    }
}

impl CallTimer<'_> {
    /// Records the end of the call: the status of the answer, or the class of the failure.
    pub(crate) fn end(mut self, answer: Result<StatusCode, &'static str>) {
        self.end = CallEnd::of(answer);
    }
}

impl Drop for CallTimer<'_> {
    fn drop(&mut self) {
        if let Some(duration) = self.duration {
            let labels = labels(self.route, self.method, self.end);
            duration.record(self.started.elapsed().as_secs_f64(), &labels);
        }
    }
}

fn labels(route: Route, method: &'static str, end: CallEnd) -> Vec<KeyValue> {
    let mut labels = vec![
        KeyValue::new("platform", route.platform.as_str()),
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.template", route.template),
    ];
    match end {
        CallEnd::Answered(status) => {
            labels.push(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            if status.is_client_error() || status.is_server_error() {
                labels.push(KeyValue::new("error.type", status.as_str().to_owned()));
            }
        }
        CallEnd::Failed(error_type) => labels.push(KeyValue::new("error.type", error_type)),
        CallEnd::Cancelled => labels.push(KeyValue::new("error.type", "cancelled")),
    }
    labels
}

/// Status as a client has to understand it (RFC 9110 section 15): an unknown one is the first of its class, one that is out of range a 500.
/// A platform therefore cannot create series without bound.
fn recognized(status: StatusCode) -> StatusCode {
    if status.canonical_reason().is_some() {
        return status;
    }
    let class = status.as_u16() / 100 * 100;
    StatusCode::from_u16(class)
        .ok()
        .filter(|class| class.canonical_reason().is_some())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Method as a label; one that this crate does not send is `_OTHER`, as OpenTelemetry names it.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_status_is_recorded_as_the_first_of_its_class() {
        let cases = [
            (200, 200),
            (299, 200),
            (418, 418),
            (499, 400),
            (599, 500),
            (600, 500),
            (999, 500),
            (199, 100),
        ];
        for (status, expected) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(recognized(status).as_u16(), expected, "{status}");
        }
    }
}
