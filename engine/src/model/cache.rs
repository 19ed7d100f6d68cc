//! The KV cache of a sequence.
//!
//! It grows in pages of [`PAGE`] positions. Sequences with a common prefix share the pages that it fills.

mod table;

use half::f16;
use tercet_pool::Pool;

use crate::error::{Error, Result};
use crate::memory::{self, Promise};
use crate::runtime::CacheType;
use crate::vectors::attention::{KeysValues, PAGE, Stored};
use table::PageTable;
use tercet_formats::config::Config;

/// The keys and values of every layer.
#[derive(Debug)]
pub(super) struct KvCache {
    context: usize,
    pages: Pages,
    page_bytes: u64,
    /// The memory of pages to come.
    promise: Promise,
}

#[derive(Debug)]
enum Pages {
    F16(PageTable<f16>),
    F32(PageTable<f32>),
    Q8(PageTable<i8>),
}

/// One head's part of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head<'a> {
    F16(KeysValues<'a, f16>),
    F32(KeysValues<'a, f32>),
    Q8(KeysValues<'a, i8>),
}

impl KvCache {
    /// Returns an empty cache that may grow to `context` positions.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the system has too little memory for it, beside what other caches may still take.
    pub(super) fn new(config: &Config, kind: CacheType, context: usize) -> Result<Self> {
        let page_bytes = Self::bytes_for(config, kind, PAGE);
        let promise = Promise::new(Self::bytes_for(config, kind, context), || purpose(context), REMEDY)?;
        let pages = match kind {
            CacheType::F16 => Pages::F16(PageTable::new(config)),
            CacheType::F32 => Pages::F32(PageTable::new(config)),
            CacheType::Q8 => Pages::Q8(PageTable::new(config)),
        };
        Ok(KvCache { context, pages, page_bytes, promise })
    }

    /// Returns the bytes of one position.
    pub(super) fn bytes_per_position(config: &Config, kind: CacheType) -> usize {
        let dim = config.head_dim;
        let bytes_of_head = match kind {
            CacheType::F16 => f16::of_head(dim) * size_of::<f16>(),
            CacheType::F32 => f32::of_head(dim) * size_of::<f32>(),
            CacheType::Q8 => i8::of_head(dim),
        };
        let bytes = memory::product([config.layers, config.kv_heads, bytes_of_head / PAGE]);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Returns the bytes of the pages of `positions` positions.
    pub(super) fn bytes_for(config: &Config, kind: CacheType, positions: usize) -> u64 {
        let pages = positions.div_ceil(PAGE);
        memory::product([pages, PAGE, Self::bytes_per_position(config, kind)])
    }

    /// Returns the bytes that the cache may still take.
    pub(super) fn bytes_to_come(&self) -> u64 {
        self.promise.left()
    }

    /// Keeps the first `positions` positions, and gives up other pages and the memory that was promised.
    pub(super) fn freeze(&mut self, positions: usize) {
        self.promise.keep(0);
        match &mut self.pages {
            Pages::F16(pages) => pages.truncate(positions),
            Pages::F32(pages) => pages.truncate(positions),
            Pages::Q8(pages) => pages.truncate(positions),
        }
    }

    /// Returns the number of positions that the cache may grow to.
    pub(super) fn context(&self) -> usize {
        self.context
    }

    /// Returns the bytes of all pages, also of shared ones.
    pub(super) fn bytes(&self) -> usize {
        self.count() * self.page_bytes as usize
    }

    /// Returns the number of pages.
    fn count(&self) -> usize {
        match &self.pages {
            Pages::F16(pages) => pages.identities().len(),
            Pages::F32(pages) => pages.identities().len(),
            Pages::Q8(pages) => pages.identities().len(),
        }
    }

    /// Returns the identity of each page. Shared pages have the same.
    pub(super) fn pages(&self) -> Vec<usize> {
        match &self.pages {
            Pages::F16(pages) => pages.identities().collect(),
            Pages::F32(pages) => pages.identities().collect(),
            Pages::Q8(pages) => pages.identities().collect(),
        }
    }

    /// Prepares to store the positions from `start` to `end`. Positions before `start` are kept.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the system refuses the memory.
    pub(super) fn reach(&mut self, start: usize, end: usize) -> Result<()> {
        let reached = match &mut self.pages {
            Pages::F16(pages) => pages.reach(start, end),
            Pages::F32(pages) => pages.reach(start, end),
            Pages::Q8(pages) => pages.reach(start, end),
        };
        let to_come = self.context.div_ceil(PAGE).saturating_sub(self.count());
        self.promise.keep(to_come as u64 * self.page_bytes);
        let bytes = self.page_bytes * end.div_ceil(PAGE) as u64;
        reached.ok_or_else(|| Error::out_of_memory(purpose(end), bytes, None, REMEDY))
    }

    /// Stores `keys` and `values` of consecutive tokens from `position` on, which the cache has reached. Each token has
    /// kv_heads × head_dim elements.
    pub(super) fn store(&mut self, pool: &Pool, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        match &mut self.pages {
            Pages::F16(pages) => pages.store(pool, layer, position, keys, values),
            Pages::F32(pages) => pages.store(pool, layer, position, keys, values),
            Pages::Q8(pages) => pages.store(pool, layer, position, keys, values),
        }
    }

    /// Replaces the content by the first `positions` positions of `other`, a cache of the same model, and returns their number:
    /// fewer if memory is short. Both share whole pages. The rest is copied, because this cache will write there.
    pub(super) fn share_prefix(&mut self, other: &KvCache, positions: usize) -> usize {
        match (&mut self.pages, &other.pages) {
            (Pages::F16(pages), Pages::F16(other)) => pages.share_prefix(other, positions),
            (Pages::F32(pages), Pages::F32(other)) => pages.share_prefix(other, positions),
            (Pages::Q8(pages), Pages::Q8(other)) => pages.share_prefix(other, positions),
            _ => unreachable!("sequences of one model have caches of one type"),
        }
        let copied = self.reach(positions, positions.next_multiple_of(PAGE));
        if copied.is_ok() { positions } else { positions / PAGE * PAGE }
    }

    /// Returns the part of one KV head.
    pub(super) fn head(&self, layer: usize, head: usize) -> Head<'_> {
        match &self.pages {
            Pages::F16(pages) => Head::F16(pages.head(layer, head)),
            Pages::F32(pages) => Head::F32(pages.head(layer, head)),
            Pages::Q8(pages) => Head::Q8(pages.head(layer, head)),
        }
    }
}

const REMEDY: &str = "use a smaller context";

fn purpose(context: usize) -> String {
    format!("the cache of {context} tokens")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Preset;
    use crate::vectors::attention::BLOCK;

    const POSITIONS: usize = 2 * PAGE + 70;

    fn config() -> Config {
        let preset = Preset::find("bitnet-2b-4t").unwrap();
        Config { layers: 2, kv_heads: 3, head_dim: 6, ..preset.config() }
    }

    /// Returns the keys or values of a token, which halves hold exactly.
    fn row(position: usize, offset: f32) -> Vec<f32> {
        (0..18).map(|i| offset + (position % 25 * 18 + i) as f32).collect()
    }

    fn store(cache: &mut KvCache, layer: usize, positions: std::ops::Range<usize>, offset: f32) {
        let rows = |offset| positions.clone().flat_map(|p| row(p, offset)).collect::<Vec<_>>();
        cache.reach(positions.start, positions.end).unwrap();
        cache.store(&Pool::new(2).unwrap(), layer, positions.start, &rows(offset), &rows(offset + 0.25));
    }

    fn assert_holds(cache: &KvCache, layer: usize, positions: std::ops::Range<usize>, offset: f32) {
        for (head, position) in
            (0..3).flat_map(|head| positions.clone().map(move |position| (head, position)))
        {
            let expected =
                [offset, offset + 0.25].map(|offset| row(position, offset)[head * 6..][..6].to_vec());
            let found = match cache.head(layer, head) {
                Head::F16(head) => {
                    read_position(&head, position).map(|x| x.iter().map(|x| x.to_f32()).collect())
                }
                Head::F32(head) => read_position(&head, position),
                Head::Q8(head) => read_bytes(&head, position),
            };
            for (found, expected) in found.iter().zip(&expected) {
                let bound = match cache.pages {
                    Pages::F16(_) | Pages::F32(_) => 0.0,
                    Pages::Q8(_) => expected.iter().fold(0.0, |a: f32, b| a.max(b.abs())) / 253.0,
                };
                let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= bound);
                assert!(close, "layer {layer}, head {head}, position {position}: {found:?} {expected:?}");
            }
        }
    }

    /// Returns the key and the value of a position.
    fn read_position<E: Stored>(head: &KeysValues<'_, E>, position: usize) -> [Vec<E>; 2] {
        let block = position / BLOCK * BLOCK;
        let key = head.keys(block).chunks(BLOCK).map(|keys| keys[position - block]);
        let values = head.values(block, position - block + 1);
        [key.collect(), values[values.len() - head.dim..].to_vec()]
    }

    /// Returns the key and the value of a position in bytes.
    fn read_bytes(head: &KeysValues<'_, i8>, position: usize) -> [Vec<f32>; 2] {
        let block = position / BLOCK * BLOCK;
        let place = position - block;
        let [key_step, value_step] = head.steps(block).map(|steps| steps[place]);
        let key = head.keys(block).chunks(2 * BLOCK).flat_map(|pairs| &pairs[2 * place..][..2]);
        let value = head.values(block, BLOCK)[place / 2 * 2 * head.dim..][..2 * head.dim].chunks(2);
        [
            key.map(|&key| f32::from(key) * key_step).collect(),
            value.map(|pair| f32::from(pair[place % 2]) * value_step).collect(),
        ]
    }

    #[test]
    fn stored_keys_and_values_are_read_back() {
        for kind in CacheType::ALL {
            let mut cache = KvCache::new(&config(), kind, POSITIONS).unwrap();
            for positions in [0..1, 1..40, 40..POSITIONS] {
                (0..2).for_each(|layer| store(&mut cache, layer, positions.clone(), layer as f32 * 0.5));
            }
            (0..2).for_each(|layer| assert_holds(&cache, layer, 0..POSITIONS, layer as f32 * 0.5));
            assert_eq!(cache.bytes(), 3 * PAGE * KvCache::bytes_per_position(&config(), kind));
        }
    }

    #[test]
    fn a_cache_takes_what_it_holds() {
        let mut cache = KvCache::new(&config(), CacheType::F16, POSITIONS).unwrap();
        assert_eq!((cache.bytes(), cache.promise.left()), (0, 3 * cache.page_bytes));
        store(&mut cache, 0, 0..1, 0.0);
        store(&mut cache, 0, 1..PAGE, 0.0);
        assert_eq!((cache.pages().len(), cache.promise.left()), (1, 2 * cache.page_bytes));
        store(&mut cache, 0, PAGE..PAGE + 1, 0.0);
        assert_eq!((cache.pages().len(), cache.promise.left()), (2, cache.page_bytes));
    }

    #[test]
    fn sequences_share_the_whole_pages_of_a_prefix() {
        for kind in CacheType::ALL {
            let mut first = KvCache::new(&config(), kind, POSITIONS).unwrap();
            let mut second = KvCache::new(&config(), kind, POSITIONS).unwrap();
            (0..2).for_each(|layer| store(&mut first, layer, 0..POSITIONS, 0.0));
            for prefix in [PAGE, PAGE + 37] {
                assert_eq!(second.share_prefix(&first, prefix), prefix);
                assert_eq!(second.pages()[0], first.pages()[0]);
                assert!(second.pages()[1..].iter().all(|page| !first.pages().contains(page)));
                assert_eq!(second.promise.left(), (3 - prefix.div_ceil(PAGE) as u64) * second.page_bytes);
                (0..2).for_each(|layer| store(&mut second, layer, prefix..POSITIONS, 0.5));
                for layer in 0..2 {
                    assert_holds(&first, layer, 0..POSITIONS, 0.0);
                    assert_holds(&second, layer, 0..prefix, 0.0);
                    assert_holds(&second, layer, prefix..POSITIONS, 0.5);
                }
            }
            // The owner begins anew within a page that is shared.
            store(&mut first, 0, 10..20, 0.5);
            assert_holds(&first, 0, 0..10, 0.0);
            assert_holds(&first, 0, 10..20, 0.5);
            assert_holds(&second, 0, 0..PAGE, 0.0);
        }
    }

    #[test]
    fn memory_that_the_system_does_not_have_is_an_error() {
        let config = Preset::find("bitnet-2b-4t").unwrap().config();
        let refused = KvCache::new(&config, CacheType::F32, 1 << 44);
        assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
    }
}
