//! Line plots as inline SVG.

use std::fmt::Write;

use super::markup::escaped;
use super::scale::Scale;

/// Line plot of some series over one axis.
pub(super) struct Plot {
    /// Title, above the plot.
    pub(super) title: String,
    /// Scale and label of the horizontal axis.
    pub(super) x: (Scale, &'static str),
    /// Scale and label of the vertical axis.
    pub(super) y: (Scale, &'static str),
    /// Vertical lines with a name, such as begins of phases.
    pub(super) marks: Vec<(f64, String)>,
    /// Lines. One without a point is left out.
    pub(super) series: Vec<Series>,
}

/// Line of a plot.
pub(super) struct Series {
    /// Name in the legend.
    pub(super) name: String,
    /// Points in the order of the horizontal axis.
    pub(super) points: Vec<(f64, f64)>,
}

impl Plot {
    /// Figure element with title, legend and drawing; empty if there are no points.
    pub(super) fn figure(&self) -> String {
        let series: Vec<&Series> = self.series.iter().filter(|one| !one.points.is_empty()).collect();
        if series.is_empty() {
            return String::new();
        }
        let frame = Frame::new(self, &series);
        let legend = series.iter().enumerate();
        let legend: String = legend
            .map(|(index, one)| format!("<li><i class=\"{}\"></i>{}</li>", color(index), escaped(&one.name)))
            .collect();
        format!(
            "<figure><figcaption>{title}</figcaption><ul class=\"legend\">{legend}</ul>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{grid}{marks}{lines}</svg></figure>\n",
            title = escaped(&self.title),
            grid = self.grid(&frame),
            marks = self.marks(&frame),
            lines = self.lines(&frame, &series),
        )
    }

    fn grid(&self, frame: &Frame) -> String {
        let mut svg = String::new();
        for (value, label) in self.y.0.ticks(frame.y) {
            let y = frame.vertical(self.y.0, value);
            push(
                &mut svg,
                format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"),
            );
            push(
                &mut svg,
                format_args!(
                    "<text x=\"{}\" y=\"{:.1}\" class=\"end\">{label}</text>",
                    LEFT - 6.0,
                    y + 4.0
                ),
            );
        }
        for (value, label) in self.x.0.ticks(frame.x) {
            let x = frame.horizontal(self.x.0, value);
            push(
                &mut svg,
                format_args!("<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>"),
            );
            push(
                &mut svg,
                format_args!(
                    "<text x=\"{x:.1}\" y=\"{}\" class=\"middle\">{label}</text>",
                    BOTTOM + 16.0
                ),
            );
        }
        push(
            &mut svg,
            format_args!("<text x=\"{LEFT}\" y=\"{}\">{}</text>", TOP - 8.0, self.y.1),
        );
        push(
            &mut svg,
            format_args!(
                "<text x=\"{RIGHT}\" y=\"{}\" class=\"end\">{}</text>",
                HEIGHT - 4.0,
                self.x.1
            ),
        );
        svg
    }

    fn marks(&self, frame: &Frame) -> String {
        let mut svg = String::new();
        for (index, (value, name)) in self.marks.iter().enumerate() {
            let x = frame.horizontal(self.x.0, *value);
            push(
                &mut svg,
                format_args!("<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>"),
            );
            // In steps, because phases may begin shortly after each other.
            let (x, y, name) = (x + 4.0, TOP + 12.0 + STEP * (index % STEPS) as f64, escaped(name));
            push(
                &mut svg,
                format_args!("<text class=\"mark\" x=\"{x:.1}\" y=\"{y}\">{name}</text>"),
            );
        }
        svg
    }

    fn lines(&self, frame: &Frame, series: &[&Series]) -> String {
        let mut svg = String::new();
        for (index, one) in series.iter().enumerate() {
            push(&mut svg, format_args!("<polyline class=\"{}\" points=\"", color(index)));
            for (x, y) in &one.points {
                let (x, y) = (frame.horizontal(self.x.0, *x), frame.vertical(self.y.0, *y));
                push(&mut svg, format_args!("{x:.1},{y:.1} "));
            }
            push(
                &mut svg,
                format_args!("\"><title>{}</title></polyline>", escaped(&one.name)),
            );
        }
        svg
    }
}

/// Values that the edges of the drawing stand for.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn new(plot: &Plot, series: &[&Series]) -> Self {
        let points = || series.iter().flat_map(|one| &one.points);
        let marks = plot.marks.iter().map(|(at, _)| *at);
        Self {
            x: plot.x.0.domain(points().map(|(x, _)| *x).chain(marks)),
            y: plot.y.0.domain(points().map(|(_, y)| *y)),
        }
    }

    fn horizontal(&self, scale: Scale, value: f64) -> f64 {
        LEFT + scale.fraction(self.x, value) * (RIGHT - LEFT)
    }

    fn vertical(&self, scale: Scale, value: f64) -> f64 {
        BOTTOM - scale.fraction(self.y, value) * (BOTTOM - TOP)
    }
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 708.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 238.0;
/// Lines on which the names of marks stand in turn, and the distance between two.
const STEPS: usize = 3;
const STEP: f64 = 13.0;
/// Colors of the style sheet.
const COLORS: usize = 6;

/// Class of a line: beyond the colors they repeat, dashed.
fn color(index: usize) -> String {
    let dashed = if index >= COLORS { " dashed" } else { "" };
    format!("c{}{dashed}", index % COLORS)
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("a string takes every text");
}
