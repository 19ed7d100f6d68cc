//! Logical CPUs, their physical cores and their classes, from the operating system.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use crate::aarch64::MainId;
use crate::cache::Cache;

/// The class of a core of a hybrid CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreClass {
    /// Fast (Intel's Core; leaf 0x1A type 0x40; at least half the capacity of the fastest on Arm).
    Performance,
    /// Small (Intel's Atom; leaf 0x1A type 0x20; less than half the capacity of the fastest on Arm).
    Efficiency,
}

impl fmt::Display for CoreClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            CoreClass::Performance => "performance",
            CoreClass::Efficiency => "efficiency",
        })
    }
}

/// One logical CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalCpu {
    /// The operating system's number for it.
    pub id: usize,
    /// The lowest number among the SMT siblings of its physical core.
    pub core: usize,
    /// Class of its core. `None` if all cores are alike.
    pub class: Option<CoreClass>,
}

/// The logical CPUs that are online, and the caches of the first performance core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// In ascending order. Empty if the system does not tell.
    pub cpus: Vec<LogicalCpu>,
    /// Caches of the first CPU of the best class. Empty if the system does not tell.
    pub caches: Vec<Cache>,
    /// Main ID register of that CPU. `None` on other architectures than AArch64, and if the system does not tell.
    pub main_id: Option<MainId>,
}

impl Topology {
    /// Returns the topology of this machine. It is empty without sysfs and sysctl.
    pub fn host() -> Topology {
        #[cfg(target_os = "macos")]
        return super::macos::topology();
        #[cfg(not(target_os = "macos"))]
        Topology::read(Path::new("/sys/devices"))
    }

    /// Reads a directory with the layout of Linux's `/sys/devices`. Facts that it lacks are left unknown.
    pub fn read(devices: &Path) -> Topology {
        let list = |path: &Path| parse_cpu_list(&fs::read_to_string(path).ok()?);
        let performance = list(&devices.join("cpu_core/cpus")).unwrap_or_default();
        let efficiency = list(&devices.join("cpu_atom/cpus")).unwrap_or_default();
        let system = devices.join("system/cpu");
        let online = list(&system.join("online")).unwrap_or_default();
        let capacities = Capacities::read(&system, &online);
        let class = |id| match (performance.contains(&id), efficiency.contains(&id)) {
            (true, false) => Some(CoreClass::Performance),
            (false, true) => Some(CoreClass::Efficiency),
            _ => capacities.class(id),
        };

        let siblings = |id| list(&system.join(format!("cpu{id}/topology/thread_siblings_list")));
        let core = |id| siblings(id).and_then(|ids| ids.into_iter().min()).unwrap_or(id);
        let cpus: Vec<_> =
            online.into_iter().map(|id| LogicalCpu { id, core: core(id), class: class(id) }).collect();

        let best = cpus.iter().find(|cpu| cpu.class == Some(CoreClass::Performance)).or(cpus.first());
        let caches = best.map(|cpu| Cache::read_all(&system.join(format!("cpu{}/cache", cpu.id))));
        let main_id = best.and_then(|cpu| MainId::read(&system.join(format!("cpu{}", cpu.id))));
        Topology { caches: caches.unwrap_or_default(), main_id, cpus }
    }

    /// Returns the class of the core with the listed caches.
    pub fn class(&self) -> Option<CoreClass> {
        let performance = self.cpus.iter().find(|cpu| cpu.class == Some(CoreClass::Performance));
        performance.or(self.cpus.first())?.class
    }

    /// Returns the number of physical cores of the allowed CPUs: the performance cores if any are allowed, otherwise all.
    /// If the topology is unknown, each allowed CPU counts as a core.
    pub fn cores(&self, allowed: &[usize]) -> usize {
        let cpus: Vec<_> = self.cpus.iter().filter(|cpu| allowed.contains(&cpu.id)).collect();
        if cpus.is_empty() {
            return allowed.len();
        }
        let classed = cpus.iter().any(|cpu| cpu.class == Some(CoreClass::Performance));
        let preferred = cpus.iter().filter(|cpu| !classed || cpu.class == Some(CoreClass::Performance));
        preferred.map(|cpu| cpu.core).collect::<BTreeSet<_>>().len()
    }
}

/// The capacity of each CPU, on systems with several kinds of Arm cores (Linux's `cpu_capacity`).
struct Capacities(BTreeMap<usize, u32>);

impl Capacities {
    fn read(system: &Path, online: &[usize]) -> Self {
        let capacity = |id: usize| {
            let text = fs::read_to_string(system.join(format!("cpu{id}/cpu_capacity"))).ok()?;
            Some((id, text.trim().parse().ok()?))
        };
        Capacities(online.iter().filter_map(|&id| capacity(id)).collect())
    }

    /// Returns `None` if all CPUs are alike.
    fn class(&self, id: usize) -> Option<CoreClass> {
        let (least, most) = (self.0.values().min()?, self.0.values().max()?);
        let class = match self.0.get(&id)? {
            capacity if *capacity >= most.div_ceil(2) => CoreClass::Performance,
            _ => CoreClass::Efficiency,
        };
        (least < most).then_some(class)
    }
}

