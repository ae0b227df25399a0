//! Codes that clients act on: the tables of `protocol::code` against docs/protocol.md.

use super::{DocumentedName, DocumentedNames, names_in_lines};
use crate::tidy::token::{Kind, Token};
use crate::tidy::tree::Tree;

const CODE: &str = "crates/protocol/src/code.rs";
const PAGE: &str = "docs/protocol.md";

/// Error codes: in the code an arm `Variant => ("word", ...)`; on the page the words in backticks, in the table of codes.
pub(super) fn errors(tree: &Tree) -> DocumentedNames {
    let in_code = arms(tree, |rest| match rest {
        [open, word, ..] if open.is_mark('(') => word.text().map(str::to_owned),
        _ => None,
    });
    let in_docs = first_column(tree, "| code |", |cell| {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    });
    DocumentedNames {
        kind: "error code",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs,
    }
}

/// Close codes: in the code an arm `Variant => 4400`; on the page the numbers in the table of close codes.
pub(super) fn closes(tree: &Tree) -> DocumentedNames {
    let in_code = arms(tree, |rest| match rest {
        [
            Token {
                kind: Kind::Number(number),
                ..
            },
            ..,
        ] => Some(number.replace('_', "")),
        _ => None,
    });
    let in_docs = first_column(tree, "| close code |", |cell| {
        let numbers = cell.split(|c: char| !c.is_ascii_digit());
        numbers.filter(|number| !number.is_empty()).map(str::to_owned).collect()
    });
    DocumentedNames {
        kind: "close code",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs,
    }
}

/// Names that `select` finds in the first cells of the page's table that begins with `header`.
fn first_column(tree: &Tree, header: &str, select: impl Fn(&str) -> Vec<String>) -> Option<Vec<DocumentedName>> {
    let file = tree.file(PAGE)?;
    let above = file.text.lines().take_while(|line| !line.starts_with(header)).count();
    let table = file.text.lines().skip(above).take_while(|line| line.starts_with('|'));
    Some(names_in_lines(file, above, table, |row| {
        select(row.split('|').nth(1).unwrap_or_default())
    }))
}

/// Names that `select` finds in the tokens after each `=>`.
fn arms(tree: &Tree, select: impl Fn(&[Token]) -> Option<String>) -> Vec<DocumentedName> {
    let Some((file, tokens)) = tree.rust().find(|(file, _)| file.path == CODE) else {
        return Vec::new();
    };
    let mut documented = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let behind = tokens.get(index + 1..).unwrap_or_default();
        let [head, rest @ ..] = behind else { continue };
        if token.is_mark('=') && head.is_mark('>') && !token.in_test {
            let documented_name = |word| DocumentedName {
                word,
                path: file.path.clone(),
                line: token.line,
            };
            documented.extend(select(rest).map(documented_name));
        }
    }
    documented
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"//! Codes.
impl ErrorCode {
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRequest => ("bad_request", "No."),
            Self::TwoFactorRequired => (
                "2fa_required",
                "First.",
            ),
        }
    }
}
impl CloseCode {
    fn as_u16(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::BadFrame => 4400,
        }
    }
    fn as_str(self) -> &'static str {
        match self {
            Self::GoingAway => "going away",
        }
    }
}
"#;

    const DOCS: &str = "# Contract\n\n| code | meaning |\n| --- | --- |\n| `bad_request` | see `field` |\n\
        | `2fa_required`, `2fa_locked` | factor |\n\n| close code | why |\n| --- | --- |\n| 1001, 4400 | within 10 s |\n\n\
        `not_a_code`\n";

    fn words(documented: &[DocumentedName]) -> Vec<(&str, usize)> {
        documented
            .iter()
            .map(|documented_name| (documented_name.word.as_str(), documented_name.line))
            .collect()
    }

    #[test]
    fn error_codes_are_read_from_both_sides() {
        let found = errors(&Tree::of([(CODE, SOURCE), (PAGE, DOCS)]));
        assert_eq!(words(&found.in_code), [("bad_request", 5), ("2fa_required", 6)]);
        assert_eq!(
            words(&found.in_docs.unwrap()),
            [("bad_request", 5), ("2fa_required", 6), ("2fa_locked", 6)]
        );
    }

    #[test]
    fn close_codes_are_read_from_both_sides() {
        let found = closes(&Tree::of([(CODE, SOURCE), (PAGE, DOCS)]));
        assert_eq!(words(&found.in_code), [("1001", 16), ("4400", 17)]);
        assert_eq!(words(&found.in_docs.unwrap()), [("1001", 10), ("4400", 10)]);
    }

    #[test]
    fn empty_tree_has_no_names() {
        let found = errors(&Tree::of([]));
        assert!(found.in_code.is_empty() && found.in_docs.is_none());
    }
}
