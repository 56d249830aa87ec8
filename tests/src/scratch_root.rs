//! What an agent sees of a machine, laid out by a test.

use std::fs;
use std::path::Path;

/// How a machine hashes passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As on Debian 12.
    Yescrypt,
    /// As on Rocky Linux 9.
    Sha512,
    /// The same with as few rounds as crypt(5) allows, for machines in great number.
    QuickSha512,
}

impl Scheme {
    /// How its hashes begin (crypt(5)).
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Yescrypt => "$y$",
            Self::Sha512 | Self::QuickSha512 => "$6$",
        }
    }

    /// Lines of login.defs(5).
    fn settings(self) -> &'static str {
        match self {
            Self::Yescrypt => "ENCRYPT_METHOD YESCRYPT\n",
            Self::Sha512 => "ENCRYPT_METHOD SHA512\n",
            Self::QuickSha512 => "ENCRYPT_METHOD SHA512\nSHA_CRYPT_MAX_ROUNDS 1000\n",
        }
    }
}

/// Root's entry before anything happens: a hash that no password has.
pub(crate) const SHADOW: &str = "\
root:$6$Zq1xVd0n$wM9oY3Jp2GkTfLh7uBcRsEaXvN5iKdQz8P1rCtWy6AjHbUgOm4SeFlDnZxIv0qTKpY7RwJcL3MhVuEaB9sNfG.:19700:0:99999:7:::
daemon:*:19700:0:99999:7:::
sshd:!:19700::::::
admin:*:19702:0:99999:7:::
";

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sshd:x:105:65534::/run/sshd:/usr/sbin/nologin
admin:x:1000:1000::/home/admin:/bin/sh
";

const GROUP: &str = "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\nadmin:x:1000:\n";

/// Makes a system below `root`. `number` tells its identity from others'.
pub fn lay_out(root: &Path, scheme: Scheme, number: usize) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("etc/shadow", SHADOW);
    write("etc/passwd", PASSWD);
    write("etc/group", GROUP);
    write("etc/login.defs", &format!("PASS_MAX_DAYS\t99999\n{}", scheme.settings()));
    write("etc/hostname", &format!("machine-{number}\n"));
    write("etc/machine-id", &format!("{number:032x}\n"));
    write("bin/sh", "");
    let uuid = |kind: usize| format!("{kind:08x}-0000-4000-8000-{number:012x}\n");
    write("sys/class/dmi/id/product_uuid", &uuid(1));
    write("proc/sys/kernel/random/boot_id", &uuid(2));
}