/// Parses the kernel's list format (`0-3,8,10-11`). Returns `None` if it is malformed, or names CPUs beyond 2^16, far
/// above Linux's limit.
pub(super) fn parse_cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for range in text.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        cpus.extend((first..=last).map(usize::from));
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_root::FakeRoot;
    use crate::{CacheKind, Cpu, Limits};

    /// Two performance cores with two threads each and two efficiency cores; CPU 6 is offline.
    fn hybrid(name: &str) -> Topology {
        const SIBLINGS: [(&str, &str); 6] = [
            ("system/cpu/cpu0/topology/thread_siblings_list", "0-1\n"),
            ("system/cpu/cpu1/topology/thread_siblings_list", "0-1\n"),
            ("system/cpu/cpu2/topology/thread_siblings_list", "2,3\n"),
            ("system/cpu/cpu3/topology/thread_siblings_list", "2,3\n"),
            ("system/cpu/cpu4/topology/thread_siblings_list", "4\n"),
            ("system/cpu/cpu5/topology/thread_siblings_list", "5\n"),
        ];
        const CLASSES: [(&str, &str); 3] =
            [("system/cpu/online", "0-5\n"), ("cpu_core/cpus", "0-3\n"), ("cpu_atom/cpus", "4-6\n")];
        const CACHE: [(&str, &str); 5] = [
            ("system/cpu/cpu0/cache/index0/level", "1\n"),
            ("system/cpu/cpu0/cache/index0/type", "Data\n"),
            ("system/cpu/cpu0/cache/index0/size", "48K\n"),
            ("system/cpu/cpu0/cache/index0/coherency_line_size", "64\n"),
            ("system/cpu/cpu0/cache/index0/shared_cpu_list", "0-1\n"),
        ];
        let files = [SIBLINGS.as_slice(), &CLASSES, &CACHE].concat();
        Topology::read(FakeRoot::new(name, &files).path())
    }

    #[test]
    fn sysfs_tells_cores_classes_and_caches() {
        use CoreClass::{Efficiency, Performance};
        let topology = hybrid("sysfs");
        let cpus: Vec<_> = topology.cpus.iter().map(|cpu| (cpu.id, cpu.core, cpu.class.unwrap())).collect();
        let expected = [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4), (5, 5)];
        let classes = [Performance, Performance, Performance, Performance, Efficiency, Efficiency];
        assert!(
            cpus.into_iter()
                .eq(expected.into_iter().zip(classes).map(|((id, core), class)| (id, core, class)))
        );
        let l1 = Cache { level: 1, kind: CacheKind::Data, size: 48 << 10, line: 64, shared_by: 2 };
        assert_eq!(topology.caches, [l1]);
        assert_eq!(topology.class(), Some(Performance));
    }

    #[test]
    fn threads_are_performance_cores_within_the_limits() {
        let cpu = Cpu::probe().with_topology(hybrid("threads"));
        let threads =
            |affinity: &[usize], quota| cpu.default_threads(&Limits { affinity: affinity.to_vec(), quota });
        assert_eq!(threads(&[0, 1, 2, 3, 4, 5], None), 2);
        assert_eq!(threads(&[0, 1, 4, 5], None), 1);
        assert_eq!(threads(&[4, 5], None), 2, "efficiency cores where nothing else is allowed");
        assert_eq!(threads(&[0, 1, 2, 3], Some(1.2)), 2);
        assert_eq!(threads(&[0, 1, 2, 3], Some(0.2)), 1);
        assert_eq!(threads(&[], None), 1);
    }

    /// Two sockets of two cores, whose second threads have the numbers from 4 on.
    #[test]
    fn one_thread_runs_on_each_core_of_all_sockets() {
        let siblings = |id: usize| {
            let path = format!("system/cpu/cpu{id}/topology/thread_siblings_list");
            (path, format!("{},{}\n", id % 4, id % 4 + 4))
        };
        let siblings: Vec<_> = (0..8).map(siblings).collect();
        let mut files = vec![("system/cpu/online", "0-7\n")];
        files.extend(siblings.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        let topology = Topology::read(FakeRoot::new("sockets", &files).path());
        assert_eq!(topology.class(), None);
        assert_eq!(topology.cores(&[0, 1, 2, 3, 4, 5, 6, 7]), 4);
        assert_eq!(topology.cores(&[0, 1, 4, 5]), 2, "both threads of two cores");
        assert_eq!(topology.cores(&[2, 5]), 2, "one thread of each of two cores");
    }

    #[test]
    fn an_unknown_topology_counts_every_allowed_cpu() {
        let unknown = Topology::read(Path::new("no such directory"));
        assert_eq!(unknown, Topology::default());
        assert_eq!(unknown.cores(&[0, 1, 2]), 3);
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list("0-2,5,7-8\n"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse_cpu_list("\n"), Some(vec![]));
        for malformed in ["a", "1-", "-1", "0-99999999999", "1--2", "0 1"] {
            assert_eq!(parse_cpu_list(malformed), None, "{malformed}");
        }
    }
}
