//! Reference site: the pages of the repository and the documents of the API as one static site, by mdBook.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

use anyhow::{Context as _, bail, ensure};

use crate::export::export;
use crate::markdown::{links, resolve, title};

/// Builds the site into `site/book` of the target folder. The pages keep their folders, so that their links need no change.
pub(crate) fn site(root: &Path, target: &Path) -> anyhow::Result<ExitCode> {
    let folder = target.join("site");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).context("remove the last site"),
        _ => {}
    }
    let source = folder.join("src");
    let pages = copy_pages(root, &source)?;
    if export(root, &source.join(DOCUMENTS))? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let summary = summary(&pages, &generated_pages(&source)?)?;
    write(&source.join("SUMMARY.md"), &summary)?;
    write(&folder.join("book.toml"), BOOK)?;
    build(&mdbook(target)?, &folder)
}

/// Folder of the exported documents in the site.
const DOCUMENTS: &str = "reference";

/// Copies the README and all pages and files that its pages link to, directly or through others; returns the pages.
fn copy_pages(root: &Path, source: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    let mut copied = BTreeSet::new();
    let mut waiting = vec!["README.md".to_owned()];
    while let Some(path) = waiting.pop() {
        if !copied.insert(path.clone()) {
            continue;
        }
        let bytes = fs::read(root.join(&path)).with_context(|| format!("read {path}"))?;
        write_bytes(&source.join(&path), &bytes)?;
        if path.ends_with(".md") {
            let text = String::from_utf8(bytes).with_context(|| format!("read {path} as text"))?;
            let linked = links(&text).into_iter().filter_map(|link| link.local());
            let linked = linked.filter(|(target, _)| !target.is_empty());
            waiting.extend(linked.map(|(target, _)| resolve(&path, target)));
            pages.insert(path, text);
        }
    }
    Ok(pages)
}

/// Table of contents: the README, the pages that it links to in its order, all others, the generated ones.
fn summary(pages: &BTreeMap<String, String>, generated: &[(String, String)]) -> anyhow::Result<String> {
    let readme = pages.get("README.md").context("there is no README.md")?;
    let mut paths = vec!["README.md".to_owned()];
    for link in links(readme) {
        let path = link.local().map(|(path, _)| resolve("README.md", path));
        paths.extend(path.filter(|path| pages.contains_key(path)));
    }
    paths.extend(pages.keys().cloned());
    let mut listed = BTreeSet::new();
    let mut summary = "# Summary\n\n".to_owned();
    for path in paths.into_iter().filter(|path| listed.insert(path.clone())) {
        let text = pages.get(&path).context("a listed page was not copied")?;
        entry(&mut summary, title(text).unwrap_or(&path), &path);
    }
    for (name, path) in generated {
        entry(&mut summary, name, path);
    }
    Ok(summary)
}

fn entry(summary: &mut String, title: &str, path: &str) {
    // Writing to a String cannot fail.
    let _written = writeln!(summary, "- [{}]({path})", title.replace(['[', ']'], ""));
}

/// Exported pages with their titles.
fn generated_pages(source: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    for file in fs::read_dir(source.join(DOCUMENTS)).context("read the exported documents")? {
        let name = file.context("read the exported documents")?.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".md")) else {
            continue;
        };
        let path = format!("{DOCUMENTS}/{name}");
        let text = fs::read_to_string(source.join(&path)).with_context(|| format!("read {path}"))?;
        pages.push((title(&text).unwrap_or(name).to_owned(), path));
    }
    pages.sort();
    Ok(pages)
}

/// Path of mdBook, which is installed where it is missing. That takes some minutes, once.
fn mdbook(target: &Path) -> anyhow::Result<PathBuf> {
    let tools = target.join("tools");
    let mdbook = tools.join("bin/mdbook");
    let version = Command::new(&mdbook).arg("--version").output();
    let is_there =
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("mdbook v{MDBOOK}"));
    if !is_there {
        let mut install = Command::new(env!("CARGO"));
        install
            .args(["install", "--debug", "--locked", "--version", MDBOOK, "--root"])
            .arg(tools);
        // Search alone: the server of the preview is most of it.
        install.args(["--no-default-features", "--features", "search", "mdbook"]);
        ensure!(
            install.status().context("run cargo install")?.success(),
            "mdbook was not installed"
        );
    }
    Ok(mdbook)
}

/// Builds the book. A warning of mdBook is an error.
fn build(mdbook: &Path, folder: &Path) -> anyhow::Result<ExitCode> {
    let output = Command::new(mdbook)
        .arg("build")
        .arg(folder)
        .output()
        .context("run mdbook")?;
    let log = [output.stdout, output.stderr].concat();
    let log = String::from_utf8_lossy(&log);
    if !output.status.success() || log.contains("WARN") || log.contains("ERROR") {
        bail!("mdbook: {log}");
    }
    crate::print_lines(std::iter::once(folder.join("book/index.html").display().to_string()));
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_bytes(path, text.as_bytes())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

const MDBOOK: &str = "0.5.4";

/// Settings of mdBook. Without its own preprocessors a README keeps its name, as links expect, and braces of Helm stay as they are.
const BOOK: &str = r#"[book]
title = "Postern"
language = "en"
src = "src"

[build]
build-dir = "book"
create-missing = false
use-default-preprocessors = false

[output.html]
no-section-label = true
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lists_each_page_once_in_the_sequence_of_the_readme() {
        let pages = [
            (
                "README.md",
                "# Postern\n[b](docs/b.md) [a](docs/a.md#x) [b](docs/b.md) [licence](LICENSE)\n",
            ),
            ("docs/a.md", "# A [beta]\n"),
            ("docs/b.md", "# B\n"),
            ("docs/operations/c.md", "# C\n"),
        ];
        let pages = pages.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let generated = [("Reference: events".to_owned(), "reference/events.md".to_owned())];
        let expected = "# Summary\n\n- [Postern](README.md)\n- [B](docs/b.md)\n- [A beta](docs/a.md)\n\
                        - [C](docs/operations/c.md)\n- [Reference: events](reference/events.md)\n";
        assert_eq!(summary(&pages, &generated).unwrap(), expected);
    }

    #[test]
    fn pages_and_files_behind_links_are_copied_with_their_folders() {
        let root = std::env::temp_dir().join(format!("postern-site-{}", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        write(
            &from.join("README.md"),
            "# R\n[a](docs/a.md) [url](https://a.example/x.md)\n",
        )
        .unwrap();
        write(&from.join("docs/a.md"), "# A\n[script](../bin/run) [top](#a)\n").unwrap();
        write(&from.join("bin/run"), "#!/bin/sh\n").unwrap();
        write(&from.join("docs/unlinked.md"), "# U\n").unwrap();
        let pages = copy_pages(&from, &to).unwrap();
        assert_eq!(pages.keys().collect::<Vec<_>>(), ["README.md", "docs/a.md"]);
        assert!(to.join("bin/run").exists() && !to.join("docs/unlinked.md").exists());
        fs::remove_dir_all(root).unwrap();
    }
}
