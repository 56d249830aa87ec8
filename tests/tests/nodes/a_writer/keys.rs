//! Keys, rights and addresses of the attacker's choice.

use getrandom::SysRng;
use opencpm_domain::{Generation, Timestamp, to_hex};
use opencpm_protocol::key::{SealingKey, SigningKey};
use opencpm_protocol::report::SealingCertificate;
use opencpm_protocol::sign::Signed;
use opencpm_tests::{Client, eventually};
use rand_core::UnwrapErr;

use crate::a_writer::attack::{Attack, LIMIT};

/// The attacker's sealing key, and the attacker's identity key that certifies it.
pub(crate) fn no_key_of_the_attacker_gets_a_password(attack: &mut Attack) {
    let mut rng = UnwrapErr(SysRng);
    let (identity, sealing) = (SigningKey::generate(&mut rng), SealingKey::generate(&mut rng));
    let certificate = SealingCertificate {
        identity: identity.public(),
        generation: Generation::new(1_000).unwrap(),
        key: sealing.public(),
        made: Timestamp::from_secs(2_000_000_000),
    };
    let certificate = to_hex(&Signed::sign(&certificate, &identity).to_bytes());
    let certificate =
        format!("sealing_generation = 1000, sealing_certificate = decode('{certificate}', 'hex')");
    let identity =
        format!("identity_key = decode('{}', 'hex')", to_hex(identity.public().as_bytes()));
    let other = |column: &str, victim: &str| {
        format!(
            "{column} = (SELECT {column} FROM device AS other WHERE other.instance <> '{victim}')"
        )
    };
    let victim = attack.instance(0).to_owned();
    let former = format!("identity_generation = identity_generation + 1, {identity}");
    let stolen = format!(
        "{}, {}",
        other("sealing_generation", &victim),
        other("sealing_certificate", &victim)
    );
    for (change, why) in [
        (certificate.as_str(), "sealing key in the store is not authentic"),
        (&stolen, "sealing key in the store is not authentic"),
        (&identity, "device in the store is not authentic"),
        (&format!("{identity}, {certificate}"), "device in the store is not authentic"),
        (&format!("{former}, {certificate}"), "device in the store is not authentic"),
        (&other("signature", &victim), "device in the store is not authentic"),
        ("quarantined = TRUE", "device in the store is not authentic"),
    ] {
        attack.sql(&format!(
            "CREATE TABLE kept AS SELECT * FROM device;
             UPDATE device SET {change} WHERE instance = '{victim}'"
        ));
        attack.refused_at_once(0, why);
        attack.sql(
            "UPDATE device SET (identity_generation, identity_key, quarantined, signature,
                                sealing_generation, sealing_certificate) =
                 (SELECT identity_generation, identity_key, quarantined, signature,
                         sealing_generation, sealing_certificate
                  FROM kept WHERE kept.instance = device.instance);
             DROP TABLE kept",
        );
    }
    attack.reset(0);
}

