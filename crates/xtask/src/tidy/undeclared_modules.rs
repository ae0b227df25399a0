//! Source files that no module declares: the compiler never sees them, so they stay when their content has moved.

use super::finding::Finding;
use super::token::Token;
use super::tree::Tree;

/// Reports files whose parent has no `mod` for them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in tree.rust() {
        let Some((parents, name)) = parents_and_name(&file.path) else {
            continue;
        };
        let is_declared = tree
            .rust()
            .filter(|(parent, _)| parents.contains(&parent.path))
            .any(|(_, tokens)| declares(tokens, name));
        if !is_declared {
            findings.push(Finding::new(
                &file.path,
                1,
                "no module declares this file",
                "declare it or remove it",
            ));
        }
    }
    findings
}

/// Files that may declare the module of a file, and its name; none for the root of a crate or of a test.
fn parents_and_name(path: &str) -> Option<(Vec<String>, &str)> {
    let (folder, name) = path.strip_suffix(".rs")?.rsplit_once('/')?;
    let is_root = matches!(name, "lib" | "main");
    let is_root_folder =
        folder.ends_with("/src") || folder.ends_with("/tests/it") || folder.ends_with("/tests/clients");
    if is_root_folder {
        let roots = ["lib", "main"].map(|root| format!("{folder}/{root}.rs"));
        return (!is_root).then(|| (roots.to_vec(), name));
    }
    let is_below = ["/src/", "/tests/it/", "/tests/clients/"]
        .iter()
        .any(|root| folder.contains(root));
    is_below.then(|| (vec![format!("{folder}.rs")], name))
}

fn declares(tokens: &[Token], name: &str) -> bool {
    tokens.windows(3).any(|window| match window {
        [module, declared, end] => module.is_word("mod") && declared.is_word(name) && end.is_mark(';'),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_without_a_module_is_reported() {
        let tree = Tree::of([
            ("crates/x/src/lib.rs", "mod a;\n#[cfg(test)]\nmod tests;\n"),
            ("crates/x/src/main.rs", "mod b;"),
            ("crates/x/src/a.rs", "pub(crate) mod child;"),
            ("crates/x/src/a/child.rs", ""),
            ("crates/x/src/a/moved.rs", ""),
            ("crates/x/src/b.rs", ""),
            ("crates/x/src/tls.rs", "mod a;"),
            ("crates/x/src/tests.rs", ""),
            ("crates/x/tests/it/main.rs", "mod one;"),
            ("crates/x/tests/it/one.rs", ""),
            ("crates/x/tests/it/two.rs", ""),
            ("crates/x/examples/echo.rs", ""),
        ]);
        let found: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        let expected = [
            "crates/x/src/a/moved.rs",
            "crates/x/src/tls.rs",
            "crates/x/tests/it/two.rs",
        ];
        assert_eq!(found, expected);
    }
}
