//! Identity of a process in its telemetry.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;

/// Name, version and instance of a service, and what else its telemetry has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceIdentity {
    name: String,
    instance: String,
    attributes: Vec<(String, String)>,
}

impl ServiceIdentity {
    /// Instance of a service, such as `postern-gateway`. `instance` is the id of its node.
    #[must_use]
    pub fn new(name: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            instance: instance.into(),
            attributes: Vec::new(),
        }
    }

    /// Adds attributes of the resource, such as `k8s.pod.name`. The last value of a key counts, also of `service.*`.
    #[must_use]
    pub fn with_attributes(mut self, attributes: impl IntoIterator<Item = (String, String)>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// The same service as another node of the process.
    #[must_use]
    pub fn of_node(&self, instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            ..self.clone()
        }
    }

    /// Id of the node.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    pub(crate) fn resource(&self) -> Resource {
        let attributes = self.attributes.iter();
        Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_service_name(self.name.clone())
            .with_attribute(KeyValue::new("service.instance.id", self.instance.clone()))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(attributes.map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
            .build()
    }
}
