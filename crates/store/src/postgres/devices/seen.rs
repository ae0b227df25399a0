//! Devices and networks from which a user was seen.

use tokio_postgres::Row;

use crate::operator::SeenOverview;
use crate::postgres::error::Failure;
use crate::postgres::row::timestamp;

/// Devices and networks from the columns of [`READ`].
pub(in crate::postgres) fn read(rows: &[Row]) -> Result<Vec<SeenOverview>, Failure> {
    let read = |row: &Row| {
        Ok(SeenOverview {
            kind: row.try_get("kind")?,
            name: row.try_get("name")?,
            seen_at: timestamp(row.try_get("seen_at")?),
        })
    };
    rows.iter().map(read).collect()
}

/// Devices and networks of user `$1`, at most `$2`.
pub(in crate::postgres) const READ: &str =
    "SELECT kind, name, seen_at FROM seen WHERE user_id = $1 ORDER BY seen_at DESC, kind, name LIMIT $2";
