//! The program for AArch64, built and tested on another machine by way of an emulator.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{ROOT, cargo, command, run};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Debian's libraries for the target.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";
const TOOLS: [&str; 2] = ["qemu-aarch64", "aarch64-linux-gnu-gcc"];
const INSTALL: &str = "apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross";

/// With I8MM, with SDOT alone, with neither.
const CPUS: [&str; 3] = ["max", "neoverse-n1", "cortex-a72"];
const PACKAGES: &str = "-p tercet-kernels-ref -p tercet-codegen -p tercet-autotune -p tercet-pool -p tercet";
/// Of the program's own tests those that start no other process, which would not be emulated, and take seconds.
const TARGETS: &str = "--lib --bin tercet --test kernels --test groups --test intrinsics --test golden --test search --test pool";

/// What must be installed first, and is not.
pub(crate) fn missing() -> Option<String> {
    let is_missing = |tool: &&str| Command::new(tool).arg("--version").output().is_err();
    TOOLS.into_iter().find(is_missing).map(|tool| format!("{tool} is missing: {INSTALL}"))
}

/// Builds everything for the target and runs the tests on every CPU model, then the program beside the native one.
pub(crate) fn test() -> Result<()> {
    if let Some(missing) = missing() {
        bail!(missing);
    }
    let compiler = Compiler::find()?;
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tests = words(&format!("test --target {TARGET} {PACKAGES} {TARGETS}"));
    run("build for AArch64", compiler.apply(&mut cargo(&format!("{tests} --no-run"))))?;
    for cpu in CPUS {
        // What the assembler writes was judged natively, by the same emulator.
        let mut tests = cargo(&format!("{tests} --no-fail-fast -q -- --skip emit::"));
        tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner(cpu));
        run(&format!("tests on {cpu}"), compiler.apply(&mut tests))?;
    }
    let program = target_folder().join(TARGET).join("debug").join("tercet");
    ensure!(program.exists(), "{} was not built", program.display());
    let mut beside = cargo("test --test emulated -- --ignored aarch64");
    beside.env("TERCET_AARCH64", &program).env("TERCET_AARCH64_LIBRARIES", LIBRARIES);
    run("the program beside the native one", &mut beside)
}

fn runner(cpu: &str) -> String {
    format!("qemu-aarch64 -cpu {cpu} -L {LIBRARIES}")
}

fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from)
}

/// What compiles for the target.
enum Compiler {
    /// The one that cargo calls anyway, with the target's standard library added by rustup.
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
        let folder = target_folder().join("aarch64-rust");
        if !folder.join("rustc").exists() {
            unpack(&folder)?;
        }
        Ok(Compiler::Debian(folder))
    }

    fn apply<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        cargo
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", TOOLS[1])
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        if let Compiler::Debian(folder) = self {
            cargo.env("RUSTC", folder.join("rustc")).env("RUSTDOC", folder.join("rustdoc"));
        }
        cargo
    }
}

/// Downloads and unpacks Debian's Rust with the standard libraries of this machine and of the target, without installing
/// it.
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
