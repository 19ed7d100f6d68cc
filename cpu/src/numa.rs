//! Memory of machines with several nodes (NUMA), such as those with two sockets.
//!
//! Linux places a page on the node of the thread that first writes to it. A thread packs a whole layer, but all threads read
//! it. So a layer's products would wait for the memory of one node, while that of the others idles.

use std::fs;
use std::marker::PhantomData;
use std::path::Path;

use crate::topology::parse_cpu_list;

/// Returns the nodes with memory for this process and CPUs that its affinity mask allows, in ascending order. There are
/// none if the system does not tell.
pub fn nodes() -> Vec<usize> {
    nodes_in(Path::new("/"))
}

/// Reads the same from a directory with the layout of Linux's root (`proc/self`, `sys`).
pub fn nodes_in(root: &Path) -> Vec<usize> {
    let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
    let allowed = |name| parse_cpu_list(status.lines().find_map(|line| line.strip_prefix(name))?);
    let system = root.join("sys/devices/system/node");
    let list = |path: &str| parse_cpu_list(&fs::read_to_string(system.join(path)).ok()?);
    let (Some(cpus), Some(memory)) = (allowed("Cpus_allowed_list:"), allowed("Mems_allowed_list:")) else {
        return Vec::new();
    };
    let mut nodes = list("has_memory").unwrap_or_default();
    nodes.retain(|node| {
        let own = list(&format!("node{node}/cpulist")).unwrap_or_default();
        memory.contains(node) && own.iter().any(|cpu| cpus.contains(cpu))
    });
    nodes
}

/// While it lives, the thread that made it places pages on all [`nodes`] in turn. Threads that it starts meanwhile do so for
/// ever.
///
/// Nothing changes on a machine with one node, or if somebody else has set a policy, for example by `numactl`. Where the
/// system refuses, as it may in a container, threads place their pages as always.
///
/// ```
/// let spread = tercet_cpu::numa::Spread::begin();
/// let weights = vec![1; 1 << 20];
/// drop(spread);
/// assert_eq!(weights.len(), 1 << 20);
/// ```
#[derive(Debug)]
pub struct Spread {
    /// False if the thread's policy is not ours.
    is_set: bool,
    /// The policy belongs to the thread.
    _thread: PhantomData<*const ()>,
}

impl Spread {
    /// Changes the policy of the calling thread.
    #[must_use = "the policy ends with the value"]
    pub fn begin() -> Self {
        let nodes = nodes();
        Spread { is_set: nodes.len() > 1 && policy::take_turns(&nodes), _thread: PhantomData }
    }
}

impl Drop for Spread {
    fn drop(&mut self) {
        if self.is_set {
            policy::reset();
        }
    }
}

#[cfg(target_os = "linux")]
mod policy {
    use std::ffi::{c_int, c_ulong};
    use std::ptr;

    /// Lets the thread, and those that it starts, place pages on `nodes` in turn, if it has no policy yet. Returns true if it
    /// has this one now.
    pub(super) fn take_turns(nodes: &[usize]) -> bool {
        const BITS: usize = c_ulong::BITS as usize;
        let mut mask = [0 as c_ulong; 16];
        for node in nodes {
            let Some(bits) = mask.get_mut(node / BITS) else { return false };
            *bits |= 1 << (node % BITS);
        }
        is_default() && set(libc::MPOL_INTERLEAVE, &mask)
    }

    /// Takes the system's default policy again.
    pub(super) fn reset() {
        set(libc::MPOL_DEFAULT, &[]);
    }

    fn is_default() -> bool {
        const NONE: c_ulong = 0;
        let mut mode: c_int = -1;
        // SAFETY: the system writes one `c_int` to `mode`, and nothing to the mask, which is null and has no bits.
        let code = unsafe {
            libc::syscall(
                libc::SYS_get_mempolicy,
                &raw mut mode,
                ptr::null_mut::<c_ulong>(),
                NONE,
                NONE,
                NONE,
            )
        };
        code == 0 && mode == libc::MPOL_DEFAULT
    }

    fn set(mode: c_int, mask: &[c_ulong]) -> bool {
        // The system reads one bit less than it is told.
        let bits = if mask.is_empty() { 0 } else { mask.len() * c_ulong::BITS as usize + 1 };
        let first = if mask.is_empty() { ptr::null() } else { mask.as_ptr() };
        // SAFETY: the system reads the bits of `mask` that exist, and changes no memory of this process.
        unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, first, bits) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod policy {
    /// Does nothing: the system offers no such policy.
    pub(super) fn take_turns(_: &[usize]) -> bool {
        false
    }

    pub(super) fn reset() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_root::FakeRoot;

    /// Two sockets of four cores with two threads each, and a node of memory without CPUs.
    fn nodes_of(name: &str, cpus: &str, memory: &str) -> Vec<usize> {
        let status = format!("Cpus_allowed_list:\t{cpus}\nMems_allowed_list:\t{memory}\n");
        let files = [
            ("proc/self/status", status.as_str()),
            ("sys/devices/system/node/has_memory", "0-2\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3,8-11\n"),
            ("sys/devices/system/node/node1/cpulist", "4-7,12-15\n"),
            ("sys/devices/system/node/node2/cpulist", "\n"),
        ];
        nodes_in(FakeRoot::new(name, &files).path())
    }

    #[test]
    fn nodes_have_memory_and_cpus_of_the_process() {
        assert_eq!(nodes_of("nodes-all", "0-15", "0-2"), [0, 1]);
        assert_eq!(nodes_of("nodes-one-socket", "4-7", "0-2"), [1]);
        assert_eq!(nodes_of("nodes-one-memory", "0-15", "1"), [1]);
        assert_eq!(nodes_of("nodes-nonsense", "all", "0"), [0; 0]);
        assert_eq!(nodes_in(Path::new("no such directory")), [0; 0]);
    }

    /// Linux shows a thread's policy beside each of its mappings. With one node, taking turns changes nothing else.
    #[cfg(target_os = "linux")]
    #[test]
    fn threads_inherit_the_policy_and_the_caller_gets_its_own_back() {
        fn shown() -> Option<String> {
            let maps = fs::read_to_string("/proc/thread-self/numa_maps").ok()?;
            Some(maps.split_whitespace().nth(1)?.to_owned())
        }
        let (Some(before), [first, ..]) = (shown(), &nodes()[..]) else { return };
        if before != "default" || !policy::take_turns(&[*first]) {
            return; // The container forbids it.
        }
        assert!(!policy::take_turns(&[*first]), "a policy that is set stays");
        let inherited = std::thread::spawn(shown).join().unwrap().unwrap();
        policy::reset();
        assert_eq!(inherited, format!("interleave:{first}"));
        assert_eq!(shown().unwrap(), "default");
    }
}
