//! The machine that the agent is on: what it is bound to, and what it tells of itself.
//!
//! Everything is read below the root directory, so that a disk mounted in a rescue system tells
//! of its own machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opencpm_domain::to_hex;
use opencpm_protocol::message::Facts;
use sha2::{Digest, Sha256};

use crate::apply::{ReadError, Root};

/// What was read of the machine at the start.
#[derive(Clone, Debug)]
pub struct Machine {
    /// SHA-256 of the machine's id, hexadecimal: the agent's state belongs to this machine.
    pub binding: String,
    /// Random at each boot of the machine.
    pub boot: String,
    /// What it tells the server.
    pub facts: Facts,
}

/// Why the machine cannot be told from others.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A file is there but cannot be read.
    #[error("cannot read what tells this machine from others")]
    Unreadable(#[from] ReadError),
    /// Neither a product UUID nor a machine id.
    #[error(
        "this machine has no id: neither sys/class/dmi/id/product_uuid nor etc/machine-id names one \
         (systemd-machine-id-setup makes the latter)"
    )]
    Nameless,
}

/// Longest of the small files that are read here, in bytes.
const SMALL: usize = 64 * 1024;

/// Largest of the kernel's tables.
const TABLE: usize = 1024 * 1024;

/// Most addresses that are told.
const MOST_ADDRESSES: usize = 16;

impl Machine {
    /// Reads it.
    pub fn read(root: &Root) -> Result<Self, MachineError> {
        let binding = binding(root)?;
        let boot = line(root, "proc/sys/kernel/random/boot_id").unwrap_or_default();
        let facts = Facts {
            hostname: hostname(root),
            addresses: addresses(root),
            os: os(root),
            kernel: line(root, "proc/sys/kernel/osrelease").unwrap_or_default(),
            arch: std::env::consts::ARCH.to_owned(),
            machine: binding.clone(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(Self { binding, boot, facts })
    }
}

/// The firmware's UUID of the machine where it is one, else the system's machine id. Which of the
/// two is part of the hash.
fn binding(root: &Root) -> Result<String, MachineError> {
    let hash = |kind: &str, id: &str| to_hex(&Sha256::digest(format!("{kind}\0{id}")));
    let uuid = first_line(root, "sys/class/dmi/id/product_uuid")?.map(|id| id.to_lowercase());
    if let Some(uuid) = uuid.filter(|uuid| is_unique(uuid)) {
        return Ok(hash("product_uuid", &uuid));
    }
    match first_line(root, "etc/machine-id")? {
        Some(id) if id.len() == 32 => Ok(hash("machine-id", &id)),
        _ => Err(MachineError::Nameless),
    }
}

/// Vendors leave zeros, ones and the firmware kit's own example in place of a UUID.
fn is_unique(uuid: &str) -> bool {
    let digits: Vec<_> = uuid.bytes().filter(|&b| b != b'-').collect();
    let varied = digits.iter().any(|b| Some(b) != digits.first());
    let hex = digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit);
    hex && varied && uuid != "03000200-0400-0500-0006-000700080009"
}

fn first_line(root: &Root, path: &str) -> Result<Option<String>, ReadError> {
    let bytes = root.read(path, SMALL)?;
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let line = text.and_then(|text| text.lines().next().map(|line| line.trim().to_owned()));
    Ok(line.filter(|line| !line.is_empty()))
}

/// For facts, which may be missing and are told in one frame.
fn line(root: &Root, path: &str) -> Option<String> {
    first_line(root, path).ok().flatten().map(|line| short(&line))
}

/// No host, kernel or system has a longer name.
const LONGEST: usize = 255;

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

fn hostname(root: &Root) -> String {
    let names = ["proc/sys/kernel/hostname", "etc/hostname"];
    names.iter().find_map(|path| line(root, path)).unwrap_or_default()
}

/// `PRETTY_NAME` of os-release(5).
fn os(root: &Root) -> String {
    let read = |path| root.read(path, SMALL).ok().flatten();
    let Some(bytes) = read("etc/os-release").or_else(|| read("usr/lib/os-release")) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    short(name.unwrap_or_default().trim_matches(['"', '\'']))
}

fn addresses(root: &Root) -> Vec<String> {
    let table = |path| root.read(path, TABLE).ok().flatten().unwrap_or_default();
    let v4 = local_v4(&String::from_utf8_lossy(&table("proc/net/fib_trie")));
    let v6 = global_v6(&String::from_utf8_lossy(&table("proc/net/if_inet6")));
    let all = v4.into_iter().map(IpAddr::from).chain(v6.into_iter().map(IpAddr::from));
    all.take(MOST_ADDRESSES).map(|address| address.to_string()).collect()
}

/// `|-- ADDRESS` followed by `/32 host LOCAL`: an address of the machine itself.
fn local_v4(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !address.is_loopback()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Address, interface, prefix, scope (0 is global), flags, name: one line each.
fn global_v6(if_inet6: &str) -> Vec<Ipv6Addr> {
    let mut found = Vec::new();
    for line in if_inet6.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        if let [address, _, _, "00", ..] = fields[..]
            && let Ok(bits) = u128::from_str_radix(address, 16)
        {
            found.push(Ipv6Addr::from_bits(bits));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Machine, MachineError>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, text).unwrap();
        }
        let machine = Machine::read(&Root::open(dir.path()).unwrap());
        (dir, machine)
    }

