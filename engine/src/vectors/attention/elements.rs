//! The memory of keys and values.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

use bytemuck::Pod;
use bytemuck::allocation::try_zeroed_slice_box;
use memmap2::MmapMut;

/// Size of huge pages on x86-64, and on AArch64 with small pages of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;

/// Elements that are zero at first. If there are many, they lie on huge pages where the system has them.
///
/// Attention reads short runs that are far apart. On small pages it would often wait for the translation of an address.
#[derive(Debug)]
pub(crate) enum Elements<E> {
    Heap(Box<[E]>),
    Mapped {
        mapping: MmapMut,
        /// The bytes of the elements, from the first huge page on.
        bytes: Range<usize>,
        elements: PhantomData<E>,
    },
}

impl<E: Pod> Elements<E> {
    /// Returns `count` zeros, or none if the system refuses the memory.
    pub(crate) fn zeroed(count: usize) -> Option<Self> {
        let bytes = count.checked_mul(size_of::<E>())?;
        if bytes < HUGE_PAGE {
            return try_zeroed_slice_box(count).ok().map(Elements::Heap);
        }
        let mapping = MmapMut::map_anon(bytes.checked_add(HUGE_PAGE)?).ok()?;
        #[cfg(target_os = "linux")]
        // The memory can be used without huge pages.
        let _ = mapping.advise(memmap2::Advice::HugePage);
        let start = mapping.as_ptr().align_offset(HUGE_PAGE).min(HUGE_PAGE);
        Some(Elements::Mapped { mapping, bytes: start..start + bytes, elements: PhantomData })
    }
}

impl<E: Pod> Deref for Elements<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        match self {
            Elements::Heap(elements) => elements,
            Elements::Mapped { mapping, bytes, .. } => bytemuck::cast_slice(&mapping[bytes.clone()]),
        }
    }
}

impl<E: Pod> DerefMut for Elements<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        match self {
            Elements::Heap(elements) => elements,
            Elements::Mapped { mapping, bytes, .. } => bytemuck::cast_slice_mut(&mut mapping[bytes.clone()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_elements_are_zero_and_keep_what_is_written() {
        for count in [0, 1, 1000, HUGE_PAGE / 4 - 1, HUGE_PAGE / 4, 3 * HUGE_PAGE / 4 + 5] {
            let mut elements = Elements::<f32>::zeroed(count).unwrap();
            assert!(elements.len() == count && elements.iter().all(|element| element.to_bits() == 0));
            elements.iter_mut().zip(1..).for_each(|(element, i)| *element = i as f32);
            assert!(elements.iter().zip(1..).all(|(element, i)| *element == i as f32));
        }
        assert!(Elements::<f32>::zeroed(usize::MAX / 8).is_none());
    }
}
