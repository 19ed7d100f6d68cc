//! Kernels that race while a model runs.
//!
//! The speed of tiles depends on other tenants of the core, and changes within minutes. So these kernels have a rival that
//! multiplies vectors. Most products take the faster kernels. Now and then a product takes the others, to see whether they
//! still are the slower ones. Both give the same bits.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Kernels, and others for the same products if their speeds change.
#[derive(Debug)]
pub(crate) struct Rivals<T> {
    first: T,
    second: Option<(T, Watch)>,
}

impl<T> Rivals<T> {
    /// Returns kernels with a rival, or without one.
    pub(super) fn new(first: T, second: Option<T>) -> Self {
        Rivals { first, second: second.map(|second| (second, Watch::default())) }
    }

    /// Makes the kernels of `first`, and those of the rival if there is one.
    pub(super) fn make<S, E>(
        first: S,
        second: Option<S>,
        make: impl Fn(S) -> Result<T, E>,
    ) -> Result<Self, E> {
        Ok(Rivals::new(make(first)?, second.map(make).transpose()?))
    }

    /// Returns kernels that race with no others.
    pub(crate) fn alone(kernels: T) -> Self {
        Rivals::new(kernels, None)
    }

    /// Returns the kernels that were planned.
    pub(super) fn first(&self) -> &T {
        &self.first
    }

    /// Calls `product` with the kernels whose turn it is. The product takes `work` multiply-adds.
    pub(super) fn race(&self, work: usize, product: impl FnOnce(&T)) {
        let Some((second, watch)) = &self.second else { return product(&self.first) };
        let which = watch.next();
        let start = Instant::now();
        product([&self.first, second][which]);
        watch.learn(which, start.elapsed(), work);
    }
}

/// The times of two kernels, from all threads.
#[derive(Debug, Default)]
struct Watch {
    turns: AtomicUsize,
    /// The index of the faster kernels.
    leader: AtomicUsize,
    /// Nanoseconds for a million multiply-adds as f32 bits: averages in which later products count more. 0 is unknown.
    times: [AtomicU32; 2],
}

impl Watch {
    /// Products from one of the slower kernels to the next.
    const PERIOD: usize = 128;
    /// The share of a new time in an average.
    const SHARE: f32 = 1.0 / 8.0;
    /// The slower kernels take the lead if their time is at most this share of the leader's.
    const CLEARLY: f32 = 0.95;

    /// Returns the index of the kernels for the next product. The second product takes the other kernels for the first time.
    fn next(&self) -> usize {
        let leader = self.leader.load(Relaxed);
        if self.turns.fetch_add(1, Relaxed) % Self::PERIOD == 1 { 1 - leader } else { leader }
    }

    /// Takes note of a product. Threads may overwrite each other's notes, which costs a sample.
    fn learn(&self, which: usize, time: Duration, work: usize) {
        let time = time.as_nanos() as f32 / (work as f32 * 1e-6).max(f32::MIN_POSITIVE);
        let average = match f32::from_bits(self.times[which].load(Relaxed)) {
            0.0 => time,
            average => average + Self::SHARE * (time - average),
        };
        self.times[which].store(average.to_bits(), Relaxed);
        let leader = self.leader.load(Relaxed);
        let [of_leader, of_other] =
            [leader, 1 - leader].map(|at| f32::from_bits(self.times[at].load(Relaxed)));
        if of_other > 0.0 && of_other < Self::CLEARLY * of_leader {
            self.leader.store(1 - leader, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: usize = 1 << 20;

    /// Lets kernels with these microseconds race for some products. Returns the number of products of each.
    fn race(watch: &Watch, products: usize, micros: [u64; 2]) -> [usize; 2] {
        let mut counts = [0; 2];
        for _ in 0..products {
            let which = watch.next();
            watch.learn(which, Duration::from_micros(micros[which]), WORK);
            counts[which] += 1;
        }
        counts
    }

    #[test]
    fn the_faster_kernels_take_nearly_all_products() {
        for (micros, faster) in [([100, 300], 0), ([300, 100], 1), ([100, 98], 0)] {
            let counts = race(&Watch::default(), 100 * Watch::PERIOD, micros);
            assert!((1..=101).contains(&counts[1 - faster]), "{micros:?}: {counts:?}");
        }
    }

    #[test]
    fn the_lead_changes_with_the_speed() {
        let watch = Watch::default();
        race(&watch, 1000, [100, 300]);
        for (micros, faster) in [([400, 300], 1), ([100, 300], 0), ([400, 300], 1)] {
            race(&watch, 30 * Watch::PERIOD, micros);
            let counts = race(&watch, 10 * Watch::PERIOD, micros);
            assert_eq!(counts[1 - faster], 10, "{micros:?}");
        }
    }

    #[test]
    fn products_without_time_or_work_do_no_harm() {
        let watch = Watch::default();
        for (time, work) in [(0, 0), (0, WORK), (1, 0), (u64::MAX, 1)] {
            for which in [0, 1] {
                watch.learn(which, Duration::from_nanos(time), work);
            }
        }
        assert!(race(&watch, 1000, [100, 300]).iter().all(|count| *count <= 1000));
    }

    #[test]
    fn a_product_is_computed_once_with_either_kernels() {
        let rivals = Rivals::new(0, Some(1));
        let (mut products, mut seen) = (0, [false; 2]);
        for _ in 0..Watch::PERIOD {
            rivals.race(WORK, |which| {
                products += 1;
                seen[*which] = true;
            });
        }
        assert_eq!((products, seen), (Watch::PERIOD, [true; 2]));
        Rivals::alone(7).race(0, |kernels| assert_eq!(*kernels, 7));
    }
}
