//! The pages of one cache.

use std::sync::Arc;

use tercet_pool::Pool;

use crate::vectors::attention::{BLOCK, Elements, KeysValues, PAGE, Page, Stored};
use tercet_formats::config::Config;

/// Pages in the order of their positions. A page is layer × KV head, and a head is as [`Stored`] describes it.
#[derive(Debug)]
pub(super) struct PageTable<E> {
    layers: usize,
    kv_heads: usize,
    dim: usize,
    /// All elements are finite, also those after the last stored position.
    pages: Vec<Page<E>>,
}

impl<E: Stored> PageTable<E> {
    pub(super) fn new(config: &Config) -> Self {
        let Config { layers, kv_heads, head_dim: dim, .. } = *config;
        PageTable { layers, kv_heads, dim, pages: Vec::new() }
    }

    /// Makes the pages of the positions from `start` to `end` this table's own. A page that is missing comes with zeros, a
    /// shared one with the positions before `start`. Returns none if the system refuses the memory.
    pub(super) fn reach(&mut self, start: usize, end: usize) -> Option<()> {
        for number in start / PAGE..end.div_ceil(PAGE) {
            if self.pages.get_mut(number).is_some_and(|page| Arc::get_mut(page).is_some()) {
                continue;
            }
            let mut own = Elements::zeroed(self.layers * self.kv_heads * self.of_head())?;
            if let Some(shared) = self.pages.get(number) {
                self.copy(&mut own, shared, start.saturating_sub(number * PAGE));
            }
            self.pages.truncate(number);
            self.pages.push(Arc::new(own));
        }
        Some(())
    }

    /// Stores `keys` and `values` of consecutive tokens from `position` on. The table must have reached them.
    pub(super) fn store(&mut self, pool: &Pool, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let (of_head, dim, width) = (self.of_head(), self.dim, self.kv_heads * self.dim);
        let end = position + keys.len() / width;
        for (number, page) in self.pages.iter_mut().enumerate().take(end.div_ceil(PAGE)).skip(position / PAGE)
        {
            let (first, last) = (position.max(number * PAGE), end.min((number + 1) * PAGE));
            let tokens = (first - position) * width..(last - position) * width;
            let (keys, values) = (&keys[tokens.clone()], &values[tokens]);
            let page = Arc::get_mut(page).expect("the page is this table's own, because it was reached");
            let of_layer = self.kv_heads * of_head;
            pool.chunks(&mut page[layer * of_layer..][..of_layer], of_head, |head, elements| {
                let tokens = keys.chunks_exact(width).zip(values.chunks_exact(width));
                for ((key, value), place) in tokens.zip(first % PAGE..) {
                    E::store(elements, place, &key[head * dim..][..dim], &value[head * dim..][..dim]);
                }
            });
        }
    }

    /// Replaces the content by the first `positions` positions of `other`, a table of the same model, and shares its pages.
    pub(super) fn share_prefix(&mut self, other: &Self, positions: usize) {
        self.pages.clear();
        self.pages.extend_from_slice(&other.pages[..positions.div_ceil(PAGE)]);
    }

    /// Drops the pages after the first `positions` positions.
    pub(super) fn truncate(&mut self, positions: usize) {
        self.pages.truncate(positions.div_ceil(PAGE));
    }

    /// Returns the part of one KV head.
    pub(super) fn head(&self, layer: usize, head: usize) -> KeysValues<'_, E> {
        let start = (layer * self.kv_heads + head) * self.of_head();
        KeysValues { pages: &self.pages, start, dim: self.dim }
    }

    /// Returns the identity of each page.
    pub(super) fn identities(&self) -> impl ExactSizeIterator<Item = usize> {
        self.pages.iter().map(|page| Arc::as_ptr(page).addr())
    }

    /// Copies the first `positions` positions of a page, and what follows in the last block.
    fn copy(&self, to: &mut [E], from: &[E], positions: usize) {
        let (elements, values) = (positions.next_multiple_of(BLOCK) * self.dim, PAGE * self.dim);
        let heads = to.chunks_exact_mut(self.of_head()).zip(from.chunks_exact(self.of_head()));
        for (to, from) in heads {
            for start in [0, values] {
                to[start..][..elements].copy_from_slice(&from[start..][..elements]);
            }
            to[2 * values..].copy_from_slice(&from[2 * values..]);
        }
    }

    /// Returns the elements of one head in a page.
    fn of_head(&self) -> usize {
        E::of_head(self.dim)
    }
}
