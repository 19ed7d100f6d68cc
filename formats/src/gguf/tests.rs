mod beyond;
mod vocabulary;

use std::path::PathBuf;

use tercet_kernels_ref::ternary::unpack;

use super::*;
use crate::{Checkpoint, MODEL, ModelFiles, Scales, TensorFile, Ternary};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/gguf").join(name)
}

fn open(name: &str) -> GgufFile {
    GgufFile::open(Bytes::map(&fixture(name)).unwrap(), name).unwrap()
}

fn values(file: &GgufFile, name: &str, shape: &[usize]) -> Vec<f32> {
    file.stored_floats(&format!("{name}.values"), shape).unwrap().get().to_vec()
}

#[test]
fn floats_equal_the_gguf_packages() {
    let file = open("types.gguf");
    for name in ["F32", "F16", "BF16", "Q4_0", "Q8_0", "Q6_K"] {
        let (stored, expected) =
            (file.stored_floats(name, &[2, 256]).unwrap(), values(&file, name, &[2, 256]));
        assert_eq!(stored.get().to_vec(), expected, "{name}");
        let mut some = [0.0; 64];
        stored.get().slice(256, 256).read(37, &mut some);
        assert_eq!(some, expected[256 + 37..][..64], "{name}");
    }
}

/// The package's values have the same bits.
#[test]
fn random_blocks_equal_the_gguf_packages() {
    let file = open("blocks.gguf");
    for name in ["Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "IQ4_XS"] {
        let shape = [1, 256];
        let (stored, expected) = (file.stored_floats(name, &shape).unwrap(), values(&file, name, &shape));
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&stored.get().to_vec()), bits(&expected), "{name}");
        let mut some = [0.0; 64];
        stored.get().read(37, &mut some);
        assert_eq!(bits(&some), bits(&expected[37..][..64]), "{name}");
    }
}

#[test]
fn scales_of_rows_are_read() {
    let file = open("blocks.gguf");
    for name in ["IQ1_BN", "IQ2_BN"] {
        let Ternary { trits, scales: Scales::Groups { size: 192, values: scales } } =
            file.ternary(name, 4, 192).unwrap()
        else {
            panic!("{name}: no scale for each row")
        };
        let product = trits.iter().enumerate().map(|(i, trit)| f32::from(*trit) * scales[i / 192]);
        assert!(product.eq(values(&file, name, &[4, 192])), "{name}");
    }
}

#[test]
fn trits_equal_the_gguf_packages() {
    let file = open("types.gguf");
    for name in ["same.TQ1_0", "same.TQ2_0", "mixed.TQ1_0", "mixed.TQ2_0", "Q2_0", "PQ2_0", "I2_S"] {
        let Ternary { trits, scales } = file.ternary(name, 2, 768).unwrap();
        let scale = |i: usize| match &scales {
            Scales::Tensor(scale) => *scale,
            Scales::Groups { size, values } => values[i / size],
        };
        match (name, &scales) {
            ("mixed.TQ1_0" | "mixed.TQ2_0", Scales::Groups { size: 256, .. }) => {}
            // Blocks of 64 of which two have the same scale are groups of 128.
            ("Q2_0" | "PQ2_0", Scales::Groups { size: 128, .. }) => {}
            ("same.TQ1_0" | "same.TQ2_0" | "I2_S", Scales::Tensor(_)) => {}
            _ => panic!("{name}: {scales:?}"),
        }
        let product = trits.iter().enumerate().map(|(i, trit)| f32::from(*trit) * scale(i));
        assert!(product.eq(values(&file, name, &[2, 768])), "{name}");
    }
}

#[test]
fn trits_are_encoded_as_they_were() {
    let file = open("types.gguf");
    for name in ["same.TQ1_0", "mixed.TQ1_0", "mixed.TQ2_0", "Q2_0", "PQ2_0", "I2_S"] {
        let tensor = &file.tensors[name];
        let bytes = &file.parts[0].bytes[tensor.range.clone()];
        let (trits, scales) = ternary::decode(tensor.kind.unwrap(), bytes, (2, 768), Order::Blocks128);
        assert_eq!(ternary::encode(tensor.kind.unwrap(), &trits, |group| scales[group]), bytes, "{name}");
    }
}

