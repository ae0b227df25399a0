//! Pages of the whole audit log, for exports.

use protocol::time::Timestamp;

use super::error::Failure;
use super::{PgStore, audit};
use crate::StoreError;
use crate::audit::AuditRow;
use crate::step::Step;

/// Position in the audit log: a chain, and a row of it. The log is read in the byte order of the chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPosition {
    /// User of the chain.
    pub user: String,
    /// Number of the row.
    pub seq: i64,
}

impl AuditPosition {
    /// Position before all rows. Rows that Postern did not write may have any number.
    #[must_use]
    pub fn start() -> Self {
        Self {
            user: String::new(),
            seq: i64::MIN,
        }
    }
}

/// Position in the audit log in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTimePosition {
    at: i64,
    row: AuditPosition,
}

impl AuditTimePosition {
    /// Position before all rows of this time.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self {
            at: time.as_millis(),
            row: AuditPosition::start(),
        }
    }

    /// Position of a row.
    #[must_use]
    pub fn of(row: &AuditRow) -> Self {
        Self {
            at: row.at,
            row: AuditPosition {
                user: row.user.clone(),
                seq: row.seq,
            },
        }
    }
}

/// Page of the audit log.
#[derive(Debug)]
pub struct AuditPage {
    /// Rows of the asked time among those of the page.
    pub rows: Vec<AuditRow>,
    /// Last position of the page, after which the next one starts; none at the end of the log.
    pub last: Option<AuditPosition>,
}

impl PgStore {
    /// Reads the next `size` rows after a position, and returns those with a time in `[since, until)`. The cost of a page depends on its
    /// size alone, however few of its rows are of that time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_page(
        &self,
        after: &AuditPosition,
        (since, until): (Timestamp, Timestamp),
        size: u32,
    ) -> Result<AuditPage, StoreError> {
        let step = Step::ReadAuditPage;
        let read = "WITH page AS MATERIALIZED (SELECT user_id, seq, v, at, action, subject, result, count, session_id, connection_id, \
                    address, device, job_id, trace_id, key_id, mac, personal FROM audit WHERE (user_id, seq) > ($1, $2) \
                    ORDER BY user_id, seq LIMIT $3) \
                    SELECT page.*, user_keys.key AS user_key, at >= $4 AND at < $5 AS is_asked \
                    FROM page LEFT JOIN user_keys USING (user_id) WHERE at >= $4 AND at < $5 \
                    OR (user_id, seq) = (SELECT user_id, seq FROM page ORDER BY user_id DESC, seq DESC LIMIT 1) \
                    ORDER BY user_id, seq";
        let found = self
            .pool
            .query(
                step,
                read,
                &[
                    &after.user,
                    &after.seq,
                    &i64::from(size),
                    &since.as_millis(),
                    &until.as_millis(),
                ],
            )
            .await?;
        let mut page = AuditPage {
            rows: Vec::new(),
            last: None,
        };
        for found in &found {
            let read = || Ok::<_, Failure>((audit::row(found)?, found.try_get("is_asked")?));
            let (row, is_asked) = read().map_err(|failure| self.pool.report(step, failure))?;
            page.last = Some(AuditPosition {
                user: row.user.clone(),
                seq: row.seq,
            });
            if is_asked {
                page.rows.push(row);
            }
        }
        Ok(page)
    }

    /// Reads the next rows after a position in the order of time, of one chain or of all, at most `limit`. Only the log since then is
    /// read, by the index of times.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_rows_since(
        &self,
        after: &AuditTimePosition,
        user: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let step = Step::ReadNewestAuditRows;
        let read = "SELECT user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, \
                    job_id, trace_id, key_id, mac, personal, user_keys.key AS user_key \
                    FROM audit LEFT JOIN user_keys USING (user_id) WHERE at >= $1 AND (at, user_id, seq) > ($1, $2, $3) \
                    AND ($4::text IS NULL OR user_id = $4) ORDER BY at, user_id, seq LIMIT $5";
        let AuditTimePosition { at, row } = after;
        let rows = self
            .pool
            .query(step, read, &[at, &row.user, &row.seq, &user, &i64::from(limit)])
            .await?;
        let rows = rows.iter().map(audit::row).collect::<Result<_, _>>();
        rows.map_err(|failure| self.pool.report(step, failure))
    }
}
