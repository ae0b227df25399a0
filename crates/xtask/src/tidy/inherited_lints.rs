//! Lints of the workspace: every member inherits them.

use super::crate_dependencies::Member;
use super::finding::Finding;
use super::tree::Tree;

/// Reports manifests without `workspace = true` in a `[lints]` table.
pub(super) fn check(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let inherits = |text: &str| {
        let table = text
            .lines()
            .map(str::trim)
            .skip_while(|line| *line != "[lints]")
            .skip(1);
        table
            .take_while(|line| !line.starts_with('['))
            .any(|line| line == "workspace = true")
    };
    members
        .iter()
        .filter(|member| !tree.file(&member.manifest).is_some_and(|file| inherits(&file.text)))
        .map(|member| {
            let what = "the lints of the workspace are not inherited";
            Finding::new(&member.manifest, 1, what, "add `[lints]` with `workspace = true`")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_without_the_lints_is_found() {
        let tree = Tree::of([
            (
                "crates/bus/Cargo.toml",
                "[package]\nname = \"bus\"\n\n[lints]\nworkspace = true\n",
            ),
            (
                "crates/store/Cargo.toml",
                "[package]\nname = \"store\"\n\n[lints]\n\n[dependencies]\nworkspace = true\n",
            ),
        ]);
        let members = ["bus", "store"].map(|name| Member {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            needs: Vec::new(),
        });
        let paths: Vec<String> = check(&tree, &members).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["crates/store/Cargo.toml"]);
    }
}
