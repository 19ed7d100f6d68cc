//! The KV cache of a sequence.

use bytemuck::Zeroable;
use bytemuck::allocation::try_zeroed_slice_box;
use half::f16;
use half::slice::HalfFloatSliceExt;
use tercet_pool::Pool;

use crate::error::{Error, Result};
use crate::memory;
use crate::runtime::CacheType;
use crate::vectors::attention::{BLOCK, KeysValues};
use tercet_formats::config::Config;

/// A type of stored keys and values.
pub(super) trait Element: Copy + Default + Zeroable + Send + Sync {
    /// Rounds `x` to the nearest elements. `out` must be as long as `x`.
    fn round(out: &mut [Self], x: &[f32]);
}

impl Element for f16 {
    /// Values beyond the range of a half become the largest half of the same sign.
    fn round(out: &mut [Self], x: &[f32]) {
        const PIECE: usize = 64;
        for (out, x) in out.chunks_mut(PIECE).zip(x.chunks(PIECE)) {
            let mut within = [0.0; PIECE];
            within.iter_mut().zip(x).for_each(|(within, x)| *within = x.clamp(-65_504.0, 65_504.0));
            out.convert_from_f32_slice(&within[..x.len()]);
        }
    }
}

impl Element for f32 {
    fn round(out: &mut [Self], x: &[f32]) {
        out.copy_from_slice(x);
    }
}

/// The keys and values of every layer.
#[derive(Debug)]
pub(super) struct KvCache {
    context: usize,
    kv_heads: usize,
    head_dim: usize,
    layers: Layers,
}

#[derive(Debug)]
enum Layers {
    F16(Vec<Layer<f16>>),
    F32(Vec<Layer<f32>>),
}

#[derive(Debug)]
struct Layer<E> {
    /// kv head × block of positions × head_dim × position in the block.
    keys: Box<[E]>,
    /// kv head × position × head_dim.
    values: Box<[E]>,
}

