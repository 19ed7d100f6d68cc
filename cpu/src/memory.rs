//! The memory that this process can still have.

use std::fs;
use std::path::Path;

use crate::cgroup::{self, Version};

/// Returns the bytes that this process can still have: what the machine, its control groups and its own limits leave. Memory
/// that the system only uses to cache files counts as free. Returns none if the system does not tell.
///
/// ```
/// let free = tercet_cpu::memory::available();
/// assert!(free.is_none_or(|bytes| bytes > 0));
/// ```
pub fn available() -> Option<u64> {
    available_in(Path::new("/"))
}

/// Reads the same from a directory with the layout of Linux's root (`proc`, `sys`).
pub fn available_in(root: &Path) -> Option<u64> {
    let groups =
        cgroup::levels(root, "memory").into_iter().filter_map(|(version, group)| left(version, &group));
    [machine(root), process(root)].into_iter().flatten().chain(groups).min()
}

/// Returns what the machine has: memory that is available without swapping, and free swap.
fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let kib = |name: &str| number(field(&text, name)?);
    Some((kib("MemAvailable:")?.saturating_add(kib("SwapFree:").unwrap_or(0))).saturating_mul(1024))
}

/// Returns what the limits of the process leave of its address space and data.
fn process(root: &Path) -> Option<u64> {
    let limits = fs::read_to_string(root.join("proc/self/limits")).ok()?;
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let left = |limit: &str, used: &str| {
        let used = number(field(&status, used)?)?.saturating_mul(1024);
        Some(number(field(&limits, limit)?)?.saturating_sub(used))
    };
    let left = [left("Max address space", "VmSize:"), left("Max data size", "VmData:")];
    left.into_iter().flatten().min()
}

/// Returns what a control group leaves, if it has a limit.
fn left(version: Version, group: &Path) -> Option<u64> {
    let (limit, used, caches) = match version {
        Version::Two => ("memory.max", "memory.current", ["inactive_file ", "active_file "]),
        Version::One => {
            ("memory.limit_in_bytes", "memory.usage_in_bytes", ["total_inactive_file ", "total_active_file "])
        }
    };
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let (limit, used) = (number(&read(limit)?)?, number(&read(used)?)?);
    let stat = read("memory.stat").unwrap_or_default();
    let cached: u64 = caches.iter().filter_map(|name| number(field(&stat, name)?)).sum();
    Some(limit.saturating_sub(used.saturating_sub(cached)))
}

/// Returns the rest of the line that starts with `name`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// Returns the first word as a number. `max` and `unlimited` are none.
fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_root::FakeRoot;

    const MEMINFO: &str =
        "MemTotal:  8000 kB\nMemFree:  100 kB\nMemAvailable:  5000 kB\nSwapFree:  1000 kB\n";
    const STATUS: &str = "Name:\tx\nVmSize:\t   2000 kB\nVmData:\t   500 kB\n";

    fn available(name: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = FakeRoot::new(
            name,
            &[&[("proc/meminfo", MEMINFO), ("proc/self/status", STATUS)], files].concat(),
        );
        available_in(root.path())
    }

    #[test]
    fn the_machine_has_what_is_available_and_its_swap() {
        assert_eq!(available("machine", &[]), Some(6000 * 1024));
        let limits = "Max data size   unlimited   unlimited   bytes\nMax address space   unlimited   unlimited   bytes\n";
        assert_eq!(available("unlimited", &[("proc/self/limits", limits)]), Some(6000 * 1024));
    }

    #[test]
    fn a_limit_of_the_process_counts_from_what_it_has() {
        let limits = "Max address space         4096000              unlimited            bytes     \n";
        assert_eq!(available("space", &[("proc/self/limits", limits)]), Some(4_096_000 - 2000 * 1024));
        let limits = "Max data size             1024                 unlimited            bytes     \n";
        assert_eq!(available("data", &[("proc/self/limits", limits)]), Some(0));
    }

    #[test]
    fn the_tightest_group_limits_and_its_caches_are_free() {
        let two = [
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "1000\n"),
            ("sys/fs/cgroup/a/memory.max", "100000\n"),
            ("sys/fs/cgroup/a/memory.current", "90000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 20000\nactive_file 300\n"),
        ];
        assert_eq!(available("two", &two), Some(30300));
        let one = [
            ("proc/self/cgroup", "4:memory:/process/x\n0::/\n"),
            ("sys/fs/cgroup/memory/process/x/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/process/x/memory.usage_in_bytes", "4096\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "4096\n"),
            ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 96\ninactive_file 1\n"),
        ];
        assert_eq!(available("one", &one), Some(1000));
    }

    #[test]
    fn a_system_that_does_not_tell_is_no_limit() {
        let root = FakeRoot::new("nothing", &[("proc/meminfo", "MemTotal: 1 kB\n")]);
        assert_eq!(available_in(root.path()), None);
    }
}
