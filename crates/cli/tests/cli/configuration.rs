//! What an operator relies on when the service is configured.

use std::path::PathBuf;

use crate::support::{Ended, opencpm};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `serve --check` with this file, these variables and these flags.
    fn check(&self, file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Ended {
        let path = self.file("opencpm.toml", file);
        let mut command = opencpm(["serve", "--check", "--config"]);
        command.arg(path).arg("--dir").arg(self.0.path().join("data"));
        command.args(flags).envs(variables.iter().copied());
        Ended::of(command.output().unwrap())
    }
}

#[test]
fn a_good_configuration_is_called_good_and_nothing_is_made() {
    let place = Place::new();
    let text =
        "[api]\nlisten = \"127.0.0.1:8443\"\npolicy = \"extended\"\ntime_offset = \"+08:00\"\n";
    place.check(text, &[], &[]).succeeds();
    place.check("", &[], &["--roles", "api,gateway"]).succeeds();
    assert!(!place.0.path().join("data").exists());
}

#[test]
fn a_wrong_value_is_told_with_file_key_and_what_was_expected() {
    let place = Place::new();
    let wrong = |text: &str, words: &[&str]| place.check(text, &[], &[]).complains(1, words);
    wrong("[api]\njob_deadline = \"soon\"\n", &["opencpm.toml", "api.job_deadline", "u64"]);
    wrong("[api]\nlisten = \"here\"\n", &["opencpm.toml", "api.listen", "0.0.0.0:8443"]);
    wrong("[api]\nlisten = 8443\n", &["opencpm.toml", "api.listen", "string"]);
    wrong("[api]\nlistem = \"x\"\n", &["opencpm.toml", "listem", "listen"]);
    wrong("[agents]\naddresses = [\"cpm\"]\n", &["agents.addresses", "host:port"]);
    wrong("[api]\ntime_offset = \"CET\"\n", &["api.time_offset", "+08:00"]);
    wrong("roles = [\"queue\"]\n", &["opencpm.toml", "roles", "gateway"]);
    wrong("[api]\njob_deadline = 3\n", &["api.job_deadline", "15 to 3600"]);
    wrong("[retention]\ndays = 0\n", &["retention.days", "1 to 36500"]);
    wrong("[api]\ncertificate = \"x\"\n", &["api.certificate", "api.key"]);
    for role in ["api", "gateway"] {
        let alone = format!("roles = [\"{role}\"]\n");
        wrong(&alone, &["store.url", "postgresql://", "both roles"]);
        let with_store = format!("{alone}[store]\nurl = \"postgresql://a@localhost/b\"\n");
        wrong(&with_store, &["queue.url", "amqps://", "both roles"]);
        let with_both = format!("{with_store}[queue]\nurl = \"amqp://a@localhost\"\n");
        wrong(&with_both, &["agents.addresses", "host:port"]);
    }
    wrong("[store]\nurl = \"postgresql://a:b@localhost/c\"\n", &["store.password_file"]);
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_named() {
    let place = Place::new();
    place.check("[api\nlisten", &[], &[]).complains(1, &["opencpm.toml", "line 1"]);
    let missing = opencpm(["serve", "--check", "--config", "/nowhere/opencpm.toml"]);
    let mut missing = missing;
    Ended::of(missing.output().unwrap()).complains(1, &["/nowhere/opencpm.toml"]);
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let place = Place::new();
    let short = "[api]\njob_deadline = 3\n";
    let variable = [("OPENCPM_API__JOB_DEADLINE", "60")];
    place.check(short, &variable, &[]).succeeds();
    let variable = [("OPENCPM_API__LISTEN", "nonsense")];
    place.check("", &variable, &[]).complains(1, &["environment", "api.listen"]);
    place.check("", &variable, &["--listen", "127.0.0.1:8443"]).succeeds();
}

#[test]
fn the_clients_variables_do_not_disturb_the_service_but_a_misspelt_one_does() {
    let variables = [("OPENCPM_ENDPOINT", "https://x"), ("OPENCPM_SECRET_KEY", "s")];
    Place::new().check("", &variables, &[]).succeeds();
    let misspelt = [("OPENCPM_API__LISTEM", "127.0.0.1:1")];
    Place::new().check("", &misspelt, &[]).complains(1, &["environment", "listem", "listen"]);
}

#[test]
fn a_quota_is_of_known_actions_and_lets_something_through() {
    let place = Place::new();
    let good = "[quota]\nper_key = 1000\n[quota.actions]\nDescribeDeviceList = 10\n";
    place.check(good, &[("OPENCPM_QUOTA__PER_ACTION", "100")], &[]).succeeds();
    place.check("[quota]\nper_key = 0\n", &[], &[]).complains(1, &["quota.per_key", "1 to"]);
    let unknown = "[quota.actions]\nNoSuch = 10\n";
    place.check(unknown, &[], &[]).complains(1, &["quota.actions", "NoSuch", "action"]);
    let none = "[quota.actions]\nDescribeDevice = 0\n";
    place.check(none, &[], &[]).complains(1, &["quota.actions", "1 to"]);
}

#[test]
fn an_own_certificate_is_read_before_it_is_needed() {
    let place = Place::new();
    let file = place.file("cert.pem", "no certificate");
    let path = file.to_str().unwrap();
    let text = format!("[api]\ncertificate = \"{path}\"\nkey = \"{path}\"\n");
    place.check(&text, &[], &[]).complains(1, &["api.certificate", "cert.pem"]);
}

/// Everything that a node of several needs, and each of it missing.
#[test]
fn a_node_of_several_is_checked_with_every_file_that_it_names() {
    let place = Place::new();
    place.file("password", "s3cret\n");
    let certificate = rcgen::generate_simple_self_signed(["db.example".to_owned()]).unwrap();
    place.file("ca.pem", &certificate.cert.pem());
    place.file("empty.pem", "");
    let dir = place.0.path().display().to_string();
    let text = |password: &str, ca: &str| {
        format!(
            "[store]\nurl = \"postgresql://o@db.example/o?sslmode=verify-full\"\npassword_file = \"{dir}/{password}\"\n\
             ca = \"{dir}/{ca}\"\n[queue]\nurl = \"amqps://o@mq.example/o\"\n\
             password_file = \"{dir}/password\"\nca = \"{dir}/ca.pem\"\n\
             [agents]\naddresses = [\"gw.example:8444\"]\n"
        )
    };
    let api = ["--roles", "api"];
    place.check(&text("password", "ca.pem"), &[], &api).succeeds();
    place.check(&text("nowhere", "ca.pem"), &[], &api).complains(1, &["nowhere"]);
    place.check(&text("password", "nowhere.pem"), &[], &api).complains(1, &["nowhere.pem"]);
    place.check(&text("password", "empty.pem"), &[], &api).complains(1, &["empty.pem"]);
    let good = text("password", "ca.pem");
    // Its keys, once the deployment was made.
    std::fs::create_dir(place.0.path().join("data")).unwrap();
    place.file("data/root.pub", "no key\n");
    place.check(&good, &[], &api).complains(1, &["master.key"]);
    std::fs::remove_file(place.0.path().join("data/root.pub")).unwrap();
    // A gateway alone needs a token that is one.
    let gateway = ["--roles", "gateway"];
    place.check(&good, &[], &gateway).complains(1, &["node.token_file"]);
    place.file("token", "no token\n");
    let named = format!("{good}[node]\ntoken_file = \"{dir}/token\"\n");
    place.check(&named, &[], &gateway).complains(1, &["token"]);
    place.file("data/master.key", "x");
    place.check(&named, &[], &gateway).complains(1, &["must not have it"]);
}
