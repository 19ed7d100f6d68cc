//! A framed plot with axes.

use super::axis::{Axis, Tick};
use super::labels::{Area, Room, Side};
use super::svg::{Anchor, Point, Svg, text_width};

/// Colors that most people can tell apart on white.
pub(super) const PALETTE: [&str; 7] =
    ["#0b62c4", "#c2410c", "#0f7b4f", "#8250df", "#9a6700", "#b3185f", "#57606a"];

/// The color of everything except results.
pub(super) const INK: &str = "#57606a";

/// An area of the picture with its two axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chart {
    pub(super) area: Area,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Chart {
    /// Creates a chart that spans the values of `x` and `y`, each with a factor of room.
    pub(super) fn around(
        area: Area,
        (x, x_room): (impl IntoIterator<Item = f64>, f64),
        (y, y_room): (impl IntoIterator<Item = f64>, f64),
    ) -> Self {
        let x = Axis::around(x, x_room, area.left, area.right);
        Chart { area, x, y: Axis::around(y, y_room, area.bottom, area.top) }
    }

    /// Returns the pixels of a pair of values.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> Point {
        (self.x.at(x), self.y.at(y))
    }

    /// Returns the values in the middle of the chart.
    pub(super) fn middle(&self) -> (f64, f64) {
        let middle = |axis: &Axis| (axis.low() * axis.high()).sqrt();
        (middle(&self.x), middle(&self.y))
    }

    /// Draws grid, frame and the axes with their names.
    pub(super) fn draw(&self, svg: &mut Svg, x_ticks: &[Tick], x_name: &str, y_name: &str) {
        let Area { left, top, right, bottom } = self.area;
        let class = |tick: &Tick| if tick.is_power { "grid" } else { "minor" };
        for tick in x_ticks {
            let x = self.x.at(tick.value);
            svg.line(class(tick), &[(x, top), (x, bottom)]);
            svg.text("small muted", (x, bottom + 16.0), Anchor::Middle, &tick.label);
        }
        for tick in self.y.ticks() {
            let y = self.y.at(tick.value);
            svg.line(class(&tick), &[(left, y), (right, y)]);
            svg.text("small muted", (left - 7.0, y + 4.0), Anchor::End, &tick.label);
        }
        svg.frame((left, top), right - left, bottom - top);
        svg.text("muted", ((left + right) / 2.0, bottom + 36.0), Anchor::Middle, x_name);
        svg.turned_text("muted", (left - 44.0, (top + bottom) / 2.0), -90.0, Anchor::Middle, y_name);
    }
}

/// The label of a point.
pub(super) struct Label<'a> {
    pub(super) text: &'a str,
    pub(super) color: &'static str,
    /// The preferred side of the point.
    pub(super) side: Side,
}

impl Label<'_> {
    /// Draws the label at the nearest free place, or not at all if there is none.
    pub(super) fn draw(&self, svg: &mut Svg, room: &mut Room, point: Point, radius: f64) {
        let size = (text_width(self.text, 11.0), 14.0);
        let Some(place) = room.place(point, radius, size, self.side) else { return };
        if place.is_apart {
            svg.line("leader", &[point, (place.x, place.y)]);
        }
        svg.colored_text("small halo", self.color, (place.x, place.y + 4.0), place.anchor, self.text);
    }
}
