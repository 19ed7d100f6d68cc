//! Limits of this process: affinity mask and cgroup CPU quota.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use crate::cgroup::{self, Version};
use crate::topology::parse_cpu_list;

/// The limits that the operating system sets for this process.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Online CPUs that the affinity mask allows, in ascending order. Never empty.
    pub affinity: Vec<usize>,
    /// CPU time per period, in CPUs: the tightest quota among the cgroups around this process. `None` if unlimited.
    pub quota: Option<f64>,
}

impl Limits {
    /// Returns the limits of this process. On other systems than Linux the standard library counts the CPUs.
    pub fn host() -> Limits {
        Limits::read(Path::new("/"))
    }

    /// Reads the limits from a directory with the layout of Linux's root (`proc/self`, `sys`).
    pub fn read(root: &Path) -> Limits {
        Limits {
            affinity: affinity(root)
                .unwrap_or_else(|| (0..available_parallelism().map_or(1, usize::from)).collect()),
            quota: quota(root),
        }
    }
}

/// Returns the allowed CPUs that are online. A mask may name CPUs that the machine does not have.
fn affinity(root: &Path) -> Option<Vec<usize>> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let mut allowed = allowed_cpus(&status)?;
    let online = fs::read_to_string(root.join("sys/devices/system/cpu/online")).ok();
    if let Some(online) = online.and_then(|list| parse_cpu_list(&list)) {
        allowed.retain(|cpu| online.contains(cpu));
    }
    (!allowed.is_empty()).then_some(allowed)
}

/// Returns the mask in the text of `/proc/self/status`.
fn allowed_cpus(status: &str) -> Option<Vec<usize>> {
    parse_cpu_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// Returns the tightest quota among the groups around this process.
fn quota(root: &Path) -> Option<f64> {
    let quotas = cgroup::levels(root, "cpu").into_iter().filter_map(|(version, group)| match version {
        Version::Two => quota_v2(&group),
        Version::One => quota_v1(&group),
    });
    quotas.min_by(f64::total_cmp)
}

/// Parses `cpu.max`: the quota, or `max`, and the period.
fn quota_v2(group: &Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    cpus(quota, period)
}

/// Parses `cpu.cfs_quota_us`: -1 means no quota.
fn quota_v1(group: &Path) -> Option<f64> {
    let quota = fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
    let period = fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
    cpus(quota.trim(), period.trim())
}

fn cpus(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?);
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_root::FakeRoot;

    const STATUS: &str =
        "Name:\ttercet\nCpus_allowed:\tffff\nCpus_allowed_list:\t0-3,8-63\nMems_allowed_list:\t0\n";

    fn quota_of(name: &str, files: &[(&str, &str)]) -> Option<f64> {
        Limits::read(FakeRoot::new(name, files).path()).quota
    }

    #[test]
    fn cpus_are_allowed_and_online() {
        let files = [("proc/self/status", STATUS), ("sys/devices/system/cpu/online", "0-9\n")];
        let root = FakeRoot::new("affinity", &files);
        assert_eq!(Limits::read(root.path()), Limits { affinity: vec![0, 1, 2, 3, 8, 9], quota: None });
    }

    #[test]
    fn an_unknown_affinity_is_never_empty() {
        for status in ["", "Cpus_allowed_list:\t\n", "Cpus_allowed_list:\tall\n", "Cpus_allowed_list:\t5-1\n"]
        {
            let root = FakeRoot::new("no-affinity", &[("proc/self/status", status)]);
            assert!(!Limits::read(root.path()).affinity.is_empty(), "{status:?}");
        }
    }

    #[test]
    fn version_2_takes_the_tightest_level() {
        let files = [
            ("proc/self/cgroup", "0::/user.slice/app.scope\n"),
            ("sys/fs/cgroup/user.slice/app.scope/cpu.max", "400000 100000\n"),
            ("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ];
        assert_eq!(quota_of("v2", &files), Some(1.5));
    }

    #[test]
    fn version_1_takes_the_tightest_level() {
        let files = [
            ("proc/self/cgroup", "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n1:name=systemd:/\n0::/\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "20000\n"),
            ("sys/fs/cgroup/memory/docker/a/cpu.cfs_quota_us", "1\n"),
            ("sys/fs/cgroup/memory/docker/a/cpu.cfs_period_us", "1\n"),
        ];
        assert_eq!(quota_of("v1", &files), Some(2.5));
    }

    #[test]
    fn a_container_finds_its_quota_at_the_mount() {
        let v2 = [("proc/self/cgroup", "0::/docker/unseen\n"), ("sys/fs/cgroup/cpu.max", "50000 100000\n")];
        assert_eq!(quota_of("container", &v2), Some(0.5));
        let outside = [("proc/self/cgroup", "0::/../../other\n"), ("sys/fs/cpu.max", "10000 100000\n")];
        assert_eq!(quota_of("outside", &outside), None);
    }

    #[test]
    fn nonsense_is_no_quota() {
        for text in ["", "max", "max 100000", "100000", "1 0", "0 1", "-5 100000", "a b", "1 2 3"] {
            let files = [("proc/self/cgroup", "no colons\n0::/\n:\n"), ("sys/fs/cgroup/cpu.max", text)];
            assert_eq!(quota_of("nonsense", &files), None, "{text:?}");
        }
    }

    /// The standard library asks the scheduler itself and rounds the quota down.
    #[test]
    fn host_agrees_with_the_standard_library() {
        let limits = Limits::host();
        let quota = limits.quota.map_or(usize::MAX, |cpus| cpus.floor() as usize).max(1);
        assert_eq!(limits.affinity.len().min(quota), available_parallelism().unwrap().get());
    }
}
