//! Whether `/etc/securetty` limits the terminals on which root may log in (pam_securetty(8)).

use super::pam::{login_modules, service_modules};
use super::{Files, is_present};
use opencpm_domain::Advice;

/// The administrator's file, then the distribution's.
const LISTS: [&str; 2] = ["/etc/securetty", "/usr/etc/securetty"];

pub(super) fn advice(files: &dyn Files) -> Option<Advice> {
    if !LISTS.iter().any(|path| is_present(files, path)) {
        return None;
    }
    let (Ok(modules), Ok(login)) = (login_modules(files), service_modules(files, "login")) else {
        return Some(Advice::PamUnknown);
    };
    // A login program without PAM, as of busybox, reads the list by itself.
    let asked = login.is_none() || modules.iter().any(|module| module.name == "pam_securetty.so");
    asked.then_some(Advice::SecurettyRestricts)
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;

    const CENTOS_7: &str = "auth [user_unknown=ignore success=ok ignore=ignore default=bad] pam_securetty.so\nauth required pam_unix.so\n";

    #[test]
    fn a_list_that_login_asks_for_restricts_root() {
        let files = MemoryTree::new()
            .file("/etc/securetty", "console\ntty1\n")
            .file("/etc/pam.d/login", CENTOS_7);
        assert_eq!(advice(&files), Some(Advice::SecurettyRestricts));
        let alpine = MemoryTree::new().file("/etc/securetty", "console\ntty1\n");
        assert_eq!(advice(&alpine), Some(Advice::SecurettyRestricts));
    }

    #[test]
    fn a_list_that_nobody_asks_for_and_no_list_restrict_nobody() {
        let unused = MemoryTree::new()
            .file("/etc/securetty", "tty1\n")
            .file("/etc/pam.d/login", "auth required pam_unix.so\n");
        assert_eq!(advice(&unused), None);
        assert_eq!(advice(&MemoryTree::new().file("/etc/pam.d/login", CENTOS_7)), None);
    }

    #[test]
    fn a_stack_that_cannot_be_read_leaves_it_unknown() {
        let files = MemoryTree::new().file("/etc/securetty", "tty1\n").broken("/etc/pam.d/login");
        assert_eq!(advice(&files), Some(Advice::PamUnknown));
    }
}
