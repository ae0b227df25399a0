//! Refusals that a gateway has counted become rows of their caller's chain.

use std::sync::Arc;

use protocol::cluster::job::{Outcome, Refused};
use protocol::json::Json;
use serde_json::json;
use store::{Audit, Written};

use crate::call::{Call, Refusal};

/// Records refusals.
pub(crate) struct Refusals(pub(crate) Arc<dyn Audit>);

impl Refusals {
    /// No client waits for the answer.
    pub(crate) async fn record(&self, call: &Call, refused: &[Refused]) -> Result<Outcome, Box<dyn Refusal>> {
        let outcome = Outcome {
            error: None,
            data: Json::of(&json!({ "success": true })),
            aside: None,
            secret: false,
        };
        let Self(audit) = self;
        match audit
            .record_refusals(&call.user, refused, &call.receipt(&outcome))
            .await?
        {
            Written::Now => Ok(outcome),
            Written::Before(answer) => Ok(call.recall(&answer)?),
        }
    }
}