/// Asserts that `gguf` equals the safetensors file of the same model.
fn assert_same_model(gguf: &str, folder: &str, [q, kv, hidden, ffn]: [usize; 4], norms: &[(&str, usize)]) {
    let (file, files) = (open(gguf), ModelFiles::open(&fixture(folder)).unwrap());
    let tensors = TensorFile::load(&files, MODEL).unwrap();
    let matrices = [
        ("self_attn.q_proj", q, hidden),
        ("self_attn.k_proj", kv, hidden),
        ("self_attn.v_proj", kv, hidden),
        ("self_attn.o_proj", hidden, q),
        ("mlp.gate_proj", ffn, hidden),
        ("mlp.up_proj", ffn, hidden),
        ("mlp.down_proj", hidden, ffn),
    ];
    for (part, n, k) in matrices {
        let name = format!("model.layers.0.{part}.weight");
        let expected = unpack(tensors.u8(&name, &[n / 4, k]).unwrap(), n, k).unwrap();
        let scale = Scales::Tensor(tensors.scale(&format!("{name}_scale")).unwrap());
        let expected = Ternary { trits: expected, scales: scale };
        assert_eq!(file.ternary(&name, n, k).unwrap(), expected, "{gguf}: {name}");
    }
    for (part, len) in norms {
        let name = format!("model.layers.0.{part}.weight");
        assert_eq!(file.vector(&name, *len).unwrap(), tensors.vector(&name, *len).unwrap(), "{gguf}: {name}");
    }
    for name in ["model.embed_tokens.weight", "lm_head.weight"].into_iter().filter(|name| file.contains(name))
    {
        let floats = [
            file.stored_floats(name, &[64, hidden]).unwrap().get().to_vec(),
            tensors.stored_floats(name, &[64, hidden]).unwrap().get().to_vec(),
        ];
        assert_eq!(floats[0], floats[1], "{gguf}: {name}");
    }
}

#[test]
fn models_equal_their_safetensors() {
    let norms = [
        ("input_layernorm", 256),
        ("post_attention_layernorm", 256),
        ("self_attn.attn_sub_norm", 256),
        ("mlp.ffn_sub_norm", 256),
    ];
    for kind in ["i2_s", "tq1_0", "tq2_0"] {
        assert_same_model(&format!("bitnet-{kind}.gguf"), "bitnet", [256, 64, 256, 256], &norms);
    }
    for kind in ["i2_s", "tq1_0", "tq2_0"] {
        let norms = [("input_layernorm", 256)];
        assert_same_model(&format!("llama-{kind}.gguf"), "llama", [256, 64, 256, 256], &norms);
    }
    assert!(open("llama-i2_s.gguf").contains("lm_head.weight"));
}

/// Rows of query and key matrices are interleaved with their scales.
#[test]
fn scales_move_with_their_rows() {
    let (n, k, heads) = (8, 512, 2);
    let trits: Vec<i8> = (0..n * k).map(|i| (i * i % 7 % 3) as i8 - 1).collect();
    let values: Vec<f32> = (1..=n * k / 256).map(|i| i as f32 / 32.0).collect();
    let name = "model.layers.0.self_attn.q_proj.weight";
    let mut header = GgufHeader::default();
    header.text("general.architecture", "llama");
    header.unsigned("llama.attention.head_count", heads);
    assert!(header.tensor(name, &[n, k], TensorType::Tq2_0));
    let data = encode_ternary(TensorType::Tq2_0, &trits, n, &values, Some(heads as usize));
    let file = GgufFile::open([header.bytes(), data].concat().into(), "m.gguf").unwrap();
    let expected = Ternary { trits, scales: Scales::Groups { size: 256, values } };
    assert_eq!(file.ternary(name, n, k).unwrap(), expected);
}

/// Writes the floats `values`, n × k, as the query matrix of a Llama with two heads, in the type `kind`.
fn query_matrix(kind: TensorType, data: Vec<u8>, [n, k]: [usize; 2]) -> Result<Ternary> {
    let name = "model.layers.0.self_attn.q_proj.weight";
    let mut header = GgufHeader::default();
    header.text("general.architecture", "llama");
    header.unsigned("llama.attention.head_count", 2);
    assert!(header.tensor(name, &[n, k], kind));
    GgufFile::open([header.bytes(), data].concat().into(), "m.gguf")?.ternary(name, n, k)
}

