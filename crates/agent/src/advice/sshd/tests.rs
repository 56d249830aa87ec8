use super::super::memory_tree::MemoryTree;
use super::*;
use proptest::prelude::*;

const MAIN: &str = "/etc/ssh/sshd_config";
const OPEN: &str = "PermitRootLogin yes\nUsePAM yes\n";

fn tree(configuration: &str) -> MemoryTree {
    MemoryTree::new()
        .file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        .file("/etc/group", "root:x:0:\nwheel:x:10:root\n")
        .file(MAIN, configuration)
}

fn of(configuration: &str) -> Vec<Advice> {
    advice(&tree(configuration)).into_iter().collect()
}

/// The advice for a machine that would otherwise let root in.
fn with(more: &str) -> Vec<Advice> {
    of(&format!("{OPEN}{more}"))
}

#[test]
fn without_sshd_there_is_nothing_to_say() {
    assert!(advice(&MemoryTree::new()).is_empty());
    let bare = MemoryTree::new().program("/usr/sbin/sshd");
    assert_eq!(advice(&bare), [Advice::SshdUnknown].into());
}

#[test]
fn permit_root_login_decides_first() {
    assert_eq!(of("PermitRootLogin yes\n"), []);
    assert_eq!(of("PermitRootLogin no\n"), [Advice::SshdRootLoginDisabled]);
    for keys in ["", "PermitRootLogin without-password\n", "PermitRootLogin forced-commands-only\n"]
    {
        assert_eq!(of(keys), [Advice::SshdRootKeyOnly]);
    }
    assert_eq!(of("PermitRootLogin yes\nPermitRootLogin no\n"), []);
}

#[test]
fn passwords_go_through_either_method() {
    let off = [Advice::SshdPasswordsDisabled];
    assert_eq!(with("PasswordAuthentication no\n"), []);
    assert_eq!(with("PasswordAuthentication no\nKbdInteractiveAuthentication no\n"), off);
    assert_eq!(with("PasswordAuthentication no\nChallengeResponseAuthentication no\n"), off);
    assert_eq!(of("PermitRootLogin yes\nPasswordAuthentication no\n"), off);
}

#[test]
fn a_list_of_methods_may_leave_passwords_out() {
    let off = [Advice::SshdPasswordsDisabled];
    assert_eq!(with("AuthenticationMethods any\n"), []);
    assert_eq!(with("AuthenticationMethods publickey\n"), off);
    assert_eq!(with("AuthenticationMethods publickey publickey,password\n"), []);
    assert_eq!(with("AuthenticationMethods keyboard-interactive:pam\n"), []);
    assert_eq!(with("AuthenticationMethods password\nPasswordAuthentication no\n"), off);
    assert_eq!(with("AuthenticationMethods publickey,password\nPubkeyAuthentication no\n"), off);
}

#[test]
fn lists_of_users_and_groups_may_leave_root_out() {
    let excluded = [Advice::SshdRootExcluded];
    for out in [
        "DenyUsers git r??t\n",
        "AllowUsers admin\n",
        "DenyGroups wheel\n",
        "AllowGroups ssh-users\n",
        "AllowUsers root\nDenyUsers *\n",
    ] {
        assert_eq!(with(out), excluded, "{out}");
    }
    for within in
        ["AllowUsers admin\nAllowUsers root\n", "AllowGroups wh*\n", "AllowUsers root@*\n"]
    {
        assert_eq!(with(within), [], "{within}");
    }
}

#[test]
fn a_block_for_root_wins_over_what_stands_outside() {
    assert_eq!(of("PermitRootLogin no\nMatch User root\nPermitRootLogin yes\n"), []);
    assert_eq!(of("PermitRootLogin yes\nMatch all\nPermitRootLogin no\n").len(), 1);
    assert_eq!(with("Match User *,!root\nPermitRootLogin no\n"), []);
    assert_eq!(with("AllowUsers root\nMatch Group wheel\nAllowUsers admin\n").len(), 1);
}

