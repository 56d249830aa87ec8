//! What every store must do, written once against the port.
//!
//! To run it for a store: a [`Backend`] and one line with [`suite!`]. Each function of the
//! modules here is one test; a function that the list in [`suite!`] leaves out is reported by the
//! compiler as unused.

pub(crate) mod acceptance;
pub(crate) mod administration;
pub(crate) mod device_filters;
pub(crate) mod device_lists;
pub(crate) mod durability;
pub(crate) mod enrolments;
pub(crate) mod gateways;
pub(crate) mod histories;
pub(crate) mod job_changes;
pub(crate) mod nodes;
pub(crate) mod reading;
pub(crate) mod retention;
pub(crate) mod statements;
pub(crate) mod world;

pub(crate) use world::{
    Backend, GATEWAY, HandClock, World, app, fleet, generation, id, identity, new_task, next,
    prepare, succeeded,
};

/// Runs the whole contract for one kind of store: a function that makes a fresh [`World`], and one
/// that makes a world whose store may crash without harm to others.
macro_rules! suite {
    ($world:path, $mortal:path) => {
        contract::suite! { @tests $mortal;
            durability:
                a_store_that_takes_changes_says_so
                what_was_accepted_survives_a_crash
                a_nonce_is_still_used_after_reopening
                expired_requests_are_forgotten_and_others_kept;
            histories:
                any_history_keeps_the_promises;
        }
        contract::suite! { @tests $world;
            acceptance:
                a_batch_is_written_with_all_of_its_jobs
                a_changed_device_refuses_the_whole_batch_and_is_named
                every_condition_of_a_device_is_checked_again
                a_device_that_lost_its_tag_meanwhile_is_named
                a_device_has_one_open_job_even_when_many_ask_at_once
                a_device_can_be_reset_again_after_its_job_ended
                a_nonce_is_used_once
                a_nonce_of_a_refused_request_may_be_used_again
                a_fingerprint_answers_with_its_first_task
                a_task_id_is_given_once
                a_refused_request_harms_no_neighbour
                the_highest_sequence_follows_the_jobs
                a_very_large_batch_is_written;
            administration:
                a_store_is_initialised_once
                a_statement_is_replaced_by_a_newer_one_only
                keys_are_read_with_their_account
                what_exists_is_not_created_again
                what_is_missing_is_not_changed
                a_replayed_request_changes_nothing
                a_rename_and_a_block_of_an_account_do_not_undo_each_other
                keys_are_listed_of_one_account_or_of_all
                a_temporary_key_ends_with_its_maker
                keys_that_expired_are_forgotten_a_few_at_a_time
                maintenance_is_told_with_each_key_until_it_ends
                attributes_are_read_as_they_were_written
                of_two_changes_at_once_neither_undoes_the_other
                a_retired_device_keeps_no_open_job
                an_outdated_signature_is_not_written;
            device_filters:
                every_filter_finds_what_it_says_alone_and_with_any_other
                a_filter_means_the_same_in_all_accounts_and_of_retired_devices
                tags_are_a_set_that_is_replaced_as_a_whole
                tags_keep_their_macs_while_other_attributes_change
                tags_go_with_a_device_to_another_account;
            device_lists:
                filters_are_joined_and_pages_follow_each_other
                names_and_addresses_are_found_by_a_part
                a_scope_shows_what_it_lists_and_what_carries_one_of_its_tags
                ties_are_broken_by_id
                every_order_is_total_and_pages_follow_each_other
                changes_of_what_is_not_sorted_by_move_no_device
                a_page_and_its_total_are_of_one_moment
                accounts_and_retired_devices_stay_apart;
            enrolments:
                a_token_for_one_machine_enrols_one_of_many
                a_new_device_comes_with_its_key
                enrolling_again_ends_the_former_key_and_the_open_job
                enrolling_again_cuts_the_connection_and_keeps_attributes
                an_expired_token_enrols_nobody
                a_job_that_moved_on_stops_an_enrolment
                one_key_is_one_device
                a_device_known_ahead_keeps_what_was_written_of_it;
            gateways:
                a_lease_that_ended_is_not_renewed
                a_gateway_without_a_lease_binds_and_changes_nothing
                each_connection_has_a_higher_epoch
                a_disconnect_clears_only_its_own_epoch
                a_former_identity_is_not_bound
                a_hello_that_came_late_does_not_take_a_connected_device_away
                a_hello_never_lowers_what_is_known
                what_a_machine_says_is_kept_as_it_is
                leases_are_judged_by_the_stores_clock
                sealing_keys_are_taken_in_order_and_acknowledged_again
                gateways_of_long_ago_are_forgotten_unless_a_device_still_names_them;
            job_changes:
                only_the_expected_version_is_changed
                every_state_is_read_as_it_was_written
                an_ended_job_has_no_sealed_password_and_frees_its_device
                a_report_brings_its_device_forward
                two_reports_of_one_device_bring_the_later_keys
                an_attempt_is_remembered_and_its_report_kept;
            nodes:
                a_token_for_one_node_lets_one_of_many_join
                a_node_that_joins_twice_at_once_is_one_node_and_uses_its_token_once
                an_expired_or_unknown_token_lets_no_node_join
                a_node_renews_until_it_is_revoked;
            reading:
                a_task_tells_its_jobs_in_the_order_of_the_request
                the_log_is_newest_first_and_of_one_device
                later_jobs_of_the_same_device_are_found
                open_jobs_of_devices_are_found
                overdue_jobs_come_oldest_first_and_limited
                a_gateway_delivers_to_its_own_devices_only
                what_the_queue_lost_is_found_again
                nothing_is_found_for_nothing;
            retention:
                old_tasks_go_with_their_jobs_and_later_ones_stay
                a_task_with_an_open_job_stays_until_it_has_ended
                a_large_task_goes_at_once_and_a_few_rows_at_a_time
                the_newest_task_stays_so_that_no_id_comes_again;
        }
    };
    (@tests $world:path; $($module:ident: $($test:ident)+;)+) => {$(
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::contract::$module::$test(&mut $world().await).await;
                }
            )+
        }
    )+};
}
pub(crate) use suite;
