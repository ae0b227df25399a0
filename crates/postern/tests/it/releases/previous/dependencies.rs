//! Compiled dependencies of one target folder for another.
//!
//! Cargo names and checks what it has compiled of a registry's crate by its version, features, profile and compiler, and by no path or time
//! of a file. So it finds those of another folder fresh, if they are where it looks for them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Copies what was compiled of the crates of registries, as far as a lock file names them.
pub(super) fn copy(from: &Path, to: &Path, lock_file: &Path) -> io::Result<()> {
    let lock_file = fs::read_to_string(lock_file)?;
    let packages = registry_packages(&lock_file);
    let mut copied = BTreeSet::new();
    for folder in [".fingerprint", "build"] {
        for name in names(&from.join(folder))? {
            if let Some((package, hash)) = split(&name)
                && packages.contains(package)
            {
                copy_tree(&from.join(folder).join(&name), &to.join(folder).join(&name))?;
                copied.insert(hash.to_owned());
            }
        }
    }
    fs::create_dir_all(to.join("deps"))?;
    for name in names(&from.join("deps"))? {
        let stem = name.split('.').next().unwrap_or_default();
        if split(stem).is_some_and(|(_, hash)| copied.contains(hash)) {
            copy_file(&from.join("deps").join(&name), &to.join("deps").join(&name))?;
        }
    }
    Ok(())
}

/// Names of the packages of a lock file that have a source: those of the workspace have none.
fn registry_packages(lock_file: &str) -> BTreeSet<&str> {
    let packages = lock_file
        .split("[[package]]")
        .filter(|package| package.contains("\nsource = "));
    packages
        .filter_map(|package| {
            let name = package.lines().find_map(|line| line.strip_prefix("name = \""))?;
            name.strip_suffix('"')
        })
        .collect()
}

/// Package or crate, and the hash of its compilation.
fn split(name: &str) -> Option<(&str, &str)> {
    let (package, hash) = name.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then_some((package, hash))
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return copy_file(from, to);
    }
    fs::create_dir_all(to)?;
    for name in names(from)? {
        copy_tree(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Copies a small file with its time of change: cargo writes those in place. A large one is linked: compilers replace those.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    if metadata.len() > SMALL && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    File::open(to)?.set_modified(metadata.modified()?)
}

const SMALL: u64 = 64 * 1024;
