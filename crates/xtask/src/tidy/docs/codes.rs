//! The codes that clients act on: the tables of `protocol::code` against docs/protocol.md.

use super::{Promise, Promises, promises_of_lines};
use crate::tidy::token::{Kind, Token};
use crate::tidy::tree::Tree;

const CODE: &str = "crates/protocol/src/code.rs";
const PAGE: &str = "docs/protocol.md";

/// In the code an arm `Variant => ("word", ...)`; on the page a word in backticks, in the first paragraph of `## Errors`.
pub(super) fn errors(tree: &Tree) -> Promises {
    let in_code = arms(tree, |rest| match rest {
        [open, word, ..] if open.is_mark('(') => word.text().map(str::to_owned),
        _ => None,
    });
    let in_docs = tree.file(PAGE).map(|file| {
        let heading = file
            .text
            .lines()
            .position(|line| line == "## Errors")
            .map_or(usize::MAX, |index| index + 1);
        let paragraph = file.text.lines().skip(heading).take_while(|line| !line.is_empty());
        promises_of_lines(file, heading, paragraph, |line| {
            let quoted = line.split('`').skip(1).step_by(2);
            quoted.filter(|word| is_error_code(word)).map(str::to_owned).collect()
        })
    });
    Promises {
        kind: "error code",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs,
    }
}

/// In the code an arm `Variant => 4400`; on the page the numbers in the first column of the table of close codes.
pub(super) fn closes(tree: &Tree) -> Promises {
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
    let in_docs = tree.file(PAGE).map(|file| {
        let heading = file
            .text
            .lines()
            .position(|line| line.starts_with("| close code"))
            .unwrap_or(usize::MAX);
        let table = file.text.lines().skip(heading).take_while(|line| line.starts_with('|'));
        promises_of_lines(file, heading, table, |row| {
            let cell = row.split('|').nth(1).unwrap_or_default();
            cell.split(|c: char| !c.is_ascii_digit())
                .filter(|number| number.len() == 4)
                .map(str::to_owned)
                .collect()
        })
    });
    Promises {
        kind: "close code",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs,
    }
}

/// What `select` makes of the tokens behind each `=>`.
fn arms(tree: &Tree, select: impl Fn(&[Token]) -> Option<String>) -> Vec<Promise> {
    let Some((file, tokens)) = tree.rust().find(|(file, _)| file.path == CODE) else {
        return Vec::new();
    };
    let mut promises = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let behind = tokens.get(index + 1..).unwrap_or_default();
        let [head, rest @ ..] = behind else { continue };
        if token.is_mark('=') && head.is_mark('>') && !token.in_test {
            let promise = |word| Promise {
                word,
                path: file.path.clone(),
                line: token.line,
            };
            promises.extend(select(rest).map(promise));
        }
    }
    promises
}

fn is_error_code(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
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

    const DOCS: &str = "# Contract\n\n## Errors\n`bad_request` (says which), `2fa_required`\n(with `retryAfter` s).\n\n\
        | close code | why |\n| --- | --- |\n| 1001/4400 | at 10 000 |\n\n`not_a_code`\n";

    fn words(promises: &[Promise]) -> Vec<(&str, usize)> {
        promises
            .iter()
            .map(|promise| (promise.word.as_str(), promise.line))
            .collect()
    }

    #[test]
    fn error_codes_are_read_from_both_sides() {
        let found = errors(&Tree::of([(CODE, SOURCE), (PAGE, DOCS)]));
        assert_eq!(words(&found.in_code), [("bad_request", 5), ("2fa_required", 6)]);
        assert_eq!(
            words(&found.in_docs.unwrap()),
            [("bad_request", 4), ("2fa_required", 4)]
        );
    }

    #[test]
    fn close_codes_are_read_from_both_sides() {
        let found = closes(&Tree::of([(CODE, SOURCE), (PAGE, DOCS)]));
        assert_eq!(words(&found.in_code), [("1001", 16), ("4400", 17)]);
        assert_eq!(words(&found.in_docs.unwrap()), [("1001", 9), ("4400", 9)]);
    }

    #[test]
    fn an_empty_tree_makes_no_promises() {
        let found = errors(&Tree::of([]));
        assert!(found.in_code.is_empty() && found.in_docs.is_none());
    }
}
