//! Machines that would like to be somebody else's.

use std::path::{Path, PathBuf};

use getrandom::SysRng;
use opencpm_domain::to_hex;
use opencpm_protocol::token::EnrolmentToken;
use opencpm_tests::{Scheme, lay_out, try_to_enrol};
use rand_core::UnwrapErr;

use crate::a_writer::attack::Attack;

/// A row for a secret of the attacker's own, and rows of others with other rights.
pub(crate) fn no_token_is_made_or_widened(attack: &mut Attack) {
    let genuine = token(attack, "genuine", None);
    let own = own_secret(attack, &genuine, "own");
    let hash = own.1;
    let victim = attack.instance(0).to_owned();
    attack.sql(&format!(
        "INSERT INTO enrolment_token SELECT decode('{hash}', 'hex'), app_id, '{victim}', 5, expires,
             mac FROM enrolment_token WHERE uses_left > 0"
    ));
    refused(attack, &own.0);
    attack.sql(&format!("DELETE FROM enrolment_token WHERE hash = decode('{hash}', 'hex')"));
    for change in [
        format!("device = '{victim}'"),
        "expires = expires + 1".to_owned(),
        format!("hash = decode('{hash}', 'hex')"),
    ] {
        attack.sql(&format!(
            "CREATE TABLE kept AS SELECT * FROM enrolment_token;
             UPDATE enrolment_token SET {change} WHERE uses_left > 0"
        ));
        refused(attack, if change.starts_with("hash") { &own.0 } else { &genuine });
        attack.sql(
            "DELETE FROM enrolment_token; INSERT INTO enrolment_token SELECT * FROM kept;
             DROP TABLE kept",
        );
    }
    attack.sql("UPDATE enrolment_token SET uses_left = 0");
    attack.reset(0);
}

/// Whoever owns the database says what is equal there. A token for the device lies in it; the
/// attacker does not know its secret.
pub(crate) fn a_token_is_not_found_under_another_secret(attack: &mut Attack) {
    let victim = attack.instance(0).to_owned();
    let genuine = token(attack, "for-a-device", Some(&victim));
    let own = own_secret(attack, &genuine, "own-again");
    attack.sql(&format!(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.same(a bytea, b bytea) RETURNS boolean LANGUAGE sql AS
             $$ SELECT pg_catalog.byteaeq(a, b) OR pg_catalog.byteaeq(b, '\\x{}') $$;
         CREATE OPERATOR evil.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = evil.same);
         UPDATE enrolment_token SET uses_left = 0 WHERE device IS NULL;
         ALTER DATABASE opencpm SET search_path = evil, pg_catalog, public",
        own.1
    ));
    attack.cut_off_the_service();
    refused(attack, &own.0);
    attack.sql("ALTER DATABASE opencpm RESET search_path; DROP SCHEMA evil CASCADE");
    attack.cut_off_the_service();
    attack.reset(0);
}

fn token(attack: &Attack, name: &str, device: Option<&str>) -> PathBuf {
    let account = attack.sql("SELECT app_id FROM account");
    let mut asked = vec!["enrol-token", "create", "--app-id", &account];
    asked.extend(device.iter().flat_map(|device| ["--device", device]));
    attack.nodes.secret_file(name, &asked)
}

/// A token that says what this one says, with a secret that the service never made. Its file, and
/// the hash by which it would be found.
fn own_secret(attack: &Attack, like: &Path, name: &str) -> (PathBuf, String) {
    let like = EnrolmentToken::parse(&std::fs::read_to_string(like).unwrap()).unwrap();
    let (root, deployment, to) = (like.root, like.deployment, like.addresses().to_vec());
    let own = EnrolmentToken::generate(
        &mut UnwrapErr(SysRng),
        root,
        deployment,
        to,
        like.instance.clone(),
    );
    let own = own.unwrap();
    let file = attack.nodes.folder().join(name);
    std::fs::write(&file, secrecy::ExposeSecret::expose_secret(&own.to_secret_text())).unwrap();
    (file, to_hex(&own.secret_hash()))
}

/// A new machine tries this token: it becomes no device, and nobody's key changes.
fn refused(attack: &Attack, token: &Path) {
    let keys = "SELECT instance, encode(identity_key, 'hex') FROM device ORDER BY instance";
    let before = attack.sql(keys);
    let root = attack.nodes.folder().join("thief");
    if root.exists() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    lay_out(&root, Scheme::Sha512, 99);
    let said = try_to_enrol(&root, token).expect_err("it was enrolled");
    assert!(said.contains("the token is unknown"), "{said}");
    assert_eq!(attack.sql(keys), before);
}
