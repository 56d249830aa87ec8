//! The agent's reading of sshd's configuration, compared with what the real sshd prints.
//!
//! Needs OpenSSH's server installed (Debian: `openssh-server`), and the directory that it wants
//! to exist, which the test makes where it may.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use opencpm_agent::advice::sshd::{Configuration, Effective, Open, RootLogin, Unknown};
use opencpm_agent::apply::Root;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A configuration and the connections that it is asked about.
struct Case {
    /// The main file; `{d}` stands for its directory.
    main: &'static str,
    /// Other files in the directory.
    more: &'static [(&'static str, &'static str)],
    /// The conditions that hold for a login from the office. None holds for one from outside.
    office: &'static [&'static str],
}

const fn case(main: &'static str) -> Case {
    Case { main, more: &[], office: &[] }
}

const OUTSIDE: &str = "user=root,host=h,addr=1.2.3.4,laddr=192.0.2.1,lport=22";
const OFFICE: &str = "user=root,host=pc.office.example,addr=10.1.2.3,laddr=10.0.0.1,lport=2222";

const CASES: &[Case] = &[
    case(""),
    case("PermitRootLogin yes\n"),
    case("permitrootlogin YES\npermitrootlogin no\n"),
    case("PermitRootLogin=without-password\n"),
    case("PermitRootLogin = \"forced-commands-only\" # comment\n"),
    case("  PermitRootLogin\t'no'   \r\n"),
    case("\"PermitRootLogin\" prohibit-password\n"),
    case("PasswordAuthentication no\nUsePAM yes\nPubkeyAuthentication no\n"),
    case("ChallengeResponseAuthentication no\n"),
    case("KbdInteractiveAuthentication yes\nChallengeResponseAuthentication no\n"),
    case("AuthenticationMethods publickey,password keyboard-interactive:pam\n"),
    case("AuthenticationMethods any\nAuthenticationMethods publickey\n"),
    case("AllowUsers root admin@10.0.0.0/8\nAllowUsers r* \"a b\" c\\ d\n"),
    case("DenyUsers git\nDenyGroups wheel sudo\nAllowGroups root # not this\n"),
    case("# PermitRootLogin no\n\n   # x\nPermitRootLogin yes\n"),
    case("PermitRootLogin no\nMatch User root\nPermitRootLogin yes\n"),
    case("PermitRootLogin no\nMatch User=root\nPermitRootLogin yes\n"),
    case("Match User \"root\"\nPermitRootLogin yes\n"),
    case("Match User *,!root\nPermitRootLogin yes\nMatch User r??t,x\nPasswordAuthentication no\n"),
    case("Match Group root\nPermitRootLogin yes\nMatch Group !root,*\nPasswordAuthentication no\n"),
    case("PermitRootLogin yes\nMatch all\nPermitRootLogin no\nUsePAM yes\n"),
    case("Match User root # why\nPermitRootLogin yes\nMatch all\nPermitRootLogin no\n"),
    case("AllowUsers root\nDenyUsers a\nMatch User root\nAllowUsers b\nAllowUsers c\n"),
    case("Match User root\nAuthenticationMethods publickey\nAuthenticationMethods password\n"),
    case("Match Address *\nPermitRootLogin yes\nMatch Host *\nPasswordAuthentication no\n"),
    case("Match Address !1.2.3.4\nPermitRootLogin yes\n"),
    Case {
        main: "Match Address 10.0.0.0/8\nPermitRootLogin yes\nMatch all\nPermitRootLogin no\n",
        more: &[],
        office: &["address 10.0.0.0/8"],
    },
    Case {
        main: "Match User root Host *.office.example\nPermitRootLogin yes\nAllowUsers root\n",
        more: &[],
        office: &["host *.office.example"],
    },
    Case {
        main: "Match LocalPort 2222 LocalAddress 10.0.0.1\nPasswordAuthentication no\n",
        more: &[],
        office: &["localport 2222", "localaddress 10.0.0.1"],
    },
    Case {
        main: "Match User git Address 10.0.0.0/8\nPermitRootLogin yes\n",
        more: &[],
        office: &["address 10.0.0.0/8"],
    },
    Case {
        main: "Include {d}/conf.d/*.conf\nPermitRootLogin no\nPasswordAuthentication no\n",
        more: &[
            ("conf.d/20.conf", "PermitRootLogin forced-commands-only\n"),
            ("conf.d/10.conf", "PermitRootLogin yes\nMatch User git\nPasswordAuthentication yes\n"),
            ("conf.d/.hidden.conf", "UsePAM yes\n"),
            ("conf.d/other", "UsePAM yes\n"),
        ],
        office: &[],
    },
    Case {
        main: "Include {d}/absent.conf {d}/[ab]?.inc\nInclude {d}/[!a]?.inc\n",
        more: &[
            ("a1.inc", "PermitRootLogin yes\n"),
            ("b1.inc", "PermitRootLogin no\nUsePAM yes\n"),
            ("c1.inc", "PasswordAuthentication no\n"),
        ],
        office: &[],
    },
    Case {
        main: "PermitRootLogin yes\nMatch User git\nInclude {d}/x\nMatch User root\nInclude {d}/y\n",
        more: &[
            ("x", "Match all\nPermitRootLogin no\n"),
            ("y", "PasswordAuthentication no\nMatch Address 10.0.0.0/8\nAllowUsers a\n"),
        ],
        office: &["address 10.0.0.0/8"],
    },
    Case {
        main: "Match Address 10.0.0.0/8\nInclude {d}/x\nPubkeyAuthentication no\n",
        more: &[("x", "PermitRootLogin yes\nMatch LocalPort 2222\nPasswordAuthentication no\n")],
        office: &["address 10.0.0.0/8", "localport 2222"],
    },
    Case {
        main: "Match all\nInclude {d}/x\nMatch User git\nInclude {d}/x\n",
        more: &[("x", "AllowUsers a\nDenyGroups b\n")],
        office: &[],
    },
];

