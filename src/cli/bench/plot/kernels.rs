//! The picture of `bench kernels`: kernels under the roof of one thread, a chart for every shape.

use super::chart::{Chart, INK, Label, PALETTE};
use super::labels::{Area, Room, Side};
use super::roofs;
use super::svg::{Anchor, Form, Marker, Svg, text_width};
use crate::cli::bench::kernels::Row;
use crate::cli::roofline::Roof;

const WIDTH: f64 = 1120.0;
const TOP: f64 = 136.0;
const HEIGHT: f64 = 400.0;
/// Distance between two charts, with room for axes and headings.
const GAP: (f64, f64) = (86.0, 96.0);
const MARGIN: (f64, f64) = (76.0, 24.0);
const PICK: &str = "#cf222e";
const DOT: f64 = 3.6;
const RING: f64 = 8.0;

/// Draws the picture of `bench kernels`.
pub(in crate::cli::bench) fn draw(rows: &[Row], roof: &Roof, cpu: &str) -> String {
    let shapes: Vec<&[Row]> = rows.chunk_by(|a, b| (a.n, a.k) == (b.n, b.k)).collect();
    let columns = shapes.len().clamp(1, 2);
    let lines = shapes.len().div_ceil(columns).max(1) as f64;
    let height = TOP + lines * (HEIGHT + GAP.1) - 40.0;
    let mut svg = Svg::new(WIDTH, height, "Ternary kernels under the roofline");
    svg.text("title", (24.0, 36.0), Anchor::Start, "Ternary kernels on one thread, under the roofline");
    svg.text("muted", (24.0, 56.0), Anchor::Start, cpu);
    let isas = isas(rows);
    legend(&mut svg, &isas);
    let width = (WIDTH - MARGIN.0 - MARGIN.1 - GAP.0 * (columns - 1) as f64) / columns as f64;
    for (place, shape) in shapes.iter().enumerate() {
        let left = MARGIN.0 + (place % columns) as f64 * (width + GAP.0);
        let top = TOP + (place / columns) as f64 * (HEIGHT + GAP.1);
        let area = Area { left, top, right: left + width, bottom: top + HEIGHT };
        // Every shape has the same axes.
        let rates = rows.iter().map(|row| row.gmac_s).chain(roof.vnni_gmac_s);
        let intensities = rows.iter().map(Row::intensity).chain(roofs::ridge(roof));
        let chart = Chart::around(area, (intensities, 4.0), (rates, 1.5));
        draw_shape(&mut svg, &chart, shape, roof, &isas);
    }
    svg.finish()
}

/// Lists the instruction sets in order. The position of an instruction set determines its color.
fn isas(rows: &[Row]) -> Vec<&str> {
    let mut isas: Vec<&str> = Vec::new();
    for isa in rows.iter().map(Row::isa) {
        if !isas.contains(&isa) {
            isas.push(isa);
        }
    }
    isas
}

fn color(isas: &[&str], isa: &str) -> &'static str {
    let place = isas.iter().position(|other| *other == isa).unwrap_or(0);
    PALETTE[place % PALETTE.len()]
}

/// Returns the marker of a row.
fn marker(row: &Row, isas: &[&str]) -> Marker {
    let color = color(isas, row.isa());
    let (form, filled) = match (row.is_reference(), row.packing) {
        (true, _) => (Form::Diamond, false),
        (false, "2bit") => (Form::Circle, true),
        (false, _) => (Form::Square, true),
    };
    Marker { form, color, radius: DOT, filled }
}

fn legend(svg: &mut Svg, isas: &[&str]) {
    let sample = |form, color, filled| Marker { form, color, radius: 4.5, filled };
    let colors = isas.iter().map(|isa| (sample(Form::Circle, color(isas, isa), true), *isa));
    let forms = [
        (sample(Form::Circle, INK, true), "2bit"),
        (sample(Form::Square, INK, true), "1.6bit"),
        (sample(Form::Diamond, INK, false), "hand-written, 2bit"),
        (
            Marker { radius: RING, ..sample(Form::Circle, PICK, false) },
            "the planner's pick: tokens, percent of the roofline",
        ),
    ];
    let mut x = 30.0;
    for (marker, name) in colors.chain(forms) {
        svg.marker(marker, (x, 82.0), "");
        svg.text("small", (x + 13.0, 86.0), Anchor::Start, name);
        x += 13.0 + text_width(name, 11.5) + 22.0;
    }
}

fn draw_shape(svg: &mut Svg, chart: &Chart, rows: &[Row], roof: &Roof, isas: &[&str]) {
    let Area { left, top, .. } = chart.area;
    let [Row { n, k, .. }, ..] = rows else { return };
    svg.text("heading", (left, top - 12.0), Anchor::Start, format!("{n} × {k}"));
    chart.draw(svg, &chart.x.ticks(), roofs::INTENSITY, roofs::RATE);
    let mut room = Room::new(chart.area);
    roofs::draw(svg, chart, &mut room, std::slice::from_ref(roof));
    for row in rows {
        let point = chart.at((row.intensity(), row.gmac_s));
        svg.marker(marker(row, isas), point, &tip(row));
        room.take(Area::around(point, DOT));
    }
    roofs::name(svg, chart, &mut room, std::slice::from_ref(roof));
    for row in rows.iter().filter(|row| row.picked) {
        let point = chart.at((row.intensity(), row.gmac_s));
        svg.marker(Marker { form: Form::Circle, color: PICK, radius: RING, filled: false }, point, &tip(row));
        let name = format!("m {}, {:.0} %", row.m, row.roofline_pct);
        let side = if row.packing == "2bit" { Side::Left } else { Side::Right };
        Label { text: &name, color: "#24292f", side }.draw(svg, &mut room, point, RING);
    }
}

fn tip(row: &Row) -> String {
    let Row { spec, m, median_ns, roofline_pct, .. } = row;
    format!("{spec}, m {m}: {:.1} µs, {roofline_pct:.1} % of the roofline", median_ns / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(spec: &str, m: usize, picked: bool) -> Row {
        let (gb_s, gmac_s) = (15.0, 60.0 * m as f64);
        Row {
            spec: spec.to_owned(),
            n: 64,
            k: 80,
            m,
            threads: 1,
            median_ns: 1000.0,
            gb_s,
            gmac_s,
            roofline_pct: 75.0,
            picked,
            packing: "2bit",
        }
    }

    #[test]
    fn every_kernel_is_drawn_and_the_picks_are_named() {
        let rows = [
            row("avx2/2bit/x1/m1n16u1/planes/p0/f32", 1, true),
            row("portable/2bit/x1/m1n16u1/planes/p0/f32", 1, false),
            row("reference/avx2", 1, false),
            row("avx2/2bit/x1/m2n16u1/planes/p0/f32", 2, true),
            Row { n: 128, ..row("avx2/2bit/x1/m1n16u1/planes/p0/f32", 1, false) },
        ];
        let roof = Roof { threads: 1, read_gb_s: 20.0, vnni_gmac_s: Some(200.0) };
        let picture = draw(&rows, &roof, "a CPU");
        assert_eq!(isas(&rows), ["avx2", "portable"]);
        for row in &rows {
            assert!(picture.contains(&format!("<title>{}, m {}: 1.0 µs", row.spec, row.m)), "{}", row.spec);
        }
        for words in ["64 × 80", "128 × 80", ">m 1, 75 %<", ">m 2, 75 %<", "1 thread: 200 G/s", "a CPU"] {
            assert!(picture.contains(words), "no {words:?}");
        }
        assert_eq!(picture.matches(">m ").count(), 2);
    }
}
