//! What a lab remembers in its folder, so that it can be started again after it was ended or
//! killed: the same machines under the same addresses, as after a power cut.

use std::io;
use std::path::{Path, PathBuf};

use opencpm_domain::InstanceId;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::LabError;
use super::machine::{Machine, Machines};
use super::scratch::RootEntry;
use super::simulated::Simulated;
use crate::client::answer::NewKey;
use crate::files;
use crate::serve::Addresses;

/// In the lab's folder; holds keys and a token, so for its owner only.
const FILE: &str = "lab.json";

/// Everything that the folder's other files do not tell.
#[derive(Serialize, Deserialize)]
pub(super) struct Memory {
    /// The API over TLS, the API over plain HTTP, the agents' connections.
    pub(super) ports: [u16; 3],
    secret_id: String,
    secret_key: String,
    main: Vec<Remembered>,
    other: Remembered,
    pub(super) simulated: Option<Simulated>,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    name: String,
    instance: String,
    root: PathBuf,
    alive: bool,
    two_root_entries: bool,
}

impl Memory {
    /// What a former lab left; `None` in a fresh folder.
    pub(super) fn load(lab: &Path) -> Result<Option<Self>, LabError> {
        let path = lab.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LabError::Folder(path, error)),
        };
        let memory = serde_json::from_slice(&text);
        memory.map(Some).map_err(|error| LabError::Folder(path, error.into()))
    }

    /// Remembers a lab whose machines are enrolled.
    pub(super) fn keep(
        lab: &Path,
        addresses: &Addresses,
        other_key: &NewKey,
        machines: &Machines,
        simulated: Option<&Simulated>,
    ) -> Result<(), LabError> {
        let port = |address: Option<std::net::SocketAddr>| address.map_or(0, |a| a.port());
        let memory = Self {
            ports: [addresses.https, addresses.http, Some(addresses.agents)].map(port),
            secret_id: other_key.secret_id.clone(),
            secret_key: other_key.secret_key.expose_secret().to_owned(),
            main: machines.main.iter().map(Remembered::of).collect(),
            other: Remembered::of(&machines.other),
            simulated: simulated.cloned(),
        };
        let path = lab.join(FILE);
        let text = serde_json::to_string_pretty(&memory).map_err(io::Error::from);
        text.and_then(|text| files::replace_secret(&path, &text))
            .map_err(|error| LabError::Folder(path, error))
    }

    /// The other account's key.
    pub(super) fn other_key(&self) -> NewKey {
        NewKey {
            secret_id: self.secret_id.clone(),
            secret_key: self.secret_key.as_str().into(),
            token: None,
        }
    }

    /// The machines as they were enrolled.
    pub(super) fn machines(&self) -> Result<Machines, LabError> {
        let main = self.main.iter().map(Remembered::machine).collect::<Result<_, _>>()?;
        Ok(Machines { main, other: self.other.machine()? })
    }
}

impl Remembered {
    fn of(machine: &Machine) -> Self {
        Self {
            name: machine.name.clone(),
            instance: machine.instance.to_string(),
            root: machine.root.clone(),
            alive: machine.alive,
            two_root_entries: machine.entry == RootEntry::Twice,
        }
    }

    fn machine(&self) -> Result<Machine, LabError> {
        let odd = |_| LabError::Machine(self.name.clone(), io::ErrorKind::InvalidData.into());
        Ok(Machine {
            name: self.name.clone(),
            instance: InstanceId::parse(&self.instance).map_err(odd)?,
            root: self.root.clone(),
            alive: self.alive,
            entry: if self.two_root_entries { RootEntry::Twice } else { RootEntry::Usual },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemRandom;

    fn machine(name: &str, entry: RootEntry) -> Machine {
        let instance = InstanceId::parse(name).unwrap();
        Machine { name: name.into(), instance, root: name.into(), alive: true, entry }
    }

    #[test]
    fn a_lab_goes_on_with_its_ports_its_machines_and_its_other_account() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Memory::load(folder.path()).unwrap().is_none());
        let address = |port| ([127, 0, 0, 1], port).into();
        let addresses = Addresses {
            https: Some(address(1)),
            http: Some(address(2)),
            agents: address(3),
            metrics: None,
        };
        let key = NewKey { secret_id: "id".into(), secret_key: "key".into(), token: None };
        let machines = Machines {
            main: vec![machine("odd", RootEntry::Twice)],
            other: machine("other", RootEntry::Usual),
        };
        let simulated = Simulated::new(7, &"token".into(), &SystemRandom);
        Memory::keep(folder.path(), &addresses, &key, &machines, Some(&simulated)).unwrap();
        let memory = Memory::load(folder.path()).unwrap().unwrap();
        assert_eq!(memory.ports, [1, 2, 3]);
        assert_eq!(memory.simulated.as_ref().unwrap().devices, 7);
        assert_eq!(memory.other_key().secret_key.expose_secret(), "key");
        let machines = memory.machines().unwrap();
        assert_eq!(machines.main[0].entry, RootEntry::Twice);
        assert_eq!(machines.other.instance.as_str(), "other");
    }
}
