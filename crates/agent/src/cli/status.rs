//! `opencpm-agent status`

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::path::Path;

use super::tell;
use crate::agent::StartError;
use crate::apply::Root;
use crate::machine::Machine;
use crate::state::StateDir;

pub(super) fn status(root: &Path, state: &Path) -> Result<(), Box<dyn Error>> {
    let loaded = StateDir::look(state).load().map_err(StartError::from)?;
    let state = loaded.ok_or(StartError::NotEnrolled)?;
    let identity = &state.identity;
    say("device", &identity.instance);
    say("account", &identity.account);
    say("deployment", &identity.deployment);
    say("gateways", &identity.gateways.join(" "));
    say("identity key", &format!("generation {}", identity.generation.get()));
    say("sealing key", &format!("generation {}", state.sealing.newest().generation.get()));
    match state.trust() {
        Some(trust) => say("trust statement", &format!("generation {}", trust.generation.get())),
        None => say("trust statement", &"none"),
    }
    say("highest job", &state.jobs.highest.get());
    say("unsent reports", &state.jobs.unacknowledged().len());
    if Machine::read(&Root::open(root)?)?.binding != identity.machine {
        return Err(StartError::ClonedIdentity(identity.instance.clone()).into());
    }
    Ok(())
}

fn say(what: &str, value: &dyn Display) {
    tell(io::stdout(), &format!("{what:<16}{value}"));
}
