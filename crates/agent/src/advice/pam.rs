//! The modules that PAM asks for a service (pam.conf(5)).
//!
//! Which modules stand in a stack is read, not how their answers are weighed: controls can jump
//! over modules in ways that depend on the others.

use super::{Files, Unreadable, text};
use crate::pam::{DIRECTORIES, Entry, entries};
pub(super) use crate::pam::{Module, Task};

/// How deep stacks may include each other (Linux-PAM's bound is 32).
const DEEPEST: usize = 32;
/// How many modules one service may have here.
const MOST_MODULES: usize = 1000;
/// How many stacks are read for one service: some that include each other twice at every level
/// never end. A real service needs ten.
const MOST_STACKS: usize = 1000;
/// The ways in that are looked at.
const LOGINS: [&str; 2] = ["sshd", "login"];

/// The modules asked when root logs in through sshd or on a terminal.
///
/// # Errors
///
/// A file of a stack cannot be read, or names one that is not there.
pub(super) fn login_modules(files: &dyn Files) -> Result<Vec<Module>, Unreadable> {
    let mut modules = Vec::new();
    for service in LOGINS {
        modules.extend(service_modules(files, service)?.unwrap_or_default());
    }
    Ok(modules)
}

/// The modules of one service; `None` when PAM has no file for it.
///
/// # Errors
///
/// As [`login_modules`].
pub(super) fn service_modules(
    files: &dyn Files,
    service: &str,
) -> Result<Option<Vec<Module>>, Unreadable> {
    let Some(stack) = stack(files, service)? else { return Ok(None) };
    let mut found = Found { files, stacks: 0, modules: Vec::new() };
    found.collect(&stack, None, 0)?;
    Ok(Some(found.modules))
}

fn stack(files: &dyn Files, service: &str) -> Result<Option<String>, Unreadable> {
    if service.starts_with('/') {
        return text(files, service);
    }
    for directory in DIRECTORIES {
        if let Some(stack) = text(files, &format!("{directory}/{service}"))? {
            return Ok(Some(stack));
        }
    }
    Ok(None)
}

/// What was found of one service.
struct Found<'a> {
    files: &'a dyn Files,
    stacks: usize,
    modules: Vec<Module>,
}

impl Found<'_> {
    /// Adds a stack's modules; with `only`, those for one task.
    fn collect(&mut self, text: &str, only: Option<Task>, depth: usize) -> Result<(), Unreadable> {
        self.stacks += 1;
        if depth > DEEPEST || self.modules.len() > MOST_MODULES || self.stacks > MOST_STACKS {
            return Err(Unreadable::TooLarge);
        }
        for entry in entries(text) {
            match entry {
                Entry::Module(module) => {
                    if only.is_none_or(|only| only == module.task) {
                        self.modules.push(module);
                    }
                }
                Entry::Include(task, service) => {
                    if let (Some(only), Some(task)) = (only, task)
                        && only != task
                    {
                        continue;
                    }
                    let included = stack(self.files, &service)?.ok_or(Unreadable::Type)?;
                    self.collect(&included, task.or(only), depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;

    fn names(modules: &[Module]) -> Vec<&str> {
        modules.iter().map(|module| module.name.as_str()).collect()
    }

    #[test]
    fn debians_at_include_brings_in_every_task() {
        let files = MemoryTree::new()
            .file("/etc/pam.d/login", "auth optional pam_faildelay.so delay=3000000\n@include common-auth\n")
            .file(
                "/etc/pam.d/common-auth",
                "# comment\nauth\t[success=1 default=ignore]\tpam_unix.so nullok\nauth requisite pam_deny.so\n",
            );
        let modules = service_modules(&files, "login").unwrap().unwrap();
        assert_eq!(names(&modules), ["pam_faildelay.so", "pam_unix.so", "pam_deny.so"]);
        assert_eq!(modules[1].arguments, ["nullok"]);
    }

    #[test]
    fn rockys_substack_brings_in_its_own_task_only() {
        let files = MemoryTree::new()
            .file("/etc/pam.d/sshd", "auth substack password-auth\naccount required pam_sepermit.so\n")
            .file(
                "/etc/pam.d/password-auth",
                "auth required /usr/lib64/security/pam_faillock.so preauth \\\n silent\naccount required pam_faillock.so\n-session optional pam_systemd.so\n",
            );
        let modules = service_modules(&files, "sshd").unwrap().unwrap();
        assert_eq!(names(&modules), ["pam_faillock.so", "pam_sepermit.so"]);
        assert_eq!(modules[0].arguments, ["preauth", "silent"]);
    }

    #[test]
    fn a_service_is_absent_or_shipped_by_the_distribution() {
        let files = MemoryTree::new().file("/usr/lib/pam.d/sshd", "auth required pam_unix.so\n");
        assert_eq!(names(&service_modules(&files, "sshd").unwrap().unwrap()), ["pam_unix.so"]);
        assert_eq!(service_modules(&files, "login").unwrap(), None);
    }

    #[test]
    fn a_stack_without_end_or_with_a_hole_cannot_be_read() {
        let circle = MemoryTree::new().file("/etc/pam.d/sshd", "@include sshd\n");
        assert!(login_modules(&circle).is_err());
        let twice = |n: u32| format!("@include s{n}\n@include s{n}\n");
        let doubling = (1..30).fold(MemoryTree::new(), |files, n| {
            files.file(&format!("/etc/pam.d/s{n}"), twice(n + 1))
        });
        let doubling = doubling.file("/etc/pam.d/s30", "").file("/etc/pam.d/sshd", twice(1));
        assert!(login_modules(&doubling).is_err());
        let hole = MemoryTree::new().file("/etc/pam.d/sshd", "auth include system-auth\n");
        assert!(login_modules(&hole).is_err());
    }
}
