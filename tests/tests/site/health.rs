//! A service whose database takes no changes says so, and heals by itself.

use std::time::Duration;

use opencpm_tests::{Scheme, Site};

#[test]
fn a_service_whose_database_takes_no_changes_is_alive_and_not_ready_until_it_does() {
    let mut site = Site::start(&[Scheme::Sha512]);
    let probe = |site: &mut Site, what: &str, status, word: &str| {
        site.eventually(what, Duration::from_secs(40), |site| {
            let (found, body) = site.service.probe("/readyz")?;
            (found == status && body.contains(word)).then_some(())
        });
    };
    probe(&mut site, "ready at first", 200, "ready");
    let hold = site.database().hold();
    probe(&mut site, "not ready", 503, "store");
    assert_eq!(site.service.probe("/healthz"), Some((200, "alive\n".to_owned())));
    let answer = site.client.try_reset(&site.instances(), "Refused!1").expect("an answer");
    let refusal = answer.expect_err("nothing can be written");
    assert!([9001, 9008].map(Some).contains(&refusal["code"].as_u64()), "{refusal}");
    drop(hold);
    probe(&mut site, "ready again", 200, "ready");
    site.connected();
}
