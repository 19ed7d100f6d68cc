//! The output matrix, which threads share by columns.

use std::marker::PhantomData;
use std::ops::Range;

use crate::spec::Epilogue;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i32 {}
    impl Sealed for f32 {}
}

/// The type that a kernel stores: i32 sums, or f32 sums times the token's factor.
pub trait Element: sealed::Sealed + Copy + Default + Send + 'static {
    /// The epilogue that stores this type.
    const EPILOGUE: Epilogue;

    /// Computes the epilogue for one sum.
    fn finish(sum: i32, factor: f32) -> Self;
}

impl Element for i32 {
    const EPILOGUE: Epilogue = Epilogue::I32;

    fn finish(sum: i32, _: f32) -> i32 {
        sum
    }
}

impl Element for f32 {
    const EPILOGUE: Epilogue = Epilogue::F32;

    fn finish(sum: i32, factor: f32) -> f32 {
        sum as f32 * factor
    }
}

/// A range of columns of a token-major matrix, borrowed exclusively. Other threads may have the other columns.
#[derive(Debug)]
pub struct ColumnsMut<'a, T> {
    matrix: *mut T,
    tokens: usize,
    stride: usize,
    /// The first column of `matrix`.
    first: usize,
    columns: Range<usize>,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: the value gives access to the columns of its range only, like a `&mut [T]`.
unsafe impl<T: Send> Send for ColumnsMut<'_, T> {}

// SAFETY: a shared reference gives access through `part` only, and its caller keeps parts disjoint.
unsafe impl<T: Send> Sync for ColumnsMut<'_, T> {}

impl<'a, T: Element> ColumnsMut<'a, T> {
    /// Returns all columns of `matrix`, which has `tokens` rows of `n` elements.
    ///
    /// # Panics
    /// If the slice is not tokens × n.
    pub fn new(matrix: &'a mut [T], tokens: usize, n: usize) -> Self {
        Self::window(matrix, tokens, 0..n)
    }

    /// Returns `columns` of a larger matrix with `tokens` rows. `window` holds these columns only.
    ///
    /// # Panics
    /// If the slice is not tokens × columns.
    pub fn window(window: &'a mut [T], tokens: usize, columns: Range<usize>) -> Self {
        let n = columns.len();
        assert_eq!(tokens.checked_mul(n), Some(window.len()), "output is not {tokens} x {n}");
        let (matrix, first) = (window.as_mut_ptr(), columns.start);
        ColumnsMut { matrix, tokens, stride: n, first, columns, borrow: PhantomData }
    }

    /// Returns some of the columns, by their indices in the whole matrix.
    ///
    /// # Safety
    /// While the part lives, the caller must use neither this value nor another part with a common column.
    ///
    /// # Panics
    /// If `columns` is not within the range.
    pub unsafe fn part(&self, columns: Range<usize>) -> ColumnsMut<'_, T> {
        let Range { start, end } = self.columns;
        assert!(start <= columns.start && columns.start <= columns.end && columns.end <= end);
        ColumnsMut {
            matrix: self.matrix,
            tokens: self.tokens,
            stride: self.stride,
            first: self.first,
            columns,
            borrow: PhantomData,
        }
    }

    /// Returns the range of columns.
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// Returns one token's elements.
    ///
    /// # Panics
    /// If there are no columns or no such token.
    pub fn row_mut(&mut self, token: usize) -> &mut [T] {
        let mut row = self.tile(token..token + 1, self.columns());
        let (first, len) = (row.as_mut_ptr(), row.columns());
        // SAFETY: a tile of one token is `len` adjacent elements, borrowed as long as `self`.
        unsafe { std::slice::from_raw_parts_mut(first, len) }
    }

    /// Returns the rows of the matrix.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Returns the tile of `tokens` × `columns`.
    ///
    /// # Panics
    /// If it is not within the matrix and the range.
    pub(crate) fn tile(&mut self, tokens: Range<usize>, columns: Range<usize>) -> TileMut<'_, T> {
        assert!(tokens.start < tokens.end && tokens.end <= self.tokens);
        assert!(
            self.columns.start <= columns.start
                && columns.start < columns.end
                && columns.end <= self.columns.end
        );
        let first = tokens.start * self.stride + columns.start - self.first;
        TileMut {
            // SAFETY: the checks above place token and column within the matrix, which starts with column `first`.
            first: unsafe { self.matrix.add(first) },
            tokens: tokens.len(),
            columns: columns.len(),
            stride: self.stride,
            borrow: PhantomData,
        }
    }
}

/// A rectangle of the output, borrowed exclusively.
#[derive(Debug)]
pub(crate) struct TileMut<'a, T> {
    first: *mut T,
    tokens: usize,
    columns: usize,
    stride: usize,
    borrow: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element> TileMut<'a, T> {
    /// Returns a whole tile in a buffer.
    pub(crate) fn of_scratch(scratch: &'a mut [T], tokens: usize, columns: usize) -> Self {
        let scratch = &mut scratch[..tokens * columns];
        TileMut { first: scratch.as_mut_ptr(), tokens, columns, stride: columns, borrow: PhantomData }
    }

    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn stride_bytes(&self) -> usize {
        self.stride * size_of::<T>()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.first
    }

    /// Returns one token's elements.
    pub(crate) fn row_mut(&mut self, token: usize) -> &mut [T] {
        assert!(token < self.tokens);
        // SAFETY: rows of `columns` elements at `stride` lie within the borrowed region for every token.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(token * self.stride), self.columns) }
    }
}
