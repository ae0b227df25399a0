//! Metrics of what gateway and worker share: files of settings.

use std::sync::Arc;

use lifecycle::ReloadStatus;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// Shows the counts of watched files, each with the variable of its setting.
pub(crate) fn observe_reloads(meter: &Meter, watched: Arc<[(&'static str, Arc<ReloadStatus>)]>) {
    let counted = Arc::clone(&watched);
    meter
        .u64_observable_counter("postern.reloads")
        .with_description("Changed files of settings, by variable and outcome")
        .with_callback(move |observer| {
            for (variable, status) in counted.iter() {
                for (outcome, count) in [("applied", status.reloads()), ("rejected", status.failures())] {
                    let labels = [KeyValue::new("variable", *variable), KeyValue::new("outcome", outcome)];
                    observer.observe(count, &labels);
                }
            }
        })
        .build();
    meter
        .u64_observable_gauge("postern.reload.failing")
        .with_description("1 while a file of settings has contents that are not in use, by variable")
        .with_callback(move |observer| {
            for (variable, status) in watched.iter() {
                observer.observe(status.is_failing().into(), &[KeyValue::new("variable", *variable)]);
            }
        })
        .build();
}
