//! Facts about the CPU from macOS's sysctl.

use sysctl::{Ctl, Sysctl};

use crate::cache::{Cache, CacheKind};
use crate::topology::{CoreClass, LogicalCpu, Topology};

/// Returns the marketing name, such as `Apple M1`. It is empty if the system does not tell.
pub(super) fn brand() -> String {
    text("machdep.cpu.brand_string").unwrap_or_default()
}

/// Returns the logical CPUs, numbered class by class from the fastest, and the caches of the fastest.
pub(super) fn topology() -> Topology {
    let levels = number("hw.nperflevels").unwrap_or(1) as usize;
    let mut cpus = Vec::new();
    for level in 0..levels {
        let count = number(&format!("hw.perflevel{level}.logicalcpu")).unwrap_or(0) as usize;
        let class = match (levels, level) {
            (1, _) => None,
            (_, 0) => Some(CoreClass::Performance),
            _ => Some(CoreClass::Efficiency),
        };
        let first = cpus.len();
        cpus.extend((first..first + count).map(|id| LogicalCpu { id, core: id, class }));
    }
    Topology { cpus, caches: caches(), main_id: None }
}

fn caches() -> Vec<Cache> {
    let line = number("hw.cachelinesize").unwrap_or(64) as u32;
    let known =
        [(1, CacheKind::Data, "l1d"), (1, CacheKind::Instruction, "l1i"), (2, CacheKind::Unified, "l2")];
    let cache = |(level, kind, name): (u8, CacheKind, &str)| {
        let of_level = number(&format!("hw.perflevel0.{name}cachesize"));
        let size = of_level.or_else(|| number(&format!("hw.{name}cachesize")))?;
        let sharing = number("hw.perflevel0.cpusperl2").filter(|_| level == 2).unwrap_or(1);
        Some(Cache { level, kind, size, line, shared_by: sharing as usize })
    };
    known.into_iter().filter_map(cache).collect()
}

fn text(name: &str) -> Option<String> {
    Ctl::new(name).ok()?.value_string().ok()
}

fn number(name: &str) -> Option<u64> {
    text(name)?.parse().ok()
}