#[test]
fn a_block_for_some_connections_leaves_it_undecided_where_the_outcome_differs() {
    let undecided = [Advice::SshdUndecided];
    assert_eq!(of("Match Address 10.0.0.0/8\nPermitRootLogin yes\n"), undecided);
    assert_eq!(
        with("Match LocalPort 2222\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"),
        undecided
    );
    assert_eq!(with("AllowUsers root@10.0.0.0/8\n"), undecided);
    assert_eq!(with("Match Address 10.0.0.0/8\nPasswordAuthentication no\n"), []);
    assert_eq!(with("Match Host *.example\nX11Forwarding no\n"), []);
    let refused_either_way =
        of("PermitRootLogin no\nMatch Address 10.0.0.0/8\nPermitRootLogin prohibit-password\n");
    assert_eq!(refused_either_way, [Advice::SshdRootLoginDisabled, Advice::SshdRootKeyOnly]);
}

#[test]
fn groups_that_cannot_be_told_leave_it_unknown_where_they_matter() {
    let files = |configuration: &str| MemoryTree::new().file(MAIN, configuration);
    let excluded = files("PermitRootLogin yes\nAllowGroups ssh-users\n");
    assert_eq!(advice(&excluded), [Advice::SshdUnknown].into());
    assert!(advice(&files("PermitRootLogin yes\n")).is_empty());
}

#[test]
fn includes_are_read_in_place_and_inherit_their_block() {
    let drop_in = |main: &str, included: &str| {
        advice(&tree(main).file("/etc/ssh/sshd_config.d/50-site.conf", included))
    };
    let include = "Include sshd_config.d/*.conf\n";
    assert!(drop_in(&format!("{include}PermitRootLogin no\n"), "PermitRootLogin yes\n").is_empty());
    let block = format!("PermitRootLogin yes\nMatch User git\n{include}");
    assert!(drop_in(&block, "Match all\nPermitRootLogin no\n").is_empty());
    // A block ends with its file.
    let after = format!("{include}PermitRootLogin yes\n");
    assert!(drop_in(&after, "Match User git\nPasswordAuthentication no\n").is_empty());
}

#[test]
fn what_sshd_would_refuse_or_cannot_be_read_is_unknown() {
    let unknown = [Advice::SshdUnknown];
    for configuration in [
        "PermitRootLogin maybe\n",
        "PermitRootLogin yes no\n",
        "PermitRootLogin\n",
        "Match User root\nUsePAM yes\n",
        "Match Tagged x\nPermitRootLogin yes\n",
        "Include /etc/ssh/sshd_config\n",
    ] {
        assert_eq!(of(configuration), unknown, "{configuration}");
    }
    let broken = tree("Include sshd_config.d/*\n").broken("/etc/ssh/sshd_config.d/a");
    assert_eq!(advice(&broken), unknown.into());
    let many: String =
        (0..20).map(|n| format!("Match Address 10.0.0.{n}\nPermitRootLogin yes\n")).collect();
    assert_eq!(of(&many), unknown);
}

#[test]
fn arguments_of_the_service_may_say_otherwise() {
    let files = tree(OPEN).file("/etc/default/ssh", "SSHD_OPTS=-oPermitRootLogin=no\n");
    assert_eq!(advice(&files), [Advice::SshdUnknown].into());
    let usual = tree(OPEN).file("/etc/default/ssh", "# Options, -f\nSSHD_OPTS=\n");
    assert!(advice(&usual).is_empty());
}

proptest! {
    #[test]
    fn any_configuration_gets_an_answer(
        lines in proptest::collection::vec(
            prop_oneof![
                "(?i)(permitrootlogin|match|include|allowusers|usepam|authenticationmethods)[ =]([ a-z*!,@\"'=]|user|all|address){0,20}",
                ".*",
            ],
            0..12,
        ),
    ) {
        let _ = of(&lines.join("\n"));
    }
}
