//! Variables that an operator sets: `postern::config` against docs/operations/configuration.md.

use super::{DocumentedName, DocumentedNames, names_on_page};
use crate::tidy::tree::Tree;

const CODE: &str = "crates/postern/src/config.rs";
const FOLDER: &str = "crates/postern/src/config/";
const PAGE: &str = "docs/operations/configuration.md";

/// `POSTERN_...` in a text of the code and anywhere on the page. A variable part of a name is `{platform}` in the code
/// and `<PLATFORM>` on the page.
pub(super) fn variables(tree: &Tree) -> DocumentedNames {
    let mut in_code = Vec::new();
    for (file, tokens) in tree
        .rust()
        .filter(|(file, _)| file.path == CODE || file.path.starts_with(FOLDER))
    {
        for token in tokens.iter().filter(|token| !token.in_test) {
            let documented_name = |word| DocumentedName {
                word,
                path: file.path.clone(),
                line: token.line,
            };
            in_code.extend(names(token.text().unwrap_or_default()).into_iter().map(documented_name));
        }
    }
    DocumentedNames {
        kind: "variable",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs: names_on_page(tree, PAGE, names),
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"_<>{}".contains(c))
        .map(plain)
        .filter(|word| word.strip_prefix("POSTERN_").is_some_and(|rest| !rest.is_empty()))
        .collect()
}

/// The name with every variable part as `*`.
fn plain(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    let mut varying = false;
    for character in word.chars() {
        match character {
            '<' | '{' => {
                varying = true;
                plain.push('*');
            }
            '>' | '}' => varying = false,
            _ if varying => {}
            fixed => plain.push(fixed),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(documented: &[DocumentedName]) -> Vec<&str> {
        documented
            .iter()
            .map(|documented_name| documented_name.word.as_str())
            .collect()
    }

    #[test]
    fn variables_are_read_from_both_sides() {
        let tree = Tree::of([
            (
                CODE,
                "//! POSTERN_DOC\nconst A: &str = \"POSTERN_LISTEN\"; // POSTERN_COMMENT\n",
            ),
            (
                "crates/postern/src/config/platforms.rs",
                "//! Head.\nfn f() { format!(\"POSTERN_{platform}_CLIENT_ID\"); }\n\
                 #[cfg(test)]\nmod tests { const B: &str = \"POSTERN_BOGUS\"; }\n",
            ),
            (
                PAGE,
                "| POSTERN_LISTEN, `POSTERN_<PLATFORM>_CLIENT_ID` | `POSTERN_` | OTEL_SERVICE_NAME |\n",
            ),
        ]);
        let found = variables(&tree);
        assert_eq!(words(&found.in_code), ["POSTERN_LISTEN", "POSTERN_*_CLIENT_ID"]);
        assert_eq!(
            words(&found.in_docs.unwrap()),
            ["POSTERN_LISTEN", "POSTERN_*_CLIENT_ID"]
        );
    }
}
