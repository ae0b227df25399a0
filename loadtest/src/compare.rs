//! `compare`: the values of several results side by side, and the median of several runs of one label.
#![expect(clippy::print_stdout, reason = "the table is what the command is run for")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::results::{Figure, Results};

/// Prints the values of results side by side, a column for each label. Where a label has several results, each value is
/// min / median / max of them. Two labels are also compared by the ratio of their medians.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Folders with results.json, or such files.
    #[arg(required = true, num_args = 1..)]
    results: Vec<PathBuf>,
    /// Value to print, such as `delivery.p99_ms`; a * at its end stands for the rest; may be repeated. All if none is given.
    #[arg(long = "value", value_name = "NAME")]
    values: Vec<String>,
    /// Prints a table in Markdown.
    #[arg(long)]
    markdown: bool,
}

impl Compare {
    /// Reads the results and prints the table.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let results: Vec<Results> = self
            .results
            .iter()
            .map(|path| Results::read(path))
            .collect::<anyhow::Result<_>>()?;
        let table = Table::new(&results, |name| self.prints(name))?;
        println!("{}", if self.markdown { table.markdown() } else { table.plain() });
        Ok(())
    }

    fn prints(&self, name: &str) -> bool {
        let matches = |wanted: &String| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == wanted,
        };
        self.values.is_empty() || self.values.iter().any(matches)
    }
}

/// Rows of texts: a head with the labels, then one row for each value.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(results: &[Results], prints: impl Fn(&str) -> bool) -> anyhow::Result<Self> {
        let mut labels: Vec<&str> = Vec::new();
        let mut values: BTreeMap<String, BTreeMap<&str, Vec<Figure>>> = BTreeMap::new();
        for one in results {
            let scenario = |results: &Results| results.subject.scenario.clone();
            if let Some(first) = results.first().filter(|first| scenario(first) != scenario(one)) {
                bail!("{} and {} are different scenarios", scenario(first), scenario(one));
            }
            let label = one.subject.label.as_str();
            if !labels.contains(&label) {
                labels.push(label);
            }
            for (name, figure) in one.values().into_iter().filter(|(name, _)| prints(name)) {
                values.entry(name).or_default().entry(label).or_default().push(figure);
            }
        }
        let mut head = vec![
            results
                .first()
                .map(|one| one.subject.scenario.clone())
                .unwrap_or_default(),
        ];
        head.extend(labels.iter().map(|label| (*label).to_owned()));
        let pair = <[&str; 2]>::try_from(labels.as_slice()).ok();
        head.extend(pair.map(|[first, second]| format!("{second} / {first}")));
        let mut rows = vec![head];
        for (name, by_label) in values {
            let figures = |label: &str| by_label.get(label).map(Vec::as_slice).unwrap_or_default();
            let mut row = vec![name];
            row.extend(labels.iter().map(|label| range(figures(label))));
            row.extend(pair.map(|[first, second]| ratio(figures(first), figures(second))));
            rows.push(row);
        }
        Ok(Self { rows })
    }

    fn plain(&self) -> String {
        let widths = self.widths();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(index, (cell, &width))| match index {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ")
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn markdown(&self) -> String {
        let mut lines: Vec<String> = self.rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
        let columns = self.rows.first().map(Vec::len).unwrap_or_default();
        lines.insert(1, format!("|{}", " --- |".repeat(columns)));
        lines.join("\n")
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

/// The figure, or min / median / max of several; a dash for none.
fn range(figures: &[Figure]) -> String {
    let sorted = sorted(figures);
    match (sorted.first(), median(&sorted), sorted.last()) {
        (Some(least), Some(median), Some(most)) if sorted.len() > 1 => format!("{least} / {median} / {most}"),
        (Some(only), ..) => only.to_string(),
        _ => "-".to_owned(),
    }
}

/// Median of the second by that of the first; a dash if there is none.
fn ratio(first: &[Figure], second: &[Figure]) -> String {
    match (median(&sorted(first)), median(&sorted(second))) {
        (Some(first), Some(second)) if first.value != 0.0 => format!("{:.2}", second.value / first.value),
        _ => "-".to_owned(),
    }
}

fn sorted(figures: &[Figure]) -> Vec<Figure> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    sorted
}

/// Median; of an even number, the mean of the two in the middle.
fn median(sorted: &[Figure]) -> Option<Figure> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some(Figure::new(f64::midpoint(lower.value, upper.value), upper.unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(scenario: &str, label: &str, p99: f64, lost: u64) -> Results {
        serde_json::from_value(serde_json::json!({
            "version": crate::results::VERSION,
            "subject": { "scenario": scenario, "target": label, "label": label, "seed": null, "parameters": {} },
            "started": "2026-11-30T00:00:00Z",
            "seconds": 5.0,
            "machine": { "cpus": 2, "cpu_model": "test", "memory_bytes": 1, "kernel": "6" },
            "phases": [],
            "counts": { "lost": lost },
            "figures": { "delivery.p99_ms": { "value": p99, "unit": "milliseconds" } },
            "latencies": {},
            "processes": {},
            "limits": [],
        }))
        .unwrap()
    }

    #[test]
    fn several_runs_of_a_label_print_min_median_max_and_two_labels_their_ratio() {
        let results = [
            results("fanout", "peer", 4.0, 0),
            results("fanout", "postern", 3.0, 0),
            results("fanout", "postern", 1.0, 0),
            results("fanout", "postern", 2.0, 9),
        ];
        let table = Table::new(&results, |_| true).unwrap();
        assert_eq!(
            table.markdown(),
            "| fanout | peer | postern | postern / peer |\n| --- | --- | --- | --- |\n\
             | delivery.p99_ms | 4.00 ms | 1.00 ms / 2.00 ms / 3.00 ms | 0.50 |\n| lost | 0 | 0 / 0 / 9 | - |"
        );
        assert!(
            table
                .plain()
                .lines()
                .all(|line| line.chars().count() == table.plain().lines().next().unwrap().chars().count())
        );
    }

    #[test]
    fn results_of_different_scenarios_are_refused() {
        let results = [results("fanout", "a", 1.0, 0), results("idle", "b", 1.0, 0)];
        assert!(Table::new(&results, |_| true).is_err());
    }

    #[test]
    fn value_names_select_by_name_or_by_their_start() {
        let compare = |values: &[&str]| Compare {
            results: Vec::new(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            markdown: false,
        };
        assert!(compare(&[]).prints("lost"));
        assert!(compare(&["delivery.*"]).prints("delivery.p99_ms"));
        assert!(!compare(&["delivery.*", "lost"]).prints("lost_all"));
    }

    #[test]
    fn median_of_an_even_number_is_the_mean_of_the_middle() {
        let figures = [1.0, 2.0, 4.0, 9.0].map(|value| Figure::new(value, crate::results::Unit::Milliseconds));
        assert_eq!(median(&figures).map(|figure| figure.value), Some(3.0));
        assert_eq!(median(&[]), None);
    }
}
