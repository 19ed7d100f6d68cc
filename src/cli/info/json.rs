//! The facts as JSON.

use serde_json::{Value, json};
use tercet_autotune::Plan;
use tercet_codegen::Isa;
use tercet_cpu::{Cache, Cpu};

use super::{Facts, kind, names, parameters};
use crate::cli::left_out::shares;
use tercet_engine::MemoryUse;
use tercet_engine::knobs;

impl Facts<'_> {
    pub(super) fn json(&self) -> Value {
        let (runtime, model, context) =
            (self.session.runtime(), self.session.model(), self.session.context());
        let Cpu { vendor, brand, family, model: cpu_model, stepping, features, caches, logical, .. } =
            self.cpu;
        let config = model.config();
        let MemoryUse { ternary, embedding, head, screen, cache_per_token } = model.memory_use();
        let (ternary_parameters, float_parameters) = parameters(config);
        let plan = |plan: &Plan| json!({ "kernel": plan.spec.to_string(), "origin": plan.origin.name() });
        let plans = model.kernels().plans().map(|((n, k), [decode, pair, few, prefill])| {
            let [decode, pair, few, prefill] = [decode, pair, few, prefill].map(plan);
            json!({
                "n": n, "k": k, "decode": decode, "pair": pair, "few": few, "prefill": prefill,
                "skips_columns": model.kernels().skips_columns((n, k)),
                "skips_rows": model.kernels().skips_rows((n, k)),
            })
        });
        json!({
            "cpu": {
                "vendor": vendor, "brand": brand, "family": family, "model": cpu_model, "stepping": stepping,
                "features": features, "isas": names(&Isa::available(self.cpu)), "logical": logical,
                "fingerprint": Isa::fingerprint(self.cpu),
                "caches": caches.iter().map(cache_json).collect::<Vec<_>>(),
                "cores": self.cpu.topology.cpus.iter().map(|cpu| json!({
                    "cpu": cpu.id, "core": cpu.core, "class": cpu.class.map(|class| class.to_string()),
                })).collect::<Vec<_>>(),
            },
            "isa": runtime.isa().name(), "isa_reason": runtime.isa_reason(),
            "threads": runtime.threads(), "threads_reason": self.threads_reason,
            "affinity": self.limits.affinity, "quota": self.limits.quota,
            "packing": runtime.packing().name(),
            "model": {
                "name": model.name(), "layers": config.layers, "hidden_size": config.hidden_size,
                "intermediate_size": config.intermediate_size, "heads": config.heads,
                "kv_heads": config.kv_heads, "head_dim": config.head_dim, "vocab_size": config.vocab_size,
                "max_positions": config.max_positions, "ternary_parameters": ternary_parameters,
                "float_parameters": float_parameters, "load_s": model.load_time().as_secs_f64(),
            },
            "context": context,
            "memory": {
                "ternary": ternary, "embedding": embedding, "head": head, "screen": screen, "cache_per_token": cache_per_token,
                "cache": cache_per_token * context, "total": self.total_bytes(),
            },
            "plans": plans.collect::<Vec<_>>(),
            "knobs": knobs::all().map(|knob| json!({
                "name": knob.name, "value": knob.value(), "help": knob.help,
            })).collect::<Vec<_>>(),
            "profile": self.profile.as_ref().map(|profile| json!({
                "tokens": profile.tokens,
                "layers": profile.layers.iter().map(|zeros| {
                    let (gates, inputs) = shares(zeros, config.activation);
                    json!({ "gates_not_positive": gates, "zeros_into_down": inputs })
                }).collect::<Vec<_>>(),
                "deviation": profile.logits.deviation, "best": profile.logits.best,
            })),
        })
    }
}

fn cache_json(cache: &Cache) -> Value {
    json!({
        "level": cache.level, "kind": kind(cache), "size": cache.size, "line": cache.line,
        "shared_by": cache.shared_by,
    })
}
