//! Redis keys and channels: the patterns of the bus against the catalogue in docs/redis.md.

use super::{DocumentedName, DocumentedNames, names_on_page};
use crate::tidy::tree::Tree;

const CODE: &str = "crates/bus/src/redis/names.rs";
const PAGE: &str = "docs/redis.md";

/// `<prefix>:...` as a whole text in the code, and in the first column of a table on the page.
pub(super) fn redis_names(tree: &Tree) -> DocumentedNames {
    let mut in_code = Vec::new();
    for (file, tokens) in tree.rust().filter(|(file, _)| file.path == CODE) {
        for token in tokens.iter().filter(|token| !token.in_test) {
            let pattern = token.text().filter(|text| text.starts_with("<prefix>:"));
            in_code.extend(pattern.map(|pattern| DocumentedName {
                word: pattern.to_owned(),
                path: file.path.clone(),
                line: token.line,
            }));
        }
    }
    DocumentedNames {
        kind: "Redis key or channel",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs: names_on_page(tree, PAGE, first_column),
    }
}

fn first_column(line: &str) -> Vec<String> {
    let cell = line.strip_prefix("| `").and_then(|rest| rest.split('`').next());
    let pattern = cell.filter(|cell| cell.starts_with("<prefix>:"));
    pattern.map(str::to_owned).into_iter().collect()
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
    fn patterns_are_read_from_both_sides() {
        let tree = Tree::of([
            (
                CODE,
                "//! `<prefix>:doc`.\nfn f() { fill(\"<prefix>:{<user>}:ev\"); fill(\"s:\"); }\n\
                 #[cfg(test)]\nmod tests { const A: &str = \"<prefix>:bogus\"; }\n",
            ),
            (
                "crates/bus/src/redis/events.rs",
                "//! Head.\nconst B: &str = \"<prefix>:elsewhere\";\n",
            ),
            (
                PAGE,
                "`<prefix>:prose`\n| `<prefix>:{<user>}:ev` | channel | `<prefix>:purpose` |\n| key |\n",
            ),
        ]);
        let found = redis_names(&tree);
        assert_eq!(words(&found.in_code), ["<prefix>:{<user>}:ev"]);
        assert_eq!(words(&found.in_docs.unwrap()), ["<prefix>:{<user>}:ev"]);
    }
}
