//! Names that outsiders rely on: each is in the docs and in the code.

mod error_and_close_codes;
mod links;
mod log_lines;
mod metrics;
mod redis_names;

use super::finding::Finding;
use super::tree::{File, Tree};

/// Error codes, close codes, metrics and Redis names, each in both places or in neither; quoted log lines; metrics on other pages; links.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    [
        error_and_close_codes::errors(tree),
        error_and_close_codes::closes(tree),
        metrics::metrics(tree),
        redis_names::redis_names(tree),
    ]
    .iter()
    .flat_map(compare)
    .chain(log_lines::check(tree))
    .chain(metrics::elsewhere(tree))
    .chain(links::check(tree))
    .collect()
}

/// One kind of documented name and its sources.
struct DocumentedNames {
    /// Singular noun for one of them.
    kind: &'static str,
    /// Source file or folder that defines them.
    code: &'static str,
    in_code: Vec<DocumentedName>,
    /// Page that must describe them.
    page: &'static str,
    /// None if there is no such page.
    in_docs: Option<Vec<DocumentedName>>,
}

/// A name and its position.
#[derive(Debug, PartialEq, Eq)]
struct DocumentedName {
    word: String,
    path: String,
    line: usize,
}

fn compare(documented: &DocumentedNames) -> Vec<Finding> {
    let DocumentedNames {
        kind,
        code,
        in_code,
        page,
        in_docs,
    } = documented;
    let mut findings = Vec::new();
    if in_code.is_empty() {
        let what = format!("no {kind} is found in the code");
        findings.push(Finding::new(
            code,
            1,
            what,
            "write it, or teach xtask's `tidy/docs` to read it",
        ));
    }
    let Some(in_docs) = in_docs else {
        findings.push(Finding::new(
            page,
            1,
            "there is no such page",
            format!("describe each {kind} there"),
        ));
        return findings;
    };
    for DocumentedName { word, path, line } in missing(in_code, in_docs) {
        let what = format!("{kind} `{word}` is not described");
        findings.push(Finding::new(path, *line, what, format!("say in {page} what it means")));
    }
    for DocumentedName { word, path, line } in missing(in_docs, in_code) {
        let what = format!("{kind} `{word}` is not in the code");
        findings.push(Finding::new(path, *line, what, format!("correct the page or {code}")));
    }
    findings
}

/// Names in `these` and not in `those`, each once.
fn missing<'a>(these: &'a [DocumentedName], those: &[DocumentedName]) -> Vec<&'a DocumentedName> {
    let mut missing: Vec<&DocumentedName> = Vec::new();
    for documented_name in these {
        let same = |other: &DocumentedName| other.word == documented_name.word;
        if !those.iter().any(same) && !missing.iter().any(|other| same(other)) {
            missing.push(documented_name);
        }
    }
    missing
}

/// Names that `select` finds in the lines of a page.
fn names_on_page(tree: &Tree, page: &str, select: impl Fn(&str) -> Vec<String>) -> Option<Vec<DocumentedName>> {
    tree.file(page)
        .map(|file| names_in_lines(file, 0, file.text.lines(), select))
}

/// Names that `select` finds in lines, the first of which has the number `skipped` + 1.
fn names_in_lines<'a>(
    file: &File,
    skipped: usize,
    lines: impl Iterator<Item = &'a str>,
    select: impl Fn(&str) -> Vec<String>,
) -> Vec<DocumentedName> {
    let mut documented = Vec::new();
    for (index, line) in lines.enumerate() {
        let documented_name = |word| DocumentedName {
            word,
            path: file.path.clone(),
            line: skipped + index + 1,
        };
        documented.extend(select(line).into_iter().map(documented_name));
    }
    documented
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented_name(word: &str) -> DocumentedName {
        DocumentedName {
            word: word.to_owned(),
            path: "here".to_owned(),
            line: 7,
        }
    }

    fn messages(in_code: &[&str], in_docs: Option<&[&str]>) -> Vec<String> {
        let documented = DocumentedNames {
            kind: "metric",
            code: "metrics.rs",
            in_code: in_code.iter().map(|word| documented_name(word)).collect(),
            page: "docs/metrics.md",
            in_docs: in_docs.map(|words| words.iter().map(|word| documented_name(word)).collect()),
        };
        compare(&documented).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_ways_are_checked_and_each_word_once() {
        assert_eq!(
            messages(&["a", "b", "b"], Some(&["a", "c"])),
            [
                "here:7: metric `b` is not described: say in docs/metrics.md what it means",
                "here:7: metric `c` is not in the code: correct the page or metrics.rs",
            ]
        );
    }

    #[test]
    fn a_missing_page_or_source_is_a_finding() {
        assert_eq!(
            messages(&["a"], None),
            ["docs/metrics.md:1: there is no such page: describe each metric there"]
        );
        assert_eq!(messages(&[], Some(&[])).len(), 1);
    }
}
