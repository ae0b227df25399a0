//! Modules below one parent, and who uses whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// First place where one sibling names another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge<'a> {
    pub(super) from: &'a str,
    pub(super) to: String,
    pub(super) file: &'a str,
    pub(super) line: usize,
}

/// Edges by both of their ends.
#[derive(Debug, Default)]
pub(super) struct Graph<'a>(BTreeMap<&'a str, BTreeMap<String, Edge<'a>>>);

impl<'a> Graph<'a> {
    pub(super) fn add(&mut self, edge: Edge<'a>) {
        self.0
            .entry(edge.from)
            .or_default()
            .entry(edge.to.clone())
            .or_insert(edge);
    }

    /// Shortest cycle through each edge that is in one, each set of modules once.
    pub(super) fn cycles(&self) -> Vec<Vec<&Edge<'a>>> {
        let mut seen = BTreeSet::new();
        let mut cycles = Vec::new();
        for edge in self.0.values().flat_map(BTreeMap::values) {
            let Some(back) = self.way(&edge.to, edge.from) else {
                continue;
            };
            let cycle: Vec<&Edge<'a>> = std::iter::once(edge).chain(back).collect();
            let members: BTreeSet<&str> = cycle.iter().map(|edge| edge.from).collect();
            if seen.insert(members) {
                cycles.push(cycle);
            }
        }
        cycles
    }

    /// Edges of a shortest way.
    fn way(&self, from: &str, to: &str) -> Option<Vec<&Edge<'a>>> {
        let mut ways = VecDeque::from([(from, Vec::new())]);
        let mut reached = BTreeSet::from([from]);
        while let Some((module, way)) = ways.pop_front() {
            if module == to {
                return Some(way);
            }
            for edge in self.0.get(module).into_iter().flat_map(BTreeMap::values) {
                if reached.insert(edge.to.as_str()) {
                    let mut longer = way.clone();
                    longer.push(edge);
                    ways.push_back((edge.to.as_str(), longer));
                }
            }
        }
        None
    }
}
