//! Whether the login access table may keep root out (access.conf(5), pam_access(8)).

use super::glob::expand;
use super::pam::{Module, login_modules};
use super::{Files, Unreadable, passwd, text};
use opencpm_domain::Advice;

const TABLE: &str = "/etc/security/access.conf";
const MORE_TABLES: &str = "/etc/security/access.d/*.conf";

pub(super) fn advice(files: &dyn Files) -> Option<Advice> {
    let Ok(modules) = login_modules(files) else { return Some(Advice::PamUnknown) };
    let groups = passwd::root_groups(files);
    for module in modules.iter().filter(|module| module.name == "pam_access.so") {
        match tables(files, module) {
            Err(_) => return Some(Advice::PamUnknown),
            Ok(tables) if restricts(&tables, module, groups.as_deref()) => {
                return Some(Advice::AccessRestricts);
            }
            Ok(_) => {}
        }
    }
    None
}

/// The text of the tables that the module reads, in order.
fn tables(files: &dyn Files, module: &Module) -> Result<String, Unreadable> {
    let named = module.arguments.iter().find_map(|word| word.strip_prefix("accessfile="));
    let mut tables = text(files, named.unwrap_or(TABLE))?.unwrap_or_default();
    if named.is_none() {
        for path in expand(files, MORE_TABLES)? {
            tables.push('\n');
            tables.push_str(&text(files, &path)?.unwrap_or_default());
        }
    }
    Ok(tables)
}

/// Whether a rule that denies may be the first that matches a login of root.
fn restricts(tables: &str, module: &Module, groups: Option<&[String]>) -> bool {
    let argument = |name: &str| module.arguments.iter().find_map(|word| word.strip_prefix(name));
    let between_fields = argument("fieldsep=").unwrap_or(":");
    let between_words = argument("listsep=").unwrap_or(", \t");
    for line in tables.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.splitn(3, |c| between_fields.contains(c));
        let (Some(permission), Some(users), Some(origins)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let users = users_match(users, between_words, groups);
        match permission.trim_start().chars().next() {
            Some('-') if users != Match::No => return true,
            // Root is let in from everywhere, so no later rule is asked.
            Some('+') if users == Match::Yes && origins.trim() == "ALL" => return false,
            _ => {}
        }
    }
    false
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    /// Depends on what is not looked at.
    Maybe,
}

/// Whether a list of users, with its exceptions, covers root.
fn users_match(list: &str, separators: &str, groups: Option<&[String]>) -> Match {
    let words: Vec<&str> = list
        .split(|c: char| separators.contains(c) || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let mut parts = words.split(|word| word.eq_ignore_ascii_case("EXCEPT"));
    let wanted = any_covers(parts.next().unwrap_or_default(), groups);
    let rest: Vec<&[&str]> = parts.collect();
    match rest[..] {
        [] => wanted,
        _ if wanted == Match::No => Match::No,
        [except] => match any_covers(except, groups) {
            Match::Yes => Match::No,
            Match::No => wanted,
            Match::Maybe => Match::Maybe,
        },
        // Exceptions to exceptions.
        _ => Match::Maybe,
    }
}

fn any_covers(words: &[&str], groups: Option<&[String]>) -> Match {
    let covers: Vec<Match> = words.iter().map(|word| covers(word, groups)).collect();
    if covers.contains(&Match::Yes) {
        Match::Yes
    } else if covers.contains(&Match::Maybe) {
        Match::Maybe
    } else {
        Match::No
    }
}

/// A word is a user, a group (in parentheses or not), a netgroup, or a user at a host.
fn covers(word: &str, groups: Option<&[String]>) -> Match {
    if word.eq_ignore_ascii_case("ALL") || word.eq_ignore_ascii_case("root") {
        return Match::Yes;
    }
    if word.contains('@') {
        return Match::Maybe;
    }
    let name = word.strip_prefix('(').and_then(|word| word.strip_suffix(')')).unwrap_or(word);
    match groups {
        Some(groups) if groups.iter().any(|group| group == name) => Match::Yes,
        Some(_) => Match::No,
        None => Match::Maybe,
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;
    use proptest::prelude::*;

    fn rocky(table: &str) -> Option<Advice> {
        let files = MemoryTree::new()
            .file(
                "/etc/pam.d/sshd",
                "account required pam_access.so\naccount include password-auth\n",
            )
            .file("/etc/pam.d/password-auth", "account required pam_unix.so\n")
            .file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
            .file("/etc/group", "root:x:0:\nwheel:x:10:admin\n")
            .file("/etc/security/access.conf", table);
        advice(&files)
    }

    #[test]
    fn a_rule_that_may_deny_root_is_told() {
        for table in [
            "-:root:ALL\n",
            "- : ALL : ALL\n",
            "+:root:10.0.0.0/8\n-:ALL:ALL\n",
            "-:ALL EXCEPT wheel:ALL\n",
            "-:(root):ALL EXCEPT LOCAL\n",
            "+:admin:ALL\n-:ALL EXCEPT @operators:ALL\n",
        ] {
            assert_eq!(rocky(table), Some(Advice::AccessRestricts), "{table}");
        }
    }

    #[test]
    fn a_rule_that_cannot_deny_root_is_not() {
        for table in [
            "# -:root:ALL\n",
            "+:root:ALL\n-:ALL:ALL\n",
            "-:ALL EXCEPT root admin:ALL\n",
            "-:guest wheel:ALL\n",
            "",
        ] {
            assert_eq!(rocky(table), None, "{table}");
        }
    }

    #[test]
    fn the_table_counts_only_where_the_module_is_asked() {
        let files = MemoryTree::new()
            .file("/etc/pam.d/sshd", "#account required pam_access.so\n")
            .file("/etc/security/access.conf", "-:root:ALL\n");
        assert_eq!(advice(&files), None);
        let broken = MemoryTree::new()
            .file("/etc/pam.d/sshd", "account required pam_access.so\n")
            .broken("/etc/security/access.conf");
        assert_eq!(advice(&broken), Some(Advice::PamUnknown));
    }

    proptest! {
        #[test]
        fn any_table_is_read_without_panic(table in "(.|\n)*") {
            let _ = rocky(&table);
        }
    }
}
