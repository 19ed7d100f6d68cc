//! The listing of a kernel as JSON.

use serde_json::{Map, Value, json};
use tercet_codegen::Listing;
use tercet_codegen::listing::{Bound, Line, MachineCode, Mix};

pub(super) fn listing(listing: &Listing) -> Value {
    json!({
        "kernel": listing.spec.to_string(),
        "multiply_adds_per_turn": listing.multiply_adds_per_turn,
        "weight_bytes_per_turn": listing.weight_bytes_per_turn,
        "machine_code": listing.machine_code.as_ref().map(machine_code),
    })
}

fn machine_code(code: &MachineCode) -> Value {
    json!({
        "bytes": code.bytes.len(),
        "loop_body": { "start": code.loop_body.start, "end": code.loop_body.end },
        "instructions": code.lines.iter().map(line).collect::<Vec<_>>(),
        "mix": mix(&code.mix),
        "loop_mix": mix(&code.loop_mix),
        "bounds": code.bounds.iter().map(bound).collect::<Vec<_>>(),
    })
}

fn line(line: &Line) -> Value {
    json!({
        "offset": line.offset,
        "bytes": line.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "text": line.text,
        "label": line.label,
        "marks": line.marks,
        "in_loop": line.in_loop,
    })
}

fn mix(mix: &Mix) -> Map<String, Value> {
    mix.named().into_iter().map(|(name, count)| (name.replace(' ', "_"), count.into())).collect()
}

fn bound(bound: &Bound) -> Value {
    json!({
        "core": bound.core,
        "cycles_per_turn": bound.cycles_per_turn,
        "limit": bound.limit.name(),
        "multiply_adds_per_cycle": bound.multiply_adds_per_cycle,
        "percent_of_peak": bound.percent_of_peak,
    })
}