/// One head's part of a layer. All elements are finite, also those after the last stored position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head<'a> {
    F16(KeysValues<'a, f16>),
    F32(KeysValues<'a, f32>),
}

impl KvCache {
    /// Returns a cache with room for `context` positions. The system commits its pages as positions are stored.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the system refuses the memory.
    pub(super) fn new(config: &Config, kind: CacheType, context: usize) -> Result<Self> {
        let Config { layers, kv_heads, head_dim, .. } = *config;
        let positions = context.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
        let bytes = memory::product([positions, Self::bytes_per_position(config, kind)]);
        memory::require(bytes, || purpose(context), REMEDY)?;
        let elements = kv_heads * positions * head_dim;
        let layers = match kind {
            CacheType::F16 => all(layers, || Layer::new(elements)).map(Layers::F16),
            CacheType::F32 => all(layers, || Layer::new(elements)).map(Layers::F32),
        };
        let refused = || Error::out_of_memory(purpose(context), bytes, None, REMEDY);
        let layers = layers.ok_or_else(refused)?;
        Ok(KvCache { context, kv_heads, head_dim, layers })
    }

    /// Returns the bytes of one position.
    pub(super) fn bytes_per_position(config: &Config, kind: CacheType) -> usize {
        let element = match kind {
            CacheType::F16 => size_of::<f16>(),
            CacheType::F32 => size_of::<f32>(),
        };
        let bytes = memory::product([2, config.layers, config.kv_heads, config.head_dim, element]);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Returns the number of positions that the cache has room for.
    pub(super) fn context(&self) -> usize {
        self.context
    }

    /// Returns the bytes of all keys and values.
    pub(super) fn bytes(&self) -> usize {
        match &self.layers {
            Layers::F16(layers) => layers.iter().map(Layer::bytes).sum(),
            Layers::F32(layers) => layers.iter().map(Layer::bytes).sum(),
        }
    }

    /// Stores `keys` and `values` of consecutive tokens from `position` on. Each token has kv_heads ×
    /// head_dim elements.
    pub(super) fn store(&mut self, pool: &Pool, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let shape = (self.kv_heads, self.head_dim);
        match &mut self.layers {
            Layers::F16(layers) => layers[layer].store(pool, shape, position, keys, values),
            Layers::F32(layers) => layers[layer].store(pool, shape, position, keys, values),
        }
    }

    /// Copies the keys and values of the first `positions` positions of `from`, a cache of the same model.
    pub(super) fn copy_prefix(&mut self, from: &KvCache, positions: usize) {
        let shape = (self.kv_heads, self.head_dim);
        match (&mut self.layers, &from.layers) {
            (Layers::F16(to), Layers::F16(from)) => copy_layers(to, from, shape, positions),
            (Layers::F32(to), Layers::F32(from)) => copy_layers(to, from, shape, positions),
            _ => unreachable!("sequences of one model have caches of one type"),
        }
    }

    /// Returns the part of one KV head.
    pub(super) fn head(&self, layer: usize, head: usize) -> Head<'_> {
        let shape = (self.kv_heads, self.head_dim);
        match &self.layers {
            Layers::F16(layers) => Head::F16(layers[layer].head(shape, head)),
            Layers::F32(layers) => Head::F32(layers[layer].head(shape, head)),
        }
    }
}

const REMEDY: &str = "use a smaller context (--context)";

fn purpose(context: usize) -> String {
    format!("the cache of {context} tokens")
}

fn all<E>(layers: usize, layer: impl FnMut() -> Option<Layer<E>>) -> Option<Vec<Layer<E>>> {
    std::iter::repeat_with(layer).take(layers).collect()
}

fn copy_layers<E: Element>(
    to: &mut [Layer<E>],
    from: &[Layer<E>],
    (kv_heads, dim): (usize, usize),
    positions: usize,
) {
    let heads = |elements: usize| elements / kv_heads;
    for (to, from) in to.iter_mut().zip(from) {
        let (to_head, from_head) = (heads(to.keys.len()), heads(from.keys.len()));
        for (to, from) in to.keys.chunks_exact_mut(to_head).zip(from.keys.chunks_exact(from_head)) {
            let elements = positions.next_multiple_of(BLOCK) * dim;
            to[..elements].copy_from_slice(&from[..elements]);
        }
        for (to, from) in to.values.chunks_exact_mut(to_head).zip(from.values.chunks_exact(from_head)) {
            to[..positions * dim].copy_from_slice(&from[..positions * dim]);
        }
    }
}

impl<E: Element> Layer<E> {
    /// Returns zeros, or none if the system refuses the memory.
    fn new(elements: usize) -> Option<Self> {
        let zeros = || try_zeroed_slice_box(elements).ok();
        Some(Layer { keys: zeros()?, values: zeros()? })
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.keys[..]) + size_of_val(&self.values[..])
    }

    fn store(
        &mut self,
        pool: &Pool,
        (kv_heads, dim): (usize, usize),
        position: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        /// Elements of a key that are rounded together.
        const PIECE: usize = 64;
        let (width, of_head) = (kv_heads * dim, self.keys.len() / kv_heads);
        pool.chunks(&mut self.keys, of_head, |head, cache| {
            for (token, position) in keys.chunks_exact(width).zip(position..) {
                let block = &mut cache[position / BLOCK * BLOCK * dim..][..BLOCK * dim];
                let key = &token[head * dim..][..dim];
                let mut rounded = [E::default(); PIECE];
                for (key, block) in key.chunks(PIECE).zip(block.chunks_mut(PIECE * BLOCK)) {
                    let rounded = &mut rounded[..key.len()];
                    E::round(rounded, key);
                    for (elements, key) in block.chunks_exact_mut(BLOCK).zip(rounded) {
                        elements[position % BLOCK] = *key;
                    }
                }
            }
        });
        pool.chunks(&mut self.values, of_head, |head, cache| {
            for (token, position) in values.chunks_exact(width).zip(position..) {
                E::round(&mut cache[position * dim..][..dim], &token[head * dim..][..dim]);
            }
        });
    }

    fn head(&self, (kv_heads, dim): (usize, usize), head: usize) -> KeysValues<'_, E> {
        let elements = self.keys.len() / kv_heads;
        let part = head * elements..(head + 1) * elements;
        KeysValues { keys: &self.keys[part.clone()], values: &self.values[part], dim }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Preset;

    #[test]
    fn stored_keys_and_values_are_read_back() {
        let preset = Preset::find("bitnet-2b-4t").unwrap();
        let config = Config { layers: 2, kv_heads: 3, head_dim: 5, ..preset.config() };
        let pool = Pool::new(2).unwrap();
        let row = |position: usize, offset: f32| {
            (0..15).map(move |i| offset + (position * 16 + i) as f32).collect::<Vec<_>>()
        };
        for kind in CacheType::ALL {
            let mut cache = KvCache::new(&config, kind, 70).unwrap();
            for positions in [0..1, 1..40, 40..70] {
                let tokens = |offset| positions.clone().flat_map(|p| row(p, offset)).collect::<Vec<_>>();
                cache.store(&pool, 1, positions.start, &tokens(0.0), &tokens(0.5));
            }
            for (head, position) in (0..3).flat_map(|head| (0..70).map(move |position| (head, position))) {
                let expected = |offset| row(position, offset)[head * 5..][..5].to_vec();
                match cache.head(1, head) {
                    Head::F16(read) => {
                        let halves = |offset| rounded(&expected(offset));
                        assert_eq!(read_position(&read, position), (halves(0.0), halves(0.5)));
                    }
                    Head::F32(read) => {
                        assert_eq!(read_position(&read, position), (expected(0.0), expected(0.5)));
                    }
                }
                assert!(
                    matches!(cache.head(0, head), Head::F16(KeysValues { keys, .. }) if keys[0] == f16::ZERO)
                        || kind == CacheType::F32
                );
            }
            assert_eq!(cache.bytes(), 96 * KvCache::bytes_per_position(&config, kind));
        }
    }

    #[test]
    fn memory_that_the_system_refuses_is_an_error() {
        let config = Preset::find("bitnet-2b-4t").unwrap().config();
        let refused = KvCache::new(&config, CacheType::F32, 1 << 44);
        assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
    }

    fn read_position<E: Element>(head: &KeysValues<'_, E>, position: usize) -> (Vec<E>, Vec<E>) {
        let keys = head.keys(position / BLOCK * BLOCK).chunks(BLOCK).map(|block| block[position % BLOCK]);
        (keys.collect(), head.values(position, 1).to_vec())
    }

    #[test]
    fn values_too_large_for_a_half_become_the_largest_half() {
        assert_eq!(rounded(&[1e9, -1e9, 65_519.0, 1.0]), [f16::MAX, f16::MIN, f16::MAX, f16::ONE]);
        assert!(rounded(&[f32::NAN])[0].is_nan());
    }

    fn rounded(x: &[f32]) -> Vec<f16> {
        let mut out = vec![f16::ZERO; x.len()];
        f16::round(&mut out, x);
        out
    }
}
