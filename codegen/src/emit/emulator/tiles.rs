//! The tiles of AMX.

use iced_x86::{Instruction, Mnemonic, Register};

use super::{gpr, memory};

const TILES: usize = 8;
const MOST_ROWS: usize = 16;
const ROW_BYTES: usize = 64;

/// Rows of a tile, and bytes of a row.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Shape {
    rows: usize,
    bytes: usize,
}

type Tile = [[u8; ROW_BYTES]; MOST_ROWS];

const CLEAR: Tile = [[0; ROW_BYTES]; MOST_ROWS];

/// The tiles and their configuration. `None` is the state after `tilerelease`.
#[derive(Default)]
pub(super) struct Tiles(Option<[(Shape, Tile); TILES]>);

impl Tiles {
    pub(super) fn are_released(&self) -> bool {
        self.0.is_none()
    }

    /// Executes an instruction on tiles. Returns false for any other instruction.
    pub(super) fn execute(&mut self, i: &Instruction, gprs: &[u64; 16]) -> bool {
        let value = |register| if register == Register::None { 0 } else { gprs[gpr(register)] };
        let base = value(i.memory_base()).wrapping_add(i.memory_displacement64());
        let stride = value(i.memory_index()).wrapping_mul(u64::from(i.memory_index_scale()));
        let row = |row: usize| base.wrapping_add(stride.wrapping_mul(row as u64));
        match i.mnemonic() {
            Mnemonic::Ldtilecfg => {
                assert_eq!(i.memory_index(), Register::None, "{i}");
                self.0 = Some(configured(memory::read(base)));
            }
            Mnemonic::Tilerelease => self.0 = None,
            Mnemonic::Tilezero => self.tile(i.op0_register()).1 = CLEAR,
            Mnemonic::Tileloadd => {
                let (shape, tile) = self.tile(i.op0_register());
                *tile = CLEAR;
                for (index, to) in tile[..shape.rows].iter_mut().enumerate() {
                    to[..shape.bytes]
                        .iter_mut()
                        .zip(row(index)..)
                        .for_each(|(to, at)| [*to] = memory::read(at));
                }
            }
            Mnemonic::Tilestored => {
                let (shape, tile) = self.tile(i.op1_register());
                for (index, from) in tile[..shape.rows].iter().enumerate() {
                    memory::write(row(index), &from[..shape.bytes]);
                }
            }
            Mnemonic::Tdpbsud => self.multiply(i),
            _ => return false,
        }
        true
    }

    /// Adds the products of signed bytes of the second operand and unsigned bytes of the third.
    fn multiply(&mut self, i: &Instruction) {
        let registers: [Register; 3] = std::array::from_fn(|op| i.op_register(op as u32));
        let [sums, a, b] = registers;
        assert!(sums != a && a != b && sums != b, "{i}: a tile occurs twice");
        let [(c_shape, mut c), (a_shape, a), (b_shape, b)] = registers.map(|register| *self.tile(register));
        assert_eq!((c_shape.rows, c_shape.bytes), (a_shape.rows, b_shape.bytes), "{i}: shapes");
        assert_eq!(a_shape.bytes, 4 * b_shape.rows, "{i}: shapes");
        for (c, a) in c[..c_shape.rows].iter_mut().zip(&a) {
            for (column, sum) in c[..c_shape.bytes].as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let mut total = i32::from_le_bytes(*sum);
                for (four, b) in a[..a_shape.bytes].chunks(4).zip(&b) {
                    for (a, b) in four.iter().zip(&b[4 * column..]) {
                        total = total.wrapping_add(i32::from(*a as i8) * i32::from(*b));
                    }
                }
                *sum = total.to_le_bytes();
            }
        }
        self.tile(sums).1 = c;
    }

    fn tile(&mut self, register: Register) -> &mut (Shape, Tile) {
        assert!(register.is_tmm());
        let tile = &mut self.0.as_mut().expect("tiles are configured")[register.number()];
        assert!(tile.0 != Shape::default(), "{register:?} is not configured");
        tile
    }
}

/// Returns cleared tiles of the shapes in a configuration.
fn configured(config: [u8; 64]) -> [(Shape, Tile); TILES] {
    let (palette, start_row) = (config[0], config[1]);
    assert_eq!((palette, start_row), (1, 0), "palette and start row");
    assert!(
        config[2..16].iter().chain(&config[32..48]).chain(&config[56..]).all(|&byte| byte == 0),
        "reserved"
    );
    std::array::from_fn(|tile| {
        let bytes = usize::from(u16::from_le_bytes([config[16 + 2 * tile], config[17 + 2 * tile]]));
        let rows = usize::from(config[48 + tile]);
        assert!(rows <= MOST_ROWS && bytes <= ROW_BYTES && bytes.is_multiple_of(4), "tile {tile}");
        assert_eq!(rows == 0, bytes == 0, "tile {tile}");
        (Shape { rows, bytes }, CLEAR)
    })
}