    const UUID: (&str, &str) =
        ("sys/class/dmi/id/product_uuid", "4C4C4544-0051-3510-8052-B4C04F4A3532\n");
    const ID: (&str, &str) = ("etc/machine-id", "0123456789abcdef0123456789abcdef\n");

    #[test]
    fn the_firmwares_uuid_counts_and_else_the_machine_id() {
        let both = machine(&[UUID, ID]).1.unwrap().binding;
        assert_eq!(machine(&[UUID]).1.unwrap().binding, both);
        let id = machine(&[ID]).1.unwrap().binding;
        assert_ne!(id, both);
        for not_unique in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "Not Settable",
            "",
        ] {
            let files = [("sys/class/dmi/id/product_uuid", not_unique), ID];
            assert_eq!(machine(&files).1.unwrap().binding, id, "{not_unique}");
        }
    }

    #[test]
    fn a_machine_without_an_id_is_told_so() {
        assert!(matches!(machine(&[]).1, Err(MachineError::Nameless)));
        let uninitialized = [("etc/machine-id", "uninitialized\n")];
        assert!(matches!(machine(&uninitialized).1, Err(MachineError::Nameless)));
    }

    #[test]
    fn a_file_full_of_text_makes_no_endless_fact() {
        let long = "x".repeat(60_000);
        let release = format!("PRETTY_NAME={long}");
        let files = [ID, ("etc/hostname", &*long), ("etc/os-release", &*release)];
        let facts = machine(&files).1.unwrap().facts;
        assert_eq!((facts.hostname.len(), facts.os.len()), (LONGEST, LONGEST));
    }

    #[test]
    fn facts_are_those_of_the_tree() {
        let fib = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     \
                   |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let inet6 = "fe800000000000000000000000000001 02 40 20 80 eth0\n\
                     20010db8000000000000000000000001 02 40 00 80 eth0\n\
                     00000000000000000000000000000001 01 80 10 80 lo\n";
        let (_dir, machine) = machine(&[
            ID,
            ("etc/hostname", "web-1\n"),
            ("etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"),
            ("proc/sys/kernel/random/boot_id", "boot-1\n"),
            ("proc/net/fib_trie", fib),
            ("proc/net/if_inet6", inet6),
        ]);
        let machine = machine.unwrap();
        assert_eq!(machine.boot, "boot-1");
        assert_eq!(machine.facts.hostname, "web-1");
        assert_eq!(machine.facts.os, "Debian GNU/Linux 13");
        assert_eq!(machine.facts.addresses, ["10.0.0.5", "2001:db8::1"]);
        assert_eq!(machine.facts.machine, machine.binding);
    }
}
