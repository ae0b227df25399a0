//! Refusals that a gateway has counted, as rows of their caller's audit chain.

use std::sync::Arc;

use protocol::cluster::job::{JobOutcome, RefusedCommand};
use protocol::json::Json;
use serde_json::json;
use store::{Audit, WriteOutcome};

use crate::call::{Call, Refusal};

/// Records refusals.
pub(crate) struct Refusals(pub(crate) Arc<dyn Audit>);

impl Refusals {
    /// Records refused commands. No client waits for the answer.
    pub(crate) async fn record(&self, call: &Call, refused: &[RefusedCommand]) -> Result<JobOutcome, Box<dyn Refusal>> {
        let outcome = JobOutcome {
            error: None,
            data: Json::of(&json!({ "success": true })),
            leading_notice: None,
            secret: false,
        };
        let Self(audit) = self;
        match audit
            .record_refusals(&call.user, refused, &call.receipt(&outcome))
            .await?
        {
            WriteOutcome::Committed => Ok(outcome),
            WriteOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }
}
