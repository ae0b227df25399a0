//! Pages of a user's alerts and audit log for the application, the newest entries first.

use protocol::answer::Failure;
use protocol::api::{AlertPage, AlertQuery, AlertState, AuditEntry, AuditPage, AuditQuery, StoredAlert};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::json::Json;
use protocol::time::Timestamp;
use store::{AlertPageQuery, AuditFilter, AuditRow, PersonalData, StoreError};

use super::SecurityService;
use super::page_cursor::{InvalidCursor, PagedList, limit};
use crate::call::{Call, Refusal};

impl SecurityService {
    /// Page of the user's alerts.
    pub(crate) async fn alert_page(&self, call: &Call, query: &AlertQuery) -> Result<JobOutcome, PageError> {
        let list = PagedList {
            user: &call.user,
            name: "page of alerts",
            conditions: query.state.map_or("", AlertState::as_str),
        };
        let query = AlertPageQuery {
            state: query.state,
            before: self.cursors.read(list, &query.page)?,
            limit: limit(&query.page),
        };
        let found = self.alerts.find_alerts(&call.user, &query).await?;
        let alerts = found.alerts.into_iter().map(|found| StoredAlert {
            alert: found.alert,
            acknowledged_at: found.acknowledged_at,
        });
        Ok(JobOutcome::success(&AlertPage {
            alerts: alerts.collect(),
            cursor: found.next.map(|before| self.cursors.write(list, before)),
        }))
    }

    /// Page of the user's audit log, whose read is recorded there.
    pub(crate) async fn audit_page(&self, call: &Call, query: &AuditQuery) -> Result<JobOutcome, PageError> {
        let conditions = Json::of(&(query.since, query.until, &query.action));
        let list = PagedList {
            user: &call.user,
            name: "page of the audit log",
            conditions: conditions.as_str(),
        };
        let filter = AuditFilter {
            since: query.since,
            until: query.until,
            action: query.action.clone(),
            before: self.cursors.read(list, &query.page)?,
            limit: limit(&query.page),
        };
        let receipt = call.receipt_without_answer();
        let found = self.audit.read_audit(&call.user, &filter, &receipt).await?;
        Ok(JobOutcome::success(&AuditPage {
            entries: found.rows.into_iter().map(entry).collect(),
            cursor: found.next.map(|before| self.cursors.write(list, before)),
        }))
    }
}

fn entry((row, personal): (AuditRow, PersonalData)) -> AuditEntry {
    AuditEntry {
        number: row.seq,
        at: Timestamp::from_millis(row.at),
        action: row.action,
        subject: personal.subject,
        result: row.result,
        count: row.count,
        session_id: row.session,
        connection_id: row.connection,
        address: personal.address,
        device: personal.device,
        job_id: row.job,
        trace_id: row.trace,
    }
}

/// Failure to read a page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fault for PageError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Cursor(_) => ErrorCode::BadRequest,
            Self::Store(error) => error.code(),
        }
    }
}

impl Refusal for PageError {
    fn failure(&self) -> Failure {
        match self {
            Self::Cursor(invalid) => Failure::with_message(self.code(), invalid.to_string()),
            Self::Store(_) => Failure::of(self.code()),
        }
    }
}
