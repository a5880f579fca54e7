//! The contract of the shared tier (`hotplate::tier::shared`), sentence by sentence, for every implementation of it:
//! in memory, on a Redis server, on a Redis Cluster of three masters.
//!
//! * `bench`: what a case needs of an implementation, and the one in memory. `redis_bench`: those on real servers.
//! * `values`, `leases`, `reports`, `log`, `snapshot`, `calls`: the cases, each run on every bench.
//! * `redis_cases`: what only a server can be brought to: garbage in it, no memory left, keys without end.
//! * `outages`: a server that stops, hangs and comes back.
//!
//! Without the feature `redis` only the tier in memory is tested.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic, and servers live in real time"
)]

#[path = "shared_contract/bench.rs"]
mod bench;
#[path = "shared_contract/calls.rs"]
mod calls;
#[path = "shared_contract/leases.rs"]
mod leases;
#[path = "shared_contract/log.rs"]
mod log;
#[cfg(feature = "redis")]
#[path = "shared_contract/outages.rs"]
mod outages;
#[cfg(feature = "redis")]
#[path = "shared_contract/redis_bench.rs"]
mod redis_bench;
#[cfg(feature = "redis")]
#[path = "shared_contract/redis_cases.rs"]
mod redis_cases;
#[path = "shared_contract/reports.rs"]
mod reports;
#[cfg(feature = "redis")]
mod servers;
#[path = "shared_contract/snapshot.rs"]
mod snapshot;
#[path = "shared_contract/values.rs"]
mod values;

/// Makes a test of every case, in a module by its bench and one by its idea.
macro_rules! tests {
    ($bench:ident: $($idea:ident { $($case:ident,)+ })+) => {
        $(mod $idea {
            $(#[test]
            fn $case() {
                crate::bench::run(crate::$idea::$case::<super::Tested>);
            })+
        })+
    };
}

