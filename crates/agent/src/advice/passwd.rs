//! Root's line of the passwd file and root's groups (passwd(5), group(5)).

use super::{Files, Unreadable, text};

/// What the passwd file says of root.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Root {
    /// The password field.
    pub(super) password: String,
    /// The primary group's number, as written.
    pub(super) group: String,
    /// The shell; empty means `/bin/sh`.
    pub(super) shell: String,
}

/// Root's entry; `None` when the passwd file has none that can be used, or there is no file.
pub(super) fn root(files: &dyn Files) -> Result<Option<Root>, Unreadable> {
    Ok(text(files, "/etc/passwd")?.as_deref().and_then(root_entry))
}

/// The names of root's groups; `None` when they cannot be told, as when the group file does not
/// name the primary group (another source of names does).
pub(super) fn root_groups(files: &dyn Files) -> Option<Vec<String>> {
    let root = root(files).ok()??;
    let groups = text(files, "/etc/group").ok()??;
    groups_of(&groups, &root.group)
}

/// The first line that is root's and whole, as the C library takes it.
fn root_entry(passwd: &str) -> Option<Root> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, password, _uid, group, _comment, _home, shell] = fields[..] else { return None };
        (name == "root").then(|| Root {
            password: password.to_owned(),
            group: group.to_owned(),
            shell: shell.to_owned(),
        })
    })
}

fn groups_of(group_file: &str, primary: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut primary_named = false;
    for line in group_file.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _password, number, members] = fields[..] else { continue };
        let is_primary = number == primary;
        primary_named |= is_primary;
        if is_primary || members.split(',').any(|member| member == "root") {
            names.push(name.to_owned());
        }
    }
    primary_named.then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_whole_line_of_root_counts() {
        let passwd = "root:x\nroot:x:0:0:root:/root:/bin/bash\nroot:y:0:0:root:/root:/bin/false\n";
        let root = root_entry(passwd).unwrap();
        assert_eq!((root.password.as_str(), root.shell.as_str()), ("x", "/bin/bash"));
        assert_eq!(root_entry("bin:x:1:1::/:/sbin/nologin\n"), None);
    }

    #[test]
    fn groups_are_the_primary_one_and_those_that_list_root() {
        let alpine = "root:x:0:root\nbin:x:1:root,bin,daemon\nusers:x:100:games\nwheel:x:10:root\n";
        assert_eq!(groups_of(alpine, "0").unwrap(), ["root", "bin", "wheel"]);
        assert_eq!(groups_of("wheel:x:10:root\n", "0"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in ".*\n?.*") {
            let _ = root_entry(&text);
            let _ = groups_of(&text, "0");
        }
    }
}
