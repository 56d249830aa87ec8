//! Whether sshd lets root in with a password, by its configuration (sshd_config(5)).
//!
//! `line.rs` takes lines apart, `condition.rs` decides `Match` lines, `settings.rs` names the
//! keywords that matter, `configuration.rs` reads the files in order. What depends on the
//! connection is tried both ways: only where the outcomes differ is the answer undecided.

mod condition;
mod configuration;
mod line;
mod settings;
#[cfg(test)]
mod tests;

use super::{Files, is_present, text};
use condition::Truth;
use opencpm_domain::Advice;
use std::collections::BTreeSet;

pub use condition::Open;
pub use configuration::{Configuration, Effective, Unknown};
pub use settings::RootLogin;

/// The administrator's file, then the one that some distributions ship below `/usr`.
const CONFIGURATIONS: [&str; 2] = ["/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"];
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];
/// Files with arguments for sshd, which win over its configuration.
const ARGUMENTS: [&str; 5] = [
    "/etc/default/ssh",
    "/etc/sysconfig/sshd",
    "/etc/sysconfig/sshd-permitrootlogin",
    "/etc/sysconfig/ssh",
    "/etc/conf.d/sshd",
];
/// With more open conditions than this there are too many combinations to try.
const MOST_OPEN: usize = 12;

pub(super) fn advice(files: &dyn Files) -> BTreeSet<Advice> {
    let unknown = BTreeSet::from([Advice::SshdUnknown]);
    let Some(path) = CONFIGURATIONS.iter().find(|path| is_present(files, path)) else {
        let installed = PROGRAMS.iter().any(|path| is_present(files, path));
        return if installed { unknown } else { BTreeSet::new() };
    };
    if ARGUMENTS.iter().any(|path| may_override(files, path)) {
        return unknown;
    }
    match Configuration::read(files, path) {
        Ok(configuration) => verdict(&configuration),
        Err(reason) => {
            tracing::debug!(%reason, "sshd's configuration is not understood");
            unknown
        }
    }
}

/// What keeps root out for every connection; [`Advice::SshdUndecided`] where it is only for some.
fn verdict(configuration: &Configuration) -> BTreeSet<Advice> {
    let open: Vec<Open> = configuration.open().into_iter().collect();
    if open.len() > MOST_OPEN {
        return BTreeSet::from([Advice::SshdUnknown]);
    }
    let mut all = BTreeSet::new();
    let (mut lets_in, mut keeps_out) = (false, false);
    for choice in 0..1_u32 << open.len() {
        let holds = |condition: &Open| {
            open.iter().position(|other| other == condition).is_some_and(|at| choice >> at & 1 == 1)
        };
        let refusals = refusals(configuration, &holds);
        lets_in |= refusals.is_empty();
        keeps_out |= !refusals.is_empty();
        all.extend(refusals);
    }
    if !(lets_in && keeps_out) {
        return all;
    }
    let groups = open.iter().any(|open| matches!(open, Open::Groups(_)));
    BTreeSet::from([if groups { Advice::SshdUnknown } else { Advice::SshdUndecided }])
}

/// What keeps root out of a login for which `holds` tells the open conditions.
fn refusals(configuration: &Configuration, holds: &dyn Fn(&Open) -> bool) -> Vec<Advice> {
    let effective = configuration.effective(holds);
    let mut refusals = Vec::new();
    match effective.root_login {
        RootLogin::Yes => {}
        RootLogin::No => refusals.push(Advice::SshdRootLoginDisabled),
        RootLogin::KeysOnly | RootLogin::ForcedCommandsOnly => {
            refusals.push(Advice::SshdRootKeyOnly);
        }
    }
    if !takes_passwords(&effective) {
        refusals.push(Advice::SshdPasswordsDisabled);
    }
    let is_true = |truth: Truth| match truth {
        Truth::Yes => true,
        Truth::No => false,
        Truth::Open(open) => holds(&open),
    };
    let user = |pattern: &String| is_true(condition::covers_root(pattern));
    let group = |pattern: &String| is_true(configuration.covers_group(pattern));
    if effective.deny_users.iter().any(user)
        || effective.deny_groups.iter().any(group)
        || !(effective.allow_users.is_empty() || effective.allow_users.iter().any(user))
        || !(effective.allow_groups.is_empty() || effective.allow_groups.iter().any(group))
    {
        refusals.push(Advice::SshdRootExcluded);
    }
    refusals
}

/// Whether a password is asked for in a way that can succeed. Keyboard-interactive asks PAM, so
/// without PAM it asks nobody. A list of methods counts when all of it is switched on; that it
/// may ask for a key besides is not held against it.
fn takes_passwords(effective: &Effective) -> bool {
    let keyboard = effective.keyboard_interactive && effective.pam;
    if effective.methods.is_empty() {
        return effective.password || keyboard;
    }
    let name = |method: &str| method.split(':').next().unwrap_or_default().to_owned();
    effective.methods.iter().any(|list| {
        let methods: Vec<String> = list.split(',').map(name).collect();
        methods.iter().all(|method| match method.as_str() {
            "password" => effective.password,
            "keyboard-interactive" => keyboard,
            "publickey" => effective.public_key,
            _ => true,
        }) && methods.iter().any(|method| method == "password" || method == "keyboard-interactive")
    })
}

/// Whether a file of arguments for sshd names another configuration or one of the keywords.
fn may_override(files: &dyn Files, path: &str) -> bool {
    const WORDS: [&str; 9] = [
        "-f",
        "permitrootlogin",
        "authentication",
        "usepam",
        "allowusers",
        "denyusers",
        "allowgroups",
        "denygroups",
        "include",
    ];
    match text(files, path) {
        Ok(None) => false,
        Ok(Some(text)) => text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .map(str::to_ascii_lowercase)
            .any(|line| WORDS.iter().any(|word| line.contains(word))),
        Err(_) => true,
    }
}
