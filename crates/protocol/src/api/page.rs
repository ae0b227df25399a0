//! Pages of a list, the newest entries first.

use serde::{Deserialize, Serialize};

/// Page of a list that a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PageRequest {
    /// Cursor of the page before; none for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most entries of the page.
    pub limit: u16,
}

/// Most entries of a page.
pub const MAX_PAGE: u16 = 100;

/// Entries of a page, unless the caller asks for another number.
pub const DEFAULT_PAGE: u16 = 50;
