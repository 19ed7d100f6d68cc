//! Runs the examples.

#[path = "../examples/emit.rs"]
mod emit;
#[path = "../examples/list.rs"]
mod list;
#[path = "../examples/run.rs"]
mod run;
#[path = "../examples/time.rs"]
mod time;

#[test]
fn examples_run() {
    emit::main().unwrap();
    list::main();
    run::main().unwrap();
    time::main().unwrap();
}
