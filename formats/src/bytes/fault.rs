//! Faults of mapped files.
//!
//! A thread that reads a mapped page gets the signal SIGBUS if the file has become shorter, or if the disk cannot deliver
//! the page. The handler here puts zeros in the place of the rest of the map and marks the map. Whoever has read it then
//! asks [`Watch::is_broken`] and discards what was read. All other faults go to the handler that was there before.

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) use elsewhere::Watch;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) use signal::Watch;

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod signal {
    use std::ffi::{c_int, c_void};
    use std::ops::Range;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Once, OnceLock};

    /// The most maps that are watched at a time.
    const MOST: usize = 4096;

    /// The addresses of a watched map. Only atomics, because a signal handler reads them.
    struct Slot {
        taken: AtomicBool,
        /// 0 while the slot watches nothing.
        start: AtomicUsize,
        end: AtomicUsize,
        broken: AtomicBool,
    }

    impl Slot {
        const fn new() -> Self {
            Slot {
                taken: AtomicBool::new(false),
                start: AtomicUsize::new(0),
                end: AtomicUsize::new(0),
                broken: AtomicBool::new(false),
            }
        }

        fn range(&self) -> Range<usize> {
            match self.start.load(Ordering::Acquire) {
                0 => 0..0,
                start => start..self.end.load(Ordering::Relaxed),
            }
        }
    }

    static SLOTS: [Slot; MOST] = [const { Slot::new() }; MOST];

    /// A map whose faults are handled, until this value is dropped.
    #[derive(Debug)]
    pub(crate) struct Watch(&'static Slot);

    impl std::fmt::Debug for Slot {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:x?}", self.range())
        }
    }

    impl Watch {
        /// Watches the pages of a map of a file. Returns none if too many maps are watched already.
        ///
        /// # Safety
        /// `map` is a private mapping that nobody writes to, from its first page on. It must live longer than the value
        /// returned here.
        pub(crate) unsafe fn over(map: &[u8]) -> Option<Self> {
            install();
            let slot = SLOTS.iter().find(|slot| !slot.taken.swap(true, Ordering::Acquire))?;
            let start = map.as_ptr().addr();
            slot.broken.store(false, Ordering::Relaxed);
            slot.end.store(start + map.len(), Ordering::Relaxed);
            slot.start.store(start, Ordering::Release);
            Some(Watch(slot))
        }

        /// Returns true if a part of the map could not be read: zeros are in its place.
        pub(crate) fn is_broken(&self) -> bool {
            self.0.broken.load(Ordering::Acquire)
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            self.0.start.store(0, Ordering::Relaxed);
            self.0.taken.store(false, Ordering::Release);
        }
    }

    static PAGE: AtomicUsize = AtomicUsize::new(4096);
    /// What the system did at SIGBUS before.
    static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

    /// Installs the handler, once per process. If the system refuses, faults end the process as before.
    fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY:
            // - `sigaction` is a plain struct, for which zeros are valid: no flags, an empty mask.
            // - the pointers are valid for the calls.
            // - the handler has the form that SA_SIGINFO demands, and calls only what a handler may.
            unsafe {
                if let Ok(page) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) {
                    PAGE.store(page, Ordering::Relaxed);
                }
                let mut previous: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(libc::SIGBUS, ptr::null(), &mut previous) != 0 {
                    return;
                }
                PREVIOUS.get_or_init(|| previous);
                let mut action: libc::sigaction = std::mem::zeroed();
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
                action.sa_sigaction = handler as libc::sighandler_t;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(libc::SIGBUS, &action, ptr::null_mut());
            }
        });
    }

    extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: the system passes a description of the signal. A positive code says that it holds an address.
        let address = unsafe { ((*info).si_code > 0).then(|| (*info).si_addr().addr()) };
        let slot = address.and_then(|address| SLOTS.iter().find(|slot| slot.range().contains(&address)));
        match address.zip(slot) {
            Some((address, slot)) if replace(address, slot) => slot.broken.store(true, Ordering::Release),
            _ => pass_on(signal, info, context),
        }
    }

    /// Puts zeros in the place of the map from the page of `address` on. Returns false if the system refuses.
    fn replace(address: usize, slot: &Slot) -> bool {
        let first = address & !(PAGE.load(Ordering::Relaxed) - 1);
        let len = slot.range().end - first;
        let (protection, flags) =
            (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
        // SAFETY:
        // - the pages belong to a watched map, so nothing else lies there: a thread reads it at this moment, and so the
        //   map cannot be dropped meanwhile.
        // - nobody writes to the map, and its readers take any bytes.
        // - `mmap` is a system call and takes no lock of this process.
        let found = unsafe { libc::mmap(ptr::without_provenance_mut(first), len, protection, flags, -1, 0) };
        found != libc::MAP_FAILED
    }

    /// Does what would have happened without the handler.
    fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let Some(previous) = PREVIOUS.get() else { return };
        let handler = previous.sa_sigaction;
        // SAFETY:
        // - `previous` is what the system reported for this signal.
        // - its flags tell the form of its handler.
        // - `sigaction` and `raise` are allowed in a handler.
        unsafe {
            if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
                // A fault repeats when this handler returns; a signal that was sent does not.
                libc::sigaction(signal, previous, ptr::null_mut());
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            } else {
                let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod elsewhere {
    /// A map whose faults are not handled.
    #[derive(Debug)]
    pub(crate) struct Watch;

    impl Watch {
        /// # Safety
        /// None is needed here.
        pub(crate) unsafe fn over(_: &[u8]) -> Option<Self> {
            Some(Watch)
        }

        pub(crate) fn is_broken(&self) -> bool {
            false
        }
    }
}
