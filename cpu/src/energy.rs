//! The energy that the processor takes, as its own counters tell (RAPL, through Linux's powercap).
//!
//! A counter covers a whole package: every core and cache, whatever program runs there. Memory, fans and the power supply are
//! not part of it. Other systems, and most virtual machines, have no such counters.

use std::fs;
use std::iter::Sum;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A power that no package reaches, in watts. A counter that could go around at it within an interval tells nothing.
const MOST_WATTS: f64 = 1000.0;

/// The counters of all packages.
///
/// ```
/// use tercet_cpu::energy::EnergyMeter;
///
/// match EnergyMeter::host() {
///     Ok(meter) => {
///         let start = meter.start();
///         // … work …
///         if let Some(energy) = meter.since(&start) {
///             println!("{:.1} J in {:?}", energy.joules, energy.time);
///         }
///     }
///     Err(error) => println!("not available: {error}"),
/// }
/// ```
#[derive(Debug)]
pub struct EnergyMeter {
    packages: Vec<Package>,
}

/// One counter.
#[derive(Debug)]
struct Package {
    name: String,
    counter: PathBuf,
    /// The counter goes from this to 0, in microjoules.
    range: u64,
}

/// The state of the counters at one time.
#[derive(Clone, Debug)]
pub struct Start {
    time: Instant,
    /// None for a counter that could not be read.
    microjoules: Vec<Option<u64>>,
}

/// The energy of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// Joules of all packages together.
    pub joules: f64,
    /// The length of the interval.
    pub time: Duration,
}

impl Energy {
    /// Returns the mean power, in watts.
    pub fn watts(&self) -> f64 {
        self.joules / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Returns the joules beyond those that the packages take at `idle_watts`, at least 0.
    pub fn above(&self, idle_watts: f64) -> f64 {
        (self.joules - idle_watts * self.time.as_secs_f64()).max(0.0)
    }
}

/// Adds up intervals.
impl Sum for Energy {
    fn sum<I: Iterator<Item = Self>>(intervals: I) -> Self {
        let none = Energy { joules: 0.0, time: Duration::ZERO };
        intervals
            .fold(none, |all, next| Energy { joules: all.joules + next.joules, time: all.time + next.time })
    }
}

/// The reason why a machine tells no energy.
#[derive(Debug, thiserror::Error)]
pub enum NoEnergy {
    /// There are no counters.
    #[error("this system has no RAPL counters of its packages ({0} lists none)")]
    NoCounters(PathBuf),
    /// The counters cannot be read.
    #[error("{0}: {1}; run as root, or let this user read the file")]
    Unreadable(PathBuf, std::io::Error),
}

impl EnergyMeter {
    /// Returns the meter of this machine.
    ///
    /// # Errors
    /// Fails if the system has no counters, or does not let this user read them.
    pub fn host() -> Result<Self, NoEnergy> {
        Self::of(Path::new("/"))
    }

    /// Returns the meter of a directory with the layout of Linux's root (`sys/class/powercap`).
    ///
    /// # Errors
    /// Those of [`EnergyMeter::host`].
    pub fn of(root: &Path) -> Result<Self, NoEnergy> {
        let folder = root.join("sys/class/powercap");
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut packages: Vec<Package> = entries.filter_map(|path| Package::at(&path)).collect();
        packages.sort_by(|left, right| left.counter.cmp(&right.counter));
        let meter = EnergyMeter { packages };
        match meter.packages.first() {
            None => Err(NoEnergy::NoCounters(folder)),
            Some(first) => match fs::read_to_string(&first.counter) {
                Ok(_) => Ok(meter),
                Err(error) => Err(NoEnergy::Unreadable(first.counter.clone(), error)),
            },
        }
    }

    /// Returns the names of the packages, such as `package-0`.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.packages.iter().map(|package| package.name.as_str())
    }

    /// Starts an interval.
    pub fn start(&self) -> Start {
        Start { time: Instant::now(), microjoules: self.packages.iter().map(Package::read).collect() }
    }

    /// Returns the energy since `start`. Returns none if a counter cannot be read, or may have gone around more than once.
    pub fn since(&self, start: &Start) -> Option<Energy> {
        self.after(start, start.time.elapsed())
    }

    fn after(&self, start: &Start, time: Duration) -> Option<Energy> {
        let joules = self.packages.iter().zip(&start.microjoules).map(|(package, &before)| {
            let microjoules = package.since(before?)?;
            let is_clear = package.range as f64 / 1e6 > MOST_WATTS * time.as_secs_f64();
            is_clear.then_some(microjoules as f64 / 1e6)
        });
        Some(Energy { joules: joules.sum::<Option<f64>>()?, time })
    }

