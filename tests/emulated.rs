//! Runs the program on emulated CPUs and on a hardened system, and requires the same ids and
//! logits, bit for bit.
#![cfg(all(target_arch = "x86_64", target_os = "linux", feature = "cli"))]

mod common;

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tercet::autotune::{Key, Origin, Problem, Record, Records, Sharing, Store};
use tercet::codegen::KernelSpec;

const TERCET: &str = env!("CARGO_BIN_EXE_tercet");
const GREEDY: &[&str] = &["--greedy"];
const SEEDED: &[&str] = &["--temperature", "0.9", "--top-p", "0.95", "--seed", "7"];

/// The results of one run of `tercet generate`.
struct Answer {
    isa: String,
    ids: Value,
    logits: Vec<u8>,
    stderr: String,
}

/// Continues a prompt of the tiny model with `program`, a command that starts Tercet. `name` must
/// be unique.
fn generate(name: &str, mut program: Command, flags: &[&str]) -> Answer {
    let logits = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.safetensors"));
    for knob in tercet::knobs::all() {
        program.env_remove(knob.name);
    }
    program.args(["generate", "--json", "--prompt-ids", "256,84,104,101,32,115,101,97", "--tokens", "12"]);
    program.args(["--ignore-eos", "--threads", "2", "--model"]).arg(common::path(common::TINY));
    let output = program.arg("--logits").arg(&logits).args(flags).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{name}: {}\n{stderr}", output.status);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids = json["ids"].clone();
    assert_eq!(ids.as_array().map(Vec::len), Some(12), "{name}: {json}");
    Answer {
        isa: json["isa"].as_str().unwrap().to_owned(),
        ids,
        logits: std::fs::read(logits).unwrap(),
        stderr,
    }
}

fn assert_same(found: &Answer, expected: &Answer, name: &str) {
    assert_eq!(found.ids, expected.ids, "{name}");
    assert!(found.logits == expected.logits, "{name}: logits differ");
}

/// Returns the command that runs Tercet on an emulated x86-64 `cpu`, or `None` if QEMU is not installed.
/// With `CI=true` QEMU must be installed.
fn emulator(cpu: &str) -> Option<Command> {
    const QEMU: &str = "qemu-x86_64";
    if let Err(error) = Command::new(QEMU).arg("--version").output() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{QEMU} must be installed in CI: {error}");
        eprintln!("skipped: {QEMU} cannot be run: {error}");
        return None;
    }
    let mut command = Command::new(QEMU);
    command.args(["-cpu", cpu, TERCET]);
    Some(command)
}

fn emulated_equals_native(cpu: &str, isa: &str, emulator: impl Fn(&str) -> Option<Command>) {
    for (kind, flags) in [("greedy", GREEDY), ("seeded", SEEDED)] {
        let Some(emulator) = emulator(cpu) else { return };
        let native = generate(&format!("native-{cpu}-{kind}"), Command::new(TERCET), flags);
        let emulated = generate(&format!("{cpu}-{kind}"), emulator, flags);
        assert_eq!(emulated.isa, isa);
        assert_same(&emulated, &native, &format!("{cpu}, {kind}"));
    }
}

#[test]
fn haswell_runs_avx2_kernels() {
    emulated_equals_native("Haswell", "avx2", emulator);
}

#[test]
fn nehalem_runs_portable_kernels() {
    emulated_equals_native("Nehalem", "portable", emulator);
}

#[test]
fn an_isa_that_the_cpu_lacks_is_only_a_cap() {
    for (cpu, asked, isa) in
        [("Haswell", "avx512-vnni", "avx2"), ("Haswell", "avx-vnni", "avx2"), ("Nehalem", "avx2", "portable")]
    {
        let Some(emulator) = emulator(cpu) else { return };
        let found = generate(&format!("{cpu}-{asked}"), emulator, &["--isa", asked]);
        assert_eq!(found.isa, isa, "{asked} on {cpu}");
    }
}

/// Returns the command that runs the AArch64 program on an emulated `cpu`.
/// `cargo xtask test-aarch64` builds the program and sets the variables.
fn aarch64(cpu: &str) -> Command {
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("{name} is not set"));
    let mut command = Command::new("qemu-aarch64");
    command.args(["-cpu", cpu, "-L"]).arg(variable("TERCET_AARCH64_LIBRARIES"));
    command.arg(variable("TERCET_AARCH64"));
    command
}

const AARCH64_CPUS: [(&str, &str); 3] =
    [("max", "neon-i8mm"), ("neoverse-n1", "neon-dot"), ("cortex-a72", "neon")];

#[test]
#[ignore = "needs the program that `cargo xtask test-aarch64` builds"]
fn aarch64_equals_native() {
    for (cpu, isa) in AARCH64_CPUS {
        emulated_equals_native(cpu, isa, |cpu| Some(aarch64(cpu)));
    }
}

