//! Metrics that dashboards use: each crate's `metrics.rs` against docs/operations/metrics.md.

use super::{DocumentedName, DocumentedNames, names_on_page};
use crate::tidy::tree::Tree;

const CODE: &str = "crates/*/src/metrics.rs";
const PAGE: &str = "docs/operations/metrics.md";

/// `postern_...` as a whole text in any `metrics.rs` or below `metrics/`, and anywhere on the page.
pub(super) fn metrics(tree: &Tree) -> DocumentedNames {
    let mut in_code = Vec::new();
    for (file, tokens) in tree.rust().filter(|(file, _)| is_instruments(&file.path)) {
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
        kind: "metric",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs: names_on_page(tree, PAGE, names),
    }
}

fn is_instruments(path: &str) -> bool {
    path.contains("/src/") && (path.ends_with("/metrics.rs") || path.contains("/metrics/"))
}

fn names(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.strip_prefix("postern_").is_some_and(|rest| !rest.is_empty()))
        .map(str::to_owned)
        .collect()
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
    fn metrics_are_read_from_both_sides() {
        let tree = Tree::of([
            (
                "crates/bus/src/metrics.rs",
                "//! Head.\nfn f(m: &Meter) { m.u64_counter(\"postern_bus_lost_total\"); }\n",
            ),
            (
                "crates/bus/src/events.rs",
                "//! Head.\nconst A: &str = \"postern_elsewhere\";\n",
            ),
            (PAGE, "| `postern_bus_lost_total` | messages lost |\n"),
        ]);
        let found = metrics(&tree);
        assert_eq!(words(&found.in_code), ["postern_bus_lost_total"]);
        assert_eq!(words(&found.in_docs.unwrap()), ["postern_bus_lost_total"]);
    }
}