/// llama.cpp's converter writes ternary layers as floats too, and its quantizer as Q8_0.
#[test]
fn floats_that_are_ternary_are_ternary_layers() {
    let (n, k) = (8, 96);
    let trits: Vec<i8> = (0..n * k).map(|i| (i * i % 7 % 3) as i8 - 1).collect();
    let floats = |scale: &dyn Fn(usize) -> f32| -> Vec<f32> {
        let ordered = interleave::apply(&trits, n, 2).unwrap();
        ordered.iter().enumerate().map(|(i, trit)| f32::from(*trit) * scale(i / k)).collect()
    };
    let f32_data = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>();
    let f16_data = |values: Vec<f32>| {
        values.into_iter().flat_map(|value| half::f16::from_f32(value).to_le_bytes()).collect::<Vec<_>>()
    };
    let bf16_data = |values: Vec<f32>| {
        values.into_iter().flat_map(|value| half::bf16::from_f32(value).to_le_bytes()).collect::<Vec<_>>()
    };
    // A block of Q8_0 that holds `scale` times trits.
    let q8_0_data = |values: Vec<f32>| {
        let block = |values: &[f32]| {
            let codes =
                values.iter().map(|value| (value.signum() * value.abs().min(1.0) * 127.0) as i8 as u8);
            half::f16::from_f32(1.0 / 128.0).to_le_bytes().into_iter().chain(codes).collect::<Vec<_>>()
        };
        values.chunks(32).flat_map(block).collect::<Vec<_>>()
    };
    for (kind, data, scale) in [
        (TensorType::F32, f32_data(floats(&|_| 0.3)), 0.3),
        (TensorType::F16, f16_data(floats(&|_| 0.25)), 0.25),
        (TensorType::Bf16, bf16_data(floats(&|_| 0.5)), 0.5),
        (TensorType::Q8_0, q8_0_data(floats(&|_| 1.0)), 127.0 / 128.0),
    ] {
        let matrix = query_matrix(kind, data, [n, k]).unwrap();
        assert_eq!(matrix, Ternary::of(trits.clone(), scale), "{kind:?}");
    }
    // A scale for each row moves with its row: the file's rows 0, 1, 2 are 0, 2, 1.
    let matrix = query_matrix(TensorType::F32, f32_data(floats(&|row| 1.0 + row as f32)), [n, k]).unwrap();
    let values = [1.0, 3.0, 2.0, 4.0, 5.0, 7.0, 6.0, 8.0].to_vec();
    assert_eq!(matrix, Ternary { trits: trits.clone(), scales: Scales::Groups { size: k, values } });
    let mut two = floats(&|_| 0.25);
    two.iter_mut().step_by(2).for_each(|value| *value *= 0.75);
    assert_refused(
        query_matrix(TensorType::F16, f16_data(two), [n, k]),
        &["blk.0.attn_q.weight is F16, and its weights are not ternary", "a ternary model"],
    );
}

/// Reads a Q2_0 matrix with the bytes `data`.
fn q2_0(shape: [usize; 2], data: Vec<u8>) -> Result<Ternary> {
    let mut header = GgufHeader::default();
    header.text("general.architecture", "qwen3");
    assert!(header.tensor("lm_head.weight", &shape, TensorType::Q2_0));
    let file = GgufFile::open([header.bytes(), data].concat().into(), "m.gguf")?;
    file.ternary("lm_head.weight", shape[0], shape[1])
}

#[test]
fn odd_scales_and_codes_are_understood_or_named() {
    let block = |scale: f32, code: u8| [&half::f16::from_f32(scale).to_le_bytes()[..], &[code; 16]].concat();
    // A negative scale, then a block of zeros.
    let Ternary { trits, scales } = q2_0([1, 128], [block(-0.5, 0xAA), block(0.0, 0x00)].concat()).unwrap();
    assert_eq!(scales, Scales::Tensor(0.5));
    assert!(trits[..64].iter().all(|trit| *trit == -1) && trits[64..].iter().all(|trit| *trit == 0));
    assert_refused(q2_0([1, 64], block(0.5, 0xEA)), &["code 3 at row 0, column 3 is not a ternary weight"]);
    assert_refused(q2_0([1, 64], block(f32::INFINITY, 0x55)), &["the scale is inf"]);
}

#[test]
fn a_separate_scale_is_one_more_factor() {
    let mut header = GgufHeader::default();
    header.text("general.architecture", "bitnet");
    assert!(header.tensor("model.layers.0.mlp.up_proj.weight", &[1, 128], TensorType::I2S));
    let data = [encode_ternary(TensorType::I2S, &[1; 128], 1, &[0.5], None), 3f32.to_le_bytes().to_vec()];
    let bytes = [header.bytes(), data.concat()].concat();
    let file = GgufFile::open(bytes.into(), "m.gguf").unwrap();
    let Tensor { range, .. } = file.tensors["blk.0.ffn_up.weight"].clone();
    let scale =
        Tensor { kind: Ok(TensorType::F32), shape: vec![1], range: range.end..range.end + 4, part: 0 };
    let mut file = file;
    file.tensors.insert("blk.0.ffn_up.scale".into(), scale);
    let matrix = file.ternary("model.layers.0.mlp.up_proj.weight", 1, 128).unwrap();
    assert_eq!(matrix.scales, Scales::Tensor(1.5));
}

