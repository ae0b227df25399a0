//! Filter of a user's audit log, for the application.

use std::fmt;

use protocol::time::Timestamp;

use super::{AuditRow, PersonalData};

/// Rows that meet each condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Time from which on rows are read.
    pub since: Option<Timestamp>,
    /// Time before which rows are read.
    pub until: Option<Timestamp>,
    /// Name of an action.
    pub action: Option<String>,
    /// Number before which rows are read: those after it were read before.
    pub before: Option<i64>,
    /// Most rows to return.
    pub limit: u16,
}

/// Rows that meet a filter, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFound {
    /// Rows with their personal data, as it is to be shown.
    pub rows: Vec<(AuditRow, PersonalData)>,
    /// Number before which further rows may meet the filter; none at the end.
    pub next: Option<i64>,
}

impl AuditFilter {
    /// Reports whether a row meets the conditions, whatever its number.
    pub(crate) fn selects(&self, row: &AuditRow) -> bool {
        self.since.is_none_or(|since| since.as_millis() <= row.at)
            && self.until.is_none_or(|until| row.at < until.as_millis())
            && self.action.as_ref().is_none_or(|action| *action == row.action)
    }
}

/// Subject of the row that records the read.
impl fmt::Display for AuditFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.as_deref().unwrap_or("all actions"))?;
        if let Some(since) = self.since {
            write!(f, " since {since}")?;
        }
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        if let Some(before) = self.before {
            write!(f, " before row {before}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_is_recorded_with_its_conditions() {
        assert_eq!(AuditFilter::default().to_string(), "all actions");
        let filter = AuditFilter {
            since: Some(Timestamp::from_millis(0)),
            until: Some(Timestamp::from_millis(86_400_000)),
            action: Some("session_ended".to_owned()),
            before: Some(7),
            limit: 10,
        };
        assert_eq!(
            filter.to_string(),
            "session_ended since 1970-01-01T00:00:00.000Z until 1970-01-02T00:00:00.000Z before row 7"
        );
    }
}