/// Files that sshd refuses to start with.
const REFUSED: &[&str] = &[
    "PermitRootLogin\n",
    "PermitRootLogin maybe\n",
    "PermitRootLogin yes no\n",
    "PermitRootLogin \"yes\n",
    "PermitRootLogin\"yes\"\n",
    "PermitRootLogin==yes\n",
    "UsePAM perhaps\n",
    "Match\n",
    "Match User\n",
    "Match all User root\n",
    "Match final\nPermitRootLogin yes\n",
    "Match User root\nUsePAM yes\n",
    "Match User git\nPermitRootLogin maybe\n",
    "AuthenticationMethods any password\n",
    "AllowUsers \"\"\n",
    "Include {d}/main\n",
];

#[test]
fn what_is_in_effect_for_root_is_what_sshd_prints() {
    let bench = Bench::new();
    for case in CASES {
        bench.write(case.main, case.more);
        for (connection, conditions) in [(OUTSIDE, &[][..]), (OFFICE, case.office)] {
            let expected = bench.printed(connection).expect("sshd accepts it");
            let effective = bench.effective(conditions).unwrap();
            assert_eq!(effective, expected, "{connection}\n{}", case.main);
        }
    }
}

/// Lines that mean something to each other; what is open in them holds for the office. Not
/// `AuthenticationMethods any`: OpenSSH 9.2 refuses it after another list, and where sshd runs with
/// such a file, its version does not.
const LINES: &[&str] = &[
    "PermitRootLogin yes",
    "PermitRootLogin no",
    "PermitRootLogin = forced-commands-only",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "ChallengeResponseAuthentication yes",
    "UsePAM yes",
    "AuthenticationMethods publickey,password publickey",
    "AuthenticationMethods publickey",
    "AllowUsers a root",
    "AllowUsers b@10.0.0.0/8",
    "DenyGroups c",
    "Match all",
    "Match User root",
    "Match User=git,!root",
    "Match Group r*",
    "Match Address 10.0.0.0/8",
    "Match User root LocalPort 2222 # office",
    "Include {d}/[ab].inc",
    "Include {d}/b.inc {d}/absent",
    "PermitRootLogin \"yes",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn lines_in_any_order_are_read_as_sshd_reads_them(
        main in lines(LINES, 10),
        // Without Include, which would go round in circles.
        a in lines(&LINES[..18], 5),
        b in lines(&LINES[..18], 5),
    ) {
        let bench = Bench::new();
        bench.write(&main, &[("a.inc", &a), ("b.inc", &b)]);
        let office = &["address 10.0.0.0/8", "localport 2222"][..];
        for (connection, conditions) in [(OUTSIDE, &[][..]), (OFFICE, office)] {
            prop_assert_eq!(bench.effective(conditions).ok(), bench.printed(connection));
        }
    }
}

