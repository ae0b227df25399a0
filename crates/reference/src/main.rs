//! Writes the documents of the API into a folder: `reference DIR`. `cargo xtask export` runs it.

use std::path::PathBuf;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [directory] = arguments.as_slice() else {
        bail!("usage: reference DIR");
    };
    let directory = PathBuf::from(directory);
    // A file of an earlier run, whose message is gone, must not be taken for one of this run.
    if directory.join(MARKER).exists() {
        std::fs::remove_dir_all(&directory).with_context(|| format!("remove {}", directory.display()))?;
    } else if directory.exists() && directory.read_dir().context("read the folder")?.next().is_some() {
        bail!(
            "{} has other files than documents of an earlier run",
            directory.display()
        );
    }
    for document in reference::documents().context("generate the documents")? {
        let path = directory.join(&document.path);
        let parent = path.parent().unwrap_or(&directory);
        std::fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        std::fs::write(&path, document.text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// File that every run writes.
const MARKER: &str = "asyncapi.json";
