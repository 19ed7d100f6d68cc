//! The picture of `bench`: tests under the roofs, and thread scaling.

use std::fmt::Write as _;

use super::axis::{Tick, number};
use super::chart::{Chart, INK, Label, PALETTE};
use super::labels::{Area, Room, Side};
use super::roofs;
use super::svg::{Anchor, Form, Marker, Svg};
use crate::cli::bench::summary::{Outcome, Summary};
use crate::cli::report::count;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 76.0;
const ROOFLINE: Area = Area { left: LEFT, top: 112.0, right: WIDTH - 24.0, bottom: 532.0 };
/// The names of the curves are to the right of this area.
const SCALING: Area = Area { left: LEFT, top: 636.0, right: WIDTH - 230.0, bottom: 896.0 };
const RADIUS: f64 = 8.5;

/// Draws a summary. With several numbers of threads the picture includes thread scaling.
pub(in crate::cli::bench) fn draw(summary: &Summary) -> String {
    let tests = tests(&summary.results);
    let scales = summary.roofline.len() > 1;
    let height = if scales { SCALING.bottom + 56.0 } else { ROOFLINE.bottom + 56.0 };
    let mut svg = Svg::new(WIDTH, height, &format!("{}: roofline and thread scaling", summary.model));
    let mut title = summary.model.clone();
    if let Some(first) = summary.results.first() {
        let _ = write!(title, ": {}, {}, {} head", first.isa, first.packing, first.head);
    }
    svg.text("title", (24.0, 36.0), Anchor::Start, title);
    svg.text("muted", (24.0, 56.0), Anchor::Start, format!("{}, {}", summary.cpu, summary.machine()));
    roofline(&mut svg, summary, &tests);
    if scales {
        scaling(&mut svg, summary, &tests);
    }
    svg.finish()
}

/// Lists the names of the tests in order. The position of a test determines its color.
fn tests(results: &[Outcome]) -> Vec<&str> {
    let mut tests: Vec<&str> = Vec::new();
    for result in results {
        if !tests.contains(&result.test.as_str()) {
            tests.push(&result.test);
        }
    }
    tests
}

fn color(tests: &[&str], test: &str) -> &'static str {
    let place = tests.iter().position(|other| *other == test).unwrap_or(0);
    PALETTE[place % PALETTE.len()]
}

fn roofline(svg: &mut Svg, summary: &Summary, tests: &[&str]) {
    heading(svg, ROOFLINE, "Roofline");
    let legend = "at each circle: test, tokens/s, percent of the roofline; in it: threads";
    svg.text("small muted", (ROOFLINE.right, ROOFLINE.top - 14.0), Anchor::End, legend);
    let (results, all_roofs) = (&summary.results, &summary.roofline);
    let intensities = results.iter().map(Outcome::intensity).chain(all_roofs.iter().filter_map(roofs::ridge));
    let rates = results.iter().map(|result| result.gmac_s(result.median_tps));
    let rates = rates.chain(all_roofs.iter().filter_map(|roof| roof.vnni_gmac_s));
    let chart = Chart::around(ROOFLINE, (intensities, 3.5), (rates, 1.7));
    chart.draw(svg, &chart.x.ticks(), roofs::INTENSITY, roofs::RATE);
    let mut room = Room::new(ROOFLINE);
    roofs::draw(svg, &chart, &mut room, all_roofs);

    let points: Vec<_> =
        results.iter().map(|r| (r, chart.at((r.intensity(), r.gmac_s(r.median_tps))))).collect();
    points.iter().for_each(|(_, point)| room.take(Area::around(*point, RADIUS)));
    for &(result, point) in &points {
        let color = color(tests, &result.test);
        let [low, high] = [result.min_tps, result.max_tps].map(|tps| chart.y.at(result.gmac_s(tps)));
        svg.colored_line("spread", color, &[(point.0, low), (point.0, high)]);
        svg.marker(Marker { form: Form::Circle, color, radius: RADIUS, filled: true }, point, &tip(result));
        svg.text("inside", (point.0, point.1 + 3.5), Anchor::Middle, result.threads);
    }
    roofs::name(svg, &chart, &mut room, all_roofs);
    for &(result, point) in &points {
        let name = format!("{} {}/s, {:.0} %", result.test, number(result.median_tps), result.roofline_pct);
        // Labels point away from the middle, where the points of long and short prompts meet.
        let side = if result.intensity() < chart.middle().0 { Side::Right } else { Side::Left };
        Label { text: &name, color: color(tests, &result.test), side }.draw(svg, &mut room, point, RADIUS);
    }
}

