//! Whether cloud-init would undo the change: passwords that it sets, and root's that it locks
//! (cloud-init's modules "Set Passwords" and "Users and Groups").
//!
//! These modules run once for an instance, so a plain reboot of the same instance repeats neither;
//! a new instance id does. Commands of the administrator that run at boot are not interpreted:
//! where they seem to touch passwords, the outcome is unknown.

use super::cloud_yaml::{Item, Section, lines, sections};
use super::glob::expand;
use super::{Files, Kind, Unreadable, is_present, text};
use opencpm_domain::Advice;

const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
const INSTALLED: [&str; 2] = ["/etc/cloud/cloud.cfg", "/usr/bin/cloud-init"];
/// Configurations in the order in which later ones win.
const CONFIGURATIONS: [&str; 4] = [
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d/*.cfg",
    "/var/lib/cloud/instance/vendor-cloud-config.txt",
    MERGED,
];
/// What cloud-init made of all parts of the instance's data.
const MERGED: &str = "/var/lib/cloud/instance/cloud-config.txt";
/// Data as it was given, which may be a configuration, a script, or a parcel of these.
const GIVEN: [&str; 5] = [
    "/var/lib/cloud/seed/*/user-data",
    "/var/lib/cloud/seed/*/vendor-data",
    "/var/lib/cloud/instance/user-data.txt",
    "/var/lib/cloud/instance/vendor-data.txt",
    "/var/lib/cloud/scripts/per-boot/*",
];
/// Words of commands that change passwords.
const COMMANDS: [&str; 3] = ["passwd", "usermod", "shadow"];

pub(super) fn advice(files: &dyn Files) -> Vec<Advice> {
    if is_present(files, DISABLED) || !INSTALLED.iter().any(|path| is_present(files, path)) {
        return Vec::new();
    }
    let mut found = Findings::default();
    if found.collect(files).is_err() {
        found.unknown = true;
    }
    found.advice()
}

/// What the configurations say of root, one after the other.
#[derive(Debug, Default)]
struct Findings {
    sets: bool,
    locks: bool,
    unknown: bool,
    /// A password is set for the default user.
    sets_default: bool,
    default_user: Option<String>,
    default_unlocked: bool,
}

impl Findings {
    fn collect(&mut self, files: &dyn Files) -> Result<(), Unreadable> {
        for pattern in CONFIGURATIONS {
            for path in expand(files, pattern)? {
                self.configuration(&text(files, &path)?.unwrap_or_default());
            }
        }
        let merged = files.kind(MERGED)? != Kind::Absent;
        for pattern in GIVEN {
            for path in expand(files, pattern)? {
                let covered = merged && path.starts_with("/var/lib/cloud/instance/");
                let data = files.read(&path)?.unwrap_or_default();
                self.given(&data, covered);
            }
        }
        Ok(())
    }

    fn advice(&self) -> Vec<Advice> {
        let root_is_default = self.default_user.as_deref() == Some("root");
        let mut advice = Vec::new();
        if self.sets || (self.sets_default && root_is_default) {
            advice.push(Advice::CloudInitSetsPassword);
        }
        if self.locks || (root_is_default && !self.default_unlocked) {
            advice.push(Advice::CloudInitLocksPassword);
        }
        let unknown = self.unknown || (self.sets_default && self.default_user.is_none());
        if unknown && advice.is_empty() {
            advice.push(Advice::CloudInitUnknown);
        }
        advice
    }

    /// Data in one of cloud-init's formats, known by how it starts. `covered`: parcels need not
    /// be opened, since what cloud-init found in them is read besides.
    fn given(&mut self, data: &[u8], covered: bool) {
        let Ok(text) = str::from_utf8(data) else {
            self.unknown |= !covered;
            return;
        };
        let first = text.trim_start().lines().next().unwrap_or_default().to_ascii_lowercase();
        if first.trim_end() == "#cloud-config" {
            self.configuration(text);
        } else if first.starts_with("#!") || first.starts_with("#cloud-boothook") {
            self.unknown |= lines(text).any(is_command);
        } else if !covered {
            let opaque =
                first.starts_with("#include") || text.to_ascii_lowercase().contains("base64");
            self.unknown |= opaque || may_concern_root(text);
        }
    }

    fn configuration(&mut self, text: &str) {
        match sections(text) {
            Ok(sections) => sections.iter().for_each(|section| self.section(section)),
            Err(_) => self.unknown |= may_concern_root(text),
        }
    }

    fn section(&mut self, section: &Section<'_>) {
        match section.key {
            "password" => self.sets_default |= !matches!(section.value, "" | "~" | "null"),
            "chpasswd" if section.is_obscure() => self.unknown = true,
            "chpasswd" => self.sets |= section.has_word("root"),
            "users" => self.users(section),
            "user" => match section.map(&[]) {
                _ if section.is_obscure() => self.unknown = true,
                Some(user) if section.value.is_empty() => self.default_user(&user),
                _ => self.default_user(&[("name", section.value)]),
            },
            "system_info" => match section.map(&["default_user"]) {
                Some(user) => self.default_user(&user),
                None => self.unknown |= section.mentions("default_user"),
            },
            _ => self.unknown |= COMMANDS.iter().any(|word| section.mentions(word)),
        }
    }

    fn users(&mut self, section: &Section<'_>) {
        let Ok(items) = section.items() else {
            self.unknown |= section.is_obscure() || section.has_word("root");
            return;
        };
        self.unknown |= section.is_obscure();
        for item in items {
            match item {
                Item::Text(name) => self.locks |= name == "root",
                Item::Map(user) if value(&user, "name") == Some("root") => {
                    self.locks |= !is_unlocked(&user);
                    self.sets |= ["plain_text_passwd", "hashed_passwd"]
                        .iter()
                        .any(|key| value(&user, key).is_some_and(|value| !value.is_empty()));
                }
                Item::Map(_) => {}
            }
        }
    }

    fn default_user(&mut self, user: &[(&str, &str)]) {
        if let Some(name) = value(user, "name") {
            self.unknown |= name.starts_with(['*', '&', '{', '!']);
            self.default_user = Some(name.to_owned());
        }
        if value(user, "lock_passwd").is_some() {
            self.default_unlocked = is_unlocked(user);
        }
    }
}

/// A key's value, the key written with `_` or `-`.
fn value<'a>(map: &[(&str, &'a str)], key: &str) -> Option<&'a str> {
    map.iter().find(|(name, _)| name.replace('-', "_") == key).map(|(_, value)| *value)
}

/// cloud-init locks a user's password unless it is told not to.
fn is_unlocked(user: &[(&str, &str)]) -> bool {
    value(user, "lock_passwd")
        .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "false" | "no" | "off"))
}

fn is_command(line: &str) -> bool {
    COMMANDS.iter().any(|word| line.contains(word))
}

/// Whether a text that is not understood could be about root's password.
fn may_concern_root(text: &str) -> bool {
    lines(text).any(|line| line.contains("passw") || line.contains("root") || is_command(line))
}

#[cfg(test)]
mod tests;