fn lines(of: &'static [&str], most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(of), 0..most)
        .prop_map(|lines| lines.join("\n"))
}

#[test]
fn what_sshd_refuses_is_not_judged() {
    let bench = Bench::new();
    for main in REFUSED {
        bench.write(main, &[]);
        assert_eq!(bench.printed(OUTSIDE), None, "sshd accepts:\n{main}");
        assert!(bench.effective(&[]).is_err(), "accepted:\n{main}");
    }
}

/// A directory with a host key and the configuration under test.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        assert!(
            Path::new("/usr/sbin/sshd").exists(),
            "this test compares with the real sshd: install OpenSSH's server (openssh-server)"
        );
        std::fs::create_dir_all("/run/sshd")
            .expect("sshd wants the directory /run/sshd, and this user may not make it");
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(key)
            .status()
            .unwrap();
        assert!(made.success());
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, main: &str, more: &[(&str, &str)]) {
        for (name, content) in more.iter().chain(&[("main", main)]) {
            let path = self.directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.replace("{d}", &self.path(""))).unwrap();
        }
    }

    /// What sshd says is in effect; `None` when it refuses the configuration.
    fn printed(&self, connection: &str) -> Option<Effective> {
        let output = Command::new("/usr/sbin/sshd")
            .args(["-T", "-C", connection, "-f", &self.path("main"), "-h", &self.path("key")])
            .output()
            .unwrap();
        output.status.success().then(|| printed(&String::from_utf8(output.stdout).unwrap()))
    }

    /// What the agent reads from the same files, below the root directory of this machine.
    fn effective(&self, conditions: &[&str]) -> Result<Effective, Unknown> {
        let files = Root::open(Path::new("/")).unwrap();
        let configuration = Configuration::read(&files, &self.path("main"))?;
        Ok(configuration.effective(&|open| match open {
            Open::Peer(condition) => conditions.contains(&condition.as_str()),
            Open::Groups(_) => false,
        }))
    }
}

/// What `sshd -T` prints, one keyword a line.
fn printed(text: &str) -> Effective {
    let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (keyword, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        values.entry(keyword).or_default().push(value.to_owned());
    }
    let list = |keyword: &str| values.get(keyword).cloned().unwrap_or_default();
    let flag = |keyword: &str| list(keyword) == ["yes"];
    let methods = list("authenticationmethods").join(" ");
    Effective {
        root_login: match list("permitrootlogin")[0].as_str() {
            "yes" => RootLogin::Yes,
            "no" => RootLogin::No,
            "forced-commands-only" => RootLogin::ForcedCommandsOnly,
            _ => RootLogin::KeysOnly,
        },
        password: flag("passwordauthentication"),
        keyboard_interactive: flag("kbdinteractiveauthentication"),
        public_key: flag("pubkeyauthentication"),
        pam: flag("usepam"),
        // "any" is printed where nothing is said.
        methods: methods.split(' ').filter(|list| *list != "any").map(str::to_owned).collect(),
        allow_users: list("allowusers"),
        deny_users: list("denyusers"),
        allow_groups: list("allowgroups"),
        deny_groups: list("denygroups"),
    }
}
