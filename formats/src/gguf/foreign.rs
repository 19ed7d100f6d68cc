//! The types of tensors that Tercet does not read, by the numbers of ggml and its forks.

/// Numbers and names. Forks give two of the numbers to types of their own.
#[rustfmt::skip]
const NAMES: [(u32, &str); 77] = [
    // ggml's, also former ones.
    (4, "Q4_2"), (5, "Q4_3"), (9, "Q8_1"), (15, "Q8_K"), (16, "IQ2_XXS"), (17, "IQ2_XS"), (18, "IQ3_XXS"),
    (19, "IQ1_S"), (21, "IQ3_S"), (22, "IQ2_S"), (24, "I8"), (25, "I16"), (26, "I32"), (27, "I64"),
    (28, "F64"), (29, "IQ1_M"), (31, "Q4_0_4_4"), (32, "Q4_0_4_8"), (33, "Q4_0_8_8"),
    // bitnet.cpp's. ggml gives 39 to MXFP4.
    (37, "I8_S"), (38, "TL1"), (39, "MXFP4 or TL2"),
    // ggml's again.
    (40, "NVFP4"), (41, "Q1_0"),
    // ik_llama.cpp's.
    (97, "Q8_0_X4"), (98, "Q8_1_X4"), (99, "Q8_2_X4"), (133, "Q6_0"), (136, "Q8_K64"), (137, "IQ2_K"),
    (138, "IQ3_K"), (139, "IQ4_K"), (140, "IQ5_K"), (141, "IQ6_K"), (143, "IQ1_TN"), (144, "IQ4_KS"),
    (145, "IQ2_KS"), (146, "IQ4_KSS"), (147, "Q8_K16"), (148, "Q8_K32"), (149, "Q8_KR8"), (150, "Q8_K128"),
    (151, "Q8_KV"), (152, "IQ5_KS"), (153, "IQ2_KT"), (154, "IQ3_KT"), (155, "IQ4_KT"), (156, "IQ3_KS"),
    (157, "IQ2_KL"), (158, "IQ1_KT"),
    // ik_llama.cpp's with interleaved rows.
    (202, "Q4_0_R8"), (206, "Q5_0_R4"), (208, "Q8_0_R8"), (210, "Q2_K_R4"), (211, "Q3_K_R4"),
    (212, "Q4_K_R4"), (213, "Q5_K_R4"), (214, "Q6_K_R4"), (216, "IQ2_XXS_R4"), (217, "IQ2_XS_R4"),
    (218, "IQ3_XXS_R4"), (219, "IQ1_S_R4"), (220, "IQ4_NL_R4"), (221, "IQ3_S_R4"), (222, "IQ2_S_R4"),
    (223, "IQ4_XS_R8"), (229, "IQ1_M_R4"), (230, "BF16_R16"), (233, "Q6_0_R4"), (335, "IQ2_BN_R4"),
    (337, "IQ2_K_R4"), (338, "IQ3_K_R4"), (339, "IQ4_K_R4"), (340, "IQ5_K_R4"), (344, "IQ4_KS_R4"),
    (352, "IQ5_KS_R4"), (399, "Q8_K_R8"),
];

/// The way to a file that Tercet reads.
pub(super) const REMEDY: &str = "a type that Tercet reads (docs/models.md): convert or quantize the model \
                                 again, such as to I2_S, TQ1_0 or TQ2_0 with an embedding in Q8_0";

/// Returns the name of the type that is numbered `code`, or its number.
pub(super) fn name(code: u32) -> String {
    match NAMES.iter().find(|(number, _)| *number == code) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("number {code}"),
    }
}