#[test]
#[ignore = "needs the program that `cargo xtask test-aarch64` builds"]
fn aarch64_isas_that_the_cpu_lacks_are_only_caps() {
    for (cpu, asked, isa) in [
        ("cortex-a72", "neon-i8mm", "neon"),
        ("cortex-a72", "neon-dot", "neon"),
        ("neoverse-n1", "neon-i8mm", "neon-dot"),
        ("max", "neon-dot", "neon-dot"),
        ("max", "neon", "neon"),
        ("max", "avx512-vnni", "portable"),
    ] {
        let found = generate(&format!("{cpu}-{asked}"), aarch64(cpu), &["--isa", asked]);
        assert_eq!(found.isa, isa, "{asked} on {cpu}");
        assert_eq!(found.stderr.contains("for x86-64 CPUs"), asked == "avx512-vnni", "{}", found.stderr);
    }
}

/// Returns the report of `tercet info --json` with the tuning records in `cache`.
fn info(cpu: &str, cache: &Path) -> Value {
    let mut program = aarch64(cpu);
    for knob in tercet::knobs::all() {
        program.env_remove(knob.name);
    }
    program.env("TERCET_CACHE_DIR", cache).args(["info", "--json", "--no-tune", "--model"]);
    let output = program.arg(common::path(common::TINY)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the kernel of every plan, for one token (`decode`) or many tokens (`prefill`).
fn kernels<'a>(info: &'a Value, tokens: &str) -> Vec<&'a str> {
    let plans = info["plans"].as_array().unwrap().iter();
    plans.map(|plan| plan[tokens]["kernel"].as_str().unwrap()).collect()
}

/// A record may carry the fingerprint of this CPU and name a kernel that the CPU cannot run. The
/// program ignores it, and uses the valid records in the same file.
#[test]
#[ignore = "needs the program that `cargo xtask test-aarch64` builds"]
fn aarch64_records_choose_no_kernel_that_the_cpu_lacks() {
    for (cpu, isa, lacking) in [
        ("cortex-a72", "neon", ["neon-dot", "neon-i8mm"].as_slice()),
        ("neoverse-n1", "neon-dot", &["neon-i8mm"]),
    ] {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("records-{cpu}"));
        let store = Store::in_dir(&cache);
        store.forget().unwrap();
        let honest = info(cpu, &cache);
        let kernel = |isa: &str| format!("{isa}/2bit/x1/m1n16u4/shift/p0/f32");
        let fingerprint = honest["cpu"]["fingerprint"].as_str().unwrap();
        let size = |value: &Value| value.as_u64().unwrap() as usize;
        let threads = size(&honest["threads"]);
        let mut forged = Records::default();
        for plan in honest["plans"].as_array().unwrap() {
            let impossible = (0..8).flat_map(|power| lacking.iter().map(move |&isa| (1 << power, isa)));
            for (m, isa) in impossible.chain([(1, isa)]) {
                let spec: KernelSpec = kernel(isa).parse().unwrap();
                let problem = Problem { n: size(&plan["n"]), k: size(&plan["k"]), m, threads };
                let record = Record {
                    spec,
                    sharing: Sharing::by_rule(threads),
                    time: Duration::from_nanos(1),
                    runner_up: None,
                    date: 1,
                    origin: Origin::Measured,
                };
                forged.insert(Key::new(fingerprint, &problem, spec.isa, spec.layout), record);
            }
        }
        store.add(forged).unwrap();
        let deceived = info(cpu, &cache);
        assert_eq!(deceived["isa"], isa);
        assert!(kernels(&deceived, "decode").iter().all(|found| *found == kernel(isa)), "{deceived}");
        assert_eq!(kernels(&deceived, "prefill"), kernels(&honest, "prefill"));
        assert!(kernels(&deceived, "prefill").iter().all(|kernel| kernel.starts_with(&format!("{isa}/"))));
    }
}

#[test]
fn a_system_that_refuses_executable_memory_runs_portable_kernels() {
    if !refuses_executable_memory(&mut Command::new("true")) {
        return eprintln!("skipped: this kernel cannot refuse executable memory (Linux 6.3 can)");
    }
    let mut hardened = Command::new(TERCET);
    refuse_executable_memory(&mut hardened);
    let found = generate("hardened", hardened, GREEDY);
    assert_same(&found, &generate("free", Command::new(TERCET), GREEDY), "without executable memory");
    assert_eq!(found.isa, "portable");
    assert_eq!(found.stderr.matches("refuses executable memory").count(), 1, "{}", found.stderr);
}

/// Returns true if `command` runs under [`refuse_executable_memory`].
fn refuses_executable_memory(command: &mut Command) -> bool {
    refuse_executable_memory(command);
    command.status().is_ok()
}

/// Forbids `command` to make any mapping executable, as `MemoryDenyWriteExecute=` of systemd does.
fn refuse_executable_memory(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let deny = || {
        // SAFETY: `PR_SET_MDWE` takes one number and three zeros, and changes only the calling process.
        match unsafe { libc::prctl(libc::PR_SET_MDWE, libc::PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY:
    // - between fork and exec, `deny` only makes the system call above and reads `errno`;
    // - both are async-signal-safe.
    unsafe { command.pre_exec(deny) };
}
