//! Secrets that must not be found anywhere: those that a test names, and those that a server sends to its clients.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::fail::fail;

/// List that a cluster and its clients share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Canaries(Arc<Mutex<Vec<String>>>);

impl Canaries {
    /// Adds a secret; fails the test if it could occur by chance.
    pub(crate) fn add(&self, secret: &str) {
        if secret.len() < SHORTEST {
            fail(
                "watch for a canary",
                format_args!("{secret:?} is short enough to occur by chance"),
            );
        }
        self.push(secret);
    }

    /// Adds every secret in a message of a server, at any depth.
    pub(crate) fn record_secrets(&self, message: &Value) {
        match message {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if SECRET_FIELDS.contains(&name.as_str()) {
                        self.record_secret(value);
                    } else {
                        self.record_secrets(value);
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.record_secrets(value)),
            _ => {}
        }
    }

    /// Returns all secrets.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record_secret(&self, value: &Value) {
        match value {
            Value::String(secret) if secret.len() >= SHORTEST => {
                self.push(secret);
                // Hyphens only help people to read: without them it is the same secret.
                self.push(&secret.replace('-', ""));
            }
            Value::Array(secrets) => secrets.iter().for_each(|secret| self.record_secret(secret)),
            _ => {}
        }
    }

    fn push(&self, secret: &str) {
        let mut canaries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        canaries.push(secret.to_owned());
    }
}

/// Fields of docs/protocol.md that contain secrets.
const SECRET_FIELDS: [&str; 7] = [
    "authorizationUrl",
    "confirmationToken",
    "otpauthUrl",
    "qrPng",
    "recoveryCodes",
    "secret",
    "state",
];

/// Shortest secret that does not occur by chance.
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_recorded_at_any_depth() {
        let canaries = Canaries::default();
        canaries.record_secrets(&json!(["answer", {
            "success": true,
            "enrolment": {"sessionId": "no secret that is kept", "secret": "GEZDGNBVGY3TQOJQ"},
            "recoveryCodes": ["ABCD-EFGH-IJKL-MNOP"],
        }]));
        let mut recorded = canaries.all();
        recorded.sort();
        recorded.dedup();
        assert_eq!(
            recorded,
            ["ABCD-EFGH-IJKL-MNOP", "ABCDEFGHIJKLMNOP", "GEZDGNBVGY3TQOJQ"]
        );
    }
}
