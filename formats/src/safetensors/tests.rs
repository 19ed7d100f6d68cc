use super::*;

/// A safetensors file made by hand: `header` as given, then `data`.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn open(bytes: Vec<u8>) -> Result<TensorFile> {
    TensorFile::open(bytes.into(), "m.safetensors")
}

/// One tensor `t` of `dtype` and `shape` over all of `data`.
fn one(dtype: &str, shape: &str, data: &[u8]) -> TensorFile {
    let end = data.len();
    let header = format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
    open(file(&header, data)).unwrap()
}

fn assert_refused<T>(outcome: Result<T>, parts: &[&str]) {
    let error = outcome.err().expect("accepted");
    let message = error.to_string();
    assert!(error.is_bad_input() && message.starts_with("m.safetensors: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn floats_of_every_type_convert_exactly() {
    // 1.5 and -2 in each format, from the IEEE 754 bit layouts.
    let cases: [(&str, &[u8]); 3] = [
        ("BF16", &[0xC0, 0x3F, 0x00, 0xC0]),
        ("F16", &[0x00, 0x3E, 0x00, 0xC0]),
        ("F32", &[0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0]),
    ];
    for (dtype, bytes) in cases {
        let tensors = one(dtype, "[2]", bytes);
        assert_eq!(tensors.vector("t", 2).unwrap(), [1.5, -2.0]);
        assert_eq!(tensors.floats("t", &[2]).unwrap().get(1), -2.0);
    }
    assert_eq!(one("BF16", "[]", &[0xC0, 0x3F]).scale("t").unwrap(), 1.5);
    assert_eq!(one("U8", "[2,2]", &[1, 2, 3, 4]).u8("t", &[2, 2]).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_tensor_that_differs_from_the_config_is_named() {
    let tensors = one("I8", "[2]", &[1, 2]);
    assert_refused(tensors.u8("t", &[2]), &["the type of t is I8", "expected U8"]);
    assert_refused(tensors.floats("t", &[2]), &["expected BF16, F16 or F32"]);
    assert_refused(tensors.u8("t", &[1, 2]), &["t: the shape is [2], config.json demands [1, 2]"]);
    assert_refused(tensors.u8("u", &[2]), &["u: the tensor is missing"]);
}

#[test]
fn values_that_poison_everything_are_refused() {
    for value in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
        let tensors = one("F32", "[1]", &value.to_le_bytes());
        assert_refused(tensors.scale("t"), &["t: the scale is", "not a positive number"]);
    }
    let tensors = one("F32", "[1]", &f32::NAN.to_le_bytes());
    assert_refused(tensors.vector("t", 1), &["t: element 0 is NaN"]);
}

#[test]
fn damaged_files_are_refused() {
    let header = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
    let cases = [
        (vec![0; 7], "ends after 7 bytes"),
        (u64::MAX.to_le_bytes().to_vec(), "oversized"),
        (100_u64.to_le_bytes().to_vec(), "only 0 follow"),
        (file(header, &[0]), "truncated"),
        (file(header, &[0; 3]), "do not end where the file ends"),
        (file("nonsense", &[]), "not valid JSON"),
        (file("[]", &[]), "not valid JSON"),
        (file(r#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}}"#, &[0; 2]), "type and shape"),
        (file(r#"{"a":{"dtype":"X9","shape":[2],"data_offsets":[0,2]}}"#, &[0; 2]), "header"),
        (
            file(r#"{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,2]}}"#, &[0; 2]),
            "larger than any memory",
        ),
        (
            file(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                &[0; 3],
            ),
            "b: its bytes overlap",
        ),
        (
            file(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
                &[0; 2],
            ),
            "described twice",
        ),
    ];
    for (bytes, part) in cases {
        assert_refused(open(bytes), &[part]);
    }
}

/// The body of the fuzz target: reading never panics, whatever `bytes` are.
fn read_everything(bytes: Vec<u8>) {
    let Ok(tensors) = open(bytes) else { return };
    for name in tensors.names() {
        let shape = tensors.metadata.info(&name).unwrap().shape.clone();
        let _ = (tensors.u8(&name, &shape), tensors.scale(&name));
        if let Ok(floats) = tensors.floats(&name, &shape) {
            assert_eq!(floats.to_vec().len(), shape.iter().product::<usize>());
        }
    }
}

#[test]
fn mutated_files_never_panic() {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    let model = include_bytes!("../../../tests/fixtures/bitnet-tiny/model.safetensors");
    let header_end = 8 + u64::from_le_bytes(model[..8].try_into().unwrap()) as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..300 {
        let mut bytes = model.to_vec();
        for _ in 0..1 + rng.next_u32() % 4 {
            bytes[rng.next_u64() as usize % header_end] = rng.next_u32() as u8;
        }
        bytes.truncate(model.len() - (rng.next_u32() % 3) as usize);
        read_everything(bytes);
    }
}

#[test]
fn the_fixture_reads_and_what_is_written_reads_back() {
    let model = include_bytes!("../../../tests/fixtures/bitnet-tiny/model.safetensors");
    let tensors = open(model.to_vec()).unwrap();
    assert_eq!(tensors.names()[0], "model.embed_tokens.weight");
    assert!(tensors.scale("model.layers.1.self_attn.q_proj.weight_scale").unwrap() > 0.0);
    assert_eq!(tensors.vector("model.norm.weight", 256).unwrap().len(), 256);

    let path = std::env::temp_dir().join(format!("tercet-logits-{}.safetensors", std::process::id()));
    write_f32(&path, "logits", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let written = Bytes::read(&path);
    std::fs::remove_file(&path).unwrap();
    let written = TensorFile::open(written.unwrap(), "written").unwrap();
    let logits = written.floats("logits", &[2, 3]).unwrap();
    assert_eq!(logits.to_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(write_f32(&path, "logits", &[2, 2], &[0.0; 3]).is_err());
}

/// A device at the place of the output must stay one. A link shows the same without harm.
#[cfg(unix)]
#[test]
fn logits_go_where_their_name_leads() {
    let scratch = std::env::temp_dir().join(format!("tercet-logits-link-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let (file, link) = (scratch.join("file"), scratch.join("link"));
    std::os::unix::fs::symlink("file", &link).unwrap();
    write_f32(&link, "logits", &[1], &[1.0]).unwrap();
    let kinds = (link.is_symlink(), file.is_file() && !file.is_symlink());
    std::fs::remove_dir_all(&scratch).unwrap();
    assert_eq!(kinds, (true, true));
}
