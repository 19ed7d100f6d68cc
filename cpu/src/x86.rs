//! Facts in CPUID, live or recorded, decoded by raw-cpuid (Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E).

mod features;
mod guard;
mod live;
mod permission;

use raw_cpuid::{CacheParameter, CacheType, CpuId};

use crate::cache::{Cache, CacheKind};
use crate::dump::Leaves;
use crate::topology::CoreClass;
use guard::Guarded;
pub(super) use permission::ask_for_tiles;

/// The decoded table of one CPU.
pub(super) struct Decoder<'a> {
    leaves: &'a Leaves,
    cpuid: CpuId<Guarded<'a>>,
}

/// No CPU has more caches, or levels of topology. A recorded table may.
const MOST: usize = 32;

impl<'a> Decoder<'a> {
    pub(super) fn new(leaves: &'a Leaves) -> Self {
        Decoder { leaves, cpuid: CpuId::with_cpuid_reader(Guarded(leaves)) }
    }

    /// Returns leaf 0's vendor string.
    pub(super) fn vendor(&self) -> String {
        self.cpuid.get_vendor_info().map(|vendor| collapsed(vendor.as_str())).unwrap_or_default()
    }

    /// Returns the marketing name.
    pub(super) fn brand(&self) -> String {
        self.cpuid.get_processor_brand_string().map(|brand| collapsed(brand.as_str())).unwrap_or_default()
    }

    /// Returns family, model and stepping. The base family says whether the extended parts count.
    ///
    /// raw-cpuid adds the families in 8 bits, which may overflow.
    pub(super) fn signature(&self) -> (u32, u32, u32) {
        let Some(info) = self.cpuid.get_feature_info() else { return (0, 0, 0) };
        let base = u32::from(info.base_family_id());
        let family = if base == 0xF { base + u32::from(info.extended_family_id()) } else { base };
        let high = if base == 0xF || base == 6 { u32::from(info.extended_model_id()) << 4 } else { 0 };
        (family, high | u32::from(info.base_model_id()), u32::from(info.stepping_id()))
    }

    /// Returns the caches of the core that answered.
    pub(super) fn caches(&self) -> Vec<Cache> {
        let logical = self.logical_cpus();
        let caches = self.cpuid.get_cache_parameters().into_iter().flatten().take(MOST);
        caches.filter_map(|parameters| cache(&parameters, logical)).collect()
    }

    /// Returns the class of the core that answered, on a hybrid CPU. raw-cpuid lacks both bits.
    pub(super) fn core_class(&self) -> Option<CoreClass> {
        let [.., features] = self.leaves.get(7, 0);
        let [core, ..] = self.leaves.get(0x1A, 0);
        let is_hybrid = features >> 15 & 1 == 1;
        match core >> 24 {
            0x40 if is_hybrid => Some(CoreClass::Performance),
            0x20 if is_hybrid => Some(CoreClass::Efficiency),
            _ => None,
        }
    }

    /// Returns the logical CPUs in the package: the widest level of leaf 0x1F or 0xB, otherwise leaf 1's count. It is
    /// at least 1.
    pub(super) fn logical_cpus(&self) -> usize {
        let [v2, v1] = [self.cpuid.get_extended_topology_info_v2(), self.cpuid.get_extended_topology_info()];
        let widest = [v2, v1].map(|levels| {
            levels.into_iter().flatten().take(MOST).map(|level| usize::from(level.processors())).max()
        });
        let of_leaf_1 = self.cpuid.get_feature_info().filter(|info| info.has_htt());
        let of_leaf_1 = of_leaf_1.map(|info| usize::from(info.max_logical_processor_ids()));
        widest.into_iter().chain([of_leaf_1]).flatten().find(|&count| count > 0).unwrap_or(1)
    }

    /// Returns the known features that the CPU has and whose registers the operating system saves.
    pub(super) fn features(&self) -> Vec<&'static str> {
        features::enabled(&self.cpuid, self.leaves)
    }
}

fn cache(parameters: &CacheParameter, logical: usize) -> Option<Cache> {
    let size = [
        parameters.coherency_line_size(),
        parameters.physical_line_partitions(),
        parameters.associativity(),
        parameters.sets(),
    ];
    Some(Cache {
        level: parameters.level(),
        kind: match parameters.cache_type() {
            CacheType::Data => CacheKind::Data,
            CacheType::Instruction => CacheKind::Instruction,
            CacheType::Unified => CacheKind::Unified,
            CacheType::Null | CacheType::Reserved => return None,
        },
        size: size.into_iter().fold(1, |size: u64, factor| size.saturating_mul(factor as u64)),
        line: parameters.coherency_line_size() as u32,
        shared_by: parameters.max_cores_for_cache().min(logical),
    })
}

/// Returns `text` up to the first NUL, with runs of spaces collapsed.
fn collapsed(text: &str) -> String {
    let text = text.split('\0').next().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
