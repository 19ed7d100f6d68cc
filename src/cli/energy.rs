//! Joules per token.

use std::time::Duration;

use serde::Serialize;
use tercet_cpu::energy::{Energy, EnergyMeter, Start};

/// The power of a machine at rest, and the meter of its packages.
pub(super) struct Metered {
    meter: EnergyMeter,
    pub(super) idle_watts: f64,
}

/// The energy of some work.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Used {
    /// Beyond what the machine takes at rest.
    pub(super) joules: f64,
    pub(super) joules_per_token: f64,
    /// The power at rest that was subtracted.
    pub(super) idle_watts: f64,
}

impl Metered {
    /// Measures the power at rest for `time`, in which this process sleeps.
    ///
    /// # Errors
    /// Fails with the reason why this machine tells no energy.
    pub(super) fn start(time: Duration) -> Result<Self, String> {
        let meter = EnergyMeter::host().map_err(|error| error.to_string())?;
        let idle_watts = meter.idle_watts(time).ok_or("a counter of the packages cannot be read")?;
        Ok(Metered { meter, idle_watts })
    }

    /// Returns the names of the packages.
    pub(super) fn packages(&self) -> String {
        self.meter.packages().collect::<Vec<_>>().join(", ")
    }

    /// Starts the measurement of some work.
    pub(super) fn begin(&self) -> Start {
        self.meter.start()
    }

    /// Returns the energy since `start`, with that at rest. Returns none if the counters do not tell.
    pub(super) fn since(&self, start: &Start) -> Option<Energy> {
        self.meter.since(start)
    }

    /// Returns what work on `tokens` tokens used, if the packages took `energy` meanwhile.
    pub(super) fn used(&self, energy: Energy, tokens: usize) -> Used {
        let joules = energy.above(self.idle_watts);
        Used { joules, joules_per_token: joules / tokens.max(1) as f64, idle_watts: self.idle_watts }
    }
}
