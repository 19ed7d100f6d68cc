//! The roofs of the machine in a chart of multiply-adds per second over multiply-adds per byte.

use super::axis::number;
use super::chart::Chart;
use super::labels::{Area, Room};
use super::svg::{Anchor, Point, Svg, text_width};
use crate::cli::report::count;
use crate::cli::roofline::Roof;

pub(super) const INTENSITY: &str = "multiply-adds per byte of weights and cache read";
pub(super) const RATE: &str = "G multiply-adds/s";

/// Returns the end of a roof's slope: the multiply-adds per byte above which reading is not the limit.
pub(super) fn ridge(roof: &Roof) -> Option<f64> {
    roof.vnni_gmac_s.map(|peak| peak / roof.read_gb_s)
}

/// Draws the roofs.
pub(super) fn draw(svg: &mut Svg, chart: &Chart, room: &mut Room, roofs: &[Roof]) {
    for roof in roofs {
        let (slope, flat) = corners(chart, roof);
        svg.line("roof", &[&slope[..], &flat[1..]].concat());
        room.avoid_line(slope[0], slope[1]);
        room.avoid_line(flat[0], flat[1]);
    }
}

/// Writes the names of the roofs that are far enough from others, in the room between the points.
pub(super) fn name(svg: &mut Svg, chart: &Chart, room: &mut Room, roofs: &[Roof]) {
    // The last roof and the first roof come before the others.
    let order = (0..roofs.len()).rev().take(1).chain(0..roofs.len().saturating_sub(1));
    let (mut slopes, mut flats) = (Vec::new(), Vec::new());
    for roof in order.map(|index| &roofs[index]) {
        let (slope, flat) = corners(chart, roof);
        let threads = count(roof.threads, "thread");
        if is_apart(&mut slopes, chart.y.at(roof.read_gb_s)) {
            name_slope(svg, room, slope, &format!("{threads}: {} GB/s", number(roof.read_gb_s)));
        }
        if let Some(peak) = roof.vnni_gmac_s.filter(|&peak| is_apart(&mut flats, chart.y.at(peak))) {
            name_flat(svg, room, flat, &format!("{threads}: {} G/s", number(peak)));
        }
    }
}

/// Returns the ends of the slope and of the flat part within the chart. Without a flat part the slope
/// continues to the edge.
fn corners(chart: &Chart, roof: &Roof) -> ([Point; 2], [Point; 2]) {
    let bandwidth = roof.read_gb_s;
    let first = chart.x.low().max(chart.y.low() / bandwidth);
    let last = chart.x.high().min(chart.y.high() / bandwidth);
    let bend = ridge(roof).map_or(last, |ridge| ridge.min(last)).max(first);
    let top = chart.at((bend, bend * bandwidth));
    let end = roof.vnni_gmac_s.map_or(top, |_| (chart.area.right, top.1));
    ([chart.at((first, first * bandwidth)), top], [top, end])
}

/// Returns true if a name at this height does not touch the names in `named`, and then adds the height.
fn is_apart(named: &mut Vec<f64>, height: f64) -> bool {
    const LINE: f64 = 16.0;
    let apart = named.iter().all(|other| (other - height).abs() > LINE);
    if apart {
        named.push(height);
    }
    apart
}

/// Writes a name along the slope, up to its end.
fn name_slope(svg: &mut Svg, room: &mut Room, [from, to]: [Point; 2], name: &str) {
    const OVER: f64 = 6.0;
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (length, width) = (dx.hypot(dy), text_width(name, 11.0));
    if length < width + 20.0 {
        return;
    }
    let (ux, uy) = (dx / length, dy / length);
    let end = (to.0 - 14.0 * ux + OVER * uy, to.1 - 14.0 * uy - OVER * ux);
    svg.turned_text("small muted halo", end, dy.atan2(dx).to_degrees(), Anchor::End, name);
    for step in 0..=(width / 6.0) as usize {
        let back = 6.0 * step as f64;
        room.take(Area::around((end.0 - back * ux + 4.0 * uy, end.1 - back * uy - 4.0 * ux), 6.0));
    }
}

/// Writes a name over or under the flat part, as far to the right as there is room.
fn name_flat(svg: &mut Svg, room: &mut Room, [(first, _), (last, y)]: [Point; 2], name: &str) {
    const STEP: f64 = 12.0;
    let width = text_width(name, 11.0);
    let steps = ((last - first - width).max(0.0) / STEP) as usize;
    let places = [y - 6.0, y + 15.0].into_iter().flat_map(|y| (0..=steps).map(move |step| (step, y)));
    for (step, y) in places {
        let right = last - 8.0 - STEP * step as f64;
        let area = Area { left: right - width, top: y - 11.0, right, bottom: y + 3.0 };
        if room.take_free(area) {
            svg.text("small muted halo", (right, y), Anchor::End, name);
            return;
        }
    }
}
