//! What outsiders rely on stands in the docs, and what the docs promise is in the code.

mod codes;
mod log_lines;
mod metrics;
mod variables;

use super::finding::Finding;
use super::tree::{File, Tree};

/// Error codes, close codes, variables and metrics, each in both places or in neither; quoted log lines.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    [
        codes::errors(tree),
        codes::closes(tree),
        variables::variables(tree),
        metrics::metrics(tree),
    ]
    .iter()
    .flat_map(compare)
    .chain(log_lines::check(tree))
    .collect()
}

/// One kind of promise and where it is made.
struct Promises {
    /// What one of them is called.
    kind: &'static str,
    /// Where the code is expected to say them.
    code: &'static str,
    in_code: Vec<Promise>,
    /// The page that must describe them.
    page: &'static str,
    /// None if there is no such page.
    in_docs: Option<Vec<Promise>>,
}

/// A word and where it stands.
#[derive(Debug, PartialEq, Eq)]
struct Promise {
    word: String,
    path: String,
    line: usize,
}

fn compare(promises: &Promises) -> Vec<Finding> {
    let Promises {
        kind,
        code,
        in_code,
        page,
        in_docs,
    } = promises;
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
    for Promise { word, path, line } in missing(in_code, in_docs) {
        let what = format!("{kind} `{word}` is not described");
        findings.push(Finding::new(path, *line, what, format!("say in {page} what it means")));
    }
    for Promise { word, path, line } in missing(in_docs, in_code) {
        let what = format!("{kind} `{word}` is not in the code");
        findings.push(Finding::new(path, *line, what, format!("correct the page or {code}")));
    }
    findings
}

/// What is in `these` and not in `those`, each word once.
fn missing<'a>(these: &'a [Promise], those: &[Promise]) -> Vec<&'a Promise> {
    let mut missing: Vec<&Promise> = Vec::new();
    for promise in these {
        let same = |other: &Promise| other.word == promise.word;
        if !those.iter().any(same) && !missing.iter().any(|other| same(other)) {
            missing.push(promise);
        }
    }
    missing
}

/// The words of a page that `select` picks from each of its lines.
fn words_of_page(tree: &Tree, page: &str, select: impl Fn(&str) -> Vec<String>) -> Option<Vec<Promise>> {
    tree.file(page)
        .map(|file| promises_of_lines(file, 0, file.text.lines(), select))
}

/// The words that `select` picks from each of the lines, which begin after `skipped` others.
fn promises_of_lines<'a>(
    file: &File,
    skipped: usize,
    lines: impl Iterator<Item = &'a str>,
    select: impl Fn(&str) -> Vec<String>,
) -> Vec<Promise> {
    let mut promises = Vec::new();
    for (index, line) in lines.enumerate() {
        let promise = |word| Promise {
            word,
            path: file.path.clone(),
            line: skipped + index + 1,
        };
        promises.extend(select(line).into_iter().map(promise));
    }
    promises
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(word: &str) -> Promise {
        Promise {
            word: word.to_owned(),
            path: "here".to_owned(),
            line: 7,
        }
    }

    fn messages(in_code: &[&str], in_docs: Option<&[&str]>) -> Vec<String> {
        let promises = Promises {
            kind: "metric",
            code: "metrics.rs",
            in_code: in_code.iter().map(|word| promise(word)).collect(),
            page: "docs/metrics.md",
            in_docs: in_docs.map(|words| words.iter().map(|word| promise(word)).collect()),
        };
        compare(&promises).iter().map(ToString::to_string).collect()
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
