//! Caches, and their description by Linux.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::topology::parse_cpu_list;

/// The content of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// Data only.
    Data,
    /// Instructions only.
    Instruction,
    /// Both.
    Unified,
}

/// One cache of a core. Displays as `L1d32K`, `L2u1024K`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// 1 for the innermost.
    pub level: u8,
    /// Content.
    pub kind: CacheKind,
    /// Capacity in bytes.
    pub size: u64,
    /// Line size in bytes.
    pub line: u32,
    /// Number of logical CPUs that share it. From CPUID alone it is an upper bound.
    pub shared_by: usize,
}

impl Cache {
    /// Reads the caches of one CPU from its sysfs directory (`system/cpu/cpu0/cache`). Returns none if that is missing.
    pub(super) fn read_all(directory: &Path) -> Vec<Cache> {
        (0..).map_while(|index| Cache::read(&directory.join(format!("index{index}")))).collect()
    }

    fn read(directory: &Path) -> Option<Cache> {
        let field = |name| fs::read_to_string(directory.join(name)).ok().map(|text| text.trim().to_owned());
        Some(Cache {
            level: field("level")?.parse().ok()?,
            kind: match field("type")?.as_str() {
                "Data" => CacheKind::Data,
                "Instruction" => CacheKind::Instruction,
                "Unified" => CacheKind::Unified,
                _ => return None,
            },
            size: field("size")?.strip_suffix('K')?.parse::<u64>().ok()?.checked_mul(1024)?,
            line: field("coherency_line_size")?.parse().ok()?,
            shared_by: parse_cpu_list(&field("shared_cpu_list")?)?.len(),
        })
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            CacheKind::Data => 'd',
            CacheKind::Instruction => 'i',
            CacheKind::Unified => 'u',
        };
        write!(f, "L{}{kind}{}K", self.level, self.size / 1024)
    }
}