/// The attacker has a key that may look at devices, and the database.
pub(crate) fn no_api_key_has_more_rights_than_it_was_given(attack: &mut Attack) {
    let account = attack.sql("SELECT app_id FROM account");
    let looks = ["key", "create", "--app-id", &account, "--action", "DescribeDevice"];
    let profile = attack.nodes.secret_file("looks.toml", &looks);
    let (id, secret) = opencpm_tests::key_in(&profile);
    let client = Client::new(&attack.nodes.api[0].url(), &id, &secret);
    let (admin, _) = attack.nodes.key();
    let (admin, instance) = (admin.to_owned(), attack.instance(0).to_owned());
    let refused = |client: &Client, code: u64| {
        let answer = client.reset(&[&instance], "Attackers#2").expect_err("refused");
        assert_eq!(answer["code"], code, "{answer}");
    };
    // Without the database.
    refused(&client, 4101);
    attack.sql("CREATE TABLE kept AS SELECT * FROM api_key");
    let before = attack.hashes();
    for change in [
        "actions = NULL",
        "admin = TRUE, actions = NULL",
        "actions = '[\"ResetDevicePasswd\"]'",
        "mac = (SELECT mac FROM kept WHERE admin)",
        "actions = NULL, admin = TRUE, mac = (SELECT mac FROM kept WHERE admin)",
    ] {
        attack.sql(&format!("UPDATE api_key SET {change} WHERE secret_id = '{id}'"));
        refused(&client, 4104);
        attack.sql(&format!(
            "UPDATE api_key SET (actions, admin, mac) = (SELECT actions, admin, mac FROM kept
             WHERE kept.secret_id = '{id}') WHERE secret_id = '{id}'"
        ));
    }
    // A row of the attacker's own, and the administrator's with the secret that the attacker knows.
    attack.sql(&format!(
        "INSERT INTO api_key SELECT 'AKIDattackersown0000000000000000', encrypted_secret, app_id,
             uin, TRUE, NULL, NULL, NULL, FALSE, created, mac, NULL, NULL
         FROM kept WHERE secret_id = '{id}';
         UPDATE api_key SET encrypted_secret = (SELECT encrypted_secret FROM kept
             WHERE secret_id = '{id}') WHERE secret_id = '{admin}'"
    ));
    for forged in ["AKIDattackersown0000000000000000", &admin] {
        refused(&Client::new(&attack.nodes.api[0].url(), forged, &secret), 4104);
    }
    attack.sql(&format!(
        "DELETE FROM api_key WHERE secret_id = 'AKIDattackersown0000000000000000';
         UPDATE api_key SET encrypted_secret = (SELECT encrypted_secret FROM kept
             WHERE kept.secret_id = '{admin}') WHERE secret_id = '{admin}';
         DROP TABLE kept"
    ));
    assert_eq!(attack.hashes(), before);
    attack.reset(0);
}

/// The attacker has a key that is limited by a tag, and the database. Another device of the account
/// was given the tag, and the victim was given others.
pub(crate) fn no_tag_opens_a_device_to_a_key_that_is_limited_by_it(attack: &mut Attack) {
    let [victim, tagged] = [0, 1].map(|machine| attack.instance(machine).to_owned());
    let nodes = &attack.nodes;
    let give = |instance: &str, tags: &[(&str, &str)]| {
        let lines = tags.iter().enumerate().flat_map(|(n, (key, value))| {
            [(format!("tags.{n}.tagKey"), *key), (format!("tags.{n}.tagValues.0"), *value)]
        });
        let lines: Vec<_> = lines.collect();
        let named = lines.iter().map(|(name, value)| (name.as_str(), *value));
        let asked: Vec<_> = [("instanceId", instance)].into_iter().chain(named).collect();
        let answer = nodes.client(0).call("ModifyDevice", &asked);
        assert_eq!(answer["code"], 0, "{answer}");
    };
    give(&victim, &[("team", "web"), ("former", "db")]);
    give(&tagged, &[("team", "db")]);
    let account = attack.sql("SELECT app_id FROM account");
    let limited = ["key", "create", "--app-id", &account, "--tag", "team=db"];
    let profile = nodes.secret_file("limited.toml", &limited);
    let (id, secret) = opencpm_tests::key_in(&profile);
    let client = Client::new(&nodes.api[0].url(), &id, &secret);
    let password = attack.password();
    let task = client.reset(&[&tagged], &password).expect("the genuine tag lets in");
    assert_eq!(attack.nodes.client(1).wait(task, LIMIT)["status"], 1);
    let before = attack.hashes();
    let given = format!("SELECT mac FROM kept WHERE instance = '{tagged}'");
    let insert = |mac: &str| {
        format!("INSERT INTO device_tag VALUES ({account}, '{victim}', 'team', 'db', {mac})")
    };
    let edit = |what: &str, key: &str| {
        format!("UPDATE device_tag SET {what} WHERE instance = '{victim}' AND key = '{key}'")
    };
    for forgery in [
        insert("NULL"),
        insert("decode(repeat('00', 32), 'hex')"),
        insert(&format!("({given})")),
        edit("value = 'db'", "team"),
        edit(&format!("value = 'db', mac = ({given})"), "team"),
        format!("DELETE FROM device_tag WHERE key = 'team'; {}", edit("key = 'team'", "former")),
        format!(
            "DELETE FROM device_tag WHERE instance = '{victim}';
             UPDATE device_tag SET instance = '{victim}'"
        ),
    ] {
        attack.sql(&format!("CREATE TABLE kept AS SELECT * FROM device_tag; {forgery}"));
        let answer = client.reset(&[&victim], "Attackers#3").expect_err(&forgery);
        assert_eq!(answer["code"], 4103, "{forgery}: {answer}");
        attack.sql(
            "DELETE FROM device_tag; INSERT INTO device_tag SELECT * FROM kept; DROP TABLE kept",
        );
    }
    assert_eq!(attack.hashes(), before);
    attack.reset(0);
}

