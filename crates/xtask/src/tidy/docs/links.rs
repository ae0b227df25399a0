//! Links of Markdown pages: each leads to a file of the repository, and to a heading of it.

use crate::markdown::{anchors, links, resolve};
use crate::tidy::finding::Finding;
use crate::tidy::tree::{File, Tree};

/// Links that lead nowhere. A folder is nowhere: the reference site has files alone.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let pages = tree.files().filter(|file| file.path.ends_with(".md"));
    pages.flat_map(|page| check_page(tree, page)).collect()
}

fn check_page(tree: &Tree, page: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for link in links(&page.text) {
        // Pictures are no text, so the tree does not have them.
        let Some((path, heading)) = link.local().filter(|(path, _)| !path.ends_with(".png")) else {
            continue;
        };
        let path = if path.is_empty() {
            page.path.clone()
        } else {
            resolve(&page.path, path)
        };
        let Some(file) = tree.file(&path) else {
            let what = format!("the link leads to `{path}`, which is no file");
            findings.push(Finding::new(&page.path, link.line, what, "link to a file"));
            continue;
        };
        let is_page = file.path.ends_with(".md");
        if let Some(heading) = heading.filter(|_| is_page)
            && !anchors(&file.text).iter().any(|anchor| anchor == heading)
        {
            let what = format!("`{path}` has no heading `{heading}`");
            findings.push(Finding::new(&page.path, link.line, what, "link to one of its headings"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_to_a_missing_file_a_folder_or_a_missing_heading_is_found() {
        let tree = Tree::of([
            (
                "docs/a.md",
                "[b](b.md#errors) [c](c.md) [d](b.md#codes) [e](../docs)\n[f](#nowhere) [g](x.png)\n",
            ),
            ("docs/b.md", "# Errors\n"),
        ]);
        let found: Vec<_> = check(&tree)
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect();
        let expected = [
            (1, "the link leads to `docs/c.md`, which is no file"),
            (1, "`docs/b.md` has no heading `codes`"),
            (1, "the link leads to `docs`, which is no file"),
            (2, "`docs/a.md` has no heading `nowhere`"),
        ];
        assert_eq!(found, expected.map(|(line, what)| (line, what.to_owned())));
    }
}
