//! The modules that PAM asks for a service (pam.conf(5)).
//!
//! Which modules stand in a stack is read, not how their answers are weighed: controls can jump
//! over modules in ways that depend on the others.

use super::{Files, Unreadable, text};

/// How deep stacks may include each other (Linux-PAM's bound is 32).
const DEEPEST: usize = 32;
/// How many modules one service may have here.
const MOST_MODULES: usize = 1000;
/// The administrator's directory, then those of the distribution.
const DIRECTORIES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];
/// The ways in that are looked at.
const LOGINS: [&str; 2] = ["sshd", "login"];

/// One module of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// What it is asked for.
    pub(super) task: Task,
    /// Its file's name, `pam_unix.so`.
    pub(super) name: String,
    /// Its arguments, brackets taken off.
    pub(super) arguments: Vec<String>,
}

/// A module's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Auth,
    Account,
    Other,
}

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
    let mut modules = Vec::new();
    collect(files, &stack, None, 0, &mut modules)?;
    Ok(Some(modules))
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

/// Adds a stack's modules; with `only`, those for one task.
fn collect(
    files: &dyn Files,
    stack: &str,
    only: Option<Task>,
    depth: usize,
    modules: &mut Vec<Module>,
) -> Result<(), Unreadable> {
    if depth > DEEPEST || modules.len() > MOST_MODULES {
        return Err(Unreadable::TooLarge);
    }
    for entry in entries(stack) {
        match entry {
            Entry::Module(module) => {
                if only.is_none_or(|only| only == module.task) {
                    modules.push(module);
                }
            }
            Entry::Include(task, service) => {
                if let (Some(only), Some(task)) = (only, task)
                    && only != task
                {
                    continue;
                }
                let included = self::stack(files, &service)?.ok_or(Unreadable::Type)?;
                collect(files, &included, task.or(only), depth + 1, modules)?;
            }
        }
    }
    Ok(())
}

/// A line of a stack.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Module(Module),
    /// Another stack in this place, for one task or for all.
    Include(Option<Task>, String),
}

fn entries(stack: &str) -> Vec<Entry> {
    let joined = stack.replace("\\\r\n", " ").replace("\\\n", " ");
    joined.lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or_default();
    let words = words(line);
    let mut words = words.iter();
    let first = words.next()?;
    if first == "@include" {
        return Some(Entry::Include(None, words.next()?.clone()));
    }
    let task = match first.trim_start_matches('-').to_ascii_lowercase().as_str() {
        "auth" => Task::Auth,
        "account" => Task::Account,
        _ => Task::Other,
    };
    let control = words.next()?.to_ascii_lowercase();
    let module = words.next()?;
    if control == "include" || control == "substack" {
        return Some(Entry::Include(Some(task), module.clone()));
    }
    let name = module.rsplit('/').next().unwrap_or(module).to_owned();
    Some(Entry::Module(Module { task, name, arguments: words.cloned().collect() }))
}

/// Words between blanks; brackets hold blanks and are taken off.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;
    use proptest::prelude::*;

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
        let hole = MemoryTree::new().file("/etc/pam.d/sshd", "auth include system-auth\n");
        assert!(login_modules(&hole).is_err());
    }

    proptest! {
        #[test]
        fn any_stack_is_read_without_panic(stack in "(.|\n)*") {
            let _ = entries(&stack);
        }
    }
}
