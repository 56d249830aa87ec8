use super::super::memory_tree::MemoryTree;
use super::*;
use proptest::prelude::*;

const DEBIAN: &str = "# The top level settings are used as module\n\
users:\n   - default\n\ndisable_root: true\npreserve_hostname: false\n\n\
cloud_config_modules:\n - set-passwords\n - runcmd\n\n\
system_info:\n   distro: debian\n   default_user:\n     name: debian\n     lock_passwd: True\n     gecos: Debian\n     sudo: [\"ALL=(ALL) NOPASSWD:ALL\"]\n     shell: /bin/bash\n   paths:\n      cloud_dir: /var/lib/cloud/\n";
const SLES: &str = "users:\n   - root\ndisable_root: false\nssh_pwauth: 0\n";
const ROCKY: &str = "users:\n  - default\n\ndisable_root: true\nssh_pwauth: false\n\n\
system_info:\n  default_user:\n    name: rocky\n    lock_passwd: true\n    gecos: rocky Cloud User\n    groups: [adm, systemd-journal]\n  distro: rocky\n";

fn with(configuration: &str, user_data: &str) -> Vec<Advice> {
    let files = MemoryTree::new()
        .file("/etc/cloud/cloud.cfg", configuration)
        .file("/var/lib/cloud/instance/user-data.txt", user_data);
    advice(&files)
}

fn user_data(user_data: &str) -> Vec<Advice> {
    with(DEBIAN, &format!("#cloud-config\n{user_data}"))
}

#[test]
fn the_images_of_debian_and_rocky_leave_root_alone() {
    assert_eq!(with(DEBIAN, ""), []);
    assert_eq!(with(ROCKY, "#cloud-config\nhostname: web\n"), []);
}

#[test]
fn an_image_that_lists_root_as_a_user_locks_it() {
    assert_eq!(with(SLES, ""), [Advice::CloudInitLocksPassword]);
}

#[test]
fn a_password_for_root_is_told_in_every_form() {
    for form in [
        "chpasswd:\n  list: |\n    debian:a\n    root:secret\n  expire: false\n",
        "chpasswd:\n  expire: false\n  users:\n  - name: root\n    password: secret\n",
        "chpasswd: {list: ['root:secret'], expire: False}\n",
        "chpasswd:\n  list:\n    - root:R\n",
        "users:\n  - name: root\n    lock_passwd: false\n    hashed_passwd: $6$a$b\n",
        "user: {name: root}\nusers:\n  - name: root\n    lock-passwd: no\n    plain_text_passwd: a\n",
        "user:\n  name: root\n  lock_passwd: false\npassword: secret\n",
    ] {
        assert_eq!(user_data(form).first(), Some(&Advice::CloudInitSetsPassword), "{form}");
    }
}

#[test]
fn a_password_for_somebody_else_is_not() {
    for form in [
        "password: secret\nchpasswd: { expire: False }\nssh_pwauth: True\n",
        "chpasswd:\n  list: |\n    debian:secret\n    groot:secret\n",
        "users:\n  - default\n  - name: admin\n    groups: [sudo]\n    passwd: $6$a$b\n    lock_passwd: false\n",
        "users:\n  - name: root\n    lock_passwd: false\n    ssh_authorized_keys:\n      - ssh-ed25519 AAAA\n",
    ] {
        assert_eq!(user_data(form), [], "{form}");
    }
}

#[test]
fn a_lock_of_root_is_told_also_where_it_is_the_default() {
    for form in [
        "users:\n  - name: root\n    lock_passwd: true\n",
        "users:\n  - default\n  - name: \"root\"\n    ssh_authorized_keys:\n      - ssh-ed25519 AAAA\n",
        "users: [default, root]\n",
        "user: root\n",
    ] {
        assert_eq!(user_data(form), [Advice::CloudInitLocksPassword], "{form}");
    }
}

#[test]
fn what_is_not_understood_is_unknown() {
    for form in [
        "users:\n  - {name: root, lock_passwd: false}\n",
        "users: *everybody\n",
        "chpasswd:\n  list: \"\\x72oot:secret\"\n",
        "runcmd:\n  - echo root:a | chpasswd\n",
        "bootcmd:\n  - [usermod, -L, root]\n",
        "{\"chpasswd\": {\"list\": \"root:a\"}}\n",
    ] {
        assert_eq!(user_data(form), [Advice::CloudInitUnknown], "{form}");
    }
    let parcel = "Content-Type: multipart/mixed\n\nContent-Transfer-Encoding: base64\n\nI2Nsb3Vk\n";
    for data in ["#!/bin/sh\npasswd -l root\n", "#include\nhttp://192.0.2.1/data\n", parcel] {
        assert_eq!(with(DEBIAN, data), [Advice::CloudInitUnknown], "{data}");
    }
}

#[test]
fn a_parcel_that_cloud_init_opened_need_not_be_opened_again() {
    let files = MemoryTree::new()
        .file("/etc/cloud/cloud.cfg", DEBIAN)
        .file("/var/lib/cloud/instance/user-data.txt", [0x1f, 0x8b, 8, 0])
        .file("/var/lib/cloud/instance/cloud-config.txt", "#cloud-config\nhostname: web\n");
    assert_eq!(advice(&files), []);
    let seed = MemoryTree::new()
        .file("/etc/cloud/cloud.cfg", DEBIAN)
        .file("/var/lib/cloud/seed/nocloud/user-data", [0x1f, 0x8b, 8, 0]);
    assert_eq!(advice(&seed), [Advice::CloudInitUnknown]);
}

#[test]
fn without_cloud_init_or_with_it_disabled_there_is_nothing_to_say() {
    let data = "#cloud-config\nchpasswd:\n  list: ['root:a']\n";
    let absent = MemoryTree::new().file("/var/lib/cloud/seed/nocloud/user-data", data);
    assert_eq!(advice(&absent), []);
    let disabled = MemoryTree::new()
        .file("/etc/cloud/cloud.cfg", SLES)
        .file("/etc/cloud/cloud-init.disabled", "");
    assert_eq!(advice(&disabled), []);
}

#[test]
fn a_configuration_that_cannot_be_read_leaves_it_unknown() {
    let files = MemoryTree::new().broken("/etc/cloud/cloud.cfg");
    assert_eq!(advice(&files), [Advice::CloudInitUnknown]);
}

proptest! {
    #[test]
    fn any_data_is_judged_without_panic(data in proptest::collection::vec(any::<u8>(), 0..200), text in "(.|\n)*") {
        let mut found = Findings::default();
        found.given(&data, false);
        found.configuration(&text);
        let _ = found.advice();
    }
}
