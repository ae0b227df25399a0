//! Cursors of the pages that the application reads: encrypted, so that nobody can make one, and bound to a list and its conditions.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use protocol::api::{MAX_PAGE, PageRequest};
use protocol::id::UserId;
use protocol::secret::Secret;
use store::vault::{Binding, Ciphertext, Vault};

/// Writes and reads cursors.
pub(crate) struct PageCursors(pub(crate) Arc<Vault>);

/// List of a user under some conditions. A cursor is valid for the list that it was written for.
#[derive(Debug, Clone, Copy)]
pub(super) struct PagedList<'a> {
    pub(super) user: &'a UserId,
    /// Name of the list.
    pub(super) name: &'static str,
    /// Conditions that its entries meet, as one text.
    pub(super) conditions: &'a str,
}

/// Text that is no cursor of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cursor: that of a page of the same list with the same conditions was expected")]
pub(crate) struct InvalidCursor;

impl PageCursors {
    /// Cursor of the entries before this number.
    pub(super) fn write(&self, list: PagedList<'_>, before: i64) -> String {
        let text = Secret::new(before.to_string());
        BASE64URL_NOPAD.encode(self.0.encrypt(&list.binding(), &text).as_bytes())
    }

    /// Number before which the requested page starts; none for the first page.
    pub(super) fn read(&self, list: PagedList<'_>, page: &PageRequest) -> Result<Option<i64>, InvalidCursor> {
        let Some(cursor) = &page.cursor else {
            return Ok(None);
        };
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes());
        let bytes = bytes.map_err(|_not_base64| InvalidCursor)?;
        let text = self.0.decrypt(&list.binding(), &Ciphertext::from_bytes(bytes));
        let text = text.map_err(|_not_ours| InvalidCursor)?;
        text.expose().parse().map(Some).map_err(|_no_number| InvalidCursor)
    }
}

impl PagedList<'_> {
    fn binding(&self) -> Binding<'_> {
        Binding {
            user: self.user,
            scope: self.name,
            column: self.conditions,
        }
    }
}

/// Number of entries of the requested page.
pub(super) fn limit(page: &PageRequest) -> u16 {
    page.limit.clamp(1, MAX_PAGE)
}

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;
    use store::vault::VaultKeys;

    use super::*;

    const OLD: &str = "old:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const NEW: &str = "new:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

    fn cursors(keys: &str) -> PageCursors {
        let keys = VaultKeys::parse(&Secret::new(keys)).unwrap();
        PageCursors(Arc::new(Vault::new(keys, Arc::new(SeededEntropy::new(7)))))
    }

    fn page(cursor: &str) -> PageRequest {
        PageRequest {
            cursor: Some(cursor.to_owned()),
            limit: 10,
        }
    }

    #[test]
    fn cursor_is_read_for_its_own_list_and_conditions_alone() {
        let (user, other) = (UserId::new("GEN-001").unwrap(), UserId::new("GEN-002").unwrap());
        let list = PagedList {
            user: &user,
            name: "alerts",
            conditions: "open",
        };
        let cursors = cursors(OLD);
        let cursor = cursors.write(list, 42);
        assert_eq!(cursors.read(list, &page(&cursor)), Ok(Some(42)));
        for list in [
            PagedList { user: &other, ..list },
            PagedList { name: "audit", ..list },
            PagedList {
                conditions: "acknowledged",
                ..list
            },
        ] {
            assert_eq!(cursors.read(list, &page(&cursor)), Err(InvalidCursor), "{list:?}");
        }
    }

    #[test]
    fn altered_cursor_is_refused() {
        let user = UserId::new("GEN-001").unwrap();
        let list = PagedList {
            user: &user,
            name: "alerts",
            conditions: "",
        };
        let cursors = cursors(OLD);
        let cursor = cursors.write(list, 42);
        for index in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(cursors.read(list, &page(&altered)), Err(InvalidCursor), "{index}");
        }
        let shortened = cursor.get(1..).unwrap();
        for text in ["", "42", "NDI", "\u{e9}", shortened, &format!("{cursor}AA")] {
            assert_eq!(cursors.read(list, &page(text)), Err(InvalidCursor), "{text}");
        }
        let first = PageRequest {
            cursor: None,
            limit: 10,
        };
        assert_eq!(cursors.read(list, &first), Ok(None));
    }

    #[test]
    fn cursor_outlives_a_key_rotation() {
        let user = UserId::new("GEN-001").unwrap();
        let list = PagedList {
            user: &user,
            name: "alerts",
            conditions: "",
        };
        let cursor = cursors(OLD).write(list, 42);
        let rotated = cursors(&format!("{NEW},{OLD}"));
        assert_eq!(rotated.read(list, &page(&cursor)), Ok(Some(42)));
        assert_eq!(cursors(NEW).read(list, &page(&cursor)), Err(InvalidCursor));
    }
}
