//! The facts as tables.

use tercet_codegen::Isa;
use tercet_cpu::{Cache, CoreClass, Cpu};

use super::{Facts, kind, names, parameters};
use crate::cli::left_out::shares;
use crate::cli::report::{Report, count, size};
use tercet_engine::knobs;
use tercet_engine::options::OptionInfo;
use tercet_engine::prediction::{Spread, TextProfile};
use tercet_engine::{MemoryUse, PLANNED_TOKENS, Size};
use tercet_formats::Config;

impl Facts<'_> {
    pub(super) fn report(&self) -> Report {
        let mut report = Report::new();
        self.report_cpu(&mut report);
        self.report_choices(&mut report);
        self.report_model(&mut report);
        self.report_memory(&mut report);
        self.report_plans(&mut report);
        report_knobs(&mut report);
        self.report_profile(&mut report);
        report
    }

    /// Reports the zeros and the logits of the model on a text.
    fn report_profile(&self, report: &mut Report) {
        let Some(TextProfile { tokens, layers, logits }) = &self.profile else { return };
        report.heading(format_args!("On {}", count(*tokens, "token")));
        for (i, zeros) in layers.iter().enumerate() {
            let (gates, inputs) = shares(zeros, self.session.model().config().activation);
            let gates = gates.map(|gates| format!("gates not positive {:.1} %, ", 100.0 * gates));
            let gates = gates.unwrap_or_default();
            report.row(format!("layer {i}"), format_args!("{gates}zeros into down {:.1} %", 100.0 * inputs));
        }
        let Spread { deviation, best } = logits;
        report.row(
            "logits",
            format_args!("deviation {deviation:.2} nats, best {best:.1} deviations above the mean"),
        );
    }

    fn report_cpu(&self, report: &mut Report) {
        let Cpu { vendor, brand, family, model, stepping, features, caches, logical, .. } = self.cpu;
        report.heading("CPU");
        report.row("brand", if brand.is_empty() { "unknown" } else { brand });
        report.row("signature", format_args!("{vendor} family {family} model {model} stepping {stepping}"));
        report.list("features", features);
        for cache in caches {
            let shared = count(cache.shared_by, "logical CPU");
            report.row(cache_name(cache), format_args!("{}, shared by {shared}", Size(cache.size)));
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
        report
            .row("output head", if head == 0 { "shared with the embedding".to_owned() } else { size(head) });
        if screen > 0 {
            report.row(
                "head, quantized",
                format_args!("{}, so that most of the head is not read", size(screen)),
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
        report.row("total", size(self.total_bytes()));
    }

    fn report_plans(&self, report: &mut Report) {
        report.heading("Plans (n × k: kernel, origin)");
        let kernels = self.session.model().kernels();
        for ((n, k), plans) in kernels.plans() {
            for ((name, _), plan) in PLANNED_TOKENS.into_iter().zip(plans) {
                let shape = format!("{n} × {k}");
                report.row(shape, format_args!("{name:<9}{}  {}", plan.spec, plan.origin.name()));
            }
            if kernels.skips_columns((n, k)) {
                report.row("", "few tokens: `down` reads only the columns whose input is not zero");
            }
            if kernels.skips_rows((n, k)) {
                report.row("", "few tokens: `up` reads only the rows whose gate is positive");
            }
        }
    }
}

fn report_knobs(report: &mut Report) {
    report.heading("Environment");
    for knob in knobs::all() {
        let value = knob.value().map_or_else(|| "not set".to_owned(), |value| format!("{value:?}"));
        let flag = knob.option.and_then(OptionInfo::find).map(|option| format!(" ({})", option.flag()));
        report.row(knob.name, format_args!("{value:<9} {}{}", knob.help, flag.unwrap_or_default()));
    }
}

fn cache_name(cache: &Cache) -> String {
    format!("L{} {}", cache.level, kind(cache))
}

/// Counts the logical CPUs of each class. Returns an empty text for CPUs without classes.
fn classes(cpu: &Cpu) -> String {
    let of = |class| cpu.topology.cpus.iter().filter(|cpu| cpu.class == Some(class)).count();
    match (of(CoreClass::Performance), of(CoreClass::Efficiency)) {
        (0, 0) => String::new(),
        (performance, efficiency) => format!(": {performance} performance, {efficiency} efficiency"),
    }
}

fn millions(number: usize) -> String {
    format!("{:.1} M", number as f64 / 1e6)
}
