//! The gain by more threads.

use super::markdown;

/// Formats the speed of each test by the number of threads as a Markdown table. A result is a test, its threads and its tokens
/// per second. Returns none if all have the same number of threads.
///
/// The ratio compares with the fewest threads. The efficiency is its share of a perfect ratio, which is that of the threads.
pub(super) fn table(results: &[(&str, usize, f64)]) -> Option<String> {
    let fewest = results.iter().map(|result| result.1).min()?;
    if results.iter().all(|result| result.1 == fewest) {
        return None;
    }
    let place = |test: &str| results.iter().position(|result| result.0 == test);
    let mut sorted = results.to_vec();
    sorted.sort_by_key(|&(test, threads, _)| (place(test), threads));
    let mut base = 0.0;
    let rows = sorted.into_iter().map(|(test, threads, speed)| {
        if threads == fewest {
            base = speed;
        }
        let ratio = speed / base;
        let efficiency = 100.0 * ratio * fewest as f64 / threads as f64;
        let [speed, ratio] = [speed, ratio].map(|number| format!("{number:.2}"));
        [test.to_owned(), threads.to_string(), speed, ratio, format!("{efficiency:.0} %")]
    });
    Some(markdown::table(["scaling", "threads", "tokens/s", "ratio", "efficiency"], rows))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn every_test_is_compared_with_its_fewest_threads() {
        let results = [("pp8", 4, 90.0), ("tg2", 4, 30.0), ("pp8", 2, 50.0), ("tg2", 2, 20.0)];
        let expected = "\
| scaling | threads | tokens/s | ratio | efficiency |
|---------|--------:|---------:|------:|-----------:|
| pp8     |       2 |    50.00 |  1.00 |      100 % |
| pp8     |       4 |    90.00 |  1.80 |       90 % |
| tg2     |       2 |    20.00 |  1.00 |      100 % |
| tg2     |       4 |    30.00 |  1.50 |       75 % |
";
        assert_eq!(table(&results).as_deref(), Some(expected));
        assert_eq!(table(&results[..2]), None);
    }
}
