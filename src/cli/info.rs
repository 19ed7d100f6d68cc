//! `tercet info`: the CPU, the kernels chosen for it, the model, and why.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tercet_autotune::Plan;
use tercet_codegen::Isa;
use tercet_cpu::Cpu;
use tercet_cpu::{Cache, CacheKind, CoreClass, Limits, dump};

use super::options::Options;
use super::report::{self, Report, size};
use tercet_engine::Session;
use tercet_engine::knobs::KNOBS;
use tercet_engine::{MemoryUse, PLANNED_TOKENS};
use tercet_formats::Config;

const EXAMPLES: &str = "\
Examples:
  tercet info
  tercet info -m DIR --context 32768 --json | jq .memory
  tercet info --cpuid > my-cpu.txt        the CPUID answers of this CPU, for a bug report

JSON: cpu, isa, isa_reason, threads, threads_reason, affinity, quota, packing, model, context,
memory (bytes), plans: [{n, k, decode: {kernel, origin}, pair: …, few: …, prefill: …}],
knobs: [{name, value, help}].";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Info {
    /// Print only the CPUID table of this CPU, in the form that its detection is tested with
    #[arg(long)]
    cpuid: bool,
}

/// All that is told.
struct Facts<'a> {
    cpu: &'a Cpu,
    limits: Limits,
    threads_reason: String,
    session: &'a Session,
}

impl Info {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        if self.cpuid {
            match options.json {
                true => report::print_json(&json!({ "cpuid": dump::record() }))?,
                false => report::print(&dump::record())?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let session = options.load()?;
        let limits = Limits::host();
        let asked = options.runtime_options()?.threads.is_some();
        let threads_reason =
            if asked { "as asked for".to_owned() } else { threads_reason(Cpu::host(), &limits) };
        let facts = Facts { cpu: Cpu::host(), limits, threads_reason, session: &session };
        match options.json {
            true => report::print_json(&facts.json())?,
            false => facts.report().print()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn threads_reason(cpu: &Cpu, limits: &Limits) -> String {
    let classed = cpu.topology.cpus.iter().any(|cpu| cpu.class == Some(CoreClass::Performance));
    let cores = report::count(cpu.topology.cores(&limits.affinity), "core");
    let cores = format!("{cores} {}in the affinity mask", if classed { "of the best class " } else { "" });
    match limits.quota {
        None => format!("{cores}, no CPU quota"),
        Some(quota) => format!("{cores}, CPU quota {quota:.2}"),
    }
}

impl Facts<'_> {
    fn report(&self) -> Report {
        let mut report = Report::new();
        self.report_cpu(&mut report);
        self.report_choices(&mut report);
        self.report_model(&mut report);
        self.report_memory(&mut report);
        self.report_plans(&mut report);
        report_knobs(&mut report);
        report
    }

    fn report_cpu(&self, report: &mut Report) {
        let Cpu { vendor, brand, family, model, stepping, features, caches, logical, .. } = self.cpu;
        report.heading("CPU");
        report.row("brand", if brand.is_empty() { "unknown" } else { brand });
        report.row("signature", format_args!("{vendor} family {family} model {model} stepping {stepping}"));
        report.list("features", features);
        for cache in caches {
            let shared = report::count(cache.shared_by, "logical CPU");
            report.row(cache_name(cache), format_args!("{} KiB, shared by {shared}", cache.size / 1024));
        }
        report.row("logical CPUs", format_args!("{logical}{}", classes(self.cpu)));
    }

    fn report_choices(&self, report: &mut Report) {
        let runtime = self.session.runtime();
        report.heading("Choices");
        report.row("ISA", format_args!("{}: {}", runtime.isa(), runtime.isa_reason()));
        report.row("usable ISAs", names(&Isa::available(self.cpu)).join(", "));
        report.row("threads", format_args!("{}: {}", runtime.threads(), self.threads_reason));
        report.row("packing", runtime.packing());
    }

    fn report_model(&self, report: &mut Report) {
        let model = self.session.model();
        let Config { layers, hidden_size, intermediate_size, heads, kv_heads, head_dim, .. } =
            *model.config();
        let (ternary, float) = parameters(model.config());
        report.heading("Model");
        report.row("name", model.name());
        report.row("parameters", format_args!("{} ternary, {} float", millions(ternary), millions(float)));
        report
            .row("layers", format_args!("{layers} of width {hidden_size}, feed-forward {intermediate_size}"));
        report.row("heads", format_args!("{heads} of width {head_dim}, {kv_heads} for keys and values"));
        report.row("vocabulary", model.config().vocab_size);
        report.row("positions", model.config().max_positions);
    }

    fn report_memory(&self, report: &mut Report) {
        let MemoryUse { ternary, embedding, head, screen, cache_per_token } =
            self.session.model().memory_use();
        let context = self.session.context();
        report.heading("Memory");
        report.row("ternary weights", size(ternary));
        report.row("embedding", size(embedding));
        report.row("output head", if head == 0 { "is the embedding".to_owned() } else { size(head) });
        if screen > 0 {
            report.row(
                "head, quantized",
                format_args!("{}, which spares reading most of the head", size(screen)),
            );
        }
        report.row(
            "cache",
            format_args!(
                "{} per token, {} for {context}",
                size(cache_per_token),
                size(cache_per_token * context)
            ),
        );
        report.row("together", size(self.total_bytes()));
    }

    fn report_plans(&self, report: &mut Report) {
        report.heading("Plans (n × k: kernel, origin)");
        for ((n, k), plans) in self.session.model().kernels().plans() {
            for ((what, _), plan) in PLANNED_TOKENS.into_iter().zip(plans) {
                let name = format!("{n} × {k}");
                report.row(name, format_args!("{what:<9}{}  {}", plan.spec, plan.origin.name()));
            }
        }
    }

    fn total_bytes(&self) -> usize {
        let MemoryUse { ternary, embedding, head, screen, cache_per_token } =
            self.session.model().memory_use();
        ternary + embedding + head + screen + cache_per_token * self.session.context()
    }

    fn json(&self) -> Value {
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
            json!({ "n": n, "k": k, "decode": decode, "pair": pair, "few": few, "prefill": prefill })
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
            "knobs": KNOBS.iter().map(|knob| json!({
                "name": knob.name, "value": knob.value(), "help": knob.help,
            })).collect::<Vec<_>>(),
        })
    }
}

fn report_knobs(report: &mut Report) {
    report.heading("Environment");
    for knob in &KNOBS {
        let value = knob.value().map_or_else(|| "not set".to_owned(), |value| format!("{value:?}"));
        report.row(knob.name, format_args!("{value:<9} {}", knob.help));
    }
}

fn names(isas: &[Isa]) -> Vec<&'static str> {
    isas.iter().map(|isa| isa.name()).collect()
}

