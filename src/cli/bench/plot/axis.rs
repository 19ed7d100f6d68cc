//! Logarithmic axes.

/// Ticks of every power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// A logarithmic axis, which maps values to pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

/// A grid line across the plot. Lines at a power of ten are stronger.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) is_power: bool,
    /// Empty if labels would be too close to each other.
    pub(super) label: String,
}

impl Axis {
    /// Creates an axis from pixel `start` to `end` that spans `values` and a factor of `room` on each side.
    /// Without values it spans 1 to 10.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, room: f64, start: f64, end: f64) -> Self {
        let plottable = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) =
            plottable.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if high > 0.0 { (low / room, high * room) } else { (1.0, 10.0) };
        Axis { low, high, start, end }
    }

    /// Returns the pixel of a value, which may lie outside the axis.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.start + share * (self.end - self.start)
    }

    pub(super) fn low(&self) -> f64 {
        self.low
    }

    pub(super) fn high(&self) -> f64 {
        self.high
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
        /// An axis with more powers of ten than this has labels at powers of ten only.
        const FEW_POWERS: f64 = 2.6;
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let label_all = (self.high / self.low).log10() <= FEW_POWERS;
        let steps = (first..=last).flat_map(|power| STEPS.map(|step| (step, power)));
        let ticks = steps.map(|(step, power)| {
            let value = step * 10.0_f64.powi(power);
            let is_power = step == 1.0;
            let label = if is_power || label_all { number(value) } else { String::new() };
            Tick { value, is_power, label }
        });
        ticks.filter(|tick| (self.low..=self.high).contains(&tick.value)).collect()
    }
}

/// Formats a number with about three digits, without trailing zeros.
pub(super) fn number(value: f64) -> String {
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, number};

    #[test]
    fn equal_factors_take_equal_distances() {
        let axis = Axis::around([1.0, 100.0], 1.0, 50.0, 250.0);
        assert_eq!([1.0, 10.0, 100.0].map(|value| axis.at(value).round()), [50.0, 150.0, 250.0]);
        // Upwards, pixels count down.
        let axis = Axis::around([2.0, 8.0, 4.0], 2.0, 100.0, 0.0);
        assert_eq!([1.0, 4.0, 16.0].map(|value| axis.at(value).round()), [100.0, 50.0, 0.0]);
    }

    #[test]
    fn dense_ticks_are_labelled_at_powers_of_ten_only() {
        let labels = |low, high| -> Vec<String> {
            let ticks = Axis::around([low, high], 1.0, 0.0, 1.0).ticks();
            ticks.into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
        };
        assert_eq!(labels(0.5, 20.0), ["0.5", "1", "2", "5", "10", "20"]);
        assert_eq!(labels(3.0, 20_000.0), ["10", "100", "1000", "10000"]);
    }

    #[test]
    fn values_without_a_logarithm_are_ignored() {
        let axis = Axis::around([0.0, f64::NAN, -1.0, f64::INFINITY], 2.0, 0.0, 1.0);
        assert_eq!((axis.low(), axis.high()), (1.0, 10.0));
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.051, 0.5, 1.25, 40.04, 525.4, 1050.0].map(number);
        assert_eq!(texts, ["0.051", "0.5", "1.25", "40", "525", "1050"]);
    }
}
