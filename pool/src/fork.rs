//! Tells a child made by `fork` from the process that started the workers.
//!
//! The child has none of the workers. Asking the system for the process costs a call per job, so on Unix a handler counts
//! the forks that lie between this process and the first one.

#[cfg(unix)]
mod imp {
    use std::io;
    use std::sync::OnceLock;
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
    ///
    /// # Errors
    /// Fails if the system has no memory for the handler. A child that runs a job would wait for ever then.
    pub(crate) fn watch() -> io::Result<()> {
        static CODE: OnceLock<i32> = OnceLock::new();
        let code = *CODE.get_or_init(|| {
            // SAFETY: the handler is a function of the program, and all it does is an atomic addition, which a child of
            // a process with several threads may do.
            unsafe { libc::pthread_atfork(None, None, Some(forked)) }
        });
        if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
    }

    extern "C" fn forked() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(all(test, not(loom)))]
    mod tests {
        use super::*;

        #[test]
        fn a_child_is_another_process() {
            watch().unwrap();
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

    /// Succeeds: there are no forks to count.
    pub(crate) fn watch() -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) use imp::*;
