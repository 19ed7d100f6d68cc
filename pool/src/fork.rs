//! Tells a child made by `fork` from the process that started the workers.
//!
//! The child has none of the workers. Asking the system for the process costs a call per job, so on Unix a handler counts
//! the forks that lie between this process and the first one.

#[cfg(unix)]
mod imp {
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, Ordering};

    static FORKS: AtomicU64 = AtomicU64::new(0);

    /// A process, by the number of forks that made it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Process(u64);

    impl Process {
        /// Returns the process that calls.
        pub(crate) fn current() -> Self {
            Process(FORKS.load(Ordering::Relaxed))
        }
    }

    /// Starts to count forks, unless this was done before.
    pub(crate) fn watch() {
        static WATCHED: Once = Once::new();
        // Without memory for the handler, a child that runs a job would wait for ever. Such a system fails to start
        // workers, too.
        WATCHED.call_once(|| {
            // SAFETY: the handler is a function of the program, and all it does is an atomic addition, which a child of
            // a process with several threads may do.
            unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        });
    }

    extern "C" fn forked() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(all(test, not(loom)))]
    mod tests {
        use super::*;

        #[test]
        fn a_child_is_another_process() {
            watch();
            let parent = Process::current();
            assert_eq!(Process::current(), parent);
            // SAFETY: the child only compares numbers and ends at once.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let same = Process::current() == parent;
                // SAFETY: ends the child without running anything of the parent's.
                unsafe { libc::_exit(i32::from(same)) };
            }
            assert!(child > 0, "fork failed");
            let mut status = -1;
            // SAFETY: `status` outlives the call, and `child` is a child of this process.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0, "the child takes itself for its parent");
            assert_eq!(Process::current(), parent);
        }
    }
}

#[cfg(not(unix))]
mod imp {
    /// The only process there is: this system has no `fork`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Process;

    impl Process {
        /// Returns the process that calls.
        pub(crate) fn current() -> Self {
            Process
        }
    }

    /// There are no forks to count.
    pub(crate) fn watch() {}
}

pub(crate) use imp::*;
