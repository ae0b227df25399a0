//! Secrets that must be found nowhere: those that a test names, and those that a server hands out to its clients.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::fail::fail;

/// A list that a cluster and its clients share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Canaries(Arc<Mutex<Vec<String>>>);

impl Canaries {
    /// Adds a secret; fails the test when it could occur by chance.
    pub(crate) fn add(&self, secret: &str) {
        if secret.len() < SHORTEST {
            fail(
                "watch for a canary",
                format_args!("{secret:?} is short enough to occur by chance"),
            );
        }
        self.push(secret);
    }

    /// Adds every secret that is in what a server says, wherever it stands.
    pub(crate) fn hear(&self, said: &Value) {
        match said {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if SECRET_FIELDS.contains(&name.as_str()) {
                        self.hear_secret(value);
                    } else {
                        self.hear(value);
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.hear(value)),
            _ => {}
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hear_secret(&self, value: &Value) {
        match value {
            Value::String(secret) if secret.len() >= SHORTEST => {
                self.push(secret);
                // Hyphens are there for people: without them it is the same secret.
                self.push(&secret.replace('-', ""));
            }
            Value::Array(secrets) => secrets.iter().for_each(|secret| self.hear_secret(secret)),
            _ => {}
        }
    }

    fn push(&self, secret: &str) {
        let mut canaries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        canaries.push(secret.to_owned());
    }
}

/// The fields of docs/protocol.md that hold secrets.
const SECRET_FIELDS: [&str; 7] = [
    "authorizationUrl",
    "confirmationToken",
    "otpauthUrl",
    "qrPng",
    "recoveryCodes",
    "secret",
    "state",
];

/// Long enough not to occur by chance.
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_heard_wherever_they_stand() {
        let canaries = Canaries::default();
        canaries.hear(&json!(["answer", {
            "success": true,
            "enrolment": {"sessionId": "no secret that is kept", "secret": "GEZDGNBVGY3TQOJQ"},
            "recoveryCodes": ["ABCD-EFGH-IJKL-MNOP"],
        }]));
        let mut heard = canaries.all();
        heard.sort();
        heard.dedup();
        assert_eq!(heard, ["ABCD-EFGH-IJKL-MNOP", "ABCDEFGHIJKLMNOP", "GEZDGNBVGY3TQOJQ"]);
    }
}
