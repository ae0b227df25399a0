//! The table of attacks and faults: every row has a test or a reason, and every named test exists.

use super::finding::Finding;
use super::tree::{File, Tree};

const PAGE: &str = "docs/security-tests.md";

/// Reports rows that are missing or empty, and names of tests that do not exist.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding::new(
            PAGE,
            1,
            "there is no such page",
            "list the attacks and faults with their tests",
        )];
    };
    let mut findings = missing_rows(page);
    for (index, line) in page.text.lines().enumerate() {
        let line_number = index + 1;
        if row_id(line).is_some() && !is_answered(line) {
            let to_do = "name a test, or write `none:` and the reason";
            findings.push(Finding::new(PAGE, line_number, "a row without a test", to_do));
        }
        for name in test_names(line).filter(|name| !exists(tree, name)) {
            let what = format!("there is no test `{name}`");
            findings.push(Finding::new(
                PAGE,
                line_number,
                what,
                "correct the name or write the test",
            ));
        }
    }
    findings
}

/// Attacks A1 to A45 and faults F1 to F27; letters may follow a number.
fn missing_rows(page: &File) -> Vec<Finding> {
    let ids: Vec<&str> = page.text.lines().filter_map(row_id).collect();
    let attacks = (1..=LAST_ATTACK).map(|number| format!("A{number}"));
    let faults = (1..=LAST_FAULT).map(|number| format!("F{number}"));
    attacks
        .chain(faults)
        .filter(|id| !ids.contains(&id.as_str()))
        .map(|id| Finding::new(PAGE, 1, format!("row {id} is missing"), "add the row"))
        .collect()
}

/// First cell of a row of the table: `A1`, `F27`, `A36a`.
fn row_id(line: &str) -> Option<&str> {
    let id = cells(line).next()?;
    let number = id.strip_prefix(['A', 'F'])?;
    number.starts_with(|c: char| c.is_ascii_digit()).then_some(id)
}

/// True if the last cell of a row names a test or gives a reason for having none.
fn is_answered(line: &str) -> bool {
    let last = cells(line).last().unwrap_or_default();
    last.starts_with("none: ") || test_names(line).next().is_some()
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    let inner = line
        .strip_prefix('|')
        .and_then(|rest| rest.trim_end().strip_suffix('|'));
    inner.into_iter().flat_map(|inner| inner.split('|')).map(str::trim)
}

/// Names in a row of a table, between backticks, that are `crate::module::test`.
fn test_names(line: &str) -> impl Iterator<Item = &str> {
    let row = if line.starts_with('|') { line } else { "" };
    row.split('`').skip(1).step_by(2).filter(|word| {
        let is_path = word.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
        is_path && word.split("::").count() > 2
    })
}

/// `crate::module::test` is a function of `tests/it/module.rs`, of `src/module.rs` or of the tests module inside that.
fn exists(tree: &Tree, name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let [member, module @ .., test] = parts.as_slice() else {
        return false;
    };
    let outer = module.strip_suffix(&["tests"]).unwrap_or(module);
    let files = [
        format!("crates/{member}/tests/it/{}.rs", module.join("/")),
        format!("crates/{member}/src/{}.rs", module.join("/")),
        format!("crates/{member}/src/{}.rs", outer.join("/")),
    ];
    let mut readable = tree.rust().filter(|(file, _)| files.contains(&file.path));
    readable.any(|(_, tokens)| {
        tokens.windows(2).any(|window| {
            matches!(window, [keyword, function] if keyword.is_word("fn") && function.is_word(test) && function.in_test)
        })
    })
}

const LAST_ATTACK: u32 = 45;
const LAST_FAULT: u32 = 27;

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "//! Head.\n#[tokio::test]\nasync fn old_tls_is_refused() {}\n";
    const UNIT: &str = "//! Head.\nfn ours() {}\n#[cfg(test)]\nmod tests {\n #[test]\n fn unit() {}\n}\n";

    fn messages(page: &str) -> Vec<String> {
        let tree = Tree::of([
            (PAGE, page),
            ("crates/gateway/tests/it/upgrade.rs", CLUSTER),
            ("crates/gateway/src/rate.rs", UNIT),
        ]);
        let findings = check(&tree).into_iter().map(|finding| finding.to_string());
        findings.filter(|text| !text.contains("is missing")).collect()
    }

    #[test]
    fn tests_that_exist_are_accepted() {
        let page =
            "| A1 | TLS 1.2 | refused | `gateway::upgrade::old_tls_is_refused`; `gateway::rate::tests::unit` |\n";
        assert_eq!(messages(page), Vec::<String>::new());
    }

    #[test]
    fn a_name_without_a_test_is_reported() {
        let page = "| A1 | TLS 1.2 | refused | `gateway::upgrade::gone`, `gateway::rate::ours`, `crate` |\n";
        assert_eq!(
            messages(page),
            [
                "docs/security-tests.md:1: there is no test `gateway::upgrade::gone`: correct the name or write the test",
                "docs/security-tests.md:1: there is no test `gateway::rate::ours`: correct the name or write the test",
            ]
        );
    }

    #[test]
    fn a_row_needs_a_test_or_a_reason() {
        assert_eq!(
            messages("| F15 | cluster | loss-free | none: comes with Redis Cluster |\n").len(),
            0
        );
        assert_eq!(messages("| F15 | cluster | loss-free | later |\n").len(), 1);
    }

    #[test]
    fn missing_rows_and_a_missing_page_are_reported() {
        let tree = Tree::of([(PAGE, "| A1 | a | b | none: reason |\n")]);
        assert_eq!(check(&tree).len(), 44 + 27);
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