fn kind(cache: &Cache) -> &'static str {
    match cache.kind {
        CacheKind::Data => "data",
        CacheKind::Instruction => "instruction",
        CacheKind::Unified => "unified",
    }
}

fn cache_name(cache: &Cache) -> String {
    format!("L{} {}", cache.level, kind(cache))
}

fn cache_json(cache: &Cache) -> Value {
    json!({
        "level": cache.level, "kind": kind(cache), "size": cache.size, "line": cache.line,
        "shared_by": cache.shared_by,
    })
}

/// How many logical CPUs are of which class, where there are classes.
fn classes(cpu: &Cpu) -> String {
    let of = |class| cpu.topology.cpus.iter().filter(|cpu| cpu.class == Some(class)).count();
    match (of(CoreClass::Performance), of(CoreClass::Efficiency)) {
        (0, 0) => String::new(),
        (performance, efficiency) => format!(": {performance} performance, {efficiency} efficiency"),
    }
}

/// Ternary and floating-point parameters; norms and scales are too few to count.
pub(super) fn parameters(config: &Config) -> (usize, usize) {
    let Config { layers, hidden_size, intermediate_size, heads, kv_heads, head_dim, vocab_size, .. } =
        *config;
    let attention = 2 * (heads + kv_heads) * head_dim * hidden_size;
    let embeddings = if config.tie_word_embeddings { 1 } else { 2 };
    (layers * (attention + 3 * intermediate_size * hidden_size), embeddings * vocab_size * hidden_size)
}

fn millions(number: usize) -> String {
    format!("{:.1} M", number as f64 / 1e6)
}
