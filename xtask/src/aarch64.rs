//! Builds Tercet for AArch64 and tests it on another machine, under an emulator.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::steps::{run, skip_unless_ci};
use crate::{cargo, command, target};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Debian's libraries for the target.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";
const TOOLS: [&str; 2] = ["qemu-aarch64", "aarch64-linux-gnu-gcc"];
const INSTALL: &str = "apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross";

/// Crates whose tests run kernels, choose them, or depend on the CPU in another way.
const CPU_CRATES: &str = "-p tercet-kernels-ref -p tercet-cpu -p tercet-codegen -p tercet-autotune -p tercet-engine \
                          -p tercet --features tercet/cli";
/// Crates whose tests give the same result on every CPU. `tercet-chat` is not among them: its tests are slow under emulation
/// and tell nothing new, because templates run no kernel.
const OTHER_CRATES: &str = "-p tercet-pool -p tercet-formats -p tercet-hub -p tercet-grammar";
/// The test targets that run kernels of the CPU or choose them, and the others. They start no other process, because that
/// process would not be emulated.
const CPU_TARGETS: &str = "--test kernels --test groups --test intrinsics --test golden --test search";
const OTHER_TARGETS: &str = "--test pool";
/// The unit tests.
const UNIT_TESTS: &str = "--lib --bin tercet";

/// Tests that are slow under emulation and tell nothing new. `emit::` tests the assembler's bytes, which the native tests
/// have judged with the same emulator. Tokenizers run no kernel. Conversations, schedules, drafts, grammars and batches keep
/// books about tokens, and other tests compare these tokens' logits. The zeros of synthetic models are statistics.
/// Cancelling at every moment and a grammar at the limits take a minute each.
const SKIPPED: [&str; 12] = [
    "emit::",
    "tokenizer::",
    "conversation::",
    "scheduler::",
    "generate::guide::",
    "a_draft_model",
    "gates_and_logits_are_those_of_trained_models",
    "a_batch_gives_each_request_its_lone_text",
    "drafts_change_no_text",
    "texts_are_predicted_together_as_each_alone",
    "cancelled_at_any_moment",
    "would_cost_too_much",
];

/// Emulated CPUs: with I8MM, with SDOT alone, and with neither.
///
/// The rule that thins the tests: the first CPU runs all tests of [`CPU_CRATES`], the others their [`CPU_TARGETS`].
/// `--full` runs all on all.
const CPUS: [&str; 3] = ["max", "neoverse-n1", "cortex-a72"];

/// Returns the first tool that is missing.
fn missing() -> Option<String> {
    let is_missing = |tool: &&str| Command::new(tool).arg("--version").output().is_err();
    TOOLS.into_iter().find(is_missing).map(|tool| format!("{tool} is missing: {INSTALL}"))
}

/// Tests the program for AArch64, where this system has the tools or `CI=true`.
pub(crate) fn test_if_possible(full: bool) -> Result<()> {
    match missing() {
        Some(missing) => skip_unless_ci("tests for AArch64", &missing),
        None => test(full),
    }
}

/// Builds everything for the target and runs the tests on every CPU, then compares the program with the native one.
pub(crate) fn test(full: bool) -> Result<()> {
    if let Some(missing) = missing() {
        bail!(missing);
    }
    let compiler = Compiler::find()?;
    let others = if full { format!(" {OTHER_CRATES} {OTHER_TARGETS}") } else { String::new() };
    let all = format!("{CPU_CRATES} {CPU_TARGETS} {UNIT_TESTS}{others}");
    let of_cpu = format!("{CPU_CRATES} {CPU_TARGETS}");
    let tests = |what: &str| format!("test --target {TARGET} {what}");
    run("build for AArch64", compiler.apply(&mut cargo(&format!("{} --no-run", tests(&all)))))?;
    for (at, cpu) in CPUS.into_iter().enumerate() {
        let what = if full || at == 0 { &all } else { &of_cpu };
        let mut tests = cargo(&format!("{} --no-fail-fast -q --", tests(what)));
        tests.args(SKIPPED.iter().flat_map(|test| ["--skip", test]));
        tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner(cpu));
        run(&format!("tests on {cpu}"), compiler.apply(&mut tests))?;
    }
    let program = target().join(TARGET).join("debug").join("tercet");
    ensure!(program.exists(), "{} was not built", program.display());
    // With the features of the whole workspace, as the tests before were built.
    let mut compare = cargo("test --workspace --test emulated -- --ignored aarch64");
    compare.env("TERCET_AARCH64", &program).env("TERCET_AARCH64_LIBRARIES", LIBRARIES);
    run("AArch64 against the native program", &mut compare)
}

fn runner(cpu: &str) -> String {
    format!("qemu-aarch64 -cpu {cpu} -L {LIBRARIES}")
}

/// A compiler for the target.
enum Compiler {
    /// The usual one, with the target's standard library from rustup.
    Rustup,
    /// Debian's, unpacked in this folder.
    Debian(PathBuf),
}

impl Compiler {
    fn find() -> Result<Self> {
        let added = command("rustup", &format!("target add {TARGET}")).output();
        if added.is_ok_and(|output| output.status.success()) {
            return Ok(Compiler::Rustup);
        }
        eprintln!("rustup cannot add {TARGET}; taking Debian's compiler");
        let folder = target().join("aarch64-rust");
        if !folder.join("rustc").exists() {
            unpack(&folder)?;
        }
        Ok(Compiler::Debian(folder))
    }

    fn apply<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", TOOLS[1]);
        if let Compiler::Debian(folder) = self {
            cargo.env("RUSTC", folder.join("rustc")).env("RUSTDOC", folder.join("rustdoc"));
        }
        cargo
    }
}

/// Downloads Debian's Rust with the standard libraries of this machine and of the target, and unpacks it into `folder`.
fn unpack(folder: &Path) -> Result<()> {
    const PACKAGES: &str =
        "rustc-web libstd-rust-web-dev:amd64 libstd-rust-web-1.96:amd64 libstd-rust-web-dev:arm64";
    let packages = folder.join("packages");
    fs::create_dir_all(&packages).with_context(|| packages.display().to_string())?;
    run("the other architecture", &mut command("dpkg", "--add-architecture arm64"))?;
    run("package lists", &mut command("apt-get", "update -qq"))?;
    run("LLVM", &mut command("apt-get", "install -y -qq --no-install-recommends libllvm22"))?;
    run("Rust packages", command("apt-get", &format!("download -q {PACKAGES}")).current_dir(&packages))?;
    for entry in fs::read_dir(&packages)? {
        let mut unpack = command("dpkg", "-x");
        run("unpack", unpack.arg(entry?.path()).arg(folder))?;
    }
    for tool in ["rustdoc", "rustc"] {
        let usr = folder.join("usr");
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH={0}/lib/x86_64-linux-gnu exec {0}/bin/{tool} \"$@\"\n",
            usr.display()
        );
        let path = folder.join(tool);
        fs::write(&path, script).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