fn scaling(svg: &mut Svg, summary: &Summary, tests: &[&str]) {
    heading(svg, SCALING, "Thread scaling");
    let mut counts: Vec<usize> = summary.roofline.iter().map(|roof| roof.threads).collect();
    counts.sort_unstable();
    counts.dedup();
    let [Some(&fewest), Some(&most)] = [counts.first(), counts.last()] else { return };
    let ideal = |threads: usize| threads as f64 / fewest as f64;
    let curves: Vec<Curve<'_>> =
        tests.iter().map(|test| Curve::new(test, &summary.results, fewest)).collect();
    let gains = curves.iter().flat_map(|curve| curve.points.iter().map(|(_, gain)| *gain));
    let chart = Chart::around(
        SCALING,
        (counts.iter().map(|&threads| threads as f64), 1.08),
        (gains.chain([1.0, ideal(most)]), 1.12),
    );
    let ticks = counts.iter().map(|&threads| Tick {
        value: threads as f64,
        is_power: true,
        label: threads.to_string(),
    });
    let name = format!("speed / speed of {}", count(fewest, "thread"));
    chart.draw(svg, &ticks.collect::<Vec<_>>(), "threads", &name);
    let ends = [fewest, most].map(|threads| chart.at((threads as f64, ideal(threads))));
    svg.line("ideal", &ends);

    let mut room = Room::new(Area { left: SCALING.right, right: WIDTH - 8.0, ..SCALING });
    let perfect = format!("perfect {}×", number(ideal(most)));
    let mut name = |svg: &mut Svg, gain: f64, color, text: &str| {
        let point = (SCALING.right, chart.y.at(gain));
        Label { text, color, side: Side::Right }.draw(svg, &mut room, point, 0.0);
    };
    name(svg, ideal(most), INK, &perfect);
    for curve in &curves {
        curve.draw(svg, &chart, color(tests, curve.test));
    }
    for curve in &curves {
        let (Some((_, gain)), Some(last)) = (curve.points.last(), curve.last) else { continue };
        let text = format!("{} {gain:.2}×: {} tokens/s", curve.test, number(last.median_tps));
        name(svg, *gain, color(tests, curve.test), &text);
    }
}

/// The speed of a test over the number of threads, relative to the fewest threads.
struct Curve<'a> {
    test: &'a str,
    points: Vec<(f64, f64)>,
    last: Option<&'a Outcome>,
}

impl<'a> Curve<'a> {
    fn new(test: &'a str, results: &'a [Outcome], fewest: usize) -> Self {
        let mut results: Vec<&Outcome> = results.iter().filter(|result| result.test == test).collect();
        results.sort_by_key(|result| result.threads);
        results.dedup_by_key(|result| result.threads);
        let first = results.iter().find(|result| result.threads == fewest).map_or(1.0, |r| r.median_tps);
        let points = results.iter().map(|result| (result.threads as f64, result.median_tps / first));
        Curve { test, points: points.collect(), last: results.last().copied() }
    }

    fn draw(&self, svg: &mut Svg, chart: &Chart, color: &'static str) {
        let points: Vec<_> = self.points.iter().map(|&point| chart.at(point)).collect();
        svg.colored_line("curve", color, &points);
        for (&point, (threads, gain)) in points.iter().zip(&self.points) {
            let tip = format!("{}, {}: {gain:.2}×", self.test, count(*threads as usize, "thread"));
            svg.marker(Marker { form: Form::Circle, color, radius: 4.5, filled: true }, point, &tip);
        }
    }
}

fn heading(svg: &mut Svg, area: Area, text: &str) {
    svg.text("heading", (24.0, area.top - 14.0), Anchor::Start, text);
}

fn tip(result: &Outcome) -> String {
    let Outcome { test, threads, median_tps, min_tps, max_tps, roofline_pct, .. } = result;
    let threads = count(*threads, "thread");
    format!(
        "{test}, {threads}: {median_tps:.2} tokens/s ({min_tps:.2} to {max_tps:.2}), {roofline_pct:.1} % of the roofline"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::left_out::LeftOut;
    use crate::cli::roofline::Roof;

    /// Tests with 1, 2, 4, ... threads and a falling gain.
    fn summary(doublings: u32) -> Summary {
        let mut summary = Summary { model: "a model".into(), cpu: "a CPU".into(), ..Summary::default() };
        for doubling in 0..=doublings {
            let (threads, gain) = (1 << doubling, 1.8_f64.powi(doubling as i32));
            let (read_gb_s, vnni_gmac_s) = (20.0 * gain.min(4.0), Some(500.0 * gain));
            summary.roofline.push(Roof { threads, read_gb_s, vnni_gmac_s });
            for (test, speed, bytes) in [("pp128", 90.0, 7e6), ("pp512", 75.0, 2e6), ("tg128", 20.0, 8e8)] {
                let median_tps = speed * gain;
                summary.results.push(Outcome {
                    test: test.to_owned(),
                    threads,
                    isa: "avx2",
                    packing: "2bit",
                    head: "exact",
                    median_tps,
                    min_tps: 0.9 * median_tps,
                    max_tps: 1.1 * median_tps,
                    bytes_per_token: bytes,
                    roofline_pct: 50.0,
                    left_out: LeftOut::default(),
                    energy: None,
                    multiply_adds_per_token: 2e9,
                });
            }
        }
        summary
    }

    #[test]
    fn every_test_is_drawn_with_every_number_of_threads() {
        let picture = draw(&summary(4));
        for threads in ["1 thread", "2 threads", "4 threads", "8 threads", "16 threads"] {
            for test in ["pp128", "pp512", "tg128"] {
                assert!(picture.contains(&format!("<title>{test}, {threads}: ")), "{test}, {threads}");
            }
        }
        for words in
            ["a model: avx2, 2bit, exact head", "16 threads: 5249 G/s", "16 threads: 80 GB/s", "perfect 16×"]
        {
            assert!(picture.contains(words), "no {words:?}");
        }
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }

    #[test]
    fn one_number_of_threads_has_no_scaling_chart() {
        assert!(!draw(&summary(0)).contains("Thread scaling"));
        assert!(draw(&summary(1)).contains("Thread scaling"));
    }

    #[test]
    fn without_dot_products_there_is_one_roof() {
        let mut summary = summary(0);
        summary.roofline[0].vnni_gmac_s = None;
        let picture = draw(&summary);
        assert!(picture.contains("1 thread: 20 GB/s") && !picture.contains(" G/s<"), "{picture}");
    }
}