/// Every case of the contract, on a bench.
macro_rules! contract {
    ($bench:ty) => {
        type Tested = $bench;

        tests! { Tested:
            values {
                absent_is_no_fault_and_has_no_head_where_there_is_no_log,
                absent_comes_with_the_head_where_there_is_a_log,
                what_is_published_is_fetched_byte_for_byte,
                a_value_of_eight_mebibytes_is_kept_whole,
                every_handle_sees_what_one_published,
                keys_do_not_meet,
                several_keys_are_fetched_in_their_order,
                a_counter_counts_for_everybody_and_is_no_value,
                a_counter_lives_from_its_first_addition_on,
                fetch_gives_a_head_as_new_as_the_call,
                an_older_value_does_not_replace_a_newer,
                a_newer_value_replaces_an_older,
                a_time_before_1970_is_older,
                an_equal_stamp_replaces,
                a_forced_value_replaces_a_newer,
                a_value_expires_and_not_before_its_time,
                a_value_may_live_a_millisecond,
                however_long_a_value_may_live_it_is_stored,
                an_expired_value_does_not_stand_in_the_way_of_an_older,
                a_shorter_life_replaces_a_longer_one,
                extend_keeps_the_longer_life,
                extend_lengthens_a_shorter_life,
                extend_does_not_bring_back_what_expired,
                a_refused_value_changes_no_life,
                a_removed_value_is_absent_and_an_older_may_follow,
                removing_what_is_absent_is_no_fault,
                of_many_at_once_the_newest_stays,
            }
            leases {
                one_at_a_time_has_the_lease,
                of_many_who_ask_at_once_one_has_it,
                the_holder_who_asks_again_keeps_it,
                held_tells_how_long_at_most,
                a_lease_expires_and_not_before_its_time,
                the_holder_who_asks_again_gets_all_of_the_time,
                leases_of_two_keys_do_not_meet,
                a_value_that_came_since_is_changed,
                a_value_that_went_since_is_changed,
                a_value_with_another_stamp_is_changed,
                another_value_with_the_same_stamp_is_changed,
                what_was_seen_and_is_still_there_is_granted,
                changed_takes_no_lease,
                changed_comes_before_held,
                a_value_that_is_published_leaves_the_lease_alone,
                only_the_holder_renews,
                a_renewed_lease_lasts_longer,
                an_expired_lease_is_not_renewed,
                only_the_holder_releases,
                an_expired_lease_is_not_released,
                a_released_lease_is_free,
                a_release_sends_one_notice_with_its_end,
                a_release_by_a_stranger_sends_no_notice,
                every_listener_hears_a_notice,
                keys_that_are_no_text_are_leased_and_released,
            }
            reports {
                nothing_told_is_an_empty_list,
                everybody_reads_what_each_told_last,
                what_is_not_told_again_goes,
                who_tells_hears_that_somebody_asks,
            }
            log {
                positions_grow_by_one_over_all_handles,
                appended_at_once_each_has_its_own_position,
                a_record_is_appended_once_although_it_is_sent_twice,
                a_record_sent_twice_at_once_is_appended_once,
                a_nonce_among_the_last_thousand_is_known,
                the_first_append_makes_the_log,
                tail_gives_what_follows_in_order,
                a_record_comes_back_as_it_was_appended,
                a_record_that_names_nothing_comes_back,
                a_record_of_seventy_thousand_targets_comes_back_whole,
                more_records_than_one_read_takes_come_in_order,
                tail_is_empty_when_its_wait_is_over,
                tail_does_not_wait_where_it_is_not_to,
                tail_wakes_when_another_handle_appends,
                tail_waits_longer_than_half_a_second,
                two_tails_of_one_handle_wait_at_once,
                tail_of_an_unknown_epoch_is_a_gap,
                tail_where_there_is_no_log_is_a_gap,
                tail_of_a_position_ahead_of_the_log_is_a_gap,
                tail_of_another_nonce_is_a_gap,
                tail_of_another_nonce_at_the_end_is_a_gap,
                tail_of_a_trimmed_log_is_a_gap,
                tail_of_a_log_trimmed_to_nothing_is_a_gap,
                tail_goes_on_where_only_what_it_has_read_was_trimmed,
                tail_after_a_flush_is_a_gap,
                tail_that_waits_over_a_flush_wakes_with_the_new_log,
                tail_that_waits_over_a_flush_wakes_with_a_snapshot,
                tail_without_the_head_is_a_gap,
                tail_without_the_state_is_a_gap,
                tail_without_the_stream_is_a_gap,
                without_any_part_of_the_log_nothing_is_taken_for_what_it_was,
                retain_is_no_fault_with_and_without_a_log,
                however_long_values_live_records_are_appended,
            }
            snapshot {
                snapshot_makes_a_log_where_there_is_none,
                a_second_snapshot_changes_nothing,
                snapshot_has_every_target_with_its_last_position_by_mode,
                snapshot_has_the_cursor_of_the_last_record,
                after_many_records_nothing_after_the_floor_is_missing,
                a_target_named_long_ago_and_again_has_its_last_position,
                everything_makes_what_began_before_it_unusable,
                everything_stale_keeps_the_markers,
                a_cursor_ahead_of_the_log_ends_the_epoch,
                a_cursor_with_another_nonce_ends_the_epoch,
                an_earlier_cursor_with_another_nonce_ends_the_epoch,
                a_cursor_of_the_log_does_not_end_the_epoch,
                a_cursor_of_an_earlier_epoch_does_not_end_this_one,
                a_cursor_of_a_later_epoch_ends_this_one,
                a_log_that_was_ended_is_a_gap_for_others,
                an_append_to_a_new_epoch_begins_at_one,
                an_epoch_is_greater_than_every_earlier_one,
                snapshot_and_tail_have_every_record_of_a_busy_log,
                a_marker_generation_that_is_gone_ends_the_epoch,
                a_head_that_is_gone_ends_the_epoch,
                a_state_that_is_gone_ends_the_epoch,
            }
            calls {
                a_dropped_call_harms_nothing,
                a_dropped_tail_holds_nobody_up,
                a_tail_that_waits_holds_no_call_up,
                a_clone_of_the_handle_may_outlive_it,
                pause_ends_after_its_span,
            }
        }
    };
}

/// The contract, and every case that only servers can be brought to.
#[cfg(feature = "redis")]
macro_rules! contract_of_servers {
    ($bench:ty) => {
        contract!($bench);

        tests! { Tested: redis_cases {
            nothing_is_without_end,
            nothing_is_under_another_name,
            retain_raises_and_never_lowers,
            a_log_that_is_used_goes_on_living,
            garbage_is_fetched_as_it_is,
            a_value_of_another_type_is_no_panic,
            a_value_is_published_over_garbage,
            a_value_is_published_over_another_type,
            garbage_that_was_seen_is_leased,
            garbage_in_the_log_is_replaced_by_a_new_log,
            another_type_in_the_log_is_replaced_by_a_new_log,
            garbage_on_the_channel_is_no_notice,
            an_epoch_is_greater_although_the_clock_went_back,
            scripts_that_the_servers_forgot_are_sent_again,
        } }
    };
}

mod memory {
    contract!(crate::bench::InMemory);

    #[test]
    fn down_is_told_at_once() {
        crate::bench::run(crate::calls::down_is_told_at_once);
    }
}

#[cfg(feature = "redis")]
mod redis_server {
    contract_of_servers!(crate::redis_bench::OneServer);
}

#[cfg(feature = "redis")]
mod redis_cluster {
    contract_of_servers!(crate::redis_bench::ThreeMasters);
}
