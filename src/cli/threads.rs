//! The threads of commands that measure or check without a model.

use tercet_cpu::numa::Spread;
use tercet_pool::Pool;

use super::report;

/// Starts `threads` threads, or as many as the system can start, with a warning. They place memory as those of a model do.
pub(super) fn start(threads: usize) -> Pool {
    let _spread = Spread::begin();
    let (pool, refusal) = Pool::up_to(threads);
    if let Some(reason) = refusal {
        let found = pool.threads();
        report::note(format_args!("warning: the system starts only {found} of {threads} threads: {reason}"));
    }
    pool
}
