//! Cycles between modules of one crate: what two modules need lies below both.
//!
//! Compared are siblings, at every level: a module stands for itself and all below it, and what a module shares with its own
//! children is no cycle. Names are followed through re-exports. Tests may use what they like.

mod graph;
mod paths;

use std::collections::BTreeMap;

use self::graph::{Edge, Graph};
use self::paths::Use;
use super::finding::Finding;
use super::tree::Tree;

/// No module leads back to itself through its siblings.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Crate<'_>> = BTreeMap::new();
    for (file, tokens) in tree.rust() {
        if let Some((root, path)) = module_of(&file.path) {
            let uses = paths::uses(tokens, &path);
            let module = Module { file: &file.path, uses };
            crates.entry(root).or_default().0.insert(path, module);
        }
    }
    crates.values().flat_map(Crate::cycles).collect()
}

/// Modules of one crate, by their paths below its root.
#[derive(Debug, Default)]
struct Crate<'a>(BTreeMap<Vec<String>, Module<'a>>);

/// Module of a file.
#[derive(Debug)]
struct Module<'a> {
    file: &'a str,
    uses: Vec<Use>,
}

impl Crate<'_> {
    fn cycles(&self) -> Vec<Finding> {
        let mut levels: BTreeMap<&[String], Graph<'_>> = BTreeMap::new();
        for (from, module) in &self.0 {
            for used in &module.uses {
                let to = self.resolve(&used.path, RE_EXPORTS);
                let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                let (Some(from_sibling), Some(to_sibling)) = (from.get(shared), to.get(shared)) else {
                    continue;
                };
                let Some(parent) = from.get(..shared) else { continue };
                levels.entry(parent).or_default().add(Edge {
                    from: from_sibling,
                    to: to_sibling.clone(),
                    file: module.file,
                    line: used.line,
                });
            }
        }
        levels
            .values()
            .flat_map(Graph::cycles)
            .map(|cycle| finding(&cycle))
            .collect()
    }

    /// Module that defines what a path names, through at most `re_exports` of them.
    fn resolve(&self, path: &[String], re_exports: usize) -> Vec<String> {
        let mut module = Vec::new();
        for (index, segment) in path.iter().enumerate() {
            let mut child = module.clone();
            child.push(segment.clone());
            if self.0.contains_key(&child) {
                module = child;
                continue;
            }
            let uses = self.0.get(&module).map_or(&[][..], |module| &module.uses);
            let re_export = uses.iter().find(|used| used.name.as_ref() == Some(segment));
            if let Some(re_export) = re_export.filter(|_| re_exports > 0) {
                let rest = path.iter().skip(index + 1).cloned();
                let full: Vec<String> = re_export.path.iter().cloned().chain(rest).collect();
                return self.resolve(&full, re_exports - 1);
            }
            break;
        }
        module
    }
}

/// Re-exports that a name is followed through.
const RE_EXPORTS: usize = 8;

fn finding(cycle: &[&Edge<'_>]) -> Finding {
    let names: Vec<&str> = cycle.iter().map(|edge| edge.from).collect();
    let (file, line) = cycle.first().map_or(("", 1), |edge| (edge.file, edge.line));
    let edges: Vec<String> = cycle
        .iter()
        .skip(1)
        .map(|edge| format!("{}:{}", edge.file, edge.line))
        .collect();
    let what = format!(
        "modules in a cycle: {} (and back at {})",
        names.join(" -> "),
        edges.join(", ")
    );
    Finding::new(file, line, what, "move what both need below both")
}

/// Crate folder and path of the module that a source file holds.
fn module_of(file: &str) -> Option<(&str, Vec<String>)> {
    let (root, inside) = file.split_once("/src/")?;
    let path = inside.strip_suffix(".rs")?;
    let is_root = matches!(path, "lib" | "main");
    let segments = path.split('/').filter(|_| !is_root).map(ToOwned::to_owned).collect();
    Some((root, segments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<const N: usize>(files: [(&str, &str); N]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_modules_that_use_each_other_are_found() {
        let found = found([
            ("crates/x/src/a.rs", "use crate::b::B;"),
            ("crates/x/src/b.rs", "fn f() {\n    crate::a::g();\n}"),
        ]);
        assert_eq!(
            found,
            [
                "crates/x/src/a.rs:1: modules in a cycle: a -> b (and back at crates/x/src/b.rs:2): move what both need below both"
            ]
        );
    }

    #[test]
    fn a_module_stands_for_all_below_it() {
        let three = [
            ("crates/x/src/a/inner.rs", "use crate::b::{C, other::D};"),
            ("crates/x/src/b/other.rs", "use super::super::c;"),
            ("crates/x/src/c.rs", "pub use crate::a::inner::Inner as Outer;"),
            ("crates/x/src/a.rs", ""),
            ("crates/x/src/b.rs", ""),
        ];
        assert_eq!(found(three).len(), 1);
    }

    #[test]
    fn siblings_below_one_parent_are_compared_through_its_re_exports() {
        let files = |parent| {
            [
                ("crates/x/src/p.rs", parent),
                ("crates/x/src/p/a.rs", "use super::B;"),
                ("crates/x/src/p/b.rs", "use super::a::A;"),
            ]
        };
        assert_eq!(found(files("mod a;\nmod b;\npub use b::B;")).len(), 1);
        assert_eq!(found(files("mod a;\nmod b;\npub struct B;")), [""; 0]);
    }

    #[test]
    fn parents_tests_and_layers_are_no_cycles() {
        let files = [
            ("crates/x/src/lib.rs", "mod a; mod b; pub use a::A;"),
            (
                "crates/x/src/a.rs",
                "use crate::b::B; pub(crate) struct A; #[cfg(test)] mod tests { use crate::c::C; }",
            ),
            ("crates/x/src/a/child.rs", "use super::A;"),
            ("crates/x/src/b.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
            ("crates/x/src/c.rs", "use crate::A;"),
        ];
        assert_eq!(found(files), [""; 0]);
    }
}
