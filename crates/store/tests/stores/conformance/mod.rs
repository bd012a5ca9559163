//! What every store must do, a module a verb. A store passes by one line: `conformance!(make)`, where `make` gives a
//! [`world::World`] on a fresh store.

#![allow(missing_docs)]

pub mod accept;
pub mod control;
pub mod fair;
pub mod gate;
pub mod hand;
pub mod inspect;
pub mod keys;
pub mod lease;
pub mod notes;
pub mod promote;
pub mod record;
pub mod renew;
pub mod rescue;
pub mod settle;
pub mod sweep;
pub mod webhook;
pub mod world;

/// Every rule, as a test of the store that `$make` makes.
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::rules! { $make,
            accept: accepts_in_order, a_refused_submission_leaves_no_trace, delayed_tasks_are_scheduled,
                deadlines_count_from_acceptance, one_bad_submission_touches_no_other, draining_queues_refuse;
            keys: an_idempotency_key_answers_with_its_task, another_body_is_a_mismatch, keys_are_of_one_tenant,
                a_given_id_is_taken_once, unique_returns_rejects_replaces, unique_is_free_after_the_end,
                unique_may_be_held_longer, a_started_task_is_not_replaced, keys_meet_within_a_submission,
                an_idempotency_key_is_forgotten_after_a_day, an_idempotency_key_outlives_its_task;
            promote: scheduled_tasks_become_queued_when_due, a_deadline_fails, a_start_deadline_expires,
                a_bounded_step_leaves_the_rest, retrying_tasks_keep_their_failure;
            lease: the_urgent_first_then_the_old, lanes_are_merged_by_their_order, only_lanes_that_were_asked_for,
                system_queues_only_by_name, a_lease_carries_what_decisions_need, a_task_is_leased_once,
                what_is_past_its_start_deadline_is_not_started, accepted_and_leased_in_one_commit, no_more_bytes_than_one_answer_may_have,
                many_lanes_and_many_groups, rank_is_kept_when_given_back, who_comes_before_what_was_leased_goes_first;
            renew: a_renewal_begins_the_length_again, a_stranger_renews_nothing, progress_is_kept_and_heard,
                grace_begins_once;
            notes: lines_are_kept_once_in_order, pages_go_on_where_they_ended, only_the_lease_may_speak,
                last_words_come_before_the_settlement, an_attempt_logs_so_much, checkpoints_come_with_the_next_lease,
                a_task_puts_aside_so_much, notes_go_with_their_task;
            settle: a_success_is_kept, failure_retries_then_fails, snoozed_and_released_cost_nothing,
                the_same_report_twice_is_silent, a_late_report_is_lost, a_cancelled_success_keeps_its_result_in_the_attempt,
                followers_are_accepted_only_where_it_held, results_of_any_size, attempts_never_repeat;
            hand: cancel_before_the_start, cancel_while_running, retry_keeps_the_history, retry_needs_its_unique_key,
                reschedule_moves, delete_forgets, what_the_state_forbids,
                a_hidden_task_is_gone_but_for_lists_that_ask, only_what_is_final_can_be_hidden;
            control: a_paused_queue_gives_nothing, a_queue_can_be_made_by_hand;
            record: who_has_seen_a_record_changes_it, a_name_is_taken_once,
                what_follows_a_record_comes_where_its_change_held,
                a_slot_notes_the_task_that_was_accepted, only_the_last_slots_are_remembered, records_page_by_kind_and_tenant,
                records_are_due_in_their_order, a_gate_is_set_where_the_change_holds, records_page_backwards,
                another_record_changes_where_the_first_one_does;
            rescue: a_lost_lease_queues_again, three_lost_leases_quarantine, a_slow_attempt_times_out,
                a_silent_handler_times_out, a_cancelled_task_ends_with_its_grace, a_deadline_ends_a_running_task,
                a_bounded_step_leaves_the_rest;
            gate: never_more_than_the_limit, two_requests_of_one_commit_share_the_slots, all_or_none, several_gates_meet,
                a_freed_slot_is_taken_in_the_same_commit, room_is_told_in_each_lane_and_no_more_than_there_is,
                a_lost_lease_gives_back, however_an_attempt_ends_its_slots_come_back,
                what_ends_while_it_waits_never_took_a_slot, a_limit_on_a_queue_holds_for_what_waits, lowered_and_raised,
                a_stronger_word_stands, the_last_task_defines_and_one_without_bounds_only_passes,
                what_is_not_accepted_defines_nothing, a_paused_lane_holds_nothing, a_lane_that_nobody_serves_holds_nothing,
                urgent_first, who_is_blocked_holds_up_nobody, a_rate_opens_by_time, blocked_is_shown_and_counted,
                standing_names_the_full_gates, gates_page_by_name_and_show_holders, keys_are_of_one_tenant,
                a_stand_in_holds_for_every_tenant, system_queues_pass_only_what_their_tasks_name, a_hundred_strands_in_order,
                a_strand_that_stands_first_goes_first,
                followers_define_their_gates;
            fair: a_backlog_is_in_nobodys_way, equals_take_turns, weights_are_shares, priority_goes_before_turns,
                a_lane_that_nobody_shares_goes_by_age, what_is_given_back_goes_to_the_front_uncharged,
                a_newcomer_joins_at_the_front_and_nobody_pays_for_the_past, whoever_takes_his_back_is_not_charged,
                lanes_are_merged_by_age_whatever_their_turns, a_lane_is_as_old_as_its_first,
                those_ahead_are_those_before_it_by_turns, a_lane_becomes_shared_at_what_stands_first;
            webhook: each_move_of_a_task_is_told_in_its_commit, what_hands_and_time_do_is_told_too,
                what_follows_a_settlement_or_a_record_is_told, nothing_is_told_of_what_did_not_happen,
                an_endpoint_of_a_tenant_is_told_of_its_tasks, a_task_calls_back, each_of_many_moves_in_one_commit_is_told,
                deliveries_pass_the_gate_of_their_endpoint;
            sweep: final_tasks_go_after_their_time, too_many_final_tasks_go_oldest_first, hidden_tasks_go_too, a_step_is_bounded,
                nothing_unfinished_goes;
            inspect: lists_page_newest_first, lists_filter, attempts_in_order, events_in_order_and_by_position, crash_loops_are_found_in_the_log,
                queues_count_without_rows, lanes_count_without_rows, standing_counts_those_ahead, what_was_leased_stands_before_nobody,
                stats_count, a_closed_store_is_away,
                counts_by_origin_and_tenant, a_lane_is_known_from_its_first_task_on, only_rows_of_the_origin_are_examined;
        }
    };
}

/// One test a rule.
#[macro_export]
macro_rules! rules {
    ($make:expr, $($verb:ident: $($rule:ident),* $(,)?;)*) => {
        $(mod $verb {
            $(#[tokio::test]
            async fn $rule() {
                $crate::conformance::$verb::$rule($make().await).await;
            })*
        })*
    };
}