/// A lease and a binding are rows as any other; who is sent a job by them has ciphertext.
pub(crate) fn a_gateway_of_the_attacker_gets_ciphertext_only(attack: &mut Attack) {
    let (victim, password) = (attack.instance(0).to_owned(), attack.password());
    let own = "00112233445566778899aabbccddeeff";
    let queue = attack.runtime.block_on(attack.stranger.listen(&attack.deployment, own));
    attack.sql(&format!(
        "INSERT INTO gateway VALUES (decode('{own}', 'hex'), store_now() + 600000000);
         UPDATE device SET gateway = decode('{own}', 'hex'), epoch = epoch + 1
         WHERE instance = '{victim}'"
    ));
    let before = attack.hashes();
    let task = attack.nodes.client(0).reset(&[&victim], &password).expect("accepted");
    let message = attack.runtime.block_on(attack.stranger.get(&queue)).data;
    let id = attack.sql(&format!("SELECT encode(id, 'hex') FROM job WHERE task = {task}"));
    assert_eq!(to_hex(&message), format!("01{id}"));
    let stolen = attack.sql("SELECT encode(enc || ciphertext, 'hex') FROM sealed");
    assert!(!stolen.is_empty() && !stolen.contains(&to_hex(password.as_bytes())));
    let data = attack.nodes.client(1).wait(task, LIMIT);
    attack.is_failure(&data, "not_delivered");
    assert_eq!(attack.hashes(), before);
    attack.sql(&format!(
        "UPDATE device SET gateway = NULL WHERE instance = '{victim}';
         DELETE FROM gateway WHERE id = decode('{own}', 'hex')"
    ));
    // The agent binds anew when it connects again.
    attack.nodes.machines[0].agent.kill();
    attack.nodes.machines[0].agent.tend();
    attack.nodes.wait_for_agent(&victim, true);
    attack.reset(0);
}

/// Keys that a machine is to believe come with the root key's signature only.
pub(crate) fn another_trust_statement_is_not_taken(attack: &mut Attack) {
    attack.sql(
        "CREATE TABLE kept AS SELECT * FROM deployment;
         UPDATE deployment SET generation = generation + 1,
             statement = set_byte(statement, 40, get_byte(statement, 40) # 1)",
    );
    // Whoever starts or connects meanwhile hears the genuine one, or nothing.
    attack.nodes.machines[1].agent.kill();
    attack.nodes.machines[1].agent.tend();
    eventually("a reset", LIMIT, || {
        let password = attack.password();
        let reset = attack.nodes.client(0).try_reset(&[attack.instance(1)], &password).ok()?;
        let data = attack.nodes.client(1).wait(reset.ok()?, LIMIT);
        (data["status"] == 1 && attack.nodes.machines[1].has(&password)).then_some(())
    });
    attack.sql(
        "UPDATE deployment SET (generation, statement) = (SELECT generation, statement FROM kept);
         DROP TABLE kept",
    );
}
