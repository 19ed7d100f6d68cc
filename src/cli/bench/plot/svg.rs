//! A writer for the few SVG elements of a plot.

use std::fmt::{Display, Write as _};

const STYLE: &str = "\
text { font: 12px system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #24292f; }
.title { font-size: 17px; font-weight: 600; }
.heading { font-size: 13px; font-weight: 600; }
.muted { fill: #57606a; }
.small { font-size: 11px; }
.halo { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
.inside { font-size: 10px; font-weight: 600; fill: #ffffff; }
.grid { stroke: #d8dee4; stroke-width: 1; }
.minor { stroke: #eff2f5; stroke-width: 1; }
.frame { stroke: #8c959f; stroke-width: 1; fill: none; }
.roof { stroke: #57606a; stroke-width: 1.8; fill: none; }
.ideal { stroke: #8c959f; stroke-width: 1.3; stroke-dasharray: 5 4; fill: none; }
.leader { stroke: #8c959f; stroke-width: 0.8; fill: none; }
.curve { stroke-width: 2; fill: none; }
.spread { stroke-width: 2; stroke-opacity: 0.45; fill: none; }
";

/// The part of a text that stands at its `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// Pixels from the left and from the top.
pub(super) type Point = (f64, f64);

/// A picture. Later elements cover earlier ones.
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// Creates an empty white picture. Screen readers read `title`.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let title = escape(title);
        let body = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        Svg { body }
    }

    pub(super) fn text(&mut self, class: &str, (x, y): Point, anchor: Anchor, text: impl Display) {
        let (anchor, text) = (anchor.name(), escape(&text.to_string()));
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Writes a text in its own color instead of the color of its class.
    pub(super) fn colored_text(
        &mut self,
        class: &str,
        color: &str,
        (x, y): Point,
        anchor: Anchor,
        text: impl Display,
    ) {
        let (anchor, text) = (anchor.name(), escape(&text.to_string()));
        self.push(format_args!(
            "<text class=\"{class}\" style=\"fill: {color}\" x=\"{x:.1}\" y=\"{y:.1}\" \
             text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Writes a text turned clockwise by `degrees`.
    pub(super) fn turned_text(
        &mut self,
        class: &str,
        (x, y): Point,
        degrees: f64,
        anchor: Anchor,
        text: impl Display,
    ) {
        let (anchor, text) = (anchor.name(), escape(&text.to_string()));
        self.push(format_args!(
            "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate({degrees:.1})\" \
             text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Draws straight lines from point to point.
    pub(super) fn line(&mut self, class: &str, points: &[Point]) {
        let points = list(points);
        self.push(format_args!("<polyline class=\"{class}\" points=\"{points}\"/>"));
    }

    /// Draws straight lines in their own color instead of the color of their class.
    pub(super) fn colored_line(&mut self, class: &str, color: &str, points: &[Point]) {
        let points = list(points);
        self.push(format_args!(
            "<polyline class=\"{class}\" style=\"stroke: {color}\" points=\"{points}\"/>"
        ));
    }

    pub(super) fn frame(&mut self, (x, y): Point, width: f64, height: f64) {
        self.push(format_args!(
            "<rect class=\"frame\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        ));
    }

    /// Draws a marker. Browsers show `tip` under the pointer.
    pub(super) fn marker(&mut self, marker: Marker, (x, y): Point, tip: &str) {
        let Marker { form, color, radius, filled } = marker;
        let paint = match filled {
            true => format!("fill=\"{color}\" fill-opacity=\"0.85\" stroke=\"#ffffff\" stroke-width=\"1\""),
            false => format!("fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\""),
        };
        let tip = if tip.is_empty() { String::new() } else { format!("<title>{}</title>", escape(tip)) };
        match form {
            Form::Circle => self.push(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" {paint}>{tip}</circle>"
            )),
            Form::Square => self.push(format_args!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{}\" height=\"{}\" {paint}>{tip}</rect>",
                x - radius,
                y - radius,
                2.0 * radius,
                2.0 * radius
            )),
            Form::Diamond => {
                let reach = 1.4 * radius;
                let corners = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)];
                self.push(format_args!("<polygon points=\"{}\" {paint}>{tip}</polygon>", list(&corners)));
            }
        }
    }

    /// Returns the contents of the file.
    pub(super) fn finish(mut self) -> String {
        self.body += "</svg>\n";
        self.body
    }

    fn push(&mut self, element: impl Display) {
        writeln!(self.body, "{element}").expect("a String takes everything");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Circle,
    Square,
    Diamond,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Marker {
    pub(super) form: Form,
    pub(super) color: &'static str,
    pub(super) radius: f64,
    pub(super) filled: bool,
}

/// Estimates the width of a text in letters of `size` pixels. The font is up to the viewer.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    0.56 * size * text.chars().count() as f64
}

fn list(points: &[Point]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn escape(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Svg};

    #[test]
    fn a_text_cannot_end_its_element() {
        let mut svg = Svg::new(10.0, 10.0, "a < b & \"c\"\u{0}");
        svg.text("muted", (1.0, 2.0), Anchor::End, "</text><script>");
        let text = svg.finish();
        assert!(text.contains("<title>a &lt; b &amp; &quot;c&quot;</title>"), "{text}");
        assert!(text.contains(
            r#"<text class="muted" x="1.0" y="2.0" text-anchor="end">&lt;/text&gt;&lt;script&gt;</text>"#
        ));
    }
}
