//! Root's line of the passwd file: does it refer to the shadow file, and does its shell exist?

use super::passwd::{self, Root};
use super::{Files, Kind};
use opencpm_domain::Advice;

/// Programs that end at once when they are somebody's shell.
const NO_SHELLS: [&str; 3] = ["nologin", "false", "true"];

pub(super) fn advice(files: &dyn Files) -> Vec<Advice> {
    let Ok(Some(root)) = passwd::root(files) else { return vec![Advice::AccountUnknown] };
    let mut advice = Vec::new();
    if !is_shadowed(&root.password) {
        advice.push(Advice::PasswdNotShadowed);
    }
    advice.extend(shell(files, &root));
    advice
}

/// The forms that make pam_unix(8) look into the shadow file.
fn is_shadowed(password: &str) -> bool {
    password == "x" || password == "##root"
}

/// sshd and login refuse a shell that is not there or cannot be executed.
fn shell(files: &dyn Files, root: &Root) -> Option<Advice> {
    let path = if root.shell.is_empty() { "/bin/sh" } else { &root.shell };
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    if NO_SHELLS.contains(&name) {
        return Some(Advice::ShellNoLogin);
    }
    match files.kind(path) {
        Ok(Kind::Program) => None,
        // No directory of programs at all: a part of the tree that is not mounted here.
        Ok(Kind::Absent) if !directory.is_empty() => match files.kind(directory) {
            Ok(Kind::Directory) => Some(Advice::ShellNoLogin),
            _ => Some(Advice::AccountUnknown),
        },
        Ok(_) => Some(Advice::ShellNoLogin),
        Err(_) => Some(Advice::AccountUnknown),
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;

    fn of(passwd: &str) -> Vec<Advice> {
        let files = MemoryTree::new()
            .file("/etc/passwd", passwd)
            .program("/bin/bash")
            .program("/bin/sh")
            .file("/bin/text", "");
        advice(&files)
    }

    #[test]
    fn an_ordinary_root_line_gives_nothing_to_say() {
        assert_eq!(of("root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n"), []);
        assert_eq!(of("root:x:0:0:Super User:/root:\n"), []);
    }

    #[test]
    fn a_password_in_the_passwd_file_hides_the_new_one() {
        for field in ["", "*", "$6$salt$hash"] {
            let line = format!("root:{field}:0:0:root:/root:/bin/bash\n");
            assert_eq!(of(&line), [Advice::PasswdNotShadowed], "{field}");
        }
    }

    #[test]
    fn a_shell_that_is_none_keeps_root_out() {
        for shell in ["/usr/sbin/nologin", "/bin/false", "/bin/zsh", "/bin/text", "bash"] {
            let line = format!("root:x:0:0:root:/root:{shell}\n");
            assert_eq!(of(&line), [Advice::ShellNoLogin], "{shell}");
        }
    }

    #[test]
    fn what_is_not_there_to_see_is_unknown() {
        assert_eq!(of("root:x:0:0:root:/root:/usr/bin/zsh\n"), [Advice::AccountUnknown]);
        assert_eq!(of("bin:x:1:1:bin:/bin:/sbin/nologin\n"), [Advice::AccountUnknown]);
        assert_eq!(advice(&MemoryTree::new()), [Advice::AccountUnknown]);
        assert_eq!(advice(&MemoryTree::new().broken("/etc/passwd")), [Advice::AccountUnknown]);
    }
}