fn assert_refused<T>(outcome: Result<T>, parts: &[&str]) {
    let error = outcome.err().expect("accepted");
    let message = error.to_string();
    assert!(error.is_bad_input() && message.contains(".gguf: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn a_tensor_that_differs_from_the_metadata_is_named() {
    let file = open("types.gguf");
    assert_refused(file.stored_floats("I2_S", &[2, 768]), &["the type of I2_S is I2_S", "expected floats"]);
    assert_refused(file.ternary("Q8_0", 2, 256), &["Q8_0 is Q8_0, and its weights are not ternary"]);
    assert_refused(file.vector("F32", 512), &["F32: the shape is [2, 256], the metadata demand [512]"]);
    assert_refused(file.vector("model.norm.weight", 1), &["output_norm.weight: the tensor is missing"]);
}

#[test]
fn a_type_that_is_not_read_is_named() {
    let described = |code: u32| {
        let shape = [&2u32.to_le_bytes()[..], &64u64.to_le_bytes(), &4u64.to_le_bytes()].concat();
        let tensor = [text("t"), shape, code.to_le_bytes().to_vec(), vec![0; 8 + 32]].concat();
        header(3, (1, &tensor), (0, &[])).unwrap().ternary("t", 4, 64)
    };
    let remedy = "convert or quantize the model again";
    for (code, name) in
        [(16, "IQ2_XXS"), (38, "TL1"), (39, "MXFP4 or TL2"), (137, "IQ2_K"), (335, "IQ2_BN_R4")]
    {
        assert_refused(described(code), &[&format!("the type of t is {name}, which"), remedy]);
    }
    assert_refused(described(4711), &["the type of t is number 4711", remedy]);
}

/// A header made by hand: `values` and `tensors` as (count, bytes).
fn header(version: u32, tensors: (u64, &[u8]), values: (u64, &[u8])) -> Result<GgufFile> {
    let counts = [tensors.0, values.0].map(u64::to_le_bytes).concat();
    let bytes = [b"GGUF", &version.to_le_bytes()[..], &counts, values.1, tensors.1].concat();
    GgufFile::open(bytes.into(), "m.gguf")
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The description of an F32 vector `t` at `offset`.
fn vector(len: u64, offset: u64) -> Vec<u8> {
    let dimensions = [&1u32.to_le_bytes()[..], &len.to_le_bytes()].concat();
    [text("t"), dimensions, 0u32.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec()].concat()
}

#[test]
fn damaged_files_are_refused() {
    let flag = [&text("f")[..], &7u32.to_le_bytes(), &[2]].concat();
    let alignment = [&text("general.alignment")[..], &4u32.to_le_bytes(), &3u32.to_le_bytes()].concat();
    let nested = [&text("l")[..], &[9, 0, 0, 0].repeat(6), &[0; 40]].concat();
    let list = [&text("l")[..], &9u32.to_le_bytes(), &4u32.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
    assert_refused(GgufFile::open(b"GGU".to_vec().into(), "m.gguf"), &["magic number", "only 3 follow"]);
    assert_refused(GgufFile::open(b"GGML1234".to_vec().into(), "m.gguf"), &["is not GGUF"]);
    assert_refused(header(1, (0, &[]), (0, &[])), &["the version is 1", "expected version 2 or 3"]);
    assert_refused(header(3 << 24, (0, &[]), (0, &[])), &["the byte order is big-endian"]);
    assert_refused(header(3, (u64::MAX, &[]), (0, &[])), &["the number of tensors", "room for 0"]);
    assert_refused(header(3, (0, &[]), (9, &flag)), &["the number of metadata values", "room for 1"]);
    assert_refused(header(3, (0, &[]), (1, &flag)), &["f: 2 is neither true nor false"]);
    assert_refused(header(3, (0, &[]), (1, &alignment)), &["general.alignment: 3 is not a power of two"]);
    assert_refused(header(3, (0, &[]), (1, &list)), &["l: 18446744073709551615 items"]);
    assert_refused(header(3, (0, &[]), (1, &nested)), &["l: "]);
    assert_refused(header(3, (1, &vector(1, 0)), (0, &[])), &["t: lies beyond the end of the file"]);
    assert_refused(header(3, (1, &vector(u64::MAX, 0)), (0, &[])), &["t: F32 cannot have the shape"]);
    assert_refused(header(3, (1, &vector(1, u64::MAX - 2)), (0, &[])), &["t: is larger than any memory"]);
    assert_refused(header(3, (1, &vector(1, 16)), (0, &[])), &["t: offset 16 is not a multiple of 32"]);
    let twice = [vector(0, 0), vector(0, 0)].concat();
    assert_refused(header(3, (2, &twice), (0, &[])), &["t: the tensor is described twice"]);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = std::fs::read(fixture("types.gguf")).unwrap();
    for length in (0..bytes.len()).step_by(97).chain(bytes.len() - 64..bytes.len()) {
        // Padding follows the last tensor.
        let Err(error) = GgufFile::open(bytes[..length].to_vec().into(), "m.gguf") else {
            assert!(bytes.len() - length < 32);
            continue;
        };
        assert!(error.is_bad_input());
    }
}