    /// Measures the power of the machine while this thread sleeps for `time`, in watts.
    pub fn idle_watts(&self, time: Duration) -> Option<f64> {
        let start = self.start();
        thread::sleep(time);
        self.since(&start).map(|energy| energy.watts())
    }
}

impl Package {
    /// Returns the package whose folder is `path`. Parts of packages and other zones are none.
    fn at(path: &Path) -> Option<Self> {
        let text = |name: &str| Some(fs::read_to_string(path.join(name)).ok()?.trim().to_owned());
        let number = path.file_name()?.to_str()?.strip_prefix("intel-rapl:")?;
        let name = text("name")?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) || !name.starts_with("package") {
            return None;
        }
        let range = text("max_energy_range_uj")?.parse().ok()?;
        Some(Package { name, counter: path.join("energy_uj"), range })
    }

    /// Returns the microjoules since the counter was at `before`, if it has not gone around more than once.
    fn since(&self, before: u64) -> Option<u64> {
        let now = self.read()?;
        let end = if now >= before { Some(now) } else { now.checked_add(self.range) };
        end?.checked_sub(before)
    }

    fn read(&self) -> Option<u64> {
        fs::read_to_string(&self.counter).ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_root::FakeRoot;

    /// 262 kJ, as many CPUs have it.
    const RANGE: u64 = 262_143_328_850;

    fn zone(root: &Path, folder: &str, name: &str, microjoules: u64) {
        let folder = root.join("sys/class/powercap").join(folder);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in [
            ("name", name.to_owned()),
            ("max_energy_range_uj", RANGE.to_string()),
            ("energy_uj", microjoules.to_string()),
        ] {
            fs::write(folder.join(file), text + "\n").unwrap();
        }
    }

    #[test]
    fn packages_add_up_and_their_parts_do_not() {
        let root = FakeRoot::new("packages", &[]);
        zone(root.path(), "intel-rapl:0", "package-0", 5_000_000);
        zone(root.path(), "intel-rapl:1", "package-1", 7_000_000);
        zone(root.path(), "intel-rapl:0:0", "core", 1);
        zone(root.path(), "intel-rapl:2", "psys", 1);
        zone(root.path(), "intel-rapl-mmio:0", "package-0", 1);
        let meter = EnergyMeter::of(root.path()).unwrap();
        assert_eq!(meter.packages().collect::<Vec<_>>(), ["package-0", "package-1"]);
        let start = meter.start();
        zone(root.path(), "intel-rapl:0", "package-0", 8_000_000);
        zone(root.path(), "intel-rapl:1", "package-1", 8_500_000);
        zone(root.path(), "intel-rapl:0:0", "core", 9_000_000);
        let energy = meter.after(&start, Duration::from_secs(2)).unwrap();
        assert_eq!((energy.joules, energy.watts()), (4.5, 2.25));
        assert_eq!((energy.above(1.0), energy.above(5.0)), (2.5, 0.0));
        assert!(meter.since(&start).is_some());
        let twice: Energy = [energy, energy].into_iter().sum();
        assert_eq!((twice.joules, twice.time), (9.0, Duration::from_secs(4)));
    }

    #[test]
    fn a_counter_goes_around_once_at_most() {
        let root = FakeRoot::new("around", &[]);
        zone(root.path(), "intel-rapl:0", "package-0", RANGE - 1_000_000);
        let meter = EnergyMeter::of(root.path()).unwrap();
        let start = meter.start();
        zone(root.path(), "intel-rapl:0", "package-0", 2_000_000);
        let after = |seconds| meter.after(&start, Duration::from_secs(seconds));
        assert_eq!(after(10).unwrap().joules, 3.0);
        assert_eq!(after(1000), None);
        zone(root.path(), "intel-rapl:0", "package-0", u64::MAX);
        let start = meter.start();
        zone(root.path(), "intel-rapl:0", "package-0", u64::MAX - 1);
        assert_eq!(meter.after(&start, Duration::from_secs(1)), None);
    }

    #[test]
    fn machines_without_counters_say_so() {
        let root = FakeRoot::new("none", &[]);
        let error = |root: &Path| EnergyMeter::of(root).unwrap_err().to_string();
        assert!(error(root.path()).contains("no RAPL counters"));
        zone(root.path(), "intel-rapl:0", "package-0", 0);
        let counter = root.path().join("sys/class/powercap/intel-rapl:0/energy_uj");
        let meter = EnergyMeter::of(root.path()).unwrap();
        let start = meter.start();
        // As for a file that this user must not read.
        fs::remove_file(&counter).unwrap();
        assert_eq!(meter.since(&start), None);
        assert!(meter.since(&meter.start()).is_none());
        assert!(error(root.path()).contains("energy_uj"));
    }
}
