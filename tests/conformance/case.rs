//! The cases: what a client does, and what must come of it.
//!
//! To add one: a function in the file of its kind, and a line in [`ALL`]. A case that only one
//! client knows stands in [`own`] and in that client's list.

mod key;
mod own;
mod read;
mod refusal;
mod reset;

use crate::dialect::Ability::{self, AgentStatus, Devices, Log, Reset, Task, Token};
use crate::trial::Trial;

pub(crate) use own::{MANY_PARAMETERS, NONCE_ZERO, WAITER};

/// A case.
pub(crate) struct Case {
    /// Completes "the client ...".
    pub(crate) name: &'static str,
    /// What the client must be able to do.
    pub(crate) needs: &'static [Ability],
    /// Panics when something else comes of it.
    pub(crate) run: fn(&mut Trial<'_>),
}

/// Those for every client that can do what they need.
pub(crate) const ALL: &[Case] = &[
    Case { name: "resets a device", needs: &[Reset], run: reset::one },
    Case { name: "resets several devices in one task", needs: &[Reset], run: reset::several },
    Case {
        name: "sets a password that begins with `@`",
        needs: &[Reset],
        run: reset::password_that_begins_with_at,
    },
    Case {
        name: "sets a password with all ten symbols",
        needs: &[Reset],
        run: reset::password_with_every_symbol,
    },
    Case {
        name: "sees that a silent machine is not finished, and then that it is",
        needs: &[Reset, Devices],
        run: reset::of_a_machine_that_is_silent,
    },
    Case { name: "lists devices by id, page by page", needs: &[Devices], run: read::devices },
    Case { name: "reads what was done to a device", needs: &[Reset, Log], run: read::log },
    Case {
        name: "reads which agents are connected",
        needs: &[AgentStatus],
        run: read::agent_status,
    },
    Case {
        name: "is refused a batch with one device whose agent is away",
        needs: &[Reset],
        run: refusal::one_device_without_an_agent,
    },
    Case {
        name: "is refused a device that is busy",
        needs: &[Reset],
        run: refusal::a_device_that_is_busy,
    },
    Case {
        name: "is refused an unknown device, and another account's",
        needs: &[Reset],
        run: refusal::unknown_devices,
    },
    Case { name: "is refused an unknown task", needs: &[Task], run: refusal::an_unknown_task },
    Case {
        name: "is refused a password against the policy",
        needs: &[Reset],
        run: refusal::a_weak_password,
    },
    Case { name: "is refused with a wrong key", needs: &[Reset], run: refusal::a_wrong_key },
    Case { name: "is refused with an unknown key", needs: &[Reset], run: refusal::an_unknown_key },
    Case {
        name: "works with a temporary key, and not without its token",
        needs: &[Reset, Token],
        run: key::temporary,
    },
    Case {
        name: "works with a key for tagged devices, and sees and resets no others",
        needs: &[Reset, Devices],
        run: key::for_tagged_devices,
    },
    Case {
        name: "is refused an action that its key may not use",
        needs: &[Reset, Devices],
        run: key::for_reading,
    },
    Case { name: "is refused what is beyond its quota", needs: &[Log], run: key::beyond_its_quota },
    Case {
        name: "reads during maintenance, and is refused a reset",
        needs: &[Reset, Devices],
        run: key::during_maintenance,
    },
];
