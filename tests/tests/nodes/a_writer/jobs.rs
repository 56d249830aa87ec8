//! Jobs that are changed, swapped, repeated or made up.

use getrandom::SysRng;
use opencpm_domain::{Password, PasswordPolicy, hex_to_bytes, to_hex};
use opencpm_protocol::key::{AuthorityKey, SealingPublic};
use opencpm_protocol::report::SealingCertificate;
use opencpm_protocol::seal::{SealContext, Verb, seal};
use opencpm_protocol::sign::Signed;
use rand_core::UnwrapErr;

use crate::a_writer::attack::{Attack, LIMIT};

/// Every column that a machine hears of, and both halves of the seal.
pub(crate) fn what_was_changed_or_swapped_is_refused(attack: &mut Attack) {
    let flipped =
        |column: &str| format!("{column} = set_byte({column}, 7, get_byte({column}, 7) # 1)");
    for (table, change, reason) in [
        ("sealed", flipped("ciphertext").as_str(), "seal_invalid"),
        ("sealed", flipped("enc").as_str(), "seal_invalid"),
        ("sealed", "ciphertext = substr(ciphertext, 1, 79)", "seal_invalid"),
        ("job", "sequence = sequence + 1", "seal_invalid"),
        ("job", "not_after = not_after + 1", "seal_invalid"),
        ("job", "not_after = not_after + 60000000, deadline = deadline + 60000000", "seal_invalid"),
        ("job", "issued_at = issued_at + 1", "seal_invalid"),
        ("job", "id = decode(md5('another'), 'hex')", "seal_invalid"),
        ("job", "authority = decode('0011223344556677', 'hex')", "authority_unknown"),
        ("job", "sealing_generation = sealing_generation + 1", "sealing_key_gone"),
    ] {
        let open = match table {
            "job" => "status = 4",
            _ => "TRUE",
        };
        let sql = format!("UPDATE {table} SET {change} WHERE {open}");
        attack.refused(&[0], reason, |attack, _| drop(attack.sql(&sql)));
    }
    // Both seals exchanged, and a whole job for another machine, whose keys have other numbers.
    attack.refused(&[0, 1], "seal_invalid", |attack, _| {
        attack.sql(
            "UPDATE sealed SET (enc, ciphertext) = (SELECT enc, ciphertext FROM sealed AS other
                                                    WHERE other.job <> sealed.job)",
        );
    });
    let (one, other) = (attack.instance(0).to_owned(), attack.instance(1).to_owned());
    attack.refused(&[0], "seal", |attack, _| {
        attack.sql(&format!(
            "UPDATE job SET instance = '{other}' WHERE status = 4 AND instance = '{one}'"
        ));
    });
}

/// A job that was done is put back as it was, under its own id and under others, and its seal into
/// a job that is open.
pub(crate) fn what_was_done_is_not_done_again(attack: &mut Attack) {
    let done = attack.intercepted(&[0], |attack, tasks| {
        attack.sql(&format!(
            "CREATE TABLE loot AS SELECT * FROM sealed;
             CREATE TABLE loot_job AS SELECT * FROM job WHERE task = {}",
            tasks[0]
        ));
    });
    assert_eq!(done[0]["status"], 1, "{}", done[0]);
    let first: u64 = attack.sql("SELECT task FROM loot_job").parse().unwrap();
    let again = |attack: &Attack, change: &str| {
        attack.sql(&format!(
            "BEGIN;
             UPDATE job SET status = 4, attempts = 0, last_attempt = NULL, ended = NULL,
                 applied = NULL, reason = NULL, report = NULL,
                 deadline = store_now() + 25000000{change} WHERE task = {first};
             INSERT INTO sealed SELECT * FROM loot;
             COMMIT"
        ));
        attack.nodes.client(1).wait(first, LIMIT)
    };
    let later = attack.reset(0);
    let after = attack.hashes();
    // The machine answers from its record.
    let data = again(attack, "");
    assert_eq!(data["status"], 1, "{data}");
    let higher = ", sequence = (SELECT max(sequence) + 1 FROM job)";
    let data = again(attack, &format!("{higher}, id = decode(md5('new'), 'hex')"));
    attack.is_failure(&data, "seal_invalid");
    let data = again(attack, ", id = decode(md5('newer'), 'hex'), sequence = 1");
    attack.is_failure(&data, "stale_sequence");
    assert_eq!(attack.hashes(), after, "after task {later}");
    // The old seal in a new job, with and without what it was sealed for.
    attack.refused(&[0], "seal_invalid", |attack, _| {
        attack.sql("UPDATE sealed SET (enc, ciphertext) = (SELECT enc, ciphertext FROM loot)");
    });
    attack.refused(&[0], "stale_sequence", |attack, tasks| {
        attack.sql(&format!(
            "UPDATE sealed SET (enc, ciphertext) = (SELECT enc, ciphertext FROM loot);
             UPDATE job SET (sequence, issued_at, not_after, sealing_generation) =
                 (SELECT sequence, issued_at, not_after, sealing_generation FROM loot_job)
             WHERE task = {}",
            tasks[0]
        ));
    });
    attack.sql("DROP TABLE loot, loot_job");
}

/// A seal that is right in everything but the authority's key, which the attacker does not have.
pub(crate) fn what_a_stranger_sealed_is_refused(attack: &mut Attack) {
    attack.refused(&[0], "seal_invalid", |attack, tasks| {
        let (context, key) = described(attack, tasks[0]);
        let mut rng = UnwrapErr(SysRng);
        let authority = AuthorityKey::generate(&mut rng);
        let password = Password::new("Attackers#1".to_owned().into(), PasswordPolicy::default());
        let sealed = seal(&password.unwrap(), &context, &key, &authority, &mut rng).unwrap();
        attack.sql(&format!(
            "UPDATE sealed SET enc = decode('{}', 'hex'), ciphertext = decode('{}', 'hex')",
            to_hex(&sealed.enc),
            to_hex(&sealed.ciphertext)
        ));
    });
    assert!(!attack.nodes.machines[0].has("Attackers#1"));
}

/// All that an open job is sealed for, and the key of its device: both lie open in the database.
fn described(attack: &Attack, task: u64) -> (SealContext, SealingPublic) {
    let row = attack.sql(&format!(
        "SELECT job.account, job.instance, job.identity_generation, job.sealing_generation,
             encode(job.id, 'hex'), sequence, issued_at, not_after,
             encode(sealing_certificate, 'hex')
         FROM job JOIN device USING (instance) WHERE task = {task}"
    ));
    let fields: Vec<&str> = row.split('|').collect();
    let number = |field: usize| fields[field].parse::<u64>().unwrap();
    let generation =
        |field: usize| opencpm_domain::Generation::new(fields[field].parse().unwrap()).unwrap();
    let context = SealContext {
        deployment: opencpm_domain::DeploymentId::parse(&attack.deployment).unwrap(),
        account: opencpm_domain::AppId::new(number(0)).unwrap(),
        instance: opencpm_domain::InstanceId::parse(fields[1]).unwrap(),
        identity_generation: generation(2),
        sealing_generation: generation(3),
        verb: Verb::SetRootPassword,
        job: opencpm_domain::JobId::parse(fields[4]).unwrap(),
        sequence: opencpm_domain::Sequence::new(number(5)),
        issued_at: opencpm_domain::Timestamp::from_micros(number(6)),
        not_after: opencpm_domain::Timestamp::from_micros(number(7)),
    };
    let certificate = Signed::<SealingCertificate>::from_bytes(&hex_to_bytes(fields[8]).unwrap());
    (context, certificate.unwrap().read_unverified().unwrap().key)
}
