//! What PAM's `pam_unix` is told about new passwords (pam.d(5), pam_unix(8)). Pure: files come in
//! through a function.

use super::login_defs::Method;
use crate::pam::{Entry, Module, Task, entries};

/// The options of the first `pam_unix` in a service's password stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PamUnix {
    /// `None` where no option names one; pam_unix then follows login.defs.
    pub(super) method: Option<Method>,
    /// The `rounds=` option: cost or rounds, by the method.
    pub(super) rounds: Option<i64>,
}

/// Services to ask, in this order: the first whose stack leads to `pam_unix` decides. `passwd` is
/// what root would use; the others are the shared stacks of the distributions, for a tree without
/// it.
const SERVICES: [&str; 5] =
    ["passwd", "chpasswd", "common-password", "system-auth", "password-auth"];

/// Stacks that are read at most, for all services: some that include each other never end. A real
/// one needs three.
const MOST_STACKS: u32 = 64;

/// Asks the services. `read` gives the bytes of a service's file by its name (or absolute path),
/// `None` where there is none.
pub(super) fn pam_unix(read: &mut dyn FnMut(&str) -> Option<Vec<u8>>) -> Option<PamUnix> {
    let mut left = MOST_STACKS;
    SERVICES.iter().find_map(|service| in_service(service, read, &mut left))
}

fn in_service(
    service: &str,
    read: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
    left: &mut u32,
) -> Option<PamUnix> {
    *left = left.checked_sub(1)?;
    let file = read(service)?;
    entries(&String::from_utf8_lossy(&file)).into_iter().find_map(|entry| match entry {
        Entry::Module(module) => options(&module),
        Entry::Include(None | Some(Task::Password), other) => in_service(&other, read, left),
        Entry::Include(..) => None,
    })
}

fn options(module: &Module) -> Option<PamUnix> {
    let ours = matches!(module.name.as_str(), "pam_unix.so" | "pam_unix_passwd.so");
    (ours && module.task == Task::Password).then(|| parse(&module.arguments))
}

/// The last method named wins, as in pam_unix.
fn parse(options: &[String]) -> PamUnix {
    options.iter().fold(PamUnix::default(), |found, option| {
        match option.split_once('=').unwrap_or((option, "")) {
            ("yescrypt", "") => PamUnix { method: Some(Method::Yescrypt), ..found },
            ("sha512", "") => PamUnix { method: Some(Method::Sha512), ..found },
            ("md5" | "bigcrypt" | "sha256" | "blowfish" | "gost_yescrypt", "") => {
                PamUnix { method: Some(Method::Other), ..found }
            }
            ("rounds", number) => PamUnix { rounds: number.parse().ok(), ..found },
            _ => found,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(files: &[(&str, &str)]) -> Option<PamUnix> {
        pam_unix(&mut |name| {
            files.iter().find(|(n, _)| *n == name).map(|(_, text)| text.as_bytes().to_vec())
        })
    }

    fn found(method: Method, rounds: Option<i64>) -> Option<PamUnix> {
        Some(PamUnix { method: Some(method), rounds })
    }

    #[test]
    fn debians_passwd_includes_its_common_stack() {
        let common = "# comment\npassword\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt\n\
            password requisite pam_deny.so\n";
        let files = [("passwd", "@include common-password\n"), ("common-password", common)];
        assert_eq!(ask(&files), found(Method::Yescrypt, None));
    }

    #[test]
    fn red_hats_passwd_goes_through_a_substack() {
        let system = "auth required pam_unix.so nullok\n\
            password requisite pam_pwquality.so local_users_only\n\
            password sufficient pam_unix.so sha512 shadow \\\n  nullok rounds=65536 use_authtok\n";
        let files = [
            ("passwd", "auth include system-auth\n-password  substack system-auth\n"),
            ("system-auth", system),
        ];
        assert_eq!(ask(&files), found(Method::Sha512, Some(65_536)));
    }

    #[test]
    fn without_passwd_the_shared_stacks_are_asked() {
        let line = "password required /usr/lib64/security/pam_unix.so sha256 # yescrypt\n";
        assert_eq!(ask(&[("password-auth", line)]), found(Method::Other, None));
    }

    #[test]
    fn a_stack_without_a_method_leaves_it_to_login_defs() {
        assert_eq!(
            ask(&[("passwd", "password required pam_unix.so shadow nullok")]),
            Some(PamUnix::default())
        );
        assert_eq!(ask(&[("passwd", "password required pam_sss.so")]), None);
        assert_eq!(ask(&[]), None);
    }

    #[test]
    fn a_stack_that_includes_itself_ends() {
        assert_eq!(ask(&[("passwd", &"@include passwd\n".repeat(50))]), None);
    }

    proptest! {
        #[test]
        fn foreign_text_does_no_harm(text in "(password|include|@include| |\\[|\\]|\\\\|\n|\\PC){0,60}") {
            ask(&[("passwd", &text)]);
        }
    }
}
