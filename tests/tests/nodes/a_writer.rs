//! With full access to PostgreSQL and to RabbitMQ nobody makes a machine set a password, reads
//! one, or has a success told that was none.

mod answers;
mod attack;
mod broker;
mod jobs;
mod keys;
mod tokens;

use attack::Attack;

#[test]
fn whoever_writes_database_and_broker_sets_no_password_reads_none_and_invents_no_success() {
    let mut attack = Attack::start();
    broker::nothing_but_ids_is_told(&mut attack);
    jobs::what_was_changed_or_swapped_is_refused(&mut attack);
    jobs::what_was_done_is_not_done_again(&mut attack);
    jobs::what_a_stranger_sealed_is_refused(&mut attack);
    keys::no_key_of_the_attacker_gets_a_password(&mut attack);
    keys::no_api_key_has_more_rights_than_it_was_given(&mut attack);
    keys::no_tag_opens_a_device_to_a_key_that_is_limited_by_it(&mut attack);
    keys::a_gateway_of_the_attacker_gets_ciphertext_only(&mut attack);
    keys::another_trust_statement_is_not_taken(&mut attack);
    tokens::no_token_is_made_or_widened(&mut attack);
    tokens::a_token_is_not_found_under_another_secret(&mut attack);
    answers::another_task_does_not_answer(&mut attack);
    attack.a_reset_still_works();
}
