//! The lab's machines.

use std::path::{Path, PathBuf};

use opencpm_domain::InstanceId;
use opencpm_operations::port::Random;

use super::LabError;
use super::scratch::{self, DISTRIBUTIONS, RootEntry};

/// Below the lab's folder.
pub(super) const FOLDER: &str = "machines";

/// A machine that is enrolled.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// For people.
    pub(super) name: String,
    /// What it is as a device.
    pub(super) instance: InstanceId,
    /// Its file system; absolute.
    pub(super) root: PathBuf,
    /// Whether an agent runs on it.
    pub(super) alive: bool,
    /// How its shadow file looked at first.
    pub(super) entry: RootEntry,
}

/// The machines of both accounts.
pub(super) struct Machines {
    /// Those with an agent first.
    pub(super) main: Vec<Machine>,
    /// Somebody else's.
    pub(super) other: Machine,
}

/// Which machines to make.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// With an agent.
    pub(super) agents: u32,
    /// Without one.
    pub(super) offline: u32,
    /// One more with an agent, whose shadow file has two root entries.
    pub(super) odd: bool,
    /// Without a file system.
    pub(super) simulated: u32,
}

/// A machine that has a file system and is no device yet.
pub(super) struct Draft {
    name: String,
    /// Its file system.
    pub(super) root: PathBuf,
    alive: bool,
    entry: RootEntry,
}

impl Draft {
    /// It is a device from now on.
    pub(super) fn enrolled_as(self, instance: InstanceId) -> Machine {
        let Self { name, root, alive, entry } = self;
        Machine { name, instance, root, alive, entry }
    }
}

impl Plan {
    /// Makes the file systems: those of the main account, and the one of the other.
    pub(super) fn make(
        self,
        lab: &Path,
        random: &dyn Random,
    ) -> Result<(Vec<Draft>, Draft), LabError> {
        let folder = lab.join(FOLDER);
        let usual = (0..self.agents + self.offline)
            .map(|number| draft(&folder, number, number < self.agents, RootEntry::Usual));
        let odd = self.odd.then(|| Draft {
            name: "two-root-entries".to_owned(),
            root: folder.join("two-root-entries"),
            alive: true,
            entry: RootEntry::Twice,
        });
        let main: Vec<_> = usual.chain(odd).collect();
        let other = Draft {
            name: "somebody-elses".to_owned(),
            root: folder.join("somebody-elses"),
            alive: false,
            entry: RootEntry::Usual,
        };
        for (number, draft) in main.iter().chain([&other]).enumerate() {
            let distribution = &DISTRIBUTIONS[number % DISTRIBUTIONS.len()];
            scratch::make(&draft.root, distribution, &draft.name, draft.entry, random)
                .map_err(|error| LabError::Machine(draft.name.clone(), error))?;
        }
        Ok((main, other))
    }
}

/// The name tells the distribution: the machines take turns.
fn draft(folder: &Path, number: u32, alive: bool, entry: RootEntry) -> Draft {
    let distribution = &DISTRIBUTIONS[number as usize % DISTRIBUTIONS.len()];
    let name = format!("{}-{:03}", distribution.name, number + 1);
    Draft { root: folder.join(&name), name, alive, entry }
}
