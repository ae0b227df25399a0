//! Metrics that dashboards use: the instruments of the crates against docs/operations/metrics.md, and other pages against that one.

use super::{DocumentedName, DocumentedNames, missing, names_on_page};
use crate::tidy::finding::Finding;
use crate::tidy::token::{Kind, Token};
use crate::tidy::tree::Tree;

const CODE: &str = "crates/*/src/metrics.rs";
const PAGE: &str = "docs/operations/metrics.md";

/// Beginnings of the instruments' names: our own, and those of OpenTelemetry's semantic conventions.
const PREFIXES: [&str; 4] = ["postern.", "db.client.", "http.client.", "process."];

/// Attributes of the conventions that begin like an instrument.
const ATTRIBUTES: [&str; 2] = ["db.client.connection.pool.name", "db.client.connection.state"];

/// Dotted names of instruments in the code, and names of metrics on the page, both as [`base_name`].
pub(super) fn metrics(tree: &Tree) -> DocumentedNames {
    let mut in_code = Vec::new();
    for (file, tokens) in tree.rust().filter(|(file, _)| is_product(&file.path)) {
        let all_texts = is_instruments(&file.path);
        for (index, token) in tokens.iter().enumerate().filter(|(_, token)| !token.in_test) {
            let Some(text) = token.text().filter(|text| is_instrument(text)) else {
                continue;
            };
            if all_texts || builds_instrument(tokens, index) {
                in_code.push(DocumentedName {
                    word: base_name(&text.replace('.', "_")),
                    path: file.path.clone(),
                    line: token.line,
                });
            }
        }
    }
    DocumentedNames {
        kind: "metric",
        code: CODE,
        in_code,
        page: PAGE,
        in_docs: names_on_page(tree, PAGE, names_in_line),
    }
}

/// Metrics that a page for operators names and this one does not describe.
pub(super) fn elsewhere(tree: &Tree) -> Vec<Finding> {
    let described = names_on_page(tree, PAGE, names_in_line).unwrap_or_default();
    let is_other = |path: &str| path.starts_with("docs/operations/") && path.ends_with(".md") && path != PAGE;
    let pages = tree.files().filter(|file| is_other(&file.path));
    pages
        .filter_map(|file| names_on_page(tree, &file.path, own_names))
        .flat_map(|named| {
            let unknown = missing(&named, &described).into_iter();
            let finding = |name: &DocumentedName| {
                let what = format!("metric `{}` is not on {PAGE}", name.word);
                Finding::new(&name.path, name.line, what, "correct the name, or describe it there")
            };
            unknown.map(finding).collect::<Vec<_>>()
        })
        .collect()
}

fn is_product(path: &str) -> bool {
    path.contains("/src/") && !path.starts_with("crates/xtask/") && !path.starts_with("crates/testkit/")
}

/// Files of instruments alone, in which a name may be a constant or an argument of a function of the file.
fn is_instruments(path: &str) -> bool {
    path.ends_with("/metrics.rs") || path.contains("/metrics/")
}

fn is_instrument(text: &str) -> bool {
    let is_dotted = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c))
    };
    PREFIXES.iter().any(|prefix| text.starts_with(prefix)) && is_dotted(text) && !ATTRIBUTES.contains(&text)
}

/// True for the first argument of a call such as `u64_counter(..)`.
fn builds_instrument(tokens: &[Token], argument: usize) -> bool {
    let before = |back: usize| argument.checked_sub(back).and_then(|index| tokens.get(index));
    let is_builder = |token: &Token| {
        let Kind::Word(name) = &token.kind else { return false };
        ["counter", "gauge", "histogram"]
            .iter()
            .any(|kind| name.ends_with(kind))
    };
    before(1).is_some_and(|token| token.is_mark('(')) && before(2).is_some_and(is_builder)
}

/// Name without what the Prometheus exporter appends for unit and kind, and without the series of a histogram.
fn base_name(metric: &str) -> String {
    let mut base = metric;
    for suffix in ["_bucket", "_count", "_sum", "_total", "_seconds", "_bytes", "_ratio"] {
        // `..._file_descriptor_count` is a name of the conventions.
        let ends_a_name = suffix == "_count" && !base.ends_with("_seconds_count");
        base = base.strip_suffix(suffix).filter(|_| !ends_a_name).unwrap_or(base);
    }
    base.to_owned()
}

/// Our own names in a line, and whatever the first column of a table names.
fn names_in_line(line: &str) -> Vec<String> {
    let mut names = own_names(line);
    if let Some(name) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) {
        names.push(base_name(name));
    }
    names
}

fn own_names(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        // `postern_worker` is a role of the database, `postern_worker_*` a family.
        .filter(|word| word.starts_with("postern_") && word.matches('_').count() > 1 && !word.ends_with('_'))
        .map(base_name)
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
    fn instruments_and_scraped_names_are_compared_without_unit_and_kind() {
        let tree = Tree::of([
            (
                "crates/bus/src/metrics.rs",
                "//! Head.\nconst WAIT: &str = \"postern.bus.wait\";\nconst POOL: &str = \"db.client.connection.pool.name\";\n\
                 fn f(m: &Meter) { m.u64_counter(\"postern.bus.lost\"); }\n",
            ),
            (
                "crates/bus/src/client.rs",
                "//! Head.\nfn f(m: &Meter) { m.f64_histogram(\"db.client.operation.duration\"); span(\"postern.bus.span\"); }\n",
            ),
            (
                PAGE,
                "| `postern_bus_lost_total` | - | lost |\n| `postern_bus_wait_seconds` | - | |\n\
                 | `db_client_operation_duration_seconds` | `db_operation_name` | |\n",
            ),
        ]);
        let found = metrics(&tree);
        let bases = ["postern_bus_wait", "postern_bus_lost", "db_client_operation_duration"];
        assert_eq!(words(&found.in_code), bases);
        let in_docs = found.in_docs.unwrap();
        assert_eq!(missing(&in_docs, &found.in_code), Vec::<&DocumentedName>::new());
        assert_eq!(missing(&found.in_code, &in_docs), Vec::<&DocumentedName>::new());
    }

    #[test]
    fn series_of_histograms_and_descriptor_counts_keep_their_base() {
        assert_eq!(base_name("postern_bus_wait_seconds_bucket"), "postern_bus_wait");
        assert_eq!(base_name("postern_bus_wait_seconds_count"), "postern_bus_wait");
        let descriptors = "process_unix_file_descriptor_count";
        assert_eq!(base_name(descriptors), descriptors);
    }

    #[test]
    fn metric_that_only_another_page_names_is_found() {
        let tree = Tree::of([
            (PAGE, "| `postern_bus_lost_total` | - | lost |\n"),
            (
                "docs/operations/slo.md",
                "`rate(postern_bus_lost_total[5m]) / rate(postern_bus_gone_total[5m])`\n",
            ),
        ]);
        let found: Vec<_> = elsewhere(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "docs/operations/slo.md:1: metric `postern_bus_gone` is not on docs/operations/metrics.md: \
                 correct the name, or describe it there"
            ]
        );
    }
}
