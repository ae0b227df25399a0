//! Links and headings of Markdown pages.

/// Link `[text](target)`, or picture of an HTML tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) target: &'a str,
}

impl<'a> Link<'a> {
    /// Path and heading of a link within the repository; none for a URL.
    pub(crate) fn local(&self) -> Option<(&'a str, Option<&'a str>)> {
        let is_url = self.target.contains("://") || self.target.starts_with("mailto:");
        let (path, heading) = match self.target.split_once('#') {
            Some((path, heading)) => (path, Some(heading)),
            None => (self.target, None),
        };
        (!is_url).then_some((path, heading))
    }
}

/// Links of a page, without those in code.
pub(crate) fn links(page: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    for (line, text) in prose(page) {
        let mut rest = text;
        let mut is_code = false;
        while let Some((before, after)) = rest.split_once("](") {
            is_code ^= before.matches('`').count() % 2 == 1;
            let (target, after) = after.split_once(')').unwrap_or((after, ""));
            if !is_code {
                links.push(Link { line, target });
            }
            rest = after;
        }
        links.extend(pictures(text).map(|target| Link { line, target }));
    }
    links
}

/// Pictures of a line of HTML, as `<picture>` names them.
fn pictures(line: &str) -> impl Iterator<Item = &str> {
    let html = if line.trim_start().starts_with('<') { line } else { "" };
    let attributes = [" src=\"", " srcset=\""].into_iter();
    attributes
        .flat_map(|name| html.split(name).skip(1))
        .filter_map(|after| after.split('"').next())
}

/// Text of the first heading.
pub(crate) fn title(page: &str) -> Option<&str> {
    headings(page).next()
}

/// Anchors of the headings, as mdBook and GitHub make them.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in headings(page) {
        let text = heading.trim().to_lowercase();
        let kept = text
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let same = anchors.iter().filter(|other| **other == anchor).count();
        anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
    }
    anchors
}

fn headings(page: &str) -> impl Iterator<Item = &str> {
    prose(page).filter_map(|(_, line)| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len()).then(|| text.strip_prefix(' ')).flatten()
    })
}

/// Lines outside of code blocks, counted from 1.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    page.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            return None;
        }
        (!in_block).then_some((index + 1, line))
    })
}

/// Path that a link of the page at `from` leads to, relative to the root: its folders are resolved by name alone.
pub(crate) fn resolve(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_in_code_are_not_links() {
        let page = "See [a](a.md#x) and `[b](b.md)`,\nand [c](https://c.example).\n```\n[d](d.md)\n```\n";
        let links = links(page);
        assert_eq!(
            links,
            [
                Link {
                    line: 1,
                    target: "a.md#x"
                },
                Link {
                    line: 2,
                    target: "https://c.example"
                },
            ]
        );
        assert_eq!(links[0].local(), Some(("a.md", Some("x"))));
        assert_eq!(links[1].local(), None);
    }

    #[test]
    fn pictures_of_html_are_links() {
        let page = "<picture>\n  <source srcset=\"docs/dark.png\">\n  <img src=\"docs/light.png\" alt=\"x\">\n`<img src=\"no.png\">`\n";
        let targets: Vec<_> = links(page).into_iter().map(|link| link.target).collect();
        assert_eq!(targets, ["docs/dark.png", "docs/light.png"]);
    }

    #[test]
    fn anchors_are_those_of_the_rendered_page() {
        let page = "# The `wire` contract\n## Errors, and codes\n## Errors and codes\n```sh\n# no heading\n```\n";
        assert_eq!(title(page), Some("The `wire` contract"));
        assert_eq!(
            anchors(page),
            ["the-wire-contract", "errors-and-codes", "errors-and-codes-1"]
        );
    }

    #[test]
    fn path_is_resolved_from_the_folder_of_its_page() {
        assert_eq!(
            resolve("docs/operations/redis.md", "../protocol.md"),
            "docs/protocol.md"
        );
        assert_eq!(resolve("README.md", "./docs/protocol.md"), "docs/protocol.md");
    }
}
